//! Events into the journal.

use std::collections::BTreeSet;

use patchbay_model::{Arrival, ConversationId, EventId, Route};
use redb::ReadableTable;

use super::tables::{NOTHING, Tables};
use super::{encode, fault, id_of};
use crate::{Appended, Partition, StoreError};

/// An arrival, made ready by its caller so that the writer only has to put it into place.
pub(super) struct Incoming {
    id: EventId,
    kind: String,
    /// Milliseconds since the epoch.
    received_at: u64,
    target: Target,
    json: Vec<u8>,
}

/// How the conversation is found.
enum Target {
    Conversation(ConversationId),
    /// By the first of these keys that is known.
    Customer {
        keys: Vec<String>,
        otherwise: ConversationId,
    },
    Ticket {
        desk: String,
        ticket: String,
    },
}

impl Incoming {
    pub(super) fn prepare(arrival: &Arrival) -> Result<Self, StoreError> {
        let target = match &arrival.route {
            Route::Conversation(id) => Target::Conversation(id.clone()),
            Route::Customer { channel, identities, .. } => {
                let keys = identities.iter().map(|identity| identity.key(&channel.id)).collect();
                // The contract says that there is an identity. If there is none after all, the event is kept in the
                // channel's own line rather than lost.
                let otherwise = arrival.route.new_conversation();
                let otherwise = otherwise.or_else(|| Route::Account(channel.clone()).new_conversation());
                Target::Customer { keys, otherwise: otherwise.ok_or_else(|| unroutable(&arrival.id))? }
            }
            Route::Ticket { desk, ticket } => Target::Ticket { desk: desk.clone(), ticket: ticket.clone() },
            Route::Account(_) => {
                Target::Conversation(arrival.route.new_conversation().ok_or_else(|| unroutable(&arrival.id))?)
            }
        };
        Ok(Self {
            id: arrival.id.clone(),
            kind: arrival.body.kind(),
            received_at: arrival.received_at.as_millis(),
            target,
            json: encode(arrival)?,
        })
    }
}

fn unroutable(id: &EventId) -> StoreError {
    StoreError::Corrupt(format!("event {id} says nothing about its conversation"))
}

/// Gives positions, and remembers what has grown.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) partitions: u16,
    /// The last position that was given. It may run ahead of the file after a failed write: positions may have gaps.
    pub(super) position: u64,
    /// Partitions to wake once the write is durable.
    pub(super) grown: BTreeSet<Partition>,
}

impl Places {
    fn next(&mut self, partition: Partition) -> u64 {
        self.grown.insert(partition);
        self.position += 1;
        self.position
    }
}

/// Puts an event into its journal, unless it has been there.
pub(super) fn append(
    tables: &mut Tables<'_>,
    places: &mut Places,
    incoming: &Incoming,
) -> Result<Appended, StoreError> {
    if tables.event_ids.get(incoming.id.as_str()).map_err(fault)?.is_some() {
        return Ok(Appended::Duplicate);
    }
    let conversation = match &incoming.target {
        Target::Conversation(id) => id.clone(),
        Target::Customer { keys, otherwise } => of_customer(tables, keys, otherwise)?,
        Target::Ticket { desk, ticket } => {
            let known = tables.tickets.get((desk.as_str(), ticket.as_str())).map_err(fault)?;
            match known {
                Some(known) => id_of(known.value())?,
                None => return Ok(Appended::Stranger),
            }
        }
    };
    let partition = Partition::of(&conversation, places.partitions);
    let position = places.next(partition);
    let (text, kind) = (conversation.as_str(), incoming.kind.as_str());
    tables.events.insert(position, (text, incoming.json.as_slice())).map_err(fault)?;
    tables.event_ids.insert(incoming.id.as_str(), position).map_err(fault)?;
    tables.events_by_time.insert((incoming.received_at, position), kind).map_err(fault)?;
    tables.events_by_conversation.insert((text, incoming.received_at, position), kind).map_err(fault)?;
    tables.journal.insert((partition.0, position), NOTHING).map_err(fault)?;
    Ok(Appended::New { partition, conversation })
}

/// The customer's conversation; identities that nobody had are theirs from now on.
fn of_customer(
    tables: &mut Tables<'_>,
    keys: &[String],
    otherwise: &ConversationId,
) -> Result<ConversationId, StoreError> {
    let mut found = None;
    let mut unknown = Vec::new();
    for key in keys {
        match tables.identities.get(key.as_str()).map_err(fault)? {
            Some(known) if found.is_none() => found = Some(id_of(known.value())?),
            Some(_) => {}
            None => unknown.push(key.as_str()),
        }
    }
    let conversation = found.unwrap_or_else(|| otherwise.clone());
    for key in unknown {
        tables.identities.insert(key, conversation.as_str()).map_err(fault)?;
    }
    Ok(conversation)
}
