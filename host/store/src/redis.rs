//! One Redis that several nodes share: a server, a Sentinel group or a Cluster.
//!
//! A partition's state has keys of its own with one hash tag, and whatever must be atomic is one script over them. The
//! scripts check the partition's lease first, by the server's own clock. What must be found before it is known whose it is
//! (an identity, a ticket, a file, an event's id) stands in indexes that are written before the step that relies on them:
//! an entry too many leads to a conversation that is the right one anyway.
//!
//! # Layout
//! - `options`: how it is reached; `checks`: what is refused and warned of at the start
//! - `keys`, `scripts`: the names of the keys, the atomic steps
//! - `server`, `servers`, `topology`: connections, who has what, asking again; `watch`: clock, failovers, wake-ups
//! - `append`, `identify`, `commit`, `lease`: the writes; `settle`: waiting for replicas
//! - `shelf`: documents
//! - `reads`, `codec`: the rest; `upkeep`, `thin`, `transfer`: what an operator does

mod append;
mod checks;
mod codec;
mod commit;
mod identify;
mod keys;
mod lease;
mod options;
mod reads;
mod scripts;
mod server;
mod servers;
mod settle;
mod shelf;
mod thin;
mod topology;
mod transfer;
mod upkeep;
mod watch;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::join_all;
use patchbay_model::decision::Decision;
use patchbay_model::task::DeadLetter;
use patchbay_model::{Arrival, Conversation, ConversationId, EventId, MediaId, Task, TaskId, Timestamp};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::task::JoinHandle;

use self::append::{Group, Places};
use self::checks::Flush;
use self::keys::Keys;
pub use self::options::{RedisMode, RedisOptions, RedisTls, Warning};
use self::server::lock;
use self::servers::{Servers, closed};
use self::watch::Clock;
use crate::{
    Appended, Commit, EventFilter, EventRecord, ExportPage, Lease, Link, MediaRecord, Node, Pace, Partition, Pending,
    Position, Record, Removed, Report, Retention, Stats, Store, StoreError, Upkeep, Verification, Versioned,
};

/// Calls that may be under way at once; only closing cares.
const CALLS: u32 = 1 << 20;

/// Durable state in a Redis that nodes share.
///
/// It connects again by itself, and while the Redis is away every call is [`StoreError::Unavailable`] within some two
/// seconds. A future of a writing method that is dropped early does not take its write back.
pub struct RedisStore {
    shared: Arc<Shared>,
    background: Mutex<Vec<JoinHandle<()>>>,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.shared.servers.options;
        f.debug_struct("RedisStore").field("mode", &options.mode).field("addresses", &options.addresses).finish()
    }
}

/// What the store and its background tasks share.
struct Shared {
    servers: Servers,
    keys: Keys,
    /// Drawn when the store was made.
    id: String,
    /// `redis 7.0.15, cluster` …
    kind: String,
    flush: Flush,
    clock: Clock,
    places: Places,
    groups: Vec<Group>,
    /// By partition.
    wakeups: Vec<Arc<Notify>>,
    /// Leases of this process, and until when each should be alive.
    leases: Mutex<HashMap<Partition, (Lease, Instant)>>,
    gate: Semaphore,
    exported: Mutex<transfer::Listing>,
}

impl RedisStore {
    /// Opens the store in a Redis, or makes one there, and says what the operator should know about the Redis. Waits until
    /// the Redis answers, for some two seconds at most.
    ///
    /// # Errors
    /// [`StoreError::Unsuitable`] when the Redis is too old, forgets keys when its memory is full, or holds a store of
    /// another format; [`StoreError::Unavailable`] when it does not answer or refuses the login.
    pub async fn connect(options: RedisOptions) -> Result<(Self, Vec<Warning>), StoreError> {
        // Two crates of ours may have asked for TLS already.
        let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let checked = checks::check(Servers::new(options)).await?;
        let keys = Keys::new(&checked.servers.options.prefix, checked.partitions);
        let home = servers::Home { keys: keys.clone(), store: checked.store.clone() };
        checked.servers.settle_in(home);
        let partitions = usize::from(checked.partitions);
        let shared = Arc::new(Shared {
            keys,
            id: checked.store,
            kind: checked.kind,
            flush: checked.flush,
            clock: checked.clock,
            servers: checked.servers,
            places: Places::default(),
            groups: (0..partitions).map(|_| Group::default()).collect(),
            wakeups: (0..partitions).map(|_| Arc::new(Notify::new())).collect(),
            leases: Mutex::default(),
            gate: Semaphore::new(usize::try_from(CALLS).unwrap_or(1)),
            exported: Mutex::default(),
        });
        let background = vec![
            tokio::spawn(watch::watch(Arc::downgrade(&shared))),
            tokio::spawn(watch::listen(Arc::downgrade(&shared))),
        ];
        Ok((Self { shared, background: Mutex::new(background) }, checked.warnings))
    }

