//! What became of refresh tokens that change, on the shelf: for the next start, and for all nodes. It is sealed before it
//! comes here, with keys that only the configuration can give.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use patchbay_runtime::TokenStore;
use patchbay_runtime::credentials::{Kept, TokenStoreError};
use patchbay_store::{DocumentWrite, Shelved, Store, StoreError};

/// The space on the shelf. No plugin's is called like this: theirs begin with `kv/`.
const SPACE: &str = "tokens";

/// Refresh tokens in the store.
pub struct ShelfTokens {
    store: Arc<dyn Store>,
}

impl ShelfTokens {
    /// In this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }
}

impl fmt::Debug for ShelfTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShelfTokens").finish_non_exhaustive()
    }
}

fn unusable(error: StoreError) -> TokenStoreError {
    match error {
        StoreError::Unavailable(reason) | StoreError::Unsuitable(reason) => TokenStoreError(reason),
        other => TokenStoreError(other.to_string()),
    }
}

#[async_trait]
impl TokenStore for ShelfTokens {
    async fn load(&self, key: &str) -> Result<Option<Kept>, TokenStoreError> {
        let document = self.store.document(SPACE, key).await.map_err(unusable)?;
        Ok(document.map(|document| Kept { revision: document.revision, sealed: document.body }))
    }

    async fn save(&self, key: &str, sealed: Bytes, expected: u64) -> Result<Option<u64>, TokenStoreError> {
        let write = DocumentWrite { key: key.to_owned(), body: Some(sealed), expected: Some(expected) };
        match self.store.write_documents(SPACE, vec![write], None).await.map_err(unusable)? {
            Shelved::Written(revisions) => Ok(revisions.first().copied()),
            Shelved::Conflict { .. } => Ok(None),
            // There is no quota to be over.
            Shelved::Full { .. } => Err(TokenStoreError("it is full".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use patchbay_store::EmbeddedStore;
    use patchbay_store::embedded::EmbeddedOptions;
    use patchbay_store::memory::{MemoryOptions, MemoryServer};

    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    /// What every store of tokens does.
    async fn keeps(mine: &ShelfTokens, other: &ShelfTokens) {
        assert!(mine.load(KEY).await.unwrap().is_none());
        assert_eq!(mine.save(KEY, "zero".into(), 3).await.unwrap(), None, "nothing is there");
        let first = mine.save(KEY, "one".into(), 0).await.unwrap().unwrap();
        assert!(first > 0);
        assert_eq!(other.save(KEY, "two".into(), 0).await.unwrap(), None, "it is there already");
        let seen = other.load(KEY).await.unwrap().unwrap();
        assert_eq!((seen.revision, &seen.sealed[..]), (first, &b"one"[..]));
        let second = other.save(KEY, "two".into(), first).await.unwrap().unwrap();
        assert!(second > first);
        assert_eq!(mine.save(KEY, "three".into(), first).await.unwrap(), None, "somebody was faster");
        assert_eq!(mine.load(KEY).await.unwrap().unwrap().sealed, "two");
        assert!(mine.load("another").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn the_first_to_write_is_the_one_who_has_written() {
        let server = MemoryServer::new(MemoryOptions::default());
        keeps(&ShelfTokens::new(Arc::new(server.node())), &ShelfTokens::new(Arc::new(server.node()))).await;
        let folder = tempfile::tempdir().unwrap();
        let open = || EmbeddedStore::open(&folder.path().join("store.redb"), EmbeddedOptions::default()).unwrap();
        let store: Arc<dyn Store> = Arc::new(open());
        keeps(&ShelfTokens::new(Arc::clone(&store)), &ShelfTokens::new(Arc::clone(&store))).await;
        store.close().await;
        drop(store);
        let again = ShelfTokens::new(Arc::new(open()));
        assert_eq!(again.load(KEY).await.unwrap().unwrap().sealed, "two");
    }
}
