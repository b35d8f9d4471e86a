//! `cargo xtask bench`: the measurements, in release.

use anyhow::Result;
use clap::builder::PossibleValuesParser;

use crate::{needs, run, screen};

/// A measurement: a bench target that prints its figures on standard output.
struct Bench {
    name: &'static str,
    package: &'static str,
    /// What it measures, in a line.
    about: &'static str,
    /// Whether it starts the gateway's own binary, found in `PATCHBAY_BIN`.
    gateway: bool,
}

/// All of them, in the order of the data's way through the gateway.
const BENCHES: &[Bench] = &[
    Bench {
        name: "accept",
        package: "patchbay-whatsapp",
        about: "signature and normalising of one webhook, on one thread",
        gateway: false,
    },
    Bench {
        name: "store",
        package: "patchbay-store",
        about: "events appended and committed a second, each waiting for the disk",
        gateway: false,
    },
    Bench {
        name: "decide",
        package: "patchbay-builtin",
        about: "shipped plugins in fresh sandboxes: one, a chain of three, 64 events at once; and compiling",
        gateway: false,
    },
    Bench {
        name: "load",
        package: "patchbay-tests",
        about: "webhooks accepted a second with and without the durable write; message to ticket",
        gateway: true,
    },
    Bench {
        name: "nodes",
        package: "patchbay-tests",
        about: "one, two and three gateways on one Redis: webhooks accepted and events handled a second",
        gateway: true,
    },
];

/// The names that the command line takes.
pub(crate) fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(BENCHES.iter().map(|bench| bench.name))
}

/// Runs the named measurements, or all.
pub(crate) fn bench(names: &[String]) -> Result<()> {
    needs::wasm_target()?;
    needs::redis()?;
    let wanted: Vec<_> = BENCHES.iter().filter(|b| names.is_empty() || names.iter().any(|n| n == b.name)).collect();
    if wanted.iter().any(|bench| bench.gateway) {
        screen::step("build the gateway in release", || {
            run::succeed(&mut run::cargo(["build", "--release", "--package", "patchbay-gateway", "--bin", "patchbay"]))
        })?;
    }
    for Bench { name, package, about, .. } in wanted {
        screen::step(&format!("bench {name}: {about}"), || {
            let mut command = run::cargo(["bench", "--package", package, "--bench", name]);
            run::succeed(command.env("PATCHBAY_BIN", run::patchbay("release")))
        })?;
    }
    Ok(())
}
