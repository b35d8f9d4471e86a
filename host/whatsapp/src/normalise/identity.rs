//! Who a message is from, or a status about.

use std::collections::HashMap;

use patchbay_model::arrival::Profile;
use patchbay_model::message::Participant;
use patchbay_model::{Channel, Identity, Private, Route};

use crate::wire::{self, Fields};

/// Bytes of a name that stands beside the items, in `contacts[]` or at the head of a thread. User ids have at most 131 characters and phone numbers 15 digits;
/// shown names are short as well. What is longer is no name, and would be repeated in every item of the webhook.
const LONGEST: usize = 1024;

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
    /// What the `contacts[]` of an object says.
    pub(super) fn of(value: &Fields<'_>) -> Self {
        let mut contacts = Self::default();
        contacts.learn(value);
        contacts
    }

    /// The same from one more object.
    pub(super) fn learn(&mut self, value: &Fields<'_>) {
        for contact in value.list("contacts").into_iter().filter_map(Fields::of) {
            let shown = contact.object("profile").unwrap_or_default();
            let username = shown.text("username").or_else(|| contact.text("username"));
            let profile = Profile {
                name: shown.text("name").and_then(short).map(Private::new),
                username: username
                    .map(|name| name.trim_start_matches('@').to_owned())
                    .filter(|name| !name.is_empty())
                    .and_then(short)
                    .map(Private::new),
            };
            let names = [contact.text("user_id"), contact.text("wa_id")].into_iter().flatten();
            self.add(names.filter_map(short).collect(), profile);
        }
    }

    /// Somebody who is known already.
    pub(super) fn add(&mut self, names: Vec<String>, profile: Profile) {
        for name in &names {
            self.by_name.insert(plain(name).to_owned(), self.people.len());
        }
        self.people.push(Contact { names, profile });
    }

    fn find(&self, names: &[String]) -> Option<&Contact> {
        names.iter().find_map(|name| self.people.get(*self.by_name.get(plain(name))?))
    }

    /// What the only contact shows, where it has no name that it could be found by: a customer of whom Meta tells a
    /// username alone.
    fn nameless(&self) -> Option<&Profile> {
        match self.people.as_slice() {
            [contact] if contact.names.is_empty() => Some(&contact.profile),
            _ => None,
        }
    }
}

/// A name, unless it is too long for one.
pub(super) fn short(text: String) -> Option<String> {
    (text.len() <= LONGEST).then_some(text)
}

/// Whom Meta calls by these names; by their username, where there is nothing else. Nobody: there is no name at all, and
/// nothing shown.
pub(super) fn person(contacts: &Contacts, names: impl IntoIterator<Item = Option<String>>) -> Participant {
    let names: Vec<String> = names.into_iter().flatten().collect();
    if names.is_empty() {
        let profile = contacts.nameless().cloned().unwrap_or_default();
        let identities = profile.username.clone().map(Identity::Username).into_iter().collect();
        return Participant { identities, profile };
    }
    let contact = contacts.find(&names);
    let also = contact.map(|contact| contact.names.as_slice()).unwrap_or_default();
    let profile = contact.map(|contact| contact.profile.clone()).unwrap_or_default();
    Participant { identities: identities(names.iter().chain(also).map(String::as_str)), profile }
}

/// Names as identities, each once, the surest first.
pub(super) fn identities<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Identity> {
    let mut identities: Vec<Identity> = Vec::with_capacity(2);
    for identity in names.filter_map(identity) {
        if !identities.contains(&identity) {
            identities.push(identity);
        }
    }
    // Stable: among user ids and among phone numbers, what the item itself says stays before what its contact says.
    identities.sort_by_key(|identity| matches!(identity, Identity::Phone(_)));
    identities
}

/// The route to the customer whom Meta calls by these names; none where there is no name at all.
pub(super) fn route(
    channel: &Channel,
    contacts: &Contacts,
    names: impl IntoIterator<Item = Option<String>>,
) -> Option<Route> {
    customer(channel, person(contacts, names)).ok()
}

/// The route to this person.
///
/// # Errors
/// The person, where nothing leads to them.
pub(super) fn customer(channel: &Channel, person: Participant) -> Result<Route, Participant> {
    let Participant { identities, profile } = person;
    if identities.is_empty() {
        return Err(Participant { identities, profile });
    }
    Ok(Route::Customer { channel: channel.clone(), identities, former: Vec::new(), profile })
}

/// The route to a group's conversation.
pub(super) fn group(channel: &Channel, id: String, subject: Option<String>) -> Route {
    Route::Customer {
        channel: channel.clone(),
        identities: vec![Identity::Group(Private::new(id))],
        former: Vec::new(),
        profile: Profile { name: subject.map(Private::new), username: None },
    }
}

/// A name's kind shows in its form and not in the field that it stands in: user ids have been met in `from` and `wa_id`.
fn identity(name: &str) -> Option<Identity> {
    if is_user_id(name) {
        return Some(Identity::UserId(name.into()));
    }
    let phone = plain(name);
    (!phone.is_empty()).then(|| Identity::Phone(phone.into()))
}

/// A phone number as people write it, as Meta writes it elsewhere: its digits.
pub(super) fn dialled(phone: String) -> String {
    match wire::digits(&phone) {
        digits if digits.is_empty() || is_user_id(&phone) => phone,
        digits => digits,
    }
}

fn plain(name: &str) -> &str {
    name.strip_prefix('+').unwrap_or(name)
}

/// Business-scoped user ids begin with a country's two letters and a dot. They are used whole.
pub(crate) fn is_user_id(name: &str) -> bool {
    matches!(name.as_bytes(), [a, b, b'.', _, ..] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic())
}
