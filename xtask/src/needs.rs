//! What the chores need on the machine. Each is installed when it is missing, at a pinned version, and skipped when it
//! is there; what cannot be installed is a failure with the line to run, never a test left out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{run, screen};

/// The target of the plugins.
const WASM_TARGET: &str = "wasm32-wasip2";
/// The target of Extism's plugins.
const CORE_WASM_TARGET: &str = "wasm32-unknown-unknown";
/// Where Debian's package puts the browser; another one can be named in [`CHROMIUM_VARIABLE`].
const CHROMIUM: &str = "/usr/bin/chromium";
/// Names a Chromium or Chrome for the browser tests.
const CHROMIUM_VARIABLE: &str = "PATCHBAY_CHROMIUM";

/// The version of wkg.
const WKG: &str = "0.16.1";
/// The version of cargo-fuzz.
const CARGO_FUZZ: &str = "0.13.2";
/// The version of prettier, which has no dependencies.
const PRETTIER: &str = "3.10.1";
/// The version of ruff, which has none either.
const RUFF: &str = "0.17.6";

/// Makes sure that plugins can be compiled.
pub(crate) fn wasm_target() -> Result<()> {
    rust_target(WASM_TARGET, "the plugins are")
}

/// Makes sure that Extism's plugin can be compiled, which the bench of languages compares ours with.
pub(crate) fn core_wasm_target() -> Result<()> {
    rust_target(CORE_WASM_TARGET, "Extism's plugin is")
}

/// Makes sure that there is a target of Rust's. `what` is compiled for it, with its verb.
fn rust_target(target: &str, what: &str) -> Result<()> {
    let sysroot = run::output(run::program("rustc").args(["--print", "sysroot"]))?;
    if Path::new(sysroot.trim()).join("lib/rustlib").join(target).is_dir() {
        return Ok(());
    }
    if !run::exists("rustup") {
        bail!(
            "{what} compiled for {target}, which this toolchain lacks, and there is no rustup to add it: install Rust with \
             rustup (https://rustup.rs), or your distribution's package of that target"
        );
    }
    screen::step(&format!("Rust target {target}"), || {
        run::succeed(run::program("rustup").args(["target", "add", target]))
            .context("run it yourself to see why, then start again")
    })
}

/// Makes sure that there is a browser, and gives its path.
pub(crate) fn chromium() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(CHROMIUM_VARIABLE).map(PathBuf::from) {
        if path.is_file() {
            return Ok(path);
        }
        bail!("{CHROMIUM_VARIABLE} is set to {}, and no file is there", path.display());
    }
    let path = PathBuf::from(CHROMIUM);
    if !path.is_file() {
        apt("chromium").with_context(|| {
            format!("no browser for the tests; {CHROMIUM_VARIABLE}=PATH names one installed elsewhere")
        })?;
    }
    Ok(path)
}

/// Makes sure that there are a Redis, its Sentinel and its command line: Debian's packages, 7.0 or later.
pub(crate) fn redis() -> Result<()> {
    for (program, package) in
        [("redis-server", "redis-server"), ("redis-sentinel", "redis-sentinel"), ("redis-cli", "redis-tools")]
    {
        if !run::exists(program) {
            apt(package)?;
        }
    }
    Ok(())
}

/// Makes sure that there is a container registry: Debian's package of the reference implementation.
pub(crate) fn registry() -> Result<()> {
    if !run::exists("docker-registry") {
        apt("docker-registry")?;
    }
    Ok(())
}

/// Makes sure that there are other people's programs for what is in registries: `wkg`, and the Sigstore project's library in a
/// program of ours. Each takes two minutes to build, once.
pub(crate) fn foreign_clients() -> Result<()> {
    let folder = run::target().join("tools");
    let wkg = folder.join("bin/wkg");
    if !wkg.is_file() || !run::output(run::program(&wkg).arg("--version"))?.contains(WKG) {
        screen::step(&format!("wkg {WKG}"), || {
            let mut command = run::cargo(["install", "--quiet", "--locked", "--debug", "--force", "--root"]);
            command.arg(&folder).args(["--version", WKG, "wkg"]);
            run::succeed(&mut command).context("wkg could not be built; run it yourself to see why, then start again")
        })?;
    }
    screen::step("cosign-verify", || {
        let mut command = run::cargo_in("tests/foreign/cosign-verify", ["build", "--quiet", "--locked"]);
        run::succeed(command.env("CARGO_TARGET_DIR", run::target().join("foreign")))
    })
}

