//! `statuses[]`: what became of messages that the number sent, by us or by others.

use patchbay_model::event::{Delivery, DeliveryError, DeliveryState, Pricing};
use patchbay_model::{Arrival, Body, Notice, Private, Route, TaskId};
use serde_json::value::RawValue;

use super::source::Source;
use super::{call, identity};
use crate::reference;
use crate::wire::{self, Fields};

/// What Meta calls the participant of a group whom a status is about, the surest first.
const PARTICIPANT: [&str; 2] = ["recipient_participant_user_id", "recipient_participant_id"];

/// One status. Payments and calls are reported in the same list.
pub(super) fn arrival(source: &Source<'_>, raw: &RawValue) -> Arrival {
    let Some(status) = Fields::of(raw) else {
        return source.unknown("status", raw);
    };
    match status.text("type").as_deref() {
        None | Some("message") => {}
        Some("call") => return call::status(source, &status, raw),
        Some("payment") => return payment(source, &status, raw),
        Some(_) => return source.unknown("status", raw),
    }
    let (Some(message), Some(word)) = (status.text("id"), status.text("status")) else {
        return source.unknown("status", raw);
    };
    // In a group one message has a status for each participant, all with the message's id.
    let about = PARTICIPANT
        .iter()
        .chain(&["recipient_user_id", "recipient_id"])
        .find_map(|name| status.text(name))
        .unwrap_or_default();
    let id = source.id(&["status", &message, &word, &about]);
    let occurred_at = status.moment("timestamp");
    let Some(state) = state(&word) else {
        return source.unknown_with_id(id, "status", occurred_at, raw);
    };
    let (route, task) = about_ours(source, &status);
    let participant = PARTICIPANT.iter().find_map(|name| status.text(name)).map(Private::new);
    let error = status.list("errors").first().and_then(|raw| Fields::of(raw)).map(|error| self::error(&error));
    let body = Body::Delivery(Delivery {
        message: Private::new(message),
        state,
        error,
        reference: task,
        pricing: pricing(&status),
        participant,
    });
    source.arrival(id, route, occurred_at, body, raw)
}

/// A payment for an order that we sent has no id: its message, its state and its moment tell it from others.
fn payment(source: &Source<'_>, status: &Fields<'_>, raw: &RawValue) -> Arrival {
    let Some(word) = status.text("status") else {
        return source.unknown("payment-status", raw);
    };
    let id = match (status.text("id"), status.text("timestamp")) {
        (Some(message), Some(timestamp)) => {
            let payment = status.object("payment").unwrap_or_default();
            let transaction = payment.object("transaction").and_then(|transaction| transaction.text("id"));
            source.id(&["payment", &message, &word, &timestamp, &transaction.unwrap_or_default()])
        }
        _ => source.id(&["payment-without-id", raw.get()]),
    };
    let (route, _) = about_ours(source, status);
    let body = Body::Payment(Notice { kind: wire::word(Some(word), "unknown"), data: raw.get().into() });
    source.arrival(id, route, status.moment("timestamp"), body, raw)
}

/// Whose conversation a status belongs to: that of the task which sent the message, where the status has our reference.
fn about_ours(source: &Source<'_>, status: &Fields<'_>) -> (Route, Option<TaskId>) {
    match status.text("biz_opaque_callback_data").and_then(|text| reference::parse(&text)) {
        Some((conversation, task)) => (Route::Conversation(conversation), Some(task)),
        None => (recipient(source, status), None),
    }
}

/// The customer or the group whom a status is about; the number itself where nobody is named.
pub(super) fn recipient(source: &Source<'_>, status: &Fields<'_>) -> Route {
    let id = status.text("recipient_id");
    if status.text("recipient_type").as_deref() == Some("group") {
        return match id.or_else(|| status.text("group_id")) {
            Some(group) => identity::group(source.channel, group, None),
            None => source.line(),
        };
    }
    identity::route(source.channel, &source.contacts, [status.text("recipient_user_id"), id])
        .unwrap_or_else(|| source.line())
}

/// What the message costs: on the first status of a message that says so. What opened a free window is said apart.
fn pricing(status: &Fields<'_>) -> Option<Pricing> {
    let origin = status.object("conversation").and_then(|conversation| conversation.object("origin")?.text("type"));
    let pricing = status.object("pricing");
    if pricing.is_none() && origin.is_none() {
        return None;
    }
    let pricing = pricing.unwrap_or_default();
    let billable = pricing.get("billable").and_then(|raw| match raw.get().trim_matches('"') {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    });
    Some(Pricing {
        billable,
        model: pricing.text("pricing_model"),
        kind: pricing.text("type"),
        category: pricing.text("category"),
        origin,
    })
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
