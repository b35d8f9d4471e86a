//! What happens to tickets.

use serde::{Deserialize, Serialize};

use crate::{Notice, Private, Timestamp};

/// Something happened to a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeskActivity {
    /// The vendor's id of this happening: the same whenever it is delivered again.
    pub id: String,
    /// The desk's name in the configuration.
    pub desk: String,
    /// The vendor's id of the ticket.
    pub ticket: String,
    /// The key that the ticket was created with, where the vendor tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// By the vendor's clock.
    pub occurred_at: Timestamp,
    /// What it was.
    pub what: Activity,
}

/// What happened to a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value", rename_all = "kebab-case")]
pub enum Activity {
    /// Somebody wrote to the customer (public) or to colleagues.
    Entry(AgentEntry),
    /// The ticket's new status.
    Status(String),
    /// The name of the agent or group that has it now.
    Assigned(Private<String>),
    /// The id of the ticket that it was merged into.
    MergedInto(String),
    /// The vendor's own kind.
    Other(Notice),
}

impl Activity {
    /// The last word of the event's kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Entry(entry) if entry.public => "entry",
            Self::Entry(_) => "note",
            Self::Status(_) => "status",
            Self::Assigned(_) => "assigned",
            Self::MergedInto(_) => "merged",
            Self::Other(notice) => &notice.kind,
        }
    }
}

/// What an agent wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentEntry {
    /// The vendor's id of the entry.
    pub id: String,
    /// Meant for the customer's eyes.
    pub public: bool,
    /// The agent's name.
    pub author: Private<String>,
    /// What they wrote.
    pub text: Private<String>,
    /// Files at the vendor.
    #[serde(default)]
    pub attachments: Vec<RemoteFile>,
}

/// A file at the vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteFile {
    /// Its name.
    pub name: Private<String>,
    /// Its media type.
    pub mime: String,
    /// Where it is; needs the desk's credentials.
    pub url: Private<String>,
    /// Bytes, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}
