//! Stored media, read in pieces.

use std::sync::Arc;

use crate::media::{MediaHandle, MediaSource};
use crate::state::Facts;

/// Bytes that one read gives at the most: a plugin asks again for more, and a whole film never stands in memory.
const PIECE: u32 = 1024 * 1024;

/// A plugin's handle of one piece of media.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Blob {
    source: Arc<dyn MediaSource>,
    handle: MediaHandle,
}

impl Blob {
    pub(crate) async fn open(facts: &Facts, media: &str) -> Result<Self, String> {
        if !facts.media_granted {
            // The check of the imports refuses such a plugin; this one does not depend on it.
            return Err(format!("plugin `{}` is not granted media", facts.name));
        }
        let source = facts.media.clone();
        let handle = source.open(media).await?;
        Ok(Self { source, handle })
    }

    pub(crate) const fn size(&self) -> u64 {
        self.handle.size
    }

    pub(crate) async fn read(&self, offset: u64, length: u32) -> Result<Vec<u8>, String> {
        if offset >= self.handle.size || length == 0 {
            return Ok(Vec::new());
        }
        Ok(self.source.read(&self.handle, offset, length.min(PIECE)).await?.into())
    }
}
