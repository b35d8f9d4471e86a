//! `cargo xtask bench`: the measurements, in release.

use anyhow::Result;
use clap::builder::PossibleValuesParser;

use crate::{needs, run, screen};

/// A measurement: a bench target that prints a table on standard output.
struct Bench {
    name: &'static str,
    package: &'static str,
    /// Whether it starts the gateway's own binary, found in `PATCHBAY_BIN`.
    gateway: bool,
}

/// All of them, in the order of the data's way through the gateway.
const BENCHES: &[Bench] = &[
    Bench { name: "accept", package: "patchbay-whatsapp", gateway: false },
    Bench { name: "store", package: "patchbay-store", gateway: false },
    Bench { name: "decide", package: "patchbay-runtime", gateway: false },
    Bench { name: "load", package: "patchbay-tests", gateway: true },
];

/// The names that the command line takes.
pub(crate) fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(BENCHES.iter().map(|bench| bench.name))
}

/// Runs the named measurements, or all.
pub(crate) fn bench(names: &[String]) -> Result<()> {
    needs::wasm_target()?;
    let wanted: Vec<_> = BENCHES.iter().filter(|b| names.is_empty() || names.iter().any(|n| n == b.name)).collect();
    if wanted.iter().any(|bench| bench.gateway) {
        screen::step("build the gateway in release", || {
            run::succeed(&mut run::cargo(["build", "--release", "--package", "patchbay-gateway", "--bin", "patchbay"]))
        })?;
    }
    for Bench { name, package, .. } in wanted {
        screen::step(&format!("bench {name}"), || {
            let mut command = run::cargo(["bench", "--package", package, "--bench", name]);
            run::succeed(command.env("PATCHBAY_BIN", run::patchbay("release")))
        })?;
    }
    Ok(())
}
