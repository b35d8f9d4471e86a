//! What is tested: a component, and its golden events from files or from within it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use patchbay_artefact::manifest::Wants;
use patchbay_artefact::project::{FILE, GOLDEN_FOLDER};
use patchbay_artefact::settings::{Misfit, misfits};
use patchbay_artefact::{Manifest, Project, component};
use patchbay_model::golden::Golden;
use patchbay_runtime::{
    Engine, EngineError, EngineOptions, Grants, HostPattern, HttpGrant, Limits, Need, NoMedia, Plugin, PluginSpec,
    inspect,
};

use super::{record, stale};
use crate::cli::failure::{failed, wrong};

/// Golden events that are asked at once, at the most: no machine has more processors that are worth it.
const SANDBOXES: u32 = 16;

/// A component and what it has to answer.
pub(super) struct Subject {
    file: PathBuf,
    bytes: Bytes,
    manifest: Option<Manifest>,
    cases: Vec<Case>,
    /// A file that was changed after the component was built.
    newer: Option<PathBuf>,
}

/// One golden event.
pub(super) struct Case {
    pub(super) golden: Golden,
    /// None: it is packed into the component.
    pub(super) file: Option<PathBuf>,
}

impl Subject {
    /// The project in the folder; without one, the component with what is packed into it.
    pub(super) fn find(folder: &Path, component: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(file) = component
            && !folder.join(FILE).exists()
        {
            return Self::packed(file);
        }
        let project = Project::read(folder).map_err(|error| wrong(error.to_string()))?;
        let built = || {
            let build = project.build.as_ref();
            let build = build.ok_or_else(|| {
                let plugin = folder.join(FILE);
                wrong(format!("{} has no [build], and --component names none: which file is it?", plugin.display()))
            })?;
            Ok::<_, anyhow::Error>(folder.join(&build.output))
        };
        let file = component.map_or_else(built, |file| Ok(file.to_owned()))?;
        let case = |(file, golden): (&Path, &Golden)| Case { golden: golden.clone(), file: Some(file.to_owned()) };
        let cases: Vec<Case> = project.golden_files().map(case).collect();
        if cases.is_empty() {
            let place = folder.join(GOLDEN_FOLDER);
            return Err(failed(format!(
                "there are no golden events: write one into {}, with what is asked and `expect` (the guide for vendors \
                 has one for each role), then `patchbay plugin test --update` fills in what the plugin answers",
                place.join("first.json").display()
            )));
        }
        let newer = if component.is_none() { stale::newer(&project, &file) } else { None };
        Ok(Self { bytes: read(&file)?, file, manifest: Some(project.manifest().clone()), cases, newer })
    }

    fn packed(file: &Path) -> anyhow::Result<Self> {
        let bytes = read(file)?;
        let fault = |error: component::ArtefactError| wrong(format!("{}: {error}", file.display()));
        let golden = component::golden(&bytes).map_err(fault)?;
        if golden.is_empty() {
            let why = "there are no golden events in it, and no project around it: name one with --folder";
            return Err(failed(format!("{}: {why}", file.display())));
        }
        let manifest = component::manifest(&bytes).map_err(fault)?;
        let cases = golden.into_iter().map(|golden| Case { golden, file: None }).collect();
        Ok(Self { file: file.to_owned(), bytes, manifest, cases, newer: None })
    }

    /// Those with this in their name or their file's.
    pub(super) fn cases(&self, filter: Option<&str>) -> anyhow::Result<Vec<Case>> {
        let has = |case: &&Case| {
            let file = case.file.as_deref().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
            filter.is_none_or(|filter| case.golden.name.contains(filter) || file.contains(filter))
        };
        let cases: Vec<Case> = self
            .cases
            .iter()
            .filter(has)
            .map(|case| Case { golden: case.golden.clone(), file: case.file.clone() })
            .collect();
        if cases.is_empty() {
            let names: Vec<&str> = self.cases.iter().map(|case| case.golden.name.as_str()).collect();
            let filter = filter.unwrap_or_default();
            return Err(wrong(format!("no golden event has `{filter}` in its name: there are {}", names.join(", "))));
        }
        Ok(cases)
    }

    /// What of a golden event's settings no gateway would take, by the schema that ships with the plugin.
    pub(super) fn settings(&self, golden: &Golden) -> Vec<String> {
        let schema = self.manifest.as_ref().and_then(|manifest| manifest.settings.as_ref());
        let found = schema.map(|schema| misfits(schema, &golden.settings)).unwrap_or_default();
        let line = |Misfit { at, problem, fix, .. }: Misfit| {
            let dot = if at.is_empty() { "" } else { "." };
            format!("settings{dot}{at}: {problem}: {fix}")
        };
        found.into_iter().map(line).collect()
    }

