//! The reference model of the contract, for tests: many nodes on one state in memory, in virtual time.
//!
//! Everything happens in single steps behind one lock, as scripts do in a Redis server. Time is [tokio's](Instant), so
//! that a paused clock stops it, and a test that owns the clock decides when a lease is past. A server can be told to
//! lose its last writes, and to ignore one of its rules: tests of the loop have to notice that.
//!
//! # Layout
//! - `server`: the server, and what can be done to it
//! - `state`: what it holds, and its steps; `write`: the two writes
//! - `shelf`: documents
//! - `read`: the rest
//! - `upkeep`: what an operator does with it

mod read;
mod server;
mod shelf;
mod state;
mod upkeep;
mod write;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use patchbay_model::decision::Decision;
use patchbay_model::task::DeadLetter;
use patchbay_model::{Arrival, Conversation, ConversationId, EventId, MediaId, Task, TaskId, Timestamp};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use self::server::{Inner, Shared, Wakeups};
pub use self::server::{MemoryOptions, MemoryServer, Rule};
use crate::{
    Appended, Commit, EventFilter, EventRecord, ExportPage, Lease, Link, MediaRecord, Node, Pace, Partition, Pending,
    Position, Record, Removed, Report, Retention, Stats, Store, StoreError, Upkeep, Verification, Versioned,
};

/// One node's way to a [`MemoryServer`].
pub struct MemoryStore {
    shared: Arc<Shared>,
    wakeups: Arc<Wakeups>,
    /// A moment by this node's clock, and by the server's.
    began: (Instant, Timestamp),
    closed: AtomicBool,
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl MemoryStore {
    /// One step of the server.
    fn step<T>(&self, step: impl FnOnce(&mut Inner, Timestamp) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StoreError::Unavailable("it was closed".into()));
        }
        self.shared.step(self.now(), step)
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn partitions(&self) -> u16 {
        self.shared.options.partitions
    }

    fn partition_of(&self, conversation: &ConversationId) -> Partition {
        Partition::of(conversation, self.shared.options.partitions)
    }

    fn now(&self) -> Timestamp {
        let (instant, timestamp) = self.began;
        timestamp.after(Instant::now().saturating_duration_since(instant))
    }

    fn lease_time(&self) -> Option<Duration> {
        Some(self.shared.options.lease_time)
    }

    fn losses(&self) -> watch::Receiver<u64> {
        self.shared.losses.subscribe()
    }

    async fn beat(&self, node: &Node) -> Result<Vec<Node>, StoreError> {
        let lasts = self.shared.options.lease_time;
        self.step(|inner, now| Ok(inner.state.beat(node, now.after(lasts), now)))
    }

    async fn leave(&self, node: &str) -> Result<(), StoreError> {
        self.step(|inner, _| {
            inner.state.nodes.remove(node);
            Ok(())
        })
    }

    /// Unsettled while the replica [stands still](MemoryServer::stall).
    async fn settle(&self) -> Result<(), StoreError> {
        self.step(|inner, _| inner.settled())
    }

    async fn turn(&self, key: &str, pace: Pace) -> Result<Duration, StoreError> {
        self.step(|inner, now| Ok(inner.state.turn(key, pace, now)))
    }

    async fn append(&self, arrivals: Vec<Arrival>) -> Result<Vec<Appended>, StoreError> {
        self.step(|inner, _| inner.append(&arrivals))
    }

    async fn acquire(&self, partition: Partition) -> Result<Option<Lease>, StoreError> {
        let options = &self.shared.options;
        if partition.0 >= options.partitions {
            return Err(StoreError::Unsuitable(format!(
                "there is no partition {partition}: the store was made with {}",
                options.partitions
            )));
        }
        self.step(|inner, now| Ok(inner.acquire(partition, now, options.lease_time)))
    }

    async fn renew(&self, lease: &Lease) -> Result<(), StoreError> {
        let lasts = self.shared.options.lease_time;
        self.step(|inner, now| {
            inner.check(lease, now)?;
            inner.state.prolong(lease.partition, now.after(lasts));
            Ok(())
        })
    }

    async fn release(&self, lease: Lease) -> Result<(), StoreError> {
        self.step(|inner, now| {
            inner.check(&lease, now)?;
            inner.state.free(lease.partition);
            Ok(())
        })
    }

