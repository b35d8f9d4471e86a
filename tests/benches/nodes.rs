//! One, two and three gateways on one Redis under load, on loopback: what they accept, and what they handle.
//!
//! The load generator, the simulators, Redis and all gateways share the machine's processors: on a small machine more
//! gateways show what sharing costs, and not what more machines would bring.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use patchbay_test_redis::{Options as RedisOptions, Redis};
use patchbay_tests::Fleet;
use patchbay_tests::config::Options;
use patchbay_tests::load::pour;
use patchbay_tests::wait::eventually_within;
use tokio::task::block_in_place;

/// How long the rest of the load may take to be handled.
const REST: Duration = Duration::from_secs(300);

fn main() -> Result<()> {
    if std::env::args().any(|argument| argument == "--list") {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        println!("gateways on one Redis, one text message a body");
        println!("  {:<12} {:>8} {:>16} {:>16}", "appendfsync", "nodes", "accepted/s", "handled/s");
        for fsync in ["everysec", "always"] {
            for nodes in 1..=3 {
                let (accepted, handled) = run(fsync, nodes).await?;
                println!("  {fsync:<12} {nodes:>8} {accepted:>16.0} {handled:>16.0}");
            }
        }
        Ok(())
    })
}

/// Webhooks accepted a second while they pour in; and events handled a second, statuses included, until none is left.
async fn run(fsync: &'static str, nodes: usize) -> Result<(f64, f64)> {
    let redis = block_in_place(|| Redis::start(RedisOptions { appendfsync: fsync, ..RedisOptions::default() }));
    let store =
        format!("[store]\nkind = \"redis\"\npartitions = 24\n[store.redis]\naddresses = [\"{}\"]\n", redis.addr());
    let fleet = Fleet::open(nodes, &Options { more: store, ..Options::default() }).await?;
    let gateways: Vec<_> = (0..nodes).filter_map(|node| fleet.gateway(node)).collect();
    let urls: Vec<String> = gateways.iter().map(|gateway| format!("{}/webhooks/whatsapp", gateway.url())).collect();
    let started = Instant::now();
    let accepted = pour(&urls).await?;
    let handled = eventually_within(REST, "every event's being handled", || async {
        let stats = fleet.any()?.api("/v1/store/stats").await?;
        let pending = stats.get("pending_events").and_then(serde_json::Value::as_u64).context("no `pending_events`")?;
        let mut handled = 0.0;
        for gateway in &gateways {
            handled += gateway.metric("patchbay_decide_seconds_count").await.unwrap_or_default();
        }
        Ok(if pending == 0 { Ok(handled / started.elapsed().as_secs_f64()) } else { Err(pending.to_string()) })
    })
    .await
    .context("the load was not handled")?;
    Ok((accepted, handled))
}
