//! The tables of the file, and what their keys and values are.
//!
//! Keys are typed by the engine and ordered; values are JSON, so that a later version reads what an earlier one wrote and
//! a person can look at it. What is needed without parsing (versions, times, kinds) stands beside the JSON or in an index.

use redb::{ReadTransaction, Table, TableDefinition, WriteTransaction};

use super::fault;
use crate::StoreError;

/// Marks a value that says nothing: its key is all.
pub(super) const NOTHING: () = ();

/// A table's name and the types of its key and value.
type Definition<K, V> = TableDefinition<'static, K, V>;
/// Text in a key or value.
type Text = &'static str;
/// JSON.
type Json = &'static [u8];

/// Numbers about the file itself; see the keys below.
pub(super) const META: Definition<Text, u64> = TableDefinition::new("meta");
/// In [`META`]: the version of this layout.
pub(super) const META_FORMAT: &str = "format";
/// In [`META`]: how many partitions there are.
pub(super) const META_PARTITIONS: &str = "partitions";
/// In [`META`]: the last position that was given.
pub(super) const META_POSITION: &str = "position";

/// Partition → its last epoch.
pub(super) const EPOCHS: Definition<u16, u64> = TableDefinition::new("epochs");
/// Position → conversation and [`Arrival`](patchbay_model::Arrival): every event, handled or not.
pub(super) const EVENTS: Definition<u64, (Text, Json)> = TableDefinition::new("events");
/// Event id → position: the deduplication.
pub(super) const EVENT_IDS: Definition<Text, u64> = TableDefinition::new("event-ids");
/// When accepted, position → kind.
pub(super) const EVENTS_BY_TIME: Definition<(u64, u64), Text> = TableDefinition::new("events-by-time");
/// Conversation, when accepted, position → kind.
pub(super) const EVENTS_BY_CONVERSATION: Definition<(Text, u64, u64), Text> =
    TableDefinition::new("events-by-conversation");
/// Partition and position of events that are not committed yet.
pub(super) const JOURNAL: Definition<(u16, u64), ()> = TableDefinition::new("journal");
/// Identity key → conversation.
pub(super) const IDENTITIES: Definition<Text, Text> = TableDefinition::new("identities");
/// Conversation → version, fingerprint of the commit that wrote it (empty where an event is its witness), state.
pub(super) const CONVERSATIONS: Definition<Text, (u64, Text, Json)> = TableDefinition::new("conversations");
/// Partition, task id → [`Task`](patchbay_model::Task).
pub(super) const TASKS: Definition<(u16, Text), Json> = TableDefinition::new("tasks");
/// Partition, conversation, name → [`Timer`](crate::Timer).
pub(super) const TIMERS: Definition<(u16, Text, Text), Json> = TableDefinition::new("timers");
/// Conversation, desk → [`Link`](crate::Link).
pub(super) const LINKS: Definition<(Text, Text), Json> = TableDefinition::new("links");
/// Desk, the vendor's ticket id → conversation. A ticket that a link no longer names stays: its late webhooks are ours.
pub(super) const TICKETS: Definition<(Text, Text), Text> = TableDefinition::new("tickets");
/// Media id → [`MediaRecord`](crate::MediaRecord).
pub(super) const MEDIA: Definition<Text, Json> = TableDefinition::new("media");
/// Task id → when it died, [`DeadLetter`](patchbay_model::task::DeadLetter).
pub(super) const DEAD_LETTERS: Definition<Text, (u64, Json)> = TableDefinition::new("dead-letters");
/// When it died, task id.
pub(super) const DEAD_LETTERS_BY_TIME: Definition<(u64, Text), ()> = TableDefinition::new("dead-letters-by-time");
/// Sequence → [`Report`](crate::Report).
pub(super) const REPORTS: Definition<u64, Json> = TableDefinition::new("reports");

/// Every table, open for one write transaction.
pub(super) struct Tables<'t> {
    pub(super) meta: Table<'t, Text, u64>,
    pub(super) epochs: Table<'t, u16, u64>,
    pub(super) events: Table<'t, u64, (Text, Json)>,
    pub(super) event_ids: Table<'t, Text, u64>,
    pub(super) events_by_time: Table<'t, (u64, u64), Text>,
    pub(super) events_by_conversation: Table<'t, (Text, u64, u64), Text>,
    pub(super) journal: Table<'t, (u16, u64), ()>,
    pub(super) identities: Table<'t, Text, Text>,
    pub(super) conversations: Table<'t, Text, (u64, Text, Json)>,
    pub(super) tasks: Table<'t, (u16, Text), Json>,
    pub(super) timers: Table<'t, (u16, Text, Text), Json>,
    pub(super) links: Table<'t, (Text, Text), Json>,
    pub(super) tickets: Table<'t, (Text, Text), Text>,
    pub(super) media: Table<'t, Text, Json>,
    pub(super) dead_letters: Table<'t, Text, (u64, Json)>,
    pub(super) dead_letters_by_time: Table<'t, (u64, Text), ()>,
    pub(super) reports: Table<'t, u64, Json>,
}

impl<'t> Tables<'t> {
    /// Opens them all, and makes those that are missing.
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            meta: transaction.open_table(META).map_err(fault)?,
            epochs: transaction.open_table(EPOCHS).map_err(fault)?,
            events: transaction.open_table(EVENTS).map_err(fault)?,
            event_ids: transaction.open_table(EVENT_IDS).map_err(fault)?,
            events_by_time: transaction.open_table(EVENTS_BY_TIME).map_err(fault)?,
            events_by_conversation: transaction.open_table(EVENTS_BY_CONVERSATION).map_err(fault)?,
            journal: transaction.open_table(JOURNAL).map_err(fault)?,
            identities: transaction.open_table(IDENTITIES).map_err(fault)?,
            conversations: transaction.open_table(CONVERSATIONS).map_err(fault)?,
            tasks: transaction.open_table(TASKS).map_err(fault)?,
            timers: transaction.open_table(TIMERS).map_err(fault)?,
            links: transaction.open_table(LINKS).map_err(fault)?,
            tickets: transaction.open_table(TICKETS).map_err(fault)?,
            media: transaction.open_table(MEDIA).map_err(fault)?,
            dead_letters: transaction.open_table(DEAD_LETTERS).map_err(fault)?,
            dead_letters_by_time: transaction.open_table(DEAD_LETTERS_BY_TIME).map_err(fault)?,
            reports: transaction.open_table(REPORTS).map_err(fault)?,
        })
    }
}

/// A number about the file, if it is there.
pub(super) fn number(transaction: &ReadTransaction, key: &str) -> Result<Option<u64>, StoreError> {
    let meta = match transaction.open_table(META) {
        Ok(meta) => meta,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(fault(error)),
    };
    Ok(meta.get(key).map_err(fault)?.map(|value| value.value()))
}
