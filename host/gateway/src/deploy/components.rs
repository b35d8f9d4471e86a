//! Components on the shelf: cut into chunks, named by their digests, checked when they are read.
//!
//! The space `components` has one small document for each component; its chunks lie in a space of its own. The entry of the
//! index is written last and removed last, so that what it names is whole.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use patchbay_artefact::Digest;
use patchbay_artefact::component::COMPONENT_MOST;
use patchbay_model::Timestamp;
use patchbay_store::{DOCUMENT_MOST, DocumentWrite, Store, StoreError};
use serde::{Deserialize, Serialize};

/// The space of the index: one document for each component.
const INDEX: &str = "components";

/// A component that no deployment names is removed when it has lain there for so long: it is written before the record
/// that names it, and the way between takes a compilation.
const UNNAMED_KEPT: Duration = Duration::from_secs(60 * 60);

/// Why a component is not had from the shelf.
#[derive(Debug, thiserror::Error)]
pub enum NoComponent {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is not there, or not whole.
    #[error("the component {0} is not in the store: deploy it again")]
    Absent(String),
    /// What lies there is something else.
    #[error("what the store has under {0} has another digest: deploy it again")]
    Changed(String),
}

/// What the index says of a component.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    size: usize,
    chunks: usize,
    /// When it was last deployed.
    at: Timestamp,
}

fn space(digest: &Digest) -> String {
    format!("{INDEX}/{}", digest.hex())
}

/// Chunks sort as they follow each other: 64 MiB are 64 of them.
fn chunk(number: usize) -> String {
    format!("{number:04}")
}

fn write(key: String, body: Option<Bytes>) -> Vec<DocumentWrite> {
    vec![DocumentWrite { key, body, expected: None }]
}

/// Puts a component on the shelf. Doing it again changes nothing but when it was last deployed.
///
/// # Errors
/// When the store cannot be written.
pub async fn put(store: &dyn Store, digest: &Digest, component: &Bytes) -> Result<(), StoreError> {
    let space = space(digest);
    let chunks = component.len().div_ceil(DOCUMENT_MOST);
    if !is_whole(store, digest, component.len(), chunks).await? {
        for number in 0..chunks {
            let from = number * DOCUMENT_MOST;
            let body = component.slice(from..component.len().min(from + DOCUMENT_MOST));
            store.write_documents(&space, write(chunk(number), Some(body)), None).await?;
        }
    }
    let entry = Entry { size: component.len(), chunks, at: store.now() };
    let body = serde_json::to_vec(&entry).unwrap_or_default().into();
    store.write_documents(INDEX, write(digest.hex(), Some(body)), None).await?;
    Ok(())
}

async fn is_whole(store: &dyn Store, digest: &Digest, size: usize, chunks: usize) -> Result<bool, StoreError> {
    let Some(entry) = entry(store, digest).await? else { return Ok(false) };
    Ok(entry.size == size && store.document_keys(&space(digest)).await?.len() == chunks)
}

async fn entry(store: &dyn Store, digest: &Digest) -> Result<Option<Entry>, StoreError> {
    let document = store.document(INDEX, &digest.hex()).await?;
    Ok(document.and_then(|document| serde_json::from_slice(&document.body).ok()))
}

/// Takes a component from the shelf; its bytes are what its digest says.
///
/// # Errors
/// When it is not there, damaged, or the store cannot be read.
pub async fn get(store: &dyn Store, digest: &Digest) -> Result<Bytes, NoComponent> {
    let absent = || NoComponent::Absent(digest.short());
    let entry = entry(store, digest).await?.filter(|entry| entry.size <= COMPONENT_MOST).ok_or_else(absent)?;
    let space = space(digest);
    let mut component = BytesMut::with_capacity(entry.size);
    for number in 0..entry.chunks {
        let document = store.document(&space, &chunk(number)).await?.ok_or_else(absent)?;
        component.extend_from_slice(&document.body);
        if component.len() > entry.size {
            return Err(NoComponent::Changed(digest.short()));
        }
    }
    let component = component.freeze();
    if Digest::of(&component) == *digest { Ok(component) } else { Err(NoComponent::Changed(digest.short())) }
}

