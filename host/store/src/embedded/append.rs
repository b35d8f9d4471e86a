//! Events into the journal.

use std::collections::BTreeSet;

use patchbay_model::{Arrival, ConversationId, EventId, Raw, Route};

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
    /// Without the platform's own.
    json: Vec<u8>,
    raw: Option<Raw>,
}

/// How the conversation is found.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Conversation(ConversationId),
    /// By the first of these keys that is known.
    Customer {
        keys: Vec<String>,
        former: Vec<String>,
        otherwise: ConversationId,
    },
    Ticket {
        desk: String,
        ticket: String,
    },
}

impl Target {
    /// What an arrival's route says.
    pub(crate) fn of(arrival: &Arrival) -> Result<Self, StoreError> {
        Ok(match &arrival.route {
            Route::Conversation(id) => Target::Conversation(id.clone()),
            Route::Customer { channel, identities, former, .. } => {
                let keys = identities.iter().map(|identity| identity.key(&channel.id)).collect();
                let former = former.iter().map(|identity| identity.key(&channel.id)).collect();
                // The contract says that there is an identity. If there is none after all, the event is kept in the
                // channel's own line rather than lost.
                let otherwise = arrival.route.new_conversation();
                let otherwise = otherwise.or_else(|| Route::Account(channel.clone()).new_conversation());
                Target::Customer { keys, former, otherwise: otherwise.ok_or_else(|| unroutable(&arrival.id))? }
            }
            Route::Ticket { desk, ticket } => Target::Ticket { desk: desk.clone(), ticket: ticket.clone() },
            Route::Account(_) => {
                Target::Conversation(arrival.route.new_conversation().ok_or_else(|| unroutable(&arrival.id))?)
            }
        })
    }
}

impl Incoming {
    pub(super) fn prepare(mut arrival: Arrival) -> Result<Self, StoreError> {
        let raw = arrival.raw.take();
        let json = encode(&arrival)?;
        let (kind, received_at) = (arrival.body.kind(), arrival.received_at.as_millis());
        Ok(Self { target: Target::of(&arrival)?, id: arrival.id, kind, received_at, json, raw })
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
    pub(super) fn next(&mut self, partition: Partition) -> u64 {
        self.grown.insert(partition);
        self.skip()
    }

    /// The next position, of an event that waits for nobody.
    pub(super) fn skip(&mut self) -> u64 {
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
    let mut others = Vec::new();
    let conversation = match &incoming.target {
        Target::Conversation(id) => id.clone(),
        Target::Customer { keys, former, otherwise } => {
            let mut found = of_customer(tables, keys, former, otherwise)?;
            others = found.split_off(1);
            found.pop().unwrap_or_else(|| otherwise.clone())
        }
        Target::Ticket { desk, ticket } => {
            let known = tables.tickets.get((desk.as_str(), ticket.as_str())).map_err(fault)?;
            match known {
                Some(known) => id_of(known.value())?,
                None => return Ok(Appended::Stranger),
            }
        }
    };
    let partition = Partition::of(&conversation, places.partitions);
    write(tables, places.next(partition), incoming, &conversation, &others, Some(partition))?;
    Ok(Appended::New { partition, conversation })
}

/// Writes an event at a position, with its place in every index; in the journal of `pending` where that is given.
pub(super) fn write(
    tables: &mut Tables<'_>,
    position: u64,
    incoming: &Incoming,
    conversation: &ConversationId,
    others: &[ConversationId],
    pending: Option<Partition>,
) -> Result<(), StoreError> {
    let (text, kind) = (conversation.as_str(), incoming.kind.as_str());
    let mut whose = text.to_owned();
    for other in others {
        whose.push(' ');
        whose.push_str(other.as_str());
    }
    tables.events.insert(position, (whose.as_str(), incoming.json.as_slice())).map_err(fault)?;
    if let Some(Raw { field, list, json }) = &incoming.raw {
        let raw = (field.as_str(), list.as_str(), json.reveal().as_bytes());
        tables.raws.insert((incoming.received_at, position), raw).map_err(fault)?;
    }
    tables.event_ids.insert(incoming.id.as_str(), position).map_err(fault)?;
    tables.events_by_time.insert((incoming.received_at, position), kind).map_err(fault)?;
    tables.events_by_conversation.insert((text, incoming.received_at, position), kind).map_err(fault)?;
    if let Some(partition) = pending {
        tables.journal.insert((partition.0, position), NOTHING).map_err(fault)?;
    }
    tables.touch(text, incoming.received_at)
}

/// Whose an identity is, by its key.
pub(crate) trait Identities {
    /// The conversation, marked with [`FORMER`] where the identity was its customer's once.
    fn whose(&self, key: &str) -> Result<Option<String>, StoreError>;

    /// Writes it down.
    fn claim(&mut self, key: &str, whose: &str) -> Result<(), StoreError>;
}

impl Identities for Tables<'_> {
    fn whose(&self, key: &str) -> Result<Option<String>, StoreError> {
        Ok(self.identities.get(key).map_err(fault)?.map(|known| known.value().to_owned()))
    }

    fn claim(&mut self, key: &str, whose: &str) -> Result<(), StoreError> {
        let before = self.identities.insert(key, whose).map_err(fault)?;
        let before = before.map(|before| before.value().trim_end_matches(FORMER).to_owned());
        let whose = whose.trim_end_matches(FORMER);
        if let Some(before) = before.filter(|before| before != whose) {
            self.identities_by_conversation.remove((before.as_str(), key)).map_err(fault)?;
        }
        self.identities_by_conversation.insert((whose, key), NOTHING).map_err(fault)?;
        Ok(())
    }
}

/// Marks a key's conversation: the identity was its customer's once.
pub(crate) const FORMER: &str = " former";

/// The customer's conversation first, and then others that their identities lead to. Identities that nobody had are
/// theirs from now on.
///
/// A former identity that comes with a surer one which nobody has is a new person's: telephone numbers are given again.
pub(crate) fn of_customer(
    index: &mut impl Identities,
    keys: &[String],
    former: &[String],
    otherwise: &ConversationId,
) -> Result<Vec<ConversationId>, StoreError> {
    let mut found: Vec<ConversationId> = Vec::new();
    let mut claimed = Vec::new();
    let mut stranger = false;
    for (key, was) in keys.iter().map(|key| (key, false)).chain(former.iter().map(|key| (key, true))) {
        let known = index.whose(key)?;
        let Some(known) = known else {
            stranger |= !was && found.is_empty();
            claimed.push((key, was));
            continue;
        };
        let (id, is_former) = match known.strip_suffix(FORMER) {
            Some(id) => (id, true),
            None => (known.as_str(), false),
        };
        if is_former && !was && stranger && found.is_empty() {
            claimed.push((key, was));
            continue;
        }
        let id = id_of(id)?;
        if was && !is_former {
            claimed.push((key, was));
        }
        if !found.contains(&id) {
            found.push(id);
        }
    }
    if found.is_empty() {
        found.push(otherwise.clone());
    }
    for (key, was) in claimed {
        let known = index.whose(key)?;
        let whose = match (&known, was) {
            // It stays whose it was, as a former one.
            (Some(known), true) => known.trim_end_matches(FORMER).to_owned(),
            _ => found.first().unwrap_or(otherwise).as_str().to_owned(),
        };
        let value = if was { format!("{whose}{FORMER}") } else { whose };
        index.claim(key, &value)?;
    }
    Ok(found)
}
