//! The store's things on their way out and in.

use std::collections::BTreeMap;

use patchbay_model::decision::Decision;
use patchbay_model::task::DeadLetter;
use patchbay_model::{Arrival, Conversation, ConversationId, EventId, Task};
use serde::{Deserialize, Serialize};

use super::Shared;
use super::append::Entry;
use super::codec::{self, StreamEntry, decode, encode, readable};
use super::identify::{SEEN, Whose};
use super::keys::{Index, ticket_entry};
use super::scripts::IMPORT;
use super::server::lock;
use super::servers::invoke;
use crate::embedded::append::FORMER;
use crate::{EventRecord, ExportPage, IDS_KEPT, Link, MediaRecord, Partition, Record, Report, StoreError, Timer};

/// Things in one piece of an export.
const PIECE: usize = 500;

/// Documents in one piece: each may have a MiB.
const DOCUMENTS: usize = 16;

/// What a partition's things are called in a cursor, in their order.
const PARTS: [&str; 13] = [
    "events",
    "seen",
    "identities",
    "conversations",
    "tasks",
    "timers",
    "links",
    "tickets",
    "media",
    "dead",
    "reports",
    "documents",
    "end",
];

/// Where an export stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    partition: u16,
    part: usize,
    offset: usize,
}

/// The things of one part, listed once for all its pieces.
pub(super) type Listing = Option<((u16, usize), std::sync::Arc<Vec<Item>>)>;

/// One thing of a part: its name and its value. The value of an event or a document is read when its turn comes.
#[derive(Debug)]
pub(super) enum Item {
    /// An event, and whether it waits.
    Event(EventId, bool),
    /// Space and key.
    Document(String, String),
    Ready(Box<Record>),
}

impl Shared {
    pub(super) async fn export(&self, from: Option<String>) -> Result<ExportPage, StoreError> {
        let wrong = || StoreError::Unsuitable("that is no place in an export of this store".into());
        let cursor: Option<Result<Cursor, _>> = from.map(|from| serde_json::from_str(&from));
        let mut cursor = cursor.transpose().map_err(|_| wrong())?.unwrap_or_default();
        let mut records = Vec::new();
        while cursor.partition < self.keys.partitions() && records.is_empty() {
            let partition = Partition(cursor.partition);
            let part = PARTS.get(cursor.part).ok_or_else(wrong)?;
            let listed = self.listed_once(partition, cursor.part, part).await?;
            let rest = listed.get(cursor.offset..).unwrap_or_default();
            let most = if *part == "documents" { DOCUMENTS } else { PIECE };
            let piece = rest.get(..most.min(rest.len())).unwrap_or_default();
            records = self.pieces(partition, piece).await?;
            cursor.offset += piece.len();
            if cursor.offset >= listed.len() {
                cursor = match *part {
                    "end" => Cursor { partition: cursor.partition + 1, ..Cursor::default() },
                    _ => Cursor { part: cursor.part + 1, offset: 0, ..cursor },
                };
            }
        }
        let more = cursor.partition < self.keys.partitions();
        let next = more.then(|| encode(&cursor)).transpose()?;
        Ok(ExportPage { records, next: next.and_then(|json| String::from_utf8(json).ok()) })
    }

    async fn listed_once(
        &self,
        partition: Partition,
        place: usize,
        part: &str,
    ) -> Result<std::sync::Arc<Vec<Item>>, StoreError> {
        let known = lock(&self.exported).clone().filter(|(at, _)| *at == (partition.0, place));
        if let Some((_, listed)) = known {
            return Ok(listed);
        }
        let listed = std::sync::Arc::new(self.list(partition, part).await?);
        *lock(&self.exported) = Some(((partition.0, place), std::sync::Arc::clone(&listed)));
        Ok(listed)
    }

