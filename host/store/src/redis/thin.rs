//! Removing what is past its time, some of it at a time.

use std::collections::BTreeSet;
use std::time::Duration;

use patchbay_model::task::DeadLetter;
use patchbay_model::{ConversationId, Task, Timestamp};

use super::Shared;
use super::codec::{StreamEntry, decode, readable};
use super::keys::Index;
use super::scripts::{DISOWN, FORGET, THIN_EVENTS, THIN_LETTERS};
use super::servers::invoke;
use crate::{IDS_KEPT, Lease, Removed, Report, Retention, StoreError};

/// Things removed from a partition at once.
const PIECE: usize = 200;

/// The last moment of what is past its time: `kept` after it is now or was before.
fn limit(kept: Option<Duration>, now: Timestamp) -> Option<u64> {
    now.as_millis().checked_sub(u64::try_from(kept?.as_millis()).unwrap_or(u64::MAX))
}

impl Shared {
    pub(super) async fn thin_out(
        &self,
        owned: &[Lease],
        retention: &Retention,
        now: Timestamp,
    ) -> Result<Removed, StoreError> {
        let mut removed = Removed::default();
        for lease in owned {
            removed.conversations += self.thin_conversations(lease, limit(retention.conversations, now)).await?;
            let (events, raw) = self.thin_events(lease, retention, now).await?;
            removed.events += events;
            removed.raw += raw;
            if let Some(until) = limit(retention.dead_letters, now) {
                let mut request = invoke(&THIN_LETTERS, self.keys.set(lease.partition));
                request.arg(lease.token).arg(lease.epoch).arg(until).arg(PIECE);
                let gone = self.servers.call(lease.partition, &request).await;
                removed.dead_letters += self.under::<u64>(lease, gone)?;
            }
            if let Some(until) = limit(retention.reports, now) {
                removed.reports += self.thin_reports(lease, until).await?;
            }
        }
        Ok(removed)
    }

    /// Gives how many events and raws are gone.
    async fn thin_events(
        &self,
        lease: &Lease,
        retention: &Retention,
        now: Timestamp,
    ) -> Result<(u64, u64), StoreError> {
        let text = |moment: Option<u64>| moment.map(|at| at.to_string()).unwrap_or_default();
        let (events, raw) = (limit(retention.events, now), limit(retention.raw, now));
        let ids = limit(Some(IDS_KEPT), now).unwrap_or_default();
        // Those that wait are passed over: they may be old, and are not to stop the others.
        let (mut over, mut beyond) = (0_u64, 0_u64);
        loop {
            let mut request = invoke(&THIN_EVENTS, self.keys.set(lease.partition));
            request.arg(lease.token).arg(lease.epoch).arg(text(events)).arg(text(raw)).arg(ids);
            request.arg(PIECE).arg(over).arg(beyond);
            let answer = self.servers.call(lease.partition, &request).await;
            let (removed, thinned, waiting, more): (u64, u64, u64, u64) = self.under(lease, answer)?;
            if removed + thinned > 0 || waiting + more == 0 {
                return Ok((removed, thinned));
            }
            over += waiting;
            beyond += more;
        }
    }

    async fn thin_reports(&self, lease: &Lease, until: u64) -> Result<u64, StoreError> {
        let key = self.keys.of(lease.partition, "reports");
        let mut request = ::redis::cmd("XRANGE");
        request.arg(&key).arg("-").arg("+").arg("COUNT").arg(PIECE);
        let oldest: Vec<StreamEntry> = self.read(lease.partition, &request).await?;
        let past = oldest.iter().filter(|(id, fields)| {
            let report = fields.first().and_then(|(_, json)| readable(decode::<Report>("report", id, json)));
            report.is_none_or(|report| report.at.as_millis() <= until)
        });
        let past: Vec<_> = past.map(|(id, _)| id).collect();
        if past.is_empty() {
            return Ok(0);
        }
        let mut request = ::redis::cmd("XDEL");
        request.arg(&key);
        for id in past {
            request.arg(id);
        }
        self.read(lease.partition, &request).await
    }

