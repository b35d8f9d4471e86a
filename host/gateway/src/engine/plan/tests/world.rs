//! Conversations in a small world: their journals, their tasks and what passes between them.

use std::collections::{BTreeMap, HashSet, VecDeque};

use patchbay_model::ConversationId;

use super::*;
use crate::engine::words;

/// Every conversation's state, what waits for it, and what it has ordered.
#[derive(Default)]
pub(super) struct World {
    pub(super) conversations: BTreeMap<ConversationId, Conversation>,
    pub(super) links: BTreeMap<(ConversationId, String), Link>,
    journals: BTreeMap<ConversationId, VecDeque<EventRecord>>,
    /// Events on their way from one conversation to others, in order.
    ways: BTreeMap<ConversationId, VecDeque<Arrival>>,
    seen: HashSet<String>,
    /// What conversations wanted done, in the order of their commits.
    pub(super) done: Vec<Task>,
    position: u64,
}

impl World {
    /// Takes an event into a conversation's journal.
    pub(super) fn append(&mut self, mut record: EventRecord) {
        if !self.seen.insert(record.event.id.to_string()) {
            return;
        }
        self.position += 1;
        record.position = Position(self.position);
        self.journals.entry(record.event.conversation.clone()).or_default().push_back(record);
    }

    /// Lets everything happen. `choose` picks one of so many things that may happen next.
    pub(super) fn settle(&mut self, mut choose: impl FnMut(usize) -> usize) {
        for _ in 0..10_000 {
            let journals =
                self.journals.iter().filter(|(_, queue)| !queue.is_empty()).map(|(id, _)| (true, id.clone()));
            let ways = self.ways.iter().filter(|(_, queue)| !queue.is_empty()).map(|(id, _)| (false, id.clone()));
            let next: Vec<_> = journals.chain(ways).collect();
            if next.is_empty() {
                return;
            }
            match &next[choose(next.len()) % next.len()] {
                (true, id) => {
                    let record = self.journals.get_mut(id).unwrap().pop_front().unwrap();
                    self.handle(&record);
                }
                (false, id) => {
                    let arrival = self.ways.get_mut(id).unwrap().pop_front().unwrap();
                    self.arrive(arrival);
                }
            }
        }
        panic!("it does not come to rest");
    }

    fn arrive(&mut self, arrival: Arrival) {
        let Arrival { id, route, occurred_at, received_at, body, raw } = arrival;
        let Route::Conversation(conversation) = route.clone() else { panic!("passed on to a conversation") };
        let event = Event { id, conversation, occurred_at, received_at, body };
        self.append(EventRecord { position: Position(0), event, route, raw, others: Vec::new() });
    }

    /// As the loop does it, with a chain that opens a ticket for every message that says `ticket`.
    fn handle(&mut self, record: &EventRecord) {
        let id = record.event.conversation.clone();
        let before = self.conversations.get(&id).cloned().or_else(|| begin_conversation(record));
        let Some(before) = before else { return };
        let desks: Vec<String> = before.desks.keys().cloned().collect();
        let known = BTreeSet::from(["zendesk"]);
        let none = BTreeSet::new();
        let configured = Configured { desks: known, utility_templates: &none };
        let mut plan = Plan::new(record, before, self.links_of(&id), configured, Timestamp::from_millis(1));
        plan.unite();
        plan.arrive();
        if let Some(survivor) = plan.conversation.joined.clone() {
            let beyond = self.conversations.get(&survivor).map(|known| Beyond {
                known: true,
                desks: known.desks.keys().cloned().collect(),
                tickets: self.links_of(&survivor).into_iter().map(|link| link.ticket).collect(),
            });
            plan.pass_on(&beyond.unwrap_or_default());
        } else {
            if matches!(&record.event.body, Body::Message(message) if words::entry_text(&message.content).contains("ticket"))
            {
                plan.apply("router", 1, vec![open("zendesk")]);
            }
            plan.conclude(Policy::default(), QUIET, &desks);
        }
        self.commit(plan.into_commit(0));
    }

    fn commit(&mut self, commit: Commit) {
        let (_, state) = commit.conversation.unwrap();
        let id = state.id.clone();
        self.conversations.insert(id.clone(), state);
        for change in commit.links {
            if let LinkChange::Written { conversation, ticket, entry, .. } = change {
                let fresh = Link { conversation: conversation.clone(), ticket: ticket.clone(), entries: Vec::new() };
                let link = self.links.entry((conversation, ticket.desk)).or_insert(fresh);
                link.entries.extend(entry);
            }
        }
        for task in commit.put_tasks {
            if let Effect::PassOn { arrival } = task.effect {
                self.ways.entry(id.clone()).or_default().push_back(*arrival);
                continue;
            }
            if let (Effect::CreateTicket { .. }, Lane::Desk(desk)) = (&task.effect, &task.lane) {
                let ticket = Ticket {
                    desk: desk.clone(),
                    id: format!("of {}", task.conversation),
                    url: None,
                    status: "open".into(),
                    data: Attributes::new(),
                };
                let link =
                    Link { conversation: id.clone(), ticket, entries: vec![format!("first of {}", task.conversation)] };
                self.links.insert((id.clone(), desk.clone()), link);
            }
            self.done.push(task);
        }
    }

    pub(super) fn links_of(&self, id: &ConversationId) -> Vec<Link> {
        self.links.iter().filter(|((conversation, _), _)| conversation == id).map(|(_, link)| link.clone()).collect()
    }

    /// Where a conversation goes on in the end.
    pub(super) fn root(&self, id: &ConversationId) -> ConversationId {
        let mut id = id.clone();
        while let Some(next) = self.conversations.get(&id).and_then(|known| known.joined.clone()) {
            assert!(next < id, "a conversation joins only one that sorts before it");
            id = next;
        }
        id
    }

    /// Everything that was said to tickets, or waits for one.
    pub(super) fn said(&self) -> Vec<String> {
        let mut said = Vec::new();
        for task in &self.done {
            match &task.effect {
                Effect::AddEntry { entry } => said.push(entry.text.reveal().clone()),
                Effect::CreateTicket { entries, .. } => {
                    said.extend(entries.iter().map(|entry| entry.text.reveal().clone()));
                }
                _ => {}
            }
        }
        for conversation in self.conversations.values() {
            said.extend(conversation.unfiled.iter().map(|entry| entry.text.reveal().clone()));
        }
        said
    }
}
