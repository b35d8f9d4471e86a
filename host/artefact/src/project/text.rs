//! `plugin.toml` as it is written.

use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::{Build, FILE};
use crate::manifest::{WantedHost, WantedSecret};

/// Units of a size and their bytes.
const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Section {
    pub(super) name: Option<String>,
    pub(super) version: Option<String>,
    #[serde(default)]
    pub(super) description: String,
    pub(super) settings: Option<PathBuf>,
    #[serde(default)]
    pub(super) wants: WantsSection,
    #[serde(default)]
    pub(super) secrets: Vec<WantedSecret>,
    pub(super) build: Option<BuildSection>,
}

/// `[wants]`
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WantsSection {
    pub(super) http: Vec<WantedHost>,
    pub(super) media: bool,
    pub(super) keyvalue: Option<String>,
}

/// `[build]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BuildSection {
    #[serde(default)]
    command: Vec<String>,
    output: Option<PathBuf>,
    watch: Option<Vec<PathBuf>>,
}

impl BuildSection {
    pub(super) fn checked(self) -> Result<Build, String> {
        if self.command.first().is_none_or(String::is_empty) {
            return Err("build.command: names no program; write: command = [\"cargo\", \"build\", \"--release\", \
                        \"--target\", \"wasm32-wasip2\"]"
                .into());
        }
        let output = self.output.ok_or(
            "build.output: is missing; write which file the command makes: output = \
             \"target/wasm32-wasip2/release/acme_router.wasm\"",
        )?;
        let watch = self.watch.unwrap_or_else(|| vec!["src".into(), FILE.into()]);
        if let Some(path) = watch.iter().find(|path| leaves(path)) {
            return Err(format!(
                "build.watch: `{}` is outside of the project; write paths below its folder",
                path.display()
            ));
        }
        Ok(Build { command: self.command, output, watch })
    }
}

/// Whether a path leads out of the folder that it is relative to.
fn leaves(path: &Path) -> bool {
    path.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir))
}

/// The bytes of `512B`, `64KiB`, `1MiB`, `1GiB`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let parsed = UNITS.iter().find_map(|(unit, bytes)| {
        let digits = text.strip_suffix(unit)?;
        // `parse` would take a sign too.
        digits.bytes().all(|digit| digit.is_ascii_digit()).then_some(())?;
        digits.parse::<u64>().ok()?.checked_mul(*bytes)
    });
    parsed.ok_or_else(|| format!("`{text}` is no size; write a whole number and B, KiB, MiB or GiB: \"1MiB\""))
}
