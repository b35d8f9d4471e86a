//! A plugin's project: a folder with `plugin.toml`, from which the manifest and the golden events are made.

mod golden;
mod text;

use std::fs;
use std::path::{Path, PathBuf};

use patchbay_model::golden::Golden;
use serde_json::Value;

use crate::files::parse;
use crate::manifest::Manifest;
use text::{Section, size};

/// The file that makes a folder a project.
pub const FILE: &str = "plugin.toml";
/// The folder of the golden events, one in each `.json` file.
pub const GOLDEN_FOLDER: &str = "tests/golden";

/// A plugin's project.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    /// Its folder.
    pub folder: PathBuf,
    /// How its component is built; none where something else does that.
    pub build: Option<Build>,
    manifest: Manifest,
    golden: Vec<Golden>,
    /// Of each golden event.
    golden_files: Vec<PathBuf>,
}

/// How a component is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// The program and its arguments, run in the project's folder.
    pub command: Vec<String>,
    /// The component that it makes, from the project's folder.
    pub output: PathBuf,
    /// Files and folders whose change means building again, from the project's folder. `src` and `plugin.toml` by default.
    pub watch: Vec<PathBuf>,
}

/// What is wrong with a project.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", file.display())]
pub struct ProjectError {
    /// The file.
    pub file: PathBuf,
    /// Where in it, what is wrong, and what to write.
    pub problem: String,
}

impl Project {
    /// Reads the project in this folder: `plugin.toml`, the schema that it names, and the golden events.
    ///
    /// # Errors
    /// The first thing that is wrong, with the file, the key and what to write.
    pub fn read(folder: impl AsRef<Path>) -> Result<Self, ProjectError> {
        let folder = folder.as_ref();
        let file = folder.join(FILE);
        let wrong = |problem: String| ProjectError { file: file.clone(), problem };
        let content = fs::read_to_string(&file).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => wrong(
                "there is no such file; `patchbay plugin new NAME` begins a project, or name the folder of one".into(),
            ),
            _ => wrong(format!("cannot be read ({error})")),
        })?;
        let section: Section = parse(&content).map_err(wrong)?;
        let keyvalue = section.wants.keyvalue.as_deref().map(size).transpose();
        let mut wants = crate::manifest::Wants { http: section.wants.http, media: section.wants.media, keyvalue: None };
        wants.keyvalue = keyvalue.map_err(|problem| wrong(format!("wants.keyvalue: {problem}")))?;
        let schema = section.settings.as_ref().map(|path| schema(&folder.join(path))).transpose()?;
        let manifest = Manifest {
            name: section.name.ok_or_else(|| wrong("has no name; write: name = \"acme-router\"".into()))?,
            version: section.version.ok_or_else(|| wrong("has no version; write: version = \"0.1.0\"".into()))?,
            description: section.description,
            wants,
            settings: schema,
            secrets: section.secrets,
        };
        manifest.check().map_err(|error| match (&section.settings, error.key.as_str()) {
            (Some(path), "settings") => ProjectError { file: folder.join(path), problem: error.problem },
            _ => wrong(error.to_string()),
        })?;
        let build = section.build.map(|build| build.checked()).transpose().map_err(wrong)?;
        let (golden_files, golden) = golden::read(&folder.join(GOLDEN_FOLDER))?.into_iter().unzip();
        Ok(Self { folder: folder.to_owned(), build, manifest, golden, golden_files })
    }

    /// What the plugin says about itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The golden events, by the names of their files.
    #[must_use]
    pub fn golden(&self) -> &[Golden] {
        &self.golden
    }

    /// The golden events with their files.
    pub fn golden_files(&self) -> impl Iterator<Item = (&Path, &Golden)> {
        self.golden_files.iter().map(PathBuf::as_path).zip(&self.golden)
    }

    /// Where the packed component is written: `NAME.wasm` in the project's folder.
    #[must_use]
    pub fn packed(&self) -> PathBuf {
        self.folder.join(format!("{}.wasm", self.manifest.name))
    }
}

fn schema(file: &Path) -> Result<Value, ProjectError> {
    let wrong = |problem: String| ProjectError { file: file.to_owned(), problem };
    let text = fs::read_to_string(file).map_err(|error| {
        wrong(format!("cannot be read ({error}); `settings` in {FILE} names it, from the project's folder"))
    })?;
    serde_json::from_str(&text).map_err(|error| wrong(format!("is no JSON: {error}")))
}
