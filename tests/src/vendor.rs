//! What a vendor does: projects of the three languages, made, built and tested by the commands of the guide.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::process::Command;

use crate::binary;
use crate::command::{Patchbay, text};

/// A language that plugins are written in.
#[derive(Clone, Copy, Debug)]
pub struct Language {
    /// As `--lang` has it.
    pub name: &'static str,
    /// The folder of the repository that its SDK is in, and what that installs for itself: shared, for the sake of time.
    installs: Option<(&'static str, &'static str)>,
    /// How a plugin's own tests are run.
    tests: &'static [&'static str],
}

/// Rust.
pub const RUST: Language = Language { name: "rust", installs: None, tests: &["cargo", "test", "--quiet"] };
/// JavaScript.
pub const JAVASCRIPT: Language = Language {
    name: "javascript",
    installs: Some(("plugin-sdk/javascript", "node_modules")),
    tests: &["npm", "test", "--silent"],
};
/// TypeScript.
pub const TYPESCRIPT: Language = Language { name: "typescript", ..JAVASCRIPT };
/// Python.
pub const PYTHON: Language = Language {
    name: "python",
    installs: Some(("plugin-sdk/python", ".venv")),
    tests: &["python3", "-m", "unittest", "--quiet"],
};

/// The command line with what compilers and package managers ask the environment for.
#[must_use]
pub fn patchbay() -> Patchbay {
    ["HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"]
        .into_iter()
        .filter_map(|name| Some((name, std::env::var(name).ok()?)))
        .fold(Patchbay::offline(), |command, (name, value)| command.with(name, &value))
}

/// A project by `patchbay plugin new`, in a folder of its own.
///
/// # Errors
/// When the command fails, or does not say what to type next.
pub async fn begin(language: Language, role: &str, name: &str, folder: &Path) -> Result<PathBuf> {
    let project = folder.join(role);
    let arguments = ["plugin", "new", name, "--role", role, "--lang", language.name, "--path", text(&project)];
    let said = patchbay().done(&arguments).await?;
    anyhow::ensure!(said.contains("patchbay plugin build"), "{said}");
    let again = patchbay().run(&arguments).await?;
    anyhow::ensure!(again.code == 1 && again.err.contains("exists already"), "{again:?}");
    match language.installs {
        Some((sdk, installed)) => {
            std::os::unix::fs::symlink(binary::root().join(sdk).join(installed), project.join("sdk").join(installed))?;
        }
        // The SDK is compiled once for all roles, and for all runs.
        None => {
            let shared = binary::target().join("vendor-rust");
            std::fs::create_dir_all(&shared)?;
            std::os::unix::fs::symlink(shared, project.join("target"))?;
        }
    }
    Ok(project)
}

/// Builds a project; gives what the command said about it.
///
/// # Errors
/// When it does not build.
pub async fn build(project: &Path) -> Result<Value> {
    let rows = patchbay().rows(&["plugin", "build", "--folder", text(project), "--json"]).await?;
    rows.into_iter().next().context("nothing was said about the component")
}

/// Builds a project; gives its component's file.
///
/// # Errors
/// When it does not build.
pub async fn component(project: &Path) -> Result<PathBuf> {
    let built = build(project).await?;
    let path = PathBuf::from(built.get("component").and_then(Value::as_str).context("no component")?);
    anyhow::ensure!(path.is_file(), "{built}");
    Ok(path)
}

/// Asks the golden events; each has to pass.
///
/// # Errors
/// When one does not, or there are not so many.
pub async fn golden(project: &Path, how_many: usize) -> Result<()> {
    let rows = patchbay().rows(&["plugin", "test", "--folder", text(project), "--json"]).await?;
    let passed = rows.iter().filter(|row| row.get("passed") == Some(&Value::Bool(true))).count();
    anyhow::ensure!((passed, rows.len()) == (how_many, how_many), "{rows:?}");
    Ok(())
}

/// The plugin's own tests, as its README says.
///
/// # Errors
/// When one fails.
pub async fn own_tests(language: Language, project: &Path) -> Result<()> {
    let [program, arguments @ ..] = language.tests else { bail!("no command") };
    let output = Command::new(program).args(arguments).current_dir(project).stdin(Stdio::null()).output().await?;
    if !output.status.success() {
        bail!(
            "{:?}: {}{}",
            language.tests,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
