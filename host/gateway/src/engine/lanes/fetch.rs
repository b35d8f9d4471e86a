//! Files that came with messages: looked up, downloaded and stored, each try anew, since links live five minutes.

use std::sync::Arc;

use patchbay_media::BlobError;
use patchbay_model::event::MediaChecked;
use patchbay_model::task::Lane;
use patchbay_model::{Body, Effect, Failure, Task};
use patchbay_store::{MediaRecord, MediaState};

use super::settle::outcome;
use super::{Done, Failed};
use crate::engine::owner::Owner;

/// The largest file that WhatsApp carries (documents, Cloud API media limits).
const LARGEST_FILE: u64 = 100 * 1024 * 1024;

pub(super) async fn execute(owner: &Arc<Owner>, task: &Task) -> Result<Done, Failed> {
    let shared = owner.shared();
    let misplaced = || Failure::permanent(format!("`{}` is no effect of the lane {}", task.effect.kind(), task.lane));
    let Lane::Media(channel) = &task.lane else { return Err(misplaced().into()) };
    let routing = shared.routing();
    let Some(line) = routing.channels.get(channel) else { return Err(Failed::not_configured(&task.lane)) };
    let Effect::FetchMedia { message, media } = &task.effect else {
        return Err(misplaced().into());
    };
    let remote = line.graph.media(&media.platform_id).await?;
    let bytes = line.graph.download(&remote).await?;
    let expected = media.sha256.as_deref().or(remote.sha256.as_deref());
    let stored = shared.blobs.put(bytes, LARGEST_FILE, expected).await.map_err(not_stored)?;
    let mime = if remote.mime.is_empty() { media.mime.clone() } else { remote.mime.clone() };
    let mut media = media.clone();
    media.size = Some(stored.size);
    let record = MediaRecord {
        id: media.id.clone(),
        conversation: task.conversation.clone(),
        state: MediaState::Stored { blob: stored.key, size: stored.size, mime, file_name: media.file_name.clone() },
    };
    let checked = Body::MediaChecked(MediaChecked { message: message.clone(), media, problem: None });
    let append = vec![outcome(task, shared.store.now(), checked)];
    Ok(Done { media: vec![record], append, ..Done::default() })
}

fn not_stored(error: BlobError) -> Failed {
    match error {
        BlobError::TooLarge { .. } => Failure::permanent(error.to_string()).into(),
        // A download that was cut short or changed on the way is worth another try.
        other => Failure::retry(other.to_string()).into(),
    }
}