    async fn thin_conversations(&self, lease: &Lease, until: Option<u64>) -> Result<u64, StoreError> {
        let Some(until) = until else { return Ok(0) };
        let partition = lease.partition;
        let mut offset = 0;
        let mut removed = 0;
        let mut busy: Option<BTreeSet<ConversationId>> = None;
        while removed == 0 {
            let mut request = ::redis::cmd("ZRANGE");
            request.arg(self.keys.of(partition, "active")).arg("-inf").arg(until).arg("BYSCORE");
            request.arg("LIMIT").arg(offset).arg(PIECE);
            let quiet: Vec<String> = self.read(partition, &request).await?;
            if quiet.is_empty() {
                break;
            }
            if busy.is_none() {
                busy = Some(self.busy(lease).await?);
            }
            for conversation in quiet.iter().filter_map(|id| ConversationId::parse(id)) {
                // What arrives at a joined one is passed on for ever.
                let joined = async || {
                    let state = self.conversation(&conversation).await;
                    state.is_ok_and(|state| state.is_some_and(|state| state.value.joined.is_some()))
                };
                if busy.as_ref().is_some_and(|busy| busy.contains(&conversation)) || joined().await {
                    offset += 1;
                } else {
                    removed += self.forget(lease, &conversation, until).await?;
                }
            }
        }
        Ok(removed)
    }

    /// The conversations of a partition for which something waits. Its owner asks, so that only appends can add to them,
    /// and these show in the moment of the last event.
    async fn busy(&self, lease: &Lease) -> Result<BTreeSet<ConversationId>, StoreError> {
        let partition = lease.partition;
        let tasks = self.scan(partition, "tasks").await?;
        let tasks = tasks.iter().filter_map(|(id, json)| readable(decode::<Task>("task", id, json)));
        let mut busy: BTreeSet<_> = tasks.map(|task| task.conversation).collect();
        let timers = self.scan(partition, "timers").await?;
        busy.extend(timers.keys().filter_map(|name| ConversationId::parse(name.split(' ').next()?)));
        let letters = self.scan(partition, "dead").await?;
        let letters = letters.iter().filter_map(|(id, json)| readable(decode::<DeadLetter>("dead letter", id, json)));
        busy.extend(letters.map(|letter| letter.task.conversation));
        let mut request = ::redis::cmd("ZRANGE");
        request.arg(self.keys.of(partition, "journal")).arg(0).arg(-1);
        let waiting: Vec<String> = self.read(partition, &request).await?;
        let waiting: Vec<_> = waiting.iter().filter_map(|id| patchbay_model::EventId::parse(id)).collect();
        let waiting = self.records(partition, &waiting).await?.into_iter().flatten().filter_map(readable);
        busy.extend(waiting.map(|record| record.event.conversation));
        Ok(busy)
    }

    /// Removes a conversation with all that leads to it; gives 1 if it was one.
    async fn forget(&self, lease: &Lease, conversation: &ConversationId, until: u64) -> Result<u64, StoreError> {
        let mut request = invoke(&FORGET, self.keys.set(lease.partition));
        request.arg(lease.token).arg(lease.epoch).arg(until).arg(conversation.as_str());
        let known = self.servers.call(lease.partition, &request).await;
        let known: Vec<::redis::Value> = self.under(lease, known)?;
        let mut known = known.into_iter();
        let was = match known.next() {
            Some(::redis::Value::Int(1)) => 1,
            _ => 0,
        };
        for name in known.map(super::server::text) {
            let Some((kind, entry)) = name.split_once(' ') else { continue };
            let index = match kind {
                "i" => Index::Identities,
                "t" => Index::Tickets,
                _ => Index::MediaOf,
            };
            let (bucket, key) = self.keys.index(index, entry);
            let mut request = invoke(&DISOWN, [&key]);
            request.arg(conversation.as_str()).arg(entry);
            self.read::<u64>(bucket, &request).await?;
        }
        Ok(was)
    }
}
