//! What happened, before the store has said whose conversation it belongs to.

use serde::{Deserialize, Serialize};

use crate::conversation::{Channel, Identity};
use crate::{Body, ConversationId, EventId, Private, Timestamp};

/// An event on its way into the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arrival {
    /// The same however often it is delivered.
    pub id: EventId,
    /// How its conversation is found.
    pub route: Route,
    /// By the clock of the system that it happened in.
    pub occurred_at: Timestamp,
    /// When we accepted it.
    pub received_at: Timestamp,
    /// What happened.
    pub body: Body,
    /// The platform's own JSON of this one item, so that a better normaliser can be run over it later.
    pub raw: Option<Raw>,
}

/// One item of a webhook as the platform sent it, and where in the webhook it stood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raw {
    /// The webhook field: `messages`, `smb_message_echoes`, `account_update` … Empty: an entry or a change of a shape that
    /// we do not know.
    pub field: String,
    /// The list in the field's value: `messages`, `statuses`, `standby.messages` … With `=` in front it is not an item of
    /// that list but all that stands under the name. Empty: the item is the whole value. Without a field: `entry` or
    /// `changes`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub list: String,
    /// The item's JSON.
    pub json: Private<String>,
}

/// How an arrival's conversation is found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// It is known already.
    Conversation(ConversationId),
    /// By who the customer is on a channel. The store keeps which identities are the same person's.
    Customer {
        /// The business number.
        channel: Channel,
        /// The identities at hand, the surest first; never empty.
        identities: Vec<Identity>,
        /// Identities that were the customer's until now. They lead here as long as nobody else is seen with them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        former: Vec<Identity>,
        /// What the customer shows of themselves.
        profile: Profile,
    },
    /// By the ticket that it happened to. Nothing is kept of tickets that are not ours.
    Ticket {
        /// The desk's name in the configuration.
        desk: String,
        /// The vendor's id of the ticket.
        ticket: String,
    },
    /// It is about an account or a number, not about a customer: its own line of order.
    Account(Channel),
}

/// What a customer shows of themselves; newer values replace older ones, missing ones replace nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The shown name.
    pub name: Option<Private<String>>,
    /// The username, without a leading `@`.
    pub username: Option<Private<String>>,
}

impl Route {
    /// The id that a conversation gets when none of its identities is known yet.
    #[must_use]
    pub fn new_conversation(&self) -> Option<ConversationId> {
        match self {
            Self::Conversation(id) => Some(id.clone()),
            Self::Customer { channel, identities, .. } => {
                let identity = identities.first()?;
                Some(ConversationId::derive(&[b"customer", identity.key(&channel.id).as_bytes()]))
            }
            Self::Ticket { .. } => None,
            Self::Account(channel) => {
                Some(ConversationId::derive(&[b"account", channel.id.as_bytes(), channel.account.as_bytes()]))
            }
        }
    }
}