    /// The id that was drawn when the store was made. A node that has seen another one at the same place must not go on:
    /// the data has been lost or exchanged.
    #[must_use]
    pub fn store_id(&self) -> &str {
        &self.shared.id
    }

    async fn enter(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        self.shared.gate.acquire().await.map_err(|_| closed())
    }
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        for task in lock(&self.background).drain(..) {
            task.abort();
        }
        self.shared.servers.close();
    }
}

impl Shared {
    fn partition_of(&self, conversation: &ConversationId) -> Partition {
        Partition::of(conversation, self.keys.partitions())
    }

    fn wake(&self, partition: Partition) {
        if let Some(wakeup) = self.wakeups.get(usize::from(partition.0)) {
            wakeup.notify_one();
        }
    }

    /// Waits until everything that was written to the servers of all partitions is settled.
    async fn settle(&self) -> Result<(), StoreError> {
        let losses = *self.servers.losses().borrow();
        let replicas = self.servers.options.replicas;
        if replicas == 0 {
            match self.flush {
                Flush::Each | Flush::Never => {}
                Flush::Later => tokio::time::sleep(options::FLUSHED_AFTER).await,
            }
            // What was written is there if the same process is.
            let probes = join_all(self.servers.map().await?.servers.iter().map(|server| server.probe())).await;
            probes.into_iter().collect::<Result<Vec<_>, _>>().map_err(server::Trouble::into_error)?;
            self.servers.refresh().await?;
        } else {
            let mut marks = HashMap::new();
            for partition in self.keys.all() {
                let server = self.servers.server_of(partition).await?;
                marks.entry(server.address.clone()).or_insert((server, self.keys.of(partition, "mark")));
            }
            let rounds = marks.values().map(|(server, mark)| server.settle(mark, replicas));
            join_all(rounds).await.into_iter().collect::<Result<(), _>>().map_err(StoreError::Unavailable)?;
        }
        self.same_history(losses)
    }

    /// Waits until what was written to a partition is on replicas, where they are wanted.
    async fn settle_partition(&self, partition: Partition, losses: u64) -> Result<(), StoreError> {
        let replicas = self.servers.options.replicas;
        if replicas > 0 {
            let server = self.servers.server_of(partition).await?;
            let mark = self.keys.of(partition, "mark");
            server.settle(&mark, replicas).await.map_err(StoreError::Unavailable)?;
        }
        self.same_history(losses)
    }

    fn same_history(&self, losses: u64) -> Result<(), StoreError> {
        let same = *self.servers.losses().borrow() == losses;
        same.then_some(()).ok_or_else(|| StoreError::Unavailable("the server was replaced meanwhile".into()))
    }
}

#[async_trait]
impl Store for RedisStore {
    fn partitions(&self) -> u16 {
        self.shared.keys.partitions()
    }

