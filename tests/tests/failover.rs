//! A Sentinel group whose master is lost under load: killed, or cut off while it goes on accepting writes. Redis replicates
//! asynchronously, so the new master may not have the last writes; the gateways notice, and append again what they had
//! accepted. Nothing that was acknowledged is missing afterwards, and nothing is in the desk twice.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::time::Duration;

use anyhow::Result;
use patchbay_test_redis::{SentinelGroup, SentinelOptions};
use patchbay_tests::Fleet;
use patchbay_tests::config::Options;
use patchbay_tests::traffic::{Order, Traffic, check};
use tokio::task::block_in_place;

const GATEWAYS: usize = 2;
const CUSTOMERS: usize = 10;
const PAUSE: Duration = Duration::from_millis(200);
/// Load before and after the master is lost.
const LOAD: Duration = Duration::from_secs(4);

/// How the master is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    Killed,
    CutOff,
}

async fn failover(loss: Loss) -> Result<()> {
    // One replica more than a commit waits for: the new master has one, too.
    let options = SentinelOptions { replicas: 2, ..SentinelOptions::default() };
    let mut group = block_in_place(|| SentinelGroup::start(options));
    let addresses: Vec<String> = group.addresses().iter().map(|address| format!("\"{address}\"")).collect();
    let store = format!(
        "[store]\nkind = \"redis\"\npartitions = 16\n[store.redis]\nmode = \"sentinel\"\nmaster = \"{}\"\n\
         addresses = [{}]\npassword = \"env:PB_REDIS_PASSWORD\"\nlease = \"4s\"\n\
         replicas = 1\n[spool]\naccept = true\n",
        group.name(),
        addresses.join(", ")
    );
    let fleet = Fleet::open(GATEWAYS, &Options { more: store, ..Options::default() }).await?;
    let traffic = Traffic::start(fleet.outside(), CUSTOMERS, PAUSE);
    tokio::time::sleep(LOAD).await;

    block_in_place(|| {
        let old = match loss {
            Loss::Killed => group.kill_master(),
            Loss::CutOff => group.cut_master_off(),
        };
        let new = group.wait_for_another_master(&old);
        eprintln!("{loss:?}: {new} follows {old}");
    });
    tokio::time::sleep(LOAD).await;
    let said = traffic.stop().await?;
    let messages: usize = said.values().map(Vec::len).sum();
    eprintln!("{loss:?}: {messages} messages acknowledged");
    check(&fleet, &said, Order::MayChange).await?;
    assert_eq!(fleet.any()?.api("/v1/dead-letters").await?, serde_json::json!([]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_master_loses_nothing() -> Result<()> {
    failover(Loss::Killed).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_is_cut_off_loses_nothing() -> Result<()> {
    failover(Loss::CutOff).await
}
