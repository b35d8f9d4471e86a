//! Components on the shelf with their signatures: cut into chunks, named by their digests, checked when they are read.
//!
//! The space `components` has one small document for each component; its chunks lie in a space of its own. That document is
//! written before the first chunk and again after the last one, and says whether all of them are there. Each of its writes is
//! over the one that was read: whoever puts a component there and whoever removes it notice each other, and what broke off in
//! the middle is found by a later sweep.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use patchbay_artefact::component::COMPONENT_MOST;
use patchbay_artefact::signature::SIGNATURES_MOST;
use patchbay_artefact::{Digest, Signature};
use patchbay_model::Timestamp;
use patchbay_store::{DOCUMENT_MOST, DocumentWrite, Shelved, Store, StoreError};
use serde::{Deserialize, Serialize};

use super::shelf::TRIES;

/// The space of the index: one document for each component.
const INDEX: &str = "components";

/// A component that no deployment names is removed when it has lain there for so long: it is written before the record
/// that names it, and the way between takes a compilation.
const UNNAMED_KEPT: Duration = Duration::from_secs(60 * 60);

/// The most bytes of a component's signatures, as lines: they fit into its document.
const SIGNATURES_BYTES: usize = DOCUMENT_MOST / 2;

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

/// A component from the shelf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its bytes: what its digest says.
    pub bytes: Bytes,
    /// The signatures that came along each time that it was deployed; good or not.
    pub signatures: Vec<Signature>,
}

/// What the index says of a component.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Entry {
    size: usize,
    chunks: usize,
    /// When it was last deployed. Of one that is not whole: when the writing or the removing of its chunks began.
    at: Timestamp,
    /// All of its chunks are there.
    #[serde(default = "yes")]
    whole: bool,
    /// As the lines of a `FILE.sig`.
    #[serde(default)]
    signatures: Vec<String>,
}

const fn yes() -> bool {
    true
}

fn space(key: &str) -> String {
    format!("{INDEX}/{key}")
}

/// Chunks sort as they follow each other: 64 MiB are 64 of them.
fn chunk(number: usize) -> String {
    format!("{number:04}")
}

/// Puts a component on the shelf. Doing it again changes nothing but when it was last deployed, and adds signatures that
/// are new.
///
/// # Errors
/// When the store cannot be written.
pub async fn put(
    store: &dyn Store,
    digest: &Digest,
    component: &Bytes,
    signatures: &[Signature],
) -> Result<(), StoreError> {
    let key = digest.hex();
    let (size, chunks) = (component.len(), component.len().div_ceil(DOCUMENT_MOST));
    let mut written = false;
    for _ in 0..TRIES {
        let (there, revision) = entry(store, &key).await?;
        let whole = written || is_whole(store, digest).await?;
        let signatures = merged(signatures, there.signatures);
        let next = Entry { size, chunks, at: store.now(), whole, signatures };
        if put_entry(store, &key, &next, revision).await?.is_none() {
            continue;
        }
        if whole {
            return Ok(());
        }
        // From here on no sweep touches them: the entry is new. Whoever else puts it there writes the same.
        for number in 0..chunks {
            let from = number * DOCUMENT_MOST;
            let body = component.slice(from..size.min(from + DOCUMENT_MOST));
            let write = DocumentWrite { key: chunk(number), body: Some(body), expected: None };
            store.write_documents(&space(&key), vec![write], None).await?;
        }
        written = true;
    }
    let digest = digest.short();
    Err(StoreError::Unsuitable(format!("the component {digest} is being written by others all the time; try again")))
}

/// Whether it can be taken from the shelf as it is there: all of it is read, so that deploying again heals what is damaged.
async fn is_whole(store: &dyn Store, digest: &Digest) -> Result<bool, StoreError> {
    match get(store, digest).await {
        Ok(_) => Ok(true),
        Err(NoComponent::Absent(_) | NoComponent::Changed(_)) => Ok(false),
        Err(NoComponent::Store(error)) => Err(error),
    }
}

/// The lines of both, the new ones first; no more than are ever looked at.
fn merged(new: &[Signature], before: Vec<String>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut room = SIGNATURES_BYTES;
    for line in new.iter().map(Signature::to_line).chain(before) {
        if lines.len() < SIGNATURES_MOST && line.len() <= room && !lines.contains(&line) {
            room -= line.len();
            lines.push(line);
        }
    }
    lines
}

/// What the index says, and the document's revision; an empty one that is not whole, and 0, where there is none.
async fn entry(store: &dyn Store, key: &str) -> Result<(Entry, u64), StoreError> {
    let Some(document) = store.document(INDEX, key).await? else { return Ok((Entry::default(), 0)) };
    Ok((serde_json::from_slice(&document.body).unwrap_or_default(), document.revision))
}

