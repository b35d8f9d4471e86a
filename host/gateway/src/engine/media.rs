//! Stored media for plugins: the store knows which blob a piece of media is, the blob store has the bytes.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use patchbay_media::Blobs;
use patchbay_model::MediaId;
use patchbay_runtime::{MediaHandle, MediaSource};
use patchbay_store::{MediaState, Store};

/// The gateway's media, as the sandbox sees it.
#[derive(Debug)]
pub struct StoredMedia {
    store: Arc<dyn Store>,
    blobs: Arc<Blobs>,
}

impl StoredMedia {
    /// Media of this store, with bytes from these blobs.
    #[must_use]
    pub const fn new(store: Arc<dyn Store>, blobs: Arc<Blobs>) -> Self {
        Self { store, blobs }
    }
}

#[async_trait]
impl MediaSource for StoredMedia {
    async fn open(&self, media: &str) -> Result<MediaHandle, String> {
        let id = MediaId::parse(media).ok_or_else(|| format!("`{media}` is no media id"))?;
        let record = self.store.media(&id).await.map_err(|error| error.to_string())?;
        match record.map(|record| record.state) {
            Some(MediaState::Stored { blob, size, mime, file_name }) => {
                Ok(MediaHandle { key: blob, size, mime, file_name: file_name.map(patchbay_model::Private::into_inner) })
            }
            Some(MediaState::Failed { reason }) => Err(format!("{media} could not be fetched: {reason}")),
            None => Err(format!("{media} has not been fetched yet")),
        }
    }

    async fn read(&self, handle: &MediaHandle, offset: u64, length: u32) -> Result<Bytes, String> {
        self.blobs.read(&handle.key, offset, length).await.map_err(|error| error.to_string())
    }

    async fn stream(&self, handle: &MediaHandle) -> Result<BoxStream<'static, Result<Bytes, std::io::Error>>, String> {
        let (_, bytes) = self.blobs.stream(&handle.key).await.map_err(|error| error.to_string())?;
        Ok(bytes.map(|chunk| chunk.map_err(std::io::Error::other)).boxed())
    }
}
