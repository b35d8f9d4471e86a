//! `patchbay plugin inspect`: what a component is and wants, without running it.

mod configuration;
mod settings;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use owo_colors::{OwoColorize, Style};
use patchbay_artefact::{Manifest, component, signature};
use patchbay_runtime::{Import, Inspection, Need, inspect, limits};
use serde_json::{Value, json};

use self::settings::Setting;
use crate::cli::failure::{DONE, failed, wrong};
use crate::cli::output::{self, print, table};

/// What its help says.
pub const ABOUT: &str = "Shows what a component is and what it wants: its roles, the version of the contract that it was built \
                  for, what it imports and which grants that takes, its size and memory, its settings, and the lines \
                  that a configuration needs. Nothing of it is run.";

/// What its help shows.
pub const EXAMPLES: &str = "Examples:\n  \
                       patchbay plugin inspect acme-router.wasm\n  \
                       patchbay plugin inspect builtin:zendesk        one that ships with the gateway\n  \
                       patchbay plugin inspect acme-router.wasm --json";

/// `patchbay plugin inspect`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The component's file, or builtin:NAME
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Write one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// All that is known of a component.
struct Shown {
    file: PathBuf,
    inspection: Inspection,
    manifest: Option<Manifest>,
    golden: usize,
    settings: Vec<Setting>,
    /// In `FILE.sig`; none of what ships with the gateway.
    signatures: Option<usize>,
}

/// Does it, and gives the exit code.
///
/// # Errors
/// When the file cannot be read, or is no component.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let shown = Shown::of(&args.file)?;
    if args.json {
        output::json_lines([&shown.json()])?;
    } else {
        print(&shown.text())?;
    }
    Ok(DONE)
}

impl Shown {
    fn of(file: &Path) -> anyhow::Result<Self> {
        let (bytes, signatures) = match builtin(file) {
            Some(name) => (shipped(name)?, None),
            None => {
                let bytes = std::fs::read(file).map_err(|error| {
                    let file = file.display();
                    failed(format!(
                        "cannot read {file}: {error}; `patchbay plugin build` makes the component of a project"
                    ))
                })?;
                let signatures = signature::read(&signature::file_of(file));
                (bytes.into(), Some(signatures.map_err(|error| wrong(error.to_string()))?.len()))
            }
        };
        let fault = |error: &dyn std::fmt::Display| wrong(format!("{}: {error}", file.display()));
        let inspection = inspect(&bytes).map_err(|error| fault(&error))?;
        let manifest = component::manifest(&bytes).map_err(|error| fault(&error))?;
        let golden = component::golden(&bytes).map_err(|error| fault(&error))?.len();
        let settings = manifest.as_ref().and_then(|manifest| manifest.settings.as_ref()).map(settings::read);
        let settings = settings.unwrap_or_default();
        Ok(Self { file: file.to_owned(), inspection, manifest, golden, settings, signatures })
    }

    fn json(&self) -> Value {
        let Inspection { roles, contracts, imports, size, memory, digest } = &self.inspection;
        let import = |import: &Import| {
            let (need, why) = match &import.need {
                Need::Nothing => (json!([]), None),
                Need::Grants { .. } => (json!(granted(&import.need)), None),
                Need::Never { why, remedy } => (Value::Null, Some(format!("{why}: {remedy}"))),
            };
            json!({ "name": import.name, "grants": need, "refused": why })
        };
        json!({
            "file": self.file,
            "digest": format!("sha256:{digest}"),
            "size": size,
            "memory": memory,
            "roles": roles.iter().map(|role| role.as_str()).collect::<Vec<_>>(),
            "contracts": contracts,
            "imports": imports.iter().map(import).collect::<Vec<_>>(),
            "manifest": self.manifest,
            "settings": self.settings.iter().map(Setting::json).collect::<Vec<_>>(),
            "golden": self.golden,
            "signatures": self.signatures.unwrap_or_default(),
            "configuration": self.configuration(),
        })
    }

    fn configuration(&self) -> String {
        configuration::lines(&self.file, &self.inspection, self.manifest.as_ref(), &self.settings)
    }

