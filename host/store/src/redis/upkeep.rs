//! The store in numbers, and whether it holds together.

use std::collections::BTreeSet;

use futures::future::join_all;
use patchbay_model::decision::Decision;
use patchbay_model::task::DeadLetter;
use patchbay_model::{Conversation, ConversationId, EventId, Task, Timestamp};

use super::Shared;
use super::codec::{self, decode};
use super::keys::Index;
use super::scripts::STATS;
use super::server::{Trouble, field, text};
use super::servers::invoke;
use crate::{Link, MediaRecord, Partition, Stats, StoreError, Timer, Verification};

/// What the script of the numbers gives of one partition.
type Numbers = (u64, u64, Vec<u8>, u64, u64, u64, u64, u64, u64, u64);

impl Shared {
    pub(super) async fn stats(&self) -> Result<Stats, StoreError> {
        let asked = self.keys.all().map(async |partition| {
            let request = invoke(&STATS, self.keys.set(partition));
            self.read::<Numbers>(partition, &request).await
        });
        let numbers: Result<Vec<_>, _> = join_all(asked).await.into_iter().collect();
        let mut stats = Stats { kind: self.kind.clone(), partitions: self.keys.partitions(), ..Stats::default() };
        for (events, pending, oldest, conversations, tasks, timers, links, media, dead, reports) in numbers? {
            stats.events += events;
            stats.pending_events += pending;
            stats.conversations += conversations;
            stats.tasks += tasks;
            stats.timers += timers;
            stats.links += links;
            stats.media += media;
            stats.dead_letters += dead;
            stats.reports += reports;
            let oldest = codec::event("that waits longest", &oldest, &[]).ok().map(|record| record.event.received_at);
            stats.oldest_pending = [stats.oldest_pending, oldest].into_iter().flatten().min();
        }
        let documents = join_all(self.keys.all().map(|bucket| self.count_documents(bucket))).await;
        stats.documents = documents.into_iter().sum::<Result<u64, _>>()?;
        stats.bytes = self.memory().await;
        Ok(stats)
    }

    /// Bytes in the servers' memory, of all who use them.
    async fn memory(&self) -> Option<u64> {
        let map = self.servers.map().await.ok()?;
        let asked = map.servers.iter().map(async |server| -> Result<u64, Trouble> {
            let info = text(server.send(::redis::cmd("INFO").arg("memory")).await?);
            Ok(field(&info, "used_memory").and_then(|bytes| bytes.parse().ok()).unwrap_or_default())
        });
        join_all(asked).await.into_iter().sum::<Result<u64, _>>().ok()
    }

    pub(super) async fn verify(&self) -> Result<Verification, StoreError> {
        let mut found = Verification::default();
        for partition in self.keys.all() {
            self.verify_events(partition, &mut found).await?;
            self.verify_state(partition, &mut found).await?;
            self.verify_indexes(partition, &mut found).await?;
            self.verify_documents(partition, &mut found).await?;
        }
        Ok(found)
    }

    async fn verify_events(&self, partition: Partition, found: &mut Verification) -> Result<(), StoreError> {
        let events = self.scan(partition, "events").await?;
        let raws = self.scan(partition, "raw").await?;
        let mut request = ::redis::cmd("ZRANGE");
        request.arg(self.keys.of(partition, "times")).arg(0).arg(-1);
        let times: Vec<String> = self.read(partition, &request).await?;
        let times: BTreeSet<&str> = times.iter().filter_map(|entry| entry.split(' ').nth(1)).collect();
        for (id, value) in &events {
            found.checked += 1;
            let raw = raws.get(id).map(Vec::as_slice).unwrap_or_default();
            match codec::event(id, value, raw) {
                Err(error) => found.problems.push(error.to_string()),
                Ok(record) if record.event.id.as_str() != id => {
                    found.problems.push(format!("event {id} is {} inside", record.event.id));
                }
                Ok(record) => self.belongs(partition, &record.event.conversation, &format!("event {id}"), found),
            }
            if !times.contains(id.as_str()) {
                found.problems.push(format!("event {id} is in no list"));
            }
        }
        for (id, json) in self.scan(partition, "decisions").await? {
            found.checked += 1;
            match decode::<Decision>("decision about", &id, &json) {
                Err(error) => found.problems.push(error.to_string()),
                Ok(decision) if decision.event.as_str() != id || !events.contains_key(&id) => {
                    found.problems.push(format!("a decision is kept for event {id}, which is not, or is another's"));
                }
                Ok(_) => {}
            }
        }
        let mut request = ::redis::cmd("ZRANGE");
        request.arg(self.keys.of(partition, "journal")).arg(0).arg(-1);
        for id in self.read::<Vec<String>>(partition, &request).await? {
            found.checked += 1;
            if !events.contains_key(&id) && !self.is_there(partition, "events", &id).await? {
                found.problems.push(format!("event {id} waits in the journal of partition {partition} and is missing"));
            }
        }
        Ok(())
    }

