//! What the gateway and its operators tell a conversation.

use serde::{Deserialize, Serialize};

use crate::conversation::{Conversation, Ticket};
use crate::task::Effect;
use crate::{ConversationId, TaskId};

/// What an operator wants done with a dead letter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LetterOrder {
    /// The dead letter's task.
    pub task: TaskId,
    /// What to do.
    pub verb: LetterVerb,
    /// Who ordered it: the name in the token.
    pub by: String,
}

/// What to do with a dead letter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum LetterVerb {
    /// Back into its lane, as new.
    Retry,
    /// Its effect is replaced by this one; it stays a dead letter.
    Edit {
        /// The new effect.
        effect: Box<Effect>,
    },
    /// It is nobody's business any more.
    Drop,
}

impl LetterVerb {
    /// The word for it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Edit { .. } => "edit",
            Self::Drop => "drop",
        }
    }
}

/// This conversation goes on in another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// Which.
    pub into: ConversationId,
}

/// Another conversation goes on here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Joined {
    /// As it stood when it was joined.
    pub conversation: Conversation,
    /// Its tickets, with the ids of the entries that we wrote.
    pub tickets: Vec<(Ticket, Vec<String>)>,
    /// What it knows of the customer is what was seen last: it replaces what is known here. Otherwise it only adds to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub newest: bool,
}
