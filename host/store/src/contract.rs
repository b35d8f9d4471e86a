//! The Store contract: what the loop needs of durable state, and nothing about how it is kept.

mod commit;
mod link;
mod node;
mod records;
mod shelf;
mod upkeep;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use patchbay_model::decision::Decision;
use patchbay_model::task::DeadLetter;
use patchbay_model::{Arrival, Conversation, ConversationId, EventId, MediaId, Task, TaskId, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

pub use self::commit::Commit;
pub use self::link::{ENTRIES_KEPT, Link, LinkChange};
pub use self::node::{Node, Pace};
pub use self::records::{Appended, ClearedTimer, EventRecord, MediaRecord, MediaState, Report, Timer};
pub use self::shelf::{DOCUMENT_KEY_MOST, DOCUMENT_MOST, Document, DocumentWrite, Shelf, Shelved, Shelving};
pub(crate) use self::shelf::{check, fits, size};
pub use self::upkeep::{ExportPage, IDS_KEPT, Record, Removed, Retention, Stats, Upkeep, Verification};

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
    /// Only those that wait to be handled.
    pub pending: bool,
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
    /// Documents of a commit were written by someone else since they were read, or their space has filled up.
    #[error("documents of {space} were written since they were read")]
    Overtaken {
        /// Where.
        space: String,
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
/// When a method that writes returns, what it wrote survives a crash of the process and of the machine. A store that
/// copies to others behind the writer's back can lose its last writes when one of those takes over: it says so by
/// [`losses`](Self::losses). What is lost then is the end of its history, in every partition or in those of one server.
#[async_trait]
pub trait Store: Upkeep + Shelf + fmt::Debug + 'static {
    /// How many partitions there are; fixed when the store is made.
    fn partitions(&self) -> u16;

    /// The partition that a conversation belongs to.
    fn partition_of(&self, conversation: &ConversationId) -> Partition;

    /// The time by the store's clock, which all nodes share: what is due is due by this one.
    fn now(&self) -> Timestamp;

    /// How long a lease lasts that is not renewed. `None`: as long as the process, since there is no other node.
    fn lease_time(&self) -> Option<Duration>;

    /// Counts how often the end of the store's history may have been lost. After a change everything in memory may be
    /// ahead of the store: give every lease up, acquire and load again, and append again what was accepted lately.
    ///
    /// The count changes before anything of the new history is answered, also by [`settle`](Self::settle). Who settles what
    /// was appended compares the count from before the append with the one after settling. Positions are never given again
    /// after a loss.
    fn losses(&self) -> watch::Receiver<u64>;

    /// Says that a node lives, for as long as a lease lasts, and gives all that do, this one among them, by id.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn beat(&self, node: &Node) -> Result<Vec<Node>, StoreError>;

    /// Says that a node lives no more.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: the others find out by themselves.
    async fn leave(&self, node: &str) -> Result<(), StoreError>;

    /// Waits until everything that this process wrote before is as safe as the operator wants it: flushed, and on as many
    /// replicas as configured.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it is not known to be; what was written is better kept elsewhere too until it is.
    async fn settle(&self) -> Result<(), StoreError>;

    /// Takes the next turn of what has a pace, and gives how long to wait for it. All nodes share the paces, by key.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: no turn was taken, or it is lost.
    async fn turn(&self, key: &str, pace: Pace) -> Result<Duration, StoreError>;

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
    /// [`StoreError::Fenced`], [`StoreError::Conflict`], [`StoreError::Overtaken`]: nothing was written.
    /// [`StoreError::Unsuitable`] when its documents cannot be written by anybody, or when it names a
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

    /// How an event was decided; none: it was not decided yet, or without a [`Decision`](Commit::decision).
    async fn decision(&self, id: &EventId) -> Result<Option<Decision>, StoreError>;

    /// Events, newest first: by when they were accepted, then by position. This list and those that follow leave out what
    /// cannot be read, as [`load`](Self::load) does.
    async fn events(&self, filter: &EventFilter) -> Result<Vec<EventRecord>, StoreError>;

    /// Dead letters, newest first: by when they died.
    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, StoreError>;

    /// One dead letter.
    async fn dead_letter(&self, id: &TaskId) -> Result<Option<DeadLetter>, StoreError>;

    /// Reports, newest first: by when they were written. The store keeps at least the last thousand.
    async fn reports(&self, limit: usize) -> Result<Vec<Report>, StoreError>;

    /// Finishes what was asked for before and lets go of everything; what is asked for later is
    /// [`StoreError::Unavailable`].
    async fn close(&self);
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
