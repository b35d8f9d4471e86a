//! The tools of a project's language: whether they are there, and what an SDK installs once.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context;
use tokio::process::Command;

use crate::cli::failure::{failed, wrong};

/// What Rust plugins are compiled for.
const TARGET: &str = "wasm32-wasip2";
/// The oldest Node that componentize-js runs on.
const NODE: u32 = 20;
/// The oldest Python that the SDK's build runs on: 3.11 reads TOML.
const PYTHON: u32 = 11;

/// Makes sure that a build's program can run, and installs what the SDK of its language needs.
///
/// # Errors
/// With the command to type.
pub(super) async fn prepare(folder: &Path, program: &str, arguments: &[String]) -> anyhow::Result<()> {
    // The SDK is where the build's script is.
    let sdk = arguments.first().and_then(|script| Some(folder.join(Path::new(script).parent()?)));
    match (Path::new(program).file_stem().and_then(OsStr::to_str), sdk) {
        (Some("cargo"), _) => rust(folder, program, arguments).await,
        (Some("node"), Some(sdk)) => {
            node(program).await?;
            packages(&sdk).await?;
            if has_dependencies(folder) { packages(folder).await } else { Ok(()) }
        }
        (Some(name), Some(sdk)) if name.starts_with("python") => python(program, &sdk).await,
        _ if said(program, &["--version"], folder).await.is_none() && !Path::new(program).is_absolute() => {
            // It may know no --version; what cannot be started at all is missing.
            let missing = which(program).is_none();
            if missing {
                Err(wrong(format!("`{program}` of plugin.toml's [build] command is not installed")))
            } else {
                Ok(())
            }
        }
        _ => Ok(()),
    }
}

async fn rust(folder: &Path, program: &str, arguments: &[String]) -> anyhow::Result<()> {
    if said(program, &["--version"], folder).await.is_none() {
        return Err(failed(format!(
            "cargo is not installed, and the plugin is written in Rust: install Rust (https://rustup.rs), then\n    \
             rustup target add {TARGET}"
        )));
    }
    if !arguments.iter().any(|argument| argument == TARGET) {
        return Ok(());
    }
    let library = said("rustc", &["--print", "target-libdir", "--target", TARGET], folder).await;
    if library.is_some_and(|path| !Path::new(path.trim()).is_dir()) {
        return Err(failed(format!("this Rust cannot compile for {TARGET} yet; type\n    rustup target add {TARGET}")));
    }
    Ok(())
}

async fn node(program: &str) -> anyhow::Result<()> {
    let version = said(program, &["--version"], Path::new(".")).await;
    let major: Option<u32> =
        version.as_deref().and_then(|text| text.trim().trim_start_matches('v').split('.').next()?.parse().ok());
    match major {
        Some(major) if major >= NODE => Ok(()),
        Some(_) => Err(failed(format!(
            "the plugin is built with Node {NODE} or later, and this is {}: install a newer one (https://nodejs.org)",
            version.unwrap_or_default().trim()
        ))),
        None => Err(failed(format!(
            "node is not installed, and the plugin is written in JavaScript: install Node {NODE} or later with npm \
             (https://nodejs.org; on Debian: apt-get install nodejs npm)"
        ))),
    }
}

/// Installs the npm packages of a folder as its lock file has them, once. Not with `npm ci`: the lock file's packages for
/// other systems than this one are not to be had from every mirror, and it refuses to begin without them.
async fn packages(folder: &Path) -> anyhow::Result<()> {
    let lock = folder.join("package-lock.json");
    let list = if lock.is_file() { lock } else { folder.join("package.json") };
    let stamp = Stamp::of(list, folder.join("node_modules/.patchbay-installed"))?;
    if stamp.holds() {
        return Ok(());
    }
    if which("npm").is_none() {
        return Err(failed(
            "npm is not installed: it comes with Node (https://nodejs.org; on Debian: apt-get install npm)",
        ));
    }
    anstream::eprintln!("installing the npm packages of {} …", folder.display());
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
    install(&mut npm, "npm packages").await?;
    stamp.write()
}

