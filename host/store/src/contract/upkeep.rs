//! What an operator does with a store: look at it, check it, thin it out, move it.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use patchbay_model::decision::Decision;
use patchbay_model::task::DeadLetter;
use patchbay_model::{Arrival, Conversation, ConversationId, Task, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Document, Lease, Link, MediaRecord, Position, Report, StoreError, Timer};

/// How long things are kept once nothing waits for them any more. `None`: for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// The platform's own JSON of an event, after it was handled. The event itself stays.
    pub raw: Option<Duration>,
    /// An event, after it was handled. Its id is remembered for [`IDS_KEPT`] at least, so that it is not taken twice.
    pub events: Option<Duration>,
    /// A conversation in which nothing has happened for so long, with its links and identities; not while it has tasks,
    /// timers, dead letters or unhandled events. Who writes again later begins a new one.
    pub conversations: Option<Duration>,
    /// A dead letter, after it died.
    pub dead_letters: Option<Duration>,
    /// A report.
    pub reports: Option<Duration>,
}

/// How long an event's id is remembered at least: WhatsApp delivers again for up to seven days, and a clock may be a day
/// off.
pub const IDS_KEPT: Duration = Duration::from_secs(8 * 24 * 60 * 60);

/// What thinning out has removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// Raw JSON of events.
    pub raw: u64,
    /// Events.
    pub events: u64,
    /// Conversations.
    pub conversations: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Reports.
    pub reports: u64,
}

/// A store in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// `embedded`, or `redis` with its version and kind of deployment.
    pub kind: String,
    /// Partitions.
    pub partitions: u16,
    /// Events kept.
    pub events: u64,
    /// Events not handled yet.
    pub pending_events: u64,
    /// When the oldest of them was accepted.
    pub oldest_pending: Option<Timestamp>,
    /// Conversations.
    pub conversations: u64,
    /// Tasks not finished.
    pub tasks: u64,
    /// Timers that have not gone off.
    pub timers: u64,
    /// Links to tickets.
    pub links: u64,
    /// Media records.
    pub media: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Reports.
    pub reports: u64,
    /// Documents on the [`Shelf`](super::Shelf).
    #[serde(default)]
    pub documents: u64,
    /// Bytes on disk or in the server's memory, where known.
    pub bytes: Option<u64>,
    /// Of these, bytes that hold nothing and will be used again, where known.
    pub free_bytes: Option<u64>,
}

/// What checking a store has found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// Things looked at.
    pub checked: u64,
    /// What is wrong, each with its key and never its content; empty: all is well.
    pub problems: Vec<String>,
}

/// One thing of a store, on its way to another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Record {
    /// An event; in the order of their positions within a partition.
    Event {
        /// Where it stood. The other store gives it a place of its own, in the same order.
        position: Position,
        /// Whose it is.
        conversation: ConversationId,
        /// The event.
        arrival: Box<Arrival>,
        /// See [`EventRecord::others`](super::EventRecord::others).
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        others: Vec<ConversationId>,
        /// It waits in the journal.
        pending: bool,
        /// How it was decided.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decision: Option<Box<Decision>>,
    },
    /// The id of an event that is kept no more.
    SeenId {
        /// The id.
        id: String,
        /// When the event was accepted.
        at: Timestamp,
    },
    /// An identity's key, and whose it is.
    Identity {
        /// See [`Identity::key`](patchbay_model::Identity::key).
        key: String,
        /// Whose.
        conversation: ConversationId,
        /// It was theirs once.
        #[serde(default)]
        former: bool,
    },
    /// A conversation.
    Conversation {
        /// How often it was written.
        version: u64,
        /// Its state.
        state: Box<Conversation>,
    },
    /// A task.
    Task(Box<Task>),
    /// A timer.
    Timer(Timer),
    /// A link.
    Link(Link),
    /// A ticket that leads to a conversation.
    Ticket {
        /// The desk's name.
        desk: String,
        /// The vendor's id.
        ticket: String,
        /// Whose.
        conversation: ConversationId,
    },
    /// A piece of media.
    Media(MediaRecord),
    /// A dead letter.
    DeadLetter(Box<DeadLetter>),
    /// A report.
    Report(Report),
    /// A document of the shelf. It keeps its revision.
    Document {
        /// Its space.
        space: String,
        /// The document.
        document: Document,
    },
}

/// A piece of a store's content, and where to go on; the cursor means something to the store that gave it only.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExportPage {
    /// Some of its things.
    pub records: Vec<Record>,
    /// Where to go on; `None`: that was all.
    pub next: Option<String>,
}

/// What an operator does with a store.
#[async_trait]
pub trait Upkeep: Send + Sync {
    /// The store in numbers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; so for all that follow.
    async fn stats(&self) -> Result<Stats, StoreError>;

    /// Reads everything, and holds what refers to each other against each other.
    async fn verify(&self) -> Result<Verification, StoreError>;

    /// Removes what is past its time from the partitions of these leases: some of it, so that others get their turn.
    /// Nothing removed: there is no more.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] besides.
    async fn thin_out(&self, owned: &[Lease], retention: &Retention, now: Timestamp) -> Result<Removed, StoreError>;

    /// Some of the store's things; `from` is the cursor of the piece before, `None` to begin. Complete only while nobody
    /// else writes.
    async fn export(&self, from: Option<String>) -> Result<ExportPage, StoreError>;

    /// Takes things of another store's export, in the order in which they came. Only into a store that nobody works with;
    /// taking the same ones again changes nothing.
    async fn import(&self, records: Vec<Record>) -> Result<(), StoreError>;

    /// Writes a copy of everything, as of one moment, into a new file at `to`; others go on meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Unsuitable`] besides: this store has backups of its own.
    async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let _elsewhere = to;
        Err(StoreError::Unsuitable(
            "this store has backups of its own; `patchbay migrate --to embedded:FILE` makes a copy of it in one file"
                .into(),
        ))
    }
}
