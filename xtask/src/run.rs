//! Starting other programs, always from the repository's root and never with standard input.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Where cargo puts what it builds for the host workspace.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// The gateway's binary of a profile's folder (`debug`, `release`).
pub(crate) fn patchbay(folder: &str) -> PathBuf {
    target().join(folder).join(format!("patchbay{}", env::consts::EXE_SUFFIX))
}

/// A program that runs in the repository's root without standard input.
///
/// Cargo describes this crate to us in variables; a cargo below us would hand them to build scripts, which would then
/// run again whenever xtask is used or not.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root()).stdin(Stdio::null());
    for (key, _) in env::vars_os() {
        let ours = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
        if key.to_str().is_some_and(|key| ours.iter().any(|prefix| key.starts_with(prefix))) {
            command.env_remove(&key);
        }
    }
    command
}

/// The cargo that runs us.
pub(crate) fn cargo<const N: usize>(arguments: [&str; N]) -> Command {
    let mut command = program(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// The same cargo in the plugins' workspace.
pub(crate) fn cargo_plugins<const N: usize>(arguments: [&str; N]) -> Command {
    cargo_in("plugins", arguments)
}

/// The same cargo in another workspace of the project, by its folder.
pub(crate) fn cargo_in<const N: usize>(folder: &str, arguments: [&str; N]) -> Command {
    let mut command = cargo(arguments);
    command.current_dir(root().join(folder));
    command
}

/// Runs a command to its end on our own output; anything but success is an error.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start `{}`", line(command)))?;
    if status.success() { Ok(()) } else { bail!("`{}` failed ({status})", line(command)) }
}

/// Runs a command quietly and gives its standard output; its standard error is part of the failure.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let done = command.output().with_context(|| format!("cannot start `{}`", line(command)))?;
    if !done.status.success() {
        bail!("`{}` failed ({})\n{}", line(command), done.status, String::from_utf8_lossy(&done.stderr).trim());
    }
    String::from_utf8(done.stdout).with_context(|| format!("`{}` answered something that is no text", line(command)))
}

/// Whether a program can be started at all.
pub(crate) fn exists(name: &str) -> bool {
    program(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// A command as one would type it.
pub(crate) fn line(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(name).chain(command.get_args()).map(OsStr::to_string_lossy);
    words.collect::<Vec<_>>().join(" ")
}
