//! The server that several nodes share, and what a test can do to it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use patchbay_model::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::state::State;
use super::{Lease, MemoryStore, Partition, StoreError};

/// When a server's clock begins.
const START: Timestamp = Timestamp::from_millis(1_795_000_000_000);

/// How far positions jump when history is lost, so that none is given twice.
const GAP: u64 = 1 << 20;

/// How a [`MemoryServer`] is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryOptions {
    /// How many partitions there are. 16 by default.
    pub partitions: u16,
    /// How long a lease lasts that is not renewed. 10 s by default.
    pub lease_time: Duration,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self { partitions: 16, lease_time: Duration::from_secs(10) }
    }
}

/// A rule that a server can be told to ignore, so that a test can show that it notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// A stale lease writes and reads nothing.
    Fence,
    /// The same event is taken once.
    Deduplication,
    /// The same commit is written once.
    Witness,
    /// A conversation is written at the version that was read.
    Version,
    /// No position is given twice, not even after a loss.
    FreshPositions,
    /// A lease that is not past is not given to another node.
    Exclusion,
}

/// A store in memory that several nodes share.
#[derive(Clone)]
pub struct MemoryServer {
    shared: Arc<Shared>,
}

impl fmt::Debug for MemoryServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryServer").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

impl MemoryServer {
    /// An empty one. At least one partition is assumed.
    #[must_use]
    pub fn new(options: MemoryOptions) -> Self {
        let inner = Inner {
            state: State::new(options.partitions),
            replica: None,
            ignored: BTreeSet::new(),
            tokens: 0,
            wakeups: Vec::new(),
        };
        let shared = Shared { options, start: Instant::now(), losses: watch::Sender::new(0), inner: Mutex::new(inner) };
        Self { shared: Arc::new(shared) }
    }

    /// A node's way here, in the runtime in which the server was made.
    #[must_use]
    pub fn node(&self) -> MemoryStore {
        let elapsed = Instant::now().saturating_duration_since(self.shared.start);
        self.node_at(START.after(elapsed))
    }

    /// A node's way here, in a runtime with a clock of its own that shows `now` at this moment.
    #[must_use]
    pub fn node_at(&self, now: Timestamp) -> MemoryStore {
        let wakeups: Wakeups = (0..self.shared.options.partitions).map(|_| Arc::new(Notify::new())).collect();
        let wakeups = Arc::new(wakeups);
        self.shared.lock().wakeups.push(Arc::downgrade(&wakeups));
        MemoryStore { shared: Arc::clone(&self.shared), wakeups, began: (Instant::now(), now), closed: false.into() }
    }

    /// All leases end, as they do some time after a crash of all nodes.
    pub fn expire(&self) {
        self.shared.lock().state.free_all();
    }

    /// From now on the replica stands still: [`Store::settle`](crate::Store::settle) does not succeed, and what is written
    /// is lost if the replica [takes over](Self::fail_over). Has no effect while it stands still already.
    pub fn stall(&self) {
        let mut inner = self.shared.lock();
        if inner.replica.is_none() {
            inner.replica = Some(inner.state.clone());
        }
    }

    /// The replica follows again; nothing is lost.
    pub fn catch_up(&self) {
        self.shared.lock().replica = None;
    }

    /// The replica takes over: what was written since it [stood still](Self::stall) is lost. `false`: it did not.
    pub fn fail_over(&self) -> bool {
        let mut inner = self.shared.lock();
        let Some(replica) = inner.replica.take() else { return false };
        let lost = std::mem::replace(&mut inner.state, replica);
        if !inner.ignores(Rule::FreshPositions) {
            inner.state.skip(lost.position().saturating_add(GAP));
            inner.state.documents.skip(&lost.documents);
        }
        drop(inner);
        self.shared.losses.send_modify(|losses| *losses += 1);
        true
    }

    /// Whether a lease was worth something at a moment of late: neither past nor given to somebody else before.
    #[must_use]
    pub fn held(&self, lease: &Lease, at: Timestamp) -> bool {
        self.shared.lock().state.held(lease, at)
    }

    /// From now on one of the rules is ignored.
    pub fn ignore(&self, rule: Rule) {
        self.shared.lock().ignored.insert(rule);
    }
}

/// By partition.
pub(super) type Wakeups = Vec<Arc<Notify>>;

/// What the nodes share.
pub(super) struct Shared {
    pub(super) options: MemoryOptions,
    start: Instant,
    pub(super) losses: watch::Sender<u64>,
    inner: Mutex<Inner>,
}

impl Shared {
    /// One step: nobody sees half of it.
    pub(super) fn step<T>(
        &self,
        now: Timestamp,
        step: impl FnOnce(&mut Inner, Timestamp) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut inner = self.lock();
        let now = inner.state.tick(now);
        let done = step(&mut inner, now);
        for partition in inner.state.grown() {
            inner.wake(partition);
        }
        done
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Inner {
    pub(super) state: State,
    /// What the replica holds, while it stands still.
    pub(super) replica: Option<State>,
    ignored: BTreeSet<Rule>,
    /// How many tokens have been given. Not part of the state: a token of a lost history is not given again.
    pub(super) tokens: u64,
    wakeups: Vec<Weak<Wakeups>>,
}

impl Inner {
    pub(super) fn ignores(&self, rule: Rule) -> bool {
        self.ignored.contains(&rule)
    }

    /// Whether everything that was written outlives a failover.
    pub(super) fn settled(&self) -> Result<(), StoreError> {
        match self.replica {
            None => Ok(()),
            Some(_) => Err(StoreError::Unavailable("the replica does not follow".into())),
        }
    }

    fn wake(&mut self, partition: Partition) {
        self.wakeups.retain(|wakeups| wakeups.strong_count() > 0);
        for wakeups in self.wakeups.iter().filter_map(Weak::upgrade) {
            if let Some(wakeup) = wakeups.get(usize::from(partition.0)) {
                wakeup.notify_one();
            }
        }
    }
}
