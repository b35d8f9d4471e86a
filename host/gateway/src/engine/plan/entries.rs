//! What was said, as entries of tickets.

use patchbay_model::conversation::UNFILED_KEPT;
use patchbay_model::desk::{Author, Entry};
use patchbay_model::event::Speaker;
use patchbay_model::message::Participant;
use patchbay_model::task::Lane;
use patchbay_model::{Body, Effect, Identity, Message, Private};

use super::{Plan, private};
use crate::engine::words;

/// Who writes from the business's own phone.
const BUSINESS_APP: &str = "WhatsApp Business app";
/// Who answers while the platform's own agent has the conversation.
const PLATFORM_AGENT: &str = "WhatsApp's agent";

impl Plan<'_> {
    /// Orders what was said into the tickets that there are, and keeps it for the first one if there is none. `desks` are
    /// those that had a ticket ordered before this event.
    pub(super) fn file(&mut self, message: &Message, desks: &[String]) {
        if let Some(media) = message.content.media() {
            let lane = Lane::Media(self.conversation.channel.id.clone());
            let effect = Effect::FetchMedia { message: message.id.clone(), media: media.clone() };
            let id = self.order(lane, effect);
            // Files need no order among themselves: one that Meta does not give holds no other up.
            if let Some(task) = self.tasks.iter_mut().find(|task| task.id == id) {
                task.aside = true;
            }
        }
        for desk in desks {
            if let Some(entry) = self.own_entry() {
                self.order(Lane::Desk(desk.clone()), Effect::AddEntry { entry });
            }
        }
        if self.conversation.desks.is_empty()
            && let Some(entry) = self.own_entry()
        {
            self.keep_unfiled(entry);
        }
    }

    /// What the event's message reads like in a ticket.
    ///
    /// What the business wrote elsewhere is a note: as a public entry, a desk would tell us of an answer to be sent.
    pub(super) fn own_entry(&self) -> Option<Entry> {
        let customer = || Author::Customer(self.conversation.customer.clone());
        let (message, author) = match &self.record.event.body {
            Body::Message(message) => (message, customer()),
            Body::Echo(echo) => (&echo.message, Author::Agent(BUSINESS_APP.into())),
            Body::Standby(heard) => match heard.by {
                Speaker::Customer => (&heard.message, customer()),
                Speaker::Business => (&heard.message, Author::Bot(PLATFORM_AGENT.to_owned())),
            },
            _ => return None,
        };
        let text = words::entry_text(&message.content);
        Some(Entry {
            public: matches!(author, Author::Customer(_)),
            author,
            text: private(match &message.author {
                Some(participant) => format!("{}: {text}", name_of(participant)),
                None => text,
            }),
            media: message.content.media().cloned().into_iter().collect(),
            at: self.record.event.occurred_at,
        })
    }

    /// Orders an internal note in every ticket of the conversation.
    pub(super) fn note(&mut self, text: &Private<String>) {
        let desks: Vec<String> = self.conversation.desks.keys().cloned().collect();
        for desk in desks {
            self.note_in(desk, text);
        }
    }

    /// As [`Plan::note`], and keeps it for the first ticket if there is none.
    pub(super) fn note_for_later(&mut self, text: &Private<String>) {
        self.note(text);
        if self.conversation.desks.is_empty() {
            let note = self.written_note(text);
            self.keep_unfiled(note);
        }
    }

    /// Orders an internal note in the ticket in this desk.
    pub(super) fn note_in(&mut self, desk: String, text: &Private<String>) {
        let entry = self.written_note(text);
        self.order(Lane::Desk(desk), Effect::AddEntry { entry });
    }

    fn written_note(&self, text: &Private<String>) -> Entry {
        let at = self.record.event.occurred_at;
        Entry { author: Author::Gateway, text: text.clone(), media: Vec::new(), public: false, at }
    }

    fn keep_unfiled(&mut self, entry: Entry) {
        let unfiled = &mut self.conversation.unfiled;
        unfiled.push_back(entry);
        unfiled.drain(..unfiled.len().saturating_sub(UNFILED_KEPT));
    }
}

/// How a participant of a group is called: as they call themselves, or else by their number.
fn name_of(participant: &Participant) -> String {
    let shown = participant.profile.name.as_ref().or(participant.profile.username.as_ref());
    let phone = || {
        participant.identities.iter().find_map(|identity| match identity {
            Identity::Phone(phone) => Some(format!("+{}", phone.reveal())),
            Identity::UserId(_) | Identity::Group(_) | Identity::Username(_) => None,
        })
    };
    let name = shown.map(|name| name.reveal().clone()).or_else(phone);
    name.unwrap_or_else(|| "A participant".into())
}
