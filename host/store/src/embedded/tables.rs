//! The tables of the file, and what their keys and values are.
//!
//! Keys are typed by the engine and ordered; values are JSON, so that a later version reads what an earlier one wrote and
//! a person can look at it. What is needed without parsing (versions, times, kinds) stands beside the JSON or in an index.

use std::borrow::Borrow;

use redb::{
    Key, ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, TableError, Value,
    WriteTransaction,
};

use super::fault;
use super::lazy::Lazy;
use crate::StoreError;

/// Marks a value that says nothing: its key is all.
pub(super) const NOTHING: () = ();

/// A table's name and the types of its key and value.
pub(super) type Definition<K, V> = TableDefinition<'static, K, V>;
/// Text in a key or value.
pub(super) type Text = &'static str;
/// JSON.
pub(super) type Json = &'static [u8];
/// The platform's own JSON of an event: the webhook's field, the list in it, the item. Kept as it came, since JSON within
/// JSON is longer and slower.
pub(super) type RawItem = (Text, Text, Json);

/// In [`META`]: the version of this layout.
pub(super) const META_FORMAT: &str = "format";
/// In [`META`]: how many partitions there are.
pub(super) const META_PARTITIONS: &str = "partitions";
/// In [`META`]: the highest position among the events that are kept no more. The last position that was given is this
/// or that of the last event, so that no write has to keep it.
pub(super) const META_POSITION: &str = "position";
/// In [`META`]: the last revision of any document. One count for all of them, so that nothing has to be kept of those that
/// are gone.
pub(super) const META_REVISION: &str = "revision";

/// In [`EVENT_IDS`]: the event is kept no more. No event has this position.
pub(super) const FORGOTTEN: u64 = 0;

/// Milliseconds of a day: how coarsely [`ACTIVITY`] counts, so that a busy conversation writes there once a day.
const DAY: u64 = 24 * 60 * 60 * 1_000;

/// The day of a moment, as [`ACTIVITY`] counts: days since the epoch.
pub(super) const fn day_of(millis: u64) -> u64 {
    millis / DAY
}