    /// Everything of one part of a partition, in order.
    async fn list(&self, partition: Partition, part: &str) -> Result<Vec<Item>, StoreError> {
        let ready = |record| Item::Ready(Box::new(record));
        let whose = |value: &[u8]| {
            let text = String::from_utf8_lossy(value).into_owned();
            let former = text.ends_with(FORMER);
            ConversationId::parse(text.trim_end_matches(FORMER)).map(|conversation| (conversation, former))
        };
        Ok(match part {
            "events" => {
                let mut request = ::redis::cmd("ZRANGE");
                request.arg(self.keys.of(partition, "times")).arg(0).arg(-1);
                let mut all: Vec<String> = self.read(partition, &request).await?;
                // A position has always as many digits.
                all.sort_unstable();
                let mut request = ::redis::cmd("ZRANGE");
                request.arg(self.keys.of(partition, "journal")).arg(0).arg(-1);
                let waiting: std::collections::BTreeSet<String> = self.read(partition, &request).await?;
                let ids = all.iter().filter_map(|entry| EventId::parse(entry.split(' ').nth(1)?));
                ids.map(|id| {
                    let waits = waiting.contains(id.as_str());
                    Item::Event(id, waits)
                })
                .collect()
            }
            "seen" => {
                let seen = self.seen(partition).await?.into_iter();
                seen.map(|(id, at)| ready(Record::SeenId { id: id.as_str().to_owned(), at })).collect()
            }
            "identities" => {
                let entries = self.scan_index(partition, Index::Identities).await?.into_iter();
                let entries = entries.filter_map(|(key, value)| Some((key, whose(&value)?)));
                entries
                    .map(|(key, (conversation, former))| ready(Record::Identity { key, conversation, former }))
                    .collect()
            }
            "tickets" => {
                let entries = self.scan_index(partition, Index::Tickets).await?.into_iter();
                let entries = entries.filter_map(|(entry, value)| {
                    let (desk, ticket) = serde_json::from_str::<(String, String)>(&entry).ok()?;
                    Some(Record::Ticket { desk, ticket, conversation: whose(&value)?.0 })
                });
                entries.map(ready).collect()
            }
            "conversations" => {
                let entries = self.scan(partition, part).await?.into_iter();
                let entries = entries.filter_map(|(id, value)| {
                    let (version, json) = codec::conversation(&value)?;
                    let state = Box::new(readable(decode::<Conversation>("conversation", id, json))?);
                    Some(Record::Conversation { version, state })
                });
                entries.map(ready).collect()
            }
            "tasks" => {
                self.all(partition, part, |id, json| Ok(Record::Task(Box::new(decode("task", id, json)?)))).await?
            }
            "timers" => {
                let of = |name: &str, value: &[u8]| Ok(Record::Timer(decode("timer", name, codec::timer(value))?));
                self.all(partition, part, of).await?
            }
            "links" => self.all(partition, part, |name, json| Ok(Record::Link(decode("link", name, json)?))).await?,
            "media" => self.all(partition, part, |id, json| Ok(Record::Media(decode("media", id, json)?))).await?,
            "dead" => {
                let of = |id: &str, json: &[u8]| {
                    Ok(Record::DeadLetter(Box::new(decode::<DeadLetter>("dead letter", id, json)?)))
                };
                self.all(partition, part, of).await?
            }
            "reports" => self.told(partition).await?.into_iter().map(|report| ready(Record::Report(report))).collect(),
            "documents" => {
                let listed = self.list_documents(partition).await?.into_iter();
                listed.map(|(space, key)| Item::Document(space, key)).collect()
            }
            _ => Vec::new(),
        })
    }

    async fn all(
        &self,
        partition: Partition,
        name: &str,
        record: impl Fn(&str, &[u8]) -> Result<Record, StoreError>,
    ) -> Result<Vec<Item>, StoreError> {
        let entries = self.scan(partition, name).await?;
        let records = entries.iter().filter_map(|(id, value)| readable(record(id, value)));
        Ok(records.map(|record| Item::Ready(Box::new(record))).collect())
    }

    /// A partition's reports, oldest first.
    async fn told(&self, partition: Partition) -> Result<Vec<Report>, StoreError> {
        let mut request = ::redis::cmd("XRANGE");
        request.arg(self.keys.of(partition, "reports")).arg("-").arg("+");
        let entries: Vec<StreamEntry> = self.read(partition, &request).await?;
        let fields = entries.iter().flat_map(|(id, fields)| fields.iter().map(move |(_, json)| (id, json)));
        Ok(fields.filter_map(|(id, json)| readable(decode("report", id, json))).collect())
    }

