//! Where the binary is, and the hostile plugins.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

/// The repository's root.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The gateway's binary: `PATCHBAY_BIN`, or the one that this builds.
///
/// # Errors
/// When it cannot be built.
pub fn patchbay() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}"))).clone().map_err(anyhow::Error::msg)
}

fn build() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("PATCHBAY_BIN") {
        return Ok(path.into());
    }
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--quiet", "--package", "patchbay-gateway", "--bin", "patchbay"]).current_dir(root());
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let status = command.status().context("cannot start cargo")?;
    if !status.success() {
        bail!("the gateway does not build");
    }
    Ok(target().join(if cfg!(debug_assertions) { "debug" } else { "release" }).join("patchbay"))
}

/// A handler that does what the customer's text says, good and bad: `spin`, `allocate`, `recurse`, `panic` and more.
///
/// # Errors
/// When it cannot be built.
pub fn hostile_guest() -> Result<PathBuf> {
    guest("handler")
}

/// A handler that asks the server that the customer's text names: `call URL` once, `storm URL` for ever.
///
/// # Errors
/// When it cannot be built.
pub fn calling_guest() -> Result<PathBuf> {
    guest("caller")
}

/// A handler that counts the messages of each conversation, and those of all together: `1 of 17`, it answers.
///
/// # Errors
/// When it cannot be built.
pub fn counting_guest() -> Result<PathBuf> {
    guest("counter")
}

/// One of the runtime's own test guests. They are built once for a process; the folder's own lock keeps processes apart.
fn guest(name: &str) -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let folder = BUILT.get_or_init(|| build_guests().map_err(|error| format!("{error:#}"))).clone();
    Ok(folder.map_err(anyhow::Error::msg)?.join(format!("{name}.wasm")))
}

/// The interpreter with other people's clients, those of `tests/python/requirements.txt`.
///
/// # Errors
/// When it is not there.
pub fn python() -> Result<PathBuf> {
    let python =
        std::env::var_os("PATCHBAY_TEST_PYTHON").map_or_else(|| target().join("test-venv/bin/python"), PathBuf::from);
    if !python.is_file() {
        bail!("{} is missing; `cargo xtask test` makes it", python.display());
    }
    Ok(python)
}

/// The Bytecode Alliance's client for components in registries, at the version that the tests are made for.
///
/// # Errors
/// When it is not there.
pub fn wkg() -> Result<PathBuf> {
    let wkg = std::env::var_os("PATCHBAY_TEST_WKG").map_or_else(|| target().join("tools/bin/wkg"), PathBuf::from);
    if !wkg.is_file() {
        bail!("{} is missing; `cargo xtask test` makes it", wkg.display());
    }
    Ok(wkg)
}

/// The foreign program that verifies cosign's signatures, from `tests/foreign/cosign-verify`.
///
/// # Errors
/// When it is not there.
pub fn cosign_verify() -> Result<PathBuf> {
    let program = target().join("foreign/debug/cosign-verify");
    if !program.is_file() {
        bail!("{} is missing; `cargo xtask test` makes it", program.display());
    }
    Ok(program)
}

/// A desk that does what a ticket's id says: `http`, `send` and more, with what came of it as the entries.
///
/// # Errors
/// When it cannot be built.
pub fn asking_guest() -> Result<PathBuf> {
    guest("desk")
}

/// Where compiled guests are kept between runs.
#[must_use]
pub fn compiled_guests() -> PathBuf {
    target().join("test-guests/compiled")
}

/// The interpreter with other people's servers, those of `tests/python/servers.txt`.
///
/// # Errors
/// When it is not there.
pub fn python_servers() -> Result<PathBuf> {
    let python = std::env::var_os("PATCHBAY_TEST_SERVERS")
        .map_or_else(|| target().join("test-servers/bin/python"), PathBuf::from);
    if !python.is_file() {
        bail!("{} is missing; `cargo xtask test` makes it", python.display());
    }
    Ok(python)
}

fn build_guests() -> Result<PathBuf> {
    let target = target().join("test-guests");
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--locked", "--release", "--target", "wasm32-wasip2", "--examples"])
        .current_dir(root().join("host/runtime/tests/guests"))
        .env("CARGO_TARGET_DIR", &target)
        // Flags for the host's own target would not fit WebAssembly.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS")
        .status()
        .context("cannot start cargo")?;
    if !status.success() {
        bail!("the guests do not build");
    }
    Ok(target.join("wasm32-wasip2/release/examples"))
}

/// The workspace's target folder.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
