//! The loop: journal → decide → commit → effects → outcomes as events.
//!
//! Data flows one way. The [`ownership`] takes this node's share of the partitions. An [`owner`] reads its partition's journal into one queue per conversation; [`decide`] asks the
//! chain's handlers, lets [`plan`] work out what follows and commits it; the [`lanes`] carry the tasks out, each
//! conversation's in order, and commit what became of them, which may be events again.
//!
//! # Layout
//! - [`keyed`]: queues by key with one worker each
//! - [`membership`], [`beats`]: which node should have which partition, and who lives
//! - [`ownership`]: partitions taken and given up; [`tenure`]: a lease and until when it is relied on
//! - [`owner`]: one partition: journal, timers, tasks; [`owners`]: all of this node's
//! - [`retention`]: what is past its time is removed
//! - [`chain`]: which handlers are asked, and what happens when one fails
//! - [`slot`]: a deployment, and which of its generations is asked
//! - [`routing`]: numbers, desks and chains, as one whole that a reload exchanges
//! - [`course`]: what an event goes on with from its first attempt to its commit; [`kept`]: what plugins keep in one of them
//! - [`decide`]: one event from journal to commit; `decision`: why it went where it went
//! - `parked`: events that were put aside
//! - [`plan`]: what follows from an event, purely
//! - [`words`]: messages as text for people; [`summary`]: actions in a few words
//! - [`lanes`]: effects, with pace, retry and dead letters
//! - [`media`]: stored media for plugins

pub mod beats;
pub mod chain;
pub mod course;
pub mod decide;
mod decision;
pub mod kept;
pub mod keyed;
pub mod lanes;
pub mod media;
pub mod membership;
pub mod owner;
pub mod owners;
pub mod ownership;
mod parked;
pub mod plan;
pub mod retention;
pub mod routing;
pub mod slot;
pub mod summary;
pub mod tenure;
#[cfg(test)]
mod tests;
pub mod words;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use patchbay_media::Blobs;
use patchbay_model::event::LetterOrder;
use patchbay_model::{Arrival, Body, EventId, Route, Timestamp};
use patchbay_store::{Store, StoreError};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::lanes::{Effects, Lanes};
use self::owners::Owners;
use self::ownership::{Ownership, Status};
pub use self::routing::{ChannelLine, DeskLine, Routing};
use self::slot::Slots;

/// Events that are decided at once on a node: enough that the commits of many share one flush, few enough that their
/// state fits in memory.
const DECIDING_AT_ONCE: usize = 256;

/// How long starting waits for the first partitions: with a store that does not answer it goes on without them.
const FIRST_PARTITIONS: Duration = Duration::from_secs(10);

/// How long giving the partitions back may take when the time to stop is over and effects were cut off.
const CUT_GRACE: Duration = Duration::from_secs(3);

/// Who this node is among those that share the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeName {
    /// Drawn at random when the process starts: a node that was restarted is another one.
    pub id: String,
    /// The operator's name for it.
    pub name: String,
}

/// How the loop begins.
#[derive(Debug)]
pub struct EngineOptions {
    /// Who this node is.
    pub node: NodeName,
    /// What carries effects out: [`Targets`](lanes::Targets).
    pub effects: Arc<dyn Effects>,
    /// Where things go.
    pub routing: Routing,
    /// The deployments.
    pub slots: Arc<Slots>,
}

/// What every part of the loop shares.
#[derive(Debug)]
pub struct Shared {
    /// Who this node is.
    pub node: NodeName,
    /// What carries effects out.
    pub effects: Arc<dyn Effects>,
    routing: ArcSwap<Routing>,
    /// The deployments.
    pub slots: Arc<Slots>,
    /// Durable state.
    pub store: Arc<dyn Store>,
    /// Stored media.
    pub blobs: Arc<Blobs>,
    /// Effects on their way.
    pub lanes: Lanes,
    /// The partitions that this node works on.
    pub owners: Owners,
    /// Is cancelled when nothing new is to be started.
    pub stop: CancellationToken,
    /// Is cancelled when what was started is to be dropped, too.
    pub cut: CancellationToken,
    /// Everything that was started.
    pub tracker: TaskTracker,
    /// Is notified when a piece of media has been stored or given up.
    pub media_settled: Notify,
    deciding: Semaphore,
    /// When the store last may have lost the end of its history, in milliseconds; 0: never, as far as this node knows.
    lost_at: AtomicU64,
}