/// Makes sure that there is OpenSSL's command line, which the tests hold our signatures against.
pub(crate) fn openssl() -> Result<()> {
    if !run::exists("openssl") {
        apt("openssl")?;
    }
    Ok(())
}

/// Installs one of Debian's packages, for root only. A server that the package starts by itself is not the tests' business: they start their own.
fn apt(package: &str) -> Result<()> {
    let install = ["install", "--yes", "--no-install-recommends", package];
    let by_hand = format!("apt-get update && apt-get {}", install.join(" "));
    if !run::exists("apt-get") {
        bail!("{package} is missing and this machine has no apt-get: install it by your system's means");
    }
    if run::output(run::program("id").arg("-u"))?.trim() != "0" {
        bail!("{package} is missing; run as root: {by_hand}");
    }
    screen::step(&format!("Debian package {package}"), || {
        let apt_get = || {
            let mut command = run::program("apt-get");
            command.env("DEBIAN_FRONTEND", "noninteractive");
            command
        };
        run::succeed(apt_get().args(["update", "--quiet"]))?;
        run::succeed(apt_get().arg("--quiet").args(install))
    })
}

/// Makes sure that the browser tests' packages are there, as their lock file has them.
pub(crate) fn browser_packages() -> Result<()> {
    let folder = run::root().join("tests/browser");
    let stamp = Stamp::of(&folder.join("package-lock.json"), &folder.join("node_modules/.installed"))?;
    if stamp.holds() {
        return Ok(());
    }
    for tool in ["node", "npm"] {
        if !run::exists(tool) {
            bail!("the browser tests need {tool}, which is not there: install Node.js 20 or later with npm");
        }
    }
    screen::step("npm packages of tests/browser", || {
        let mut npm = run::program("npm");
        run::succeed(npm.current_dir(&folder).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]))
            .context("the packages of tests/browser/package-lock.json could not be installed")?;
        stamp.write()
    })
}

/// Makes sure that the Python packages of the tests are there, and gives the interpreter that has them.
pub(crate) fn python() -> Result<PathBuf> {
    python_with("requirements.txt", "test-venv")
}

/// Makes sure that the servers are there which the tests sign and ask for, and gives the interpreter that has them.
pub(crate) fn python_servers() -> Result<PathBuf> {
    python_with("servers.txt", "test-servers")
}

/// An environment in the target folder with what this list of `tests/python` names; gives its interpreter.
fn python_with(list: &str, folder: &str) -> Result<PathBuf> {
    let requirements = run::root().join("tests/python").join(list);
    let folder = run::target().join(folder);
    let python = folder.join("bin/python");
    let stamp = Stamp::of(&requirements, &folder.join(".installed"))?;
    if stamp.holds() && python.is_file() {
        return Ok(python);
    }
    if !run::exists("python3") {
        bail!("the tests need python3, which is not there: install Python 3.11 or later");
    }
    screen::step(&format!("Python packages of tests/python/{list}"), || {
        run::succeed(run::program("python3").args(["-m", "venv", "--clear"]).arg(&folder))
            .context("no virtual environment; on Debian: apt-get install --yes python3-venv")?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
        run::succeed(Command::new(&python).args(pip).arg(&requirements))
            .with_context(|| format!("the packages of tests/python/{list} could not be installed"))?;
        stamp.write()
    })?;
    Ok(python)
}

