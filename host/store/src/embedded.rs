//! One file, one node.
//!
//! The file is a [redb](https://docs.rs/redb) database: copy-on-write B-trees, so that what a crash leaves behind is the
//! last whole write. One thread writes; whatever comes in while it flushes shares the next flush. Readers see the last
//! durable state and wait for nobody.
//!
//! # Layout
//! - `tables`: what is kept, under which keys; `lazy`: one of them, opened when it is used
//! - `file`: opening the file, again after a disk error; `disk`: what lies below the engine, for reading on a full disk
//! - `writer`: the thread, its batches, leases
//! - `append`, `commit`: the two writes; `links`: what a commit does to links
//! - `shelf`: documents; `reads`: the rest
//! - `upkeep`: numbers; `verify`, `thin`, `transfer` (export and import), `copy` (backups)

pub(crate) mod append;
pub(crate) mod commit;
mod copy;
mod disk;
mod file;
mod lazy;
pub(crate) mod links;
mod paces;
pub(crate) mod reads;
mod shelf;
mod tables;
#[cfg(test)]
mod tests;
mod thin;
mod transfer;
mod upkeep;
mod verify;
mod writer;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use patchbay_model::decision::Decision;
use patchbay_model::task::DeadLetter;
use patchbay_model::{Arrival, Conversation, ConversationId, EventId, MediaId, Task, TaskId, Timestamp};
use redb::ReadTransaction;
use serde::Serialize;
use serde::de::{DeserializeOwned, IntoDeserializer};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use self::append::{Incoming, Places};
use self::commit::Prepared;
pub use self::copy::{BackupSummary, Compacted};
use self::file::{Known, StoreFile};
use self::paces::Paces;
use self::upkeep::Used;
use self::writer::{Job, Pause, Reply, Writer};
use crate::{
    Appended, Commit, EventFilter, EventRecord, Lease, Link, MediaRecord, Node, Pace, Partition, Pending, Position,
    Report, Store, StoreError, Versioned,
};

/// Partitions of a new store: enough that the conversations of one busy number spread over the workers of a large
/// machine, few enough that an idle one costs nothing.
const PARTITIONS: u16 = 16;

/// Bytes of the file that the engine keeps in memory: the inner nodes of the indexes of some ten million events. What
/// falls out is still in the system's own cache.
const CACHE_BYTES: usize = 64 << 20;

/// Jobs that may wait for the writer. Beyond it, callers wait to be let in.
const QUEUE: usize = 4_096;

/// How an [`EmbeddedStore`] is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedOptions {
    /// How many partitions a new store gets; an existing one keeps the number that it was made with. 16 by default.
    pub partitions: u16,
    /// Bytes of the file that are kept in memory. 64 MiB by default.
    pub cache_bytes: usize,
    /// Write, with each batch, what makes opening after a crash quick, for a fifth to a half of the writes per second.
    /// Without it, opening after a crash (not after a clean stop) reads the whole file: some 2 s for each gigabyte. Off
    /// by default.
    pub quick_repair: bool,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self { partitions: PARTITIONS, cache_bytes: CACHE_BYTES, quick_repair: false }
    }
}

/// Durable state in one file, for one node.
///
/// A partition's lease lasts until it is released or the process ends; the next process acquires with a higher epoch.
/// After a disk error (a full disk, say) the store answers [`StoreError::Unavailable`], opens its file again by itself and
/// goes on when the disk does.
///
/// A future of a writing method that is dropped early does not take its write back.
pub struct EmbeddedStore {
    shared: Arc<Shared>,
    jobs: mpsc::Sender<Job>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore").field("file", &self.shared.file).finish_non_exhaustive()
    }
}

impl EmbeddedStore {
    /// Opens the store in the file at `path`, or makes one there. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// [`StoreError::Unsuitable`] when another process has the file, when it is not a store, or one of a later format;
    /// [`StoreError::Corrupt`], [`StoreError::Unavailable`].
    pub fn open(path: &Path, options: EmbeddedOptions) -> Result<Self, StoreError> {
        let (file, known) = StoreFile::at(path, &options)?;
        Self::start(file, known, &options)
    }

