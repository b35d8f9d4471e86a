//! Why an event went where it went: what was considered, who was asked, and what each one said.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{EventId, Timestamp};

/// How one event was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Which event.
    pub event: EventId,
    /// When the decision was committed.
    pub at: Timestamp,
    /// The node that decided, by its name.
    pub node: String,
    /// How often the chain was begun; 1 as a rule.
    pub attempts: u32,
    /// The chains that were considered, in their order, up to the one that decided.
    pub considered: Vec<Considered>,
    /// The handlers that were asked in the last attempt, in order.
    pub steps: Vec<StepTaken>,
    /// What was done beyond the handlers' answers: a ticket by the chain's fallback, an event put aside.
    #[serde(default)]
    pub notes: Vec<String>,
    /// From the first attempt to the commit.
    #[serde(with = "micros")]
    pub took: Duration,
}

/// One chain, and whether it was for the event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Considered {
    /// The chain's name.
    pub chain: String,
    /// Why it was not for this event, as a sentence; none: it was, and decided.
    pub passed_over: Option<String>,
}

/// What came of asking one handler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTaken {
    /// The deployment's name.
    pub plugin: String,
    /// Its generation.
    pub generation: u64,
    /// It was asked as a canary: this conversation belongs to its share.
    #[serde(default)]
    pub canary: bool,
    /// What it said, or why it said nothing.
    pub result: StepResult,
    /// How long it took, waiting for a sandbox included.
    #[serde(with = "micros")]
    pub took: Duration,
}

/// What a handler said, or why it said nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum StepResult {
    /// It decided.
    Decided {
        /// What it wanted, in a few words each, without what customers wrote: `assign billing (asked about an invoice)`.
        actions: Vec<String>,
        /// It ended the chain.
        stopped: bool,
    },
    /// It failed.
    Failed {
        /// The cause in one word, as in reports: `failure`, `trap`, `deadline` …
        cause: String,
        /// In a sentence.
        detail: String,
        /// What was done about it: `skip`, `retry`, `stop`, `park`.
        policy: String,
    },
    /// It was not asked: the conversation is not in its share of the traffic.
    NotInShare,
}

/// Durations as whole microseconds.
mod micros {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_micros)
    }
}
