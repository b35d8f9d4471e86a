//! Values that hold items: where the items stand, and who reads them.

use std::borrow::Cow;

use patchbay_model::{Arrival, Body, Notice};
use serde_json::value::RawValue;

use super::source::Source;
use super::{call, group, history, message, notice, overheard, person, status, system};
use crate::wire::{self, Fields};

/// The fields whose values hold items for a number of ours. What other fields hold is one thing: a `messages` in a field
/// that Meta has not invented yet need not be anything that a customer wrote to us.
const FIELDS: [&str; 14] = [
    "messages",
    "calls",
    "call_recording_available",
    "group_lifecycle_update",
    "group_participants_update",
    "group_settings_update",
    "group_status_update",
    "history",
    "message_echoes",
    "smb_app_state_sync",
    "smb_message_echoes",
    "standby",
    "user_id_update",
    "user_preferences",
];

/// Members of a value that are about its items, and no items themselves.
const ABOUT: [&str; 3] = ["messaging_product", "metadata", "contacts"];

/// What stands in front of a list's name where not one of its items is meant but all of that member, because it is no
/// list that we know.
const WHOLE: char = '=';

/// Whether a field's values hold items.
pub(super) fn holds(field: &str) -> bool {
    FIELDS.contains(&field)
}

/// Finds the items of a value, each with its list as [`patchbay_model::Raw::list`] has it, and in a history with the name
/// of its thread. What is no list of items is one item.
pub(super) fn walk<'a>(field: &str, value: &Fields<'a>, visit: &mut impl FnMut(&str, Option<&str>, &'a RawValue)) {
    for (name, raw) in value.iter() {
        match (field, name) {
            ("history", "history") if raw.get() != "null" => history::walk(raw, visit),
            ("standby", "standby") => match Fields::of(raw) {
                Some(inner) => {
                    for (name, raw) in inner.iter() {
                        member(field, name, &format!("standby.{name}"), raw, visit);
                    }
                }
                None => member(field, name, name, raw, visit),
            },
            _ => member(field, name, name, raw, visit),
        }
    }
}

fn member<'a>(
    field: &str,
    name: &str,
    list: &str,
    raw: &'a RawValue,
    visit: &mut impl FnMut(&str, Option<&str>, &'a RawValue),
) {
    if ABOUT.contains(&name) || raw.get() == "null" {
        return;
    }
    match reader(field, list).and_then(|_| wire::list(raw)) {
        Some(items) => items.into_iter().for_each(|item| visit(list, None, item)),
        None => visit(&format!("{WHOLE}{list}"), None, raw),
    }
}

/// Reads the item at which `source` stands.
pub(super) fn read(source: &Source<'_>, raw: &RawValue) -> Arrival {
    if let Some(read) = reader(source.field, &source.list) {
        return read(source, raw);
    }
    let name = source.list.trim_start_matches(WHOLE);
    let kind = if name == "history.threads" { "history-thread" } else { name.rsplit('.').next().unwrap_or(name) };
    source.unknown(&wire::word(Some(kind.to_owned()), "field"), raw)
}

type Reader = fn(&Source<'_>, &RawValue) -> Arrival;

fn reader(field: &str, list: &str) -> Option<Reader> {
    Some(match (field, list) {
        ("messages", "messages") => message::arrival,
        (_, "statuses" | "standby.statuses") => status::arrival,
        (_, "calls") => call::arrival,
        ("history", "messages" | history::THREAD) => history::message,
        ("history", "history") => history::progress,
        ("history", "errors" | "history.errors") => history::error,
        ("standby", "messages" | "standby.messages") => overheard::standby,
        ("standby", "message_echoes" | "standby.message_echoes") => overheard::standby_echo,
        (_, "errors" | "standby.errors") => error,
        (_, "message_echoes") => overheard::echo,
        (_, "messages") => message::arrival,
        (_, "groups") => group::arrival,
        (_, "state_sync") => person::contact,
        (_, "user_preferences") => person::preference,
        (_, "user_id_update") => system::update,
        _ => return None,
    })
}

/// A problem of the number that belongs to no message.
fn error(source: &Source<'_>, raw: &RawValue) -> Arrival {
    let body = Body::AccountNotice(Notice { kind: notice::NUMBER_ERROR.to_owned(), data: raw.get().into() });
    source.arrival(source.id(&["error", raw.get()]), source.line(), None, body, raw)
}

/// The list's name without an allocation, for those that nearly all items are in.
pub(super) fn name(list: &str) -> Cow<'static, str> {
    match list {
        "messages" => Cow::Borrowed("messages"),
        "statuses" => Cow::Borrowed("statuses"),
        history::THREAD => Cow::Borrowed(history::THREAD),
        other => Cow::Owned(other.to_owned()),
    }
}
