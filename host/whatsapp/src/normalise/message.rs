//! `messages[]`: what customers write.

use patchbay_model::message::Participant;
use patchbay_model::{Arrival, Body, Message, Notice, Private, Route};
use serde_json::value::RawValue;

use super::source::Source;
use super::{content, identity, system};
use crate::wire::{self, Fields};

/// One message. Only what is no object is unknown; a message that came is a customer who wrote, though perhaps nobody
/// can tell who.
pub(super) fn arrival(source: &Source<'_>, raw: &RawValue) -> Arrival {
    let Some(message) = Fields::of(raw) else {
        return source.unknown("message", raw);
    };
    if let Some(changed) = system::arrival(source, &message, raw) {
        return changed;
    }
    let wamid = message.text("id");
    let id = source.id_of("message", wamid.as_deref(), raw);
    let (route, author) = sender(source, &message);
    let body = Body::Message(Message { author, ..read(source, wamid, &message, raw) });
    source.arrival(id, route, message.moment("timestamp"), body, raw)
}

/// What a message says, whoever wrote it.
pub(super) fn read(source: &Source<'_>, wamid: Option<String>, message: &Fields<'_>, raw: &RawValue) -> Message {
    let context = message.object("context").unwrap_or_default();
    Message {
        id: Private::new(wamid.unwrap_or_default()),
        content: content::content(source.number(), message, raw),
        // What a business sent has the name that it has in requests to send.
        reply_to: context.text("id").or_else(|| context.text("message_id")).map(Private::new),
        forwarded: context.flag("forwarded") || context.flag("frequently_forwarded"),
        referral: referral(message, &context),
        author: None,
    }
}

/// Whose conversation a customer's message belongs to, and who wrote it where the route does not say so: in a group, and
/// where Meta shows nothing that leads to them.
pub(super) fn sender(source: &Source<'_>, message: &Fields<'_>) -> (Route, Option<Participant>) {
    let person = identity::person(&source.contacts, names(message));
    match message.text("group_id") {
        Some(group) => (identity::group(source.channel, group, None), known(person)),
        None => match identity::customer(source.channel, person) {
            Ok(route) => (route, None),
            Err(person) => (source.line(), known(person)),
        },
    }
}

fn known(person: Participant) -> Option<Participant> {
    let Participant { identities, profile } = &person;
    let nobody = identities.is_empty() && profile.name.is_none() && profile.username.is_none();
    (!nobody).then_some(person)
}

/// The names of the sender, the surest first. Notices about a customer's number may say only there whom they are about.
fn names(message: &Fields<'_>) -> Vec<Option<String>> {
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
