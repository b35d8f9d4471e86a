//! One partition: its lease, its journal as queues per conversation, its timers, its tasks on their way to the lanes.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use patchbay_model::event::TimerFired;
use patchbay_model::task::Lane;
use patchbay_model::{Arrival, Body, ConversationId, EventId, Route, Task, TaskId, Timestamp};
use patchbay_store::{ClearedTimer, Commit, EventRecord, Lease, Partition, Position, StoreError, Timer};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::keyed::KeyedQueues;
use super::{Shared, decide, lanes};

/// Events of one partition held in memory: the rest of a backlog waits in the journal.
const EVENTS_IN_MEMORY: usize = 2_048;
/// Events read from the journal at once.
const JOURNAL_PAGE: usize = 256;
/// How long a lost notification can hold an event back.
const POLL: Duration = Duration::from_secs(1);

/// The pause before the store is asked again after it could not write.
const STORE_PAUSE: Duration = Duration::from_millis(500);

/// The pause after a fault of our own: what it was is in the log, and the work is not lost.
const PANIC_PAUSE: Duration = Duration::from_secs(5);

/// Why a commit was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotCommitted {
    /// The partition is no longer ours, or the node is stopping.
    Gone,
    /// The conversation was written by somebody else since it was read.
    Conflict,
}

/// What keeps tasks in order: those of one conversation in one lane, and each that stands aside by itself.
type LaneKey = (Lane, ConversationId, Option<TaskId>);

/// A partition that this node owns.
#[derive(Debug)]
pub struct Owner {
    shared: Arc<Shared>,
    lease: Lease,
    conversations: KeyedQueues<ConversationId, (EventRecord, OwnedSemaphorePermit)>,
    tasks: KeyedQueues<LaneKey, (Task, bool)>,
    timers: Mutex<BTreeMap<(ConversationId, String), Timer>>,
    timers_changed: Notify,
    room: Arc<Semaphore>,
    gone: CancellationToken,
    started: Timestamp,
}

