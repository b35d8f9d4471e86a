//! Gives the store what it is still to get, and again what it may have lost.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use patchbay_model::Arrival;
use tokio::sync::watch;

use super::append::append_within;
use super::log::Log;
use super::record::{self, Frame, Kind, Piece, Record};
use super::state::{Place, Work};
use crate::{Appended, IDS_KEPT, Store, StoreError};

/// How long one append may take: it has hundreds of batches in it, and nobody waits for its answer.
const APPEND_TIME: Duration = Duration::from_secs(30);

/// How long to wait after the store has failed; doubled with each failure …
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// … up to this: so soon is it noticed that the store is back.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How often something that the store cannot take is tried, while it takes other things …
const FEW_TRIES: u32 = 3;
/// … and while it takes nothing: for half a minute it is believed that the fault is the store's own.
const MANY_TRIES: u32 = 10;

/// The age from which on what the store has taken is not given to it again: it forgets ids after [`IDS_KEPT`], and would
/// take an event for a new one. A day for clocks that differ.
const FORGOTTEN: Duration = Duration::from_secs(IDS_KEPT.as_secs() - 24 * 60 * 60);

/// Why nothing was handed on.
enum Trouble {
    Store(StoreError),
    /// Some of it cannot be taken: why.
    Refused(String),
    /// The log's own file cannot be read.
    File(std::io::Error),
}

/// What is to be handed on of a piece of the log.
#[derive(Default)]
struct Batches {
    arrivals: Vec<Arrival>,
    /// For each of them: the store has had it before.
    known: Vec<bool>,
    /// Not to be understood.
    unreadable: Vec<Vec<u8>>,
    /// Batches that the store gets for the first time.
    spooled: u64,
    /// Batches that are too old to be given to the store again.
    forgotten: u64,
}

impl Batches {
    fn of(piece: &Piece, work: &Work, forget: impl Fn(&Arrival) -> bool) -> Self {
        let mut batches = Self::default();
        let segment = work.from.segment;
        for Record { kind, start, json } in &piece.records {
            let place = Place { segment, offset: *start };
            let known = *kind == Kind::Ledger || place < work.reached;
            if known && place >= work.again_to {
                continue;
            }
            batches.spooled += u64::from(!known);
            match serde_json::from_slice::<Vec<Arrival>>(json) {
                Ok(arrivals) if *kind == Kind::Ledger && arrivals.iter().all(&forget) => batches.forgotten += 1,
                Ok(arrivals) => {
                    batches.known.extend(arrivals.iter().map(|_| known));
                    batches.arrivals.extend(arrivals);
                }
                Err(_) => batches.unreadable.push(json.clone()),
            }
        }
        batches
    }
}

/// The task that hands on.
pub(super) struct Replayer {
    log: Arc<Log>,
    store: Arc<dyn Store>,
    losses: watch::Receiver<u64>,
    pause: Duration,
    /// How often something was refused in a row.
    refused: u32,
    /// How often a file could not be read in a row.
    unread: u32,
    /// The store has taken something since something was set aside.
    works: bool,
    /// Batches that were handed on since the store was away.
    replayed: u64,
    /// Events that the store had lost, since that was noticed.
    missing: u64,
}

impl Replayer {
    pub(super) fn new(log: Arc<Log>, store: Arc<dyn Store>, losses: watch::Receiver<u64>) -> Self {
        let (refused, unread, works, replayed, missing) = (0, 0, false, 0, 0);
        Self { log, store, losses, pause: FIRST_PAUSE, refused, unread, works, replayed, missing }
    }

    /// Hands on, for ever.
    pub(super) async fn run(mut self) {
        loop {
            let losses = *self.losses.borrow_and_update();
            self.log.shared().change(|state| state.deal_with(losses));
            let Some((work, file)) = self.log.next() else {
                self.caught_up();
                self.wait().await;
                continue;
            };
            match self.hand_on(&work, &file).await {
                Ok(()) => (self.pause, self.refused, self.unread) = (FIRST_PAUSE, 0, 0),
                Err(trouble) => self.back_off(trouble, &work, &file).await,
            }
        }
    }

    /// Waits until there may be something.
    async fn wait(&mut self) {
        let lost = async {
            if self.losses.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = self.log.shared().waiting.notified() => {}
            () = lost => {}
        }
    }

