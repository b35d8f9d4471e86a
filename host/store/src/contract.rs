//! The Store contract: what the loop needs of durable state, and nothing about how it is kept.

mod link;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use patchbay_model::task::DeadLetter;
use patchbay_model::{
    Arrival, Conversation, ConversationId, Event, EventId, MediaId, Private, Route, Task, TaskId, Timestamp,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

pub use self::link::{ENTRIES_KEPT, Link, LinkChange};

/// A slice of the conversations, owned by one node at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Partition(pub u16);

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Partition {
    /// The partition that a conversation belongs to, out of `partitions`; at least one is assumed.
    ///
    /// Part of what a store's data means, so it never changes: FNV-1a, 64 bits, over the id's text. Ids are hashes
    /// already, so that nothing stronger is needed to spread them.
    #[must_use]
    pub fn of(conversation: &ConversationId, partitions: u16) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in conversation.as_str().bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        // The low bits of FNV depend on the low bits of the text only; the high ones on all of it.
        Self(u16::try_from((hash >> 32) % u64::from(partitions.max(1))).unwrap_or_default())
    }
}

/// An event's place in its partition's journal. Positions only grow; they may have gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub u64);

/// The right to write a partition. It is worth something only while the store agrees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What it is for.
    pub partition: Partition,
    /// Grows by one each time the partition changes hands: the fence.
    pub epoch: u64,
    /// Drawn at random for this lease, so that no lost history can hold an equal one.
    pub token: u64,
}

/// What became of one arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It stands in the journal.
    New {
        /// Where it waits to be handled.
        partition: Partition,
        /// Whose it is.
        conversation: ConversationId,
    },
    /// It was there already; nothing was written.
    Duplicate,
    /// It is about a ticket that no conversation is linked to; nothing was written.
    Stranger,
}

/// An event as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Its place.
    pub position: Position,
    /// What happened.
    pub event: Event,
    /// How its conversation was found: who wrote, on which channel.
    pub route: Route,
    /// The platform's own JSON of it.
    pub raw: Option<Private<String>>,
}

/// A value and how often it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// 1 for the first write.
    pub version: u64,
    /// The value.
    pub value: T,
}

/// What a new owner needs to go on with a partition, besides its [journal](Store::journal).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pending {
    /// Tasks not yet finished, by conversation, lane and sequence.
    pub tasks: Vec<Task>,
    /// Timers that have not gone off.
    pub timers: Vec<Timer>,
}

/// A timer of a conversation. One for each name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    /// Whose.
    pub conversation: ConversationId,
    /// Which.
    pub name: String,
    /// When it goes off.
    pub at: Timestamp,
    /// What comes back with it: JSON.
    pub data: Private<String>,
}

/// A timer to take back, or that has gone off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClearedTimer {
    /// Whose.
    pub conversation: ConversationId,
    /// Which.
    pub name: String,
    /// Only if it is set for this moment: one that was set anew meanwhile stays. `None`: whenever it goes off.
    pub at: Option<Timestamp>,
}

/// A piece of media and whether its bytes are at hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaRecord {
    /// Our handle.
    pub id: MediaId,
    /// Whose.
    pub conversation: ConversationId,
    /// Where it stands.
    pub state: MediaState,
}

/// Where a piece of media stands. A piece that has no record is still to be fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum MediaState {
    /// Its bytes are in the blob store.
    Stored {
        /// The blob's key.
        blob: String,
        /// Bytes.
        size: u64,
        /// The media type that it was served with.
        mime: String,
        /// As the sender named it.
        file_name: Option<Private<String>>,
    },
    /// It could not be had.
    Failed {
        /// Why, for people.
        reason: String,
    },
}

/// What a plugin did that it should not have done, for the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When.
    pub at: Timestamp,
    /// The plugin's name in the configuration.
    pub plugin: String,
    /// Its generation.
    pub generation: u64,
    /// The event or task that it was called for.
    pub event: String,
    /// The cause in one word: `trap`, `cpu-time`, `deadline`, `memory` …
    pub cause: String,
    /// The cause in a sentence.
    pub detail: String,
    /// The wasm frames, innermost first.
    #[serde(default)]
    pub frames: Vec<String>,
    /// The last lines that it wrote to standard error.
    #[serde(default)]
    pub stderr: String,
}

