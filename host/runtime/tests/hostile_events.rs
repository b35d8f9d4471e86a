//! What a hundred thousand events leave behind: no memory. Alone in its process, which is what is measured.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod common;
#[path = "hostile/wat.rs"]
mod wat;

use patchbay_runtime::{CallError, Engine, Plugin};

use common::*;
use wat::{bare_spec, tiny};

/// Events, unless `PATCHBAY_EVENTS` says another number.
const EVENTS: usize = 100_000;

/// What may grow: what the allocator keeps of the busiest moment, and pages of the pool that are touched late. A sandbox
/// that is not given back keeps 130 KiB, of which this is a few hundred.
const GROWTH: usize = 32 << 20;

/// Resident memory of this process, bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Events, a few at once, every twentieth of them one that breaks off.
async fn events(plugin: &Plugin, hostile: &Plugin, count: usize) {
    const AT_ONCE: usize = 8;
    let lane = async |lane: usize| {
        for at in (lane..count).step_by(AT_ONCE) {
            if at % 20 == 0 {
                match hostile.handle(&text("panic hello"), &call("ev_1")).await {
                    Err(CallError::Broken(_)) => {}
                    other => panic!("{other:?}"),
                }
            } else {
                plugin.handle(&text("hello"), &call("ev_1")).await.unwrap();
            }
        }
    };
    futures::future::join_all((0..AT_ONCE).map(lane)).await;
}

#[tokio::test]
async fn memory_is_flat_after_many_events() {
    let count = std::env::var("PATCHBAY_EVENTS").map_or(EVENTS, |text| text.parse().unwrap());
    let engine: Engine = engine();
    let plugin = engine.load(bare_spec("tiny", tiny())).await.unwrap();
    let hostile = handler(&engine).await;
    events(&plugin, &hostile, 2000).await;
    let (before, begun) = (resident(), std::time::Instant::now());
    events(&plugin, &hostile, count).await;
    let (after, took) = (resident(), begun.elapsed());
    println!("{count} events in {:.1} s: {} MiB before, {} MiB after", took.as_secs_f64(), before >> 20, after >> 20);
    let grown = after.saturating_sub(before);
    assert!(grown < GROWTH, "{} KiB more than before", grown >> 10);
}
