//! Links from conversations to tickets, and what happens to them.

use patchbay_model::{ConversationId, Ticket};
use serde::{Deserialize, Serialize};

/// A conversation's ticket in a desk, and what we wrote there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Whose.
    pub conversation: ConversationId,
    /// The ticket, with the desk's name.
    pub ticket: Ticket,
    /// The vendor's ids of the entries that we wrote last, oldest first, at most [`ENTRIES_KEPT`]: their echoes are
    /// dropped.
    pub entries: Vec<String>,
}

/// Entries remembered for each link. A vendor's webhooks are minutes late at most, and no conversation writes so many
/// entries in that time; without a bound, the link of a conversation that lasts for years would only grow.
pub const ENTRIES_KEPT: usize = 200;

/// What happens to a conversation's link to a ticket. A change, not a value: a task and an event may both have one at
/// once. It is applied to what is stored, within the commit.
///
/// The id of a ticket that is written or moved to leads to the conversation from then on, by [`Route::Ticket`], and so do
/// the ids that the link had before. An id that leads to another conversation already is left to it: a merge into
/// somebody else's ticket must not bring us the replies that are meant for them.
///
/// [`Route::Ticket`]: patchbay_model::Route::Ticket
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum LinkChange {
    /// A desk's verb gave the ticket as it is now. Makes the link where there is none.
    Written {
        /// Whose.
        conversation: ConversationId,
        /// The ticket, with the desk's name. It replaces the stored one if that is the ticket that was read, or this one;
        /// if the link has moved to another ticket meanwhile, the ticket there stays.
        ticket: Ticket,
        /// The id of the ticket that the verb was called for; `None`: it was created.
        read: Option<String>,
        /// The vendor's id of an entry that we wrote. It is added to [`Link::entries`] in any case, once.
        entry: Option<String>,
    },
    /// The desk told a new status. Nothing happens where there is no link.
    Status {
        /// Whose.
        conversation: ConversationId,
        /// The desk's name.
        desk: String,
        /// In the vendor's words.
        status: String,
    },
    /// The ticket was merged into another one. Nothing happens where there is no link.
    Moved {
        /// Whose.
        conversation: ConversationId,
        /// The desk's name.
        desk: String,
        /// The id of the other ticket.
        to: String,
    },
}

impl LinkChange {
    /// Whose link it is.
    #[must_use]
    pub fn conversation(&self) -> &ConversationId {
        match self {
            Self::Written { conversation, .. }
            | Self::Status { conversation, .. }
            | Self::Moved { conversation, .. } => conversation,
        }
    }

    /// The name of the desk that the ticket is in.
    #[must_use]
    pub fn desk(&self) -> &str {
        match self {
            Self::Written { ticket, .. } => &ticket.desk,
            Self::Status { desk, .. } | Self::Moved { desk, .. } => desk,
        }
    }
}
