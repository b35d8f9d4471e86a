//! Accepting on a node's own disk, for a store that is elsewhere.
//!
//! A store on a server can be away, and one that copies to others behind the writer's back can lose its last writes when
//! one of those takes over. So a node keeps what it has accepted in a log on its own disk until the store will not lose
//! it any more:
//!
//! - **Ledger.** While the store is there, a batch is appended to it and then entered in the log, without a flush: the
//!   promise is the store's, the log guards against its failover while this machine lives. What the store has
//!   [settled](Store::settle) is removed. When the store has [lost](Store::losses) something, it gets all of the log again
//!   in order; whatever it has already it knows by its id.
//! - **Spool.** While the store is away, a batch is written to the log and flushed before it is acknowledged. As long as
//!   there are such batches, new ones go behind them, so that the order is kept. They are handed on when the store is
//!   back; nothing has to be started again.
//!
//! A log that was left by a crash is given to the store again, before anything is accepted straight if the spool may be
//! used.
//!
//! # When the disk fails
//! A spooled batch that could not be made durable is [`StoreError::Unavailable`]. A batch that the store has taken is
//! acknowledged although it could not be entered: it is loudly logged and counted, and a failover may lose it.
//!
//! # Layout
//! - `record`: the format; `folder`: the files
//! - `state`: where the log stands; `log`, `writer`: its handle and its thread
//! - `replay`: what the store is to get; `settle`: what is removed
//! - `append`: the append itself, with a second look at unknown tickets

mod append;
mod folder;
mod log;
mod record;
mod replay;
mod settle;
mod state;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use patchbay_model::{Arrival, Route};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use self::append::{append, append_within, found};
use self::folder::Folder;
use self::log::{Accept, Log, WriteError};
use self::record::Frame;
use self::replay::Replayer;
use crate::{Appended, Store, StoreError};

/// How long an append may take before the store counts as away: WhatsApp and the ticket systems wait five seconds and
/// more for an answer, and a flush to the spool is to fit in as well.
const APPEND_TIME: Duration = Duration::from_secs(3);

/// How an [`Intake`] keeps what it accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntakeOptions {
    /// The folder for the log; it is made if it is not there. `None`: nothing is kept, and a failover can lose what the
    /// store had acknowledged.
    pub folder: Option<PathBuf>,
    /// Accept while the store is away.
    pub accept_while_away: bool,
    /// The most bytes that the log may have.
    pub max_bytes: u64,
    /// How long what the store has settled is kept all the same, while there is room: of several replicas the one that
    /// becomes master may not be the one that had confirmed.
    pub keep: Duration,
}

/// What became of an accepted batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// The store has it: what became of each arrival, in their order.
    Appended(Vec<Appended>),
    /// It is on this node's disk, and the store gets it later.
    Spooled,
}

/// Where an [`Intake`]'s log stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The store is still to get something: it is away, or was a moment ago.
    pub behind: bool,
    /// Spooled batches that it is still to get.
    pub batches: u64,
    /// Bytes of the log.
    pub bytes: u64,
}

/// Takes in what has arrived, and keeps it until the store will not lose it any more.
///
/// For a store that only this process has ([`Store::lease_time`] is `None`) it is the store's own append and nothing else.
/// When it is dropped without [`stop`](Self::stop), everything acknowledged stays on the disk, as after a crash.
#[derive(Debug)]
pub struct Intake {
    store: Arc<dyn Store>,
    keep: Option<Keep>,
}

/// What there is for a store that is elsewhere.
#[derive(Debug)]
struct Keep {
    log: Arc<Log>,
    losses: watch::Receiver<u64>,
    spool: bool,
    max_bytes: u64,
    replaying: JoinHandle<()>,
    settling: JoinHandle<()>,
}

impl Drop for Keep {
    fn drop(&mut self) {
        self.replaying.abort();
        self.settling.abort();
    }
}

impl Intake {
    /// Opens the log and gives the store what was left in it, in the background. Blocks for as long as it takes to look
    /// through what was left: some seconds for each gigabyte. Wants to be called within a runtime.
    ///
    /// # Errors
    /// [`StoreError::Unsuitable`]: another process has the folder, or its files are of a later version;
    /// [`StoreError::Unavailable`]: the disk.
    pub fn open(store: Arc<dyn Store>, options: &IntakeOptions) -> Result<Self, StoreError> {
        let shared = store.lease_time().is_some();
        let Some(folder) = options.folder.as_ref().filter(|_| shared) else {
            if let Some(folder) = options.folder.as_ref().filter(|folder| Folder::has_leftovers(folder)) {
                tracing::warn!(
                    folder = %folder.display(),
                    "there are events here that were accepted for another store, which may not have got them: start once \
                     with the configuration for that one"
                );
            }
            if shared && options.accept_while_away {
                return Err(StoreError::Unsuitable("a spool needs a folder".into()));
            }
            return Ok(Self { store, keep: None });
        };
        let losses = store.losses();
        let log = Arc::new(Log::open(folder, options, *losses.borrow())?);
        let replayer = Replayer::new(Arc::clone(&log), Arc::clone(&store), losses.clone());
        let replaying = tokio::spawn(replayer.run());
        let settling = tokio::spawn(settle::run(Arc::clone(&log), Arc::clone(&store), losses.clone()));
        let (spool, max_bytes) = (options.accept_while_away, options.max_bytes);
        let keep = Keep { log, losses, spool, max_bytes, replaying, settling };
        Ok(Self { store, keep: Some(keep) })
    }

