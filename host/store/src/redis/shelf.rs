//! Documents. A space has the tag of one partition, by its name, and so one slot of a Cluster.

use std::time::Duration;

use ::redis::Cmd;
use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;

use super::codec::readable;
use super::reads::hget;
use super::scripts::SHELVE;
use super::server::millis;
use super::servers::invoke;
use super::{RedisStore, Shared};
use crate::contract::{check, size};
use crate::{Document, DocumentWrite, Lease, Partition, Position, Shelf, Shelved, Shelving, StoreError, Verification};

/// Digits of a revision, which stands before a document's body.
const DIGITS: usize = 16;

/// How long the answer to a write is remembered, for who sends it again: some times longer than
/// [`PATIENCE`](super::options::PATIENCE) and the last answer take.
const REMEMBERED: Duration = Duration::from_secs(10);

/// How long it is remembered in a Cluster that an event's documents were written: much longer than it takes until another
/// node has taken a partition over and read its journal, even where somebody has to start one.
const EVENT_REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// Documents that are read at once where all of them are read.
const AT_ONCE: usize = 8;

#[async_trait]
impl Shelf for RedisStore {
    async fn document(&self, space: &str, key: &str) -> Result<Option<Document>, StoreError> {
        let _call = self.enter().await?;
        self.shared.document(space, key).await
    }

    async fn document_keys(&self, space: &str) -> Result<Vec<String>, StoreError> {
        let _call = self.enter().await?;
        self.shared.document_keys(space).await
    }

    async fn documents(&self, space: &str) -> Result<Vec<Document>, StoreError> {
        let _call = self.enter().await?;
        let (bucket, key) = self.shared.keys.space(space);
        let mut request = ::redis::cmd("HGETALL");
        request.arg(key);
        let all: Vec<(String, Vec<u8>)> = self.shared.read(bucket, &request).await?;
        let all: Result<Vec<_>, _> = all.into_iter().map(|(key, value)| parse(space, key, value)).collect();
        let mut all = all?;
        all.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(all)
    }

    async fn space_size(&self, space: &str) -> Result<u64, StoreError> {
        let _call = self.enter().await?;
        let (bucket, _) = self.shared.keys.space(space);
        let held: Option<String> =
            self.shared.read(bucket, &hget(&self.shared.keys.of(bucket, "spaces"), space)).await?;
        Ok(held.and_then(|held| held.split(' ').next()?.parse().ok()).unwrap_or_default())
    }

    async fn write_documents(
        &self,
        space: &str,
        writes: Vec<DocumentWrite>,
        quota: Option<u64>,
    ) -> Result<Shelved, StoreError> {
        check(space, &writes)?;
        let _call = self.enter().await?;
        self.shared.shelve(&Shelving { space: space.to_owned(), writes, quota }, None).await
    }
}

/// A document as `scripts/shelve.lua` writes it.
fn parse(space: &str, key: String, value: Vec<u8>) -> Result<Document, StoreError> {
    let broken = || StoreError::Corrupt(format!("a document of {space}: it has no revision"));
    let revision = value.get(..DIGITS).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    let revision = revision.ok_or_else(broken)?;
    Ok(Document { key, revision, body: Bytes::from(value).slice(DIGITS..) })
}

fn digits(number: Option<u64>) -> String {
    number.map(|number| format!("{number:0DIGITS$}")).unwrap_or_default()
}

fn quota(shelving: &Shelving) -> String {
    shelving.quota.map(|quota| quota.to_string()).unwrap_or_default()
}

fn write_arguments(request: &mut Cmd, writes: &[DocumentWrite]) {
    for DocumentWrite { key, body, expected } in writes {
        request.arg(key).arg(digits(*expected)).arg(u8::from(body.is_some()));
        request.arg(body.as_deref().unwrap_or_default());
    }
}

/// A commit's documents, as `scripts/commit.lua` takes them.
pub(super) fn commit_arguments(request: &mut Cmd, documents: &[Shelving]) {
    request.arg(documents.len());
    for shelving in documents {
        request.arg(&shelving.space).arg(quota(shelving)).arg(shelving.writes.len());
        write_arguments(request, &shelving.writes);
    }
}

impl Shared {
    /// The keys of a space's documents, of what the spaces of its tag hold and of their last revision; and the tag.
    pub(super) fn shelf_keys(&self, space: &str) -> (Partition, [String; 3]) {
        let (bucket, documents) = self.keys.space(space);
        (bucket, [documents, self.keys.of(bucket, "spaces"), self.keys.of(bucket, "revision")])
    }

    /// Writes the documents of an event's commit ahead of it, for a Cluster; once, whoever decides the event.
    pub(super) async fn shelve_ahead(
        &self,
        lease: &Lease,
        handled: Option<Position>,
        documents: &[Shelving],
    ) -> Result<(), StoreError> {
        let event = handled.map(|position| position.0).unwrap_or_default();
        for shelving in documents {
            let told = format!("shelved:{}:{event}:{}", lease.partition, shelving.space);
            match self.shelve_once(shelving, None, &told, EVENT_REMEMBERED).await? {
                Shelved::Written(_) => {}
                Shelved::Conflict { .. } | Shelved::Full { .. } => {
                    return Err(StoreError::Overtaken { space: shelving.space.clone() });
                }
            }
        }
        Ok(())
    }

    pub(super) async fn document(&self, space: &str, key: &str) -> Result<Option<Document>, StoreError> {
        let (bucket, documents) = self.keys.space(space);
        let value: Option<Vec<u8>> = self.read(bucket, &hget(&documents, key)).await?;
        value.map(|value| parse(space, key.to_owned(), value)).transpose()
    }