/// Writes an entry over the one that was read. None: somebody else came before.
async fn put_entry(store: &dyn Store, key: &str, entry: &Entry, over: u64) -> Result<Option<u64>, StoreError> {
    let body = serde_json::to_vec(entry).map_err(|error| StoreError::Unsuitable(error.to_string()))?;
    let write = DocumentWrite { key: key.to_owned(), body: Some(body.into()), expected: Some(over) };
    match store.write_documents(INDEX, vec![write], None).await? {
        Shelved::Written(revisions) => Ok(Some(revisions.first().copied().unwrap_or_default())),
        Shelved::Conflict { .. } | Shelved::Full { .. } => Ok(None),
    }
}

/// Takes a component from the shelf; its bytes are what its digest says.
///
/// # Errors
/// When it is not there, damaged, or the store cannot be read.
pub async fn get(store: &dyn Store, digest: &Digest) -> Result<Stored, NoComponent> {
    let absent = || NoComponent::Absent(digest.short());
    let (entry, _) = entry(store, &digest.hex()).await?;
    if !entry.whole || entry.size > COMPONENT_MOST {
        return Err(absent());
    }
    let space = space(&digest.hex());
    let mut component = BytesMut::with_capacity(entry.size);
    for number in 0..entry.chunks {
        let document = store.document(&space, &chunk(number)).await?.ok_or_else(absent)?;
        component.extend_from_slice(&document.body);
        if component.len() > entry.size {
            return Err(NoComponent::Changed(digest.short()));
        }
    }
    let bytes = component.freeze();
    if Digest::of(&bytes) != *digest {
        return Err(NoComponent::Changed(digest.short()));
    }
    let signatures = entry.signatures.iter().filter_map(|line| Signature::from_line(line)).collect();
    Ok(Stored { bytes, signatures })
}

/// Removes what no deployment names, and has not for a while. Gives how many components went.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn sweep(store: &dyn Store, named: &BTreeSet<String>) -> Result<usize, StoreError> {
    let mut removed = 0;
    let now = store.now();
    for document in store.documents(INDEX).await? {
        let entry: Option<Entry> = serde_json::from_slice(&document.body).ok();
        let young = entry.is_some_and(|entry| now.since(entry.at) < UNNAMED_KEPT);
        if !young && !named.contains(&document.key) && remove(store, &document.key, document.revision).await? {
            removed += 1;
        }
    }
    Ok(removed)
}

/// Removes a component whose entry is at this revision. `false`: somebody has deployed it again meanwhile.
async fn remove(store: &dyn Store, key: &str, revision: u64) -> Result<bool, StoreError> {
    let space = space(key);
    let mut chunks = Vec::new();
    for name in store.document_keys(&space).await? {
        let chunk = store.document(&space, &name).await?;
        chunks.extend(chunk.map(|chunk| DocumentWrite { key: name, body: None, expected: Some(chunk.revision) }));
    }
    let going = Entry { at: store.now(), ..Entry::default() };
    let Some(going) = put_entry(store, key, &going, revision).await? else { return Ok(false) };
    // Only these chunks: who puts it there from now on sees that it is not whole, and writes them anew.
    for chunk in chunks {
        store.write_documents(&space, vec![chunk], None).await?;
    }
    let write = DocumentWrite { key: key.to_owned(), body: None, expected: Some(going) };
    Ok(matches!(store.write_documents(INDEX, vec![write], None).await?, Shelved::Written(_)))
}

#[cfg(test)]
mod tests {
    use patchbay_artefact::{Algorithm, SigningKey};
    use patchbay_store::Shelf as _;
    use patchbay_store::memory::{MemoryOptions, MemoryServer, MemoryStore};

    use super::*;

    fn store() -> MemoryStore {
        MemoryServer::new(MemoryOptions::default()).node()
    }

