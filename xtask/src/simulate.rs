//! `cargo xtask simulate`: the loop on three nodes under simulated time, with more seeds than the tests take.

use anyhow::Result;

use crate::run;

/// Which simulations to run.
#[derive(clap::Args)]
pub(crate) struct Seeds {
    /// How many
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    seeds: u64,
    /// The first one
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    from: u64,
    /// Only this one, with the last steps that it took
    #[arg(long, value_name = "SEED", conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
}

/// Runs them, on all processors.
pub(crate) fn simulate(seeds: &Seeds) -> Result<()> {
    let mut command = run::cargo(["test", "-p", "patchbay-gateway", "--test", "simulation"]);
    command.args(["no_event_is_forgotten", "--", "--nocapture"]);
    match seeds.seed {
        Some(seed) => command.env("SEED", seed.to_string()),
        None => command.env("SEEDS", seeds.seeds.to_string()).env("FROM", seeds.from.to_string()),
    };
    run::succeed(&mut command)
}
