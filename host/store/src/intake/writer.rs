//! The one thread that writes the log: whatever has come in while it was flushing shares the next flush.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::log::{Shared, Ticket, WriteError};
use super::record::{FIRST, Kind};
use super::state::Place;

/// Records that share one flush at most.
const BATCH: usize = 256;

/// Where the answer to a write goes.
type Reply = oneshot::Sender<Result<Place, WriteError>>;

/// Something for the thread.
pub(super) enum Job {
    Write {
        kind: Kind,
        record: Vec<u8>,
        ticket: Option<Ticket>,
        reply: Reply,
    },
    /// A handle on the segment, so that somebody else flushes it; `seal`: the next record begins another one.
    Handle {
        seal: bool,
        reply: oneshot::Sender<Option<File>>,
    },
    /// Finish what came before, and end.
    Close,
}

/// The segment that is written.
struct Active {
    number: u64,
    file: File,
    /// Up to where it is written well.
    bytes: u64,
    /// Its name is not known to be durable.
    fresh: bool,
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    jobs: mpsc::Receiver<Job>,
    active: Option<Active>,
    /// Written, and to be answered once they are durable.
    unflushed: Vec<(Place, Option<Ticket>, Reply)>,
    /// The last write has failed, and the operator was told.
    broken: bool,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, jobs: mpsc::Receiver<Job>) -> Self {
        Self { shared, jobs, active: None, unflushed: Vec::new(), broken: false }
    }

    /// Writes until the log is closed or dropped.
    pub(super) fn run(mut self) {
        let mut jobs = Vec::new();
        while self.jobs.blocking_recv_many(&mut jobs, BATCH) > 0 {
            for job in jobs.drain(..) {
                match job {
                    Job::Write { kind, record, ticket, reply } => self.write(kind, &record, ticket, reply),
                    Job::Handle { seal, reply } => {
                        // Somebody who has gone away does not want to know.
                        let _gone = reply.send(self.handle(seal));
                    }
                    Job::Close => return self.flush(),
                }
            }
            self.flush();
        }
    }

    fn write(&mut self, kind: Kind, record: &[u8], ticket: Option<Ticket>, reply: Reply) {
        match self.append(kind, record) {
            Ok(place) if kind == Kind::Spooled => self.unflushed.push((place, ticket, reply)),
            written => {
                drop(ticket);
                let _gone = reply.send(written);
            }
        }
    }

    fn append(&mut self, kind: Kind, record: &[u8]) -> Result<Place, WriteError> {
        let length = record.len() as u64;
        if self.shared.look(|state| state.bytes) + length > self.shared.max_bytes {
            return Err(WriteError::Full);
        }
        if self.active.as_ref().is_some_and(|active| active.bytes >= self.shared.segment_bytes) {
            self.seal();
        }
        let written = self.active().and_then(|active| {
            active.file.write_all(record)?;
            active.bytes += length;
            Ok(active.number)
        });
        let number = written.map_err(|error| {
            // What was written of it must not stay, where that is possible; elsewhere its checksum tells.
            if let Some(active) = &self.active {
                let _still_there = if active.bytes > FIRST {
                    active.file.set_len(active.bytes)
                } else {
                    std::fs::remove_file(self.shared.folder.segment(active.number))
                };
            }
            self.seal();
            self.failed(&error)
        })?;
        if std::mem::take(&mut self.broken) {
            tracing::info!("the spool can be written again");
        }
        let (place, first) = self.shared.change(|state| {
            let behind = state.waiting > 0;
            (state.written(kind, number, length), kind == Kind::Spooled && !behind)
        });
        if first {
            tracing::warn!("the store is away: what is accepted is kept in this node's spool until it is back");
        }
        Ok(place)
    }

    /// The segment to write to; makes one if there is none.
    fn active(&mut self) -> io::Result<&mut Active> {
        let active = match self.active.take() {
            Some(active) => active,
            None => {
                let number = self.shared.number();
                Active { number, file: self.shared.folder.create(number)?, bytes: FIRST, fresh: true }
            }
        };
        Ok(self.active.insert(active))
    }

    /// The next record begins another segment.
    fn seal(&mut self) {
        self.flush();
        self.active = None;
        self.shared.change(|state| state.seal());
    }

    fn handle(&mut self, seal: bool) -> Option<File> {
        let file = self.active.as_ref()?.file.try_clone();
        if seal {
            self.seal();
        }
        file.ok()
    }

    /// Makes durable what was spooled, and answers for it.
    fn flush(&mut self) {
        if self.unflushed.is_empty() {
            return;
        }
        let flushed = self.sync();
        let flushed = flushed.map_err(|error| {
            // What this file holds is not known from now on.
            self.active = None;
            self.shared.change(|state| state.seal());
            self.failed(&error)
        });
        for (place, ticket, reply) in self.unflushed.drain(..) {
            drop(ticket);
            let _gone = reply.send(flushed.clone().map(|()| place));
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        if let Some(active) = &mut self.active {
            active.file.sync_data()?;
            if std::mem::take(&mut active.fresh) {
                self.shared.folder.sync()?;
            }
        }
        Ok(())
    }

    /// Tells the operator, once.
    fn failed(&mut self, error: &io::Error) -> WriteError {
        metrics::counter!("patchbay_spool_errors_total").increment(1);
        if !std::mem::replace(&mut self.broken, true) {
            tracing::error!(
                %error,
                "the spool cannot be written: look at the disk under `data_dir`. While the store is there, accepting goes \
                 on, but a failover may lose what it had not copied yet; while it is away, webhooks are answered 503"
            );
        }
        WriteError::Disk(error.to_string())
    }
}
