//! What plugins keep, on the shelf: a space for each plugin, so that no plugin sees another one's, and all nodes the same.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use patchbay_runtime::{KeyValue, KeyValueError};
use patchbay_store::{DocumentWrite, Shelved, Store, StoreError};

/// Keys and values in the store.
pub struct ShelfKeyValue {
    store: Arc<dyn Store>,
}

impl ShelfKeyValue {
    /// In this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }
}

impl fmt::Debug for ShelfKeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShelfKeyValue").finish_non_exhaustive()
    }
}

/// Names of plugins have no slash: no two of them share a space.
pub(crate) fn space(plugin: &str) -> String {
    format!("kv/{plugin}")
}

pub(crate) fn unavailable(error: StoreError) -> KeyValueError {
    match error {
        StoreError::Unavailable(reason) | StoreError::Unsuitable(reason) => KeyValueError::Unavailable(reason),
        other => KeyValueError::Unavailable(other.to_string()),
    }
}

#[async_trait]
impl KeyValue for ShelfKeyValue {
    async fn get(&self, plugin: &str, key: &str) -> Result<Option<Bytes>, KeyValueError> {
        let document = self.store.document(&space(plugin), key).await.map_err(unavailable)?;
        Ok(document.map(|document| document.body))
    }

    async fn keys(&self, plugin: &str) -> Result<Vec<String>, KeyValueError> {
        self.store.document_keys(&space(plugin)).await.map_err(unavailable)
    }

    async fn used(&self, plugin: &str) -> Result<u64, KeyValueError> {
        self.store.space_size(&space(plugin)).await.map_err(unavailable)
    }

    async fn write(&self, plugin: &str, writes: Vec<(String, Option<Bytes>)>, quota: u64) -> Result<(), KeyValueError> {
        let writes = writes.into_iter().map(|(key, body)| DocumentWrite { key, body, expected: None }).collect();
        match self.store.write_documents(&space(plugin), writes, Some(quota)).await.map_err(unavailable)? {
            Shelved::Written(_) => Ok(()),
            Shelved::Full { would_be } => Err(KeyValueError::Full { would_be, quota }),
            // Nothing was expected, so nothing can conflict.
            Shelved::Conflict { .. } => Err(KeyValueError::Unavailable("another node wrote at the same time".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use patchbay_store::memory::{MemoryOptions, MemoryServer};

    use super::*;

    #[tokio::test]
    async fn each_plugin_has_its_own_and_no_more_than_it_may() {
        let shelf = ShelfKeyValue::new(Arc::new(MemoryServer::new(MemoryOptions::default()).node()));
        let put = |plugin: &'static str, key: &str, value: &'static [u8], quota| {
            let writes = vec![(key.to_owned(), Some(Bytes::from_static(value)))];
            let shelf = &shelf;
            async move { shelf.write(plugin, writes, quota).await }
        };
        put("router", "a", b"12345", 16).await.unwrap();
        put("other", "b", b"x", 16).await.unwrap();
        assert_eq!((shelf.used("router").await.unwrap(), shelf.used("other").await.unwrap()), (6, 2));
        assert_eq!(shelf.get("router", "a").await.unwrap(), Some(Bytes::from_static(b"12345")));
        assert_eq!(shelf.get("other", "a").await.unwrap(), None);
        assert_eq!(shelf.keys("router").await.unwrap(), ["a"]);
        let full = put("router", "b", b"0123456789ab", 16).await;
        assert_eq!(full, Err(KeyValueError::Full { would_be: 19, quota: 16 }));
        assert_eq!(shelf.keys("router").await.unwrap(), ["a"], "all of it or nothing");
        shelf.write("router", vec![("a".into(), None)], 16).await.unwrap();
        assert!(shelf.keys("router").await.unwrap().is_empty());
    }
}
