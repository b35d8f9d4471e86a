//! The one thread that writes: whatever has come in while it was flushing shares the next flush.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::append::{self, Incoming, Places};
use super::commit::{Applied, Prepared};
use super::tables::Tables;
use super::{Shared, fault};
use crate::{Appended, Lease, Partition, Removed, Shelved, Shelving, StoreError};

/// Jobs that share one flush at most: enough that a flush costs each of them little, few enough that the first of them
/// is answered within some 50 ms on a slow disk.
const BATCH: usize = 1_024;

/// How long writes are refused after a disk error, before the disk is tried again; doubled with each failure …
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// … up to this: opening a large file again after an error reads all of it, which must not become all that it does.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Where an answer goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// Something to write.
pub(super) enum Job {
    Append(Vec<Incoming>, Reply<Vec<Appended>>),
    Commit(Box<Prepared>, Reply<()>),
    Acquire(Partition, Reply<Option<Lease>>),
    Release(Lease, Reply<()>),
    Shelve(Shelving, Reply<Shelved>),
    /// A change that is no part of the daily work.
    Upkeep(Change, Reply<Removed>),
    /// Open the file again, where an error has closed it and the pause is over.
    Nudge,
    /// Finish what came before, and end.
    Close,
}

/// What is told to the caller once it is known whether the batch is durable.
type Answer = Box<dyn FnOnce(Result<(), &str>) + Send>;

/// `Err` is the whole batch's: its text is told to every caller in it.
pub(super) type Outcome<T> = Result<Result<T, StoreError>, StoreError>;

/// What a job of upkeep does to the tables; given besides: who holds leases, and where new events go.
pub(super) type Change = Box<dyn FnOnce(&mut Tables<'_>, &mut Places, &Shared) -> Outcome<Removed> + Send>;

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) jobs: mpsc::Receiver<Job>,
    pub(super) places: Places,
    pub(super) quick_repair: bool,
    /// Set after a disk error: until when writes are refused, how long the pause is, and why.
    pub(super) paused: Option<Pause>,
}

/// Why nothing is written for a while.
pub(super) struct Pause {
    until: Instant,
    length: Duration,
    reason: String,
}

impl Pause {
    /// The first one.
    pub(super) fn new(reason: String) -> Self {
        Self { until: Instant::now() + FIRST_PAUSE, length: FIRST_PAUSE, reason }
    }
}

impl Writer {
    /// Writes until the store is closed or dropped.
    pub(super) fn run(mut self) {
        let mut jobs = Vec::new();
        let mut open = true;
        while open && self.jobs.blocking_recv_many(&mut jobs, BATCH) > 0 {
            if let Some(close) = jobs.iter().position(|job| matches!(job, Job::Close)) {
                jobs.truncate(close);
                open = false;
            }
            self.batch(jobs.drain(..));
        }
        self.shared.file.close();
    }

    fn batch(&mut self, jobs: impl Iterator<Item = Job>) {
        let ready = self.ready();
        let (mut answers, mut granted) = (Vec::new(), Vec::new());
        let written = match ready {
            Ok(()) => self.write(jobs, &mut answers, &mut granted),
            Err(reason) => {
                answers.extend(jobs.map(refuse));
                Err(reason)
            }
        };
        let grown = std::mem::take(&mut self.places.grown);
        match written {
            Ok(()) => {
                self.paused = None;
                self.shared.leases().extend(granted.into_iter().map(|lease: Lease| (lease.partition, lease)));
                answers.into_iter().for_each(|answer| answer(Ok(())));
                grown.into_iter().for_each(|partition| self.shared.wake(partition));
            }
            Err(reason) => answers.into_iter().for_each(|answer| answer(Err(&reason))),
        }
    }

    /// Whether the disk may be tried; opens the file again where an error has closed it.
    fn ready(&mut self) -> Result<(), String> {
        match &self.paused {
            Some(pause) if Instant::now() < pause.until => return Err(pause.reason.clone()),
            _ => {}
        }
        if self.shared.file.writable() {
            return Ok(());
        }
        let opened = self.shared.file.reopen();
        opened.map_err(|error| self.pause(error))
    }

    /// Writes all jobs in one transaction. Leaves an answer for each of them, whatever happens.
    fn write(
        &mut self,
        mut jobs: impl Iterator<Item = Job>,
        answers: &mut Vec<Answer>,
        granted: &mut Vec<Lease>,
    ) -> Result<(), String> {
        let shared = Arc::clone(&self.shared);
        let written = self.transact(&shared, &mut jobs, answers, granted);
        answers.extend(jobs.map(refuse));
        written.map_err(|error| {
            let reason = self.pause(match error {
                StoreError::Unavailable(what) => {
                    StoreError::Unavailable(format!("{}: {what}", shared.file.path().display()))
                }
                other => other,
            });
            // At once, so that reads go on: the engine refuses them too after an error. Writes wait.
            if let Err(error) = shared.file.reopen() {
                tracing::error!(%error, "the store's file cannot be opened again for writing");
            }
            reason
        })
    }

    fn transact(
        &mut self,
        shared: &Shared,
        jobs: &mut impl Iterator<Item = Job>,
        answers: &mut Vec<Answer>,
        granted: &mut Vec<Lease>,
    ) -> Result<(), StoreError> {
        let handle = shared.file.handle();
        let database = &handle.as_ref().ok_or_else(|| shared.file.absent())?.database;
        let mut transaction = database.begin_write().map_err(fault)?;
        transaction.set_quick_repair(self.quick_repair);
        let mut batch =
            Batch { shared, tables: Tables::of(&transaction), places: &mut self.places, granted, dirty: false };
        for job in jobs {
            batch.job(job, answers)?;
        }
        let dirty = batch.dirty;
        drop(batch);
        if dirty { transaction.commit().map_err(fault) } else { transaction.abort().map_err(fault) }
    }

