//! Putting and reading blobs.

use std::fmt::Display;
use std::fs;
use std::path::Path as FilePath;
use std::pin::pin;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path;

use crate::digest;
use crate::error::BlobError;
use crate::incoming::{self, Incoming};

/// Where finished blobs are, below the directory.
const KEPT: &str = "sha256";

/// Blobs in a directory. A blob's key is the SHA-256 of its bytes in lower-case hex, so the same file is kept once.
///
/// A blob appears under its key whole or not at all: it is written beside its place, forced to the disk and renamed.
/// `object_store` does the forcing (file and directories) since it is asked to with `with_fsync`; without that it would
/// not. One process owns the directory: what it finds half-written when it opens is what its last run left behind.
#[derive(Clone, Debug)]
pub struct Blobs {
    store: LocalFileSystem,
}

/// A blob that is safely on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlob {
    /// To read it with: the SHA-256 of its bytes, lower-case hex.
    pub key: String,
    /// Bytes.
    pub size: u64,
}

impl Blobs {
    /// Opens a directory, making it where it is missing, and removes what a crashed process left half-written.
    ///
    /// # Errors
    /// The directory cannot be made, read or written.
    pub fn open(dir: &FilePath) -> Result<Self, BlobError> {
        let failed = |doing: &str, path: &FilePath| {
            let doing = format!("{doing} {}", path.display());
            move |source| BlobError::Io { doing, source }
        };
        for part in [KEPT, incoming::FOLDER] {
            let path = dir.join(part);
            fs::create_dir_all(&path).map_err(failed("making the directory", &path))?;
        }
        let unfinished = dir.join(incoming::FOLDER);
        let mut removed = 0_usize;
        for file in fs::read_dir(&unfinished).map_err(failed("reading the directory", &unfinished))? {
            let path = file.map_err(failed("reading the directory", &unfinished))?.path();
            fs::remove_file(&path).map_err(failed("removing the unfinished file", &path))?;
            removed += 1;
        }
        if removed > 0 {
            tracing::info!(removed, "removed media that an earlier run had not finished storing");
        }
        let store = LocalFileSystem::new_with_prefix(dir).map_err(BlobError::from_store("opening the directory"))?;
        Ok(Self { store: store.with_fsync(true) })
    }

    /// Stores what `stream` gives, hashing on the way. When it returns, the blob survives a power cut.
    ///
    /// # Errors
    /// More than `max_bytes` bytes, another SHA-256 than `expected_sha256` (hex or base64), a stream that breaks off, or
    /// the disk. Nothing is kept then.
    pub async fn put<S, E>(
        &self,
        stream: S,
        max_bytes: u64,
        expected_sha256: Option<&str>,
    ) -> Result<StoredBlob, BlobError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: Display,
    {
        let expected = match expected_sha256 {
            Some(given) => {
                Some(digest::parse(given).ok_or_else(|| BlobError::UnreadableDigest { given: given.to_owned() })?)
            }
            None => None,
        };
        let mut incoming = Incoming::begin(&self.store, max_bytes).await?;
        let mut stream = pin!(stream);
        while let Some(chunk) = stream.next().await {
            let written = match chunk {
                Ok(chunk) => incoming.write(chunk).await,
                Err(error) => Err(BlobError::Source { reason: error.to_string() }),
            };
            if let Err(error) = written {
                incoming.abort().await;
                return Err(error);
            }
        }
        incoming.finish(expected).await
    }

    /// A blob's size and all its bytes, read as they are asked for.
    ///
    /// # Errors
    /// There is no such blob, or the disk fails.
    pub async fn stream(&self, key: &str) -> Result<(u64, BoxStream<'static, Result<Bytes, BlobError>>), BlobError> {
        let path = known_path(key)?;
        let found = self.store.get(&path).await.map_err(BlobError::from_store("opening a blob"))?;
        let size = found.meta.size;
        Ok((size, found.into_stream().map_err(|error| BlobError::from_store("reading a blob")(error)).boxed()))
    }

    /// At most `length` bytes from `offset` on; fewer where the blob ends, none behind its end.
    ///
    /// # Errors
    /// There is no such blob, or the disk fails.
    pub async fn read(&self, key: &str, offset: u64, length: u32) -> Result<Bytes, BlobError> {
        let path = known_path(key)?;
        let size = self.size(key).await?;
        let end = offset.saturating_add(u64::from(length)).min(size);
        if offset >= end {
            return Ok(Bytes::new());
        }
        self.store.get_range(&path, offset..end).await.map_err(BlobError::from_store("reading a blob"))
    }

    /// A blob's size in bytes.
    ///
    /// # Errors
    /// There is no such blob, or the disk fails.
    pub async fn size(&self, key: &str) -> Result<u64, BlobError> {
        let path = known_path(key)?;
        Ok(self.store.head(&path).await.map_err(BlobError::from_store("looking for a blob"))?.size)
    }
}

/// Where a blob is. The first two digits are a folder of their own, so that no folder holds all of them.
pub(crate) fn path(key: &str) -> Path {
    Path::from_iter([KEPT, key.get(..2).unwrap_or(key), key])
}

/// Where the blob of a key is that came from outside: anything but a key of ours names no blob.
fn known_path(key: &str) -> Result<Path, BlobError> {
    let ours = key.len() == 64 && key.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if ours { Ok(path(key)) } else { Err(BlobError::NotFound) }
}
