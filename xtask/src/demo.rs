//! `cargo xtask demo`: from a fresh checkout to a running gateway.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{needs, run};

/// Builds the gateway (with the shipped plugins inside) and becomes `patchbay dev`, so that Ctrl-C and the exit code
/// are its own.
pub(crate) fn demo(flags: &[OsString]) -> Result<()> {
    needs::wasm_target()?;
    build()?;
    let mut command = Command::new(run::patchbay("debug"));
    command.arg("dev").args(flags);
    become_it(command)
}

/// Builds the binary that the demo runs. Cargo shows its progress on standard error.
fn build() -> Result<()> {
    let mut command = run::cargo(["build", "--package", "patchbay-gateway", "--bin", "patchbay"]);
    run::succeed(&mut command).context("the gateway could not be built")
}

#[cfg(unix)]
fn become_it(mut command: Command) -> Result<()> {
    use std::os::unix::process::CommandExt as _;
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start `{}`", run::line(&command)))
}

#[cfg(not(unix))]
fn become_it(mut command: Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start `{}`", run::line(&command)))?;
    std::process::exit(status.code().unwrap_or(1))
}
