//! The loop: journal → decide → commit → effects → outcomes as events.
//!
//! Data flows one way. An [`owner`] reads its partition's journal into one queue per conversation; [`decide`] asks the
//! chain's handlers, lets [`plan`] work out what follows and commits it; the [`lanes`] carry the tasks out, each
//! conversation's in order, and commit what became of them, which may be events again.
//!
//! # Layout
//! - [`keyed`]: queues by key with one worker each
//! - [`owner`]: one partition: lease, journal, timers
//! - [`chain`]: which handlers are asked, and what happens when one fails
//! - [`decide`]: one event from journal to commit
//! - [`plan`]: what follows from an event, purely
//! - [`words`]: messages as text for people
//! - [`lanes`]: effects, with pace, retry and dead letters
//! - [`media`]: stored media for plugins

pub mod chain;
pub mod decide;
pub mod keyed;
pub mod lanes;
pub mod media;
pub mod owner;
pub mod plan;
pub mod words;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use patchbay_media::Blobs;
use patchbay_model::conversation::Channel;
use patchbay_model::{Task, TaskId, Timestamp};
use patchbay_runtime::Plugin;
use patchbay_store::{Partition, Store, StoreError};
use patchbay_whatsapp::graph::Graph;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::chain::Chain;
use self::lanes::Lanes;
use self::owner::Owner;
use crate::config::Retry;

/// Events that are decided at once on a node: enough that the commits of many share one flush, few enough that their
/// state fits in memory.
const DECIDING_AT_ONCE: usize = 256;

/// A business number and the way to write from it.
#[derive(Debug)]
pub struct ChannelLine {
    /// Who it is.
    pub channel: Channel,
    /// Meta's side of it.
    pub graph: Graph,
    /// The most messages a second that are sent from it.
    pub rate_per_second: u32,
}

/// A desk and its plugin.
#[derive(Debug)]
pub struct DeskLine {
    /// The plugin that speaks its API.
    pub plugin: Plugin,
    /// Calls at once.
    pub concurrency: usize,
    /// The most calls a minute, where the vendor has such a limit.
    pub rate_per_minute: Option<u32>,
    /// How long one call may take.
    pub timeout: Duration,
    /// How long an entry waits for its files before it is written without them.
    pub media_wait: Duration,
}

/// How the loop behaves.
#[derive(Debug)]
pub struct EngineOptions {
    /// Numbers by channel name.
    pub channels: BTreeMap<String, ChannelLine>,
    /// Desks by name.
    pub desks: BTreeMap<String, DeskLine>,
    /// Chains, in the order in which they are tried.
    pub chains: Vec<Arc<Chain>>,
    /// Show the customer that a message was read, and that an answer is being written.
    pub read_receipts: bool,
    /// How lanes try again.
    pub retry: Retry,
    /// How long a send whose answer was lost waits for a status before it is sent again.
    pub reconcile_wait: Duration,
}

/// What every part of the loop shares.
#[derive(Debug)]
pub struct Shared {
    /// How the loop behaves.
    pub options: EngineOptions,
    /// Durable state.
    pub store: Arc<dyn Store>,
    /// Stored media.
    pub blobs: Arc<Blobs>,
    /// Effects on their way.
    pub lanes: Lanes,
    /// Is cancelled when nothing new is to be started.
    pub stop: CancellationToken,
    /// Everything that was started.
    pub tracker: TaskTracker,
    /// Is notified when a piece of media has been stored or given up.
    pub media_settled: Notify,
    /// The desks that there are.
    pub desks: BTreeSet<String>,
    deciding: Semaphore,
}

/// The running loop.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<Shared>,
    owners: HashMap<Partition, Arc<Owner>>,
}

impl Engine {
    /// Takes the partitions and starts working them off.
    ///
    /// # Errors
    /// When the store does not let the node read what is pending.
    pub async fn start(options: EngineOptions, store: Arc<dyn Store>, blobs: Arc<Blobs>) -> Result<Self, StoreError> {
        let stop = CancellationToken::new();
        let lanes = Lanes::new(&options, stop.clone());
        let desks = options.desks.keys().cloned().collect();
        let shared = Arc::new(Shared {
            desks,
            options,
            store,
            blobs,
            lanes,
            stop,
            tracker: TaskTracker::new(),
            media_settled: Notify::new(),
            deciding: Semaphore::new(DECIDING_AT_ONCE),
        });
        let mut owners = HashMap::new();
        for partition in (0..shared.store.partitions()).map(Partition) {
            if let Some(owner) = Owner::acquire(&shared, partition).await? {
                owners.insert(partition, owner);
            }
        }
        Ok(Self { shared, owners })
    }

    /// What every part shares.
    #[must_use]
    pub const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// How many partitions this node owns.
    #[must_use]
    pub fn owned(&self) -> usize {
        self.owners.len()
    }

    /// Puts a dead letter back into its lane, and gives the task. None: there is no such letter.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn revive(&self, id: TaskId) -> Result<Option<Task>, StoreError> {
        let shared = Arc::clone(&self.shared);
        let owners = self.owners.clone();
        // On its own: a caller that goes away in between must not leave a task that nobody runs.
        let revival = self.shared.tracker.spawn(async move {
            let revived = shared.store.revive(&id, Timestamp::now()).await?;
            if let Some(task) = &revived
                && let Some(owner) = owners.get(&shared.store.partition_of(&task.conversation))
            {
                owner.run_task(task.clone(), true);
            }
            Ok(revived)
        });
        revival.await.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
    }

    /// Starts nothing new, waits up to `grace` for what has been started, and gives the partitions back. What was not
    /// finished is in the store. `true`: everything was finished.
    pub async fn stop(&self, grace: Duration) -> bool {
        self.shared.stop.cancel();
        self.shared.tracker.close();
        let finished = tokio::time::timeout(grace, self.shared.tracker.wait()).await.is_ok();
        for owner in self.owners.values() {
            if let Err(error) = self.shared.store.release(owner.lease().clone()).await {
                tracing::warn!(%error, "a partition could not be given back");
            }
        }
        finished
    }
}
