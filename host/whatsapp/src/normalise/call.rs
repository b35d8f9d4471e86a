//! Calls: `calls[]` says that they begin and end, `statuses[]` what happens between.

use patchbay_model::event::Call;
use patchbay_model::{Arrival, Body, Private, Route};
use serde_json::value::RawValue;

use super::source::Source;
use super::{identity, status};
use crate::wire::{self, Fields};

/// One item of `calls[]`.
pub(super) fn arrival(source: &Source<'_>, raw: &RawValue) -> Arrival {
    let Some(call) = Fields::of(raw) else {
        return source.unknown("call", raw);
    };
    let caller = [call.text("from_user_id"), call.text("from")];
    let callee = [call.text("to_user_id"), call.text("to")];
    let customer = if call.text("direction").as_deref() == Some("BUSINESS_INITIATED") { callee } else { caller };
    let route = identity::route(source.channel, &source.contacts, customer).unwrap_or_else(|| source.line());
    let word = if call.text("event").is_some() { "event" } else { "status" };
    happened(source, &call, word, route, raw)
}

/// A status of type `call`.
pub(super) fn status(source: &Source<'_>, status: &Fields<'_>, raw: &RawValue) -> Arrival {
    happened(source, status, "status", status::recipient(source, status), raw)
}

/// A call has one id for all that happens to it: the word for what happened is part of the event's.
fn happened(source: &Source<'_>, call: &Fields<'_>, word: &str, route: Route, raw: &RawValue) -> Arrival {
    let (Some(id), Some(state)) = (call.text("id"), call.text(word)) else {
        return source.unknown("call", raw);
    };
    let event = source.id(&["call", &id, &state]);
    let body =
        Body::Call(Call { id: Private::new(id), state: wire::word(Some(state), "unknown"), data: raw.get().into() });
    source.arrival(event, route, call.moment("timestamp"), body, raw)
}