    fn start(file: StoreFile, known: Known, options: &EmbeddedOptions) -> Result<Self, StoreError> {
        let wakeups = (0..known.partitions).map(|_| Arc::new(Notify::new())).collect();
        let shared = Arc::new(Shared {
            file,
            partitions: known.partitions,
            leases: Mutex::new(HashMap::new()),
            wakeups,
            losses: watch::Sender::new(0),
            paces: Paces::default(),
            used: Used::default(),
        });
        let (sender, jobs) = mpsc::channel(QUEUE);
        let writer = Writer {
            shared: Arc::clone(&shared),
            jobs,
            places: Places { partitions: known.partitions, position: known.position, grown: BTreeSet::new() },
            quick_repair: options.quick_repair,
            paused: known.read_only.map(Pause::new),
        };
        let thread = std::thread::Builder::new().name("store-writer".into()).spawn(move || writer.run());
        let thread = thread.map_err(|error| StoreError::Unavailable(format!("no thread for the store: {error}")))?;
        Ok(Self { shared, jobs: sender, writer: Mutex::new(Some(thread)) })
    }

    /// Hands a job to the writer and waits for its answer.
    async fn write<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let ended = || StoreError::Unavailable("it was closed, or its writer broke down".into());
        self.jobs.send(job(reply)).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    /// A look-up by key: a few pages, in memory more often than not.
    fn look_up<T>(&self, read: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.nudge(self.shared.file.read(read))
    }

    /// A read of many rows, away from the workers that serve others.
    async fn scan<T: Send + 'static>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        let scanned = tokio::task::spawn_blocking(move || shared.file.read(read)).await;
        let scanned = scanned.map_err(|error| StoreError::Unavailable(format!("a read did not end: {error}")));
        self.nudge(scanned.flatten())
    }

    /// Reads cannot open the file again: where one has failed, the writer is asked to, although it has nothing to write.
    fn nudge<T>(&self, read: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Unavailable(_)) = &read {
            // A writer that is busy will find out by itself.
            let _busy = self.jobs.try_send(Job::Nudge);
        }
        read
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        // The writer ends when nobody can give it anything more. Whoever opens the file next wants it to be free.
        let (closed, _) = mpsc::channel(1);
        drop(std::mem::replace(&mut self.jobs, closed));
        let thread = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            join(thread.join());
        }
    }
}

fn join(ended: std::thread::Result<()>) {
    if ended.is_err() {
        tracing::error!("the store's writer broke down; what it had not acknowledged may be missing");
    }
}

/// What the store and its writer share.
struct Shared {
    file: StoreFile,
    partitions: u16,
    /// The leases that count. They live as long as the process: there is no other node to take them.
    leases: Mutex<HashMap<Partition, Lease>>,
    /// By partition.
    wakeups: Vec<Arc<Notify>>,
    /// Never changes: what is durable here stays.
    losses: watch::Sender<u64>,
    paces: Paces,
    used: Used,
}

