//! Which partitions this node works on: those that are its share of the living nodes' and free.
//!
//! Each partition is one task, from being asked for to being given back: acquire, load, work, finish what is in hand,
//! release. The [`Ownership`] starts such tasks for what should be this node's, and closes those of what should be
//! another's. So a partition changes hands only between two commits and without an effect on its way, except where a node
//! was gone or paused for longer than a lease: fencing, and the effects' keys, are for that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use patchbay_store::{Lease, Partition, StoreError};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::beats::{Company, beat};
use super::membership::share;
use super::owner::Owner;
use super::tenure::{Ended, Tenure};

/// The pause before partitions that should be this node's and are not are tried again.
const TRY_AGAIN: Duration = Duration::from_millis(500);
/// Partitions that are acquired and loaded at once.
const TAKEN_AT_ONCE: usize = 32;
/// How long the store may take to grant a lease, where leases do not end.
const ACQUIRE_PATIENCE: Duration = Duration::from_secs(30);
/// How long the store may take to take a lease back: it ends by itself otherwise.
const RELEASE_PATIENCE: Duration = Duration::from_secs(2);

/// How it stands with the partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Nodes that live.
    pub nodes: usize,
    /// Partitions that should be this node's.
    pub wanted: usize,
    /// Everything that should be this node's has been tried at least once.
    pub settled: bool,
    /// What keeps partitions away from this node.
    pub problem: Option<Problem>,
}

/// What keeps partitions away from this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// For people.
    pub message: String,
    /// It does not pass by itself: the store is damaged, or not for this version.
    pub lasting: bool,
}

impl From<&StoreError> for Problem {
    fn from(error: &StoreError) -> Self {
        let lasting = matches!(error, StoreError::Unsuitable(_) | StoreError::Corrupt(_));
        Self { message: error.to_string(), lasting }
    }
}

/// How a partition's task ended.
#[derive(Debug)]
enum End {
    /// Somebody else has it.
    Taken,
    /// It could not be acquired or loaded.
    Failed(StoreError),
    /// It was given back.
    Released,
    /// What was in memory of it was dropped.
    Lost(Ended),
}

/// A partition's task.
#[derive(Debug)]
struct Slot {
    task: Id,
    /// It is loaded, and worked on.
    here: bool,
    /// Begins nothing more, and then gives the partition back.
    close: CancellationToken,
    /// Drops what is in memory.
    cut: CancellationToken,
}

/// Takes partitions and gives them up, by who lives.
#[derive(Debug)]
pub struct Ownership {
    shared: Arc<Shared>,
    company: watch::Receiver<Company>,
    status: watch::Sender<Status>,
    slots: BTreeMap<Partition, Slot>,
    tasks: JoinSet<(Partition, End)>,
    arrived: (mpsc::UnboundedSender<Partition>, mpsc::UnboundedReceiver<Partition>),
    taking: Arc<Semaphore>,
    failure: Option<Problem>,
}

impl Ownership {
    /// Starts taking partitions; it goes on until the gateway stops and everything is given back. Gives how it stands.
    #[must_use]
    pub fn start(shared: &Arc<Shared>) -> watch::Receiver<Status> {
        let (company_sender, company) = watch::channel(Company::default());
        let (status, watching) = watch::channel(Status::default());
        let over = CancellationToken::new();
        shared.tracker.spawn(beat(Arc::clone(shared), company_sender, over.clone()));
        let ownership = Self {
            shared: Arc::clone(shared),
            company,
            status,
            slots: BTreeMap::new(),
            tasks: JoinSet::new(),
            arrived: mpsc::unbounded_channel(),
            taking: Arc::new(Semaphore::new(TAKEN_AT_ONCE)),
            failure: None,
        };
        shared.tracker.spawn(async move {
            ownership.run().await;
            over.cancel();
        });
        watching
    }

