//! `messages[]`: what customers write.

use patchbay_model::{Arrival, Body, Message, Notice, Private};
use serde_json::value::RawValue;

use super::content;
use super::identity;
use super::source::Source;
use crate::wire::{self, Fields};

/// One message. Only what has no sender, or is not an object, is unknown; a message that came is a customer who wrote.
pub(super) fn arrival(source: &Source<'_>, raw: &RawValue) -> Arrival {
    let Some(message) = Fields::of(raw) else {
        return source.unknown("message", raw);
    };
    let wamid = message.text("id");
    let id = match &wamid {
        Some(wamid) => source.id(&["message", wamid]),
        None => source.id(&["message-without-id", raw.get()]),
    };
    let occurred_at = message.moment("timestamp");
    // Groups are not conversations with one customer: their messages must not be taken for one.
    if message.text("group_id").is_some() {
        return source.unknown_with_id(id, "group-message", occurred_at, raw);
    }
    let Some(route) = identity::route(source.channel, &source.contacts, sender(&message)) else {
        return source.unknown_with_id(id, "message", occurred_at, raw);
    };
    let context = message.object("context").unwrap_or_default();
    let body = Body::Message(Message {
        id: Private::new(wamid.unwrap_or_default()),
        content: content::content(source.number(), &message, raw),
        reply_to: context.text("id").map(Private::new),
        forwarded: context.flag("forwarded") || context.flag("frequently_forwarded"),
        referral: referral(&message, &context),
    });
    source.arrival(id, route, occurred_at, body, raw)
}

/// The names of the sender, the surest first. Notices about a customer's number may say only there whom they are about.
fn sender(message: &Fields<'_>) -> Vec<Option<String>> {
    let names = vec![message.text("from_user_id"), message.text("from")];
    if names.iter().any(Option::is_some) {
        return names;
    }
    let system = message.object("system").unwrap_or_default();
    // The old name comes first: it is the one that we may know.
    ["previous_user_id", "user_id", "wa_id", "new_wa_id"].iter().map(|name| system.text(name)).collect()
}

/// The ad, post or product that the customer came from.
fn referral(message: &Fields<'_>, context: &Fields<'_>) -> Option<Notice> {
    if let Some(raw) = message.get("referral") {
        let kind = Fields::of(raw).and_then(|referral| referral.text("source_type"));
        return Some(Notice { kind: wire::word(kind, "unknown"), data: raw.get().into() });
    }
    let raw = context.get("referred_product")?;
    Some(Notice { kind: "product".to_owned(), data: raw.get().into() })
}
