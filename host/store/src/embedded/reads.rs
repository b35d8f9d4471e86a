//! Reading, each time from one snapshot.

use std::collections::HashSet;

use patchbay_model::decision::Decision;
use patchbay_model::task::DeadLetter;
use patchbay_model::{Arrival, Conversation, ConversationId, Event, EventId, MediaId, Raw, Task, TaskId};
use redb::{ReadOnlyTable, ReadTransaction};

use super::tables::{
    CONVERSATIONS, DEAD_LETTERS, DEAD_LETTERS_BY_TIME, DECISIONS, EVENT_IDS, EVENTS, EVENTS_BY_CONVERSATION,
    EVENTS_BY_TIME, FORGOTTEN, JOURNAL, Json, LINKS, MEDIA, RAWS, REPORTS, RawItem, TASKS, TIMERS, Text, table,
};
use super::{decode, fault, id_of};
use crate::{
    EventFilter, EventRecord, Link, MediaRecord, Partition, Pending, Position, Report, StoreError, Timer, Versioned,
};

/// Events, and the platform's own JSON of them.
pub(super) struct Events {
    rows: ReadOnlyTable<u64, (Text, Json)>,
    raws: ReadOnlyTable<(u64, u64), RawItem>,
}

impl Events {
    pub(super) fn open(transaction: &ReadTransaction) -> Result<Self, StoreError> {
        let rows = transaction.open_table(EVENTS).map_err(fault)?;
        Ok(Self { rows, raws: transaction.open_table(RAWS).map_err(fault)? })
    }
}

/// The conversation that an event belongs to, and the others that its identities led to.
pub(super) fn whose(text: &str) -> Result<(ConversationId, Vec<ConversationId>), StoreError> {
    let mut ids = text.split(' ').map(id_of);
    let conversation = ids.next().unwrap_or_else(|| id_of(""))?;
    Ok((conversation, ids.collect::<Result<_, _>>()?))
}

/// An event's raw JSON as it was stored.
pub(super) fn raw_item(position: u64, (field, list, json): (&str, &str, &[u8])) -> Result<Raw, StoreError> {
    let json = str::from_utf8(json)
        .map_err(|_| StoreError::Corrupt(format!("the raw JSON of the event at position {position} is not text")))?;
    Ok(Raw { field: field.to_owned(), list: list.to_owned(), json: json.to_owned().into() })
}

/// The event at a position; none: the file has no such event.
fn record(events: &Events, position: u64) -> Result<Option<EventRecord>, StoreError> {
    let Some(value) = events.rows.get(position).map_err(fault)? else { return Ok(None) };
    let (conversations, json) = value.value();
    let (conversation, others) = whose(conversations)?;
    let arrival: Arrival = decode("event at position", position, json)?;
    let raw = events.raws.get((arrival.received_at.as_millis(), position)).map_err(fault)?;
    let raw = raw.map(|raw| raw_item(position, raw.value())).transpose()?;
    let event = Event {
        id: arrival.id,
        conversation,
        occurred_at: arrival.occurred_at,
        received_at: arrival.received_at,
        body: arrival.body,
    };
    Ok(Some(EventRecord { position: Position(position), event, route: arrival.route, raw, others }))
}

/// As [`record`], where an index says that it is there.
pub(super) fn indexed(events: &Events, position: u64) -> Result<EventRecord, StoreError> {
    record(events, position)?.ok_or_else(|| StoreError::Corrupt(format!("the event at position {position} is missing")))
}

/// Sets a row that cannot be read aside, so that it stops nothing but itself. The error says its key, not its content.
pub(super) fn readable<T>(row: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match row {
        Err(StoreError::Corrupt(what)) => {
            tracing::error!(what, "something stored is unreadable and is left out");
            Ok(None)
        }
        other => other.map(Some),
    }
}

pub(super) fn journal(
    transaction: &ReadTransaction,
    partition: Partition,
    after: Position,
    limit: usize,
) -> Result<Vec<EventRecord>, StoreError> {
    let journal = transaction.open_table(JOURNAL).map_err(fault)?;
    let events = Events::open(transaction)?;
    let range = (partition.0, after.0.saturating_add(1))..=(partition.0, u64::MAX);
    let mut records = Vec::new();
    for entry in journal.range(range).map_err(fault)? {
        if records.len() >= limit {
            break;
        }
        let (_, position) = entry.map_err(fault)?.0.value();
        records.extend(readable(indexed(&events, position))?);
    }
    Ok(records)
}