impl Shared {
    fn leases(&self) -> MutexGuard<'_, HashMap<Partition, Lease>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, lease: &Lease) -> Result<(), StoreError> {
        let counts = self.leases().get(&lease.partition) == Some(lease);
        counts.then_some(()).ok_or(StoreError::Fenced(lease.partition))
    }

    fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.check(lease)?;
        self.leases().remove(&lease.partition);
        Ok(())
    }

    fn wake(&self, partition: Partition) {
        if let Some(wakeup) = self.wakeups.get(usize::from(partition.0)) {
            wakeup.notify_one();
        }
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    fn partitions(&self) -> u16 {
        self.shared.partitions
    }

    fn partition_of(&self, conversation: &ConversationId) -> Partition {
        Partition::of(conversation, self.shared.partitions)
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn lease_time(&self) -> Option<Duration> {
        None
    }

    fn losses(&self) -> watch::Receiver<u64> {
        self.shared.losses.subscribe()
    }

    async fn beat(&self, node: &Node) -> Result<Vec<Node>, StoreError> {
        Ok(vec![node.clone()])
    }

    async fn leave(&self, _node: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn settle(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn turn(&self, key: &str, pace: Pace) -> Result<Duration, StoreError> {
        Ok(self.shared.paces.turn(key, pace))
    }

    async fn append(&self, arrivals: Vec<Arrival>) -> Result<Vec<Appended>, StoreError> {
        let arrivals = arrivals.into_iter().map(Incoming::prepare).collect::<Result<Vec<_>, _>>()?;
        self.write(|reply| Job::Append(arrivals, reply)).await
    }

    async fn acquire(&self, partition: Partition) -> Result<Option<Lease>, StoreError> {
        if partition.0 >= self.shared.partitions {
            return Err(StoreError::Unsuitable(format!(
                "there is no partition {partition}: the store was made with {}",
                self.shared.partitions
            )));
        }
        self.write(|reply| Job::Acquire(partition, reply)).await
    }

    async fn renew(&self, lease: &Lease) -> Result<(), StoreError> {
        self.shared.check(lease)
    }

    async fn release(&self, lease: Lease) -> Result<(), StoreError> {
        self.write(|reply| Job::Release(lease, reply)).await
    }

    async fn load(&self, lease: &Lease) -> Result<Pending, StoreError> {
        self.shared.check(lease)?;
        let partition = lease.partition;
        self.scan(move |transaction| reads::pending(transaction, partition)).await
    }

    async fn journal(&self, lease: &Lease, after: Position, limit: usize) -> Result<Vec<EventRecord>, StoreError> {
        self.shared.check(lease)?;
        let partition = lease.partition;
        self.scan(move |transaction| reads::journal(transaction, partition, after, limit)).await
    }

    fn wakeup(&self, partition: Partition) -> Arc<Notify> {
        // A partition that is not there never grows.
        self.shared.wakeups.get(usize::from(partition.0)).cloned().unwrap_or_default()
    }

    async fn commit(&self, lease: &Lease, commit: Commit) -> Result<(), StoreError> {
        let prepared = Box::new(Prepared::new(lease, commit, self.shared.partitions)?);
        self.write(|reply| Job::Commit(prepared, reply)).await
    }

    async fn conversation(&self, id: &ConversationId) -> Result<Option<Versioned<Conversation>>, StoreError> {
        self.look_up(|transaction| reads::conversation(transaction, id))
    }

    async fn links(&self, conversation: &ConversationId) -> Result<Vec<Link>, StoreError> {
        self.look_up(|transaction| reads::links(transaction, conversation))
    }

    async fn link(&self, conversation: &ConversationId, desk: &str) -> Result<Option<Link>, StoreError> {
        self.look_up(|transaction| reads::link(transaction, conversation, desk))
    }

    async fn media(&self, id: &MediaId) -> Result<Option<MediaRecord>, StoreError> {
        self.look_up(|transaction| reads::media(transaction, id))
    }

    async fn task(&self, id: &TaskId) -> Result<Option<Task>, StoreError> {
        self.look_up(|transaction| reads::task(transaction, self.shared.partitions, id))
    }

    async fn event(&self, id: &EventId) -> Result<Option<EventRecord>, StoreError> {
        self.look_up(|transaction| reads::event(transaction, id))
    }

    async fn decision(&self, id: &EventId) -> Result<Option<Decision>, StoreError> {
        self.look_up(|transaction| reads::decision(transaction, id))
    }

    async fn events(&self, filter: &EventFilter) -> Result<Vec<EventRecord>, StoreError> {
        let filter = filter.clone();
        self.scan(move |transaction| reads::events(transaction, &filter)).await
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        self.scan(move |transaction| reads::dead_letters(transaction, limit)).await
    }

    async fn dead_letter(&self, id: &TaskId) -> Result<Option<DeadLetter>, StoreError> {
        self.look_up(|transaction| reads::dead_letter(transaction, id))
    }

    async fn reports(&self, limit: usize) -> Result<Vec<Report>, StoreError> {
        self.scan(move |transaction| reads::reports(transaction, limit)).await
    }

    /// Dropping the store does the same, and blocks meanwhile.
    async fn close(&self) {
        // Fails only when the writer has ended already.
        let _ended = self.jobs.send(Job::Close).await;
        let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            join(tokio::task::spawn_blocking(move || thread.join()).await.unwrap_or(Ok(())));
        }
    }
}

/// The engine's error as the contract's.
fn fault(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::Corrupted(reason) => StoreError::Corrupt(reason),
        redb::Error::Io(error) => StoreError::Unavailable(disk::sentence(&error)),
        error => StoreError::Unavailable(error.to_string()),
    }
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    // Only maps with keys that are not text cannot be written, and the model has none.
    serde_json::to_vec(value)
        .map_err(|error| StoreError::Corrupt(format!("a value cannot be written as JSON: {error}")))
}

/// `what` and `which` say where it stood. The parser's own message may quote a value, so only its class and place are told.
fn decode<T: DeserializeOwned>(what: &str, which: impl fmt::Display, json: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(json).map_err(|error| {
        StoreError::Corrupt(format!("{what} {which}: {:?} at column {}", error.classify(), error.column()))
    })
}

/// A conversation's id as it was stored.
fn id_of(text: &str) -> Result<ConversationId, StoreError> {
    let id: Result<_, serde::de::value::Error> = serde::Deserialize::deserialize(text.into_deserializer());
    id.map_err(|error| StoreError::Corrupt(format!("a conversation's id: {error}")))
}
