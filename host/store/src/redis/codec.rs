//! What stands behind the keys, and back.

use std::fmt;

use ::redis::{FromRedisValue, Value};
use patchbay_model::{Arrival, ConversationId, Event, Raw};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::server::Trouble;
use crate::{EventRecord, Position, StoreError};

/// An entry of a stream: its id, its fields.
pub(super) type StreamEntry = (String, Vec<(String, Vec<u8>)>);

pub(super) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    // Only maps with keys that are not text cannot be written, and the model has none.
    serde_json::to_vec(value)
        .map_err(|error| StoreError::Corrupt(format!("a value cannot be written as JSON: {error}")))
}

/// `what` and `which` say where it stood. The parser's own message may quote a value, so only its class and place are told.
pub(super) fn decode<T: DeserializeOwned>(what: &str, which: impl fmt::Display, json: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(json).map_err(|error| {
        StoreError::Corrupt(format!("{what} {which}: {:?} at column {}", error.classify(), error.column()))
    })
}

/// Sets a row that cannot be read aside, so that it stops nothing but itself. The error says its key, not its content.
pub(super) fn readable<T>(row: Result<T, StoreError>) -> Option<T> {
    match row {
        Ok(row) => Some(row),
        Err(error) => {
            tracing::error!(%error, "something stored is unreadable and is left out");
            None
        }
    }
}

/// An answer as what it should be.
pub(super) fn answer<T: FromRedisValue>(value: Result<Value, Trouble>) -> Result<T, StoreError> {
    let value = value.map_err(Trouble::into_error)?;
    ::redis::from_redis_value(value)
        .map_err(|_| StoreError::Corrupt("Redis answered something else than was asked for".into()))
}

/// An event as `scripts/put.lua` writes it: position, conversations, and its arrival without the raw JSON behind a line
/// break.
pub(super) fn event(id: &str, value: &[u8], raw: &[u8]) -> Result<EventRecord, StoreError> {
    let broken = || StoreError::Corrupt(format!("event {id}: it has no head"));
    let end = value.iter().position(|byte| *byte == b'\n').ok_or_else(broken)?;
    let (head, json) = value.split_at(end);
    let head = std::str::from_utf8(head).map_err(|_| broken())?;
    let mut words = head.split(' ');
    let position = words.next().and_then(|word| word.parse().ok()).map(Position).ok_or_else(broken)?;
    let mut conversations = words.map(ConversationId::parse);
    let conversation = conversations.next().flatten().ok_or_else(broken)?;
    let others = conversations.collect::<Option<Vec<_>>>().ok_or_else(broken)?;
    let arrival: Arrival = decode("event", id, json)?;
    let raw: Option<Raw> = if raw.is_empty() { None } else { Some(decode("raw JSON of event", id, raw)?) };
    let event = Event {
        id: arrival.id,
        conversation,
        occurred_at: arrival.occurred_at,
        received_at: arrival.received_at,
        body: arrival.body,
    };
    Ok(EventRecord { position, event, route: arrival.route, raw, others })
}

/// The version and the state of a conversation, behind the version and the fingerprint of the commit that wrote it.
pub(super) fn conversation(value: &[u8]) -> Option<(u64, &[u8])> {
    let mut parts = value.splitn(3, |byte| *byte == b' ');
    let version = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
    parts.next()?;
    Some((version, parts.next()?))
}

/// A timer's JSON, behind the moment.
pub(super) fn timer(value: &[u8]) -> &[u8] {
    let space = value.iter().position(|byte| *byte == b' ');
    space.and_then(|space| value.get(space + 1..)).unwrap_or_default()
}
