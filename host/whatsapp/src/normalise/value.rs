//! What changed, by field.

use patchbay_model::{Arrival, Body, Channel, EventId, Notice, Route};
use serde_json::value::RawValue;

use super::channels::{self, Channels};
use super::envelope::Change;
use super::identity::Contacts;
use super::source::Source;
use super::{Normalised, call, message, notice, status};
use crate::wire::{self, Fields};

/// Members of a value that are about its items, and no items themselves.
const ABOUT: [&str; 3] = ["messaging_product", "metadata", "contacts"];

/// Everything in one change.
pub(super) fn read(
    change: &Change<'_>,
    channels: &Channels,
    received_at: patchbay_model::Timestamp,
    into: &mut Normalised,
) {
    let value = Fields::of(change.value).unwrap_or_default();
    let number = value.object("metadata").and_then(|metadata| metadata.text("phone_number_id"));
    let channel = match &number {
        Some(number) => match channels.get(number) {
            Some(channel) => Some(channel),
            None => {
                into.foreign += items(&value).max(1);
                return;
            }
        },
        None => None,
    };
    match (change.field.as_str(), channel) {
        ("messages" | "calls", Some(channel)) => {
            let source = Source { channel, contacts: Contacts::of(&value), received_at };
            let before = into.arrivals.len();
            for (name, raw) in value.iter() {
                member(&source, name, raw, &mut into.arrivals);
            }
            if into.arrivals.len() == before {
                into.arrivals.push(source.unknown(&wire::word(Some(change.field.clone()), "field"), change.value));
            }
        }
        _ => into.arrivals.push(whole(change, &value, channel, received_at)),
    }
}

/// How many items a value holds: what is not ours is counted and not read.
fn items(value: &Fields<'_>) -> usize {
    ["messages", "statuses", "calls", "errors"].iter().map(|name| value.list(name).len()).sum()
}

/// One member of a value with items: each item by itself, and what is no list of items as it is.
fn member(source: &Source<'_>, name: &str, raw: &RawValue, into: &mut Vec<Arrival>) {
    if ABOUT.contains(&name) || raw.get() == "null" {
        return;
    }
    let each: fn(&Source<'_>, &RawValue) -> Arrival = match name {
        "messages" => message::arrival,
        "statuses" => status::arrival,
        "calls" => call::arrival,
        "errors" => error,
        _ => return into.push(source.unknown(&wire::word(Some(name.to_owned()), "field"), raw)),
    };
    match wire::list(raw) {
        Some(items) => into.extend(items.into_iter().map(|item| each(source, item))),
        None => into.push(source.unknown(name, raw)),
    }
}

/// A problem of the number that belongs to no message.
fn error(source: &Source<'_>, raw: &RawValue) -> Arrival {
    let id = source.id(&["error", raw.get()]);
    let body = Body::AccountNotice(Notice { kind: notice::NUMBER_ERROR.to_owned(), data: raw.get().into() });
    source.arrival(id, Route::Account(source.channel.clone()), None, body, raw)
}

/// A value that is one thing: known by its bytes, for Meta gives it no id.
fn whole(
    change: &Change<'_>,
    value: &Fields<'_>,
    channel: Option<&Channel>,
    received_at: patchbay_model::Timestamp,
) -> Arrival {
    let raw = change.value.get();
    let data = raw.into();
    let body = match notice::kind(&change.field) {
        Some(kind) => Body::AccountNotice(Notice { kind: kind.to_owned(), data }),
        None => Body::Unknown(Notice { kind: wire::word(Some(change.field.clone()), "field"), data }),
    };
    Arrival {
        id: EventId::derive(&[b"field", change.field.as_bytes(), change.account.as_bytes(), raw.as_bytes()]),
        route: Route::Account(channel.cloned().unwrap_or_else(|| channels::of_account(&change.account))),
        occurred_at: change.time.or_else(|| value.moment("timestamp")).unwrap_or(received_at),
        received_at,
        body,
        raw: Some(raw.into()),
    }
}
