//! The shelf: small documents that all nodes share, outside of the partitions. Deployments lie here, the components that
//! they run, and what plugins keep.

use async_trait::async_trait;
use bytes::Bytes;

use super::StoreError;

/// The most bytes of one document. Larger things are cut into several.
pub const DOCUMENT_MOST: usize = 1024 * 1024;

/// A document and how often it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its name within its space.
    pub key: String,
    /// Grows with each write of this key, also over a removal in between; never 0.
    pub revision: u64,
    /// What is written there.
    pub body: Bytes,
}

/// One document to write or to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentWrite {
    /// Its name within its space: 1 to 512 bytes.
    pub key: String,
    /// What is to stand there; `None` removes it.
    pub body: Option<Bytes>,
    /// Only if it is at this revision now (0: it is not there). `None`: whatever is there.
    pub expected: Option<u64>,
}

/// What became of a write to the shelf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shelved {
    /// All of it stands there, with these revisions, in the order of the writes (0: removed).
    Written(Vec<u64>),
    /// Nothing was written: this document is not at the revision that was expected.
    Conflict {
        /// Which.
        key: String,
        /// The revision that it is at; 0: it is not there.
        found: u64,
    },
    /// Nothing was written: the space would hold more than its quota, in bytes of keys and bodies.
    Full {
        /// What it would hold.
        would_be: u64,
    },
}

/// Documents by space and key. A space is written atomically; two spaces are not.
///
/// When a write returns, it is as safe as any other write of the store. What a failover loses of it is lost silently.
#[async_trait]
pub trait Shelf: Send + Sync {
    /// One document.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn document(&self, space: &str, key: &str) -> Result<Option<Document>, StoreError> {
        let _ = (space, key, "");
        Err(StoreError::Unavailable("no shelf".into()))
    }

    /// The keys of a space, sorted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn document_keys(&self, space: &str) -> Result<Vec<String>, StoreError> {
        let _ = (space, "");
        Err(StoreError::Unavailable("no shelf".into()))
    }

    /// All documents of a space, by key. For spaces that are known to be small.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn documents(&self, space: &str) -> Result<Vec<Document>, StoreError> {
        let _ = (space, "");
        Err(StoreError::Unavailable("no shelf".into()))
    }

    /// Writes all of it, or nothing. `quota`: the most bytes of keys and bodies that the space may hold afterwards; a write
    /// that makes it hold less is never refused.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it may or may not have been written. [`StoreError::Unsuitable`]: a key or a body is
    /// longer than allowed.
    async fn write_documents(
        &self,
        space: &str,
        writes: Vec<DocumentWrite>,
        quota: Option<u64>,
    ) -> Result<Shelved, StoreError> {
        let _ = (space, writes, quota);
        Err(StoreError::Unavailable("no shelf".into()))
    }
}
