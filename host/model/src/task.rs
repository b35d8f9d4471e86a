//! One effect in a lane.

use serde::{Deserialize, Serialize};

use crate::action::Outgoing;
use crate::desk::Entry;
use crate::message::Media;
use crate::{Arrival, Attributes, ConversationId, EventId, Identity, Private, TaskId, Timestamp};

/// One effect toward one target, with its idempotency key, attempts and outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The idempotency key of the effect.
    pub id: TaskId,
    /// The queue that it stands in.
    pub lane: Lane,
    /// Tasks of one conversation in one lane run one after the other.
    pub conversation: ConversationId,
    /// The event that ordered it.
    pub event: EventId,
    /// Its place among the tasks of its conversation: the order within a lane.
    pub sequence: u64,
    /// What to do.
    pub effect: Effect,
    /// How often it was tried without success; waiting for a credential or a sandbox is no try.
    #[serde(default)]
    pub attempts: u32,
    /// How often the plugin broke on it.
    #[serde(default)]
    pub broken: u32,
    /// Not before this.
    pub due_at: Timestamp,
    /// When it was ordered.
    pub created_at: Timestamp,
    /// Since when it is not known whether the effect has happened: it was begun and no answer was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncertain_since: Option<Timestamp>,
    /// Files that were not there in time: they follow in a task of their own when this one is done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub late: Vec<Media>,
    /// It does not wait for the tasks before it, nor they for it.
    #[serde(default)]
    pub aside: bool,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// The durable queue of effects toward one target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "name", rename_all = "kebab-case")]
pub enum Lane {
    /// Toward a WhatsApp number, by channel name.
    Whatsapp(String),
    /// Toward a desk, by its name.
    Desk(String),
    /// Files to fetch, by channel name.
    Media(String),
    /// Toward other conversations of this gateway.
    Conversations,
}

impl std::fmt::Display for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whatsapp(name) => write!(f, "whatsapp:{name}"),
            Self::Desk(name) => write!(f, "desk:{name}"),
            Self::Media(name) => write!(f, "media:{name}"),
            Self::Conversations => f.write_str("conversations"),
        }
    }
}

/// What a task does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Effect {
    /// Say something to the customer.
    Send {
        /// Whom, the surest identity first.
        to: Vec<Identity>,
        /// What.
        message: Outgoing,
        /// Who is told when it cannot be sent.
        origin: Origin,
    },
    /// Show the customer that a message was read and that an answer is being written.
    MarkRead {
        /// The message's id.
        message: Private<String>,
        /// Also show that somebody is typing.
        typing: bool,
    },
    /// Fetch a file from the platform and store it.
    FetchMedia {
        /// The message that carried it.
        message: Private<String>,
        /// Which.
        media: Media,
    },
    /// Open a ticket.
    CreateTicket {
        /// Its subject.
        subject: Private<String>,
        /// In the desk plugin's words.
        fields: Attributes,
        /// What was said so far.
        entries: Vec<Entry>,
    },
    /// Add what was said.
    AddEntry {
        /// What was said.
        entry: Entry,
    },
    /// Change fields of the ticket.
    UpdateTicket {
        /// In the desk plugin's words.
        fields: Attributes,
    },
    /// Give another conversation an event: it may be in another partition, which no commit of this one can write.
    PassOn {
        /// The event, with the conversation as its route.
        arrival: Box<Arrival>,
    },
    /// Decide about an event that was put aside. It stands in no lane: it is a dead letter from the beginning.
    Decide {
        /// Which.
        event: EventId,
    },
}

impl Effect {
    /// The word for it in events, logs and metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Send { .. } => "send",
            Self::MarkRead { .. } => "mark-read",
            Self::FetchMedia { .. } => "fetch-media",
            Self::CreateTicket { .. } => "create-ticket",
            Self::AddEntry { .. } => "add-entry",
            Self::UpdateTicket { .. } => "update-ticket",
            Self::PassOn { .. } => "pass-on",
            Self::Decide { .. } => "decide",
        }
    }

    /// The files that have to be there before it runs.
    pub fn media(&self) -> impl Iterator<Item = &Media> {
        let entries = match self {
            Self::CreateTicket { entries, .. } => entries.as_slice(),
            Self::AddEntry { entry } => std::slice::from_ref(entry),
            _ => &[],
        };
        entries.iter().flat_map(|entry| entry.media.iter())
    }
}

/// Who asked for a message to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "name", rename_all = "kebab-case")]
pub enum Origin {
    /// A handler, by plugin name.
    Plugin(String),
    /// An agent, in this desk.
    Desk(String),
}

/// A task that the gateway gave up on, kept whole so that an operator can try it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The task as it was.
    pub task: Task,
    /// Why.
    pub reason: String,
    /// When.
    pub died_at: Timestamp,
}
