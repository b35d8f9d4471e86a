//! Reading.

use std::collections::{BTreeMap, BTreeSet};

use ::redis::{Cmd, FromRedisValue};
use futures::future::join_all;
use patchbay_model::decision::Decision;
use patchbay_model::task::DeadLetter;
use patchbay_model::{Conversation, ConversationId, EventId, MediaId, Task};
use serde::de::DeserializeOwned;

use super::Shared;
use super::codec::{self, StreamEntry, answer, decode, readable};
use super::keys::Index;
use super::scripts::{LEASE, READ_JOURNAL, READ_LINKS};
use super::servers::invoke;
use crate::{
    EventFilter, EventRecord, Lease, Link, MediaRecord, Partition, Pending, Position, Report, StoreError, Timer,
    Versioned,
};

/// Entries read at once: a server does nothing else meanwhile.
const PIECE: usize = 200;

impl Shared {
    /// An answer of one partition.
    pub(super) async fn read<T: FromRedisValue>(&self, partition: Partition, request: &Cmd) -> Result<T, StoreError> {
        answer(self.servers.call(partition, request).await)
    }

    /// What all partitions answer to the same question about one of their keys.
    pub(super) async fn everywhere<T: FromRedisValue>(
        &self,
        name: &str,
        ask: impl Fn(&str) -> Cmd,
    ) -> Result<Vec<(Partition, T)>, StoreError> {
        let asked = self.keys.all().map(|partition| {
            let request = ask(&self.keys.of(partition, name));
            async move { Ok((partition, self.read::<T>(partition, &request).await?)) }
        });
        join_all(asked).await.into_iter().collect()
    }

    /// Something that has its id for a name, in whatever partition.
    pub(super) async fn somewhere<T: DeserializeOwned>(
        &self,
        name: &str,
        what: &str,
        id: &str,
    ) -> Result<Option<T>, StoreError> {
        let found = self.everywhere::<Option<Vec<u8>>>(name, |key| hget(key, id)).await?;
        found.into_iter().find_map(|(_, json)| json).map(|json| decode(what, id, &json)).transpose()
    }