impl Owner {
    /// Takes a partition, if nobody else has it, and starts working it off.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn acquire(shared: &Arc<Shared>, partition: Partition) -> Result<Option<Arc<Self>>, StoreError> {
        let Some(lease) = shared.store.acquire(partition).await? else { return Ok(None) };
        let pending = shared.store.load(&lease).await?;
        let timers = pending.timers.into_iter().map(|timer| ((timer.conversation.clone(), timer.name.clone()), timer));
        let owner = Arc::new(Self {
            shared: Arc::clone(shared),
            lease,
            conversations: KeyedQueues::default(),
            tasks: KeyedQueues::default(),
            timers: Mutex::new(timers.collect()),
            timers_changed: Notify::new(),
            room: Arc::new(Semaphore::new(EVENTS_IN_MEMORY)),
            gone: shared.stop.child_token(),
            started: Timestamp::now(),
        });
        for task in pending.tasks {
            owner.run_task(task, true);
        }
        shared.tracker.spawn(Arc::clone(&owner).read_journal());
        shared.tracker.spawn(Arc::clone(&owner).run_timers());
        Ok(Some(owner))
    }

    /// What every part of the loop shares.
    #[must_use]
    pub const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The right to write the partition.
    #[must_use]
    pub const fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Since when this node listens for the partition.
    #[must_use]
    pub const fn started(&self) -> Timestamp {
        self.started
    }

    /// Waits until nothing more is to be begun here.
    pub async fn gone(&self) {
        self.gone.cancelled().await;
    }

    /// Whether nothing more is to be begun here.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.gone.is_cancelled()
    }

    /// The partition is another node's now: everything in memory of it is worth nothing.
    pub fn lose(&self) {
        self.gone.cancel();
    }

    /// Hands a task to its lane, behind those of its conversation. `recovered`: it was read from the store, and may have
    /// been begun before.
    pub fn run_task(self: &Arc<Self>, task: Task, recovered: bool) {
        let aside = task.aside.then(|| task.id.clone());
        let key = (task.lane.clone(), task.conversation.clone(), aside);
        if self.tasks.push(key.clone(), (task, recovered)) {
            self.shared.tracker.spawn(Arc::clone(self).work_tasks(key));
        }
    }

    async fn work_tasks(self: Arc<Self>, key: LaneKey) {
        while let Some((task, mut recovered)) = self.tasks.take(&key) {
            loop {
                match AssertUnwindSafe(lanes::run(&self, task.clone(), recovered)).catch_unwind().await {
                    Ok(ControlFlow::Continue(())) => break,
                    Ok(ControlFlow::Break(())) => return self.tasks.forget(&key),
                    Err(_) => tracing::error!(task = %task.id, "carrying out a task panicked; trying again"),
                }
                recovered = true;
                tokio::time::sleep(PANIC_PAUSE).await;
            }
        }
    }

    /// Arms a timer; one of the same conversation and name is replaced.
    pub fn arm(&self, timer: Timer) {
        let key = (timer.conversation.clone(), timer.name.clone());
        self.timers.lock().unwrap_or_else(PoisonError::into_inner).insert(key, timer);
        self.timers_changed.notify_one();
    }

    /// Takes a timer back.
    pub fn disarm(&self, conversation: &ConversationId, name: &str) {
        let key = (conversation.clone(), name.to_owned());
        self.timers.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }

    /// Commits, and does not give up while the partition is ours: a commit whose answer was lost is applied again, which
    /// is harmless.
    ///
    /// # Errors
    /// [`NotCommitted`].
    pub async fn commit(&self, commit: Commit) -> Result<(), NotCommitted> {
        loop {
            let error = match self.shared.store.commit(&self.lease, commit.clone()).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            match error {
                StoreError::Fenced(partition) => {
                    tracing::warn!(%partition, "another node has the partition; its work is dropped here");
                    self.lose();
                    return Err(NotCommitted::Gone);
                }
                StoreError::Conflict { .. } => return Err(NotCommitted::Conflict),
                error => tracing::error!(%error, "the store cannot be written; trying again"),
            }
            tokio::select! {
                () = tokio::time::sleep(STORE_PAUSE) => {}
                () = self.gone() => return Err(NotCommitted::Gone),
            }
        }
    }

    async fn read_journal(self: Arc<Self>) {
        let wakeup = self.shared.store.wakeup(self.lease.partition);
        let mut after = Position(0);
        loop {
            let Some(read) = self.read_page(after).await else { return };
            after = read.last.unwrap_or(after);
            if read.full {
                continue;
            }
            tokio::select! {
                () = wakeup.notified() => {}
                () = tokio::time::sleep(POLL) => {}
                () = self.gone() => return,
            }
        }
    }

    /// Queues one page of the journal. None: the partition is gone.
    async fn read_page(self: &Arc<Self>, after: Position) -> Option<Page> {
        let records = match self.shared.store.journal(&self.lease, after, JOURNAL_PAGE).await {
            Ok(records) => records,
            Err(StoreError::Fenced(_)) => {
                self.lose();
                return None;
            }
            Err(error) => {
                tracing::error!(%error, partition = %self.lease.partition, "the journal could not be read; trying again");
                return Some(Page { last: None, full: false });
            }
        };
        let page = Page { last: records.last().map(|record| record.position), full: records.len() >= JOURNAL_PAGE };
        for record in records {
            let permit = tokio::select! {
                permit = Arc::clone(&self.room).acquire_owned() => permit.ok()?,
                () = self.gone() => return None,
            };
            let key = record.event.conversation.clone();
            if self.conversations.push(key.clone(), (record, permit)) {
                self.shared.tracker.spawn(Arc::clone(self).work_conversation(key));
            }
        }
        Some(page)
    }

    async fn work_conversation(self: Arc<Self>, key: ConversationId) {
        while let Some((record, _permit)) = self.conversations.take(&key) {
            loop {
                match AssertUnwindSafe(decide::handle(&self, &record)).catch_unwind().await {
                    Ok(ControlFlow::Continue(())) => break,
                    Ok(ControlFlow::Break(())) => return self.conversations.forget(&key),
                    Err(_) => tracing::error!(event = %record.event.id, "deciding an event panicked; trying again"),
                }
                tokio::time::sleep(PANIC_PAUSE).await;
            }
        }
    }

    async fn run_timers(self: Arc<Self>) {
        loop {
            let now = Timestamp::now();
            let (due, next) = self.due_timers(now);
            for timer in due {
                // It may have been set anew or taken back while the one before it was fired.
                if self.is_armed(&timer) && self.fire(timer, now).await.is_break() {
                    return;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(next) => {}
                () = self.timers_changed.notified() => {}
                () = self.gone() => return,
            }
        }
    }

    fn is_armed(&self, timer: &Timer) -> bool {
        let key = (timer.conversation.clone(), timer.name.clone());
        let timers = self.timers.lock().unwrap_or_else(PoisonError::into_inner);
        timers.get(&key).is_some_and(|armed| armed.at == timer.at)
    }

    fn due_timers(&self, now: Timestamp) -> (Vec<Timer>, Duration) {
        let timers = self.timers.lock().unwrap_or_else(PoisonError::into_inner);
        let due: Vec<Timer> = timers.values().filter(|timer| timer.at <= now).cloned().collect();
        let next = timers.values().filter(|timer| timer.at > now).map(|timer| timer.at.since(now)).min();
        (due, next.unwrap_or(Duration::from_secs(60 * 60)))
    }

    /// One write: the timer is gone, and what it says is in the journal.
    async fn fire(&self, timer: Timer, now: Timestamp) -> ControlFlow<()> {
        let at = timer.at.as_millis().to_le_bytes();
        let id = EventId::derive(&[b"timer", timer.conversation.as_str().as_bytes(), timer.name.as_bytes(), &at]);
        let arrival = Arrival {
            id,
            route: Route::Conversation(timer.conversation.clone()),
            occurred_at: timer.at,
            received_at: now,
            body: Body::Timer(TimerFired { name: timer.name.clone(), data: timer.data.clone() }),
            raw: None,
        };
        let key = (timer.conversation.clone(), timer.name.clone());
        let cleared =
            ClearedTimer { conversation: timer.conversation.clone(), name: timer.name.clone(), at: Some(timer.at) };
        let commit = Commit { cleared_timers: vec![cleared], append: vec![arrival], ..Commit::default() };
        if self.commit(commit).await.is_err() {
            return ControlFlow::Break(());
        }
        let mut timers = self.timers.lock().unwrap_or_else(PoisonError::into_inner);
        if timers.get(&key).is_some_and(|armed| armed.at == timer.at) {
            timers.remove(&key);
        }
        ControlFlow::Continue(())
    }
}

struct Page {
    last: Option<Position>,
    full: bool,
}
