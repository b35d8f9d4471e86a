//! What an operator does with the store.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use patchbay_model::Timestamp;
use redb::{ReadTransaction, ReadableTableMetadata};

use super::tables::{
    self, CONVERSATIONS, DEAD_LETTERS, DOCUMENTS, EVENTS, JOURNAL, LINKS, MEDIA, REPORTS, TASKS, TIMERS, table,
};
use super::thin::{self, Search};
use super::writer::Job;
use super::{EmbeddedStore, Shared, fault, reads, transfer, verify};
use crate::{
    ExportPage, Lease, Partition, Position, Record, Removed, Retention, Stats, StoreError, Upkeep, Verification,
};

/// How long the count of used bytes holds: counting reads the whole file.
const COUNT_HOLDS: Duration = Duration::from_secs(10 * 60);

#[async_trait]
impl Upkeep for EmbeddedStore {
    /// Bytes that are free are counted every ten minutes at most, and after thinning out.
    async fn stats(&self) -> Result<Stats, StoreError> {
        let shared = std::sync::Arc::clone(&self.shared);
        self.scan(move |transaction| stats(transaction, &shared)).await
    }

    /// While the store works, the engine's own structures cannot be looked at: [`EmbeddedStore::check`] does.
    async fn verify(&self) -> Result<Verification, StoreError> {
        let partitions = self.shared.partitions;
        self.scan(move |transaction| verify::verify(transaction, partitions)).await
    }

    async fn thin_out(&self, owned: &[Lease], kept: &Retention, now: Timestamp) -> Result<Removed, StoreError> {
        owned.iter().try_for_each(|lease| self.shared.check(lease))?;
        if owned.is_empty() {
            return Ok(Removed::default());
        }
        loop {
            let (leases, retention, partitions) = (owned.to_vec(), kept.clone(), self.shared.partitions);
            let of: BTreeSet<Partition> = owned.iter().map(|lease| lease.partition).collect();
            let past = self
                .scan(move |transaction| {
                    Search { transaction, owned: &of, partitions, retention: &retention, now }.find()
                })
                .await?;
            if past.is_empty() {
                return Ok(Removed::default());
            }
            let change = Box::new(move |tables: &mut tables::Tables<'_>, _: &mut _, shared: &Shared| {
                match leases.iter().try_for_each(|lease| shared.check(lease)) {
                    Err(fenced) => Ok(Err(fenced)),
                    Ok(()) => thin::remove(tables, &past, now).map(Ok),
                }
            });
            let removed = self.write(|reply| Job::Upkeep(change, reply)).await?;
            self.shared.used.forget();
            // Ids, and conversations without a state, do not count; their removal must not look like the end.
            if removed != Removed::default() {
                return Ok(removed);
            }
        }
    }

    async fn export(&self, from: Option<String>) -> Result<ExportPage, StoreError> {
        let partitions = self.shared.partitions;
        self.scan(move |transaction| transfer::export(transaction, partitions, from.as_deref())).await
    }

    async fn import(&self, records: Vec<Record>) -> Result<(), StoreError> {
        let change = Box::new(move |tables: &mut tables::Tables<'_>, places: &mut _, _: &Shared| {
            transfer::import(tables, places, records).map(|()| Ok(Removed::default()))
        });
        self.write(|reply| Job::Upkeep(change, reply)).await.map(drop)
    }

    async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        Self::backup(self, to).await.map(|_summary| ())
    }
}

/// How many bytes of the file are used, and when that was counted.
#[derive(Debug, Default)]
pub(super) struct Used(std::sync::Mutex<Option<(Instant, u64)>>);

impl Used {
    fn count(&self, transaction: &ReadTransaction) -> Result<u64, StoreError> {
        let mut known = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match *known {
            Some((at, used)) if at.elapsed() < COUNT_HOLDS => Ok(used),
            _ => {
                let used = tables::used(transaction)?;
                *known = Some((Instant::now(), used));
                Ok(used)
            }
        }
    }

    fn forget(&self) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    }
}

fn stats(transaction: &ReadTransaction, shared: &Shared) -> Result<Stats, StoreError> {
    macro_rules! rows {
        ($table:expr) => {
            transaction.open_table($table).map_err(fault)?.len().map_err(fault)?
        };
    }
    let bytes = std::fs::metadata(shared.file.path()).ok().map(|metadata| metadata.len());
    let used = shared.used.count(transaction)?;
    Ok(Stats {
        kind: "embedded".into(),
        partitions: shared.partitions,
        events: rows!(EVENTS),
        pending_events: rows!(JOURNAL),
        oldest_pending: oldest(transaction, shared.partitions)?,
        conversations: rows!(CONVERSATIONS),
        tasks: rows!(TASKS),
        timers: rows!(TIMERS),
        links: rows!(LINKS),
        media: rows!(MEDIA),
        dead_letters: rows!(DEAD_LETTERS),
        reports: rows!(REPORTS),
        documents: match table(transaction, DOCUMENTS)? {
            Some(documents) => documents.len().map_err(fault)?,
            None => 0,
        },
        bytes,
        free_bytes: bytes.map(|bytes| bytes.saturating_sub(used)),
    })
}

/// When the oldest unhandled event was accepted: the first of a partition's journal is its oldest.
fn oldest(transaction: &ReadTransaction, partitions: u16) -> Result<Option<Timestamp>, StoreError> {
    let mut oldest = None;
    for partition in (0..partitions).map(Partition) {
        let first = reads::journal(transaction, partition, Position(0), 1)?;
        let at = first.first().map(|record| record.event.received_at);
        oldest = [oldest, at].into_iter().flatten().min();
    }
    Ok(oldest)
}
