//! The repository's chores. `cargo xtask demo` and `cargo xtask test` are the two commands of the README; the others
//! are their single steps.
//!
//! # Layout
//! - [`demo`]: build the gateway and become it
//! - [`suites`]: the tests, and their counts
//! - [`checks`]: format, clippy, features, documentation
//! - [`scripts`]: the same for JavaScript and Python
//! - [`frozen`]: released versions of the contract, which do not change
//! - [`simulate`]: the loop under simulated time, with many seeds
//! - [`deny`]: licences, sources and bans
//! - [`faults`]: three gateways, one Redis, and hundreds of faults
//! - [`mod@bench`]: the measurements
//! - [`mod@fuzz`]: libFuzzer on what comes from outside
//! - [`needs`]: what all of these need on the machine, installed when missing
//! - [`run`], [`screen`], [`tally`]: starting programs, what people see, counting tests

mod bench;
mod checks;
mod demo;
mod deny;
mod faults;
mod frozen;
mod fuzz;
mod needs;
mod run;
mod screen;
mod scripts;
mod simulate;
mod suites;
mod tally;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Chores of the Patchbay repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Build the gateway and start it with simulators of WhatsApp and Zendesk
    ///
    /// Everything after `demo` goes to `patchbay dev`: `--port N` (0 picks free ports), `--json`, `--no-browser`,
    /// `--config FILE`, `--store URL`. Ctrl-C stops it.
    Demo {
        /// Flags of `patchbay dev`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "FLAGS")]
        flags: Vec<OsString>,
    },
    /// Install what the tests need, then run them all
    Test {
        /// Only these steps; may be given several times or as a list
        #[arg(long, value_enum, value_delimiter = ',', value_name = "STEP")]
        only: Vec<suites::Step>,
        /// Only tests whose name contains one of these
        #[arg(value_name = "FILTER")]
        filters: Vec<String>,
    },
    /// Build in release and print the measurements as tables
    ///
    /// Flags after `--` go to the measurement itself: `languages` takes `--quick` (a few calls, as a check that it works),
    /// `--seconds N` (for each case) and `--json`.
    Bench {
        /// Which ones; all without a name
        #[arg(value_name = "NAME", value_parser = bench::names())]
        names: Vec<String>,
        /// Flags of the one that is named
        #[arg(last = true, value_name = "FLAGS", requires = "names")]
        flags: Vec<OsString>,
    },
    /// Three gateways on one Redis under load: kill, pause and restart them at random, then check every message
    ///
    /// The short run is one of the end-to-end tests; this is the long one. It ends by itself.
    Faults {
        /// How many faults
        #[arg(long, default_value_t = 200)]
        faults: usize,
        /// Which ones: a run prints its seed
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Simulate three nodes with faults: time, network and crashes follow from a seed
    Simulate(simulate::Seeds),
    /// Look for inputs that break what comes from outside; installs cargo-fuzz when it is missing
    Fuzz {
        /// How long each target runs
        #[arg(long, default_value_t = 60, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        seconds: u32,
        /// Write the corpus anew from the fixtures instead
        #[arg(long, conflicts_with_all = ["seconds", "targets"])]
        corpus: bool,
        /// Which ones; all without a name
        #[arg(value_name = "TARGET", value_parser = fuzz::names())]
        targets: Vec<String>,
    },
    /// Check the format of all workspaces
    Fmt {
        /// Format instead of checking
        #[arg(long)]
        fix: bool,
    },
    /// Clippy with warnings denied, and the features that must stay off
    Lint,
    /// Build the documentation with warnings denied
    Docs,
    /// Check licences, bans and sources of all dependencies by `deny.toml`
    Deny {
        /// Known vulnerabilities too; fetches the advisory database
        #[arg(long)]
        advisories: bool,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().chore {
        Chore::Demo { flags } => demo::demo(&flags),
        Chore::Test { only, filters } => suites::test(&only, &filters),
        Chore::Bench { names, flags } => bench::bench(&names, &flags),
        Chore::Faults { faults, seed } => faults::faults(faults, seed),
        Chore::Simulate(seeds) => simulate::simulate(&seeds),
        Chore::Fuzz { corpus: true, .. } => fuzz::corpus(),
        Chore::Fuzz { seconds, targets, .. } => fuzz::fuzz(&targets, seconds),
        Chore::Fmt { fix } => checks::fmt(fix),
        Chore::Lint => checks::lint(),
        Chore::Docs => checks::docs(),
        Chore::Deny { advisories } => deny::deny(advisories),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            screen::error(&error);
            ExitCode::FAILURE
        }
    }
}
