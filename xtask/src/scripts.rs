//! The format of what is written in JavaScript, TypeScript and Python (the SDKs, the templates and the examples), and
//! whether the SDKs' types are the contract's.

use anyhow::{Context, Result};

use crate::{needs, run, screen};

/// Prettier's; what is installed within them it leaves alone by itself.
const JAVASCRIPT: [&str; 6] = [
    "benches/languages/plugins/javascript/src/**/*.js",
    "examples/*/{src,tests}/**/*.{js,ts}",
    "plugin-sdk/javascript/**/*.{js,mjs,ts}",
    "plugin-sdk/templates/{javascript,typescript}/**/*.{js,mjs,ts}",
    "tests/plugins/**/*.{js,ts}",
    "tests/types/*.mjs",
];
/// Ruff's.
const PYTHON: [&str; 8] = [
    "benches/languages/plugins/python/src",
    "examples",
    "host/simulator/tests/python",
    "plugin-sdk/python",
    "plugin-sdk/templates/python",
    "tests/plugins",
    "tests/python",
    "tests/types",
];

/// Checks the format, or corrects it.
pub(crate) fn fmt(fix: bool) -> Result<()> {
    let prettier = needs::prettier()?;
    screen::step("format, JavaScript", || {
        let mode = if fix { "--write" } else { "--check" };
        run::succeed(run::program("node").arg(prettier).args(["--log-level", "warn", mode]).args(JAVASCRIPT))
            .context("`cargo xtask fmt --fix` corrects it")
    })?;
    let ruff = needs::ruff()?;
    screen::step("format, Python", || {
        let mode: &[&str] = if fix { &[] } else { &["--diff"] };
        run::succeed(run::program(ruff).args(["format", "--no-cache", "--quiet"]).args(mode).args(PYTHON))
            .context("`cargo xtask fmt --fix` corrects it")
    })
}

/// Ruff's rules for what is probably a mistake.
pub(crate) fn lint() -> Result<()> {
    let ruff = needs::ruff()?;
    screen::step("ruff, Python", || {
        run::succeed(run::program(ruff).args(["check", "--no-cache", "--quiet"]).args(PYTHON))
    })
}

/// Holds the types of the SDKs against the contract, by the tools that those SDKs pin.
pub(crate) fn types() -> Result<()> {
    needs::plugin_tools()?;
    screen::step("types, JavaScript", || run::succeed(run::program("node").arg("tests/types/javascript.mjs")))?;
    screen::step("types, Python", || {
        let python = run::root().join("plugin-sdk/python/.venv/bin/python");
        run::succeed(run::program(python).args(["-B", "tests/types/python.py"]))
    })
}
