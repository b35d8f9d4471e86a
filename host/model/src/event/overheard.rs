//! What was said without being written to us now.

use serde::{Deserialize, Serialize};

use crate::{Message, Private};

/// A message that was not written to us now: it informs, and asks for nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overheard {
    /// What was written.
    pub message: Message,
    /// Who wrote it.
    pub by: Speaker,
    /// How far it had got, in the platform's word, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// Which side of a conversation wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Speaker {
    /// The customer.
    Customer,
    /// The business, by another hand than ours.
    Business,
}

/// The conversation was passed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// The role that had it, in the platform's word; empty where it does not say.
    pub from: String,
    /// The role that has it now.
    pub to: String,
    /// All of it, as JSON.
    pub data: Private<String>,
}
