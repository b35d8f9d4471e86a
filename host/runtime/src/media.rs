//! Where stored media comes from. The gateway implements this over its blob storage.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

/// Stored media, as far as a plugin that is granted media may read it.
#[async_trait]
pub trait MediaSource: Send + Sync {
    /// Finds a piece of media by its id.
    ///
    /// # Errors
    /// A sentence for the plugin: unknown, not stored yet, in quarantine …
    async fn open(&self, media: &str) -> Result<MediaHandle, String>;

    /// Up to `length` bytes from `offset`; empty at the end.
    ///
    /// # Errors
    /// A sentence for the plugin.
    async fn read(&self, handle: &MediaHandle, offset: u64, length: u32) -> Result<Bytes, String>;

    /// All bytes from the beginning, `handle.size` of them.
    ///
    /// # Errors
    /// A sentence for the plugin.
    async fn stream(&self, handle: &MediaHandle) -> Result<BoxStream<'static, Result<Bytes, std::io::Error>>, String>;
}

/// One piece of stored media.
#[derive(Clone, Debug)]
pub struct MediaHandle {
    /// The storage's own key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Media type without parameters.
    pub mime: String,
    /// As the sender named it.
    pub file_name: Option<String>,
}

/// A source that has nothing, for tools and tests without media.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMedia;

#[async_trait]
impl MediaSource for NoMedia {
    async fn open(&self, media: &str) -> Result<MediaHandle, String> {
        Err(format!("there is no media `{media}` here"))
    }

    async fn read(&self, handle: &MediaHandle, _offset: u64, _length: u32) -> Result<Bytes, String> {
        Err(format!("there is no media `{}` here", handle.key))
    }

    async fn stream(&self, handle: &MediaHandle) -> Result<BoxStream<'static, Result<Bytes, std::io::Error>>, String> {
        Err(format!("there is no media `{}` here", handle.key))
    }
}