    fn text(&self) -> String {
        let mut text = self.summary();
        self.imports(&mut text);
        if !self.settings.is_empty() {
            let rows: Vec<_> = self.settings.iter().map(Setting::row).collect();
            let heading = ["NAME", "TYPE", "REQUIRED", "DEFAULT", "SECRET", "ABOUT"];
            let _ = write!(text, "\n{}\n{}", title("Settings"), table(&heading, &rows));
        }
        let _ = write!(text, "\n{}\n{}", title("To configure it"), self.configuration());
        text
    }

    fn summary(&self) -> String {
        let Inspection { roles, contracts, size, memory, digest, .. } = &self.inspection;
        let name = match &self.manifest {
            Some(manifest) => format!("{} {}", manifest.name, manifest.version),
            None => format!("{} (without a manifest: `patchbay plugin pack` puts one in)", self.file.display()),
        };
        let about = self.manifest.as_ref().map(|manifest| manifest.description.as_str()).unwrap_or_default();
        let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
        let or_none = |text: String, none: &str| if text.is_empty() { none.to_owned() } else { text };
        let most = limits::MEMORY as u64;
        let memory_note = if *memory > most {
            format!(": more than the usual {}, so `limits.memory` has to allow it", output::bytes(most))
        } else {
            String::new()
        };
        let signed = signature::file_of(&self.file);
        let signatures = match self.signatures {
            None => "ships with the gateway".to_owned(),
            Some(0) => "none beside it".to_owned(),
            Some(number) => format!(
                "{} in {}: `patchbay plugin verify` says whose",
                output::count(number as u64, "signature", "signatures"),
                signed.display()
            ),
        };
        let rows = [
            ("Roles", or_none(roles.join(", "), "none: the gateway does not load it")),
            ("Contract", or_none(contracts.join(", "), "none")),
            ("Size", output::bytes(*size as u64)),
            ("Memory", format!("{} to begin with{memory_note}", output::bytes(*memory))),
            ("Digest", format!("sha256:{digest}")),
            ("Signed", signatures),
            ("Golden", output::count(self.golden as u64, "event", "events")),
        ];
        let mut text = format!("{}\n", title(&name));
        if !about.is_empty() {
            let _ = writeln!(text, "{about}");
        }
        for (what, value) in rows {
            let _ = writeln!(text, "  {what:9} {value}");
        }
        text
    }

    /// In groups: what needs a decision stands first.
    fn imports(&self, text: &mut String) {
        let imports = &self.inspection.imports;
        let never = imports.iter().filter_map(|import| match &import.need {
            Need::Never { why, remedy } => Some(format!("{}  {why}: {remedy}", import.name)),
            _ => None,
        });
        let granted = imports
            .iter()
            .filter(|import| matches!(import.need, Need::Grants { .. }))
            .map(|import| format!("{}  needs {}", import.name, granted(&import.need).join(" and ")));
        let harmless = imports.iter().filter(|import| import.need == Need::Nothing).map(|import| import.name.clone());
        let groups: [(&str, Vec<String>); 3] = [
            ("Imports that no plugin may have: the gateway does not load it", never.collect()),
            ("Imports that have to be granted", granted.collect()),
            ("Imports that every plugin may have", harmless.collect()),
        ];
        for (heading, lines) in groups.into_iter().filter(|(_, lines)| !lines.is_empty()) {
            let _ = writeln!(text, "\n{}", title(heading));
            for line in lines {
                let _ = writeln!(text, "  {line}");
            }
        }
    }
}

/// The name of a plugin that ships with the gateway: `builtin:NAME`, as a configuration has it.
fn builtin(file: &Path) -> Option<&str> {
    file.to_str()?.strip_prefix("builtin:")
}

fn shipped(name: &str) -> anyhow::Result<Bytes> {
    patchbay_builtin::component(name).map(Bytes::from_static).ok_or_else(|| {
        let known = patchbay_builtin::names().join(", builtin:");
        wrong(format!("no plugin `{name}` ships with the gateway; there are builtin:{known}"))
    })
}

/// The names of the grants that an import needs, as they stand in a configuration.
fn granted(need: &Need) -> Vec<&'static str> {
    let Need::Grants { http, media, keyvalue } = need else { return Vec::new() };
    [("http", *http), ("media", *media), ("keyvalue", *keyvalue)]
        .into_iter()
        .filter_map(|(name, needed)| needed.then_some(name))
        .collect()
}

fn title(text: &str) -> String {
    text.style(Style::new().bold()).to_string()
}