pub(super) fn pending(transaction: &ReadTransaction, partition: Partition) -> Result<Pending, StoreError> {
    let mut tasks: Vec<Task> = Vec::new();
    let table = transaction.open_table(TASKS).map_err(fault)?;
    for entry in table.range((partition.0, "")..).map_err(fault)? {
        let (key, json) = entry.map_err(fault)?;
        let (owner, id) = key.value();
        if owner != partition.0 {
            break;
        }
        tasks.extend(readable(decode("task", id, json.value()))?);
    }
    tasks.sort_by(|a, b| {
        (&a.conversation, &a.lane, a.sequence, &a.id).cmp(&(&b.conversation, &b.lane, b.sequence, &b.id))
    });
    let mut timers: Vec<Timer> = Vec::new();
    let table = transaction.open_table(TIMERS).map_err(fault)?;
    for entry in table.range((partition.0, "", "")..).map_err(fault)? {
        let (key, json) = entry.map_err(fault)?;
        let (owner, conversation, name) = key.value();
        if owner != partition.0 {
            break;
        }
        timers.extend(readable(decode("timer", format_args!("{name} of {conversation}"), json.value()))?);
    }
    Ok(Pending { tasks, timers })
}

pub(super) fn conversation(
    transaction: &ReadTransaction,
    id: &ConversationId,
) -> Result<Option<Versioned<Conversation>>, StoreError> {
    let table = transaction.open_table(CONVERSATIONS).map_err(fault)?;
    let Some(value) = table.get(id.as_str()).map_err(fault)? else { return Ok(None) };
    let (version, _, json) = value.value();
    Ok(Some(Versioned { version, value: decode("conversation", id, json)? }))
}

pub(super) fn links(transaction: &ReadTransaction, conversation: &ConversationId) -> Result<Vec<Link>, StoreError> {
    let table = transaction.open_table(LINKS).map_err(fault)?;
    let mut links = Vec::new();
    for entry in table.range((conversation.as_str(), "")..).map_err(fault)? {
        let (key, json) = entry.map_err(fault)?;
        if key.value().0 != conversation.as_str() {
            break;
        }
        links.push(decode("link of", conversation, json.value())?);
    }
    Ok(links)
}

pub(super) fn link(
    transaction: &ReadTransaction,
    conversation: &ConversationId,
    desk: &str,
) -> Result<Option<Link>, StoreError> {
    let table = transaction.open_table(LINKS).map_err(fault)?;
    let value = table.get((conversation.as_str(), desk)).map_err(fault)?;
    value.map(|json| decode("link of", conversation, json.value())).transpose()
}

pub(super) fn media(transaction: &ReadTransaction, id: &MediaId) -> Result<Option<MediaRecord>, StoreError> {
    let table = transaction.open_table(MEDIA).map_err(fault)?;
    let value = table.get(id.as_str()).map_err(fault)?;
    value.map(|json| decode("media", id, json.value())).transpose()
}

pub(super) fn task(transaction: &ReadTransaction, partitions: u16, id: &TaskId) -> Result<Option<Task>, StoreError> {
    let table = transaction.open_table(TASKS).map_err(fault)?;
    // Tasks stand by partition, for an owner that loads them; who asks for one does not know its partition.
    for partition in 0..partitions {
        if let Some(json) = table.get((partition, id.as_str())).map_err(fault)? {
            return decode("task", id, json.value()).map(Some);
        }
    }
    Ok(None)
}

pub(super) fn event(transaction: &ReadTransaction, id: &EventId) -> Result<Option<EventRecord>, StoreError> {
    let ids = transaction.open_table(EVENT_IDS).map_err(fault)?;
    let Some(position) = ids.get(id.as_str()).map_err(fault)? else { return Ok(None) };
    match position.value() {
        FORGOTTEN => Ok(None),
        position => indexed(&Events::open(transaction)?, position).map(Some),
    }
}

pub(super) fn decision(transaction: &ReadTransaction, id: &EventId) -> Result<Option<Decision>, StoreError> {
    let ids = transaction.open_table(EVENT_IDS).map_err(fault)?;
    let Some(position) = ids.get(id.as_str()).map_err(fault)? else { return Ok(None) };
    decision_at(transaction, position.value())
}

