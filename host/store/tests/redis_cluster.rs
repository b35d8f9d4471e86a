//! The store on a Cluster keeps the contract, also while slots move.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod conformance;
mod redis_support;

use std::sync::{Arc, LazyLock};

use conformance::data::{conversation, conversation_id, event_id, known};
use conformance::{journal, own};
use patchbay_store::{Commit, RedisMode, RedisOptions, Store, StoreError};
use patchbay_test_redis::{Cluster, Options};
use redis_support::{OnRedis, eventually, open};

static CLUSTER: LazyLock<Cluster> =
    LazyLock::new(|| Cluster::start_with(0, Options { shared: true, ..Options::default() }));

fn options(cluster: &Cluster) -> RedisOptions {
    RedisOptions { mode: RedisMode::Cluster, addresses: cluster.addresses(), ..RedisOptions::default() }
}

async fn make() -> OnRedis {
    OnRedis::new(options(&CLUSTER), CLUSTER.nodes().iter().collect()).await
}

conformance!(make);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_moves_while_its_partition_is_used() {
    let cluster = Cluster::start(0);
    let options = options(&cluster);
    let store = open(&options).await;
    let dyn_store: Arc<dyn Store> = store.clone();
    let id = conversation_id("a");
    store.append(vec![known("before", &id)]).await.unwrap();
    let lease = own(&dyn_store, &id).await;
    let slot = cluster.slot(&format!("{{pb:{}}}:owner", lease.partition));
    let to = (cluster.master_of(slot) + 1) % 3;
    let from = cluster.begin_move(slot, to);
    // Some keys are here and some there: a moment later it works.
    let moved = cluster.move_keys(slot, from, to, 2);
    assert_eq!(moved, 2);
    let half = store.append(vec![known("meanwhile", &id)]).await;
    assert!(matches!(half, Ok(_) | Err(StoreError::Unavailable(_))), "{half:?}");
    while cluster.move_keys(slot, from, to, 100) > 0 {}
    cluster.end_move(slot, to);
    eventually("the partition goes on", async || store.append(vec![known("meanwhile", &id)]).await.is_ok()).await;
    store.append(vec![known("after", &id)]).await.unwrap();
    let waiting = journal(&dyn_store, &lease).await;
    let names: Vec<_> = waiting.iter().map(|record| record.event.id.clone()).collect();
    assert_eq!(names, ["before", "meanwhile", "after"].map(event_id));
    let state = Some((0, conversation(&id, "moved")));
    let commit = Commit { handled: Some(waiting[0].position), conversation: state, ..Commit::default() };
    store.commit(&lease, commit.clone()).await.unwrap();
    store.commit(&lease, commit).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_takes_over() {
    let mut cluster = Cluster::start(1);
    let store = open(&RedisOptions { replicas: 1, ..options(&cluster) }).await;
    let dyn_store: Arc<dyn Store> = store.clone();
    let id = conversation_id("a");
    store.append(vec![known("before", &id)]).await.unwrap();
    store.settle().await.unwrap();
    let losses = store.losses();
    let partition = store.partition_of(&id);
    let master = cluster.master_of(cluster.slot(&format!("{{pb:{partition}}}:owner")));
    cluster.nodes_mut()[master].kill();
    eventually("a replica takes over", async || store.append(vec![known("after", &id)]).await.is_ok()).await;
    eventually("the store says so", async || *losses.borrow() >= 1).await;
    let lease = own(&dyn_store, &id).await;
    let names: Vec<_> = journal(&dyn_store, &lease).await.iter().map(|record| record.event.id.clone()).collect();
    assert_eq!(names, ["before", "after"].map(event_id));
}
