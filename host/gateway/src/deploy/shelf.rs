//! Records of deployments on the shelf, read and written by compare-and-swap.

use std::collections::BTreeMap;

use patchbay_artefact::Digest;
use patchbay_store::{Document, DocumentWrite, Shelved, Store, StoreError};

use super::record::{Record, VERSION};

/// The space of the records.
const SPACE: &str = "deployments";
/// How often a write is tried again that somebody else came before: two people at once are rare, a hundred are a fault.
pub const TRIES: usize = 20;

/// A record, and the revision of its document; 0: there is none yet.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// What it says.
    pub record: Record,
    /// Its document's revision.
    pub revision: u64,
    /// Of the document's bytes. A store that has lost its last writes gives the same revision to another document.
    pub print: Option<Digest>,
}

/// Why a record was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another version of the gateway wrote it.
    #[error(
        "the deployment `{0}` was written by another version of the gateway, and this one cannot read it: run the same \
         version on all nodes"
    )]
    Foreign(String),
    /// Somebody else came before, again and again.
    #[error("the deployment `{0}` is being changed by others all the time; try again")]
    Busy(String),
}

fn read(name: &str, document: &Document) -> Result<Kept, ShelfError> {
    let record: Option<Record> = serde_json::from_slice(&document.body).ok();
    let record = record.filter(|record| record.version == VERSION);
    let record = record.ok_or_else(|| ShelfError::Foreign(name.to_owned()))?;
    Ok(Kept { record, revision: document.revision, print: Some(Digest::of(&document.body)) })
}

/// The record of a deployment; an empty one if there is none.
///
/// # Errors
/// When the store cannot be read, or the record is another version's.
pub async fn get(store: &dyn Store, name: &str) -> Result<Kept, ShelfError> {
    match store.document(SPACE, name).await? {
        Some(document) => read(name, &document),
        None => Ok(Kept::default()),
    }
}

/// All records, by name; one that cannot be read is an error of its own.
///
/// # Errors
/// When the store cannot be read.
pub async fn all(store: &dyn Store) -> Result<BTreeMap<String, Result<Kept, ShelfError>>, StoreError> {
    let documents = store.documents(SPACE).await?;
    let kept = documents.into_iter().map(|document| (document.key.clone(), read(&document.key, &document)));
    Ok(kept.collect())
}

/// Writes a record over the one that it was made of. None: somebody else came before.
///
/// # Errors
/// When the store cannot be written, or the record is too long for a document.
pub async fn put(store: &dyn Store, name: &str, record: Record, over: u64) -> Result<Option<Kept>, StoreError> {
    let write = write(name, &record, over)?;
    let print = write.body.as_deref().map(Digest::of);
    match store.write_documents(SPACE, vec![write], None).await? {
        Shelved::Written(revisions) => {
            let revision = revisions.first().copied().unwrap_or_default();
            Ok(Some(Kept { record, revision, print }))
        }
        Shelved::Conflict { .. } | Shelved::Full { .. } => Ok(None),
    }
}

/// Writes several records, each over the revision that it was made of: all of them, or none. `false`: somebody else came
/// before.
///
/// # Errors
/// As [`put`].
pub async fn put_all(store: &dyn Store, records: Vec<(String, Record, u64)>) -> Result<bool, StoreError> {
    let writes =
        records.iter().map(|(name, record, over)| write(name, record, *over)).collect::<Result<Vec<_>, _>>()?;
    Ok(matches!(store.write_documents(SPACE, writes, None).await?, Shelved::Written(_)))
}

fn write(name: &str, record: &Record, over: u64) -> Result<DocumentWrite, StoreError> {
    let body = serde_json::to_vec(record).map_err(|error| StoreError::Unsuitable(error.to_string()))?;
    Ok(DocumentWrite { key: name.to_owned(), body: Some(body.into()), expected: Some(over) })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use patchbay_store::Shelf as _;
    use patchbay_store::memory::{MemoryOptions, MemoryServer};

    use super::*;

    #[tokio::test]
    async fn the_second_of_two_writers_is_told() {
        let store = MemoryServer::new(MemoryOptions::default()).node();
        let kept = get(&store, "router").await.unwrap();
        assert_eq!(kept.revision, 0);
        let first = put(&store, "router", kept.record.clone(), kept.revision).await.unwrap().unwrap();
        assert!(put(&store, "router", kept.record.clone(), kept.revision).await.unwrap().is_none());
        let record = Record { next: 7, ..kept.record };
        put(&store, "router", record.clone(), first.revision).await.unwrap().unwrap();
        assert_eq!(all(&store).await.unwrap().remove("router").unwrap().unwrap().record, record);
    }

    #[tokio::test]
    async fn a_record_of_another_version_is_left_alone() {
        let store = MemoryServer::new(MemoryOptions::default()).node();
        let body = Bytes::from_static(b"{\"version\":2,\"shape\":\"new\"}");
        let writes = vec![DocumentWrite { key: "router".into(), body: Some(body), expected: None }];
        store.write_documents(SPACE, writes, None).await.unwrap();
        assert!(matches!(get(&store, "router").await, Err(ShelfError::Foreign(_))));
    }
}