macro_rules! tables {
    ($($(#[$doc:meta])+ $field:ident $name:ident $text:literal: $key:ty => $value:ty;)+) => {
        $($(#[$doc])+ pub(super) const $name: Definition<$key, $value> = TableDefinition::new($text);)+

        /// How many tables there are.
        pub(super) const TABLES: usize = [$($text,)+].len();

        /// Every table, for one write transaction.
        pub(super) struct Tables<'t> {
            $(pub(super) $field: Lazy<'t, $key, $value>,)+
        }

        impl<'t> Tables<'t> {
            /// Opens none yet.
            pub(super) fn of(transaction: &'t WriteTransaction) -> Self {
                Self { $($field: Lazy::new(transaction, $name),)+ }
            }

            /// Makes those that are missing: readers rely on all of them.
            pub(super) fn make(&self) -> Result<(), StoreError> {
                $(self.$field.open().map_err(fault)?;)+
                Ok(())
            }
        }

        /// Copies every row of every table into an empty file.
        pub(super) fn copy(from: &ReadTransaction, to: &WriteTransaction) -> Result<(), StoreError> {
            $(copy_table($name, from, to)?;)+
            Ok(())
        }

        /// Bytes of the pages that hold the tables. Reads all of them.
        pub(super) fn used(transaction: &ReadTransaction) -> Result<u64, StoreError> {
            let mut bytes = 0;
            $(if let Some(table) = table(transaction, $name)? {
                let stats = table.stats().map_err(fault)?;
                bytes += stats.stored_bytes() + stats.metadata_bytes() + stats.fragmented_bytes();
            })+
            Ok(bytes)
        }
    };
}

tables! {
    /// Numbers about the file itself; see the keys above.
    meta META "meta": Text => u64;
    /// Partition → its last epoch.
    epochs EPOCHS "epochs": u16 => u64;
    /// Position → conversation, with a space before each of the others; [`Arrival`](patchbay_model::Arrival) without
    /// its raw JSON: every event that is kept, handled or not.
    events EVENTS "events": u64 => (Text, Json);
    /// When accepted, position → the platform's own JSON.
    raws RAWS "raws": (u64, u64) => RawItem;
    /// Event id → position, or [`FORGOTTEN`]: the deduplication.
    event_ids EVENT_IDS "event-ids": Text => u64;
    /// When accepted, event id: those that are forgotten.
    forgotten_ids FORGOTTEN_IDS "forgotten-ids": (u64, Text) => ();
    /// When accepted, position → kind.
    events_by_time EVENTS_BY_TIME "events-by-time": (u64, u64) => Text;
    /// Conversation, when accepted, position → kind.
    events_by_conversation EVENTS_BY_CONVERSATION "events-by-conversation": (Text, u64, u64) => Text;
    /// Partition and position of events that are not committed yet.
    journal JOURNAL "journal": (u16, u64) => ();
    /// Identity key → conversation.
    identities IDENTITIES "identities": Text => Text;
    /// Conversation, identity key.
    identities_by_conversation IDENTITIES_BY_CONVERSATION "identities-by-conversation": (Text, Text) => ();
    /// Conversation → version, fingerprint of the commit that wrote it (empty where an event is its witness), state.
    conversations CONVERSATIONS "conversations": Text => (u64, Text, Json);
    /// Conversation → the day on which something happened in it last. Also of those that have no state.
    activity ACTIVITY "activity": Text => u64;
    /// That day, conversation; without those that are not to be removed whatever happens.
    activity_by_day ACTIVITY_BY_DAY "activity-by-day": (u64, Text) => ();
    /// Partition, task id → [`Task`](patchbay_model::Task).
    tasks TASKS "tasks": (u16, Text) => Json;
    /// Partition, conversation, name → [`Timer`](crate::Timer).
    timers TIMERS "timers": (u16, Text, Text) => Json;
    /// Conversation, desk → [`Link`](crate::Link).
    links LINKS "links": (Text, Text) => Json;
    /// Desk, the vendor's ticket id → conversation. A ticket that a link no longer names stays: its late webhooks are ours.
    tickets TICKETS "tickets": (Text, Text) => Text;
    /// Conversation, desk, the vendor's ticket id.
    tickets_by_conversation TICKETS_BY_CONVERSATION "tickets-by-conversation": (Text, Text, Text) => ();
    /// Media id → [`MediaRecord`](crate::MediaRecord).
    media MEDIA "media": Text => Json;
    /// Conversation, media id.
    media_by_conversation MEDIA_BY_CONVERSATION "media-by-conversation": (Text, Text) => ();
    /// Task id → when it died, [`DeadLetter`](patchbay_model::task::DeadLetter).
    dead_letters DEAD_LETTERS "dead-letters": Text => (u64, Json);
    /// When it died, task id.
    dead_letters_by_time DEAD_LETTERS_BY_TIME "dead-letters-by-time": (u64, Text) => ();
    /// Sequence → [`Report`](crate::Report).
    reports REPORTS "reports": u64 => Json;
    /// An event's position → how it was decided. By position, so that what is written together stands together.
    decisions DECISIONS "decisions": u64 => Json;
    /// Space, key → revision, body.
    documents DOCUMENTS "documents": (Text, Text) => (u64, Json);
    /// Space → bytes of its keys and bodies; only where there are any.
    document_spaces DOCUMENT_SPACES "document-spaces": Text => u64;
}

/// A table, if the file has it: one of an earlier version lacks those that came later, as long as it can only be read.
pub(super) fn table<K: Key + 'static, V: Value + 'static>(
    transaction: &ReadTransaction,
    definition: Definition<K, V>,
) -> Result<Option<ReadOnlyTable<K, V>>, StoreError> {
    match transaction.open_table(definition) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(fault(error)),
    }
}

impl Tables<'_> {
    /// Remembers that something happened in a conversation. Older than what is known changes nothing.
    pub(super) fn touch(&mut self, conversation: &str, at: u64) -> Result<(), StoreError> {
        let day = day_of(at);
        let before = self.activity.get(conversation).map_err(fault)?.map(|before| before.value());
        if before.is_some_and(|before| before >= day) {
            return Ok(());
        }
        if let Some(before) = before {
            self.activity_by_day.remove((before, conversation)).map_err(fault)?;
        }
        self.activity.insert(conversation, day).map_err(fault)?;
        self.activity_by_day.insert((day, conversation), NOTHING).map_err(fault)?;
        Ok(())
    }
}

fn copy_table<K: Key + 'static, V: Value + 'static>(
    definition: Definition<K, V>,
    from: &ReadTransaction,
    to: &WriteTransaction,
) -> Result<(), StoreError>
where
    for<'a> K::SelfType<'a>: Borrow<K::SelfType<'a>>,
    for<'a> V::SelfType<'a>: Borrow<V::SelfType<'a>>,
{
    let mut to = to.open_table(definition).map_err(fault)?;
    let Some(from) = table(from, definition)? else { return Ok(()) };
    for entry in from.iter().map_err(fault)? {
        let (key, value) = entry.map_err(fault)?;
        to.insert(key.value(), value.value()).map_err(fault)?;
    }
    Ok(())
}

/// A number about the file, if it is there.
pub(super) fn number(transaction: &ReadTransaction, key: &str) -> Result<Option<u64>, StoreError> {
    let Some(meta) = table(transaction, META)? else { return Ok(None) };
    Ok(meta.get(key).map_err(fault)?.map(|value| value.value()))
}
