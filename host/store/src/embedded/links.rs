//! What a commit does to links, against what is stored when it is written.

use patchbay_model::ConversationId;

use super::tables::{NOTHING, Tables};
use super::{decode, encode, fault};
use crate::{ENTRIES_KEPT, Link, LinkChange, StoreError};

/// Applies one change, as [`LinkChange`] describes it.
pub(super) fn apply(tables: &mut Tables<'_>, change: &LinkChange) -> Result<(), StoreError> {
    let (conversation, desk) = (change.conversation(), change.desk());
    let link = match (stored(tables, conversation, desk)?, change) {
        (Some(link), _) => Some(link),
        (None, LinkChange::Written { ticket, .. }) => {
            Some(Link { conversation: conversation.clone(), ticket: ticket.clone(), entries: Vec::new() })
        }
        (None, LinkChange::Status { .. } | LinkChange::Moved { .. }) => None,
    };
    let Some(mut link) = link else { return Ok(()) };
    let named = alter(&mut link, change);
    tables.links.insert((conversation.as_str(), desk), encode(&link)?.as_slice()).map_err(fault)?;
    if let Some(id) = named {
        lead(tables, desk, id, conversation)?;
    }
    Ok(())
}

/// The link as it is; none also where it cannot be read, so that the desk's next answer replaces it.
fn stored(tables: &Tables<'_>, conversation: &ConversationId, desk: &str) -> Result<Option<Link>, StoreError> {
    let value = tables.links.get((conversation.as_str(), desk)).map_err(fault)?;
    let Some(json) = value else { return Ok(None) };
    match decode::<Link>("link of", conversation, json.value()) {
        Ok(link) => Ok(Some(link)),
        Err(error) => {
            tracing::error!(%error, desk, "a link is unreadable and counts as missing");
            Ok(None)
        }
    }
}

/// Changes the link, and gives the ticket id that the change named.
pub(crate) fn alter<'c>(link: &mut Link, change: &'c LinkChange) -> Option<&'c str> {
    match change {
        LinkChange::Written { ticket, read, entry, .. } => {
            let current = &link.ticket.id;
            if *current == ticket.id || read.as_ref() == Some(current) {
                link.ticket = ticket.clone();
            }
            if let Some(entry) = entry.as_ref().filter(|entry| !link.entries.contains(entry)) {
                link.entries.push(entry.clone());
            }
            link.entries.drain(..link.entries.len().saturating_sub(ENTRIES_KEPT));
            Some(&ticket.id)
        }
        LinkChange::Status { status, .. } => {
            link.ticket.status.clone_from(status);
            None
        }
        LinkChange::Moved { to, .. } => {
            link.ticket.id.clone_from(to);
            Some(to)
        }
    }
}

/// Makes the ticket known to [`Route::Ticket`](patchbay_model::Route::Ticket), unless it is somebody else's.
pub(super) fn lead(
    tables: &mut Tables<'_>,
    desk: &str,
    ticket: &str,
    conversation: &ConversationId,
) -> Result<(), StoreError> {
    let vacant = tables.tickets.get((desk, ticket)).map_err(fault)?.is_none();
    if vacant {
        let whose = conversation.as_str();
        tables.tickets.insert((desk, ticket), whose).map_err(fault)?;
        tables.tickets_by_conversation.insert((whose, desk, ticket), NOTHING).map_err(fault)?;
    }
    Ok(())
}
