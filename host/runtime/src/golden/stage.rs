//! What stands in the real world's place while a golden event is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use patchbay_model::golden::{Asked, FileBytes, Golden};

use crate::capabilities::config;
use crate::keyvalue::NoKeyValue;
use crate::media::{MediaHandle, MediaSource};
use crate::plugin::Plugin;
use crate::state::Facts;

/// The plugin's own facts with the golden event's settings, secrets and files, and without what it remembers.
///
/// # Errors
/// A file whose bytes are not here.
pub(super) fn facts(plugin: &Plugin, golden: &Golden) -> Result<Arc<Facts>, String> {
    let secrets = golden.secrets.iter();
    Ok(Arc::new(Facts {
        settings: Arc::new(config::variables(&golden.settings)),
        secrets: secrets.map(|(name, secret)| (name.clone(), vec![secret.reveal().clone().into()])).collect(),
        media: Arc::new(Files::of(golden)?),
        kept: Arc::new(NoKeyValue),
        ..Facts::clone(&plugin.generation.facts)
    }))
}

/// The golden event's files, by the media's ids.
struct Files(BTreeMap<String, Bytes>);

impl Files {
    fn of(golden: &Golden) -> Result<Self, String> {
        let mut files = BTreeMap::new();
        for (id, bytes) in &golden.files {
            files.insert(id.to_string(), read(bytes)?);
        }
        if let Asked::Inspect { inspect, .. } = &golden.asked {
            files.insert(inspect.id.to_string(), read(&inspect.bytes)?);
        }
        Ok(Self(files))
    }
}

fn read(bytes: &FileBytes) -> Result<Bytes, String> {
    match bytes {
        FileBytes::Base64(bytes) => Ok(Bytes::copy_from_slice(bytes)),
        FileBytes::File(name) => Err(format!(
            "the bytes of `{name}` are not here: they come into the component when its project is packed with \
             `patchbay plugin build` or `patchbay plugin pack`"
        )),
    }
}

#[async_trait]
impl MediaSource for Files {
    async fn open(&self, media: &str) -> Result<MediaHandle, String> {
        let bytes = self.0.get(media);
        let bytes = bytes.ok_or_else(|| format!("the golden event has no media `{media}` under `files`"))?;
        Ok(MediaHandle {
            key: media.to_owned(),
            size: bytes.len() as u64,
            mime: "application/octet-stream".to_owned(),
            file_name: None,
        })
    }

    async fn read(&self, handle: &MediaHandle, offset: u64, length: u32) -> Result<Bytes, String> {
        let bytes = self.0.get(&handle.key).cloned().unwrap_or_default();
        let begin = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let end = begin.saturating_add(usize::try_from(length).unwrap_or(usize::MAX)).min(bytes.len());
        Ok(bytes.slice(begin..end))
    }

    async fn stream(&self, handle: &MediaHandle) -> Result<BoxStream<'static, Result<Bytes, std::io::Error>>, String> {
        let bytes = self.0.get(&handle.key).cloned().unwrap_or_default();
        Ok(stream::once(std::future::ready(Ok(bytes))).boxed())
    }
}