/// One atomic write. All of it is there afterwards, or none.
///
/// # Applying a commit again
/// The answer to a commit can be lost: the caller then applies the very same commit again, before any other of the same
/// conversation or task. The store knows it by its *witness*, and then answers `Ok` and writes nothing. The witness is
/// the first of these that the commit has:
///
/// 1. [`handled`](Self::handled): the event is no longer pending.
/// 2. [`conversation`](Self::conversation): the stored version is the new one, and this commit wrote it (the store keeps
///    a fingerprint of the commit with the version; another commit's version is a [`StoreError::Conflict`]).
/// 3. [`finished_tasks`](Self::finished_tasks) and [`dead_letters`](Self::dead_letters): none of these tasks is there
///    any more. So a task is finished only by the one who carries it out.
/// 4. None of them: writing it again changes nothing, because everything is written by its key and an entry is added to
///    a link once (such a commit has one change for a link at most); only reports are told twice.
///
/// # Order
/// Within a commit, tasks are finished before tasks are put, and timers cleared before timers are set: what is named in
/// both is there afterwards. Links are changed before events are appended.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Commit {
    /// The journal entry that has been handled.
    pub handled: Option<Position>,
    /// The conversation's new state, and the version that it replaces (0: there was none).
    pub conversation: Option<(u64, Conversation)>,
    /// Tasks that are new or have changed, by id.
    pub put_tasks: Vec<Task>,
    /// Tasks that are done.
    pub finished_tasks: Vec<TaskId>,
    /// Tasks that are given up: they leave their lane.
    pub dead_letters: Vec<DeadLetter>,
    /// Timers to set; one of the same conversation and name is replaced.
    pub set_timers: Vec<Timer>,
    /// Timers to take back, or that have gone off.
    pub cleared_timers: Vec<ClearedTimer>,
    /// What happens to links, in this order.
    pub links: Vec<LinkChange>,
    /// Media that was stored or given up.
    pub media: Vec<MediaRecord>,
    /// Events that follow from this one: outcomes, timers gone off. They must belong to this partition.
    pub append: Vec<Arrival>,
    /// Reports for the operator.
    pub reports: Vec<Report>,
}

/// Which events to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only this conversation's.
    pub conversation: Option<ConversationId>,
    /// Only this kind, or the kinds below it: `message` matches `message.text`.
    pub kind: Option<String>,
    /// Only those accepted at or after this.
    pub since: Option<Timestamp>,
    /// At most so many.
    pub limit: usize,
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The lease is no longer worth anything: drop what is in memory of this partition, finish nothing.
    #[error("partition {0} is owned by another node now")]
    Fenced(Partition),
    /// The conversation was written by someone else since it was read.
    #[error("conversation {conversation} is at version {found}, not at {expected}")]
    Conflict {
        /// Which.
        conversation: ConversationId,
        /// The version that the commit replaces.
        expected: u64,
        /// The version that is there.
        found: u64,
    },
    /// Nothing can be written now; it may be possible later.
    #[error("the store cannot write: {0}")]
    Unavailable(String),
    /// What is stored cannot be read.
    #[error("the store holds something unreadable: {0}")]
    Corrupt(String),
    /// It was made by another version, or for another purpose.
    #[error("{0}")]
    Unsuitable(String),
}

