//! Conversations that turn out to be one customer's go on as one.
//!
//! Of two conversations the one whose id sorts first survives, whoever finds out. A conversation joins at most one other,
//! and only one that sorts before it: so the joins form no ring, and all of a customer's conversations lead to one in the
//! end. The steps are events, since the conversations may be in different partitions:
//!
//! 1. Whoever sees that conversations belong together tells all but the survivor to join it ([`Body::Join`]). One that has
//!    joined another already passes the word on: the later of the two is told to join the earlier.
//! 2. One that joins gives what it knows to the survivor ([`Body::Joined`]), which takes over what it lacks.
//! 3. What arrives at a joined conversation afterwards is passed on, in order. Its tasks finish where they are.

use std::collections::BTreeSet;

use patchbay_model::conversation::{DeskState, SENT_KEPT, UNFILED_KEPT};
use patchbay_model::event::{Activity, DeskActivity, Join, Joined};
use patchbay_model::task::Lane;
use patchbay_model::{Arrival, Body, Conversation, ConversationId, Customer, Effect, EventId, Route, Ticket};
use patchbay_store::LinkChange;

use super::{Plan, private};

/// What is known of the conversation in which another one goes on.
#[derive(Clone, Debug, Default)]
pub struct Beyond {
    /// It has a state.
    pub known: bool,
    /// The desks in which it has ordered a ticket.
    pub desks: Vec<String>,
    /// Its tickets.
    pub tickets: Vec<Ticket>,
}

