//! What the items of one webhook value have in common.

use std::borrow::Cow;

use patchbay_model::event::Speaker;
use patchbay_model::{Arrival, Body, Channel, EventId, Notice, Raw, Route, Timestamp};
use serde_json::value::RawValue;

use super::identity::Contacts;

/// The number that items came to, what was said of people beside them, and where the item stands that is being read.
pub(super) struct Source<'a> {
    pub(super) channel: &'a Channel,
    pub(super) contacts: Contacts,
    pub(super) received_at: Timestamp,
    /// The webhook's field.
    pub(super) field: &'a str,
    /// The list in its value that is being read, as [`Raw::list`] has it.
    pub(super) list: Cow<'a, str>,
    /// In a history: the customer's name at the head of the thread.
    pub(super) thread: Option<String>,
    /// In a history: how to tell who wrote.
    pub(super) voice: Voice,
}

/// How to tell which side of a conversation wrote.
pub(super) enum Voice {
    /// By comparing with the digits of our number as people see it; empty where they are not known.
    Ours(String),
    /// It is known.
    Known(Speaker),
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

    /// The id of an item by Meta's name for it, or by its bytes where it has none.
    pub(super) fn id_of(&self, kind: &str, name: Option<&str>, raw: &RawValue) -> EventId {
        match name {
            Some(name) => self.id(&[kind, name]),
            None => self.id(&[&format!("{kind}-without-id"), raw.get()]),
        }
    }

    /// The line of what is nobody's in particular.
    pub(super) fn line(&self) -> Route {
        Route::Account(self.channel.clone())
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
        self.arrival(id, self.line(), occurred_at, body, raw)
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
            raw: Some(Raw { field: self.field.to_owned(), list: self.list.to_string(), json: raw.get().into() }),
        }
    }
}
