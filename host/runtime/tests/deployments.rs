//! A thousand generations come and go, and what they took is given back. A test by itself: it measures its process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod common;

use std::time::{Duration, Instant};

use common::*;

/// Generations.
const ALL: u64 = 1_000;

/// Until everything that is made once is there: pools, arenas, stacks.
const WARM: u64 = 200;

/// What may stay, MiB: a few per cent of what the code of so many generations takes.
const GROWTH: u64 = 16;

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[tokio::test]
async fn memory_is_flat_after_a_thousand_deployments() {
    let engine = engine();
    let base = spec("triage", "handler");
    let (mut begun, mut warm) = (Instant::now(), (0, 0, 0));
    for generation in 0..ALL {
        if generation == WARM {
            warm = (resident_kib(), mappings(), open_files());
            begun = Instant::now();
        }
        let mut spec = base.clone();
        spec.generation = generation;
        let plugin = engine.load(spec).await.unwrap();
        // Two generations at once, as in a swap.
        let mut next = base.clone();
        next.generation = generation + ALL;
        let second = engine.load(next).await.unwrap();
        assert_well(&plugin).await;
        assert_well(&second).await;
    }
    let each = begun.elapsed() / u32::try_from(2 * (ALL - WARM)).unwrap();
    // Code is given back on threads of its own.
    let until = Instant::now() + Duration::from_secs(20);
    while mappings() > warm.1 + 20 && Instant::now() < until {
        tokio::task::yield_now().await;
    }
    let after = (resident_kib(), mappings(), open_files());
    println!(
        "{} generations: resident {} KiB after {WARM}, {} KiB after all; mappings {} and {}; open files {} and {}; \
         {each:?} for loading one and asking it",
        2 * ALL,
        warm.0,
        after.0,
        warm.1,
        after.1,
        warm.2,
        after.2
    );
    assert!(after.0 < warm.0 + GROWTH * 1024, "resident memory grew from {} to {} KiB", warm.0, after.0);
    assert!(after.1 <= warm.1 + 20, "mappings grew from {} to {}", warm.1, after.1);
    assert!(after.2 <= warm.2 + 20, "open files grew from {} to {}", warm.2, after.2);
}
