//! The plugins, built with the tools that their vendors use.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use clap::ValueEnum;
use serde::Serialize;

/// What a plugin is written in. Extism's is a kind of its own: Rust, against another host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Language {
    /// With our SDK, as its template has it.
    Rust,
    /// With our SDK.
    Javascript,
    /// With our SDK.
    Python,
    /// Rust with Extism's kit, which talks JSON.
    Extism,
}

impl Language {
    /// Its name in tables.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::Javascript => "JavaScript",
            Self::Python => "Python",
            Self::Extism => "Extism (Rust)",
        }
    }

    /// Its name on a command line, and its folder's.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Javascript => "javascript",
            Self::Python => "python",
            Self::Extism => "extism",
        }
    }

    /// What builds it in its folder, and what comes out there.
    const fn build(self) -> (&'static str, &'static [&'static str], &'static str) {
        match self {
            Self::Rust => (
                "cargo",
                &["build", "--quiet", "--release", "--target-dir=target", "--target=wasm32-wasip2"],
                "target/wasm32-wasip2/release/routing_rust.wasm",
            ),
            Self::Javascript => {
                ("node", &["../../../../plugin-sdk/javascript/build.mjs"], "target/routing_javascript.wasm")
            }
            Self::Python => ("python3", &["../../../../plugin-sdk/python/build.py"], "target/routing_python.wasm"),
            Self::Extism => (
                "cargo",
                &[
                    "build",
                    "--quiet",
                    "--locked",
                    "--release",
                    "--target-dir=target",
                    "--target=wasm32-unknown-unknown",
                ],
                "target/wasm32-unknown-unknown/release/routing_extism.wasm",
            ),
        }
    }
}

/// A plugin that is built.
pub(crate) struct Guest {
    /// What it is written in.
    pub(crate) language: Language,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The component, or Extism's module.
    pub(crate) bytes: Bytes,
}

/// Builds all of them.
///
/// # Errors
/// When one of them does not build; what its tool said stands above.
pub(crate) fn build() -> Result<Vec<Guest>> {
    Language::value_variants().iter().map(|language| one(*language)).collect()
}

fn one(language: Language) -> Result<Guest> {
    eprintln!("building the plugin in {} …", language.title());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins").join(language.word());
    let (program, arguments, output) = language.build();
    let status = Command::new(program)
        .args(arguments)
        .current_dir(&folder)
        .stdin(Stdio::null())
        // Standard output is the tables'.
        .stdout(std::io::stderr())
        .status()
        .with_context(|| format!("cannot start `{program}`"))?;
    if !status.success() {
        bail!(
            "`{program} {}` failed in {} ({status}); `cargo xtask bench languages` installs what it needs",
            arguments.join(" "),
            folder.display()
        );
    }
    let path = folder.join(output);
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Guest { language, path, bytes: bytes.into() })
}
