//! The store on a Sentinel group keeps the contract, and outlives its masters.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod conformance;
mod redis_support;

use std::sync::LazyLock;

use conformance::data::{conversation, conversation_id, event_id, known, task};
use conformance::own;
use patchbay_store::{Appended, Commit, RedisMode, RedisOptions, Store, StoreError};
use patchbay_test_redis::{SentinelGroup, SentinelOptions};
use redis_support::{OnRedis, eventually, open};

static GROUP: LazyLock<SentinelGroup> = LazyLock::new(|| {
    SentinelGroup::start(SentinelOptions {
        shared: true,
        sentinel_password: Some("watcher".into()),
        ..SentinelOptions::default()
    })
});

fn options(group: &SentinelGroup) -> RedisOptions {
    RedisOptions {
        mode: RedisMode::Sentinel,
        addresses: group.addresses(),
        master: group.name().into(),
        password: Some("outside".into()),
        ..RedisOptions::default()
    }
}

async fn make() -> OnRedis {
    let options = RedisOptions { sentinel_password: Some("watcher".into()), replicas: 1, ..options(&GROUP) };
    OnRedis::new(options, vec![&GROUP.servers()[0]]).await
}

conformance!(make);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_master_is_replaced() {
    let mut group = SentinelGroup::start(SentinelOptions::default());
    let options = RedisOptions { replicas: 0, ..options(&group) };
    let store = open(&options).await;
    let id = conversation_id("a");
    let losses = store.losses();
    store.append(vec![known("before", &id)]).await.unwrap();
    let settled = RedisOptions { replicas: 1, ..options.clone() };
    open(&settled).await.settle().await.unwrap();
    let old = group.kill_master();
    assert!(matches!(store.append(vec![known("meanwhile", &id)]).await, Err(StoreError::Unavailable(_))));
    let new = group.wait_for_another_master(&old);
    assert_ne!(old, new);
    eventually("the new master is found", async || store.append(vec![known("after", &id)]).await.is_ok()).await;
    assert!(*losses.borrow() >= 1, "the last writes may have been lost");
    assert!(store.event(&event_id("before")).await.unwrap().is_some(), "it was settled");
    let dyn_store: std::sync::Arc<dyn Store> = store.clone();
    let lease = own(&dyn_store, &id).await;
    let commit = Commit { conversation: Some((0, conversation(&id, "after"))), ..Commit::default() };
    store.commit(&lease, commit).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_effect_begins_on_a_master_that_was_cut_off() {
    let group = SentinelGroup::start(SentinelOptions::default());
    let store = open(&RedisOptions { replicas: 1, ..options(&group) }).await;
    let id = conversation_id("a");
    let dyn_store: std::sync::Arc<dyn Store> = store.clone();
    let lease = own(&dyn_store, &id).await;
    let put = |name: &str, sequence| Commit { put_tasks: vec![task(name, &id, sequence)], ..Commit::default() };
    store.commit(&lease, put("confirmed", 1)).await.unwrap();
    let losses = store.losses();
    let old = group.cut_master_off();
    // The old master takes writes for as long as it is reached, and none of them is confirmed.
    let refused = store.commit(&lease, put("unconfirmed", 2)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(matches!(store.settle().await, Err(StoreError::Unavailable(_))));
    let lost = store.append(vec![known("lost", &id)]).await.unwrap();
    assert!(matches!(lost.as_slice(), [Appended::New { .. }]));
    let _new = group.wait_for_another_master(&old);
    eventually("the store sees the other master", async || *losses.borrow() >= 1).await;
    eventually("the store asks the other master", async || {
        store.event(&event_id("lost")).await.is_ok_and(|event| event.is_none())
    })
    .await;
    // Who appended it keeps it until it is settled, and appends it again.
    eventually("it is taken", async || store.append(vec![known("lost", &id)]).await.is_ok()).await;
    assert!(store.event(&event_id("lost")).await.unwrap().is_some());
    // The lease was copied before the cut; what it writes now is on the new master.
    let after = store.commit(&lease, put("confirmed", 1)).await;
    assert!(matches!(after, Ok(()) | Err(StoreError::Unavailable(_))), "{after:?}");
    assert!(store.task(&conformance::data::task_id("confirmed")).await.unwrap().is_some());
    assert_eq!(store.task(&conformance::data::task_id("unconfirmed")).await.unwrap(), None);
    group.let_in_again(&old);
    group.wait_until_it_follows(&old);
    eventually("replicas confirm again", async || store.settle().await.is_ok()).await;
}
