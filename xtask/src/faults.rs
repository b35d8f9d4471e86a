//! `cargo xtask faults`: the long run of the fault test.

use anyhow::Result;

use crate::{needs, run};

/// Strikes so many faults; the same seed draws the same ones.
pub(crate) fn faults(faults: usize, seed: Option<u64>) -> Result<()> {
    needs::wasm_target()?;
    needs::redis()?;
    let mut command =
        run::cargo(["test", "--package", "patchbay-tests", "--test", "fleet_faults", "--", "--nocapture"]);
    command.env("PATCHBAY_FAULTS", faults.to_string());
    if let Some(seed) = seed {
        command.env("PATCHBAY_SEED", seed.to_string());
    }
    run::succeed(&mut command)
}
