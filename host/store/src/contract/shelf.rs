//! The shelf: small documents that all nodes share, outside of the partitions. Deployments lie here, the components that
//! they run, and what plugins keep.

use std::collections::BTreeSet;
use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::StoreError;

/// The most bytes of one document. Larger things are cut into several.
pub const DOCUMENT_MOST: usize = 1024 * 1024;

/// The most bytes of a document's key, and of a space's name: both stand in the keys of an index.
pub const DOCUMENT_KEY_MOST: usize = 512;

/// A document and how often it was written.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Its name within its space.
    pub key: String,
    /// Grows with each write of this key, also over a removal in between; never 0.
    pub revision: u64,
    /// What is written there.
    #[serde(with = "in_base64")]
    pub body: Bytes,
}

/// Says nothing of what is written, and nothing of the key: a plugin may have named it after a customer.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("revision", &self.revision).finish_non_exhaustive()
    }
}

/// One document to write or to remove.
#[derive(Clone, PartialEq, Eq)]
pub struct DocumentWrite {
    /// Its name within its space: 1 to [`DOCUMENT_KEY_MOST`] bytes.
    pub key: String,
    /// What is to stand there, [`DOCUMENT_MOST`] bytes at most; `None` removes it.
    pub body: Option<Bytes>,
    /// Only if it is at this revision now (0: it is not there). `None`: whatever is there.
    pub expected: Option<u64>,
}

/// As [`Document`]'s.
impl fmt::Debug for DocumentWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentWrite").field("expected", &self.expected).finish_non_exhaustive()
    }
}

impl DocumentWrite {
    /// What the document counts for in its space once it is written.
    pub(crate) fn size(&self) -> u64 {
        self.body.as_ref().map_or(0, |body| size(&self.key, body.len()))
    }
}

/// Writes to one space: all of them are made, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelving {
    /// The space.
    pub space: String,
    /// What is written there, each document once.
    pub writes: Vec<DocumentWrite>,
    /// The most bytes of keys and bodies that the space may hold afterwards; a write after which it holds no more than
    /// before is never refused. `None`: as many as there are.
    pub quota: Option<u64>,
}

/// What became of a write to the shelf.
#[derive(Clone, PartialEq, Eq)]
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

/// As [`Document`]'s.
impl fmt::Debug for Shelved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Written(revisions) => f.debug_tuple("Written").field(revisions).finish(),
            Self::Conflict { found, .. } => f.debug_struct("Conflict").field("found", found).finish_non_exhaustive(),
            Self::Full { would_be } => f.debug_struct("Full").field("would_be", would_be).finish(),
        }
    }
}

/// Documents by space and key. A space is written atomically; two spaces are not, except by a
/// [commit](crate::Commit::documents).
///
/// When a write returns, it is as safe as any other write of the store. What a failover loses of it is lost silently.
#[async_trait]
pub trait Shelf: Send + Sync {
    /// One document.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn document(&self, space: &str, key: &str) -> Result<Option<Document>, StoreError>;

    /// The keys of a space, sorted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn document_keys(&self, space: &str) -> Result<Vec<String>, StoreError>;

    /// All documents of a space, by key. For spaces that are known to be small.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn documents(&self, space: &str) -> Result<Vec<Document>, StoreError>;

    /// How much a space holds, in bytes of keys and bodies: what its quota is held against.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn space_size(&self, space: &str) -> Result<u64, StoreError>;

    /// Writes all of it, or nothing, if every document is at the revision that is expected of it. `quota`: the most bytes
    /// of keys and bodies that the space may hold afterwards; a write after which it holds no more than before is never
    /// refused.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it may or may not have been written. [`StoreError::Unsuitable`]: a name or a body is
    /// longer than allowed, a name is empty, or two of the writes are of one document.
    async fn write_documents(
        &self,
        space: &str,
        writes: Vec<DocumentWrite>,
        quota: Option<u64>,
    ) -> Result<Shelved, StoreError>;
}

/// What a document counts for in its space.
pub(crate) fn size(key: &str, body: usize) -> u64 {
    u64::try_from(key.len().saturating_add(body)).unwrap_or(u64::MAX)
}

/// Whether a space that held `before` bytes may hold `after` bytes.
pub(crate) fn fits(before: u64, after: u64, quota: Option<u64>) -> bool {
    after <= before || quota.is_none_or(|quota| after <= quota)
}

/// Checks what can be checked of a write without the store.
///
/// # Errors
/// [`StoreError::Unsuitable`]. The sentence names no key.
pub(crate) fn check(space: &str, writes: &[DocumentWrite]) -> Result<(), StoreError> {
    let refuse = |sentence: String| Err(StoreError::Unsuitable(sentence));
    if !(1..=DOCUMENT_KEY_MOST).contains(&space.len()) {
        let length = space.len();
        return refuse(format!("the name of a space has 1 to {DOCUMENT_KEY_MOST} bytes, and this one has {length}"));
    }
    let mut keys = BTreeSet::new();
    for DocumentWrite { key, body, .. } in writes {
        if !(1..=DOCUMENT_KEY_MOST).contains(&key.len()) {
            let length = key.len();
            return refuse(format!("a document's key has 1 to {DOCUMENT_KEY_MOST} bytes, and this one has {length}"));
        }
        if let Some(body) = body.as_ref().filter(|body| body.len() > DOCUMENT_MOST) {
            let length = body.len();
            return refuse(format!(
                "a document has {DOCUMENT_MOST} bytes at most, and this one has {length}: cut it into several"
            ));
        }
        if !keys.insert(key) {
            return refuse("one write names a document twice: name each once".into());
        }
    }
    Ok(())
}

/// Bodies in JSON.
mod in_base64 {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(body: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(body))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        let text = String::deserialize(deserializer)?;
        // The decoder's own words could tell of the body.
        let body = STANDARD.decode(text).map_err(|_| serde::de::Error::custom("a body is no base64"))?;
        Ok(body.into())
    }
}
