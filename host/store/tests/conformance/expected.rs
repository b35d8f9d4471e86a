//! What a store should hold after each operation, in the simplest way.

use std::collections::{BTreeMap, BTreeSet};

use patchbay_model::decision::Decision;
use patchbay_model::task::DeadLetter;
use patchbay_model::{Arrival, ConversationId, EventId, Identity, Route, Task, TaskId, Timestamp};
use patchbay_store::{ClearedTimer, Commit, Link, LinkChange, Removed, Timer};

use super::plans::Shelving;

/// What the store should hold.
#[derive(Default)]
pub(super) struct Model {
    /// In the order of their positions.
    pub(super) events: Vec<Kept>,
    /// Ids of all events that were ever accepted.
    pub(super) seen: BTreeSet<EventId>,
    pub(super) pending: BTreeSet<EventId>,
    /// Whose, and whether they were theirs once.
    pub(super) identities: BTreeMap<String, (ConversationId, bool)>,
    pub(super) states: BTreeMap<ConversationId, (u64, String)>,
    pub(super) tasks: BTreeMap<TaskId, Task>,
    pub(super) dead: BTreeMap<TaskId, DeadLetter>,
    pub(super) timers: BTreeMap<(ConversationId, String), Timer>,
    pub(super) links: BTreeMap<(ConversationId, String), Link>,
    pub(super) tickets: BTreeMap<String, ConversationId>,
    /// Of events that are kept.
    pub(super) decisions: BTreeMap<EventId, Decision>,
    /// By space and key: revision and length.
    pub(super) documents: BTreeMap<(u8, u8), (u64, u8)>,
    /// The last revision of each, also of those that are gone.
    pub(super) revisions: BTreeMap<(u8, u8), u64>,
}

/// Why nothing is written to the shelf.
#[derive(Debug, PartialEq)]
pub(super) enum Refusal {
    /// The key, and its revision.
    Conflict(u8, u64),
    /// What the space would hold.
    Full(u64),
}

/// An event that is kept.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) id: EventId,
    pub(super) conversation: ConversationId,
    pub(super) others: Vec<ConversationId>,
    pub(super) at: Timestamp,
    pub(super) raw: bool,
}

impl Model {
    pub(super) fn append(&mut self, arrival: &Arrival) -> Option<ConversationId> {
        if self.seen.contains(&arrival.id) {
            return None;
        }
        let mut others = Vec::new();
        let conversation = match &arrival.route {
            Route::Ticket { ticket, .. } => self.tickets.get(ticket)?.clone(),
            Route::Customer { channel, identities, former, .. } => {
                let keys = |of: &[Identity]| of.iter().map(|identity| identity.key(&channel.id)).collect::<Vec<_>>();
                let mut found = self.customer(&keys(identities), &keys(former));
                if found.is_empty() {
                    found.push(arrival.route.new_conversation().unwrap());
                }
                self.claim(&keys(identities), &keys(former), &found[0]);
                others = found.split_off(1);
                found.remove(0)
            }
            route => route.new_conversation().unwrap(),
        };
        self.seen.insert(arrival.id.clone());
        let (id, at) = (arrival.id.clone(), arrival.received_at);
        self.events.push(Kept { id, conversation: conversation.clone(), others, at, raw: true });
        self.pending.insert(arrival.id.clone());
        Some(conversation)
    }

    /// Whether a new person has been given an identity that was somebody's once: nobody has a surer one.
    fn is_given_again(&self, keys: &[String], n: usize) -> bool {
        let (surer, known) = (&keys[..n], self.identities.get(&keys[n]));
        let nobody = surer
            .iter()
            .enumerate()
            .all(|(n, key)| self.identities.get(key).is_none_or(|_| self.is_given_again(keys, n)));
        let unknown = surer.iter().any(|key| !self.identities.contains_key(key));
        known.is_some_and(|(_, former)| *former) && unknown && nobody
    }

    /// The conversations that identities lead to.
    fn customer(&self, keys: &[String], former: &[String]) -> Vec<ConversationId> {
        let mut found = Vec::new();
        let now = (0..keys.len()).filter(|n| !self.is_given_again(keys, *n)).map(|n| &keys[n]);
        for key in now.chain(former) {
            let whose = self.identities.get(key).map(|(whose, _)| whose.clone());
            found.extend(whose.filter(|whose| !found.contains(whose)));
        }
        found
    }

    fn claim(&mut self, keys: &[String], former: &[String], id: &ConversationId) {
        let given: Vec<_> = (0..keys.len()).filter(|n| self.is_given_again(keys, *n)).collect();
        for (n, key) in keys.iter().enumerate() {
            if given.contains(&n) || !self.identities.contains_key(key) {
                self.identities.insert(key.clone(), (id.clone(), false));
            }
        }
        for key in former {
            self.identities.entry(key.clone()).or_insert_with(|| (id.clone(), true)).1 = true;
        }
    }

