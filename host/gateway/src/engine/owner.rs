//! One partition that this node works on: its journal as queues per conversation, its timers, its tasks on their way to
//! the lanes.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use patchbay_model::event::TimerFired;
use patchbay_model::task::Lane;
use patchbay_model::{Arrival, Body, ConversationId, EventId, Route, Task, TaskId, Timestamp};
use patchbay_store::{ClearedTimer, Commit, EventRecord, Lease, Pending, Position, StoreError, Timer};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::keyed::KeyedQueues;
use super::lanes::Behind;
use super::tenure::{Ended, Tenure};
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

/// How far the clocks of two nodes may be apart.
const SKEW: Duration = Duration::from_secs(2);

/// How long after a loss an event can come once more that was accepted and decided before it: WhatsApp delivers again what
/// it had no answer to, first after seconds, then after minutes.
const AFTER_A_LOSS: Duration = Duration::from_secs(10 * 60);

/// Why a commit was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotCommitted {
    /// The partition is no longer ours.
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
    tenure: Arc<Tenure>,
    /// Everything that works on the partition.
    work: TaskTracker,
    conversations: KeyedQueues<ConversationId, (EventRecord, OwnedSemaphorePermit)>,
    tasks: KeyedQueues<LaneKey, (Task, bool)>,
    timers: Mutex<BTreeMap<(ConversationId, String), Timer>>,
    timers_changed: Notify,
    room: Arc<Semaphore>,
    /// When the events that are in memory and not handled yet were accepted.
    waiting: Mutex<BTreeMap<Position, Timestamp>>,
    gone: CancellationToken,
    started: Timestamp,
}

impl Owner {
    /// Starts working a partition off, with what was pending in it. When `gone` is cancelled, nothing more is begun.
    #[must_use]
    pub fn start(shared: &Arc<Shared>, tenure: Arc<Tenure>, pending: Pending, gone: CancellationToken) -> Arc<Self> {
        let timers = pending.timers.into_iter().map(|timer| ((timer.conversation.clone(), timer.name.clone()), timer));
        let owner = Arc::new(Self {
            shared: Arc::clone(shared),
            tenure,
            work: TaskTracker::new(),
            conversations: KeyedQueues::default(),
            tasks: KeyedQueues::default(),
            timers: Mutex::new(timers.collect()),
            timers_changed: Notify::new(),
            room: Arc::new(Semaphore::new(EVENTS_IN_MEMORY)),
            waiting: Mutex::default(),
            gone,
            started: shared.store.now(),
        });
        for task in pending.tasks {
            owner.run_task(task, true);
        }
        owner.spawn(Arc::clone(&owner).read_journal());
        owner.spawn(Arc::clone(&owner).run_timers());
        owner
    }

