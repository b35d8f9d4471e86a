//! `statuses[]`: what became of messages that the number sent, by us or by others.

use patchbay_model::event::{Delivery, DeliveryError, DeliveryState};
use patchbay_model::{Arrival, Body, Private, Route};
use serde_json::value::RawValue;

use super::source::Source;
use super::{call, identity};
use crate::reference;
use crate::wire::{self, Fields};

/// One status. Payments and calls are reported in the same list.
pub(super) fn arrival(source: &Source<'_>, raw: &RawValue) -> Arrival {
    let Some(status) = Fields::of(raw) else {
        return source.unknown("status", raw);
    };
    match status.text("type").as_deref() {
        None | Some("message") => {}
        Some("call") => return call::status(source, &status, raw),
        Some("payment") => return source.unknown("payment-status", raw),
        Some(_) => return source.unknown("status", raw),
    }
    let (Some(message), Some(word)) = (status.text("id"), status.text("status")) else {
        return source.unknown("status", raw);
    };
    // In a group one message has a status for each participant, all with the message's id.
    let about = ["recipient_participant_user_id", "recipient_participant_id", "recipient_user_id", "recipient_id"]
        .iter()
        .find_map(|name| status.text(name))
        .unwrap_or_default();
    let id = source.id(&["status", &message, &word, &about]);
    let occurred_at = status.moment("timestamp");
    let Some(state) = state(&word) else {
        return source.unknown_with_id(id, "status", occurred_at, raw);
    };
    if status.text("recipient_type").as_deref() == Some("group") {
        return source.unknown_with_id(id, "group-status", occurred_at, raw);
    }
    let ours = status.text("biz_opaque_callback_data").and_then(|text| reference::parse(&text));
    let (conversation, task) = ours.unzip();
    let route = match conversation {
        Some(conversation) => Route::Conversation(conversation),
        None => recipient(source, &status),
    };
    let error = status.list("errors").first().and_then(|raw| Fields::of(raw)).map(|error| self::error(&error));
    let body = Body::Delivery(Delivery { message: Private::new(message), state, error, reference: task });
    source.arrival(id, route, occurred_at, body, raw)
}

/// The customer whom a status is about; the number itself where nobody is named.
pub(super) fn recipient(source: &Source<'_>, status: &Fields<'_>) -> Route {
    let names = [status.text("recipient_user_id"), status.text("recipient_id")];
    identity::route(source.channel, &source.contacts, names).unwrap_or_else(|| Route::Account(source.channel.clone()))
}

fn state(word: &str) -> Option<DeliveryState> {
    Some(match word {
        "sent" => DeliveryState::Sent,
        "delivered" => DeliveryState::Delivered,
        "read" => DeliveryState::Read,
        "played" => DeliveryState::Played,
        "failed" => DeliveryState::Failed,
        _ => return None,
    })
}

/// The details have been met in `error_data.details`, as `error_data` itself, in `details` and in `message`.
fn error(error: &Fields<'_>) -> DeliveryError {
    let message = error.text("message");
    let title = error.text("title").or_else(|| message.clone()).unwrap_or_default();
    let detail = error
        .object("error_data")
        .and_then(|data| data.text("details"))
        .or_else(|| error.get("error_data").and_then(wire::text))
        .or_else(|| error.text("details"))
        .or_else(|| message.filter(|message| message != &title))
        .unwrap_or_default();
    DeliveryError { code: error.text("code").and_then(|code| code.parse().ok()).unwrap_or_default(), title, detail }
}
