//! Files that come with a message.

use patchbay_model::message::MediaKind;
use patchbay_model::{Media, MediaId, Private};

use crate::digest;
use crate::wire::Fields;

/// What a file is where its sender does not say (RFC 2046, section 4.5.1).
const UNSAID: &str = "application/octet-stream";

/// A file. Its `url` is left where it is: it ends within minutes, and the id leads to a new one.
pub(super) fn media(number: &str, kind: &str, body: &Fields<'_>) -> Option<Media> {
    let platform_id = body.text("id")?;
    let kind = match kind {
        "image" => MediaKind::Image,
        "video" => MediaKind::Video,
        "audio" if body.flag("voice") => MediaKind::Voice,
        "audio" => MediaKind::Audio,
        "voice" => MediaKind::Voice,
        "document" => MediaKind::Document,
        "sticker" => MediaKind::Sticker,
        _ => return None,
    };
    Some(Media {
        id: MediaId::derive(&[number.as_bytes(), platform_id.as_bytes()]),
        platform_id,
        kind,
        mime: mime(body.text("mime_type")),
        size: body.text("file_size").and_then(|size| size.parse().ok()),
        sha256: body.text("sha256").and_then(|text| digest::hex(&text)),
        file_name: body.text("filename").map(Private::new),
        caption: body.text("caption").map(Private::new),
    })
}

/// Lower case and without parameters: `audio/ogg; codecs=opus` is `audio/ogg`.
pub(crate) fn mime(text: Option<String>) -> String {
    let plain = text.as_deref().and_then(|text| text.split(';').next()).unwrap_or_default().trim();
    if plain.is_empty() { UNSAID.to_owned() } else { plain.to_ascii_lowercase() }
}
