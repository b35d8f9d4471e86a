//! `cargo xtask fuzz`: libFuzzer looks for inputs that something does not hold for.

use std::fs;

use anyhow::{Context, Result};
use clap::builder::PossibleValuesParser;

use crate::{needs, run, screen};

/// The targets of `fuzz/`, in the order of an input's way through the gateway.
const TARGETS: [&str; 4] = ["signature", "body", "normalise", "reference"];

/// Bytes of an input. Longer ones find nothing that these do not, and are slower.
const LONGEST: &str = "-max_len=16384";

/// The names that the command line takes.
pub(crate) fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(TARGETS)
}

/// Runs the named targets, or all, each for so many seconds.
pub(crate) fn fuzz(names: &[String], seconds: u32) -> Result<()> {
    needs::cargo_fuzz()?;
    let target_dir = run::target().join("fuzz");
    // Sanitizers need a nightly compiler, and would find little in code that forbids `unsafe`.
    let cargo_fuzz = |verb| {
        let mut command = run::cargo(["fuzz", verb, "--sanitizer", "none", "--target-dir"]);
        command.arg(&target_dir);
        command
    };
    screen::step("build the fuzzers", || run::succeed(&mut cargo_fuzz("build")))?;
    for target in TARGETS.iter().filter(|target| names.is_empty() || names.iter().any(|name| name == *target)) {
        screen::step(&format!("fuzz {target} for {seconds} s"), || {
            // New inputs go into the first folder; the project's own corpus is only read.
            let found = target_dir.join("corpus").join(target);
            fs::create_dir_all(&found).with_context(|| format!("cannot make {}", found.display()))?;
            let mut command = cargo_fuzz("run");
            command.arg(target).arg(&found).arg(run::root().join("fuzz/corpus").join(target));
            command.args(["--", LONGEST, "-print_final_stats=1"]).arg(format!("-max_total_time={seconds}"));
            run::succeed(&mut command).with_context(|| {
                format!(
                    "an input that does not hold is in fuzz/artifacts/{target}: fix what it shows, and make a fixture of \
                     it in host/whatsapp/tests/fixtures"
                )
            })
        })?;
    }
    Ok(())
}

/// Writes the corpus anew from the fixtures.
pub(crate) fn corpus() -> Result<()> {
    screen::step("fuzz/corpus from the fixtures", || {
        let mut command = run::cargo(["test", "--quiet", "--package", "patchbay-whatsapp", "--test", "corpus"]);
        run::succeed(command.env("UPDATE_CORPUS", "1"))
    })
}
