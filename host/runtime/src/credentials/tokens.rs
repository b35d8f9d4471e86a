//! Where it is kept what became of a refresh token that changes.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;

/// Keeps what servers gave in the place of the refresh tokens in the configuration. With a store that outlives the process
/// nobody has to write a new one there after a restart; with one that nodes share they all have the newest, and one of them
/// at a time asks for the next.
///
/// What is kept is sealed: who reads the store learns nothing without the configuration.
#[async_trait]
pub trait TokenStore: fmt::Debug + Send + Sync {
    /// What is kept under this key, which is 32 hexadecimal digits.
    ///
    /// # Errors
    /// If the store cannot be read now.
    async fn load(&self, key: &str) -> Result<Option<Kept>, TokenStoreError>;

    /// Writes, if what is there is at the revision `expected` (0: nothing is there). Gives the new revision; `None`:
    /// somebody else wrote meanwhile, and nothing was written.
    ///
    /// # Errors
    /// If the store cannot be written now. It may have been written all the same.
    async fn save(&self, key: &str, sealed: Bytes, expected: u64) -> Result<Option<u64>, TokenStoreError>;
}

/// What a store has under a key.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Grows with each write, and is never 0.
    pub revision: u64,
    /// What was written.
    pub sealed: Bytes,
}

/// The store does not answer, and why.
#[derive(Clone, Debug, Error)]
#[error("the store of refresh tokens cannot be used: {0}")]
pub struct TokenStoreError(pub String);

/// Keeps it as long as the process runs.
#[derive(Default)]
pub struct MemoryTokens(Mutex<HashMap<String, Kept>>);

impl fmt::Debug for MemoryTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryTokens")
    }
}

#[async_trait]
impl TokenStore for MemoryTokens {
    async fn load(&self, key: &str) -> Result<Option<Kept>, TokenStoreError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    async fn save(&self, key: &str, sealed: Bytes, expected: u64) -> Result<Option<u64>, TokenStoreError> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.get(key).map_or(0, |kept| kept.revision) != expected {
            return Ok(None);
        }
        let revision = expected.saturating_add(1);
        all.insert(key.to_owned(), Kept { revision, sealed });
        Ok(Some(revision))
    }
}