    /// All fields of a hash, piece by piece. One that changes meanwhile may be there twice or not at all.
    pub(super) async fn scan(&self, partition: Partition, name: &str) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        let key = self.keys.of(partition, name);
        let mut all = BTreeMap::new();
        let mut cursor = 0_u64;
        loop {
            let mut request = ::redis::cmd("HSCAN");
            request.arg(&key).arg(cursor).arg("COUNT").arg(PIECE);
            let (next, fields): (u64, Vec<(String, Vec<u8>)>) = self.read(partition, &request).await?;
            all.extend(fields);
            cursor = next;
            if cursor == 0 {
                return Ok(all);
            }
        }
    }

    async fn check(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut request = invoke(&LEASE, self.keys.set(lease.partition));
        request.arg("check").arg(lease.token).arg(lease.epoch).arg(0);
        let held: u64 = self.read(lease.partition, &request).await?;
        if held == 0 { Err(self.fenced(lease)) } else { Ok(()) }
    }

    pub(super) async fn load(&self, lease: &Lease) -> Result<Pending, StoreError> {
        self.check(lease).await?;
        let tasks = self.scan(lease.partition, "tasks").await?;
        let timers = self.scan(lease.partition, "timers").await?;
        // Nobody else has written meanwhile if the lease has held.
        self.check(lease).await?;
        let tasks = tasks.iter().filter_map(|(id, json)| readable(decode::<Task>("task", id, json)));
        let mut tasks: Vec<_> = tasks.collect();
        tasks.sort_by(|a, b| {
            (&a.conversation, &a.lane, a.sequence, &a.id).cmp(&(&b.conversation, &b.lane, b.sequence, &b.id))
        });
        let timers = timers.iter();
        let timers = timers.filter_map(|(name, value)| readable(decode::<Timer>("timer", name, codec::timer(value))));
        let mut timers: Vec<_> = timers.collect();
        timers.sort_by(|a, b| (&a.conversation, &a.name).cmp(&(&b.conversation, &b.name)));
        Ok(Pending { tasks, timers })
    }

    pub(super) async fn journal(
        &self,
        lease: &Lease,
        after: Position,
        limit: usize,
    ) -> Result<Vec<EventRecord>, StoreError> {
        let mut records = Vec::new();
        let mut after = after.0;
        while records.len() < limit {
            let count = PIECE.min(limit - records.len());
            let mut request = invoke(&READ_JOURNAL, self.keys.set(lease.partition));
            request.arg(lease.token).arg(lease.epoch).arg(after).arg(count);
            let found = self.servers.call(lease.partition, &request).await;
            let found: Vec<(u64, Vec<u8>, Vec<u8>)> = self.under(lease, found)?;
            let last = found.len() < count;
            after = found.last().map_or(after, |(position, ..)| *position);
            let read = found.iter().map(|(at, value, raw)| codec::event(&format!("at position {at}"), value, raw));
            records.extend(read.filter_map(readable));
            if last {
                break;
            }
        }
        if limit == 0 {
            self.check(lease).await?;
        }
        Ok(records)
    }

    pub(super) async fn conversation(
        &self,
        id: &ConversationId,
    ) -> Result<Option<Versioned<Conversation>>, StoreError> {
        let partition = self.partition_of(id);
        let request = hget(&self.keys.of(partition, "conversations"), id.as_str());
        let kept: Option<Vec<u8>> = self.read(partition, &request).await?;
        let Some(kept) = kept else { return Ok(None) };
        let (version, json) = codec::conversation(&kept)
            .ok_or_else(|| StoreError::Corrupt(format!("conversation {id}: it has no version")))?;
        Ok(Some(Versioned { version, value: decode("conversation", id, json)? }))
    }

    pub(super) async fn links(&self, conversation: &ConversationId) -> Result<Vec<Link>, StoreError> {
        let partition = self.partition_of(conversation);
        let mut request = invoke(&READ_LINKS, self.keys.set(partition));
        request.arg(conversation.as_str());
        let found: Vec<Vec<u8>> = self.read(partition, &request).await?;
        let links: Result<Vec<Link>, _> = found.iter().map(|json| decode("link of", conversation, json)).collect();
        let mut links = links?;
        links.sort_by(|a, b| a.ticket.desk.cmp(&b.ticket.desk));
        Ok(links)
    }

    pub(super) async fn link(&self, conversation: &ConversationId, desk: &str) -> Result<Option<Link>, StoreError> {
        let json = self.link_json(conversation, desk).await?;
        json.map(|json| decode("link of", conversation, &json)).transpose()
    }

    pub(super) async fn link_json(
        &self,
        conversation: &ConversationId,
        desk: &str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let partition = self.partition_of(conversation);
        let request = hget(&self.keys.of(partition, "links"), &format!("{conversation} {desk}"));
        self.read(partition, &request).await
    }

    pub(super) async fn media(&self, id: &MediaId) -> Result<Option<MediaRecord>, StoreError> {
        let whose = self.look_up(Index::MediaOf, id.as_str()).await?;
        let Some(whose) = whose.and_then(|whose| ConversationId::parse(&whose)) else { return Ok(None) };
        let partition = self.partition_of(&whose);
        let json: Option<Vec<u8>> = self.read(partition, &hget(&self.keys.of(partition, "media"), id.as_str())).await?;
        json.map(|json| decode("media", id, &json)).transpose()
    }

    pub(super) async fn event(&self, id: &EventId) -> Result<Option<EventRecord>, StoreError> {
        let key = self.keys.event(id);
        let mut request = ::redis::cmd("GET");
        request.arg(&key);
        let whose: Option<String> = answer(self.servers.call_key(&key, &request).await)?;
        if let Some(whose) = whose.and_then(|whose| ConversationId::parse(&whose)) {
            let partition = self.partition_of(&whose);
            if let Some(record) = self.records(partition, std::slice::from_ref(id)).await?.pop().flatten() {
                return record.map(Some);
            }
        }
        // The id's own entry is past its time, or the event came here with another one's partition.
        let found = self.everywhere::<bool>("events", |key| {
            let mut request = ::redis::cmd("HEXISTS");
            request.arg(key).arg(id.as_str());
            request
        });
        let Some((partition, _)) = found.await?.into_iter().find(|(_, there)| *there) else { return Ok(None) };
        self.records(partition, std::slice::from_ref(id)).await?.pop().flatten().transpose()
    }

    /// Events of one partition by their ids.
    pub(super) async fn records(
        &self,
        partition: Partition,
        ids: &[EventId],
    ) -> Result<Vec<Option<Result<EventRecord, StoreError>>>, StoreError> {
        let mut records = Vec::with_capacity(ids.len());
        for piece in ids.chunks(PIECE) {
            let values = |name| async move {
                let mut request = ::redis::cmd("HMGET");
                request.arg(self.keys.of(partition, name));
                for id in piece {
                    request.arg(id.as_str());
                }
                self.read::<Vec<Option<Vec<u8>>>>(partition, &request).await
            };
            let (events, raws) = futures::try_join!(values("events"), values("raw"))?;
            for ((id, event), raw) in piece.iter().zip(events).zip(raws) {
                records.push(event.map(|event| codec::event(id.as_str(), &event, &raw.unwrap_or_default())));
            }
        }
        Ok(records)
    }

    /// How events of one partition were decided, by their ids.
    pub(super) async fn decisions(
        &self,
        partition: Partition,
        ids: &[EventId],
    ) -> Result<Vec<Option<Decision>>, StoreError> {
        let mut decisions = Vec::with_capacity(ids.len());
        for piece in ids.chunks(PIECE) {
            let mut request = ::redis::cmd("HMGET");
            request.arg(self.keys.of(partition, "decisions"));
            for id in piece {
                request.arg(id.as_str());
            }
            let found: Vec<Option<Vec<u8>>> = self.read(partition, &request).await?;
            let found = piece.iter().zip(found);
            decisions
                .extend(found.map(|(id, json)| json.and_then(|json| readable(decode("decision about", id, &json)))));
        }
        Ok(decisions)
    }

    pub(super) async fn events(&self, filter: &EventFilter) -> Result<Vec<EventRecord>, StoreError> {
        let partitions: Vec<_> = match &filter.conversation {
            Some(conversation) => vec![self.partition_of(conversation)],
            None => self.keys.all().collect(),
        };
        let listed = partitions.into_iter().map(|partition| self.listed(partition, filter));
        let listed: Result<Vec<_>, _> = join_all(listed).await.into_iter().collect();
        let mut entries: Vec<_> = listed?.into_iter().flatten().collect();
        entries.sort_by_key(|entry| std::cmp::Reverse((entry.received, entry.position)));
        entries.truncate(filter.limit);
        let mut wanted: BTreeMap<Partition, Vec<EventId>> = BTreeMap::new();
        for entry in &entries {
            wanted.entry(entry.partition).or_default().push(entry.id.clone());
        }
        let read = wanted.iter().map(|(partition, ids)| self.records(*partition, ids));
        let read: Result<Vec<_>, _> = join_all(read).await.into_iter().collect();
        let read = read?.into_iter().flatten().flatten().filter_map(readable);
        let mut read: BTreeMap<EventId, EventRecord> = read.map(|record| (record.event.id.clone(), record)).collect();
        Ok(entries.iter().filter_map(|entry| read.remove(&entry.id)).collect())
    }

    /// A partition's entries that match, newest first.
    async fn listed(&self, partition: Partition, filter: &EventFilter) -> Result<Vec<Listed>, StoreError> {
        let since = Self::moment(filter.since.unwrap_or_default());
        let waiting: Option<BTreeSet<String>> = match filter.pending {
            false => None,
            true => {
                let mut request = ::redis::cmd("ZRANGE");
                request.arg(self.keys.of(partition, "journal")).arg(0).arg(-1);
                Some(self.read(partition, &request).await?)
            }
        };
        let waits = |entry: &Listed| waiting.as_ref().is_none_or(|waiting| waiting.contains(entry.id.as_str()));
        let mut found = Vec::new();
        let mut offset = 0;
        while found.len() < filter.limit {
            let piece = PIECE.max(filter.limit.min(PIECE * 10));
            let entries: Vec<Listed> = match &filter.conversation {
                Some(conversation) => {
                    let mut request = ::redis::cmd("ZRANGE");
                    request.arg(self.keys.of(partition, "talks"));
                    request.arg(format!("({conversation}!")).arg(format!("[{conversation} {since}"));
                    request.arg("BYLEX").arg("REV").arg("LIMIT").arg(offset).arg(piece);
                    let entries: Vec<String> = self.read(partition, &request).await?;
                    entries.iter().filter_map(|entry| Listed::of_talk(partition, entry)).collect()
                }
                None => {
                    let mut request = ::redis::cmd("ZRANGE");
                    request.arg(self.keys.of(partition, "times")).arg("+inf").arg(&since);
                    request.arg("BYSCORE").arg("REV").arg("LIMIT").arg(offset).arg(piece).arg("WITHSCORES");
                    let entries: Vec<(String, u64)> = self.read(partition, &request).await?;
                    entries.iter().filter_map(|(entry, at)| Listed::of_time(partition, entry, *at)).collect()
                }
            };
            offset += piece;
            let last = entries.len() < piece;
            let wanted = filter.kind.as_deref();
            let entries = entries.into_iter().filter(|entry| wanted.is_none_or(|kind| is_or_below(&entry.kind, kind)));
            found.extend(entries.filter(waits));
            if last {
                break;
            }
        }
        found.truncate(filter.limit);
        Ok(found)
    }

    pub(super) async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let last = isize::try_from(limit).unwrap_or(isize::MAX).saturating_sub(1);
        if last < 0 {
            return Ok(Vec::new());
        }
        let newest = self.everywhere::<Vec<(String, u64)>>("died", |key| {
            let mut request = ::redis::cmd("ZRANGE");
            request.arg(key).arg(0).arg(last).arg("REV").arg("WITHSCORES");
            request
        });
        let newest = newest.await?.into_iter();
        let newest = newest.flat_map(|(partition, ids)| ids.into_iter().map(move |(id, at)| (at, id, partition)));
        let mut newest: Vec<_> = newest.collect();
        newest.sort_by(|a, b| b.cmp(a));
        newest.truncate(limit);
        let read = newest.iter().map(async |(_, id, partition)| -> Result<Option<DeadLetter>, StoreError> {
            let json: Option<Vec<u8>> = self.read(*partition, &hget(&self.keys.of(*partition, "dead"), id)).await?;
            Ok(json.and_then(|json| readable(decode("dead letter", id, &json))))
        });
        let read: Result<Vec<_>, _> = join_all(read).await.into_iter().collect();
        Ok(read?.into_iter().flatten().collect())
    }

    pub(super) async fn reports(&self, limit: usize) -> Result<Vec<Report>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let newest = self.everywhere::<Vec<StreamEntry>>("reports", |key| {
            let mut request = ::redis::cmd("XREVRANGE");
            request.arg(key).arg("+").arg("-").arg("COUNT").arg(limit.min(10_000));
            request
        });
        let newest = newest.await?.into_iter().flat_map(|(_, entries)| entries);
        let mut newest: Vec<_> = newest.collect();
        newest.sort_by_key(|(id, _)| std::cmp::Reverse(stream_id(id)));
        newest.truncate(limit);
        let reports = newest.iter().flat_map(|(id, fields)| fields.iter().map(move |(_, json)| (id, json)));
        Ok(reports.filter_map(|(id, json)| readable(decode("report", id, json))).collect())
    }
}

