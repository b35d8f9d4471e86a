//! Everything of a store as records, and back.

use std::collections::HashSet;
use std::fmt::Display;
use std::ops::{Bound, RangeBounds};

use patchbay_model::decision::Decision;
use patchbay_model::{Arrival, Task, Timestamp};
use redb::{ReadTransaction, ReadableTable};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::append::{self, FORMER, Identities, Incoming, Places};
use super::commit::{add_report, put_decision, put_letter, put_media};
use super::reads::{Events, decision_at, indexed, readable};
use super::tables::{
    CONVERSATIONS, DEAD_LETTERS, EVENTS, FORGOTTEN, FORGOTTEN_IDS, IDENTITIES, JOURNAL, LINKS, MEDIA, NOTHING, REPORTS,
    TASKS, TICKETS, TIMERS, Tables,
};
use super::{decode, encode, fault, id_of, links, shelf};
use crate::{ExportPage, Partition, Record, StoreError};

/// Records of a page at most: some MB.
const PAGE: usize = 500;

/// The number of the last table in a cursor.
const LAST: u8 = 11;

/// Reads a table from behind a key, and makes a record of each row.
macro_rules! page {
    ($transaction:expr, $after:expr, $table:expr, $owned:ty, |$known:ident| $key:expr, |$row_key:ident, $row:ident| $record:expr) => {{
        let table = $transaction.open_table($table).map_err(fault)?;
        let known: Option<$owned> = $after.map(parse).transpose()?;
        let start = match &known {
            Some($known) => Bound::Excluded($key),
            None => Bound::Unbounded,
        };
        let mut records = Vec::new();
        let mut last = None;
        for entry in table.range(from(start)).map_err(fault)? {
            let (row_key, row) = entry.map_err(fault)?;
            let ($row_key, $row) = (row_key.value(), row.value());
            let record: Result<Record, StoreError> = $record;
            records.extend(readable(record)?);
            if records.len() >= PAGE {
                last = Some(spell(&$row_key)?);
                break;
            }
        }
        (records, last)
    }};
}

/// A cursor is the number of a table and, behind a colon, the key of its last row as JSON.
pub(super) fn export(
    transaction: &ReadTransaction,
    partitions: u16,
    cursor: Option<&str>,
) -> Result<ExportPage, StoreError> {
    let (table, after) = match cursor {
        None => (0, None),
        Some(cursor) => {
            let (table, key) = cursor.split_once(':').ok_or_else(|| foreign(cursor))?;
            (table.parse::<u8>().map_err(|_| foreign(cursor))?, Some(key).filter(|key| !key.is_empty()))
        }
    };
    let (records, last) = match table {
        0 => {
            let events = Events::open(transaction)?;
            let journal = transaction.open_table(JOURNAL).map_err(fault)?;
            page!(transaction, after, EVENTS, u64, |key| *key, |position, _row| {
                // A decision that cannot be read does not keep its event back.
                let decision = readable(decision_at(transaction, position))?.flatten();
                event(&events, &journal, partitions, position, decision)
            })
        }
        1 => page!(transaction, after, FORGOTTEN_IDS, (u64, String), |key| (key.0, key.1.as_str()), |key, _row| {
            Ok(Record::SeenId { id: key.1.to_owned(), at: Timestamp::from_millis(key.0) })
        }),
        2 => page!(transaction, after, IDENTITIES, String, |key| key.as_str(), |key, row| {
            let former = row.ends_with(FORMER);
            let conversation = id_of(row.trim_end_matches(FORMER));
            conversation.map(|conversation| Record::Identity { key: key.to_owned(), conversation, former })
        }),
        3 => page!(transaction, after, CONVERSATIONS, String, |key| key.as_str(), |key, row| {
            let (version, _, json) = row;
            decode("conversation", key, json).map(|state| Record::Conversation { version, state: Box::new(state) })
        }),
        4 => page!(transaction, after, TASKS, (u16, String), |key| (key.0, key.1.as_str()), |key, row| decode(
            "task", key.1, row
        )
        .map(|task: Task| Record::Task(Box::new(task)))),
        5 => page!(
            transaction,
            after,
            TIMERS,
            (u16, String, String),
            |key| (key.0, key.1.as_str(), key.2.as_str()),
            |key, row| decode("timer of", key.1, row).map(Record::Timer)
        ),
        6 => page!(transaction, after, LINKS, (String, String), |key| (key.0.as_str(), key.1.as_str()), |key, row| {
            decode("link of", key.0, row).map(Record::Link)
        }),
        7 => {
            page!(transaction, after, TICKETS, (String, String), |key| (key.0.as_str(), key.1.as_str()), |key, row| {
                let (desk, ticket) = (key.0.to_owned(), key.1.to_owned());
                id_of(row).map(|conversation| Record::Ticket { desk, ticket, conversation })
            })
        }
        8 => page!(transaction, after, MEDIA, String, |key| key.as_str(), |key, row| decode("media", key, row)
            .map(Record::Media)),
        9 => page!(transaction, after, DEAD_LETTERS, String, |key| key.as_str(), |key, row| decode(
            "dead letter",
            key,
            row.1
        )
        .map(|letter| Record::DeadLetter(Box::new(letter)))),
        10 => page!(transaction, after, REPORTS, u64, |key| *key, |key, row| decode("report", key, row)
            .map(Record::Report)),
        11 => {
            let (records, last) = shelf::export(transaction, after.map(parse).transpose()?)?;
            (records, last.map(|last| spell(&last)).transpose()?)
        }
        _ => return Ok(ExportPage::default()),
    };
    let next = match last {
        Some(key) => Some(format!("{table}:{key}")),
        None if table < LAST => Some(format!("{}:", table + 1)),
        None => None,
    };
    Ok(ExportPage { records, next })
}

