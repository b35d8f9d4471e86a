//! The reference model keeps the contract too.
#![cfg(feature = "memory")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod conformance;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use conformance::Instance;
use conformance::data::{conversation_id, event_id, known};
use patchbay_store::memory::{MemoryOptions, MemoryServer};
use patchbay_store::{Commit, Partition, Position, Store, StoreError};

/// A server with one node.
struct Memory {
    server: MemoryServer,
    store: Arc<dyn Store>,
}

async fn make() -> Memory {
    let server = MemoryServer::new(MemoryOptions::default());
    let store = Arc::new(server.node());
    Memory { server, store }
}

#[async_trait]
impl Instance for Memory {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    async fn reopen(&mut self) {
        self.server.expire();
        self.store = Arc::new(self.server.node());
    }
}

conformance!(make);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_leaves_no_document() {
    conformance::documents::a_conflict_leaves_no_document(&mut make().await).await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_worth_nothing_when_it_is_past() {
    let server = MemoryServer::new(MemoryOptions { lease_time: Duration::from_secs(10), ..Default::default() });
    let (one, other) = (server.node(), server.node());
    let lease = one.acquire(Partition(3)).await.unwrap().unwrap();
    tokio::time::advance(Duration::from_secs(9)).await;
    assert_eq!(other.acquire(Partition(3)).await.unwrap(), None);
    one.renew(&lease).await.unwrap();
    tokio::time::advance(Duration::from_secs(9)).await;
    assert_eq!(other.acquire(Partition(3)).await.unwrap(), None);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(matches!(one.renew(&lease).await, Err(StoreError::Fenced(Partition(3)))));
    let next = other.acquire(Partition(3)).await.unwrap().unwrap();
    assert_eq!(next.epoch, lease.epoch + 1);
    assert!(matches!(one.commit(&lease, Commit::default()).await, Err(StoreError::Fenced(_))));
}

#[tokio::test]
async fn a_replica_that_takes_over_loses_what_it_has_not_seen() {
    let server = MemoryServer::new(MemoryOptions::default());
    let store = server.node();
    let losses = store.losses();
    let id = conversation_id("a");
    store.append(vec![known("kept", &id)]).await.unwrap();
    store.settle().await.unwrap();
    assert!(!server.fail_over(), "a replica that follows loses nothing");
    server.stall();
    store.append(vec![known("lost", &id)]).await.unwrap();
    assert!(matches!(store.settle().await, Err(StoreError::Unavailable(_))));
    let lost = store.event(&event_id("lost")).await.unwrap().unwrap().position;
    let lease = store.acquire(store.partition_of(&id)).await.unwrap().unwrap();
    assert!(server.fail_over());
    assert!(losses.has_changed().unwrap());
    assert!(matches!(store.renew(&lease).await, Err(StoreError::Fenced(_))), "the lease is lost as well");
    assert!(store.event(&event_id("lost")).await.unwrap().is_none());
    let next = store.acquire(lease.partition).await.unwrap().unwrap();
    assert_ne!(next.token, lease.token);
    store.append(vec![known("lost", &id)]).await.unwrap();
    let journal = store.journal(&next, Position(0), 9).await.unwrap();
    assert_eq!(journal.len(), 2);
    assert!(journal.iter().all(|record| record.position != lost), "no position is given twice");
}

#[tokio::test]
async fn every_node_is_woken() {
    let server = MemoryServer::new(MemoryOptions::default());
    let (one, other) = (server.node(), server.node());
    let id = conversation_id("a");
    let wakeups = [one.wakeup(one.partition_of(&id)), other.wakeup(other.partition_of(&id))];
    one.append(vec![known("1", &id)]).await.unwrap();
    for wakeup in wakeups {
        wakeup.notified().await;
    }
}
