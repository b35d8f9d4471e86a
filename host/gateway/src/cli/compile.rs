//! `patchbay compile-component`: the process that a running gateway compiles a plugin in. People have no use for it, and
//! the help does not show it.

use clap::Args;
use patchbay_runtime::compile::{Order, compile_stdin};
use patchbay_runtime::{Compiler, helper};

/// What stands on the command line of a compiling process.
const COMMAND: &str = "compile-component";

/// `patchbay compile-component`
#[derive(Clone, Debug, Args)]
pub struct CompileArgs {
    /// The hash of the engine that is to run the code.
    #[arg(long, value_name = "HASH")]
    pub engine: String,
    /// Processor time, seconds.
    #[arg(long, value_name = "N")]
    pub cpu: u64,
    /// Address space, bytes.
    #[arg(long, value_name = "N")]
    pub memory: u64,
    /// The compiled file, bytes.
    #[arg(long, value_name = "N")]
    pub artefact: u64,
}

/// Compiles standard input to standard output, within limits that it gives itself, and gives the exit code.
#[must_use]
pub fn run(args: CompileArgs) -> u8 {
    let CompileArgs { engine, cpu, memory, artefact } = args;
    compile_stdin(&Order { engine, cpu, memory, artefact })
}

/// Plugins are compiled by this binary, in a process for each.
#[must_use]
pub fn compiler() -> Compiler {
    Compiler::Process { program: helper::this_program(), args: vec![COMMAND.to_owned()] }
}