    async fn hand_on(&mut self, work: &Work, file: &Path) -> Result<(), Trouble> {
        let (path, from, to) = (file.to_owned(), work.from.offset, work.to);
        let piece = tokio::task::spawn_blocking(move || record::read(&path, from, to)).await;
        let piece = piece.map_err(|error| Trouble::File(std::io::Error::other(error)))?.map_err(Trouble::File)?;
        if piece.next <= from {
            let shorter = std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "it is shorter than it was");
            return Err(Trouble::File(shorter));
        }
        let now = self.store.now();
        let batches = Batches::of(&piece, work, |arrival| now.since(arrival.received_at) > FORGOTTEN);
        let mut refused = Vec::new();
        if !batches.arrivals.is_empty() {
            match append_within(APPEND_TIME, &*self.store, batches.arrivals).await {
                Ok(appended) => self.count(&appended, &batches.known),
                Err(StoreError::Corrupt(_)) => {
                    let again = Batches::of(&piece, work, |arrival| now.since(arrival.received_at) > FORGOTTEN);
                    refused = self.one_by_one(again).await?;
                }
                Err(error) => return Err(Trouble::Store(error)),
            }
        }
        refused.extend(batches.unreadable);
        self.set_aside(refused).await?;
        for range in &piece.damaged {
            metrics::counter!("patchbay_spool_errors_total").increment(1);
            tracing::error!(
                file = %file.display(), from = range.start, bytes = range.end - range.start,
                "a part of the spool is damaged and was passed over: look at the disk"
            );
        }
        if batches.forgotten > 0 {
            tracing::warn!(
                batches = batches.forgotten,
                "batches that the store took more than a week ago were not given to it again"
            );
        }
        self.replayed += batches.spooled;
        metrics::counter!("patchbay_replayed_total").increment(batches.spooled);
        self.log.shared().change(|state| state.advance(work, piece.next, batches.spooled));
        Ok(())
    }

    /// Appends each event by itself, because the store refuses some of them; gives those.
    async fn one_by_one(&mut self, batches: Batches) -> Result<Vec<Vec<u8>>, Trouble> {
        let (mut refused, mut why) = (Vec::new(), String::new());
        for (arrival, known) in batches.arrivals.into_iter().zip(batches.known) {
            let json = serde_json::to_vec(std::slice::from_ref(&arrival));
            match append_within(APPEND_TIME, &*self.store, vec![arrival]).await {
                Ok(appended) => self.count(&appended, &[known]),
                Err(StoreError::Corrupt(reason)) => {
                    refused.extend(json);
                    why = reason;
                }
                Err(error) => return Err(Trouble::Store(error)),
            }
        }
        let tries = if self.works { FEW_TRIES } else { MANY_TRIES };
        if !refused.is_empty() && self.refused < tries {
            return Err(Trouble::Refused(why));
        }
        Ok(refused)
    }

    /// Puts into a file of its own what would keep everything else waiting for ever.
    async fn set_aside(&mut self, refused: Vec<Vec<u8>>) -> Result<(), Trouble> {
        if refused.is_empty() {
            return Ok(());
        }
        let mut records = Vec::new();
        for json in &refused {
            records.extend(Frame::of_json(json).map_err(Trouble::Store)?.record(Kind::Spooled));
        }
        let shared = Arc::clone(self.log.shared());
        let write = move || shared.folder.set_aside(shared.number(), &records);
        let written = tokio::task::spawn_blocking(write).await;
        let file = written.map_err(|error| Trouble::File(std::io::Error::other(error)))?.map_err(Trouble::File)?;
        self.works = false;
        metrics::counter!("patchbay_spool_refused_total").increment(refused.len() as u64);
        tracing::error!(
            file = %file.display(), records = refused.len(),
            "accepted events that the store cannot take were set aside, so that others need not wait for them: run \
             `patchbay store verify`, and when the store is repaired, rename the file so that it ends in `.log` and start \
             this node again"
        );
        Ok(())
    }

    fn count(&mut self, appended: &[Appended], known: &[bool]) {
        self.works = true;
        let (mut lost, mut strangers) = (0_u64, 0_u64);
        for (one, known) in appended.iter().zip(known) {
            lost += u64::from(*known && matches!(one, Appended::New { .. }));
            strangers += u64::from(!known && matches!(one, Appended::Stranger));
        }
        self.missing += lost;
        metrics::counter!("patchbay_reappended_total").increment(lost);
        metrics::counter!("patchbay_foreign_items_total").increment(strangers);
    }

    /// Says what was done since the store was away.
    fn caught_up(&mut self) {
        let (replayed, missing) = (std::mem::take(&mut self.replayed), std::mem::take(&mut self.missing));
        if replayed > 0 {
            tracing::info!(batches = replayed, "everything that was spooled is in the store");
        }
        if missing > 0 {
            tracing::warn!(events = missing, "the store had lost events that it had taken; it has them again");
        }
    }

    async fn back_off(&mut self, trouble: Trouble, work: &Work, file: &Path) {
        let first = self.pause == FIRST_PAUSE;
        match trouble {
            Trouble::Store(error) if first => {
                tracing::warn!(%error, "the store does not take what is spooled; waiting")
            }
            Trouble::Store(error) => tracing::debug!(%error, "the store does not take what is spooled yet"),
            Trouble::Refused(reason) => {
                self.refused += 1;
                tracing::warn!(reason, tries = self.refused, "the store refuses accepted events");
            }
            Trouble::File(error) => {
                self.unread += 1;
                metrics::counter!("patchbay_spool_errors_total").increment(1);
                tracing::error!(%error, file = %file.display(), "a file of the spool cannot be read, or none can be written");
                if self.unread >= MANY_TRIES {
                    self.give_up(work, file).await;
                }
            }
        }
        // Nodes that lost the store together do not come back together.
        tokio::time::sleep(self.pause.mul_f64(rand::random_range(0.5..1.0))).await;
        self.pause = LONGEST_PAUSE.min(self.pause * 2);
    }

    /// Leaves a file alone that cannot be read, for the sake of those behind it.
    async fn give_up(&mut self, work: &Work, file: &Path) {
        // Nothing more may be written to it.
        let _handle = self.log.handle(true).await;
        self.log.shared().change(|state| state.give_up(work.from.segment));
        self.unread = 0;
        tracing::error!(
            file = %file.display(), from = work.from.offset,
            "what is left in this file of the spool was not given to the store; it is tried again at the next start"
        );
    }
}