    /// Remembers not to write for a while, and says why.
    fn pause(&mut self, error: StoreError) -> String {
        let length = self.paused.as_ref().map_or(FIRST_PAUSE, |pause| LONGEST_PAUSE.min(pause.length * 2));
        tracing::error!(%error, pause_s = length.as_secs(), "the store could not write");
        let reason = match error {
            StoreError::Unavailable(reason) => reason,
            other => other.to_string(),
        };
        self.paused = Some(Pause { until: Instant::now() + length, length, reason: reason.clone() });
        reason
    }
}

/// One transaction in the making.
struct Batch<'b, 't> {
    shared: &'b Shared,
    tables: Tables<'t>,
    places: &'b mut Places,
    /// Leases that count once the batch is durable.
    granted: &'b mut Vec<Lease>,
    /// Something has been changed.
    dirty: bool,
}

impl Batch<'_, '_> {
    /// Does a job and leaves its answer. An error is the whole batch's; the job has its answer all the same.
    fn job(&mut self, job: Job, answers: &mut Vec<Answer>) -> Result<(), StoreError> {
        match job {
            Job::Append(arrivals, reply) => settle(self.append(&arrivals).map(Ok), reply, answers),
            Job::Commit(prepared, reply) => settle(self.commit(&prepared), reply, answers),
            Job::Acquire(partition, reply) => settle(self.acquire(partition).map(Ok), reply, answers),
            // Nothing to write: the epoch stays, and the next owner's is one higher.
            Job::Release(lease, reply) => settle(Ok(self.shared.release(&lease)), reply, answers),
            Job::Shelve(shelving, reply) => settle(self.shelve(&shelving).map(Ok), reply, answers),
            Job::Upkeep(change, reply) => {
                self.dirty = true;
                settle(change(&mut self.tables, self.places, self.shared), reply, answers)
            }
            Job::Nudge | Job::Close => Ok(()),
        }
    }

    fn append(&mut self, arrivals: &[Incoming]) -> Result<Vec<Appended>, StoreError> {
        let mut appended = Vec::with_capacity(arrivals.len());
        for incoming in arrivals {
            let one = append::append(&mut self.tables, self.places, incoming)?;
            self.dirty |= matches!(one, Appended::New { .. });
            appended.push(one);
        }
        Ok(appended)
    }

    fn commit(&mut self, prepared: &Prepared) -> Outcome<()> {
        if let Err(fenced) = self.shared.check(&prepared.lease) {
            return Ok(Err(fenced));
        }
        match prepared.apply(&mut self.tables, self.places)? {
            Applied::Now => self.dirty = true,
            Applied::Before => {}
            Applied::Refused(error) => return Ok(Err(error)),
        }
        Ok(Ok(()))
    }

    fn shelve(&mut self, shelving: &Shelving) -> Result<Shelved, StoreError> {
        let shelved = shelving.apply(&mut self.tables)?;
        self.dirty |= matches!(shelved, Shelved::Written(_));
        Ok(shelved)
    }

    fn acquire(&mut self, partition: Partition) -> Result<Option<Lease>, StoreError> {
        let held = self.shared.leases().contains_key(&partition);
        if held || self.granted.iter().any(|lease| lease.partition == partition) {
            return Ok(None);
        }
        let last = self.tables.epochs.get(partition.0).map_err(fault)?.map_or(0, |epoch| epoch.value());
        let lease = Lease { partition, epoch: last.saturating_add(1), token: rand::random() };
        self.tables.epochs.insert(partition.0, lease.epoch).map_err(fault)?;
        self.dirty = true;
        self.granted.push(lease.clone());
        Ok(Some(lease))
    }
}

/// Leaves an answer for later, and passes the batch's own error on.
fn settle<T: Send + 'static>(
    outcome: Outcome<T>,
    reply: Reply<T>,
    answers: &mut Vec<Answer>,
) -> Result<(), StoreError> {
    match outcome {
        Ok(result) => {
            answers.push(Box::new(move |batch| {
                // A caller that has gone away does not want to know.
                let _gone = reply.send(batch.map_err(unavailable).and(result));
            }));
            Ok(())
        }
        Err(error) => {
            answers.push(refusal(reply));
            Err(error)
        }
    }
}

fn unavailable(reason: &str) -> StoreError {
    StoreError::Unavailable(reason.to_owned())
}

fn refusal<T: Send + 'static>(reply: Reply<T>) -> Answer {
    Box::new(move |batch| {
        if let Err(reason) = batch {
            let _gone = reply.send(Err(unavailable(reason)));
        }
    })
}

/// The answer to a job that was not begun.
fn refuse(job: Job) -> Answer {
    match job {
        Job::Append(_, reply) => refusal(reply),
        Job::Commit(_, reply) => refusal(reply),
        Job::Acquire(_, reply) => refusal(reply),
        Job::Release(_, reply) => refusal(reply),
        Job::Shelve(_, reply) => refusal(reply),
        Job::Upkeep(_, reply) => refusal(reply),
        Job::Nudge | Job::Close => Box::new(|_| ()),
    }
}