fn has_dependencies(folder: &Path) -> bool {
    let text = fs::read_to_string(folder.join("package.json")).unwrap_or_default();
    let package: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let some = |key| package.get(key).and_then(serde_json::Value::as_object).is_some_and(|all| !all.is_empty());
    some("dependencies") || some("devDependencies")
}

/// Makes the SDK's own environment, with its packages as they are pinned, once.
async fn python(program: &str, sdk: &Path) -> anyhow::Result<()> {
    let version = said(program, &["--version"], Path::new(".")).await;
    let minor: Option<u32> =
        version.as_deref().and_then(|text| text.trim().strip_prefix("Python 3.")?.split('.').next()?.parse().ok());
    match minor {
        Some(minor) if minor >= PYTHON => {}
        Some(_) => {
            let version = version.unwrap_or_default();
            return Err(failed(format!(
                "the plugin is built with Python 3.{PYTHON} or later, and this is {}: install a newer one \
                 (https://www.python.org)",
                version.trim()
            )));
        }
        None => {
            return Err(failed(format!(
                "{program} is not installed, and the plugin is written in Python: install Python 3.{PYTHON} or later \
                 (https://www.python.org; on Debian: apt-get install python3 python3-venv)"
            )));
        }
    }
    let requirements = sdk.join("requirements.txt");
    if !requirements.is_file() {
        return Ok(());
    }
    let environment = sdk.join(".venv");
    let stamp = Stamp::of(requirements.clone(), environment.join(".patchbay-installed"))?;
    if stamp.holds() {
        return Ok(());
    }
    anstream::eprintln!("installing the Python packages of {} …", sdk.display());
    let made = Command::new(program)
        .args(["-m", "venv", "--clear"])
        .arg(&environment)
        .stdout(std::io::stderr())
        .status()
        .await;
    if !made.is_ok_and(|status| status.success()) {
        return Err(failed("Python made no virtual environment; on Debian: apt-get install python3-venv"));
    }
    let folder = if cfg!(windows) { "Scripts" } else { "bin" };
    let mut pip = Command::new(environment.join(folder).join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&requirements);
    install(&mut pip, "Python packages").await?;
    stamp.write()
}

async fn install(command: &mut Command, what: &str) -> anyhow::Result<()> {
    let status = command.stdin(Stdio::null()).stdout(std::io::stderr()).status().await?;
    if status.success() {
        return Ok(());
    }
    Err(failed(format!("the {what} could not be installed; what the tool said stands above")))
}

/// What a program says on standard output; none: it cannot be started, or fails.
async fn said(program: &str, arguments: &[&str], folder: &Path) -> Option<String> {
    let output = Command::new(program).args(arguments).current_dir(folder).stdin(Stdio::null()).output().await.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Where a program is.
fn which(program: &str) -> Option<PathBuf> {
    let name = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(&std::env::var_os("PATH")?)
        .flat_map(|folder| [folder.join(&name), folder.join(program)])
        .find(|path| path.is_file())
}

/// Remembers which list of packages was installed, by a copy of it beside them.
struct Stamp {
    wanted: Vec<u8>,
    copy: PathBuf,
}

impl Stamp {
    fn of(list: PathBuf, copy: PathBuf) -> anyhow::Result<Self> {
        let wanted = fs::read(&list).with_context(|| format!("cannot read {}", list.display()))?;
        Ok(Self { wanted, copy })
    }

    fn holds(&self) -> bool {
        fs::read(&self.copy).is_ok_and(|installed| installed == self.wanted)
    }

    fn write(&self) -> anyhow::Result<()> {
        if let Some(folder) = self.copy.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&self.copy, &self.wanted).with_context(|| format!("cannot write {}", self.copy.display()))
    }
}