    async fn document_keys(&self, space: &str) -> Result<Vec<String>, StoreError> {
        let (bucket, documents) = self.keys.space(space);
        let mut request = ::redis::cmd("HKEYS");
        request.arg(documents);
        let mut keys: Vec<String> = self.read(bucket, &request).await?;
        keys.sort_unstable();
        Ok(keys)
    }

    /// Writes documents; all get `revision` where it is given, else the next one.
    async fn shelve(&self, shelving: &Shelving, revision: Option<u64>) -> Result<Shelved, StoreError> {
        let told = format!("shelved:{:032x}", rand::random::<u128>());
        self.shelve_once(shelving, revision, &told, REMEMBERED).await
    }

    /// As [`shelve`](Self::shelve), unless it was done before under the same name, `remembered` ago at the most.
    async fn shelve_once(
        &self,
        shelving: &Shelving,
        revision: Option<u64>,
        told: &str,
        remembered: Duration,
    ) -> Result<Shelved, StoreError> {
        let Shelving { space, writes, .. } = shelving;
        let (bucket, keys) = self.shelf_keys(space);
        let keys: Vec<_> = keys.into_iter().chain([self.keys.of(bucket, told)]).collect();
        let mut request = invoke(&SHELVE, &keys);
        request.arg(space).arg(quota(shelving)).arg(digits(revision)).arg(millis(remembered));
        write_arguments(&mut request, writes);
        let answer: String = self.read(bucket, &request).await?;
        let (word, numbers) = answer.split_once(' ').unwrap_or((&answer, ""));
        let mut numbers = numbers.split(' ').map_while(|number| number.parse::<u64>().ok());
        let mut next = || numbers.next().unwrap_or_default();
        match word {
            "written" => Ok(Shelved::Written(writes.iter().map(|_| next()).collect())),
            "full" => Ok(Shelved::Full { would_be: next() }),
            "conflict" => {
                let write = usize::try_from(next()).ok().and_then(|at| writes.get(at));
                Ok(Shelved::Conflict { key: write.map(|write| write.key.clone()).unwrap_or_default(), found: next() })
            }
            _ => Err(StoreError::Corrupt("Redis answered something else than was asked for".into())),
        }
    }

    /// Takes a document of an export, with its revision.
    pub(super) async fn import_document(&self, space: &str, document: Document) -> Result<(), StoreError> {
        let Document { key, revision, body } = document;
        let writes = vec![DocumentWrite { key, body: Some(body), expected: None }];
        self.shelve(&Shelving { space: space.to_owned(), writes, quota: None }, Some(revision)).await.map(drop)
    }

    /// The spaces with a partition's tag, and how many bytes and documents each of them is said to hold.
    async fn spaces(&self, bucket: Partition) -> Result<Vec<(String, u64, u64)>, StoreError> {
        let held = self.scan(bucket, "spaces").await?;
        let number = |word: Option<&str>| word.and_then(|word| word.parse().ok()).unwrap_or_default();
        let spaces = held.into_iter().map(|(space, value)| {
            let value = String::from_utf8_lossy(&value);
            let mut words = value.split(' ');
            (space, number(words.next()), number(words.next()))
        });
        Ok(spaces.collect())
    }

    /// How many documents there are with a partition's tag.
    pub(super) async fn count_documents(&self, bucket: Partition) -> Result<u64, StoreError> {
        Ok(self.spaces(bucket).await?.iter().map(|(_, _, count)| count).sum())
    }

    /// Space and key of all documents with a partition's tag.
    pub(super) async fn list_documents(&self, bucket: Partition) -> Result<Vec<(String, String)>, StoreError> {
        let mut listed = Vec::new();
        for (space, ..) in self.spaces(bucket).await? {
            let keys = self.document_keys(&space).await?;
            listed.extend(keys.into_iter().map(|key| (space.clone(), key)));
        }
        Ok(listed)
    }

    pub(super) async fn verify_documents(&self, bucket: Partition, found: &mut Verification) -> Result<(), StoreError> {
        let mut request = ::redis::cmd("GET");
        request.arg(self.keys.of(bucket, "revision"));
        let last: u64 = self.read::<Option<u64>>(bucket, &request).await?.unwrap_or_default();
        for (space, bytes, count) in self.spaces(bucket).await? {
            let (mut held, mut there) = (0, 0);
            let keys = self.document_keys(&space).await?;
            for piece in keys.chunks(AT_ONCE) {
                let read = join_all(piece.iter().map(|key| self.document(&space, key))).await;
                for document in read {
                    found.checked += 1;
                    match document {
                        Ok(Some(Document { key, revision, body })) => {
                            held += size(&key, body.len());
                            there += 1;
                            if revision > last {
                                found.problems.push(format!(
                                    "a document of {space} has revision {revision}, and {last} is said to be the last one"
                                ));
                            }
                        }
                        Ok(None) => {}
                        Err(error @ StoreError::Corrupt(_)) => found.problems.push(error.to_string()),
                        Err(error) => return Err(error),
                    }
                }
            }
            if (held, there) != (bytes, count) {
                found.problems.push(format!(
                    "the {there} documents of {space} have {held} bytes, and {count} with {bytes} are counted"
                ));
            }
        }
        Ok(())
    }

    /// One document for an export; none also where it cannot be read.
    pub(super) async fn export_document(&self, space: &str, key: &str) -> Result<Option<Document>, StoreError> {
        match self.document(space, key).await {
            Err(error @ StoreError::Corrupt(_)) => Ok(readable::<Option<Document>>(Err(error)).flatten()),
            document => document,
        }
    }
}
