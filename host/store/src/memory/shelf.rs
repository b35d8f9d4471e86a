//! Documents.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;

use super::MemoryStore;
use crate::contract::{check, fits, size};
use crate::{Document, DocumentWrite, Record, Shelf, Shelved, Shelving, StoreError};

/// All documents.
#[derive(Clone, Debug, Default)]
pub(super) struct Documents {
    /// By space and key: revision and body.
    kept: BTreeMap<(String, String), (u64, Bytes)>,
    /// The last revision that was given.
    revision: u64,
}

fn document(((_, key), (revision, body)): (&(String, String), &(u64, Bytes))) -> Document {
    Document { key: key.clone(), revision: *revision, body: body.clone() }
}

impl Documents {
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// No revision that was given to the others is given here.
    pub(super) fn skip(&mut self, others: &Self) {
        self.revision = self.revision.max(others.revision);
    }

    /// Those of a space.
    fn of(&self, space: &str) -> impl Iterator<Item = (&(String, String), &(u64, Bytes))> {
        self.kept.range((space.to_owned(), String::new())..).take_while(move |((whose, _), _)| whose == space)
    }

    /// How much a space holds, bytes.
    fn size(&self, space: &str) -> u64 {
        self.of(space).map(|((_, key), (_, body))| size(key, body.len())).sum()
    }

    /// Why nothing can be written, if so.
    pub(super) fn refusal(&self, shelving: &Shelving) -> Option<Shelved> {
        let Shelving { space, writes, quota } = shelving;
        let before = self.size(space);
        let mut after = before;
        for write in writes {
            let kept = self.kept.get(&(space.to_owned(), write.key.clone()));
            let found = kept.map_or(0, |(revision, _)| *revision);
            if write.expected.is_some_and(|expected| expected != found) {
                return Some(Shelved::Conflict { key: write.key.clone(), found });
            }
            after = after + write.size() - kept.map_or(0, |(_, body)| size(&write.key, body.len()));
        }
        (!fits(before, after, *quota)).then_some(Shelved::Full { would_be: after })
    }

    /// Writes what is not refused; gives the revisions.
    pub(super) fn write(&mut self, shelving: &Shelving) -> Vec<u64> {
        self.revision += 1;
        let revisions = shelving.writes.iter().map(|write| {
            let key = (shelving.space.clone(), write.key.clone());
            match &write.body {
                Some(body) => {
                    self.kept.insert(key, (self.revision, body.clone()));
                    self.revision
                }
                None => {
                    self.kept.remove(&key);
                    0
                }
            }
        });
        revisions.collect()
    }

    pub(super) fn export(&self) -> impl Iterator<Item = Record> {
        self.kept.iter().map(|entry| Record::Document { space: entry.0.0.clone(), document: document(entry) })
    }

    pub(super) fn import(&mut self, space: String, document: Document) {
        self.revision = self.revision.max(document.revision);
        self.kept.insert((space, document.key), (document.revision, document.body));
    }
}

#[async_trait]
impl Shelf for MemoryStore {
    async fn document(&self, space: &str, key: &str) -> Result<Option<Document>, StoreError> {
        let key = (space.to_owned(), key.to_owned());
        self.step(|inner, _| Ok(inner.state.documents.kept.get_key_value(&key).map(document)))
    }

    async fn document_keys(&self, space: &str) -> Result<Vec<String>, StoreError> {
        self.step(|inner, _| Ok(inner.state.documents.of(space).map(|((_, key), _)| key.clone()).collect()))
    }

    async fn documents(&self, space: &str) -> Result<Vec<Document>, StoreError> {
        self.step(|inner, _| Ok(inner.state.documents.of(space).map(document).collect()))
    }

    async fn space_size(&self, space: &str) -> Result<u64, StoreError> {
        self.step(|inner, _| Ok(inner.state.documents.size(space)))
    }

    async fn write_documents(
        &self,
        space: &str,
        writes: Vec<DocumentWrite>,
        quota: Option<u64>,
    ) -> Result<Shelved, StoreError> {
        check(space, &writes)?;
        let shelving = Shelving { space: space.to_owned(), writes, quota };
        self.step(|inner, _| {
            let documents = &mut inner.state.documents;
            let refusal = documents.refusal(&shelving);
            Ok(refusal.unwrap_or_else(|| Shelved::Written(documents.write(&shelving))))
        })
    }
}