/// Removes what no deployment names, and has not for a while. Gives how many components went.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn sweep(store: &dyn Store, named: &BTreeSet<String>) -> Result<usize, StoreError> {
    let mut removed = 0;
    let now = store.now();
    for document in store.documents(INDEX).await? {
        if named.contains(&document.key) {
            continue;
        }
        let entry: Option<Entry> = serde_json::from_slice(&document.body).ok();
        if entry.is_some_and(|entry| now.since(entry.at) < UNNAMED_KEPT) {
            continue;
        }
        let space = format!("{INDEX}/{}", document.key);
        for key in store.document_keys(&space).await? {
            store.write_documents(&space, write(key, None), None).await?;
        }
        // Only the entry that was looked at: somebody may have deployed it again meanwhile.
        let writes = vec![DocumentWrite { key: document.key, body: None, expected: Some(document.revision) }];
        store.write_documents(INDEX, writes, None).await?;
        removed += 1;
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use patchbay_store::Shelf as _;
    use patchbay_store::memory::{MemoryOptions, MemoryServer, MemoryStore};

    use super::*;

    fn store() -> MemoryStore {
        MemoryServer::new(MemoryOptions::default()).node()
    }

    fn large() -> Bytes {
        (0..DOCUMENT_MOST * 2 + 17).map(|place| (place % 251) as u8).collect::<Vec<u8>>().into()
    }

    #[tokio::test]
    async fn a_component_comes_back_as_it_was() {
        let store = store();
        for component in [large(), Bytes::from_static(b"small"), Bytes::from(vec![7; DOCUMENT_MOST])] {
            let digest = Digest::of(&component);
            assert!(matches!(get(&store, &digest).await, Err(NoComponent::Absent(_))));
            put(&store, &digest, &component).await.unwrap();
            put(&store, &digest, &component).await.unwrap();
            assert_eq!(get(&store, &digest).await.unwrap(), component);
        }
    }

    #[tokio::test]
    async fn what_was_changed_or_lost_is_not_taken() {
        let (store, component) = (store(), large());
        let digest = Digest::of(&component);
        put(&store, &digest, &component).await.unwrap();
        let space = space(&digest);
        store.write_documents(&space, write(chunk(1), Some(Bytes::from(vec![0; DOCUMENT_MOST]))), None).await.unwrap();
        assert!(matches!(get(&store, &digest).await, Err(NoComponent::Changed(_))));
        store.write_documents(&space, write(chunk(1), None), None).await.unwrap();
        assert!(matches!(get(&store, &digest).await, Err(NoComponent::Absent(_))));
        // Deploying it again heals it.
        put(&store, &digest, &component).await.unwrap();
        assert_eq!(get(&store, &digest).await.unwrap(), component);
    }

    #[tokio::test]
    async fn only_what_nobody_names_for_a_while_is_removed() {
        let store = store();
        let (kept, young, old) =
            (Bytes::from_static(b"kept"), Bytes::from_static(b"young"), Bytes::from_static(b"old"));
        for component in [&kept, &young, &old] {
            put(&store, &Digest::of(component), component).await.unwrap();
        }
        let ancient = Entry { size: old.len(), chunks: 1, at: Timestamp::from_millis(0) };
        let body = serde_json::to_vec(&ancient).unwrap().into();
        store.write_documents(INDEX, write(Digest::of(&old).hex(), Some(body)), None).await.unwrap();
        let named = BTreeSet::from([Digest::of(&kept).hex()]);
        assert_eq!(sweep(&store, &named).await.unwrap(), 1);
        assert!(get(&store, &Digest::of(&kept)).await.is_ok() && get(&store, &Digest::of(&young)).await.is_ok());
        assert!(get(&store, &Digest::of(&old)).await.is_err());
        assert!(store.document_keys(&space(&Digest::of(&old))).await.unwrap().is_empty());
    }
}
