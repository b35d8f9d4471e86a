//! What a call costs: `cargo bench -p patchbay-runtime`, or with the path of a component as an argument or in
//! `PATCHBAY_BENCH_COMPONENT` (a handler that needs no grants).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measurement stops at the first surprise"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use common::{call, engine_with, spec, text};
use patchbay_runtime::Plugin;

/// How long each thing is measured.
const SPAN: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() {
    let path = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let path = path.or_else(|| std::env::var("PATCHBAY_BENCH_COMPONENT").ok());
    // Without the folder for compiled code: loading is measured, too.
    let engine = engine_with(|options| {
        options.cache_dir = None;
        options.concurrent_calls = 256;
    });
    println!("allocator: {}", engine.allocator());
    let mut spec = spec("bench", "handler");
    if let Some(path) = path {
        spec.component = std::fs::read(&path).unwrap().into();
        println!("component: {path}");
    }
    println!("component: {} KiB", spec.component.len() >> 10);

    let begun = Instant::now();
    let plugin = engine.load(spec).await.unwrap();
    println!("load (compile and link): {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);

    let one = measure(&plugin, 1).await;
    println!("one handler, fresh: {one:.1} µs per call");
    let three = measure(&plugin, 3).await;
    println!("chain of three, fresh: {three:.1} µs per event");
    let many = together(&plugin).await;
    println!("64 callers at once: {many:.0} calls per second");
}

/// Microseconds for each event that passes a chain of this length.
async fn measure(plugin: &Plugin, chain: u32) -> f64 {
    let (input, call) = (text("bench"), call("ev_1"));
    for _ in 0..200 {
        plugin.handle(&input, &call).await.unwrap();
    }
    let begun = Instant::now();
    let mut events = 0_u32;
    while begun.elapsed() < SPAN {
        for _ in 0..chain {
            plugin.handle(&input, &call).await.unwrap();
        }
        events += 1;
    }
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(events)
}

/// Calls for each second with many callers.
async fn together(plugin: &Plugin) -> f64 {
    let begun = Instant::now();
    let callers = (0..64).map(|_| {
        let plugin = plugin.clone();
        tokio::spawn(async move {
            let (input, call) = (text("bench"), call("ev_1"));
            let mut calls = 0_u64;
            while begun.elapsed() < SPAN {
                plugin.handle(&input, &call).await.unwrap();
                calls += 1;
            }
            calls
        })
    });
    let calls: u64 = futures::future::join_all(callers).await.into_iter().map(Result::unwrap).sum();
    calls as f64 / begun.elapsed().as_secs_f64()
}
