//! What was not written to us now: by the business from its own app, or while the platform's own agent has the
//! conversation.

use patchbay_model::event::{Overheard, Speaker};
use patchbay_model::{Arrival, Body, Message, Route};
use serde_json::value::RawValue;

use super::source::Source;
use super::{identity, message, system};
use crate::wire::Fields;

/// One item of `message_echoes[]`: the business wrote from its app.
pub(super) fn echo(source: &Source<'_>, raw: &RawValue) -> Arrival {
    by_business(source, "echo", Body::Echo, raw)
}

/// One item of `standby.message_echoes[]`: the platform's agent wrote, or the business by another hand than ours.
pub(super) fn standby_echo(source: &Source<'_>, raw: &RawValue) -> Arrival {
    by_business(source, "standby", Body::Standby, raw)
}

/// One item of `standby.messages[]`: the customer wrote to the platform's agent.
pub(super) fn standby(source: &Source<'_>, raw: &RawValue) -> Arrival {
    let Some(message) = Fields::of(raw) else {
        return source.unknown("standby", raw);
    };
    // Who a customer is concerns us, whoever talks to them.
    if let Some(changed) = system::arrival(source, &message, raw) {
        return changed;
    }
    let wamid = message.text("id");
    let id = source.id_of("standby", wamid.as_deref(), raw);
    let (route, author) = message::sender(source, &message);
    let said = Message { author, ..message::read(source, wamid, &message, raw) };
    let body = Body::Standby(Overheard { message: said, by: Speaker::Customer, state: None });
    source.arrival(id, route, message.moment("timestamp"), body, raw)
}

fn by_business(source: &Source<'_>, kind: &str, body: fn(Overheard) -> Body, raw: &RawValue) -> Arrival {
    let Some(outer) = Fields::of(raw) else {
        return source.unknown(kind, raw);
    };
    // The platform's agent's messages stand as they were ordered, inside a `message`.
    let inner = if outer.get("type").is_none() { outer.object("message") } else { None };
    let said = inner.as_ref().unwrap_or(&outer);
    let wamid = outer.text("id").or_else(|| said.text("id"));
    let id = source.id_of(kind, wamid.as_deref(), raw);
    let route = recipient(source, said).or_else(|| recipient(source, &outer)).unwrap_or_else(|| source.line());
    let occurred_at = outer.moment("timestamp").or_else(|| said.moment("timestamp"));
    let message = message::read(source, wamid, said, raw);
    source.arrival(id, route, occurred_at, body(Overheard { message, by: Speaker::Business, state: None }), raw)
}

/// The customer or the group that the business wrote to. In requests to send, a user id is the `recipient`.
pub(super) fn recipient(source: &Source<'_>, message: &Fields<'_>) -> Option<Route> {
    let to = message.text("to");
    let in_group = message.text("recipient_type").as_deref() == Some("group");
    let group = message.text("group_id").or_else(|| to.clone().filter(|_| in_group));
    match group {
        Some(group) => Some(identity::group(source.channel, group, None)),
        None => identity::route(
            source.channel,
            &source.contacts,
            [message.text("to_user_id"), message.text("recipient"), to],
        ),
    }
}