/// Makes sure that plugins in JavaScript and Python can be built: what their SDKs pin, installed inside of the SDKs' folders as
/// `patchbay plugin build` does it in a project.
pub(crate) fn plugin_tools() -> Result<()> {
    for tool in ["node", "npm", "python3"] {
        if !run::exists(tool) {
            bail!(
                "the tests build plugins with {tool}, which is not there: install Node.js 20 with npm, and Python 3.11"
            );
        }
    }
    let javascript = run::root().join("plugin-sdk/javascript");
    let stamp = Stamp::of(&javascript.join("package-lock.json"), &javascript.join("node_modules/.patchbay-installed"))?;
    if !stamp.holds() {
        screen::step("npm packages of plugin-sdk/javascript", || {
            let mut npm = run::program("npm");
            npm.current_dir(&javascript).args(["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"]);
            run::succeed(&mut npm).context("the packages of plugin-sdk/javascript could not be installed")?;
            stamp.write()
        })?;
    }
    let python = run::root().join("plugin-sdk/python");
    let stamp = Stamp::of(&python.join("requirements.txt"), &python.join(".venv/.patchbay-installed"))?;
    if stamp.holds() {
        return Ok(());
    }
    screen::step("Python packages of plugin-sdk/python", || {
        let environment = python.join(".venv");
        run::succeed(run::program("python3").args(["-m", "venv", "--clear"]).arg(&environment))
            .context("no virtual environment; on Debian: apt-get install --yes python3-venv")?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
        let mut command = Command::new(environment.join("bin/python"));
        run::succeed(command.args(pip).arg(python.join("requirements.txt")))
            .context("the packages of plugin-sdk/python could not be installed")?;
        stamp.write()
    })
}

/// Makes sure that there is prettier, and gives the program for node.
pub(crate) fn prettier() -> Result<PathBuf> {
    let folder = run::target().join(format!("tools/prettier-{PRETTIER}"));
    let program = folder.join("node_modules/prettier/bin/prettier.cjs");
    if program.is_file() && run::exists("node") {
        return Ok(program);
    }
    for tool in ["node", "npm"] {
        if !run::exists(tool) {
            bail!("JavaScript is formatted with {tool}, which is not there: install Node.js 20 or later with npm");
        }
    }
    screen::step("prettier", || {
        let mut npm = run::program("npm");
        npm.args(["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"]).arg(&folder);
        run::succeed(npm.arg(format!("prettier@{PRETTIER}")))
            .context("prettier could not be installed; run it yourself to see why, then start again")
    })?;
    Ok(program)
}

/// Makes sure that there is ruff, and gives its path.
pub(crate) fn ruff() -> Result<PathBuf> {
    let folder = run::target().join(format!("tools/ruff-{RUFF}"));
    let program = folder.join("bin/ruff");
    if program.is_file() {
        return Ok(program);
    }
    if !run::exists("python3") {
        bail!("Python is formatted with ruff, which needs python3 to be installed: install Python 3.11 or later");
    }
    screen::step("ruff", || {
        run::succeed(run::program("python3").args(["-m", "venv", "--clear"]).arg(&folder))
            .context("no virtual environment; on Debian: apt-get install --yes python3-venv")?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run::succeed(Command::new(folder.join("bin/python")).args(pip).arg(format!("ruff=={RUFF}")))
            .context("ruff could not be installed; run it yourself to see why, then start again")
    })?;
    Ok(program)
}

/// Makes sure that there is a C++ compiler, which libFuzzer is built with.
pub(crate) fn cpp() -> Result<()> {
    if !run::exists("c++") {
        apt("g++")?;
    }
    Ok(())
}

/// Makes sure that the fuzzers can be built and run.
pub(crate) fn cargo_fuzz() -> Result<()> {
    cpp()?;
    if run::exists("cargo-fuzz") {
        return Ok(());
    }
    screen::step("cargo-fuzz", || {
        run::succeed(&mut run::cargo(["install", "--quiet", "--locked", "--version", CARGO_FUZZ, "cargo-fuzz"]))
            .context("cargo-fuzz could not be installed; run it yourself to see why, then start again")
    })
}

/// Remembers which version of a list of packages was installed, by keeping a copy of the list beside them.
struct Stamp {
    wanted: Vec<u8>,
    copy: PathBuf,
}

impl Stamp {
    fn of(list: &Path, copy: &Path) -> Result<Self> {
        let wanted = fs::read(list).with_context(|| format!("cannot read {}", list.display()))?;
        Ok(Self { wanted, copy: copy.to_path_buf() })
    }

    fn holds(&self) -> bool {
        fs::read(&self.copy).is_ok_and(|installed| installed == self.wanted)
    }

    fn write(&self) -> Result<()> {
        fs::write(&self.copy, &self.wanted).with_context(|| format!("cannot write {}", self.copy.display()))
    }
}