    fn partition_of(&self, conversation: &ConversationId) -> Partition {
        self.shared.partition_of(conversation)
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    fn lease_time(&self) -> Option<Duration> {
        Some(self.shared.servers.options.lease)
    }

    fn losses(&self) -> tokio::sync::watch::Receiver<u64> {
        self.shared.servers.losses().subscribe()
    }

    async fn beat(&self, node: &Node) -> Result<Vec<Node>, StoreError> {
        let _call = self.enter().await?;
        self.shared.beat(node).await
    }

    async fn leave(&self, node: &str) -> Result<(), StoreError> {
        let _call = self.enter().await?;
        self.shared.leave(node).await
    }

    async fn settle(&self) -> Result<(), StoreError> {
        let _call = self.enter().await?;
        self.shared.settle().await
    }

    async fn turn(&self, key: &str, pace: Pace) -> Result<Duration, StoreError> {
        let _call = self.enter().await?;
        self.shared.turn(key, pace).await
    }

    async fn append(&self, arrivals: Vec<Arrival>) -> Result<Vec<Appended>, StoreError> {
        let _call = self.enter().await?;
        append::append(&self.shared, arrivals).await
    }

    async fn acquire(&self, partition: Partition) -> Result<Option<Lease>, StoreError> {
        let _call = self.enter().await?;
        self.shared.acquire(partition).await
    }

    async fn renew(&self, lease: &Lease) -> Result<(), StoreError> {
        let _call = self.enter().await?;
        self.shared.renew(lease).await
    }

    async fn release(&self, lease: Lease) -> Result<(), StoreError> {
        let _call = self.enter().await?;
        self.shared.release(&lease).await
    }

    async fn load(&self, lease: &Lease) -> Result<Pending, StoreError> {
        let _call = self.enter().await?;
        self.shared.load(lease).await
    }

    async fn journal(&self, lease: &Lease, after: Position, limit: usize) -> Result<Vec<EventRecord>, StoreError> {
        let _call = self.enter().await?;
        self.shared.journal(lease, after, limit).await
    }

    fn wakeup(&self, partition: Partition) -> Arc<Notify> {
        // A partition that is not there never grows.
        self.shared.wakeups.get(usize::from(partition.0)).cloned().unwrap_or_default()
    }

    async fn commit(&self, lease: &Lease, commit: Commit) -> Result<(), StoreError> {
        let _call = self.enter().await?;
        self.shared.commit(lease, commit).await
    }

    async fn conversation(&self, id: &ConversationId) -> Result<Option<Versioned<Conversation>>, StoreError> {
        let _call = self.enter().await?;
        self.shared.conversation(id).await
    }

    async fn links(&self, conversation: &ConversationId) -> Result<Vec<Link>, StoreError> {
        let _call = self.enter().await?;
        self.shared.links(conversation).await
    }

    async fn link(&self, conversation: &ConversationId, desk: &str) -> Result<Option<Link>, StoreError> {
        let _call = self.enter().await?;
        self.shared.link(conversation, desk).await
    }

    async fn media(&self, id: &MediaId) -> Result<Option<MediaRecord>, StoreError> {
        let _call = self.enter().await?;
        self.shared.media(id).await
    }

    async fn task(&self, id: &TaskId) -> Result<Option<Task>, StoreError> {
        let _call = self.enter().await?;
        self.shared.somewhere("tasks", "task", id.as_str()).await
    }

    async fn event(&self, id: &EventId) -> Result<Option<EventRecord>, StoreError> {
        let _call = self.enter().await?;
        self.shared.event(id).await
    }

    async fn decision(&self, id: &EventId) -> Result<Option<Decision>, StoreError> {
        let _call = self.enter().await?;
        self.shared.somewhere("decisions", "decision about", id.as_str()).await
    }

    async fn events(&self, filter: &EventFilter) -> Result<Vec<EventRecord>, StoreError> {
        let _call = self.enter().await?;
        self.shared.events(filter).await
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let _call = self.enter().await?;
        self.shared.dead_letters(limit).await
    }

    async fn dead_letter(&self, id: &TaskId) -> Result<Option<DeadLetter>, StoreError> {
        let _call = self.enter().await?;
        self.shared.somewhere("dead", "dead letter", id.as_str()).await
    }

    async fn reports(&self, limit: usize) -> Result<Vec<Report>, StoreError> {
        let _call = self.enter().await?;
        self.shared.reports(limit).await
    }

    async fn close(&self) {
        // Whoever is inside comes out first; nobody is let in behind us.
        if let Ok(_all) = self.shared.gate.acquire_many(CALLS).await {
            self.shared.gate.close();
        }
        for task in lock(&self.background).drain(..) {
            task.abort();
        }
        self.shared.servers.close();
    }
}

#[async_trait]
impl Upkeep for RedisStore {
    async fn stats(&self) -> Result<Stats, StoreError> {
        let _call = self.enter().await?;
        self.shared.stats().await
    }

    async fn verify(&self) -> Result<Verification, StoreError> {
        let _call = self.enter().await?;
        self.shared.verify().await
    }

    async fn thin_out(&self, owned: &[Lease], retention: &Retention, now: Timestamp) -> Result<Removed, StoreError> {
        let _call = self.enter().await?;
        self.shared.thin_out(owned, retention, now).await
    }

    async fn export(&self, from: Option<String>) -> Result<ExportPage, StoreError> {
        let _call = self.enter().await?;
        self.shared.export(from).await
    }

    async fn import(&self, records: Vec<Record>) -> Result<(), StoreError> {
        let _call = self.enter().await?;
        self.shared.import(records).await
    }
}
