//! Three gateways on one Redis under load, and faults at random: gateways killed, paused for longer than their lease,
//! stopped and started again, Redis killed and paused. Nothing that was acknowledged is missing in the end, nothing is
//! there twice, and every conversation is in its order.
//!
//! `PATCHBAY_FAULTS` says how many faults, `PATCHBAY_SEED` which ones: `cargo xtask faults` is the long run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use patchbay_test_redis::{Options as RedisOptions, Redis};
use patchbay_tests::Fleet;
use patchbay_tests::config::Options;
use patchbay_tests::traffic::{Order, Traffic, check};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use tokio::task::block_in_place;

/// Faults of the short run.
const FAULTS: usize = 16;
/// A run with more faults than this is a long one.
const LONG: usize = 50;
const GATEWAYS: usize = 3;
const CUSTOMERS: usize = 12;
/// Between two messages of one customer: about fifty a second in all, which debug builds on two cores carry.
const PAUSE: Duration = Duration::from_millis(250);
/// The shortest that the configuration takes.
const LEASE: Duration = Duration::from_secs(3);

/// What breaks, for how long.
#[derive(Debug)]
enum Fault {
    /// `kill -9` of these gateways.
    Kill(Vec<usize>, Duration),
    /// `SIGSTOP` of these gateways, then `SIGCONT`.
    Pause(Vec<usize>, Duration),
    /// A clean stop of one gateway.
    Stop(usize),
    /// `kill -9` of Redis.
    KillRedis(Duration),
    /// `SIGSTOP` of Redis, then `SIGCONT`.
    PauseRedis(Duration),
}

impl Fault {
    fn draw(random: &mut StdRng) -> Self {
        let millis = |random: &mut StdRng, range| Duration::from_millis(random.random_range(range));
        let mut nodes: Vec<usize> = (0..GATEWAYS).filter(|_| random.random_bool(0.4)).collect();
        if nodes.is_empty() {
            nodes.push(random.random_range(0..GATEWAYS));
        }
        match random.random_range(0..100) {
            0..30 => Self::Kill(nodes, millis(random, 0..1_500)),
            30..50 => Self::Pause(nodes, LEASE + millis(random, 200..2_000)),
            50..65 => Self::Pause(nodes, millis(random, 50..1_000)),
            65..80 => Self::Stop(nodes[0]),
            80..92 => Self::KillRedis(millis(random, 0..1_500)),
            _ => Self::PauseRedis(millis(random, 100..2_500)),
        }
    }

    /// Breaks it, and mends it.
    async fn strike(&self, fleet: &mut Fleet, redis: &mut Redis) -> Result<()> {
        match self {
            Self::Kill(nodes, down) => {
                for node in nodes {
                    fleet.kill(*node).await?;
                }
                tokio::time::sleep(*down).await;
                for node in nodes {
                    fleet.start(*node).await?;
                }
            }
            Self::Pause(nodes, length) => {
                signal(fleet, nodes, Signal::STOP)?;
                tokio::time::sleep(*length).await;
                signal(fleet, nodes, Signal::CONT)?;
            }
            Self::Stop(node) => {
                fleet.take(*node)?.terminate().await?;
                fleet.start(*node).await?;
            }
            Self::KillRedis(down) => {
                block_in_place(|| redis.kill());
                tokio::time::sleep(*down).await;
                block_in_place(|| redis.restart());
            }
            Self::PauseRedis(length) => {
                redis.stop_signal();
                tokio::time::sleep(*length).await;
                redis.cont();
            }
        }
        Ok(())
    }
}

fn signal(fleet: &Fleet, nodes: &[usize], signal: Signal) -> Result<()> {
    for node in nodes {
        fleet.gateway(*node).context("it is dead")?.signal(signal)?;
    }
    Ok(())
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_lose_nothing_and_double_nothing() -> Result<()> {
    let faults = number("PATCHBAY_FAULTS").and_then(|faults| usize::try_from(faults).ok()).unwrap_or(FAULTS);
    let seed = number("PATCHBAY_SEED").unwrap_or_else(|| rand::rng().random());
    eprintln!("PATCHBAY_SEED={seed}, {faults} faults");
    let mut random = StdRng::seed_from_u64(seed);

    let mut redis = block_in_place(|| Redis::start(RedisOptions { appendfsync: "always", ..RedisOptions::default() }));
    let store = format!(
        "[store]\nkind = \"redis\"\npartitions = 24\n[store.redis]\naddresses = [\"{}\"]\nlease = \"{}s\"\n",
        redis.addr(),
        LEASE.as_secs()
    );
    let mut fleet = Fleet::open(GATEWAYS, &Options { more: store, ..Options::default() }).await?;
    let began = Instant::now();
    // A long run's tickets are not to grow beyond what a desk's plugin searches.
    let pause = if faults > LONG { PAUSE * 4 } else { PAUSE };
    let traffic = Traffic::start(fleet.outside(), CUSTOMERS, pause);
    for count in 1..=faults {
        tokio::time::sleep(Duration::from_millis(random.random_range(100..1_000))).await;
        let fault = Fault::draw(&mut random);
        eprintln!("{:>6.1} s  {count}: {fault:?}", began.elapsed().as_secs_f64());
        fault.strike(&mut fleet, &mut redis).await.with_context(|| format!("fault {count}: {fault:?}"))?;
    }
    let said = traffic.stop().await?;
    let messages: usize = said.values().map(Vec::len).sum();
    eprintln!("{faults} faults in {:.0} s, {messages} messages acknowledged", began.elapsed().as_secs_f64());
    check(&fleet, &said, Order::Kept).await?;
    assert_eq!(fleet.any()?.api("/v1/dead-letters").await?, serde_json::json!([]));
    eprintln!("at rest after {:.0} s", began.elapsed().as_secs_f64());
    Ok(())
}