impl Plan<'_> {
    /// Works out which conversations the event shows to be the same customer's, and orders that they join. If this is not
    /// the one that survives, it has joined it afterwards.
    pub fn unite(&mut self) {
        let own = self.conversation.id.clone();
        let root = self.conversation.joined.clone().unwrap_or_else(|| own.clone());
        let mut all: BTreeSet<ConversationId> = self.record.others.iter().cloned().collect();
        if let Body::Join(join) = &self.record.event.body {
            all.insert(join.into.clone());
        }
        all.remove(&own);
        all.insert(root);
        let Some(survivor) = all.pop_first() else { return };
        for conversation in all {
            if conversation == own {
                self.conversation.joined = Some(survivor.clone());
                self.joined_now = true;
                continue;
            }
            let id = EventId::derive(&[b"join", conversation.as_str().as_bytes(), survivor.as_str().as_bytes()]);
            self.tell(id, conversation, Body::Join(Join { into: survivor.clone() }));
        }
    }

    /// Passes the event on to the conversation that this one has joined, and before it whatever that one has to know.
    pub fn pass_on(&mut self, beyond: &Beyond) {
        let Some(into) = self.conversation.joined.clone() else { return };
        let by_event = matches!(self.record.route, Route::Customer { .. });
        let news = self.conversation.customer != self.customer_before;
        if self.joined_now {
            let tickets = self.links.iter().map(|link| (link.ticket.clone(), link.entries.clone())).collect();
            let conversation = Conversation { joined: None, ..self.conversation.clone() };
            self.hand_over(&into, Joined { conversation, tickets, newest: by_event && !self.is_old_news() });
            self.conversation.unfiled.clear();
            self.note_the_other_ticket(beyond);
        } else if news || !beyond.known {
            let Conversation { id, channel, customer, .. } = self.conversation.clone();
            let conversation = Conversation::new(id, channel, customer);
            self.hand_over(&into, Joined { conversation, tickets: Vec::new(), newest: news && !self.is_old_news() });
        }
        if self.concerns_others() {
            let id =
                EventId::derive(&[b"passed on", self.record.event.id.as_str().as_bytes(), into.as_str().as_bytes()]);
            let body = self.record.event.body.clone();
            self.tell(id, into, body);
        }
    }

    /// Whether the conversation that goes on has to hear of the event.
    fn concerns_others(&self) -> bool {
        match &self.record.event.body {
            Body::Join(_) | Body::LetterOrder(_) => false,
            // It would be given up in the same way.
            Body::EffectFailed(failure) => failure.effect != PASS_ON,
            Body::DeskActivity(activity) => !self.is_own_entry(activity),
            _ => true,
        }
    }

    /// What we wrote into a ticket ourselves, coming back.
    fn is_own_entry(&self, activity: &DeskActivity) -> bool {
        let Activity::Entry(entry) = &activity.what else { return false };
        self.links.iter().any(|link| link.ticket.desk == activity.desk && link.entries.contains(&entry.id))
    }

    fn hand_over(&mut self, into: &ConversationId, joined: Joined) {
        let event = self.record.event.id.as_str().as_bytes();
        let id = EventId::derive(&[b"joined", event, into.as_str().as_bytes()]);
        self.tell(id, into.clone(), Body::Joined(Box::new(joined)));
    }

    /// Orders that another conversation is given an event.
    fn tell(&mut self, id: EventId, conversation: ConversationId, body: Body) {
        let arrival = Arrival {
            id,
            route: Route::Conversation(conversation),
            occurred_at: self.record.event.occurred_at,
            received_at: self.record.event.received_at,
            body,
            raw: None,
        };
        self.order(Lane::Conversations, Effect::PassOn { arrival: Box::new(arrival) });
    }

    /// Tells the readers of this conversation's tickets where it goes on, if that is another ticket.
    fn note_the_other_ticket(&mut self, beyond: &Beyond) {
        let both: Vec<String> =
            self.conversation.desks.keys().filter(|desk| beyond.desks.contains(desk)).cloned().collect();
        for desk in both {
            let other = beyond.tickets.iter().find(|ticket| ticket.desk == desk);
            let own = self.links.iter().find(|link| link.ticket.desk == desk);
            if other.zip(own).is_some_and(|(other, own)| other.id == own.ticket.id) {
                continue;
            }
            let text = match other {
                Some(ticket) => {
                    format!("The customer is known already. The conversation goes on in {}.", named(ticket))
                }
                None => "The customer is known already. The conversation goes on in the ticket that they have.".into(),
            };
            self.note_in(desk, &private(text));
        }
    }

    /// Takes over what the conversation that goes on here has, and this one lacks.
    pub(super) fn absorb(&mut self, joined: &Joined) {
        let other = &joined.conversation;
        let own = &mut self.conversation;
        if other.id == own.id {
            return;
        }
        take_over(&mut own.customer, &other.customer, joined.newest);
        for (key, value) in &other.attributes {
            own.attributes.entry(key.clone()).or_insert_with(|| value.clone());
        }
        own.assignment = own.assignment.take().or_else(|| other.assignment.clone());
        own.window_until = own.window_until.max(other.window_until);
        own.human |= other.human;
        own.no_marketing |= other.no_marketing;
        own.standby |= other.standby;
        for sent in &other.sent {
            if own.sent.iter().all(|known| known.message != sent.message) {
                own.sent.push_back(sent.clone());
            }
        }
        own.sent.drain(..own.sent.len().saturating_sub(SENT_KEPT));
        own.unfiled.extend(other.unfiled.iter().cloned());
        own.unfiled.make_contiguous().sort_by_key(|entry| entry.at);
        for (desk, state) in &other.desks {
            let known = joined.tickets.iter().find(|(ticket, _)| ticket.desk == *desk);
            match (self.conversation.desks.contains_key(desk), known) {
                (false, known) => self.adopt(desk, state, known),
                (true, Some((ticket, _))) => self.note_the_joined_ticket(ticket),
                (true, None) => {}
            }
        }
        self.file_the_unfiled();
    }

    /// Goes on in a ticket that the other conversation has ordered. Replies to it still arrive there, and are passed on.
    fn adopt(&mut self, desk: &str, state: &DeskState, known: Option<&(Ticket, Vec<String>)>) {
        self.conversation.desks.insert(desk.to_owned(), state.clone());
        let Some((ticket, entries)) = known else { return };
        let written = |entry| LinkChange::Written {
            conversation: self.conversation.id.clone(),
            ticket: ticket.clone(),
            read: None,
            entry,
        };
        let entries = entries.iter().cloned().map(Some);
        self.link_changes.extend(std::iter::once(None).chain(entries).map(written));
    }

    fn note_the_joined_ticket(&mut self, ticket: &Ticket) {
        let current = self.links.iter().find(|link| link.ticket.desk == ticket.desk);
        if current.is_some_and(|link| link.ticket.id == ticket.id) {
            return;
        }
        let text = format!("The same customer also has {}; what was said there goes on here.", named(ticket));
        self.note_in(ticket.desk.clone(), &private(text));
    }

    /// What was said before there was a ticket, where one has come with the other conversation.
    fn file_the_unfiled(&mut self) {
        let unfiled = &mut self.conversation.unfiled;
        if self.conversation.desks.is_empty() {
            unfiled.drain(..unfiled.len().saturating_sub(UNFILED_KEPT));
            return;
        }
        let entries: Vec<_> = unfiled.drain(..).collect();
        let desks: Vec<String> = self.conversation.desks.keys().cloned().collect();
        for entry in entries {
            for desk in &desks {
                self.order(Lane::Desk(desk.clone()), Effect::AddEntry { entry: entry.clone() });
            }
        }
    }
}

/// [`Effect::kind`] of what is passed on.
const PASS_ON: &str = "pass-on";

/// How people call a ticket.
fn named(ticket: &Ticket) -> String {
    match &ticket.url {
        Some(url) => format!("ticket {} ({url})", ticket.id),
        None => format!("ticket {}", ticket.id),
    }
}

/// Completes what is known of a customer; `newest`: what the other side knows counts more.
fn take_over(own: &mut Customer, other: &Customer, newest: bool) {
    let merge = |own: &mut Option<_>, other: &Option<_>| {
        if newest || own.is_none() {
            *own = other.clone().or_else(|| own.take());
        }
    };
    merge(&mut own.phone, &other.phone);
    merge(&mut own.user_id, &other.user_id);
    merge(&mut own.group, &other.group);
    merge(&mut own.username, &other.username);
    merge(&mut own.name, &other.name);
    if own.locale.is_none() {
        own.locale.clone_from(&other.locale);
    }
}
