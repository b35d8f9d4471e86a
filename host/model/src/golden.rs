//! Golden events: what a plugin has to answer, written down by its vendor and shipped with it.
//!
//! One golden event is one question to one role, in a file or in the component's own section; both have the same JSON.
//!
//! # Layout
//! - here: the golden event, and the answer that it expects
//! - `asked`: the questions, one sort for each role
//! - `exchange`: what other servers are asked and answer
//! - `media`: the bytes of files
//! - `written`: the JSON, and what is said about one that makes no sense

mod asked;
mod exchange;
mod media;
mod written;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::asked::{
    AddEntry, Asked, CreateTicket, FindEntry, FindTicket, Inspect, ReadTicket, Received, UpdateTicket, Verb,
};
pub use self::exchange::{Exchange, ExpectedRequest, ScriptedAnswer};
pub use self::media::{FILE_MOST, FILES_MOST, FileBytes};
use crate::desk::{Added, Snapshot};
use crate::event::DeskActivity;
use crate::{Action, Flow, MediaId, Private, Ticket, Timestamp, Verdict};

/// What the clock of a desk or an inspector shows where the golden event says nothing: the first of January 2026, 00:00 UTC.
pub const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// The desk's name where the golden event says nothing.
pub const DESK: &str = "desk";

/// One question to a plugin, and the answer that it has to give.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "written::Written", into = "written::Written")]
pub struct Golden {
    /// What it shows, for people; the file's name if it is not said.
    pub name: String,
    /// The plugin's settings.
    pub settings: Map<String, Value>,
    /// Made-up secrets that it may verify signatures with, by name.
    pub secrets: BTreeMap<String, Private<String>>,
    /// The bytes of the media that it may open, by id.
    pub files: BTreeMap<MediaId, FileBytes>,
    /// What is asked.
    pub asked: Asked,
    /// What the plugin asks of other servers, in order, and what they answer.
    pub http: Vec<Exchange>,
    /// What it has to answer.
    pub expect: Expected,
}

/// What a plugin has to answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Expected {
    /// Of a handler: these actions, in this order, and no others.
    Outcome {
        /// What it wants done.
        actions: Vec<Action>,
        /// Whether the handlers after it are asked.
        #[serde(default = "next")]
        flow: Flow,
    },
    /// Of `create-ticket` and `add-entry`: the entry and the ticket as it is now.
    Added(Added),
    /// Of `find-ticket` and `find-entry`: what an earlier try made; `null` where it made nothing.
    Found(Option<Added>),
    /// Of `update-ticket`: the ticket as it is now.
    Ticket(Ticket),
    /// Of `read-ticket`: the ticket and its entries as the vendor has them.
    Snapshot(Snapshot),
    /// Of `receive`: what happened to which tickets.
    Activities(Vec<DeskActivity>),
    /// Of an inspector.
    Verdict(Verdict),
    /// Of any: a failure of this sort: `retry`, `permanent` or `credential`.
    Failure(String),
}

impl Expected {
    /// Its key in a golden event.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Outcome { .. } => "outcome",
            Self::Added(_) => "added",
            Self::Found(_) => "found",
            Self::Ticket(_) => "ticket",
            Self::Snapshot(_) => "snapshot",
            Self::Activities(_) => "activities",
            Self::Verdict(_) => "verdict",
            Self::Failure(_) => "failure",
        }
    }
}

const fn next() -> Flow {
    Flow::Next
}