/// An entry of a list of events.
struct Listed {
    partition: Partition,
    received: u64,
    position: u64,
    id: EventId,
    kind: String,
}

impl Listed {
    /// `position id kind`, and when it was accepted.
    fn of_time(partition: Partition, entry: &str, received: u64) -> Option<Self> {
        let mut words = entry.splitn(3, ' ');
        let (position, id, kind) = (words.next()?, words.next()?, words.next()?);
        Some(Self { partition, received, position: position.parse().ok()?, id: EventId::parse(id)?, kind: kind.into() })
    }

    /// `conversation accepted position id kind`.
    fn of_talk(partition: Partition, entry: &str) -> Option<Self> {
        let (_, rest) = entry.split_once(' ')?;
        let (received, rest) = rest.split_once(' ')?;
        Self::of_time(partition, rest, received.parse().ok()?)
    }
}

/// Milliseconds and number of a stream's entry.
fn stream_id(id: &str) -> (u64, u64) {
    let (millis, number) = id.split_once('-').unwrap_or((id, "0"));
    (millis.parse().unwrap_or_default(), number.parse().unwrap_or_default())
}

pub(super) fn hget(key: &str, field: &str) -> Cmd {
    let mut request = ::redis::cmd("HGET");
    request.arg(key).arg(field);
    request
}

/// `message.text` is `message` or below it; `messages` is not.
fn is_or_below(kind: &str, wanted: &str) -> bool {
    kind.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