    async fn run(mut self) {
        let stop = self.shared.stop.clone();
        let mut losses = self.shared.store.losses();
        let mut missing = false;
        while !stop.is_cancelled() || !self.tasks.is_empty() {
            tokio::select! {
                biased;
                Ok(()) = losses.changed() => self.drop_all(),
                Some(ended) = self.tasks.join_next_with_id() => missing |= self.ended(ended),
                Some(partition) = self.arrived.1.recv() => self.arrived(partition),
                () = stop.cancelled(), if !stop.is_cancelled() => {}
                Ok(()) = self.company.changed(), if !stop.is_cancelled() => missing = self.take_share(),
                () = tokio::time::sleep(TRY_AGAIN), if missing && !stop.is_cancelled() => missing = self.take_share(),
            }
            self.report();
        }
    }

    /// Closes what should be another node's, and asks for what should be this one's. `true`: some of it is not here.
    fn take_share(&mut self) -> bool {
        let company = self.company.borrow_and_update().clone();
        if company.silence.is_some() || company.nodes.is_empty() {
            return false;
        }
        let wanted = share(&self.shared.node.id, &company.nodes, self.shared.store.partitions());
        for (partition, slot) in &self.slots {
            if !wanted.contains(partition) && !slot.close.is_cancelled() {
                tracing::info!(%partition, "a partition is to be another node's; finishing what is in hand");
                slot.close.cancel();
            }
        }
        let absent: BTreeSet<Partition> =
            wanted.iter().copied().filter(|partition| !self.slots.contains_key(partition)).collect();
        for partition in &absent {
            self.ask_for(*partition);
        }
        self.status.send_modify(|status| {
            (status.nodes, status.wanted) = (company.nodes.len(), wanted.len());
        });
        !absent.is_empty()
    }

    fn ask_for(&mut self, partition: Partition) {
        let (close, cut) = (self.shared.stop.child_token(), self.shared.cut.child_token());
        let seat = Seat {
            shared: Arc::clone(&self.shared),
            partition,
            close: close.clone(),
            cut: cut.clone(),
            arrived: self.arrived.0.clone(),
        };
        let taking = Arc::clone(&self.taking);
        let task = self.tasks.spawn(async move { (partition, seat.hold(&taking).await) }).id();
        self.slots.insert(partition, Slot { task, here: false, close, cut });
    }

    fn arrived(&mut self, partition: Partition) {
        if let Some(slot) = self.slots.get_mut(&partition) {
            slot.here = true;
            self.failure = None;
            metrics::counter!("patchbay_handovers_total", "direction" => "taken").increment(1);
        }
    }

    /// Takes note of a partition's end. `true`: it may have to be asked for again.
    fn ended(&mut self, ended: Result<(Id, (Partition, End)), JoinError>) -> bool {
        let (partition, end) = match ended {
            Ok((_, ended)) => ended,
            Err(error) => {
                tracing::error!(%error, "a partition's task broke down");
                self.slots.retain(|_, slot| slot.task != error.id());
                return true;
            }
        };
        let here = self.slots.remove(&partition).is_some_and(|slot| slot.here);
        match end {
            End::Taken => self.failure = None,
            End::Released if here => {
                metrics::counter!("patchbay_handovers_total", "direction" => "given").increment(1);
                tracing::debug!(%partition, "a partition was given back");
            }
            End::Released => {}
            End::Lost(why) => {
                let reason = match why {
                    Ended::Dropped => "dropped",
                    Ended::Fenced => "fenced",
                    Ended::Expired => "expired",
                };
                metrics::counter!("patchbay_leases_lost_total", "reason" => reason).increment(1);
                tracing::warn!(%partition, reason, "a partition was lost; what was in memory of it is dropped");
            }
            End::Failed(error) => {
                let failure = Problem::from(&error);
                if self.failure.as_ref() != Some(&failure) {
                    tracing::error!(%error, %partition, "a partition could not be taken; trying again");
                }
                self.failure = Some(failure);
            }
        }
        true
    }

