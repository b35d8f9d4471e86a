//! The binary `patchbay`.

use std::process::ExitCode;

fn main() -> ExitCode {
    patchbay_gateway::cli::run::run(std::env::args_os())
}
