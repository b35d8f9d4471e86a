//! Reading again what was kept of an event, with what the normaliser has learned since.

use std::borrow::Cow;

use data_encoding::BASE64;
use patchbay_model::message::Participant;
use patchbay_model::{Body, Channel, Event, Identity, Message, Raw, Route};
use serde_json::value::RawValue;

use super::envelope::Change;
use super::identity::Contacts;
use super::source::{Source, Voice};
use super::{Channels, ENTRY, Normalised, value};

/// Runs today's normaliser over what is kept of an event: its slice of a webhook, or a whole body that could not be read
/// then.
///
/// A slice says nothing of what stood beside it. So the number is the route's, and what the customer shows of themselves
/// is what the route knows. A route that is a conversation has no number: the number is then the one of `channels` under
/// which the slice has the event's id, or the only one.
///
/// The arrivals have the event's time of receipt. Their ids are the event's where the normaliser still sees the same in
/// the slice; a body or a value that it did not know then can now hold several.
///
/// `None`: nothing of the platform's own was kept of the event, or it cannot be told which number it came to.
#[must_use]
pub fn again(event: &Event, route: &Route, raw: Option<&Raw>, channels: &Channels) -> Option<Normalised> {
    let Some(kept) = raw else {
        let Body::Unparsed(unparsed) = &event.body else { return None };
        let body = BASE64.decode(unparsed.base64.reveal().as_bytes()).ok()?;
        return Some(super::normalise(&body, channels, event.received_at));
    };
    let raw: &RawValue = serde_json::from_str(kept.json.reveal()).ok()?;
    match (kept.field.as_str(), kept.list.as_str()) {
        ("", list) => odd(event, route, list, raw, channels),
        (field, "") => change(event, route, field, raw, channels),
        (field, list) => item(event, route, field, list, raw, channels),
    }
}

/// An entry or a change of an odd shape: it becomes a whole body again.
fn odd(event: &Event, route: &Route, list: &str, raw: &RawValue, channels: &Channels) -> Option<Normalised> {
    let entry = if list == ENTRY {
        raw.get().to_owned()
    } else {
        let account = serde_json::to_string(&of(route)?.account).ok()?;
        format!("{{\"id\":{account},\"changes\":[{}]}}", raw.get())
    };
    let body = format!("{{\"entry\":[{entry}]}}");
    Some(super::normalise(body.as_bytes(), channels, event.received_at))
}

/// A field's whole value, which names its number itself.
fn change(event: &Event, route: &Route, field: &str, raw: &RawValue, channels: &Channels) -> Option<Normalised> {
    let channel = of(route)?;
    let change = Change {
        account: channel.account.clone(),
        time: (event.occurred_at != event.received_at).then_some(event.occurred_at),
        field: field.to_owned(),
        value: raw,
    };
    let mut normalised = Normalised::default();
    if channel.address.is_empty() {
        value::read(&change, channels, event.received_at, &mut normalised);
    } else {
        value::read(&change, &Channels::new([channel.clone()]), event.received_at, &mut normalised);
    }
    Some(normalised)
}

/// One item of a list.
fn item(
    event: &Event,
    route: &Route,
    field: &str,
    list: &str,
    raw: &RawValue,
    channels: &Channels,
) -> Option<Normalised> {
    let read = |channel: &Channel| {
        let source = Source {
            channel,
            contacts: contacts(event, route),
            received_at: event.received_at,
            field,
            list: Cow::Borrowed(list),
            thread: thread(route),
            voice: match &event.body {
                Body::History(overheard) => Voice::Known(overheard.by),
                _ => Voice::Ours(String::new()),
            },
        };
        value::item(&source, raw)
    };
    match route {
        Route::Customer { channel, .. } | Route::Account(channel) => Some(read(channel)),
        Route::Ticket { .. } => None,
        Route::Conversation(_) => {
            let mut all: Vec<_> = channels.iter().map(read).collect();
            let same = all.iter().position(|one| one.arrivals.iter().any(|arrival| arrival.id == event.id));
            let only = (all.len() == 1).then_some(0);
            same.or(only).map(|at| all.swap_remove(at))
        }
    }
}

fn of(route: &Route) -> Option<&Channel> {
    match route {
        Route::Customer { channel, .. } | Route::Account(channel) => Some(channel),
        Route::Conversation(_) | Route::Ticket { .. } => None,
    }
}

/// What stood in `contacts[]`, as far as the event has kept it.
fn contacts(event: &Event, route: &Route) -> Contacts {
    let mut contacts = Contacts::default();
    if let Route::Customer { identities, profile, .. } = route {
        contacts.add(names(identities), profile.clone());
    }
    if let Some(Participant { identities, profile }) = message(&event.body).and_then(|said| said.author.as_ref()) {
        contacts.add(names(identities), profile.clone());
    }
    contacts
}

fn message(body: &Body) -> Option<&Message> {
    match body {
        Body::Message(message) => Some(message),
        Body::Echo(said) | Body::History(said) | Body::Standby(said) => Some(&said.message),
        _ => None,
    }
}

fn names(identities: &[Identity]) -> Vec<String> {
    let name = |identity: &Identity| match identity {
        Identity::UserId(name) | Identity::Phone(name) => Some(name.reveal().clone()),
        Identity::Group(_) | Identity::Username(_) => None,
    };
    identities.iter().filter_map(name).collect()
}

/// The name at the head of a history's thread: one of the customer's, and they are all known.
fn thread(route: &Route) -> Option<String> {
    match route {
        Route::Customer { identities, .. } => names(identities).into_iter().next_back(),
        _ => None,
    }
}
