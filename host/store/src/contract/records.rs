//! What is kept: events, timers, media, reports.

use patchbay_model::{ConversationId, Event, MediaId, Private, Raw, Route, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Partition, Position};

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
    pub raw: Option<Raw>,
    /// Other conversations that its identities led to when it was accepted: the same customer's, to be joined.
    pub others: Vec<ConversationId>,
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
