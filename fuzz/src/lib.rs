//! What must hold for every input. Each function takes the fuzzer's bytes and panics where it does not.
//!
//! The same functions run over the corpus on every test run, without a fuzzer: `host/whatsapp/tests/corpus.rs` includes
//! this file.

mod json;

use patchbay_model::{Arrival, Body, Channel, ConversationId, Event, Raw, Route, Timestamp};
use patchbay_whatsapp::normalise::{Channels, Normalised, again, normalise as read};
use patchbay_whatsapp::signature::{AppSecrets, sign};
use secrecy::SecretString;
use serde_json::{Value, json};

pub use json::{decode, encode};

/// The phone number id of the number that is ours.
pub const NUMBER: &str = "106540352242922";
const ACCOUNT: &str = "102290129340398";
/// What the webhooks are signed with.
pub const SECRET: &str = "an app secret that only this file knows";
const RECEIVED_AT: Timestamp = Timestamp::from_millis(1_764_000_999_000);

/// Fields that the normaliser treats differently, for the first byte of an input to choose from.
pub const FIELDS: [&str; 18] = [
    "messages",
    "calls",
    "history",
    "standby",
    "smb_message_echoes",
    "smb_app_state_sync",
    "messaging_handovers",
    "user_preferences",
    "user_id_update",
    "group_lifecycle_update",
    "group_participants_update",
    "group_settings_update",
    "group_status_update",
    "account_update",
    "message_template_status_update",
    "security",
    "message_echoes",
    "quantum_update",
];

/// A webhook's body as it comes over the wire: judged by its signature, then read.
pub fn body(data: &[u8]) {
    let secret = SecretString::from(SECRET);
    let secrets = AppSecrets::new(vec![secret.clone()]);
    let header = sign(&secret, data);
    assert_eq!(secrets.verify(Some(header.as_bytes()), data), Ok(()), "our own signature is believed");
    holds(data);
}

/// JSON that means something in the place where it stands: a field, a way of putting it there, and the value.
pub fn normalise(data: &[u8]) {
    let Some((&[field, way], rest)) = data.split_first_chunk::<2>() else { return };
    let value = decode(rest);
    let metadata = json!({ "display_phone_number": "+44 7700 900999", "phone_number_id": NUMBER });
    let value = match (way % 4, value) {
        (0, value) => return holds(value.to_string().as_bytes()),
        (1, Value::Object(mut members)) => {
            members.insert("metadata".to_owned(), metadata);
            Value::Object(members)
        }
        (2, value) => json!({ "metadata": metadata, "messages": [value], "statuses": [value] }),
        (_, value) => value,
    };
    let field = FIELDS[usize::from(field) % FIELDS.len()];
    let change = json!({ "field": field, "value": value });
    holds(json!({ "entry": [{ "id": ACCOUNT, "changes": [change] }] }).to_string().as_bytes());
}

/// A reference that is ours is written as we write it.
pub fn reference(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some((conversation, task)) = patchbay_whatsapp::reference::parse(text) {
        assert_eq!(patchbay_whatsapp::reference::format(&conversation, &task), text);
    }
}

/// A header and, after the first line break, a body: only the one right header is believed.
pub fn signature(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (header, body) = (&data[..at], data.get(at + 1..).unwrap_or_default());
    let secret = SecretString::from(SECRET);
    let right = sign(&secret, body);
    let verdict = AppSecrets::new(vec![secret]).verify(Some(header), body);
    assert_eq!(verdict.is_ok(), header.eq_ignore_ascii_case(right.as_bytes()) && header.starts_with(b"sha256="));
}

/// What holds for every body.
fn holds(body: &[u8]) {
    let channel =
        Channel { id: "support".into(), platform: "whatsapp".into(), account: ACCOUNT.into(), address: NUMBER.into() };
    let channels = Channels::new([channel]);
    let result = read(body, &channels, RECEIVED_AT);
    assert_eq!(result, read(body, &channels, RECEIVED_AT), "the same bytes give the same arrivals");
    well_formed(&result);
    for arrival in &result.arrivals {
        read_again(arrival, &channels);
    }
}

/// What every result is like.
fn well_formed(result: &Normalised) {
    assert!(!result.arrivals.is_empty() || result.foreign > 0, "nothing vanishes");
    for arrival in &result.arrivals {
        match (&arrival.raw, &arrival.body) {
            (None, body) => assert!(matches!(body, Body::Unparsed(_)), "an item carries its slice"),
            (Some(Raw { json, .. }), _) => {
                let slice = serde_json::from_str::<&serde_json::value::RawValue>(json.reveal());
                assert!(slice.is_ok(), "a slice is JSON");
            }
        }
        if let Route::Customer { identities, .. } = &arrival.route {
            assert!(!identities.is_empty(), "a customer has an identity");
        }
        let kind = arrival.body.kind();
        let plain = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
        assert!(kind.bytes().all(plain), "{kind} is a kind");
    }
}

/// What was kept of an arrival, read again, is the same arrival.
fn read_again(arrival: &Arrival, channels: &Channels) {
    let Arrival { id, route, occurred_at, received_at, body, raw } = arrival.clone();
    let event = Event { id, conversation: ConversationId::derive(&[b"any"]), occurred_at, received_at, body };
    let result = again(&event, &route, raw.as_ref(), channels).expect("something was kept");
    let ids: Vec<_> = result.arrivals.iter().map(|arrival| &arrival.id).collect();
    assert_eq!(ids, [&event.id], "{} is read as the same", event.body.kind());
    assert_eq!(result.arrivals[0].body.kind(), event.body.kind());
}