/// How the event at a position was decided.
pub(super) fn decision_at(transaction: &ReadTransaction, position: u64) -> Result<Option<Decision>, StoreError> {
    let Some(decisions) = table(transaction, DECISIONS)? else { return Ok(None) };
    let json = decisions.get(position).map_err(fault)?;
    json.map(|json| decode("decision about position", position, json.value())).transpose()
}

pub(super) fn events(transaction: &ReadTransaction, filter: &EventFilter) -> Result<Vec<EventRecord>, StoreError> {
    let since = filter.since.unwrap_or_default().as_millis();
    let pending = if filter.pending { Some(waiting(transaction)?) } else { None };
    let matches = |kind: &str, position: u64| {
        filter.kind.as_deref().is_none_or(|wanted| is_or_below(kind, wanted))
            && pending.as_ref().is_none_or(|pending| pending.contains(&position))
    };
    let mut positions = Vec::new();
    if let Some(conversation) = &filter.conversation {
        let table = transaction.open_table(EVENTS_BY_CONVERSATION).map_err(fault)?;
        let id = conversation.as_str();
        for entry in table.range((id, since, 0)..=(id, u64::MAX, u64::MAX)).map_err(fault)?.rev() {
            if positions.len() >= filter.limit {
                break;
            }
            let (key, kind) = entry.map_err(fault)?;
            let position = key.value().2;
            positions.extend(matches(kind.value(), position).then_some(position));
        }
    } else {
        let table = transaction.open_table(EVENTS_BY_TIME).map_err(fault)?;
        for entry in table.range((since, 0)..).map_err(fault)?.rev() {
            if positions.len() >= filter.limit {
                break;
            }
            let (key, kind) = entry.map_err(fault)?;
            let position = key.value().1;
            positions.extend(matches(kind.value(), position).then_some(position));
        }
    }
    let events = Events::open(transaction)?;
    let records = positions.into_iter().map(|position| readable(indexed(&events, position)));
    records.filter_map(Result::transpose).collect()
}

/// The positions of all events that wait to be handled.
fn waiting(transaction: &ReadTransaction) -> Result<HashSet<u64>, StoreError> {
    let journal = transaction.open_table(JOURNAL).map_err(fault)?;
    let entries = journal.range((0, 0)..).map_err(fault)?;
    entries.map(|entry| entry.map(|(key, _)| key.value().1).map_err(fault)).collect()
}

/// `message.text` is `message` or below it; `messages` is not.
pub(crate) fn is_or_below(kind: &str, wanted: &str) -> bool {
    kind.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

pub(super) fn dead_letters(transaction: &ReadTransaction, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
    let order = transaction.open_table(DEAD_LETTERS_BY_TIME).map_err(fault)?;
    let letters = transaction.open_table(DEAD_LETTERS).map_err(fault)?;
    let mut found = Vec::new();
    for entry in order.range((0, "")..).map_err(fault)?.rev().take(limit) {
        let (key, ()) = entry.map(|(key, nothing)| (key, nothing.value())).map_err(fault)?;
        let id = key.value().1;
        let letter = letters.get(id).map_err(fault)?;
        let letter = letter.ok_or_else(|| StoreError::Corrupt(format!("dead letter {id} is missing")));
        found.extend(readable(letter.and_then(|letter| decode("dead letter", id, letter.value().1)))?);
    }
    Ok(found)
}

pub(super) fn dead_letter(transaction: &ReadTransaction, id: &TaskId) -> Result<Option<DeadLetter>, StoreError> {
    let letters = transaction.open_table(DEAD_LETTERS).map_err(fault)?;
    let letter = letters.get(id.as_str()).map_err(fault)?;
    letter.map(|letter| decode("dead letter", id, letter.value().1)).transpose()
}

pub(super) fn reports(transaction: &ReadTransaction, limit: usize) -> Result<Vec<Report>, StoreError> {
    let table = transaction.open_table(REPORTS).map_err(fault)?;
    let newest = table.range(0..).map_err(fault)?.rev().take(limit);
    let reports = newest.map(|entry| {
        let (number, json) = entry.map_err(fault)?;
        readable(decode("report", number.value(), json.value()))
    });
    reports.filter_map(Result::transpose).collect()
}
