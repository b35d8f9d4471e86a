//! The questions, one sort for each role.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::FileBytes;
use crate::desk::{Draft, Entry};
use crate::message::MediaKind;
use crate::{Attributes, Conversation, Event, MediaId, Private, Ticket, Timestamp};

/// What a golden event asks.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// A handler: what should be done about this?
    Handle {
        /// What happened.
        event: Box<Event>,
        /// How the conversation stands.
        conversation: Box<Conversation>,
        /// The tickets that it is linked to.
        tickets: Vec<Ticket>,
    },
    /// A desk: one of its verbs.
    Desk {
        /// The desk's name in the configuration: it stands in the tickets and activities that come back.
        desk: String,
        /// What the plugin's clock shows.
        now: Timestamp,
        /// Which.
        verb: Box<Verb>,
    },
    /// An inspector: what is in this?
    Inspect {
        /// What the plugin's clock shows.
        now: Timestamp,
        /// The file.
        inspect: Inspect,
    },
}

impl Asked {
    /// Its key in a golden event.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Handle { .. } => "event",
            Self::Desk { verb, .. } => verb.key(),
            Self::Inspect { .. } => "inspect",
        }
    }

    /// The key of the answer that it has in [`Expected`](super::Expected), unless it is a failure.
    #[must_use]
    pub fn answer(&self) -> &'static str {
        match self {
            Self::Handle { .. } => "outcome",
            Self::Desk { verb, .. } => match **verb {
                Verb::CreateTicket(_) | Verb::AddEntry(_) => "added",
                Verb::FindTicket(_) | Verb::FindEntry(_) => "found",
                Verb::UpdateTicket(_) => "ticket",
                Verb::ReadTicket(_) => "snapshot",
                Verb::Receive(_) => "activities",
            },
            Self::Inspect { .. } => "verdict",
        }
    }
}

/// A question to a desk.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "it stands in a box, and there are a few of them")]
pub enum Verb {
    /// `find-ticket`: the key that an earlier `create-ticket` had.
    FindTicket(FindTicket),
    /// `create-ticket`
    CreateTicket(CreateTicket),
    /// `find-entry`
    FindEntry(FindEntry),
    /// `add-entry`
    AddEntry(AddEntry),
    /// `update-ticket`
    UpdateTicket(UpdateTicket),
    /// `read-ticket`
    ReadTicket(ReadTicket),
    /// `receive`
    Receive(Received),
}

impl Verb {
    /// The contract's word for it.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::FindTicket(_) => "find-ticket",
            Self::CreateTicket(_) => "create-ticket",
            Self::FindEntry(_) => "find-entry",
            Self::AddEntry(_) => "add-entry",
            Self::UpdateTicket(_) => "update-ticket",
            Self::ReadTicket(_) => "read-ticket",
            Self::Receive(_) => "receive",
        }
    }
}

/// Did an earlier, interrupted `create-ticket` with this key make a ticket?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindTicket {
    /// The key.
    pub key: String,
}

/// Open a ticket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateTicket {
    /// The key.
    pub key: String,
    /// The ticket to be.
    pub draft: Draft,
}

/// Did an earlier, interrupted `add-entry` with this key write an entry?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindEntry {
    /// The key.
    pub key: String,
    /// The ticket.
    pub ticket: Ticket,
}

/// Add what was said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddEntry {
    /// The key.
    pub key: String,
    /// The ticket.
    pub ticket: Ticket,
    /// What was said.
    pub entry: Entry,
}

/// Change fields of a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateTicket {
    /// The key.
    pub key: String,
    /// The ticket.
    pub ticket: Ticket,
    /// In the desk plugin's words.
    pub fields: Attributes,
}

/// Read a ticket as the vendor has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadTicket {
    /// The vendor's id of the ticket.
    pub id: String,
}

/// Read one webhook of the vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Received {
    /// In upper case.
    #[serde(default = "post")]
    pub method: String,
    /// What follows `/webhooks/desk/{desk}`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// Without the `?`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// Names in lower case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, Private<String>)>,
    /// The body: a text as it is, anything else as JSON. A signature is over bytes, and so needs a text.
    #[serde(default)]
    pub body: Private<Value>,
}

fn post() -> String {
    "POST".to_owned()
}

/// Look at a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inspect {
    /// The gateway's id of it.
    #[serde(default = "some_id")]
    pub id: MediaId,
    /// What sort of file it is; by the first word of the media type if it is not said, and a document where that tells
    /// nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<MediaKind>,
    /// Media type without parameters, as the sender claims it.
    pub mime: String,
    /// As the sender named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<Private<String>>,
    /// Words under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<Private<String>>,
    /// What is in it.
    pub bytes: FileBytes,
}

impl Inspect {
    /// What sort of file it is.
    #[must_use]
    pub fn kind(&self) -> MediaKind {
        self.kind.unwrap_or_else(|| match self.mime.split('/').next() {
            Some("image") => MediaKind::Image,
            Some("video") => MediaKind::Video,
            Some("audio") => MediaKind::Audio,
            _ => MediaKind::Document,
        })
    }
}

fn some_id() -> MediaId {
    MediaId::derive(&[b"golden"])
}