    async fn is_there(&self, partition: Partition, name: &str, entry: &str) -> Result<bool, StoreError> {
        let mut request = ::redis::cmd("HEXISTS");
        request.arg(self.keys.of(partition, name)).arg(entry);
        self.read(partition, &request).await
    }

    fn belongs(&self, partition: Partition, whose: &ConversationId, what: &str, found: &mut Verification) {
        if self.partition_of(whose) != partition {
            found.problems.push(format!("{what} stands in partition {partition}, which is not its own"));
        }
    }

    async fn verify_state(&self, partition: Partition, found: &mut Verification) -> Result<(), StoreError> {
        for (id, value) in self.scan(partition, "conversations").await? {
            let state = codec::conversation(&value).map(|(_, json)| decode::<Conversation>("conversation", &id, json));
            let whose = state.map(|state| state.map(|state| state.id));
            let whose =
                whose.unwrap_or_else(|| Err(StoreError::Corrupt(format!("conversation {id}: it has no version"))));
            self.judge(partition, &format!("conversation {id}"), whose, found);
        }
        for (id, json) in self.scan(partition, "tasks").await? {
            let whose = decode::<Task>("task", &id, &json).map(|task| task.conversation);
            self.judge(partition, &format!("task {id}"), whose, found);
        }
        for (name, value) in self.scan(partition, "timers").await? {
            let whose = decode::<Timer>("timer", &name, codec::timer(&value)).map(|timer| timer.conversation);
            self.judge(partition, &format!("timer {name}"), whose, found);
        }
        for (name, json) in self.scan(partition, "links").await? {
            let whose = decode::<Link>("link", &name, &json).map(|link| link.conversation);
            self.judge(partition, &format!("link {name}"), whose, found);
        }
        for (id, json) in self.scan(partition, "media").await? {
            let whose = decode::<MediaRecord>("media", &id, &json).map(|media| media.conversation);
            self.judge(partition, &format!("media {id}"), whose, found);
        }
        for (id, json) in self.scan(partition, "dead").await? {
            let whose = decode::<DeadLetter>("dead letter", &id, &json).map(|letter| letter.task.conversation);
            self.judge(partition, &format!("dead letter {id}"), whose, found);
        }
        Ok(())
    }

    fn judge(
        &self,
        partition: Partition,
        what: &str,
        whose: Result<ConversationId, StoreError>,
        found: &mut Verification,
    ) {
        found.checked += 1;
        match whose {
            Ok(whose) => self.belongs(partition, &whose, what, found),
            Err(error) => found.problems.push(error.to_string()),
        }
    }

    async fn verify_indexes(&self, bucket: Partition, found: &mut Verification) -> Result<(), StoreError> {
        for (index, what) in
            [(Index::Identities, "identity"), (Index::Tickets, "ticket"), (Index::MediaOf, "owner of media")]
        {
            let entries = self.scan_index(bucket, index).await?;
            for (entry, whose) in entries {
                found.checked += 1;
                let whose = String::from_utf8_lossy(&whose);
                if whose.split(' ').next().and_then(ConversationId::parse).is_none() {
                    found.problems.push(format!("{what} {entry} leads to no conversation"));
                }
            }
        }
        Ok(())
    }

    pub(super) async fn scan_index(
        &self,
        bucket: Partition,
        index: Index,
    ) -> Result<std::collections::BTreeMap<String, Vec<u8>>, StoreError> {
        let key = self.keys.index_of(index, bucket);
        let name = key.rsplit(':').next().unwrap_or_default();
        self.scan(bucket, name).await
    }

    /// The ids of events that are kept no more, and when they were accepted.
    pub(super) async fn seen(&self, partition: Partition) -> Result<Vec<(EventId, Timestamp)>, StoreError> {
        let mut request = ::redis::cmd("ZRANGE");
        request.arg(self.keys.of(partition, "seen")).arg(0).arg(-1).arg("WITHSCORES");
        let seen: Vec<(String, u64)> = self.read(partition, &request).await?;
        let seen = seen.into_iter();
        Ok(seen.filter_map(|(id, at)| Some((EventId::parse(&id)?, Timestamp::from_millis(at)))).collect())
    }
}