    /// What is in memory may be ahead of the store: it is dropped, and read again.
    fn drop_all(&self) {
        tracing::error!(
            partitions = self.slots.len(),
            "the store may have lost the end of its history; everything in memory is dropped and read again"
        );
        metrics::counter!("patchbay_store_losses_total").increment(1);
        self.shared.lost();
        self.slots.values().for_each(|slot| slot.cut.cancel());
    }

    fn report(&self) {
        let company = self.company.borrow();
        let silence = company.silence.clone().map(|message| Problem { message, lasting: false });
        let heard = silence.is_some() || !company.nodes.is_empty();
        drop(company);
        let coming = self.slots.values().any(|slot| !slot.here);
        let problem = silence.or_else(|| self.failure.clone());
        self.status.send_if_modified(|status| {
            let settled = status.settled || (heard && !coming);
            let changed = status.settled != settled || status.problem != problem;
            (status.settled, status.problem) = (settled, problem);
            changed
        });
        metrics::gauge!("patchbay_partitions_owned")
            .set(f64::from(u32::try_from(self.shared.owners.len()).unwrap_or(u32::MAX)));
    }
}

/// What one partition's task works with.
struct Seat {
    shared: Arc<Shared>,
    partition: Partition,
    close: CancellationToken,
    cut: CancellationToken,
    arrived: mpsc::UnboundedSender<Partition>,
}

impl Seat {
    /// The partition from being asked for to being given back.
    async fn hold(self, taking: &Semaphore) -> End {
        let store = &self.shared.store;
        let Ok(place) = taking.acquire().await else { return End::Released };
        if self.close.is_cancelled() {
            return End::Released;
        }
        let lasts = store.lease_time();
        // From before the request: the store's lease begins later, and so ends later.
        let asked = Instant::now();
        let acquired = tokio::time::timeout(lasts.unwrap_or(ACQUIRE_PATIENCE), store.acquire(self.partition)).await;
        let lease = match acquired {
            Ok(Ok(Some(lease))) => lease,
            Ok(Ok(None)) => return End::Taken,
            Ok(Err(error)) => return End::Failed(error),
            Err(_) => return End::Failed(StoreError::Unavailable("it did not answer in time".into())),
        };
        let tenure = Arc::new(Tenure::new(lease.clone(), asked, lasts, self.cut.clone()));
        let (kept, keeper) = (Arc::clone(&tenure), Arc::clone(store));
        self.shared.tracker.spawn(async move { kept.keep(&*keeper).await });
        let end = self.work(&tenure, place).await;
        tenure.end(Ended::Dropped);
        if !matches!(end, End::Lost(Ended::Fenced)) {
            self.give_back(lease).await;
        }
        end
    }

    async fn work(&self, tenure: &Arc<Tenure>, place: SemaphorePermit<'_>) -> End {
        let lost = || End::Lost(tenure.ended().unwrap_or(Ended::Dropped));
        let pending = match tenure.while_held(self.shared.store.load(tenure.lease())).await {
            Some(Ok(pending)) => pending,
            Some(Err(StoreError::Fenced(_))) => {
                tenure.end(Ended::Fenced);
                return lost();
            }
            Some(Err(error)) => return End::Failed(error),
            None => return lost(),
        };
        drop(place);
        let owner = Owner::start(&self.shared, Arc::clone(tenure), pending, self.close.clone());
        let _entered = self.shared.owners.enter(&owner);
        // Nobody listens any more when the process ends.
        let _ended = self.arrived.send(self.partition);
        owner.gone().await;
        owner.idle().await;
        if tenure.holds() { End::Released } else { lost() }
    }

    async fn give_back(&self, lease: Lease) {
        let partition = self.partition;
        match tokio::time::timeout(RELEASE_PATIENCE, self.shared.store.release(lease)).await {
            Ok(Ok(()) | Err(StoreError::Fenced(_))) => {}
            Ok(Err(error)) => tracing::warn!(%error, %partition, "a partition could not be given back"),
            Err(_) => tracing::warn!(%partition, "a partition could not be given back in time"),
        }
    }
}