    async fn pieces(&self, partition: Partition, piece: &[Item]) -> Result<Vec<Record>, StoreError> {
        let ids = piece.iter().filter_map(|item| match item {
            Item::Event(id, _) => Some(id.clone()),
            Item::Document(..) | Item::Ready(_) => None,
        });
        let ids: Vec<_> = ids.collect();
        let mut events = self.records(partition, &ids).await?.into_iter();
        let mut decisions = self.decisions(partition, &ids).await?.into_iter();
        let mut records = Vec::with_capacity(piece.len());
        for item in piece {
            records.extend(match item {
                Item::Ready(record) => Some((**record).clone()),
                Item::Event(_, pending) => {
                    let (record, decision) = (events.next().flatten(), decisions.next().flatten());
                    record.and_then(readable).map(|record| exported(record, *pending, decision))
                }
                Item::Document(space, key) => {
                    let document = self.export_document(space, key).await?;
                    document.map(|document| Record::Document { space: space.clone(), document })
                }
            });
        }
        Ok(records)
    }

    pub(super) async fn import(&self, records: Vec<Record>) -> Result<(), StoreError> {
        let mut events: BTreeMap<Partition, Vec<(bool, Vec<u8>, Entry)>> = BTreeMap::new();
        for record in records {
            match record {
                Record::Event { conversation, arrival, others, pending, decision, .. } => {
                    let id = arrival.id.clone();
                    self.claim_id(&id, conversation.as_str(), IDS_KEPT.as_secs()).await?;
                    let whose = Whose { conversation, others, claimed: Vec::new(), known: false };
                    let entry = Entry::new(self.place(), &whose, *arrival)?;
                    let decision = decision.map(|decision| encode(&decision)).transpose()?.unwrap_or_default();
                    events.entry(self.partition_of(&whose.conversation)).or_default().push((pending, decision, entry));
                }
                other => self.import_one(other).await?,
            }
        }
        for (partition, entries) in events {
            for piece in entries.chunks(PIECE) {
                let mut request = invoke(&IMPORT, self.keys.set(partition));
                for (pending, decision, entry) in piece {
                    request.arg(u8::from(*pending)).arg(decision);
                    for argument in &entry.arguments {
                        request.arg(argument);
                    }
                }
                self.read::<Vec<u64>>(partition, &request).await?;
            }
        }
        Ok(())
    }

    async fn import_one(&self, record: Record) -> Result<(), StoreError> {
        match record {
            Record::Event { .. } => Ok(()),
            Record::SeenId { id, at } => self.import_id(&id, at).await,
            Record::Identity { key, conversation, former } => {
                let mark = if former { FORMER } else { "" };
                let (bucket, index) = self.keys.index(Index::Identities, &key);
                self.put(bucket, &index, &key, format!("{conversation}{mark}").as_bytes()).await?;
                self.name(&conversation, &format!("i {key}")).await
            }
            Record::Ticket { desk, ticket, conversation } => {
                let entry = ticket_entry(&desk, &ticket);
                let (bucket, index) = self.keys.index(Index::Tickets, &entry);
                let mut request = ::redis::cmd("HSETNX");
                request.arg(index).arg(&entry).arg(conversation.as_str());
                self.read::<u64>(bucket, &request).await?;
                self.name(&conversation, &format!("t {entry}")).await
            }
            Record::Conversation { version, state } => {
                let partition = self.partition_of(&state.id);
                let mut value = format!("{version} - ").into_bytes();
                value.extend(encode(&state)?);
                let key = self.keys.of(partition, "conversations");
                self.put(partition, &key, state.id.as_str(), &value).await?;
                let mut request = ::redis::cmd("ZADD");
                request.arg(self.keys.of(partition, "active")).arg("NX").arg(0).arg(state.id.as_str());
                self.read::<u64>(partition, &request).await.map(drop)
            }
            Record::Task(task) => self.put_own::<Task>(&task.conversation, "tasks", task.id.as_str(), &task).await,
            Record::Timer(timer) => self.import_timer(&timer).await,
            Record::Link(link) => {
                let (whose, desk) = (&link.conversation, &link.ticket.desk);
                self.put_own::<Link>(whose, "links", &format!("{whose} {desk}"), &link).await?;
                self.name(whose, &format!("l {desk}")).await
            }
            Record::Media(media) => {
                let (bucket, index) = self.keys.index(Index::MediaOf, media.id.as_str());
                self.put(bucket, &index, media.id.as_str(), media.conversation.as_str().as_bytes()).await?;
                self.put_own::<MediaRecord>(&media.conversation, "media", media.id.as_str(), &media).await?;
                self.name(&media.conversation, &format!("m {}", media.id)).await
            }
            Record::DeadLetter(letter) => {
                let whose = &letter.task.conversation;
                self.put_own::<DeadLetter>(whose, "dead", letter.task.id.as_str(), &letter).await?;
                let partition = self.partition_of(whose);
                let mut request = ::redis::cmd("ZADD");
                request.arg(self.keys.of(partition, "died")).arg(letter.died_at.as_millis());
                request.arg(letter.task.id.as_str());
                self.read::<u64>(partition, &request).await.map(drop)
            }
            Record::Report(report) => self.import_report(&report).await,
            Record::Document { space, document } => self.import_document(&space, document).await,
        }
    }

