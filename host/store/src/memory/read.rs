//! Reading.

use std::cmp::Reverse;

use patchbay_model::task::DeadLetter;
use patchbay_model::{Conversation, ConversationId, EventId};

use super::state::State;
use crate::embedded::reads::is_or_below;
use crate::{EventFilter, EventRecord, Link, Partition, Pending, Position, Report, Versioned};

impl State {
    pub(super) fn pending(&self, partition: Partition) -> Pending {
        let mut tasks: Vec<_> =
            self.tasks.iter().filter(|((owner, _), _)| *owner == partition).map(|(_, task)| task.clone()).collect();
        tasks.sort_by(|a, b| {
            (&a.conversation, &a.lane, a.sequence, &a.id).cmp(&(&b.conversation, &b.lane, b.sequence, &b.id))
        });
        let timers = self.timers.values();
        let timers = timers.filter(|timer| Partition::of(&timer.conversation, self.partitions) == partition).cloned();
        Pending { tasks, timers: timers.collect() }
    }

    pub(super) fn journal(&self, partition: Partition, after: Position, limit: usize) -> Vec<EventRecord> {
        let range = (partition, after.0.saturating_add(1))..=(partition, u64::MAX);
        let waiting = self.journal.range(range).filter_map(|(_, position)| self.events.get(position));
        waiting.take(limit).cloned().collect()
    }

    pub(super) fn conversation(&self, id: &ConversationId) -> Option<Versioned<Conversation>> {
        let kept = self.conversations.get(id)?;
        Some(Versioned { version: kept.version, value: kept.state.clone() })
    }

    pub(super) fn links(&self, conversation: &ConversationId) -> Vec<Link> {
        let of = self.links.range((conversation.clone(), String::new())..);
        of.take_while(|((whose, _), _)| whose == conversation).map(|(_, link)| link.clone()).collect()
    }

    pub(super) fn event(&self, id: &EventId) -> Option<EventRecord> {
        let (_, position) = self.ids.get(id)?;
        self.events.get(position).cloned()
    }

    pub(super) fn is_kept(&self, id: &EventId) -> bool {
        self.ids.get(id).is_some_and(|(_, position)| self.events.contains_key(position))
    }

    pub(super) fn list(&self, filter: &EventFilter) -> Vec<EventRecord> {
        let mut found: Vec<_> = (self.events.values())
            .filter(|record| {
                let event = &record.event;
                filter.conversation.as_ref().is_none_or(|id| event.conversation == *id)
                    && filter.since.is_none_or(|since| event.received_at >= since)
                    && filter.kind.as_deref().is_none_or(|kind| is_or_below(&event.body.kind(), kind))
                    && (!filter.pending || self.journal.iter().any(|(_, position)| *position == record.position.0))
            })
            .collect();
        found.sort_by_key(|record| Reverse((record.event.received_at, record.position)));
        found.into_iter().take(filter.limit).cloned().collect()
    }

    pub(super) fn dead_letters(&self, limit: usize) -> Vec<DeadLetter> {
        let mut letters: Vec<_> = self.dead_letters.values().collect();
        letters.sort_by_key(|letter| Reverse((letter.died_at, &letter.task.id)));
        letters.into_iter().take(limit).cloned().collect()
    }

    pub(super) fn reports(&self, limit: usize) -> Vec<Report> {
        self.reports.iter().rev().take(limit).cloned().collect()
    }
}
