//! Where refresh tokens are kept that took the place of the configured one.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use secrecy::SecretString;
use thiserror::Error;

/// Keeps the refresh tokens that a server gave in the place of the one in the configuration. With a store that outlives
/// the process, and that nodes share, nobody has to write a new one into the configuration after a restart.
///
/// What is kept is secret: a durable store encrypts it or lies where only the gateway reads.
#[async_trait]
pub trait TokenStore: fmt::Debug + Send + Sync {
    /// The latest refresh token under this key. The key names the credential and changes with its configuration.
    ///
    /// # Errors
    /// If the store cannot be read now.
    async fn load(&self, key: &str) -> Result<Option<SecretString>, TokenStoreError>;

    /// Keeps a refresh token in the place of what was there.
    ///
    /// # Errors
    /// If the store cannot be written now.
    async fn save(&self, key: &str, token: &SecretString) -> Result<(), TokenStoreError>;
}

/// The store does not answer, and why.
#[derive(Clone, Debug, Error)]
#[error("the store of refresh tokens cannot be used: {0}")]
pub struct TokenStoreError(pub String);

/// Keeps refresh tokens as long as the process runs.
#[derive(Default)]
pub struct MemoryTokens(Mutex<HashMap<String, SecretString>>);

impl fmt::Debug for MemoryTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryTokens")
    }
}

#[async_trait]
impl TokenStore for MemoryTokens {
    async fn load(&self, key: &str) -> Result<Option<SecretString>, TokenStoreError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    async fn save(&self, key: &str, token: &SecretString) -> Result<(), TokenStoreError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), token.clone());
        Ok(())
    }
}
