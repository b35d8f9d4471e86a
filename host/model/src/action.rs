//! What a handler wants done. Actions are data; the gateway carries them out after the whole chain has answered.

use serde::{Deserialize, Serialize};

use crate::{Assignment, Attributes, MediaId, Private, Timestamp};

/// A handler's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// What to do, in order.
    pub actions: Vec<Action>,
    /// Whether the handlers after this one are asked.
    pub flow: Flow,
}

/// Whether the handlers after this one are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flow {
    /// The next handler is asked.
    Next,
    /// The chain ends here.
    Stop,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value", rename_all = "kebab-case")]
pub enum Action {
    /// Say something to the customer.
    Send(Outgoing),
    /// Put the conversation into a queue.
    Assign(Assignment),
    /// Set an attribute, or remove it.
    SetAttribute(String, Option<String>),
    /// An internal note in every linked ticket.
    Note(Private<String>),
    /// Make sure that a ticket exists in this desk.
    OpenTicket {
        /// The desk's name.
        desk: String,
        /// None: the first words of the message.
        subject: Option<Private<String>>,
        /// In the desk plugin's words.
        fields: Attributes,
    },
    /// Change fields of the ticket in this desk.
    UpdateTicket {
        /// The desk's name.
        desk: String,
        /// In the desk plugin's words.
        fields: Attributes,
    },
    /// Set a timer; setting it again replaces it.
    SetTimer {
        /// One for each name in a conversation.
        name: String,
        /// When it goes off.
        at: Timestamp,
        /// JSON that comes back with it.
        data: Private<String>,
    },
    /// Take a timer back.
    CancelTimer(String),
    /// An SLA clock: its name and `start`, `pause`, `resume` or `stop`.
    Sla(String, String),
    /// Keep this media away from people.
    Quarantine(String),
    /// Let people see it again.
    Release(String),
    /// Tell a person who can do more, with the reason.
    Escalate(String),
    /// To a person, with the reason; bots stay silent from here.
    Handoff(String),
    /// An event of kind `custom` in this conversation: its name and its data, JSON.
    Emit(String, Private<String>),
}

impl Action {
    /// The desk that it names, if it names one.
    #[must_use]
    pub fn desk(&self) -> Option<&str> {
        match self {
            Self::OpenTicket { desk, .. } | Self::UpdateTicket { desk, .. } => Some(desk),
            _ => None,
        }
    }

    /// The contract's word for it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Send(_) => "send",
            Self::Assign(_) => "assign",
            Self::SetAttribute(..) => "set-attribute",
            Self::Note(_) => "note",
            Self::OpenTicket { .. } => "open-ticket",
            Self::UpdateTicket { .. } => "update-ticket",
            Self::SetTimer { .. } => "set-timer",
            Self::CancelTimer(_) => "cancel-timer",
            Self::Sla(..) => "sla",
            Self::Quarantine(_) => "quarantine",
            Self::Release(_) => "release",
            Self::Escalate(_) => "escalate",
            Self::Handoff(_) => "handoff",
            Self::Emit(..) => "emit",
        }
    }
}

/// A message to the customer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outgoing {
    /// What it says.
    pub content: OutgoingContent,
    /// The id of the message that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Private<String>>,
}

/// What a message to the customer says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value", rename_all = "kebab-case")]
pub enum OutgoingContent {
    /// Words.
    Text(Private<String>),
    /// A message that Meta has approved beforehand.
    Template {
        /// Its name.
        name: String,
        /// Its language.
        language: String,
        /// Its parameters by name or by number from 1.
        parameters: Attributes,
    },
    /// A question with up to three buttons: id and title.
    Buttons {
        /// The question.
        text: Private<String>,
        /// Id and title.
        options: Vec<(String, String)>,
    },
    /// A question with a list of rows.
    Choices {
        /// The question.
        text: Private<String>,
        /// What opens the list.
        button: String,
        /// The list.
        sections: Vec<Section>,
    },
    /// Stored media.
    Media {
        /// Which.
        media: MediaId,
        /// Words under it.
        caption: Option<Private<String>>,
    },
    /// A reaction.
    Reaction {
        /// The message's id.
        message: Private<String>,
        /// Empty: take it back.
        emoji: String,
    },
    /// Anything else that WhatsApp takes.
    Raw {
        /// WhatsApp's type.
        kind: String,
        /// The body under the key of that name: JSON.
        body: Private<String>,
    },
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Its title.
    pub title: String,
    /// Its rows.
    pub rows: Vec<Row>,
}

/// A row of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Comes back when it is chosen.
    pub id: String,
    /// What the customer sees.
    pub title: String,
    /// The line below it.
    pub description: Option<String>,
}

impl Outgoing {
    /// Plain words.
    pub fn text(text: impl Into<String>) -> Self {
        Self { content: OutgoingContent::Text(Private::new(text.into())), reply_to: None }
    }
}
