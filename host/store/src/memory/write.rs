//! The two writes: events into the journal, and the commit that ends the handling of one.

use patchbay_model::decision::Decision;
use patchbay_model::{Arrival, ConversationId, Event, TaskId, Timestamp};

use super::server::{Inner, Rule};
use super::state::{Kept, State};
use crate::embedded::append::{Identities, Target, of_customer};
use crate::embedded::commit::{REPORTS_KEPT, belongs, fingerprint};
use crate::embedded::links::alter;
use crate::{Appended, Commit, EventRecord, Lease, Link, LinkChange, Partition, Position, StoreError};

impl Identities for State {
    fn whose(&self, key: &str) -> Result<Option<String>, StoreError> {
        Ok(self.identities.get(key).cloned())
    }

    fn claim(&mut self, key: &str, whose: &str) -> Result<(), StoreError> {
        self.identities.insert(key.to_owned(), whose.to_owned());
        Ok(())
    }
}

impl Inner {
    /// Adds events to their journals, each once.
    pub(super) fn append(&mut self, arrivals: &[Arrival]) -> Result<Vec<Appended>, StoreError> {
        // What could fail comes first.
        let targets = arrivals.iter().map(Target::of).collect::<Result<Vec<_>, _>>()?;
        let once = !self.ignores(Rule::Deduplication);
        arrivals.iter().zip(&targets).map(|(arrival, target)| self.state.append(arrival, target, once)).collect()
    }

    /// Writes a commit, unless it has been written.
    pub(super) fn commit(&mut self, lease: &Lease, commit: &Commit, now: Timestamp) -> Result<(), StoreError> {
        let state = &self.state;
        belongs(lease.partition, commit, state.partitions)?;
        let targets = commit.append.iter().map(Target::of).collect::<Result<Vec<_>, _>>()?;
        let fingerprint = fingerprint(commit)?;
        self.check(lease, now)?;
        if !self.ignores(Rule::Witness) && state.is_applied(lease.partition, commit, &fingerprint) {
            return Ok(());
        }
        if let Some((expected, new)) = &commit.conversation {
            let found = state.conversations.get(&new.id).map_or(0, |kept| kept.version);
            if found != *expected && !self.ignores(Rule::Version) {
                return Err(StoreError::Conflict { conversation: new.id.clone(), expected: *expected, found });
            }
        }
        if let Some(overtaken) = commit.documents.iter().find(|shelving| state.documents.refusal(shelving).is_some()) {
            return Err(StoreError::Overtaken { space: overtaken.space.clone() });
        }
        let once = !self.ignores(Rule::Deduplication);
        self.state.apply(lease.partition, commit, fingerprint);
        for (arrival, target) in commit.append.iter().zip(&targets) {
            self.state.append(arrival, target, once)?;
        }
        Ok(())
    }
}

impl State {
    fn append(&mut self, arrival: &Arrival, target: &Target, once: bool) -> Result<Appended, StoreError> {
        if once && self.ids.contains_key(&arrival.id) {
            return Ok(Appended::Duplicate);
        }
        let (conversation, others) = match target {
            Target::Conversation(id) => (id.clone(), Vec::new()),
            Target::Customer { keys, former, otherwise } => {
                let mut found = of_customer(self, keys, former, otherwise)?;
                let others = found.split_off(1);
                (found.pop().unwrap_or_else(|| otherwise.clone()), others)
            }
            Target::Ticket { desk, ticket } => match self.tickets.get(&(desk.clone(), ticket.clone())) {
                Some(known) => (known.clone(), Vec::new()),
                None => return Ok(Appended::Stranger),
            },
        };
        let partition = Partition::of(&conversation, self.partitions);
        let position = self.place(partition);
        let event = Event {
            id: arrival.id.clone(),
            conversation: conversation.clone(),
            occurred_at: arrival.occurred_at,
            received_at: arrival.received_at,
            body: arrival.body.clone(),
        };
        let (route, raw) = (arrival.route.clone(), arrival.raw.clone());
        let last = self.active.entry(event.conversation.clone()).or_default();
        *last = event.received_at.max(*last);
        self.events.insert(position, EventRecord { position: Position(position), event, route, raw, others });
        self.ids.insert(arrival.id.clone(), (arrival.received_at, position));
        self.journal.insert((partition, position));
        Ok(Appended::New { partition, conversation })
    }