fn event(
    events: &Events,
    journal: &impl ReadableTable<(u16, u64), ()>,
    partitions: u16,
    position: u64,
    decision: Option<Decision>,
) -> Result<Record, StoreError> {
    let found = indexed(events, position)?;
    let event = found.event;
    let partition = Partition::of(&event.conversation, partitions);
    let pending = journal.get((partition.0, position)).map_err(fault)?.is_some();
    let arrival = Arrival {
        id: event.id,
        route: found.route,
        occurred_at: event.occurred_at,
        received_at: event.received_at,
        body: event.body,
        raw: found.raw,
    };
    let (position, conversation, others) = (found.position, event.conversation, found.others);
    let (arrival, decision) = (Box::new(arrival), decision.map(Box::new));
    Ok(Record::Event { position, conversation, arrival, others, pending, decision })
}

/// All keys from a bound on; opaque, so that the key's type is known.
fn from<K>(start: Bound<K>) -> impl RangeBounds<K> {
    (start, Bound::Unbounded)
}

fn spell(key: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(key).map_err(|error| StoreError::Corrupt(format!("a key cannot be written as JSON: {error}")))
}

fn parse<T: DeserializeOwned>(key: &str) -> Result<T, StoreError> {
    serde_json::from_str(key).map_err(|_| foreign(key))
}

fn foreign(cursor: impl Display) -> StoreError {
    StoreError::Unsuitable(format!("`{cursor}` is no cursor of this store's export"))
}

/// Takes records of an export. What is there already stays, or is replaced by itself.
pub(super) fn import(tables: &mut Tables<'_>, places: &mut Places, records: Vec<Record>) -> Result<(), StoreError> {
    let mut told = None;
    for record in records {
        match record {
            Record::Event { position: _, conversation, arrival, others, pending, decision } => {
                let id = arrival.id.clone();
                if tables.event_ids.get(arrival.id.as_str()).map_err(fault)?.is_none() {
                    let incoming = Incoming::prepare(*arrival)?;
                    let partition = Partition::of(&conversation, places.partitions);
                    let position = if pending { places.next(partition) } else { places.skip() };
                    let journal = pending.then_some(partition);
                    append::write(tables, position, &incoming, &conversation, &others, journal)?;
                }
                if let Some(decision) = decision {
                    put_decision(tables, &id, &encode(&decision)?)?;
                }
            }
            Record::SeenId { id, at } => {
                if tables.event_ids.get(id.as_str()).map_err(fault)?.is_none() {
                    tables.event_ids.insert(id.as_str(), FORGOTTEN).map_err(fault)?;
                    tables.forgotten_ids.insert((at.as_millis(), id.as_str()), NOTHING).map_err(fault)?;
                }
            }
            Record::Identity { key, conversation, former } => {
                let mark = if former { FORMER } else { "" };
                tables.claim(&key, &format!("{conversation}{mark}"))?;
            }
            Record::Conversation { version, state } => {
                let id = state.id.as_str();
                tables.conversations.insert(id, (version, "", encode(&state)?.as_slice())).map_err(fault)?;
                if tables.activity.get(id).map_err(fault)?.is_none() {
                    // No event of it is kept: it counts from today.
                    tables.touch(id, Timestamp::now().as_millis())?;
                }
            }
            Record::Task(task) => {
                let partition = Partition::of(&task.conversation, places.partitions);
                tables.tasks.insert((partition.0, task.id.as_str()), encode(&task)?.as_slice()).map_err(fault)?;
            }
            Record::Timer(timer) => {
                let partition = Partition::of(&timer.conversation, places.partitions);
                let key = (partition.0, timer.conversation.as_str(), timer.name.as_str());
                tables.timers.insert(key, encode(&timer)?.as_slice()).map_err(fault)?;
            }
            Record::Link(link) => {
                let key = (link.conversation.as_str(), link.ticket.desk.as_str());
                tables.links.insert(key, encode(&link)?.as_slice()).map_err(fault)?;
            }
            Record::Ticket { desk, ticket, conversation } => links::lead(tables, &desk, &ticket, &conversation)?,
            Record::Media(media) => put_media(tables, &media.id, &media.conversation, &encode(&media)?)?,
            Record::DeadLetter(letter) => {
                put_letter(tables, letter.task.id.as_str(), letter.died_at.as_millis(), &encode(&letter)?)?;
            }
            Record::Report(report) => {
                let json = encode(&report)?;
                let told = match &mut told {
                    Some(told) => told,
                    none => none.insert(reports(tables)?),
                };
                if told.insert(json.clone()) {
                    add_report(tables, &json)?;
                }
            }
            Record::Document { space, document } => shelf::import(tables, &space, &document)?,
        }
    }
    Ok(())
}

/// Reports have no ids: the same words are the same report.
fn reports(tables: &Tables<'_>) -> Result<HashSet<Vec<u8>>, StoreError> {
    let mut told = HashSet::new();
    for entry in tables.reports.iter().map_err(fault)? {
        told.insert(entry.map_err(fault)?.1.value().to_vec());
    }
    Ok(told)
}