    /// Takes arrivals in. When it returns without an error they may be acknowledged: the store has them, or will have
    /// them after those that were accepted before. Accepting them again is harmless.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: they are not known to be kept; let them be delivered again. [`StoreError::Corrupt`]:
    /// the store cannot take one of them as long as it is not repaired.
    pub async fn accept(&self, arrivals: Vec<Arrival>) -> Result<Accepted, StoreError> {
        let Some(keep) = &self.keep else { return append(&*self.store, arrivals).await.map(Accepted::Appended) };
        if arrivals.is_empty() {
            return Ok(Accepted::Appended(Vec::new()));
        }
        // Before the append: a loss that comes later may concern it.
        let losses = *keep.losses.borrow();
        let way = keep.log.way(losses);
        let frame = Frame::of(&arrivals)?;
        match way {
            Accept::Straight => {}
            Accept::Spool(ticket) => return keep.spool(frame, ticket).await,
            Accept::Closed(reason) => return Err(StoreError::Unavailable(reason.into())),
        }
        let by_ticket = arrivals.iter().any(|arrival| matches!(arrival.route, Route::Ticket { .. }));
        let kept = by_ticket.then(|| arrivals.clone());
        match append_within(APPEND_TIME, &*self.store, arrivals).await {
            Ok(appended) => {
                let frame = match kept.map(|kept| found(kept, &appended)) {
                    Some(kept) if kept.is_empty() => return Ok(Accepted::Appended(appended)),
                    Some(kept) => Frame::of(&kept)?,
                    None => frame,
                };
                keep.enter(frame, losses).await?;
                Ok(Accepted::Appended(appended))
            }
            // It is one of these arrivals that cannot be taken; others can.
            Err(error @ StoreError::Corrupt(_)) => Err(error),
            Err(error) if !keep.spool => Err(error),
            Err(error) => {
                tracing::debug!(%error, "a batch goes to the spool");
                keep.spool(frame, keep.log.ticket()).await
            }
        }
    }

    /// Where the log stands, now and from now on; `None`: there is none.
    #[must_use]
    pub fn standing(&self) -> Option<watch::Receiver<Standing>> {
        self.keep.as_ref().map(|keep| keep.log.standing())
    }

    /// Whether arrivals are accepted even while the store is away: it may be, and there is room.
    #[must_use]
    pub fn accepts_while_away(&self) -> bool {
        self.keep.as_ref().is_some_and(|keep| keep.spool && keep.log.standing().borrow().bytes < keep.max_bytes)
    }

    /// Accepts nothing more, gives the store what it is still to get for as long as `grace`, and closes the log. What is
    /// left stays on the disk for the next start. `true`: nothing is left that the store has not got.
    pub async fn stop(&self, grace: Duration) -> bool {
        let Some(keep) = &self.keep else { return true };
        let until = Instant::now() + grace;
        keep.log.shared().change(|state| state.stopped = true);
        let mut standing = keep.log.standing();
        // The sender lives as long as the log.
        timeout_at(until, standing.wait_for(|standing| !standing.behind)).await.map(drop).unwrap_or_default();
        if !standing.borrow().behind {
            let _in_time = timeout_at(until, settle::round(&keep.log, &*self.store, &keep.losses, true)).await;
        }
        keep.settling.abort();
        keep.replaying.abort();
        keep.log.close().await;
        let left = *standing.borrow();
        if left.behind {
            tracing::warn!(
                batches = left.batches,
                bytes = left.bytes,
                "accepted webhooks stay in this node's spool; the store gets them when this node starts again"
            );
        } else if left.bytes > 0 {
            tracing::info!(bytes = left.bytes, "the store has everything, but has not settled: this node keeps it too");
        }
        !left.behind
    }
}

impl Keep {
    async fn spool(&self, frame: Frame, ticket: log::Ticket) -> Result<Accepted, StoreError> {
        self.log.spool(frame, ticket).await?;
        metrics::counter!("patchbay_spooled_total").increment(1);
        Ok(Accepted::Spooled)
    }

    /// Enters a batch that the store has taken; `losses` are those that the store had had before.
    async fn enter(&self, frame: Frame, losses: u64) -> Result<(), StoreError> {
        match self.log.enter(frame).await {
            Ok(place) => {
                // It may have been lost before it was entered: whoever went through the log then has not seen it.
                let now = *self.losses.borrow();
                if now != losses {
                    self.log.shared().change(|state| state.again(Some(place), now));
                }
                Ok(())
            }
            Err(error @ WriteError::Full) => Err(error.into()),
            // It was told and counted; the durable write is the store's.
            Err(WriteError::Disk(_)) => Ok(()),
        }
    }
}
