//! Documents: their reads, their one write, and their way out and in.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use redb::{ReadTransaction, ReadableTable};

use super::tables::{DOCUMENT_SPACES, DOCUMENTS, META_REVISION, Tables, table};
use super::writer::Job;
use super::{EmbeddedStore, fault};
use crate::contract::{check, fits, size};
use crate::{Document, DocumentWrite, Record, Shelf, Shelved, Shelving, StoreError};

/// Bytes of documents in a page of an export, but for the last of them.
const PAGE_BYTES: u64 = 8 << 20;

/// Documents in a page of an export at most.
const PAGE: usize = 500;

#[async_trait]
impl Shelf for EmbeddedStore {
    async fn document(&self, space: &str, key: &str) -> Result<Option<Document>, StoreError> {
        self.look_up(|transaction| {
            let Some(documents) = table(transaction, DOCUMENTS)? else { return Ok(None) };
            let found = documents.get((space, key)).map_err(fault)?;
            Ok(found.map(|found| document(key, found.value())))
        })
    }

    async fn document_keys(&self, space: &str) -> Result<Vec<String>, StoreError> {
        let space = space.to_owned();
        self.scan(move |transaction| each(transaction, &space, |key, _| key.to_owned())).await
    }

    async fn documents(&self, space: &str) -> Result<Vec<Document>, StoreError> {
        let space = space.to_owned();
        self.scan(move |transaction| each(transaction, &space, document)).await
    }

    async fn space_size(&self, space: &str) -> Result<u64, StoreError> {
        self.look_up(|transaction| {
            let Some(spaces) = table(transaction, DOCUMENT_SPACES)? else { return Ok(0) };
            Ok(spaces.get(space).map_err(fault)?.map_or(0, |bytes| bytes.value()))
        })
    }

    async fn write_documents(
        &self,
        space: &str,
        writes: Vec<DocumentWrite>,
        quota: Option<u64>,
    ) -> Result<Shelved, StoreError> {
        check(space, &writes)?;
        let shelving = Shelving { space: space.to_owned(), writes, quota };
        self.write(|reply| Job::Shelve(shelving, reply)).await
    }
}

fn document(key: &str, (revision, body): (u64, &[u8])) -> Document {
    Document { key: key.to_owned(), revision, body: Bytes::copy_from_slice(body) }
}

/// Something of each document of a space, by key.
fn each<T>(
    transaction: &ReadTransaction,
    space: &str,
    take: impl Fn(&str, (u64, &[u8])) -> T,
) -> Result<Vec<T>, StoreError> {
    let Some(documents) = table(transaction, DOCUMENTS)? else { return Ok(Vec::new()) };
    let mut taken = Vec::new();
    for entry in documents.range((space, "")..).map_err(fault)? {
        let (key, value) = entry.map_err(fault)?;
        let (whose, key) = key.value();
        if whose != space {
            break;
        }
        taken.push(take(key, value.value()));
    }
    Ok(taken)
}

impl Shelving {
    /// Writes all of it, or nothing. Everything that can refuse it is looked at before the first change: the transaction
    /// is shared with others.
    pub(super) fn apply(&self, tables: &mut Tables<'_>) -> Result<Shelved, StoreError> {
        match self.weigh(tables)? {
            Ok(after) => self.put(tables, after).map(Shelved::Written),
            Err(refusal) => Ok(refusal),
        }
    }

    /// What the space will hold, bytes, or why nothing can be written.
    pub(super) fn weigh(&self, tables: &Tables<'_>) -> Result<Result<u64, Shelved>, StoreError> {
        let space = self.space.as_str();
        let before = held(tables, space)?;
        let mut after = before;
        for write in &self.writes {
            let (found, old) = stored(tables, space, &write.key)?;
            if write.expected.is_some_and(|expected| expected != found) {
                return Ok(Err(Shelved::Conflict { key: write.key.clone(), found }));
            }
            after = after.saturating_sub(old).saturating_add(write.size());
        }
        if !fits(before, after, self.quota) {
            return Ok(Err(Shelved::Full { would_be: after }));
        }
        Ok(Ok(after))
    }

    /// Writes all of it, with [`weigh`](Self::weigh)'s answer; gives the revisions.
    pub(super) fn put(&self, tables: &mut Tables<'_>, after: u64) -> Result<Vec<u64>, StoreError> {
        let space = self.space.as_str();
        let revision = last_revision(tables)?.saturating_add(1);
        let mut revisions = Vec::with_capacity(self.writes.len());
        for DocumentWrite { key, body, .. } in &self.writes {
            let key = (space, key.as_str());
            if let Some(body) = body {
                tables.documents.insert(key, (revision, body.as_ref())).map_err(fault)?;
                revisions.push(revision);
            } else {
                tables.documents.remove(key).map_err(fault)?;
                revisions.push(0);
            }
        }
        tables.meta.insert(META_REVISION, revision).map_err(fault)?;
        hold(tables, space, after)?;
        Ok(revisions)
    }
}

