//! What the server holds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use patchbay_model::decision::Decision;
use patchbay_model::task::DeadLetter;
use patchbay_model::{Conversation, ConversationId, EventId, MediaId, Task, TaskId, Timestamp};

use super::server::{Inner, Rule};
use super::shelf::Documents;
use crate::{EventRecord, Lease, Link, MediaRecord, Node, Pace, Partition, Report, StoreError, Timer};

/// All of it. A copy of it is what a replica holds.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) partitions: u16,
    /// The latest moment that a node has come with: the server's clock does not go back.
    clock: Timestamp,
    /// The last position that was given.
    position: u64,
    /// Partitions to wake after this step.
    grown: BTreeSet<Partition>,
    owners: BTreeMap<Partition, Owner>,
    pub(super) nodes: BTreeMap<String, (Node, Timestamp)>,
    /// By key: when its next turn is, in nanoseconds of the server's clock.
    turns: BTreeMap<String, u128>,
    pub(super) events: BTreeMap<u64, EventRecord>,
    /// When it was accepted, and where it stands as long as it is kept.
    pub(super) ids: BTreeMap<EventId, (Timestamp, u64)>,
    pub(super) journal: BTreeSet<(Partition, u64)>,
    /// By key: whose, as [`Identities`](crate::embedded::append::Identities) writes it.
    pub(super) identities: BTreeMap<String, String>,
    pub(super) conversations: BTreeMap<ConversationId, Kept>,
    /// When the last event of a conversation was accepted.
    pub(super) active: BTreeMap<ConversationId, Timestamp>,
    pub(super) tasks: BTreeMap<(Partition, TaskId), Task>,
    pub(super) timers: BTreeMap<(ConversationId, String), Timer>,
    pub(super) links: BTreeMap<(ConversationId, String), Link>,
    /// Desk and ticket.
    pub(super) tickets: BTreeMap<(String, String), ConversationId>,
    pub(super) media: BTreeMap<MediaId, MediaRecord>,
    pub(super) dead_letters: BTreeMap<TaskId, DeadLetter>,
    /// Oldest first.
    pub(super) reports: Vec<Report>,
    /// Of events that are kept.
    pub(super) decisions: BTreeMap<EventId, Decision>,
    pub(super) documents: Documents,
}

/// A conversation.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) version: u64,
    /// Of the commit that wrote it.
    pub(super) fingerprint: String,
    pub(super) state: Conversation,
}

/// Who has a partition, and had it last.
#[derive(Clone, Debug, Default)]
struct Owner {
    epoch: u64,
    /// When it was given last.
    since: Timestamp,
    /// The token, and until when it is worth something.
    held: Option<(u64, Timestamp)>,
}

impl State {
    pub(super) fn new(partitions: u16) -> Self {
        Self { partitions, ..Self::default() }
    }

    /// Sets the clock, and gives the time.
    pub(super) fn tick(&mut self, now: Timestamp) -> Timestamp {
        self.clock = self.clock.max(now);
        self.clock
    }

    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    /// No position up to this is given any more.
    pub(super) fn skip(&mut self, position: u64) {
        self.position = self.position.max(position);
    }

    /// A new position in a partition's journal.
    pub(super) fn place(&mut self, partition: Partition) -> u64 {
        self.position += 1;
        self.grown.insert(partition);
        self.position
    }

    /// The partitions that have grown since this was asked last.
    pub(super) fn grown(&mut self) -> BTreeSet<Partition> {
        std::mem::take(&mut self.grown)
    }

    /// Keeps a lease until then.
    pub(super) fn prolong(&mut self, partition: Partition, until: Timestamp) {
        if let Some((_, held_until)) = self.owners.get_mut(&partition).and_then(|owner| owner.held.as_mut()) {
            *held_until = until;
        }
    }

    /// Ends a lease.
    pub(super) fn free(&mut self, partition: Partition) {
        if let Some(owner) = self.owners.get_mut(&partition) {
            owner.held = None;
        }
    }

    /// Whether a lease was worth something at a moment: it was neither past nor given to another one.
    pub(super) fn held(&self, lease: &Lease, at: Timestamp) -> bool {
        self.owners.get(&lease.partition).is_some_and(|owner| match owner.held {
            Some((token, until)) if owner.epoch == lease.epoch && token == lease.token => until > at,
            _ => owner.epoch > lease.epoch && owner.since > at,
        })
    }

    pub(super) fn free_all(&mut self) {
        self.owners.values_mut().for_each(|owner| owner.held = None);
    }

    /// A node lives until then. Gives all that do.
    pub(super) fn beat(&mut self, node: &Node, until: Timestamp, now: Timestamp) -> Vec<Node> {
        self.nodes.insert(node.id.clone(), (node.clone(), until));
        self.nodes.retain(|_, (_, until)| *until > now);
        self.nodes.values().map(|(node, _)| node.clone()).collect()
    }

    /// Takes the next turn, and gives how long to wait for it.
    pub(super) fn turn(&mut self, key: &str, pace: Pace, now: Timestamp) -> Duration {
        let now = u128::from(now.as_millis()) * 1_000_000;
        let turn = self.turns.get(key).copied().unwrap_or(now).max(now);
        self.turns.insert(key.to_owned(), turn + pace.interval.as_nanos());
        let allowance = pace.interval.saturating_mul(pace.burst.saturating_sub(1));
        let wait = (turn - now).saturating_sub(allowance.as_nanos());
        Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX))
    }
}

impl Inner {
    /// Gives a partition to whoever asks, if nobody has it.
    pub(super) fn acquire(&mut self, partition: Partition, now: Timestamp, lasts: Duration) -> Option<Lease> {
        let exclusive = !self.ignores(Rule::Exclusion);
        let owner = self.state.owners.entry(partition).or_default();
        if exclusive && owner.held.is_some_and(|(_, until)| until > now) {
            return None;
        }
        self.tokens += 1;
        owner.epoch += 1;
        owner.since = now;
        owner.held = Some((self.tokens, now.after(lasts)));
        Some(Lease { partition, epoch: owner.epoch, token: self.tokens })
    }

    /// Whether a lease is worth anything.
    pub(super) fn check(&self, lease: &Lease, now: Timestamp) -> Result<(), StoreError> {
        let owner = self.state.owners.get(&lease.partition);
        let held = owner.is_some_and(|owner| {
            owner.epoch == lease.epoch && owner.held.is_some_and(|(token, until)| token == lease.token && until > now)
        });
        if held || self.ignores(Rule::Fence) { Ok(()) } else { Err(StoreError::Fenced(lease.partition)) }
    }
}
