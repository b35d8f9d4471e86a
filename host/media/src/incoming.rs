//! One blob on its way to the disk.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};

use crate::blobs::{self, StoredBlob};
use crate::error::BlobError;

/// Where unfinished blobs are, below the directory.
pub(crate) const FOLDER: &str = "incoming";

/// Bytes gathered before they are written. Each write is a hop to a blocking thread: network chunks of 8–16 KiB would
/// spend more on the hop than on the write.
const WRITE_SIZE: usize = 256 * 1024;

/// One name for each blob of this process. What an earlier process left is gone before the first is drawn.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A blob that is still growing.
pub(crate) struct Incoming<'a> {
    store: &'a LocalFileSystem,
    path: Path,
    upload: Box<dyn MultipartUpload>,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
    hash: Sha256,
    size: u64,
    max_bytes: u64,
}

impl<'a> Incoming<'a> {
    pub(crate) async fn begin(store: &'a LocalFileSystem, max_bytes: u64) -> Result<Self, BlobError> {
        let name = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        let path = Path::from_iter([FOLDER, &name]);
        let upload = store.put_multipart(&path).await.map_err(BlobError::from_store("beginning a blob"))?;
        let hash = Sha256::new();
        Ok(Self { store, path, upload, gathered: Vec::new(), gathered_bytes: 0, hash, size: 0, max_bytes })
    }

    /// Takes the next bytes.
    pub(crate) async fn write(&mut self, chunk: Bytes) -> Result<(), BlobError> {
        self.size = self.size.saturating_add(chunk.len() as u64);
        if self.size > self.max_bytes {
            return Err(BlobError::TooLarge { limit: self.max_bytes });
        }
        self.hash.update(&chunk);
        self.gathered_bytes += chunk.len();
        self.gathered.push(chunk);
        if self.gathered_bytes >= WRITE_SIZE {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), BlobError> {
        self.gathered_bytes = 0;
        let payload = PutPayload::from_iter(self.gathered.drain(..));
        self.upload.put_part(payload).await.map_err(BlobError::from_store("writing a blob"))
    }

    /// Puts the whole under its key, if it is what was announced.
    pub(crate) async fn finish(mut self, expected: Option<[u8; 32]>) -> Result<StoredBlob, BlobError> {
        let found: [u8; 32] = std::mem::take(&mut self.hash).finalize().into();
        let key = HEXLOWER.encode(&found);
        if let Some(expected) = expected.filter(|expected| expected != &found) {
            self.abort().await;
            return Err(BlobError::Mismatch { expected: HEXLOWER.encode(&expected), found: key });
        }
        if let Err(error) = self.flush().await {
            self.abort().await;
            return Err(error);
        }
        self.upload.complete().await.map_err(BlobError::from_store("finishing a blob"))?;
        // An equal blob that is there already is replaced by this one: that it is there does not say that it is durable.
        let renamed = self.store.rename(&self.path, &blobs::path(&key)).await;
        renamed.map_err(BlobError::from_store("putting a blob in its place"))?;
        Ok(StoredBlob { key, size: self.size })
    }

    /// Takes the bytes back. What cannot be removed now is removed when the directory is opened next.
    pub(crate) async fn abort(mut self) {
        if let Err(error) = self.upload.abort().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "an unfinished blob could not be removed");
        }
    }
}
