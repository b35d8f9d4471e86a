//! The loop on three nodes under simulated time, lost messages, pauses and crashes: no event is handled by two owners with
//! effect, and none is forgotten.
//!
//! Everything that happens follows from a seed. `SEED=4711 cargo test -p patchbay-gateway --test simulation` shows the
//! last steps of one; `SEEDS=100000` tries that many, from `FROM` on.
//!
//! # Layout
//! - `run`: one simulation, and its faults
//! - `node`: a process: the real engine, in a runtime whose clock is advanced by hand
//! - `network`: its way to the store
//! - `actors`: a handler, and the platform
//! - `intake`: the platform's webhooks
//! - `checks`: what must hold in the end
//! - `shared`: the dice and the trace
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod actors;
mod checks;
mod intake;
mod network;
mod node;
mod run;
mod shared;

use std::sync::atomic::{AtomicU64, Ordering};

use patchbay_store::memory::Rule;
use run::{Outcome, Plan, simulate};

/// Seeds that are tried when nobody says how many.
const SEEDS: u64 = 2_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

/// Tries seeds on all processors, and gives the first one that fails.
fn first_failure(seeds: std::ops::Range<u64>, broken: Option<Rule>) -> Option<u64> {
    let (next, failed) = (AtomicU64::new(seeds.start), AtomicU64::new(u64::MAX));
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || seed > failed.load(Ordering::Relaxed) {
                        return;
                    }
                    if !simulate(Plan { seed, broken, readable: false }).violations.is_empty() {
                        failed.fetch_min(seed, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    Some(failed.into_inner()).filter(|seed| *seed != u64::MAX)
}

/// Runs a seed again, and tells what happened.
fn explain(seed: u64) -> String {
    let Outcome { violations, lines, .. } = simulate(Plan { seed, broken: None, readable: true });
    format!("{lines}\nseed {seed}:\n  {}\nshow it again with SEED={seed}", violations.join("\n  "))
}

#[test]
fn no_event_is_forgotten_and_none_has_two_owners() {
    if let Some(seed) = number("SEED") {
        let outcome = simulate(Plan { seed, broken: None, readable: true });
        println!("{}\n{} steps, {:?} simulated", outcome.lines, outcome.steps, outcome.took);
        assert!(outcome.violations.is_empty(), "seed {seed}:\n  {}", outcome.violations.join("\n  "));
        return;
    }
    let from = number("FROM").unwrap_or_default();
    let seeds = from..from + number("SEEDS").unwrap_or(SEEDS);
    if let Some(seed) = first_failure(seeds, None) {
        panic!("{}", explain(seed));
    }
}

#[test]
fn a_seed_always_takes_the_same_steps() {
    for seed in 0..20 {
        let run = || {
            let outcome = simulate(Plan { seed, broken: None, readable: false });
            (outcome.hash, outcome.steps)
        };
        assert_eq!(run(), run(), "seed {seed}");
    }
}

/// The simulation finds a store that breaks one of its rules.
fn finds(rule: Rule) {
    let found = first_failure(0..SEEDS, Some(rule));
    println!("{rule:?} is found by seed {found:?}");
    assert!(found.is_some(), "{SEEDS} seeds do not notice that the rule {rule:?} is broken");
}

#[test]
fn a_broken_fence_is_found() {
    finds(Rule::Fence);
}

#[test]
fn two_leases_at_once_are_found() {
    finds(Rule::Exclusion);
}

#[test]
fn duplicates_that_are_taken_are_found() {
    finds(Rule::Deduplication);
}

#[test]
fn commits_that_are_written_twice_are_found() {
    finds(Rule::Witness);
}

#[test]
fn positions_that_are_given_again_are_found() {
    finds(Rule::FreshPositions);
}
