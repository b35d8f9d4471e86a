//! What well-behaved plugins notice of hostile ones: they wait a little longer, and that is all. Alone in its process,
//! because time is measured: the table is printed, and nothing is asserted but that every call is answered.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod common;
#[path = "hostile/server.rs"]
mod server;

use std::time::{Duration, Instant};

use patchbay_runtime::{Engine, HttpGrant, Plugin};

use common::*;
use server::{Server, desk};

/// How long the neighbour is watched beside each of them.
const WATCHED: Duration = Duration::from_millis(600);

/// Hostile calls at once: more than there are threads for guests.
const AT_ONCE: usize = 4;

/// Calls one after the other until the time is over; every one of them is answered. Gives how long each took, sorted.
async fn watch(neighbour: &Plugin) -> Vec<Duration> {
    let (begun, mut took) = (Instant::now(), Vec::new());
    while begun.elapsed() < WATCHED || took.len() < 20 {
        let one = Instant::now();
        let outcome = neighbour.handle(&text("bench"), &call("ev_2")).await.unwrap();
        assert_eq!(attributes(&outcome)["route"], "billing");
        took.push(one.elapsed());
    }
    took.sort();
    took
}

fn row(name: &str, took: &[Duration]) {
    let at = |percent: usize| took[(took.len() * percent / 100).min(took.len() - 1)].as_secs_f64() * 1000.0;
    let most = took[took.len() - 1].as_secs_f64() * 1000.0;
    println!("| {name:<28} | {:>6} | {:>8.3} | {:>8.3} | {most:>8.3} |", took.len(), at(50), at(99));
}

/// The neighbour's calls beside endless repetitions of one thing.
async fn beside<F>(name: &str, neighbour: &Plugin, again: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let hostile: Vec<_> = (0..AT_ONCE).map(|_| tokio::spawn(again())).collect();
    row(name, &watch(neighbour).await);
    hostile.iter().for_each(tokio::task::JoinHandle::abort);
    for task in hostile {
        // Aborted in an `await`: a failed assertion inside is told.
        if let Err(error) = task.await {
            assert!(error.is_cancelled(), "{name}: {error}");
        }
    }
}

async fn for_ever(plugin: Plugin, words: &'static str) {
    loop {
        assert!(plugin.handle(&text(words), &call("ev_1")).await.is_err(), "{words}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neighbours_are_answered_beside_every_kind_of_hostile_plugin() {
    let engine: Engine = engine_with(|options| options.guest_threads = 2);
    let (neighbour, hostile) =
        (handler(&engine).await, handler_with(&engine, |spec| spec.name = "hostile".into()).await);
    watch(&neighbour).await;
    println!("\nA neighbour's calls beside {AT_ONCE} hostile ones at a time, ms:");
    println!("| {:<28} | {:>6} | {:>8} | {:>8} | {:>8} |", "beside", "calls", "p50", "p99", "most");
    println!("| {:-<28} | {:-<6} | {:-<8} | {:-<8} | {:-<8} |", "", "", "", "", "");
    row("nobody", &watch(&neighbour).await);
    for (name, words) in [
        ("an endless loop", "spin"),
        ("an endless loop of host calls", "poll"),
        ("a loop of giving way", "yield"),
        ("a memory bomb", "allocate"),
        ("deep recursion", "recurse"),
        ("a flood of log lines", "flood hello"),
        ("a flood of errors", "stderr hello"),
        ("a huge answer", "huge 20"),
        ("handles without end", "handles"),
        ("randomness without end", "dice"),
        ("panics", "panic hello"),
    ] {
        beside(name, &neighbour, || for_ever(hostile.clone(), words)).await;
    }
    let server = Server::start().await;
    let grant = HttpGrant { paths: vec!["/drip".into()], ..server.grant() };
    let dripped = desk(&engine, vec![grant]).await;
    let url = server.url("/drip");
    beside("a dripping server", &neighbour, || {
        let (plugin, command) = (dripped.clone(), format!("http GET {url}"));
        async move {
            loop {
                let short = patchbay_runtime::Call { timeout: Duration::from_millis(200), ..desk_call() };
                assert!(plugin.read_ticket(&command, &short).await.is_err());
            }
        }
    })
    .await;
    row("nobody", &watch(&neighbour).await);
}
