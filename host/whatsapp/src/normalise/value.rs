//! What changed, by field.

use std::borrow::Cow;

use patchbay_model::{Arrival, Body, Channel, EventId, Notice, Raw, Route, Timestamp};
use serde_json::value::RawValue;

use super::channels::{self, Channels};
use super::envelope::Change;
use super::identity::Contacts;
use super::source::{Source, Voice};
use super::{Normalised, handover, items, notice, sealed};
use crate::wire::{self, Fields};

/// Everything in one change.
pub(super) fn read(change: &Change<'_>, channels: &Channels, received_at: Timestamp, into: &mut Normalised) {
    let value = Fields::of(change.value).unwrap_or_default();
    let number = value.object("metadata").and_then(|metadata| metadata.text("phone_number_id"));
    let number = number.or_else(|| if change.field == handover::FIELD { handover::number(&value) } else { None });
    let channel = match &number {
        Some(number) => channels.get(number),
        None => None,
    };
    let foreign = match number {
        Some(_) => channel.is_none(),
        None => !channels.may_be_of(&change.account),
    };
    if foreign {
        into.foreign += count(&change.field, &value);
        return;
    }
    if sealed::is_value(change.value, &value) {
        into.arrivals.push(sealed::arrival(change, channel, received_at));
        return;
    }
    let Some(channel) = channel else {
        into.arrivals.push(whole(change, &value, None, received_at));
        return;
    };
    let mut source = Source {
        channel,
        contacts: contacts(&change.field, &value),
        received_at,
        field: &change.field,
        list: Cow::Borrowed(""),
        thread: None,
        voice: Voice::Ours(our_digits(&change.field, &value)),
    };
    let before = into.arrivals.len();
    if change.field == handover::FIELD {
        into.arrivals.extend(handover::arrival(&source, &value, change.value));
    } else if items::holds(&change.field) {
        items::walk(&change.field, &value, &mut |list, thread, raw| {
            if source.list != list {
                source.list = items::name(list);
            }
            if source.thread.as_deref() != thread {
                source.thread = thread.map(str::to_owned);
            }
            into.arrivals.push(items::read(&source, raw));
        });
        if into.arrivals.len() == before {
            source.list = Cow::Borrowed("");
            into.arrivals.push(source.unknown(&wire::word(Some(change.field.clone()), "field"), change.value));
        }
    }
    if into.arrivals.len() == before {
        into.arrivals.push(whole(change, &value, Some(channel), received_at));
    }
}

/// How many items a value holds: what is not ours is counted and not read.
fn count(field: &str, value: &Fields<'_>) -> usize {
    let mut items = 0;
    if items::holds(field) {
        items::walk(field, value, &mut |_, _, _| items += 1);
    }
    items.max(1)
}

fn contacts(field: &str, value: &Fields<'_>) -> Contacts {
    let mut contacts = Contacts::of(value);
    if field == "standby"
        && let Some(standby) = value.object("standby")
    {
        contacts.learn(&standby);
    }
    contacts
}

/// Our number as people see it. It is formatted in several ways and no key to anything; a history tells by it who wrote.
fn our_digits(field: &str, value: &Fields<'_>) -> String {
    let shown = || value.object("metadata")?.text("display_phone_number");
    if field == "history" { shown().map(|number| wire::digits(&number)).unwrap_or_default() } else { String::new() }
}

/// A value that is one thing: known by its bytes, for Meta gives it no id.
fn whole(change: &Change<'_>, value: &Fields<'_>, channel: Option<&Channel>, received_at: Timestamp) -> Arrival {
    let raw = change.value.get();
    let data = raw.into();
    let body = match notice::kind(&change.field) {
        Some(kind) => Body::AccountNotice(Notice { kind: kind.to_owned(), data }),
        None => Body::Unknown(Notice { kind: wire::word(Some(change.field.clone()), "field"), data }),
    };
    // Of our numbers we know the account, whatever the entry says.
    let account = channel.map_or(change.account.as_str(), |channel| &channel.account);
    Arrival {
        id: EventId::derive(&[b"field", change.field.as_bytes(), account.as_bytes(), raw.as_bytes()]),
        route: Route::Account(channel.cloned().unwrap_or_else(|| channels::of_account(&change.account))),
        occurred_at: change.time.or_else(|| value.moment("timestamp")).unwrap_or(received_at),
        received_at,
        body,
        raw: Some(Raw { field: change.field.clone(), list: String::new(), json: raw.into() }),
    }
}

/// Reads one item again, standing where `source` says. See [`super::again`].
pub(super) fn item(source: &Source<'_>, raw: &RawValue) -> Normalised {
    Normalised { arrivals: vec![items::read(source, raw)], foreign: 0 }
}
