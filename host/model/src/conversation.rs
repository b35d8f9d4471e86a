//! Who it happened with, and how things stand.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::desk::Entry;
use crate::event::{DeliveryError, DeliveryState};
use crate::{Attributes, ConversationId, CustomerId, Private, TaskId, Timestamp};

/// One business number, or another source of conversations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// The operator's name for it.
    pub id: String,
    /// `whatsapp`.
    pub platform: String,
    /// The platform's account id (WhatsApp: the business account); empty where unknown.
    pub account: String,
    /// The platform's address of the channel (WhatsApp: the phone number id).
    pub address: String,
}

/// A person on a channel. Any identifier may be missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// Our id.
    pub id: CustomerId,
    /// Digits, with the country code, without `+`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Private<String>>,
    /// The platform's business-scoped user id (BSUID), whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<Private<String>>,
    /// The platform's id of the group, where the conversation is a group's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Private<String>>,
    /// Changes freely: never an identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<Private<String>>,
    /// The name that the customer chose to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Private<String>>,
    /// BCP 47, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
}

/// Something that a platform knows a person by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "value", rename_all = "kebab-case")]
pub enum Identity {
    /// The business-scoped user id.
    UserId(Private<String>),
    /// The phone number, as the platform gave it.
    Phone(Private<String>),
    /// A group, by the platform's id: its conversation is the group's, whoever writes in it.
    Group(Private<String>),
    /// The username, where the platform shows nothing else of who writes. It changes hands, so it never stands beside
    /// others, and nothing can be sent to it.
    Username(Private<String>),
}

impl Identity {
    /// A key for an index: one hash for each channel and identity, so that the index holds no phone numbers.
    #[must_use]
    pub fn key(&self, channel: &str) -> String {
        let (kind, value) = match self {
            Self::UserId(value) => ("user-id", value),
            Self::Phone(value) => ("phone", value),
            Self::Group(value) => ("group", value),
            Self::Username(value) => ("username", value),
        };
        crate::ids::derive("id", &[channel.as_bytes(), kind.as_bytes(), value.reveal().as_bytes()])
    }
}

/// Where a conversation belongs, and how urgent it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The queue's name in the operator's words.
    pub queue: String,
    /// 1 is the first line.
    pub tier: u8,
    /// How urgent.
    pub priority: Priority,
    /// Why, for the people who will ask.
    pub reason: String,
}

/// How urgent a conversation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// Can wait.
    Low,
    /// As usual.
    #[default]
    Normal,
    /// Before the usual.
    High,
    /// Now.
    Urgent,
}

impl Priority {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Urgent => "urgent",
        }
    }
}

/// A ticket in a desk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The desk's name in the configuration.
    pub desk: String,
    /// The vendor's id.
    pub id: String,
    /// Where a person opens it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// new, open, pending, on-hold, solved, closed, or the desk's own word.
    pub status: String,
    /// Opaque to everyone but the desk plugin.
    #[serde(default)]
    pub data: Attributes,
}

/// How a conversation stands: what one event leaves behind for the next one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// The conversation's id.
    pub id: ConversationId,
    /// The business number.
    pub channel: Channel,
    /// Who writes.
    pub customer: Customer,
    /// Set by plugins and operators.
    #[serde(default)]
    pub attributes: Attributes,
    /// Where it stands, once a handler has said so.
    #[serde(default)]
    pub assignment: Option<Assignment>,
    /// Until when a free-form message may be sent.
    #[serde(default)]
    pub window_until: Option<Timestamp>,
    /// A person, not a bot, has the conversation.
    #[serde(default)]
    pub human: bool,
    /// The desks in which a ticket was ordered, by desk name.
    #[serde(default)]
    pub desks: BTreeMap<String, DeskState>,
    /// What was said before any ticket was ordered, oldest first; at most [`UNFILED_KEPT`].
    #[serde(default)]
    pub unfiled: VecDeque<Entry>,
    /// The messages that we sent last, oldest first; at most [`SENT_KEPT`].
    #[serde(default)]
    pub sent: VecDeque<Sent>,
    /// The customer does not want marketing: templates that may be marketing are not sent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_marketing: bool,
    /// The platform's own agent has the conversation: what we send takes it over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub standby: bool,
    /// The same customer's conversation in which this one goes on: what still arrives here is passed on to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined: Option<ConversationId>,
}

/// Entries kept for a ticket that is not ordered yet: a long talk with a bot, and not a conversation without an end.
pub const UNFILED_KEPT: usize = 50;

/// Sent messages kept to match statuses with: WhatsApp reports on a message for up to 30 days, but a conversation's
/// later messages are of interest; older statuses are still events, they only find no task.
pub const SENT_KEPT: usize = 100;

/// A ticket that was ordered in a desk. The ticket itself is in the store's links.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeskState {
    /// The task that creates the ticket.
    pub ordered_by: TaskId,
    /// The status that the desk told last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The fields that were ordered last, so that only a change of them is ordered again.
    #[serde(default)]
    pub fields: Attributes,
}

/// A message from our number, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The task that sent it; none: no task of ours is known for it (yet), since it was sent from elsewhere or its status
    /// was quicker than the answer to us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// The platform's id of the message.
    pub message: Private<String>,
    /// The highest state reported; `failed` is final.
    pub state: DeliveryState,
    /// Why it failed, where the platform said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<DeliveryError>,
}

impl Conversation {
    /// A conversation that nothing has happened in.
    #[must_use]
    pub fn new(id: ConversationId, channel: Channel, customer: Customer) -> Self {
        Self {
            id,
            channel,
            customer,
            attributes: Attributes::new(),
            assignment: None,
            window_until: None,
            human: false,
            desks: BTreeMap::new(),
            unfiled: VecDeque::new(),
            sent: VecDeque::new(),
            no_marketing: false,
            standby: false,
            joined: None,
        }
    }

    /// What is known of the message that `task` sent.
    #[must_use]
    pub fn sent_by(&self, task: &TaskId) -> Option<&Sent> {
        self.sent.iter().rev().find(|sent| sent.task.as_ref() == Some(task))
    }
}