/// The last revision that was given to any document.
fn last_revision(tables: &Tables<'_>) -> Result<u64, StoreError> {
    Ok(tables.meta.get(META_REVISION).map_err(fault)?.map_or(0, |last| last.value()))
}

/// A document's revision and size; zeros: it is not there.
fn stored(tables: &Tables<'_>, space: &str, key: &str) -> Result<(u64, u64), StoreError> {
    let found = tables.documents.get((space, key)).map_err(fault)?;
    Ok(found.map_or((0, 0), |found| {
        let (revision, body) = found.value();
        (revision, size(key, body.len()))
    }))
}

/// Bytes that a space holds.
fn held(tables: &Tables<'_>, space: &str) -> Result<u64, StoreError> {
    Ok(tables.document_spaces.get(space).map_err(fault)?.map_or(0, |bytes| bytes.value()))
}

/// Notes what a space holds; one that is empty is none any more.
fn hold(tables: &mut Tables<'_>, space: &str, bytes: u64) -> Result<(), StoreError> {
    if bytes == 0 {
        tables.document_spaces.remove(space).map_err(fault)?;
    } else {
        tables.document_spaces.insert(space, bytes).map_err(fault)?;
    }
    Ok(())
}

/// Takes a document of an export, with its revision.
pub(super) fn import(tables: &mut Tables<'_>, space: &str, document: &Document) -> Result<(), StoreError> {
    let Document { key, revision, body } = document;
    let (_, old) = stored(tables, space, key)?;
    let bytes = held(tables, space)?.saturating_sub(old).saturating_add(size(key, body.len()));
    tables.documents.insert((space, key.as_str()), (*revision, body.as_ref())).map_err(fault)?;
    let last = last_revision(tables)?.max(*revision);
    tables.meta.insert(META_REVISION, last).map_err(fault)?;
    hold(tables, space, bytes)
}

/// A document's space and key.
pub(super) type Place = (String, String);

/// Some documents behind one, and the last of them if there may be more.
pub(super) fn export(
    transaction: &ReadTransaction,
    after: Option<Place>,
) -> Result<(Vec<Record>, Option<Place>), StoreError> {
    let mut records = Vec::new();
    let Some(documents) = table(transaction, DOCUMENTS)? else { return Ok((records, None)) };
    let start = after.as_ref().map_or(("", ""), |(space, key)| (space.as_str(), key.as_str()));
    let mut bytes = 0;
    for entry in documents.range(start..).map_err(fault)? {
        let (row, value) = entry.map_err(fault)?;
        let (space, key) = row.value();
        if after.is_some() && (space, key) == start {
            continue;
        }
        let document = document(key, value.value());
        bytes += size(key, document.body.len());
        records.push(Record::Document { space: space.to_owned(), document });
        if bytes >= PAGE_BYTES || records.len() >= PAGE {
            return Ok((records, Some((space.to_owned(), key.to_owned()))));
        }
    }
    Ok((records, None))
}

/// Holds what the spaces are said to hold against what they do hold; gives how many documents there are, and what is
/// wrong.
pub(super) fn verify(transaction: &ReadTransaction) -> Result<(u64, Vec<String>), StoreError> {
    let (mut checked, mut highest) = (0, 0);
    // By space: what it holds, and what it is said to hold.
    let mut held: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    if let Some(documents) = table(transaction, DOCUMENTS)? {
        for entry in documents.iter().map_err(fault)? {
            let (row, value) = entry.map_err(fault)?;
            let ((space, key), (revision, body)) = (row.value(), value.value());
            let space = held.entry(space.to_owned()).or_default();
            space.0 = space.0.saturating_add(size(key, body.len()));
            checked += 1;
            highest = revision.max(highest);
        }
    }
    if let Some(spaces) = table(transaction, DOCUMENT_SPACES)? {
        for entry in spaces.iter().map_err(fault)? {
            let (space, bytes) = entry.map_err(fault)?;
            held.entry(space.value().to_owned()).or_default().1 = bytes.value();
            checked += 1;
        }
    }
    let wrong = held.into_iter().filter(|(_, (holds, said))| holds != said);
    let mut problems: Vec<_> = wrong
        .map(|(space, (holds, said))| format!("the documents of {space} have {holds} bytes, and {said} are counted"))
        .collect();
    let last = super::tables::number(transaction, META_REVISION)?.unwrap_or_default();
    if highest > last {
        problems.push(format!("a document has revision {highest}, and {last} is said to be the last one"));
    }
    Ok((checked, problems))
}