    /// Looks at the commit's witness, as [`Commit`] describes it.
    fn is_applied(&self, partition: Partition, commit: &Commit, fingerprint: &str) -> bool {
        if let Some(position) = commit.handled {
            return !self.journal.contains(&(partition, position.0));
        }
        if let Some((expected, new)) = &commit.conversation {
            let stored = self.conversations.get(&new.id);
            return stored.is_some_and(|kept| kept.version == expected + 1 && kept.fingerprint == fingerprint);
        }
        let mut ended = commit.finished_tasks.iter().chain(commit.dead_letters.iter().map(|letter| &letter.task.id));
        let any = !commit.finished_tasks.is_empty() || !commit.dead_letters.is_empty();
        any && ended.all(|id| !self.tasks.contains_key(&(partition, id.clone())))
    }

    /// Writes all of a commit but its events.
    fn apply(&mut self, partition: Partition, commit: &Commit, fingerprint: String) {
        if let Some(position) = commit.handled {
            self.journal.remove(&(partition, position.0));
        }
        if let Some((expected, state)) = &commit.conversation {
            let kept = Kept { version: expected + 1, fingerprint, state: state.clone() };
            self.conversations.insert(state.id.clone(), kept);
        }
        for shelving in &commit.documents {
            self.documents.write(shelving);
        }
        self.write_tasks(partition, commit);
        for cleared in &commit.cleared_timers {
            let key = (cleared.conversation.clone(), cleared.name.clone());
            if self.timers.get(&key).is_some_and(|timer| cleared.at.is_none_or(|at| timer.at == at)) {
                self.timers.remove(&key);
            }
        }
        for timer in &commit.set_timers {
            self.timers.insert((timer.conversation.clone(), timer.name.clone()), timer.clone());
        }
        commit.links.iter().for_each(|change| self.change_link(change));
        self.media.extend(commit.media.iter().map(|media| (media.id.clone(), media.clone())));
        self.reports.extend(commit.reports.iter().cloned());
        let kept = usize::try_from(REPORTS_KEPT).unwrap_or(usize::MAX);
        self.reports.drain(..self.reports.len().saturating_sub(kept));
        commit.decision.iter().for_each(|decision| self.put_decision(decision));
    }

    /// Keeps a decision with its event.
    pub(super) fn put_decision(&mut self, decision: &Decision) {
        if self.is_kept(&decision.event) {
            self.decisions.insert(decision.event.clone(), decision.clone());
        }
    }

    fn write_tasks(&mut self, partition: Partition, commit: &Commit) {
        let key = |id: &TaskId| (partition, id.clone());
        for id in &commit.finished_tasks {
            self.tasks.remove(&key(id));
        }
        for letter in &commit.dead_letters {
            self.tasks.remove(&key(&letter.task.id));
            self.dead_letters.insert(letter.task.id.clone(), letter.clone());
        }
        for id in &commit.settled_letters {
            self.dead_letters.remove(id);
        }
        self.tasks.extend(commit.put_tasks.iter().map(|task| (key(&task.id), task.clone())));
    }

    fn change_link(&mut self, change: &LinkChange) {
        let (conversation, desk) = (change.conversation(), change.desk());
        let link = match (self.links.entry((conversation.clone(), desk.to_owned())), change) {
            (std::collections::btree_map::Entry::Occupied(link), _) => link.into_mut(),
            (std::collections::btree_map::Entry::Vacant(place), LinkChange::Written { ticket, .. }) => {
                place.insert(Link { conversation: conversation.clone(), ticket: ticket.clone(), entries: Vec::new() })
            }
            (std::collections::btree_map::Entry::Vacant(_), _) => return,
        };
        if let Some(ticket) = alter(link, change) {
            self.know_ticket(desk, ticket, conversation);
        }
    }

    /// Makes the ticket known, unless it is somebody else's.
    pub(super) fn know_ticket(&mut self, desk: &str, ticket: &str, conversation: &ConversationId) {
        let key = (desk.to_owned(), ticket.to_owned());
        self.tickets.entry(key).or_insert_with(|| conversation.clone());
    }
}
