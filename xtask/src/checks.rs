//! What is checked without running anything: frozen files, format, clippy, features, documentation.

use anyhow::{Context, Error, Result, bail};

use crate::{frozen, needs, run, screen, scripts};

/// Features of dependencies that must stay off, each with its reason. Cargo unites the features that all crates of a
/// build ask for, so one careless line anywhere could turn them on.
const FEATURES_OFF: &[(&str, &str, &str)] = &[
    ("wasmtime", "cache", "it maps compiled code that carries no tag of this host"),
    ("wasmtime", "component-model-async", "concurrency support costs every call 7 to 17 %"),
    ("wasmtime", "gc", "no plugin needs it, and it widens what a hostile one can reach"),
    ("wasmtime", "threads", "a plugin has one thread; shared memories escape the memory cap"),
    ("wasmtime-wasi-http", "default-send-request", "it would connect without our grants and address filter"),
];

/// The guide for vendors' plugin: a workspace of its own, as a vendor's would be.
const EXAMPLE: &str = "examples/vip-router";

/// The workspaces beside the host's, for their format.
const OTHERS: [&str; 7] = [
    "plugins",
    EXAMPLE,
    "fuzz",
    "benches/languages",
    "benches/languages/plugins/rust",
    "benches/languages/plugins/extism",
    "tests/foreign/cosign-verify",
];

/// Checks the format of all workspaces, or corrects it.
pub(crate) fn fmt(fix: bool) -> Result<()> {
    let mode: &[&str] = if fix { &[] } else { &["--check"] };
    screen::step("format", || {
        run::succeed(run::cargo(["fmt", "--all"]).args(mode)).context("`cargo xtask fmt --fix` corrects it")?;
        for folder in OTHERS {
            run::succeed(run::cargo_in(folder, ["fmt", "--all"]).args(mode))
                .context("`cargo xtask fmt --fix` corrects it")?;
        }
        Ok(())
    })?;
    scripts::fmt(fix)
}

/// The frozen versions of the contract, clippy with warnings denied, the features, and the SDKs in other languages.
pub(crate) fn lint() -> Result<()> {
    screen::step("frozen versions of the contract", || frozen::check(&run::root().join("wit")).map_err(Error::msg))?;
    clippy()?;
    screen::step("features that stay off", features)?;
    scripts::lint()?;
    scripts::types()
}

/// Clippy on the workspaces; the plugins natively with their tests and for the target that they ship for. Not on the bench of
/// languages: two more wasmtimes would take minutes each time, and `cargo xtask bench languages` compiles it.
pub(crate) fn clippy() -> Result<()> {
    needs::wasm_target()?;
    needs::cpp()?;
    let strict = ["--", "--deny", "warnings"];
    screen::step("clippy, host", || run::succeed(run::cargo(["clippy", "--workspace", "--all-targets"]).args(strict)))?;
    screen::step("clippy, plugins with their tests", || {
        run::succeed(run::cargo_plugins(["clippy", "--workspace", "--all-targets"]).args(strict))
    })?;
    screen::step("clippy, example", || run::succeed(run::cargo_in(EXAMPLE, ["clippy", "--all-targets"]).args(strict)))?;
    screen::step("clippy, fuzzers", || {
        let mut command = run::cargo_in("fuzz", ["clippy", "--all-targets", "--target-dir"]);
        run::succeed(command.arg(run::target().join("fuzz")).args(strict))
    })?;
    screen::step("clippy, plugins for wasm32-wasip2", || {
        run::succeed(run::cargo_plugins(["clippy", "--workspace", "--target", "wasm32-wasip2"]).args(strict))
    })
}

/// Builds the documentation of our own crates with warnings denied.
pub(crate) fn docs() -> Result<()> {
    needs::wasm_target()?;
    screen::step("documentation", || {
        run::succeed(run::cargo(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "--deny warnings"))
    })
}

/// Reads the features that the gateway would be built with.
fn features() -> Result<()> {
    let form = ["--edges", "normal", "--prefix", "none", "--format", "{p}|{f}"];
    let tree = run::output(run::cargo(["tree", "--workspace"]).args(form))?;
    let bad = forbidden(&tree)?;
    if bad.is_empty() {
        Ok(())
    } else {
        bail!("turned on by a dependency or a line in Cargo.toml:\n{}", bad.join("\n"))
    }
}

/// The forbidden features in cargo's tree, one sentence each. A crate that is missing from the tree is an error,
/// because its line in [`FEATURES_OFF`] would then check nothing.
fn forbidden(tree: &str) -> Result<Vec<String>> {
    let mut bad = Vec::new();
    for (krate, feature, reason) in FEATURES_OFF {
        let mut lines = tree.lines().filter(|line| line.split(' ').next() == Some(krate)).peekable();
        if lines.peek().is_none() {
            bail!("{krate} is no dependency any more: take its lines out of FEATURES_OFF");
        }
        let on = |line: &str| line.split('|').nth(1).is_some_and(|on| on.split([',', ' ']).any(|on| on == *feature));
        if lines.any(on) {
            bad.push(format!("  {krate} has `{feature}`: {reason}\n    see `cargo tree -e features -i {krate}`"));
        }
    }
    Ok(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_feature_is_found_by_its_whole_name() {
        let clean = "wasmtime v48.0.8|async,gc-drc,std\nwasmtime-wasi-http v48.0.8|p2 (*)\n";
        assert!(forbidden(clean).unwrap().is_empty());
        let dirty = "wasmtime v48.0.8|async,gc\nwasmtime-wasi-http v48.0.8|default-send-request (*)\n";
        assert_eq!(forbidden(dirty).unwrap().len(), 2);
    }

    #[test]
    fn a_missing_crate_is_an_error() {
        assert!(forbidden("wasmtime v48.0.8|async\n").is_err());
    }
}