/// Durable state: journal, conversations, lanes, timers, links, dead letters.
///
/// When a method that writes returns, what it wrote survives a crash of the process and of the machine.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// How many partitions there are; fixed when the store is made.
    fn partitions(&self) -> u16;

    /// The partition that a conversation belongs to.
    fn partition_of(&self, conversation: &ConversationId) -> Partition;

    /// Adds events to the journals of their partitions, each at most once by its id, in the order given. Any node may.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: none of them can be taken as accepted; appending them again is harmless.
    async fn append(&self, arrivals: Vec<Arrival>) -> Result<Vec<Appended>, StoreError>;

    /// Takes a partition if nobody holds it, or its holder's lease is past.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn acquire(&self, partition: Partition) -> Result<Option<Lease>, StoreError>;

    /// Keeps a lease alive.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when it was lost.
    async fn renew(&self, lease: &Lease) -> Result<(), StoreError>;

    /// Gives a partition back.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when it was lost already.
    async fn release(&self, lease: Lease) -> Result<(), StoreError>;

    /// The tasks and timers that are pending in a partition. One that cannot be read is left out, and logged by its key:
    /// it must not stop the others.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], [`StoreError::Unavailable`].
    async fn load(&self, lease: &Lease) -> Result<Pending, StoreError>;

    /// Pending events of a partition after `after`, oldest first, at most `limit`; none: there are no more. An event that
    /// cannot be read is left out, and logged by its position; it stays pending.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], [`StoreError::Unavailable`].
    async fn journal(&self, lease: &Lease, after: Position, limit: usize) -> Result<Vec<EventRecord>, StoreError>;

    /// Is notified when a partition's journal has grown. A notification may be lost between nodes: poll behind it.
    fn wakeup(&self, partition: Partition) -> Arc<Notify>;

    /// One atomic write, only by the partition's owner.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], [`StoreError::Conflict`]: nothing was written. [`StoreError::Unsuitable`] when it names a
    /// conversation of another partition: nothing was written either. [`StoreError::Unavailable`]: it may have been
    /// written; apply the same commit again.
    async fn commit(&self, lease: &Lease, commit: Commit) -> Result<(), StoreError>;

    /// A conversation's state.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`]; so for all that follow.
    async fn conversation(&self, id: &ConversationId) -> Result<Option<Versioned<Conversation>>, StoreError>;

    /// A conversation's tickets, by desk name.
    async fn links(&self, conversation: &ConversationId) -> Result<Vec<Link>, StoreError>;

    /// A conversation's ticket in one desk.
    async fn link(&self, conversation: &ConversationId, desk: &str) -> Result<Option<Link>, StoreError>;

    /// Where a piece of media stands; none: it is still to be fetched.
    async fn media(&self, id: &MediaId) -> Result<Option<MediaRecord>, StoreError>;

    /// A task that is not finished.
    async fn task(&self, id: &TaskId) -> Result<Option<Task>, StoreError>;

    /// One event, handled or not.
    async fn event(&self, id: &EventId) -> Result<Option<EventRecord>, StoreError>;

    /// Events, newest first: by when they were accepted, then by position. This list and those that follow leave out what
    /// cannot be read, as [`load`](Self::load) does.
    async fn events(&self, filter: &EventFilter) -> Result<Vec<EventRecord>, StoreError>;

    /// Dead letters, newest first: by when they died.
    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, StoreError>;

    /// Puts a dead letter back into its lane, as new, and gives it. It is due now, was created now (so that it is not
    /// given up at once for its age), and its attempts and breakages are forgotten, not whether it is uncertain.
    async fn revive(&self, id: &TaskId, now: Timestamp) -> Result<Option<Task>, StoreError>;

    /// Reports, newest first: by when they were written. The store keeps at least the last thousand.
    async fn reports(&self, limit: usize) -> Result<Vec<Report>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_never_changes_its_partition() {
        let of = |name: &str| Partition::of(&ConversationId::derive(&[name.as_bytes()]), 16).0;
        assert_eq!(["a", "b", "c", "d"].map(of), [14, 1, 10, 9]);
    }

    #[test]
    fn conversations_spread_over_the_partitions() {
        for partitions in [1, 3, 16, 256] {
            let mut sizes = vec![0_u32; usize::from(partitions)];
            for number in 0..100 * u32::from(partitions) {
                let id = ConversationId::derive(&[&number.to_le_bytes()]);
                sizes[usize::from(Partition::of(&id, partitions).0)] += 1;
            }
            assert!(sizes.iter().all(|size| (50..=150).contains(size)), "{sizes:?}");
        }
    }
}