    /// What may be called while requests leave.
    pub(super) fn callable(&self, config: Option<&Path>) -> anyhow::Result<Grants> {
        record::grants(config, self.manifest.as_ref())
    }

    /// The plugin's name and version, and the file.
    pub(super) fn heading(&self) -> String {
        let file = self.file.display();
        match &self.manifest {
            Some(manifest) => format!("{} {} ({file})", manifest.name, manifest.version),
            None => file.to_string(),
        }
    }

    /// Loads the component with all that it imports, and says what its vendor should know: what it imports and does not
    /// want, and that it is not what the source is now.
    /// `callable`: what may be called where requests leave.
    pub(super) async fn load(&self, callable: Option<Grants>) -> anyhow::Result<(Plugin, Vec<String>)> {
        let inspection = inspect(&self.bytes).map_err(|error| wrong(format!("{}: {error}", self.file.display())))?;
        let wants = self.manifest.as_ref().map(|manifest| manifest.wants.clone()).unwrap_or_default();
        let (mut grants, mut notes) = grants(inspection.imports.iter().map(|import| &import.need), &wants);
        if let Some(callable) = callable {
            grants.http = callable.http;
        }
        if let Some(newer) = &self.newer {
            let newer = newer.display();
            notes.push(format!("{newer} was changed after the component was built: `patchbay plugin build` first"));
        }
        let engine = engine().context("cannot start the sandbox")?;
        let spec = PluginSpec {
            name: self.manifest.as_ref().map_or_else(|| "plugin".to_owned(), |manifest| manifest.name.clone()),
            generation: 1,
            component: self.bytes.clone(),
            settings: serde_json::Map::new(),
            grants,
            secrets: std::collections::BTreeMap::new(),
            limits: Limits::default(),
        };
        let plugin = engine.load(spec).await.map_err(|error| failed(error.to_string()))?;
        Ok((plugin, notes))
    }
}

fn read(file: &Path) -> anyhow::Result<Bytes> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(bytes.into()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(failed(format!(
            "{} is not there: build it with `patchbay plugin build`, or name the component with --component",
            file.display()
        ))),
        Err(error) => Err(failed(format!("cannot read {}: {error}", file.display()))),
    }
}

/// What the component needs to be loaded. Nothing leaves the sandbox in a rehearsal, whatever is granted.
fn grants<'a>(needs: impl Iterator<Item = &'a Need>, wants: &Wants) -> (Grants, Vec<String>) {
    let (mut http, mut media, mut keyvalue) = (false, false, false);
    for need in needs {
        if let Need::Grants { http: its_http, media: its_media, keyvalue: its_keyvalue } = need {
            (http, media, keyvalue) = (http || *its_http, media || *its_media, keyvalue || *its_keyvalue);
        }
    }
    let mut notes = Vec::new();
    let mut note = |imported: bool, wanted: bool, what: &str, line: &str| {
        if imported && !wanted {
            notes.push(format!(
                "the component imports {what}, and {FILE} does not want it: no gateway would load it so. \
                                Write there:\n{line}"
            ));
        }
    };
    note(http, !wants.http.is_empty(), "HTTP", "[[wants.http]]\nhost = \"api.example.com\"");
    note(media, wants.media, "media", "[wants]\nmedia = true");
    note(keyvalue, wants.keyvalue.is_some(), "keys and values", "[wants]\nkeyvalue = \"1MiB\"");
    let host = HttpGrant::https(HostPattern::Under("invalid".to_owned()));
    let grants = Grants {
        http: if http { vec![host] } else { Vec::new() },
        media,
        keyvalue: keyvalue.then(|| wants.keyvalue.unwrap_or(1 << 20)),
    };
    (grants, notes)
}

/// As a gateway has it; compiled code is kept for this user, where that can be done.
fn engine() -> Result<Engine, EngineError> {
    let options = || EngineOptions { concurrent_calls: SANDBOXES, ..EngineOptions::new(Arc::new(NoMedia)) };
    let Some(folder) = cache() else { return Engine::new(options()) };
    let compiler = crate::cli::compile::compiler();
    match Engine::new(EngineOptions { cache_dir: Some(folder), compiler, ..options() }) {
        Err(EngineError::Folder(why)) => {
            tracing::debug!("compiled plugins are not kept: {why}");
            Engine::new(options())
        }
        engine => engine,
    }
}

/// Where this user's programs keep what can be made again; none where there is no such place.
fn cache() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))?;
    Some(base.join("patchbay").join("compiled"))
}
