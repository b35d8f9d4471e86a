//! What an operator does with a store.

use std::collections::BTreeSet;

use patchbay_model::{Arrival, ConversationId, Event, Timestamp};

use super::state::{Kept, State};
use crate::embedded::append::FORMER;
use crate::{EventRecord, IDS_KEPT, Partition, Position, Record, Removed, Retention, Stats, Verification};

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Whether something of then is kept no more.
fn is_past(kept: Option<std::time::Duration>, then: Timestamp, now: Timestamp) -> bool {
    kept.is_some_and(|kept| then.after(kept) <= now)
}

impl State {
    pub(super) fn stats(&self, partitions: u16) -> Stats {
        let waiting = self.journal.iter().filter_map(|(_, position)| self.events.get(position));
        Stats {
            kind: "memory".into(),
            partitions,
            events: count(self.events.len()),
            pending_events: count(self.journal.len()),
            oldest_pending: waiting.map(|record| record.event.received_at).min(),
            conversations: count(self.conversations.len()),
            tasks: count(self.tasks.len()),
            timers: count(self.timers.len()),
            links: count(self.links.len()),
            media: count(self.media.len()),
            dead_letters: count(self.dead_letters.len()),
            reports: count(self.reports.len()),
            documents: count(self.documents.len()),
            bytes: None,
            free_bytes: None,
        }
    }

    pub(super) fn verify(&self) -> Verification {
        let mut problems = Vec::new();
        for (partition, position) in &self.journal {
            match self.events.get(position) {
                None => problems.push(format!("the event at position {position} is missing")),
                Some(record) if Partition::of(&record.event.conversation, self.partitions) != *partition => {
                    problems.push(format!("the event at position {position} waits in a foreign partition"));
                }
                Some(_) => {}
            }
        }
        for (position, record) in &self.events {
            if self.ids.get(&record.event.id).is_none_or(|(_, at)| at != position) {
                problems.push(format!("event {} at position {position} is not known by its id", record.event.id));
            }
        }
        for (id, (_, position)) in &self.ids {
            // The ids of events that are kept no more lead nowhere.
            if self.events.get(position).is_some_and(|record| record.event.id != *id) {
                problems.push(format!("event {id} is known at position {position}, where another one stands"));
            }
        }
        for (partition, id) in self.tasks.keys() {
            let task = self.tasks.get(&(*partition, id.clone()));
            if task.is_some_and(|task| Partition::of(&task.conversation, self.partitions) != *partition) {
                problems.push(format!("task {id} stands in a foreign partition"));
            }
        }
        for id in self.decisions.keys() {
            if !self.is_kept(id) {
                problems.push(format!("a decision is kept about event {id}, which is not"));
            }
        }
        let checked = [self.journal.len(), self.events.len(), self.ids.len(), self.tasks.len(), self.documents.len()];
        Verification { checked: checked.into_iter().map(count).sum(), problems }
    }

    pub(super) fn thin_out(
        &mut self,
        owned: &BTreeSet<Partition>,
        retention: &Retention,
        now: Timestamp,
        partitions: u16,
    ) -> Removed {
        let mut removed = Removed::default();
        let ours = |id: &ConversationId| owned.contains(&Partition::of(id, partitions));
        let waiting: BTreeSet<u64> = self.journal.iter().map(|(_, position)| *position).collect();
        self.thin_out_conversations(&ours, retention, now, &mut removed);
        let handled = |record: &EventRecord| ours(&record.event.conversation) && !waiting.contains(&record.position.0);
        let before = self.events.len();
        self.events.retain(|_, record| !(handled(record) && is_past(retention.events, record.event.received_at, now)));
        removed.events = count(before - self.events.len());
        for record in self.events.values_mut() {
            if record.raw.is_some() && handled(record) && is_past(retention.raw, record.event.received_at, now) {
                record.raw = None;
                removed.raw += 1;
            }
        }
        let events = &self.events;
        let ids = &self.ids;
        self.decisions.retain(|id, _| ids.get(id).is_some_and(|(_, position)| events.contains_key(position)));
        self.ids.retain(|_, (at, position)| events.contains_key(position) || !is_past(Some(IDS_KEPT), *at, now));
        let before = self.dead_letters.len();
        self.dead_letters.retain(|_, letter| {
            !(ours(&letter.task.conversation) && is_past(retention.dead_letters, letter.died_at, now))
        });
        removed.dead_letters = count(before - self.dead_letters.len());
        let before = self.reports.len();
        self.reports.retain(|report| !is_past(retention.reports, report.at, now));
        removed.reports = count(before - self.reports.len());
        removed
    }

    fn thin_out_conversations(
        &mut self,
        ours: &impl Fn(&ConversationId) -> bool,
        retention: &Retention,
        now: Timestamp,
        removed: &mut Removed,
    ) {
        let busy: BTreeSet<&ConversationId> = (self.tasks.values().map(|task| &task.conversation))
            .chain(self.timers.keys().map(|(conversation, _)| conversation))
            .chain(self.dead_letters.values().map(|letter| &letter.task.conversation))
            .chain(
                self.journal.iter().filter_map(|(_, at)| self.events.get(at)).map(|record| &record.event.conversation),
            )
            .collect();
        let gone: BTreeSet<ConversationId> = (self.conversations.iter())
            .filter(|(id, kept)| ours(id) && !busy.contains(id) && kept.state.joined.is_none())
            .filter(|(id, _)| is_past(retention.conversations, self.active.get(*id).copied().unwrap_or_default(), now))
            .map(|(id, _)| id.clone())
            .collect();
        removed.conversations = count(gone.len());
        self.conversations.retain(|id, _| !gone.contains(id));
        self.active.retain(|id, _| !gone.contains(id));
        self.links.retain(|(id, _), _| !gone.contains(id));
        self.tickets.retain(|_, id| !gone.contains(id));
        self.media.retain(|_, media| !gone.contains(&media.conversation));
        let texts: BTreeSet<&str> = gone.iter().map(ConversationId::as_str).collect();
        self.identities.retain(|_, whose| !texts.contains(whose.trim_end_matches(FORMER)));
    }

