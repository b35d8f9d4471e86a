//! `user_preferences[]` and `state_sync[]`: what a customer wants, and what the business's address book says of them.

use patchbay_model::arrival::Profile;
use patchbay_model::event::Preference;
use patchbay_model::{Arrival, Body, Notice, Private, Route};
use serde_json::value::RawValue;

use super::identity;
use super::source::Source;
use crate::wire::{self, Fields};

/// One item of `user_preferences[]`.
pub(super) fn preference(source: &Source<'_>, raw: &RawValue) -> Arrival {
    let preference = Fields::of(raw).unwrap_or_default();
    let (Some(category), Some(value)) = (preference.text("category"), preference.text("value")) else {
        return source.unknown("preference", raw);
    };
    let names = [preference.text("user_id"), preference.text("wa_id")];
    let route = identity::route(source.channel, &source.contacts, names).unwrap_or_else(|| source.line());
    let detail = preference.text("detail").map(Private::new);
    let body = Body::Preference(Preference { category, value, detail });
    source.arrival(source.id(&["preference", raw.get()]), route, preference.moment("timestamp"), body, raw)
}

/// One item of `state_sync[]`.
pub(super) fn contact(source: &Source<'_>, raw: &RawValue) -> Arrival {
    let sync = Fields::of(raw).unwrap_or_default();
    let Some(contact) = sync.object("contact") else {
        return source.unknown("state_sync", raw);
    };
    let kind = match sync.text("action").as_deref() {
        Some("add") => "added".to_owned(),
        Some("remove") => "removed".to_owned(),
        other => wire::word(other.map(str::to_owned), "changed"),
    };
    let names = [contact.text("user_id"), contact.text("phone_number").map(identity::dialled)];
    let route = identity::route(source.channel, &source.contacts, names);
    let route = match route {
        Some(Route::Customer { channel, identities, former, profile }) => {
            let name = contact.text("full_name").or_else(|| contact.text("first_name")).filter(|_| kind != "removed");
            let profile = Profile { name: name.map(Private::new).or(profile.name), username: profile.username };
            Route::Customer { channel, identities, former, profile }
        }
        _ => source.line(),
    };
    let occurred_at = sync.object("metadata").and_then(|metadata| metadata.moment("timestamp"));
    let body = Body::Contact(Notice { kind, data: raw.get().into() });
    source.arrival(source.id(&["contact", raw.get()]), route, occurred_at, body, raw)
}
