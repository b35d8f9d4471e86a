//! What passes between the gateway and a desk plugin.

use serde::{Deserialize, Serialize};

use crate::{Attributes, Conversation, Customer, Media, Private, Ticket, Timestamp};

/// What was said, for a ticket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Who said it.
    pub author: Author,
    /// The words.
    pub text: Private<String>,
    /// The files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub media: Vec<Media>,
    /// The customer may see it.
    pub public: bool,
    /// When it was said.
    pub at: Timestamp,
}

/// Who said it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value", rename_all = "kebab-case")]
pub enum Author {
    /// The customer.
    Customer(Customer),
    /// An agent, by name.
    Agent(Private<String>),
    /// A bot, by name.
    Bot(String),
    /// We did.
    Gateway,
}

/// A ticket to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// The ticket's subject.
    pub subject: Private<String>,
    /// The conversation as it stands.
    pub conversation: Conversation,
    /// The tickets that it is linked to already, in other desks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tickets: Vec<Ticket>,
    /// From the chain: queue, priority, and whatever the action named.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub fields: Attributes,
    /// What was said so far, oldest first; at least one.
    pub entries: Vec<Entry>,
}

/// An entry that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Added {
    /// The vendor's id of the entry, where it has one.
    pub entry: Option<String>,
    /// The ticket as it is now.
    pub ticket: Ticket,
}

/// A ticket as the vendor has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// The ticket.
    pub ticket: Ticket,
    /// Entries as id and text, oldest first.
    pub entries: Vec<(String, Private<String>)>,
}

/// One webhook of a vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// `POST`, mostly.
    pub method: String,
    /// What follows `/webhooks/desk/{desk}`.
    pub path: String,
    /// Without the `?`.
    pub query: String,
    /// Names in lower case.
    pub headers: Vec<(String, Private<String>)>,
    /// As it came.
    pub body: Private<Vec<u8>>,
}
