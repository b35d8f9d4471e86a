//! `cargo xtask bench`: the measurements, in release.

use std::ffi::OsString;

use anyhow::Result;
use clap::builder::PossibleValuesParser;

use crate::{needs, run, screen};

/// A measurement. It prints its figures on standard output.
struct Bench {
    name: &'static str,
    /// What it measures, in a line.
    about: &'static str,
    program: Program,
    /// What it needs on the machine.
    needs: &'static [fn() -> Result<()>],
}

/// What measures.
enum Program {
    /// The bench target of its name in a package of the workspace.
    Target(&'static str),
    /// The same; it starts the gateway's own binary, found in `PATCHBAY_BIN`.
    WithGateway(&'static str),
    /// The program of a workspace of its own, by its folder.
    Own(&'static str),
}

/// All of them, in the order of the data's way through the gateway.
const BENCHES: &[Bench] = &[
    Bench {
        name: "accept",
        about: "signature and normalising of one webhook, on one thread",
        program: Program::Target("patchbay-whatsapp"),
        needs: &[],
    },
    Bench {
        name: "store",
        about: "events appended and committed a second, each waiting for the disk",
        program: Program::Target("patchbay-store"),
        needs: &[needs::redis],
    },
    Bench {
        name: "decide",
        about: "shipped plugins in fresh sandboxes: one, a chain of three, 64 events at once; and compiling",
        program: Program::Target("patchbay-builtin"),
        needs: &[needs::wasm_target],
    },
    Bench {
        name: "languages",
        about: "one routing logic, native, in Rust, JavaScript and Python, and for Extism: deciding, deploying, memory",
        program: Program::Own("benches/languages"),
        needs: &[needs::wasm_target, needs::core_wasm_target, needs::plugin_tools],
    },
    Bench {
        name: "load",
        about: "webhooks accepted a second with and without the durable write; message to ticket",
        program: Program::WithGateway("patchbay-tests"),
        needs: &[needs::wasm_target, needs::redis],
    },
    Bench {
        name: "nodes",
        about: "one, two and three gateways on one Redis: webhooks accepted and events handled a second",
        program: Program::WithGateway("patchbay-tests"),
        needs: &[needs::wasm_target, needs::redis],
    },
];

/// The names that the command line takes.
pub(crate) fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(BENCHES.iter().map(|bench| bench.name))
}

/// Runs the named measurements, or all. `flags` go to each of them.
pub(crate) fn bench(names: &[String], flags: &[OsString]) -> Result<()> {
    let wanted: Vec<_> = BENCHES.iter().filter(|b| names.is_empty() || names.iter().any(|n| n == b.name)).collect();
    for need in wanted.iter().flat_map(|bench| bench.needs) {
        need()?;
    }
    if wanted.iter().any(|bench| matches!(bench.program, Program::WithGateway(_))) {
        screen::step("build the gateway in release", || {
            run::succeed(&mut run::cargo(["build", "--release", "--package", "patchbay-gateway", "--bin", "patchbay"]))
        })?;
    }
    for Bench { name, about, program, .. } in wanted {
        screen::step(&format!("bench {name}: {about}"), || {
            let mut command = match program {
                Program::Target(package) | Program::WithGateway(package) => {
                    run::cargo(["bench", "--package", package, "--bench", name])
                }
                // Extism's wasmtime asks for a newer Rust than it needs.
                Program::Own(folder) => run::cargo_in(folder, ["run", "--release", "--ignore-rust-version"]),
            };
            run::succeed(command.env("PATCHBAY_BIN", run::patchbay("release")).arg("--").args(flags))
        })?;
    }
    Ok(())
}
