//! Where plugins keep what they want to remember across conversations.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;

/// Keys and values, apart for each plugin by its name in the configuration.
#[async_trait]
pub trait KeyValue: fmt::Debug + Send + Sync {
    /// One value.
    ///
    /// # Errors
    /// [`KeyValueError::Unavailable`].
    async fn get(&self, plugin: &str, key: &str) -> Result<Option<Bytes>, KeyValueError>;

    /// All keys, sorted.
    ///
    /// # Errors
    /// [`KeyValueError::Unavailable`].
    async fn keys(&self, plugin: &str) -> Result<Vec<String>, KeyValueError>;

    /// How much is kept, in bytes of keys and values.
    ///
    /// # Errors
    /// [`KeyValueError::Unavailable`].
    async fn used(&self, plugin: &str) -> Result<u64, KeyValueError>;

    /// Writes all of it or nothing; no value removes the key. `quota`: the most bytes of keys and values together;
    /// what leaves no more than there was is written all the same.
    ///
    /// # Errors
    /// [`KeyValueError`].
    async fn write(&self, plugin: &str, writes: Vec<(String, Option<Bytes>)>, quota: u64) -> Result<(), KeyValueError>;
}

/// Why nothing was read or written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyValueError {
    /// It would be more than the plugin may keep.
    #[error("it would keep {would_be} bytes; {quota} are the most")]
    Full {
        /// What it would be, bytes.
        would_be: u64,
        /// What it may be, bytes.
        quota: u64,
    },
    /// The store does not answer now.
    #[error("the store cannot be used: {0}")]
    Unavailable(String),
}

/// Nowhere to keep anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoKeyValue;

#[async_trait]
impl KeyValue for NoKeyValue {
    async fn get(&self, _: &str, _: &str) -> Result<Option<Bytes>, KeyValueError> {
        Ok(None)
    }

    async fn keys(&self, _: &str) -> Result<Vec<String>, KeyValueError> {
        Ok(Vec::new())
    }

    async fn used(&self, _: &str) -> Result<u64, KeyValueError> {
        Ok(0)
    }

    async fn write(&self, _: &str, _: Vec<(String, Option<Bytes>)>, _: u64) -> Result<(), KeyValueError> {
        Err(KeyValueError::Unavailable("there is none".into()))
    }
}