    /// Forgets what was accepted, or died, until then, and waits for nothing.
    pub(super) fn thin_out(&mut self, events: Timestamp, raw: Timestamp, letters: Timestamp) -> Removed {
        let waits = |event: &Kept| self.pending.contains(&event.id);
        let before = (self.events.len(), self.dead.len());
        self.events.retain(|event| event.at > events || waits(event));
        let events = &self.events;
        self.decisions.retain(|id, _| events.iter().any(|event| event.id == *id));
        let mut removed = Removed::default();
        for event in self.events.iter_mut().filter(|event| event.at <= raw && !self.pending.contains(&event.id)) {
            removed.raw += u64::from(std::mem::take(&mut event.raw));
        }
        self.dead.retain(|_, letter| letter.died_at > letters);
        removed.events = (before.0 - self.events.len()) as u64;
        removed.dead_letters = (before.1 - self.dead.len()) as u64;
        removed
    }

    /// Applies a commit whose event, if it has one, is `handled`.
    pub(super) fn commit(&mut self, commit: &Commit, handled: Option<&EventId>) {
        if let Some(event) = handled {
            self.pending.remove(event);
        }
        if let Some((version, state)) = &commit.conversation {
            self.states.insert(state.id.clone(), (version + 1, state.attributes["note"].clone()));
        }
        for id in &commit.finished_tasks {
            self.tasks.remove(id);
        }
        for letter in &commit.dead_letters {
            self.tasks.remove(&letter.task.id);
            self.dead.insert(letter.task.id.clone(), letter.clone());
        }
        for id in &commit.settled_letters {
            self.dead.remove(id);
        }
        self.tasks.extend(commit.put_tasks.iter().map(|task| (task.id.clone(), task.clone())));
        for ClearedTimer { conversation, name, at } in &commit.cleared_timers {
            let key = (conversation.clone(), name.clone());
            if self.timers.get(&key).is_some_and(|timer| at.is_none_or(|at| timer.at == at)) {
                self.timers.remove(&key);
            }
        }
        for timer in &commit.set_timers {
            self.timers.insert((timer.conversation.clone(), timer.name.clone()), timer.clone());
        }
        for change in &commit.links {
            self.change(change);
        }
        for arrival in &commit.append {
            self.append(arrival);
        }
        if let Some(decision) = &commit.decision
            && self.events.iter().any(|event| event.id == decision.event)
        {
            self.decisions.insert(decision.event.clone(), decision.clone());
        }
    }

    /// What becomes of a write to a space: refused for what is there, or for its size. `None`: it is written.
    pub(super) fn refuses(&self, shelving: &Shelving) -> Option<Refusal> {
        let held = |key: u8| self.documents.get(&(shelving.space, key)).copied();
        for (key, (_, wrong)) in &shelving.writes {
            if wrong.is_some_and(|wrong| wrong > 0) {
                return Some(Refusal::Conflict(*key, held(*key).map_or(0, |(revision, _)| revision)));
            }
        }
        let size = |length: u8| u64::from(length) + 1;
        let of_space = self.documents.iter().filter(|((space, _), _)| *space == shelving.space);
        let before: u64 = of_space.clone().map(|(_, (_, length))| size(*length)).sum();
        let stay = of_space.filter(|((_, key), _)| !shelving.writes.contains_key(key));
        let new = shelving.writes.values().filter_map(|(length, _)| *length);
        let after = stay.map(|(_, (_, length))| *length).chain(new).map(size).sum();
        let over = after > before && shelving.quota.is_some_and(|quota| after > u64::from(quota));
        over.then_some(Refusal::Full(after))
    }

    fn change(&mut self, change: &LinkChange) {
        let key = (change.conversation().clone(), change.desk().to_owned());
        let link = self.links.get_mut(&key);
        let named = match (change, link) {
            (LinkChange::Written { conversation, ticket, entry, .. }, None) => {
                let link = Link {
                    conversation: conversation.clone(),
                    ticket: ticket.clone(),
                    entries: entry.iter().cloned().collect(),
                };
                self.links.insert(key, link);
                Some(ticket.id.clone())
            }
            (LinkChange::Written { ticket, read, entry, .. }, Some(link)) => {
                if [Some(&ticket.id), read.as_ref()].contains(&Some(&link.ticket.id)) {
                    link.ticket = ticket.clone();
                }
                link.entries.extend(entry.clone());
                Some(ticket.id.clone())
            }
            (LinkChange::Status { status, .. }, Some(link)) => {
                link.ticket.status = status.clone();
                None
            }
            (LinkChange::Moved { to, .. }, Some(link)) => {
                link.ticket.id = to.clone();
                Some(to.clone())
            }
            (LinkChange::Status { .. } | LinkChange::Moved { .. }, None) => None,
        };
        if let Some(id) = named {
            self.tickets.entry(id).or_insert_with(|| change.conversation().clone());
        }
    }
}
