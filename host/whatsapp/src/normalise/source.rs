//! What the items of one webhook value have in common.

use patchbay_model::{Arrival, Body, Channel, EventId, Notice, Route, Timestamp};
use serde_json::value::RawValue;

use super::identity::Contacts;

/// The number that items came to, and what was said of people beside them.
pub(super) struct Source<'a> {
    pub(super) channel: &'a Channel,
    pub(super) contacts: Contacts,
    pub(super) received_at: Timestamp,
}

impl Source<'_> {
    /// The phone number id: the first part of every id that is derived here.
    pub(super) fn number(&self) -> &str {
        &self.channel.address
    }

    /// The id of an item of this number.
    pub(super) fn id(&self, parts: &[&str]) -> EventId {
        let mut bytes = Vec::with_capacity(parts.len() + 1);
        bytes.push(self.number().as_bytes());
        bytes.extend(parts.iter().map(|part| part.as_bytes()));
        EventId::derive(&bytes)
    }

    /// An item that we have no name for, known by its bytes.
    pub(super) fn unknown(&self, kind: &str, raw: &RawValue) -> Arrival {
        self.unknown_with_id(self.id(&["unknown", kind, raw.get()]), kind, None, raw)
    }

    /// An item that we have no name for, though it has one of its own, and perhaps a time.
    pub(super) fn unknown_with_id(
        &self,
        id: EventId,
        kind: &str,
        occurred_at: Option<Timestamp>,
        raw: &RawValue,
    ) -> Arrival {
        let body = Body::Unknown(Notice { kind: kind.to_owned(), data: raw.get().into() });
        self.arrival(id, Route::Account(self.channel.clone()), occurred_at, body, raw)
    }

    /// An item; without a time of its own it happened when it was received.
    pub(super) fn arrival(
        &self,
        id: EventId,
        route: Route,
        occurred_at: Option<Timestamp>,
        body: Body,
        raw: &RawValue,
    ) -> Arrival {
        Arrival {
            id,
            route,
            occurred_at: occurred_at.unwrap_or(self.received_at),
            received_at: self.received_at,
            body,
            raw: Some(raw.get().into()),
        }
    }
}
