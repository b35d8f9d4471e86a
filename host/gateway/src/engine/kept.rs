//! What plugins keep, as one event sees it: what its handlers write waits for the event's commit, and is part of it.
//!
//! So nothing is kept of an event that is decided again (since a later step asked for it, the commit did not come about, or
//! the node died), and nothing twice. A value that a handler has read and then writes is written only if nobody else has
//! written it meanwhile; otherwise the event is decided again, with what is there then. So counters that many conversations
//! share count right.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use patchbay_runtime::{KeyValue, KeyValueError};
use patchbay_store::{DocumentWrite, Shelving, Store};

use crate::deploy::keyvalue::{space, unavailable};

/// Keys that the handlers of one event may read, each counted once: their revisions are remembered until the commit. A call
/// writes 256 at the most.
const READS: usize = 4096;

/// The keys and values of all plugins, over one attempt at one event.
pub struct Kept {
    store: Arc<dyn Store>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// The revision that each key was first read at, by plugin and key; 0: it was not there.
    read: BTreeMap<(String, String), u64>,
    /// By plugin.
    written: BTreeMap<String, Written>,
}

/// What one plugin's calls have written.
#[derive(Default)]
struct Written {
    /// No value: removed.
    writes: BTreeMap<String, Option<Bytes>>,
    quota: u64,
}

impl Kept {
    /// What this store holds, and nothing written yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, seen: Mutex::default() }
    }

    /// What was written, for the event's commit.
    #[must_use]
    pub fn documents(&self) -> Vec<Shelving> {
        let seen = self.seen();
        let of_plugin = |(plugin, written): (&String, &Written)| {
            let write = |(key, body): (&String, &Option<Bytes>)| {
                let expected = seen.read.get(&(plugin.clone(), key.clone())).copied();
                DocumentWrite { key: key.clone(), body: body.clone(), expected }
            };
            let writes = written.writes.iter().map(write).collect();
            Shelving { space: space(plugin), writes, quota: Some(written.quota) }
        };
        seen.written.iter().map(of_plugin).collect()
    }

    /// What a call of the plugin has written under this key.
    fn written(&self, plugin: &str, key: &str) -> Option<Option<Bytes>> {
        self.seen().written.get(plugin)?.writes.get(key).cloned()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

#[async_trait]
impl KeyValue for Kept {
    async fn get(&self, plugin: &str, key: &str) -> Result<Option<Bytes>, KeyValueError> {
        if let Some(written) = self.written(plugin, key) {
            return Ok(written);
        }
        let document = self.store.document(&space(plugin), key).await.map_err(unavailable)?;
        let mut seen = self.seen();
        let room = seen.read.len() < READS;
        if let Entry::Vacant(place) = seen.read.entry((plugin.to_owned(), key.to_owned())) {
            if !room {
                let why = format!("an event may read {READS} keys at the most: read fewer");
                return Err(KeyValueError::Unavailable(why));
            }
            place.insert(document.as_ref().map_or(0, |document| document.revision));
        }
        Ok(document.map(|document| document.body))
    }

    async fn keys(&self, plugin: &str) -> Result<Vec<String>, KeyValueError> {
        let mut keys = self.store.document_keys(&space(plugin)).await.map_err(unavailable)?;
        if let Some(written) = self.seen().written.get(plugin) {
            keys.retain(|key| !written.writes.contains_key(key));
            keys.extend(written.writes.iter().filter(|(_, body)| body.is_some()).map(|(key, _)| key.clone()));
            keys.sort_unstable();
        }
        Ok(keys)
    }

    async fn used(&self, plugin: &str) -> Result<u64, KeyValueError> {
        let space = space(plugin);
        let mut used = self.store.space_size(&space).await.map_err(unavailable)?;
        // Only where a chain asks the plugin twice.
        let written = self.seen().written.get(plugin).map(|written| written.writes.clone()).unwrap_or_default();
        for (key, body) in written {
            let before = self.store.document(&space, &key).await.map_err(unavailable)?;
            let size = |body: Option<&Bytes>| body.map_or(0, |body| key.len().saturating_add(body.len()) as u64);
            used = used.saturating_sub(size(before.as_ref().map(|before| &before.body)));
            used = used.saturating_add(size(body.as_ref()));
        }
        Ok(used)
    }

    /// Keeps it for the commit, which holds it against the quota: what is written by then is not known yet.
    async fn write(&self, plugin: &str, writes: Vec<(String, Option<Bytes>)>, quota: u64) -> Result<(), KeyValueError> {
        let mut seen = self.seen();
        let written = seen.written.entry(plugin.to_owned()).or_default();
        written.writes.extend(writes);
        written.quota = quota;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use patchbay_store::memory::{MemoryOptions, MemoryServer};

    use super::*;

    fn bytes(text: &'static str) -> Option<Bytes> {
        Some(Bytes::from_static(text.as_bytes()))
    }

    #[tokio::test]
    async fn what_is_written_is_seen_by_the_event_and_waits_for_its_commit() {
        let store: Arc<dyn Store> = Arc::new(MemoryServer::new(MemoryOptions::default()).node());
        let put = |key: &str, body| DocumentWrite { key: key.into(), body, expected: None };
        store.write_documents("kv/one", vec![put("a", bytes("1")), put("b", bytes("22"))], None).await.unwrap();
        let kept = Kept::new(Arc::clone(&store));
        assert_eq!(kept.get("one", "a").await.unwrap(), bytes("1"));
        assert_eq!(kept.get("one", "new").await.unwrap(), None);
        assert_eq!((kept.get("other", "a").await.unwrap(), kept.used("one").await.unwrap()), (None, 5));
        let writes = vec![("a".into(), bytes("2")), ("b".into(), None), ("new".into(), bytes("")), ("x".into(), None)];
        kept.write("one", writes, 10).await.unwrap();
        assert_eq!((kept.get("one", "a").await.unwrap(), kept.get("one", "b").await.unwrap()), (bytes("2"), None));
        assert_eq!(kept.keys("one").await.unwrap(), ["a", "new"]);
        assert_eq!(kept.used("one").await.unwrap(), 5);
        assert_eq!(store.document_keys("kv/one").await.unwrap(), ["a", "b"], "nothing is written yet");
        let documents = kept.documents();
        let [Shelving { space, writes, quota: Some(10) }] = documents.as_slice() else { panic!("{documents:?}") };
        let expected: Vec<_> = writes.iter().map(|write| (write.key.as_str(), write.expected)).collect();
        // What was read is expected to be as it was; the rest is written whatever is there.
        let first = store.document("kv/one", "a").await.unwrap().unwrap().revision;
        assert_eq!(expected, [("a", Some(first)), ("b", None), ("new", Some(0)), ("x", None)]);
        assert_eq!(space, "kv/one");
    }

    #[tokio::test]
    async fn an_event_does_not_read_without_end() {
        let kept = Kept::new(Arc::new(MemoryServer::new(MemoryOptions::default()).node()));
        for key in 0..READS {
            kept.get("one", &key.to_string()).await.unwrap();
        }
        assert!(kept.get("one", "0").await.is_ok(), "it was read before");
        let refused = kept.get("one", "more").await.unwrap_err().to_string();
        assert!(refused.contains("4096 keys at the most"), "{refused}");
    }
}