    /// Works on the partition, as long as this node may rely on its lease.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let tenure = Arc::clone(&self.tenure);
        self.work.spawn(async move {
            let _dropped = tenure.while_held(work).await;
        });
    }

    /// Waits until nothing works on the partition any more: what is in hand is finished, or dropped because the lease has
    /// ended. To be called once nothing more is to be begun.
    pub async fn idle(&self) {
        self.work.close();
        self.work.wait().await;
    }

    /// What every part of the loop shares.
    #[must_use]
    pub const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The right to write the partition.
    #[must_use]
    pub fn lease(&self) -> &Lease {
        self.tenure.lease()
    }

    /// Since when this node listens for the partition.
    #[must_use]
    pub const fn started(&self) -> Timestamp {
        self.started
    }

    /// Events that were accepted before this may have been decided by a former owner whose commit was lost.
    #[must_use]
    pub fn doubtful_until(&self) -> Timestamp {
        let after_a_loss = self.shared.lost_at().map(|lost| lost.after(AFTER_A_LOSS));
        after_a_loss.unwrap_or_default().max(self.started.after(SKEW))
    }

    fn is_after_a_loss(&self) -> bool {
        self.shared.lost_at().is_some_and(|lost| self.shared.store.now() < lost.after(AFTER_A_LOSS))
    }

    /// When the oldest event that is not handled yet was accepted.
    #[must_use]
    pub fn oldest_waiting(&self) -> Option<Timestamp> {
        self.waiting().first_key_value().map(|(_, accepted)| *accepted)
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<Position, Timestamp>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nothing more is to be begun here.
    pub async fn gone(&self) {
        tokio::select! {
            biased;
            () = self.gone.cancelled() => {}
            () = self.tenure.over() => {}
        }
    }

    /// Whether nothing more is to be begun here.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.gone.is_cancelled() || !self.tenure.holds()
    }

    /// The partition is another node's now: everything in memory of it is worth nothing.
    fn fenced(&self) {
        tracing::warn!(partition = %self.lease().partition, "another node has the partition; its work is dropped here");
        self.tenure.end(Ended::Fenced);
    }

    /// Hands a task to its lane, behind those of its conversation. `recovered`: it was read from the store, and may have
    /// been begun before.
    pub fn run_task(self: &Arc<Self>, task: Task, recovered: bool) {
        let aside = task.aside.then(|| task.id.clone());
        let key = (task.lane.clone(), task.conversation.clone(), aside);
        if self.tasks.push(key.clone(), (task, recovered)) {
            self.spawn(Arc::clone(self).work_tasks(key));
        }
    }

    async fn work_tasks(self: Arc<Self>, key: LaneKey) {
        // Asking whether something was done costs a desk much in a long ticket, and is needed only up to the first that was
        // not: what is behind it was never begun. Unless the store lost its end, and the order with it.
        let mut behind = Behind::MayHaveBegun;
        while let Some((task, recovered)) = self.tasks.take(&key) {
            let mut recovered = recovered && (behind == Behind::MayHaveBegun || self.is_after_a_loss());
            loop {
                match AssertUnwindSafe(lanes::run(&self, task.clone(), recovered)).catch_unwind().await {
                    Ok(ControlFlow::Continue(known)) => {
                        if known == Behind::NotBegun {
                            behind = known;
                        }
                        break;
                    }
                    Ok(ControlFlow::Break(())) => return self.tasks.forget(&key),
                    Err(_) => tracing::error!(task = %task.id, "carrying out a task panicked; trying again"),
                }
                recovered = true;
                tokio::select! {
                    biased;
                    () = self.gone() => return self.tasks.forget(&key),
                    () = tokio::time::sleep(PANIC_PAUSE) => {}
                }
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
    /// is harmless. What is in hand is committed when nothing more is to be begun, too.
    ///
    /// # Errors
    /// [`NotCommitted`].
    pub async fn commit(&self, commit: Commit) -> Result<(), NotCommitted> {
        while self.tenure.holds() {
            match self.shared.store.commit(self.lease(), commit.clone()).await {
                Ok(()) => return Ok(()),
                Err(StoreError::Fenced(_)) => self.fenced(),
                Err(StoreError::Conflict { .. } | StoreError::Overtaken { .. }) => return Err(NotCommitted::Conflict),
                Err(error) => {
                    tracing::error!(%error, "the store cannot be written; trying again");
                    tokio::time::sleep(STORE_PAUSE).await;
                }
            }
        }
        Err(NotCommitted::Gone)
    }

    async fn read_journal(self: Arc<Self>) {
        let wakeup = self.shared.store.wakeup(self.lease().partition);
        let mut after = Position(0);
        loop {
            let Some(read) = self.read_page(after).await else { return };
            after = read.last.unwrap_or(after);
            if read.full {
                continue;
            }
            tokio::select! {
                biased;
                () = self.gone() => return,
                () = wakeup.notified() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// Queues one page of the journal. None: the partition is gone.
    async fn read_page(self: &Arc<Self>, after: Position) -> Option<Page> {
        let records = match self.shared.store.journal(self.lease(), after, JOURNAL_PAGE).await {
            Ok(records) => records,
            Err(StoreError::Fenced(_)) => {
                self.fenced();
                return None;
            }
            Err(error) => {
                tracing::error!(%error, partition = %self.lease().partition, "the journal could not be read; trying again");
                return Some(Page { last: None, full: false });
            }
        };
        let page = Page { last: records.last().map(|record| record.position), full: records.len() >= JOURNAL_PAGE };
        for record in records {
            let permit = tokio::select! {
                biased;
                () = self.gone() => return None,
                permit = Arc::clone(&self.room).acquire_owned() => permit.ok()?,
            };
            let key = record.event.conversation.clone();
            self.waiting().insert(record.position, record.event.received_at);
            if self.conversations.push(key.clone(), (record, permit)) {
                self.spawn(Arc::clone(self).work_conversation(key));
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
                tokio::select! {
                    biased;
                    () = self.gone() => return self.conversations.forget(&key),
                    () = tokio::time::sleep(PANIC_PAUSE) => {}
                }
            }
            self.waiting().remove(&record.position);
        }
    }

    async fn run_timers(self: Arc<Self>) {
        loop {
            let now = self.shared.store.now();
            let (due, next) = self.due_timers(now);
            for timer in due {
                // It may have been set anew or taken back while the one before it was fired.
                if self.is_armed(&timer) && self.fire(timer, now).await.is_break() {
                    return;
                }
            }
            tokio::select! {
                biased;
                () = self.gone() => return,
                () = tokio::time::sleep(next) => {}
                () = self.timers_changed.notified() => {}
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