    pub(super) fn export(&self) -> Vec<Record> {
        let events = self.events.values().map(|record| {
            let event = record.event.clone();
            let partition = Partition::of(&event.conversation, self.partitions);
            Record::Event {
                position: record.position,
                conversation: event.conversation,
                arrival: Box::new(Arrival {
                    id: event.id,
                    route: record.route.clone(),
                    occurred_at: event.occurred_at,
                    received_at: event.received_at,
                    body: event.body,
                    raw: record.raw.clone(),
                }),
                others: record.others.clone(),
                pending: self.journal.contains(&(partition, record.position.0)),
                decision: self.decisions.get(&record.event.id).cloned().map(Box::new),
            }
        });
        let forgotten = self.ids.iter().filter(|(_, (_, position))| !self.events.contains_key(position));
        let ids = forgotten.map(|(id, (at, _))| Record::SeenId { id: id.as_str().to_owned(), at: *at });
        let identities = self.identities.iter().filter_map(|(key, whose)| {
            let former = whose.ends_with(FORMER);
            let conversation = ConversationId::parse(whose.trim_end_matches(FORMER))?;
            Some(Record::Identity { key: key.clone(), conversation, former })
        });
        let conversations = self.conversations.values();
        let conversations = conversations
            .map(|kept| Record::Conversation { version: kept.version, state: Box::new(kept.state.clone()) });
        let tickets = self.tickets.iter().map(|((desk, ticket), conversation)| Record::Ticket {
            desk: desk.clone(),
            ticket: ticket.clone(),
            conversation: conversation.clone(),
        });
        (events.chain(ids).chain(identities).chain(conversations))
            .chain(self.tasks.values().map(|task| Record::Task(Box::new(task.clone()))))
            .chain(self.timers.values().cloned().map(Record::Timer))
            .chain(self.links.values().cloned().map(Record::Link))
            .chain(tickets)
            .chain(self.media.values().cloned().map(Record::Media))
            .chain(self.dead_letters.values().map(|letter| Record::DeadLetter(Box::new(letter.clone()))))
            .chain(self.reports.iter().cloned().map(Record::Report))
            .chain(self.documents.export())
            .collect()
    }

    pub(super) fn import(&mut self, records: Vec<Record>, partitions: u16) {
        for record in records {
            match record {
                Record::Event { conversation, arrival, others, pending, decision, .. } => {
                    self.import_event(conversation, *arrival, others, pending, partitions);
                    decision.iter().for_each(|decision| self.put_decision(decision));
                }
                Record::SeenId { id, at } => {
                    if let Some(id) = patchbay_model::EventId::parse(&id) {
                        self.ids.entry(id).or_insert((at, 0));
                    }
                }
                Record::Identity { key, conversation, former } => {
                    let mark = if former { FORMER } else { "" };
                    self.identities.insert(key, format!("{conversation}{mark}"));
                }
                Record::Conversation { version, state } => {
                    let kept = Kept { version, fingerprint: String::new(), state: *state };
                    self.conversations.insert(kept.state.id.clone(), kept);
                }
                Record::Task(task) => {
                    let partition = Partition::of(&task.conversation, partitions);
                    self.tasks.insert((partition, task.id.clone()), *task);
                }
                Record::Timer(timer) => {
                    self.timers.insert((timer.conversation.clone(), timer.name.clone()), timer);
                }
                Record::Link(link) => {
                    self.links.insert((link.conversation.clone(), link.ticket.desk.clone()), link);
                }
                Record::Ticket { desk, ticket, conversation } => self.know_ticket(&desk, &ticket, &conversation),
                Record::Media(media) => {
                    self.media.insert(media.id.clone(), media);
                }
                Record::DeadLetter(letter) => {
                    self.dead_letters.insert(letter.task.id.clone(), *letter);
                }
                Record::Report(report) if self.reports.contains(&report) => {}
                Record::Report(report) => self.reports.push(report),
                Record::Document { space, document } => self.documents.import(space, document),
            }
        }
    }

    fn import_event(
        &mut self,
        conversation: ConversationId,
        arrival: Arrival,
        others: Vec<ConversationId>,
        pending: bool,
        partitions: u16,
    ) {
        if self.ids.contains_key(&arrival.id) {
            return;
        }
        let partition = Partition::of(&conversation, partitions);
        let position = self.place(partition);
        self.ids.insert(arrival.id.clone(), (arrival.received_at, position));
        if pending {
            self.journal.insert((partition, position));
        }
        let event = Event {
            id: arrival.id,
            conversation,
            occurred_at: arrival.occurred_at,
            received_at: arrival.received_at,
            body: arrival.body,
        };
        let (route, raw) = (arrival.route, arrival.raw);
        let last = self.active.entry(event.conversation.clone()).or_default();
        *last = event.received_at.max(*last);
        self.events.insert(position, EventRecord { position: Position(position), event, route, raw, others });
    }
}
