//! The log: one thread writes it, in segments; everybody else asks where it stands.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::folder::Folder;
use super::record::{Frame, Kind};
use super::state::{Place, State, Way, Work};
use super::writer::{Job, Writer};
use super::{IntakeOptions, Standing};
use crate::StoreError;

/// Writes that may wait for the thread. Beyond it, callers wait to be let in.
const QUEUE: usize = 1_024;

/// When a segment is full, bytes: small enough that what is settled is soon gone, and large enough that a long outage
/// makes hundreds of files and not millions.
const SEGMENT: u64 = 8 << 20;
/// A small spool still consists of so many segments.
const SEGMENTS: u64 = 16;

/// Why a record could not be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WriteError {
    /// The operator's limit is reached.
    Full,
    /// The disk's own words.
    Disk(String),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the spool is full (`max` under [spool])"),
            Self::Disk(reason) => write!(f, "the spool cannot be written: {reason}"),
        }
    }
}

impl From<WriteError> for StoreError {
    fn from(error: WriteError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// What the thread and everybody else share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) folder: Folder,
    /// The most bytes that all segments may have.
    pub(super) max_bytes: u64,
    /// How long what is settled is kept all the same.
    pub(super) keep: Duration,
    /// When a segment is full.
    pub(super) segment_bytes: u64,
    /// Batches may be accepted into the spool.
    spool: bool,
    state: Mutex<State>,
    /// The number that the next file gets.
    next_number: Mutex<u64>,
    /// There is something for the store.
    pub(super) waiting: Notify,
    /// There is something to settle.
    pub(super) unsettled: Notify,
    /// Held while something is being settled and removed.
    pub(super) settling: tokio::sync::Mutex<()>,
    standing: watch::Sender<Standing>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the state.
    pub(super) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the state, and tells whom it concerns.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let (was_empty, had_work) = (state.is_empty(), state.has_work());
        let changed = change(&mut state);
        let (empty, has_work) = (state.is_empty(), state.has_work());
        let standing = Standing { behind: state.behind(), batches: state.waiting, bytes: state.bytes };
        // Under the lock, so that the last word is the last one.
        self.standing.send_if_modified(|before| {
            metrics::gauge!("patchbay_spool_batches").set(standing.batches as f64);
            metrics::gauge!("patchbay_spool_bytes").set(standing.bytes as f64);
            std::mem::replace(before, standing) != standing
        });
        drop(state);
        if has_work && !had_work {
            self.waiting.notify_one();
        }
        if was_empty && !empty {
            self.unsettled.notify_one();
        }
        changed
    }

    /// A number that no file has.
    pub(super) fn number(&self) -> u64 {
        let mut next = self.next_number.lock().unwrap_or_else(PoisonError::into_inner);
        let number = *next;
        *next = number.saturating_add(1);
        number
    }
}

/// A batch on its way into the spool. While there is one, nothing that is accepted goes straight to the store.
#[derive(Debug)]
pub(super) struct Ticket(Arc<Shared>);

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.change(|state| state.writing = state.writing.saturating_sub(1));
    }
}

/// What becomes of an accepted batch.
#[derive(Debug)]
pub(super) enum Accept {
    Straight,
    Spool(Ticket),
    Closed(&'static str),
}

/// The log. When it is dropped, what it was given before is still written.
#[derive(Debug)]
pub(super) struct Log {
    shared: Arc<Shared>,
    jobs: mpsc::Sender<Job>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Log {
    /// Opens the log in a folder. Blocks for as long as the disk takes.
    pub(super) fn open(folder: &Path, options: &IntakeOptions, losses: u64) -> Result<Self, StoreError> {
        let (opened, leftovers, next) = Folder::open(folder)?;
        let state = State::of(&leftovers, losses);
        if !leftovers.is_empty() {
            tracing::info!(
                folder = %folder.display(), bytes = state.bytes, spooled_batches = state.waiting,
                "the store gets again what this node had kept when it ended"
            );
        }
        let shared = Arc::new(Shared {
            folder: opened,
            max_bytes: options.max_bytes,
            keep: options.keep,
            segment_bytes: SEGMENT.min(options.max_bytes / SEGMENTS),
            spool: options.accept_while_away,
            state: Mutex::new(state),
            next_number: Mutex::new(next),
            waiting: Notify::new(),
            unsettled: Notify::new(),
            settling: tokio::sync::Mutex::new(()),
            standing: watch::Sender::new(Standing::default()),
        });
        shared.change(|_| ());
        // Both look for themselves when they begin; what was left is no change that would wake them.
        shared.waiting.notify_one();
        shared.unsettled.notify_one();
        let (jobs, queue) = mpsc::channel(QUEUE);
        let writer = Writer::new(Arc::clone(&shared), queue);
        let thread = std::thread::Builder::new().name("spool-writer".into()).spawn(move || writer.run());
        let thread = thread.map_err(|error| StoreError::Unavailable(format!("no thread for the spool: {error}")))?;
        Ok(Self { shared, jobs, writer: Mutex::new(Some(thread)) })
    }

    /// What the tasks behind it work with.
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Where it stands, now and from now on.
    pub(super) fn standing(&self) -> watch::Receiver<Standing> {
        self.shared.standing.subscribe()
    }

    /// Which way a batch goes that is accepted now.
    pub(super) fn way(&self, losses: u64) -> Accept {
        let (spool, max_bytes) = (self.shared.spool, self.shared.max_bytes);
        match self.shared.change(|state| state.way(losses, spool, max_bytes)) {
            Way::Straight => Accept::Straight,
            Way::Spool => Accept::Spool(Ticket(Arc::clone(&self.shared))),
            Way::Closed(reason) => Accept::Closed(reason),
        }
    }

    /// From now on nothing goes straight to the store, until this batch has gone there.
    pub(super) fn ticket(&self) -> Ticket {
        self.shared.change(|state| state.writing += 1);
        Ticket(Arc::clone(&self.shared))
    }

    /// Writes a batch that the store has taken: into the system's cache, which survives the process but not the machine.
    /// Gives where it begins.
    pub(super) async fn enter(&self, frame: Frame) -> Result<Place, WriteError> {
        self.write(Kind::Ledger, frame, None).await
    }

    /// Writes a batch that the store is still to get, durably.
    pub(super) async fn spool(&self, frame: Frame, ticket: Ticket) -> Result<(), WriteError> {
        self.write(Kind::Spooled, frame, Some(ticket)).await.map(drop)
    }

    async fn write(&self, kind: Kind, frame: Frame, ticket: Option<Ticket>) -> Result<Place, WriteError> {
        let (reply, answer) = oneshot::channel();
        let ended = || WriteError::Disk("it was closed".into());
        let job = Job::Write { kind, record: frame.record(kind), ticket, reply };
        self.jobs.send(job).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    /// Gives a handle on what was written last, to be flushed; `seal`: nothing more is written to that segment. `None`:
    /// nothing was written, or it cannot be had.
    pub(super) async fn handle(&self, seal: bool) -> Option<File> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Job::Handle { seal, reply }).await.ok()?;
        answer.await.ok()?
    }

    /// What the store is to get next.
    pub(super) fn next(&self) -> Option<(Work, PathBuf)> {
        let work = self.shared.change(State::next)?;
        Some((work, self.shared.folder.segment(work.from.segment)))
    }

    /// Writes what is left and ends the thread.
    pub(super) async fn close(&self) {
        // Fails only when the thread has ended already.
        let _ended = self.jobs.send(Job::Close).await;
        let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let joined = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("the spool's thread has panicked");
            }
        }
        self.shared.folder.unlock();
    }
}
