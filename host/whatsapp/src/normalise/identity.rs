//! Who a message is from, or a status about.

use std::collections::HashMap;

use patchbay_model::arrival::Profile;
use patchbay_model::{Channel, Identity, Private, Route};

use crate::wire::Fields;

/// What `contacts[]` says of people, found by what they are called and never by place: one list serves all messages and
/// statuses of a webhook, in no order, and need not name everybody.
#[derive(Default)]
pub(super) struct Contacts {
    people: Vec<Contact>,
    by_name: HashMap<String, usize>,
}

struct Contact {
    names: Vec<String>,
    profile: Profile,
}

impl Contacts {
    pub(super) fn of(value: &Fields<'_>) -> Self {
        let mut contacts = Self::default();
        for contact in value.list("contacts").into_iter().filter_map(Fields::of) {
            let shown = contact.object("profile").unwrap_or_default();
            let username = shown.text("username").or_else(|| contact.text("username"));
            let profile = Profile {
                name: shown.text("name").map(Private::new),
                username: username
                    .map(|name| name.trim_start_matches('@').to_owned())
                    .filter(|name| !name.is_empty())
                    .map(Private::new),
            };
            let names: Vec<_> = [contact.text("user_id"), contact.text("wa_id")].into_iter().flatten().collect();
            for name in &names {
                contacts.by_name.insert(name.clone(), contacts.people.len());
            }
            contacts.people.push(Contact { names, profile });
        }
        contacts
    }

    fn find(&self, names: &[String]) -> Option<&Contact> {
        names.iter().find_map(|name| self.people.get(*self.by_name.get(name)?))
    }
}

/// The route to the customer whom Meta calls by these names; none where there is no name at all.
pub(super) fn route(
    channel: &Channel,
    contacts: &Contacts,
    names: impl IntoIterator<Item = Option<String>>,
) -> Option<Route> {
    let names: Vec<String> = names.into_iter().flatten().collect();
    let contact = contacts.find(&names);
    let also = contact.map(|contact| contact.names.as_slice()).unwrap_or_default();
    let mut identities: Vec<Identity> = Vec::with_capacity(2);
    for identity in names.iter().chain(also).filter_map(|name| identity(name)) {
        if !identities.contains(&identity) {
            identities.push(identity);
        }
    }
    // Stable: among user ids and among phone numbers, what the item itself says stays before what its contact says.
    identities.sort_by_key(|identity| matches!(identity, Identity::Phone(_)));
    let profile = contact.map(|contact| contact.profile.clone()).unwrap_or_default();
    (!identities.is_empty()).then(|| Route::Customer { channel: channel.clone(), identities, profile })
}

/// A name's kind shows in its form and not in the field that it stands in: user ids have been met in `from` and `wa_id`.
fn identity(name: &str) -> Option<Identity> {
    if is_user_id(name) {
        return Some(Identity::UserId(name.into()));
    }
    let phone = name.strip_prefix('+').unwrap_or(name);
    (!phone.is_empty()).then(|| Identity::Phone(phone.into()))
}

/// Business-scoped user ids begin with a country's two letters and a dot. They are used whole.
pub(crate) fn is_user_id(name: &str) -> bool {
    matches!(name.as_bytes(), [a, b, b'.', _, ..] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic())
}