    async fn import_id(&self, id: &str, at: patchbay_model::Timestamp) -> Result<(), StoreError> {
        let Some(id) = EventId::parse(id) else { return Ok(()) };
        // Whose it was is not known: it is remembered by itself, and listed where its name leads.
        let left = at.after(IDS_KEPT).as_millis().saturating_sub(self.clock.now().as_millis()) / 1_000;
        self.claim_id(&id, SEEN, left).await?;
        let bucket = self.keys.bucket(id.as_str());
        let mut request = ::redis::cmd("ZADD");
        request.arg(self.keys.of(bucket, "seen")).arg(at.as_millis()).arg(id.as_str());
        self.read::<u64>(bucket, &request).await.map(drop)
    }

    async fn import_timer(&self, timer: &Timer) -> Result<(), StoreError> {
        let partition = self.partition_of(&timer.conversation);
        let mut value = format!("{} ", timer.at.as_millis()).into_bytes();
        value.extend(encode(timer)?);
        let name = format!("{} {}", timer.conversation, timer.name);
        self.put(partition, &self.keys.of(partition, "timers"), &name, &value).await
    }

    /// Reports belong to no partition; each is written once.
    async fn import_report(&self, report: &Report) -> Result<(), StoreError> {
        let json = encode(report)?;
        let bucket = self.keys.bucket(&report.event);
        if self.told(bucket).await?.contains(report) {
            return Ok(());
        }
        let mut request = ::redis::cmd("XADD");
        request.arg(self.keys.of(bucket, "reports")).arg("*").arg("report").arg(json);
        self.read::<String>(bucket, &request).await.map(drop)
    }

    async fn put_own<T: Serialize>(
        &self,
        whose: &ConversationId,
        name: &str,
        field: &str,
        value: &T,
    ) -> Result<(), StoreError> {
        let partition = self.partition_of(whose);
        self.put(partition, &self.keys.of(partition, name), field, &encode(value)?).await
    }

    async fn put(&self, partition: Partition, key: &str, field: &str, value: &[u8]) -> Result<(), StoreError> {
        let mut request = ::redis::cmd("HSET");
        request.arg(key).arg(field).arg(value);
        self.read::<u64>(partition, &request).await.map(drop)
    }

    /// Notes what leads to a conversation, to be removed with it.
    async fn name(&self, whose: &ConversationId, name: &str) -> Result<(), StoreError> {
        let partition = self.partition_of(whose);
        let mut request = ::redis::cmd("ZADD");
        request.arg(self.keys.of(partition, "names")).arg(0).arg(format!("{whose} {name}"));
        self.read::<u64>(partition, &request).await.map(drop)
    }
}

fn exported(record: EventRecord, pending: bool, decision: Option<Decision>) -> Record {
    let event = record.event;
    let arrival = Arrival {
        id: event.id,
        route: record.route,
        occurred_at: event.occurred_at,
        received_at: event.received_at,
        body: event.body,
        raw: record.raw,
    };
    Record::Event {
        position: record.position,
        conversation: event.conversation,
        arrival: Box::new(arrival),
        others: record.others,
        pending,
        decision: decision.map(Box::new),
    }
}