    async fn load(&self, lease: &Lease) -> Result<Pending, StoreError> {
        self.step(|inner, now| {
            inner.check(lease, now)?;
            Ok(inner.state.pending(lease.partition))
        })
    }

    async fn journal(&self, lease: &Lease, after: Position, limit: usize) -> Result<Vec<EventRecord>, StoreError> {
        self.step(|inner, now| {
            inner.check(lease, now)?;
            Ok(inner.state.journal(lease.partition, after, limit))
        })
    }

    fn wakeup(&self, partition: Partition) -> Arc<Notify> {
        // A partition that is not there never grows.
        self.wakeups.get(usize::from(partition.0)).cloned().unwrap_or_default()
    }

    async fn commit(&self, lease: &Lease, commit: Commit) -> Result<(), StoreError> {
        self.step(|inner, now| {
            inner.commit(lease, &commit, now)?;
            // No effect without a cause: what orders it must outlive a failover first.
            if commit.put_tasks.is_empty() { Ok(()) } else { inner.settled() }
        })
    }

    async fn conversation(&self, id: &ConversationId) -> Result<Option<Versioned<Conversation>>, StoreError> {
        self.step(|inner, _| Ok(inner.state.conversation(id)))
    }

    async fn links(&self, conversation: &ConversationId) -> Result<Vec<Link>, StoreError> {
        self.step(|inner, _| Ok(inner.state.links(conversation)))
    }

    async fn link(&self, conversation: &ConversationId, desk: &str) -> Result<Option<Link>, StoreError> {
        let key = (conversation.clone(), desk.to_owned());
        self.step(|inner, _| Ok(inner.state.links.get(&key).cloned()))
    }

    async fn media(&self, id: &MediaId) -> Result<Option<MediaRecord>, StoreError> {
        self.step(|inner, _| Ok(inner.state.media.get(id).cloned()))
    }

    async fn task(&self, id: &TaskId) -> Result<Option<Task>, StoreError> {
        self.step(|inner, _| Ok(inner.state.tasks.values().find(|task| task.id == *id).cloned()))
    }

    async fn event(&self, id: &EventId) -> Result<Option<EventRecord>, StoreError> {
        self.step(|inner, _| Ok(inner.state.event(id)))
    }

    async fn decision(&self, id: &EventId) -> Result<Option<Decision>, StoreError> {
        self.step(|inner, _| Ok(inner.state.decisions.get(id).cloned()))
    }

    async fn events(&self, filter: &EventFilter) -> Result<Vec<EventRecord>, StoreError> {
        self.step(|inner, _| Ok(inner.state.list(filter)))
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        self.step(|inner, _| Ok(inner.state.dead_letters(limit)))
    }

    async fn dead_letter(&self, id: &TaskId) -> Result<Option<DeadLetter>, StoreError> {
        self.step(|inner, _| Ok(inner.state.dead_letters.get(id).cloned()))
    }

    async fn reports(&self, limit: usize) -> Result<Vec<Report>, StoreError> {
        self.step(|inner, _| Ok(inner.state.reports(limit)))
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }
}

#[async_trait]
impl Upkeep for MemoryStore {
    async fn stats(&self) -> Result<Stats, StoreError> {
        self.step(|inner, _| Ok(inner.state.stats(self.shared.options.partitions)))
    }

    async fn verify(&self) -> Result<Verification, StoreError> {
        self.step(|inner, _| Ok(inner.state.verify()))
    }

    async fn thin_out(&self, owned: &[Lease], retention: &Retention, now: Timestamp) -> Result<Removed, StoreError> {
        self.step(|inner, clock| {
            for lease in owned {
                inner.check(lease, clock)?;
            }
            let partitions = owned.iter().map(|lease| lease.partition).collect();
            Ok(inner.state.thin_out(&partitions, retention, now, self.shared.options.partitions))
        })
    }

    /// All of it is one piece.
    async fn export(&self, _from: Option<String>) -> Result<ExportPage, StoreError> {
        self.step(|inner, _| Ok(ExportPage { records: inner.state.export(), next: None }))
    }

    async fn import(&self, records: Vec<Record>) -> Result<(), StoreError> {
        let partitions = self.shared.options.partitions;
        self.step(|inner, _| {
            inner.state.import(records, partitions);
            Ok(())
        })
    }
}