impl Shared {
    /// Where things go now. Whoever does one thing in several steps keeps what this gives.
    #[must_use]
    pub fn routing(&self) -> Arc<Routing> {
        self.routing.load_full()
    }

    /// Exchanges where things go: for the events whose decision has not begun, and for the next try of every task. Lanes
    /// that go on keep their gates and their places; tasks of a lane that is there no more wait until it is back.
    pub fn reroute(&self, routing: Routing) {
        self.lanes.adapt(&routing);
        self.routing.store(Arc::new(routing));
        self.lanes.tell();
    }

    /// When the store last may have lost the end of its history, as far as this node knows.
    fn lost_at(&self) -> Option<Timestamp> {
        let at = self.lost_at.load(Ordering::Relaxed);
        (at > 0).then(|| Timestamp::from_millis(at))
    }

    /// Takes note that the store may have lost the end of its history.
    fn lost(&self) {
        self.lost_at.store(self.store.now().as_millis(), Ordering::Relaxed);
    }
}

/// The running loop.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<Shared>,
    status: watch::Receiver<Status>,
}

impl Engine {
    /// Starts taking partitions and working them off; the first ones are here when it returns, if the store answers.
    ///
    /// # Errors
    /// When the store can never be used: [`StoreError::Unsuitable`].
    pub async fn start(options: EngineOptions, store: Arc<dyn Store>, blobs: Arc<Blobs>) -> Result<Self, StoreError> {
        let EngineOptions { node, effects, routing, slots } = options;
        let lanes = Lanes::new(&routing);
        let shared = Arc::new(Shared {
            node,
            effects,
            routing: ArcSwap::from_pointee(routing),
            slots,
            store,
            blobs,
            lanes,
            owners: Owners::default(),
            stop: CancellationToken::new(),
            cut: CancellationToken::new(),
            tracker: TaskTracker::new(),
            media_settled: Notify::new(),
            deciding: Semaphore::new(DECIDING_AT_ONCE),
            lost_at: AtomicU64::new(0),
        });
        shared.tracker.spawn(retention::thin_out(Arc::clone(&shared)));
        let engine = Self { status: Ownership::start(&shared), shared };
        let mut status = engine.status.clone();
        let settled =
            |status: &Status| status.settled || status.problem.as_ref().is_some_and(|problem| problem.lasting);
        let first = tokio::time::timeout(FIRST_PARTITIONS, status.wait_for(settled)).await;
        let problem = first.ok().and_then(|status| status.ok()?.problem.clone());
        if let Some(problem) = problem.filter(|problem| problem.lasting) {
            engine.stop(Duration::ZERO).await;
            return Err(StoreError::Unsuitable(problem.message));
        }
        Ok(engine)
    }

    /// What every part shares.
    #[must_use]
    pub const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// How many partitions this node owns.
    #[must_use]
    pub fn owned(&self) -> usize {
        self.shared.owners.len()
    }

    /// How it stands with the partitions.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Takes an operator's order about a dead letter into the journal of its conversation; it is carried out like every
    /// other event. `false`: there is no such letter.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn order_letter(&self, order: LetterOrder) -> Result<bool, StoreError> {
        let Some(letter) = self.shared.store.dead_letter(&order.task).await? else { return Ok(false) };
        let now = self.shared.store.now();
        // One order of a kind for the letter as it is: ordering the same twice is harmless.
        let state = serde_json::to_vec(&letter).unwrap_or_default();
        let verb = serde_json::to_vec(&order.verb).unwrap_or_default();
        let arrival = Arrival {
            id: EventId::derive(&[b"letter", order.task.as_str().as_bytes(), &state, &verb]),
            route: Route::Conversation(letter.task.conversation),
            occurred_at: now,
            received_at: now,
            body: Body::LetterOrder(order),
            raw: None,
        };
        self.shared.store.append(vec![arrival]).await?;
        Ok(true)
    }

    /// Starts nothing new, and gives each partition back as soon as what is in hand there is finished. What is not
    /// finished after `grace` is cut off; it is in the store. `true`: everything was finished.
    pub async fn stop(&self, grace: Duration) -> bool {
        self.shared.stop.cancel();
        self.shared.tracker.close();
        if tokio::time::timeout(grace, self.shared.tracker.wait()).await.is_ok() {
            return true;
        }
        self.shared.cut.cancel();
        if tokio::time::timeout(CUT_GRACE, self.shared.tracker.wait()).await.is_err() {
            tracing::warn!("the partitions could not be given back in time; other nodes wait for their leases to end");
        }
        false
    }
}
