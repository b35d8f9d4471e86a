//! Why a blob could not be put or read.

use std::io;

use thiserror::Error;

/// Why a blob could not be put or read.
#[derive(Debug, Error)]
pub enum BlobError {
    /// There are more bytes than allowed; nothing is kept.
    #[error("the file is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The most bytes that were allowed.
        limit: u64,
    },
    /// The bytes are not the expected ones; nothing is kept.
    #[error("the file's SHA-256 is {found}, and {expected} was announced")]
    Mismatch {
        /// As it was given.
        expected: String,
        /// In lower-case hex.
        found: String,
    },
    /// The announced SHA-256 is neither hex nor base64 of 32 bytes; nothing was read.
    #[error("`{given}` is not a SHA-256 in hex or base64")]
    UnreadableDigest {
        /// As it was given.
        given: String,
    },
    /// The source of the bytes failed before its end; nothing is kept.
    #[error("the file broke off: {reason}")]
    Source {
        /// What the source said.
        reason: String,
    },
    /// There is no such blob.
    #[error("there is no such blob")]
    NotFound,
    /// The disk refused.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done, and where.
        doing: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl BlobError {
    /// For `map_err`: what the store said while it was asked to do this.
    pub(crate) fn from_store(doing: &'static str) -> impl FnOnce(object_store::Error) -> Self {
        move |error| match error {
            object_store::Error::NotFound { .. } => Self::NotFound,
            other => Self::Io { doing: doing.to_owned(), source: io::Error::from(other) },
        }
    }
}
