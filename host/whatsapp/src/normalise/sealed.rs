//! Meta's payload encryption (JWE, RFC 7516): messages that only a key of the business can open. This gateway has none,
//! so it keeps them and says what to switch off.

use data_encoding::BASE64;
use patchbay_model::event::Unparsed;
use patchbay_model::{Arrival, Body, Channel, EventId, Private, Raw, Route, Timestamp};
use serde_json::value::RawValue;

use super::channels;
use super::envelope::Change;
use crate::wire::{self, Fields};

/// The member that holds what is encrypted, as Meta's encrypted requests have it.
const MEMBER: &str = "encrypted_contents";

/// The five parts of a JWE that is written as an object (RFC 7516, section 7.2).
const PARTS: [&str; 2] = ["ciphertext", "protected"];

/// For the operator.
pub(super) const REASON: &str = "it is encrypted (JWE), which this gateway cannot open: switch the number's payload \
     encryption off with POST /{phone number id}/settings and {\"payload_encryption\":{\"status\":\"disabled\"}} at \
     graph.facebook.com";

/// Whether a whole body is encrypted: bare, as a JSON string, or as an object's member.
pub(super) fn is_body(body: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(body) else { return false };
    let text = text.trim();
    is_compact(text)
        || serde_json::from_str::<&RawValue>(text).is_ok_and(|raw| is_value(raw, &Fields::of(raw).unwrap_or_default()))
}

/// Whether a JSON value is encrypted.
pub(super) fn is_value(raw: &RawValue, value: &Fields<'_>) -> bool {
    value.get(MEMBER).is_some()
        || PARTS.iter().all(|part| value.get(part).is_some())
        || (raw.get().starts_with('"') && wire::text(raw).is_some_and(|text| is_compact(&text)))
}

/// `header.key.iv.ciphertext.tag`, each of them base64url; the header is a JSON object, so it begins with `{"`.
fn is_compact(text: &str) -> bool {
    let base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.starts_with("eyJ") && text.split('.').count() == 5 && text.bytes().all(base64url)
}

/// An encrypted value.
pub(super) fn arrival(change: &Change<'_>, channel: Option<&Channel>, received_at: Timestamp) -> Arrival {
    let raw = change.value.get();
    Arrival {
        id: EventId::derive(&[b"sealed", raw.as_bytes()]),
        route: Route::Account(channel.cloned().unwrap_or_else(|| channels::of_account(&change.account))),
        occurred_at: change.time.unwrap_or(received_at),
        received_at,
        body: Body::Unparsed(Unparsed {
            reason: REASON.to_owned(),
            base64: Private::new(BASE64.encode(raw.as_bytes())),
        }),
        raw: Some(Raw { field: change.field.clone(), list: String::new(), json: raw.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encrypted_bodies_are_told_from_broken_ones() {
        let token = "eyJhbGciOiJSU0EtT0FFUCJ9.a-b.c_d.e.f";
        for sealed in [
            token.to_owned(),
            format!(" \"{token}\"\n"),
            format!("{{\"encrypted_contents\":\"{token}\"}}"),
            r#"{"protected":"eyJ9","encrypted_key":"a","iv":"b","ciphertext":"c","tag":"d"}"#.to_owned(),
        ] {
            assert!(is_body(sealed.as_bytes()), "{sealed}");
        }
        for other in ["", "eyJ.a.b.c", "{}", "\"eyJ\"", "{\"ciphertext\":1}", "eyJ a.b.c.d.e", "[\"eyJ.a.b.c.d\"]"] {
            assert!(!is_body(other.as_bytes()), "{other}");
        }
        assert!(!is_body(b"\xff"));
    }
}