    fn write(key: String, body: Option<Bytes>) -> Vec<DocumentWrite> {
        vec![DocumentWrite { key, body, expected: None }]
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
            put(&store, &digest, &component, &[]).await.unwrap();
            put(&store, &digest, &component, &[]).await.unwrap();
            assert_eq!(get(&store, &digest).await.unwrap().bytes, component);
        }
    }

    #[tokio::test]
    async fn what_was_changed_or_lost_is_not_taken() {
        let (store, component) = (store(), large());
        let digest = Digest::of(&component);
        put(&store, &digest, &component, &[]).await.unwrap();
        let space = space(&digest.hex());
        store.write_documents(&space, write(chunk(1), Some(Bytes::from(vec![0; DOCUMENT_MOST]))), None).await.unwrap();
        assert!(matches!(get(&store, &digest).await, Err(NoComponent::Changed(_))));
        // Deploying it again heals it.
        put(&store, &digest, &component, &[]).await.unwrap();
        assert_eq!(get(&store, &digest).await.unwrap().bytes, component);
        store.write_documents(&space, write(chunk(1), None), None).await.unwrap();
        assert!(matches!(get(&store, &digest).await, Err(NoComponent::Absent(_))));
        put(&store, &digest, &component, &[]).await.unwrap();
        assert_eq!(get(&store, &digest).await.unwrap().bytes, component);
    }

    #[tokio::test]
    async fn only_what_nobody_names_for_a_while_is_removed() {
        let store = store();
        let (kept, young, old) =
            (Bytes::from_static(b"kept"), Bytes::from_static(b"young"), Bytes::from_static(b"old"));
        for component in [&kept, &young, &old] {
            put(&store, &Digest::of(component), component, &[]).await.unwrap();
        }
        let ancient =
            Entry { size: old.len(), chunks: 1, at: Timestamp::from_millis(0), whole: true, signatures: Vec::new() };
        let body = serde_json::to_vec(&ancient).unwrap().into();
        store.write_documents(INDEX, write(Digest::of(&old).hex(), Some(body)), None).await.unwrap();
        let named = BTreeSet::from([Digest::of(&kept).hex()]);
        assert_eq!(sweep(&store, &named).await.unwrap(), 1);
        assert!(get(&store, &Digest::of(&kept)).await.is_ok() && get(&store, &Digest::of(&young)).await.is_ok());
        assert!(get(&store, &Digest::of(&old)).await.is_err());
        assert!(store.document_keys(&space(&Digest::of(&old).hex())).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn every_signature_that_came_along_is_kept_once() {
        let (store, component) = (store(), Bytes::from_static(b"signed"));
        let digest = Digest::of(&component);
        let sign = || {
            let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
            Signature::make(&component, &key).unwrap()
        };
        let (one, other) = (sign(), sign());
        for signatures in [vec![one.clone()], Vec::new(), vec![other.clone(), one.clone()]] {
            put(&store, &digest, &component, &signatures).await.unwrap();
        }
        assert_eq!(get(&store, &digest).await.unwrap().signatures, [other.clone(), one]);
        let many: Vec<Signature> = (0..SIGNATURES_MOST).map(|_| sign()).collect();
        put(&store, &digest, &component, &many).await.unwrap();
        let kept = get(&store, &digest).await.unwrap().signatures;
        assert!(kept.len() == SIGNATURES_MOST && !kept.contains(&other), "the newest ones are kept");
    }

    /// An entry as old as the hills.
    async fn age(store: &MemoryStore, digest: &Digest) -> u64 {
        let (entry, revision) = entry(store, &digest.hex()).await.unwrap();
        let aged = Entry { at: Timestamp::from_millis(0), ..entry };
        put_entry(store, &digest.hex(), &aged, revision).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn one_that_is_deployed_while_it_is_removed_stays_whole() {
        let (store, component) = (store(), large());
        let digest = Digest::of(&component);
        put(&store, &digest, &component, &[]).await.unwrap();
        let revision = age(&store, &digest).await;
        // It is deployed after the sweep has decided.
        put(&store, &digest, &component, &[]).await.unwrap();
        assert!(!remove(&store, &digest.hex(), revision).await.unwrap());
        assert_eq!(get(&store, &digest).await.unwrap().bytes, component);
        // A sweep ended in the middle: the entry says that it goes, and a chunk is gone.
        let (_, revision) = entry(&store, &digest.hex()).await.unwrap();
        put_entry(&store, &digest.hex(), &Entry { at: store.now(), ..Entry::default() }, revision).await.unwrap();
        store.write_documents(&space(&digest.hex()), write(chunk(0), None), None).await.unwrap();
        assert!(matches!(get(&store, &digest).await, Err(NoComponent::Absent(_))));
        put(&store, &digest, &component, &[]).await.unwrap();
        assert_eq!(get(&store, &digest).await.unwrap().bytes, component);
    }

    #[tokio::test]
    async fn chunks_of_a_deployment_that_broke_off_are_found() {
        let (store, component) = (store(), large());
        let digest = Digest::of(&component);
        // The entry comes first: a process that ends among the chunks leaves it behind.
        let coming = Entry { at: Timestamp::from_millis(0), ..Entry::default() };
        put_entry(&store, &digest.hex(), &coming, 0).await.unwrap();
        let space = space(&digest.hex());
        store.write_documents(&space, write(chunk(0), Some(Bytes::from_static(b"half"))), None).await.unwrap();
        assert_eq!(sweep(&store, &BTreeSet::new()).await.unwrap(), 1);
        assert!(store.document_keys(&space).await.unwrap().is_empty());
        assert!(store.document_keys(INDEX).await.unwrap().is_empty());
    }
}
