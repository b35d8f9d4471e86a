//! What is past its time: found in a snapshot, beside those who write, and removed in a short write.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use patchbay_model::{ConversationId, EventId, Timestamp};
use redb::{ReadTransaction, ReadableTable};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::commit::remove_letter;
use super::reads::{readable, whose};
use super::tables::{
    ACTIVITY_BY_DAY, CONVERSATIONS, DEAD_LETTERS, DEAD_LETTERS_BY_TIME, EVENTS, EVENTS_BY_TIME, FORGOTTEN,
    FORGOTTEN_IDS, JOURNAL, META_POSITION, NOTHING, RAWS, REPORTS, TASKS, TIMERS, Tables, day_of,
};
use super::{decode, fault};
use crate::{IDS_KEPT, Partition, Removed, Report, Retention, StoreError};

/// Things that one write removes at most: some 10 ms, for which those who append wait.
const SLICE: usize = 500;

/// What one write removes.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// When accepted, position.
    raws: Vec<(u64, u64)>,
    /// When accepted, position.
    events: Vec<(u64, u64)>,
    /// When accepted, event id.
    ids: Vec<(u64, String)>,
    /// When it died, task id.
    letters: Vec<(u64, String)>,
    /// Sequence.
    reports: Vec<u64>,
    conversations: Vec<Idle>,
}

/// A conversation in which nothing has happened for long.
#[derive(Debug)]
struct Idle {
    day: u64,
    id: String,
    /// Of its state; 0: it has none.
    version: u64,
    /// It leads to another one for ever.
    joined: bool,
}

/// Where and when to look.
pub(super) struct Search<'s> {
    pub(super) transaction: &'s ReadTransaction,
    pub(super) owned: &'s BTreeSet<Partition>,
    pub(super) partitions: u16,
    pub(super) retention: &'s Retention,
    pub(super) now: Timestamp,
}

/// The last moment, in milliseconds, that is past its time.
fn cut(now: Timestamp, kept: Option<Duration>) -> Option<u64> {
    let kept = u64::try_from(kept?.as_millis()).ok()?;
    now.as_millis().checked_sub(kept)
}

impl Past {
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        let Self { raws, events, ids, letters, reports, conversations } = self;
        raws.len() + events.len() + ids.len() + letters.len() + reports.len() + conversations.len()
    }

    fn is_full(&self) -> bool {
        self.len() >= SLICE
    }
}

impl Search<'_> {
    /// Some of what is past its time.
    pub(super) fn find(&self) -> Result<Past, StoreError> {
        let mut past = Past::default();
        self.events(&mut past)?;
        self.ids(&mut past)?;
        self.letters(&mut past)?;
        self.reports(&mut past)?;
        self.conversations(&mut past)?;
        Ok(past)
    }

    fn is_owned(&self, conversation: &ConversationId) -> bool {
        self.owned.contains(&Partition::of(conversation, self.partitions))
    }

    fn events(&self, past: &mut Past) -> Result<(), StoreError> {
        let events = self.transaction.open_table(EVENTS).map_err(fault)?;
        let journal = self.transaction.open_table(JOURNAL).map_err(fault)?;
        let handled = |position: u64| -> Result<bool, StoreError> {
            let Some(row) = events.get(position).map_err(fault)? else { return Ok(true) };
            let Some((conversation, _)) = readable(whose(row.value().0))? else { return Ok(false) };
            let partition = Partition::of(&conversation, self.partitions);
            let waits = journal.get((partition.0, position)).map_err(fault)?.is_some();
            Ok(self.owned.contains(&partition) && !waits)
        };
        if let Some(cut) = cut(self.now, self.retention.events) {
            let by_time = self.transaction.open_table(EVENTS_BY_TIME).map_err(fault)?;
            for entry in by_time.range(..=(cut, u64::MAX)).map_err(fault)? {
                let key = entry.map_err(fault)?.0.value();
                if past.is_full() {
                    return Ok(());
                }
                if handled(key.1)? {
                    past.events.push(key);
                }
            }
        }
        if let Some(cut) = cut(self.now, self.retention.raw) {
            let raws = self.transaction.open_table(RAWS).map_err(fault)?;
            let going: HashSet<_> = past.events.iter().copied().collect();
            for entry in raws.range(..=(cut, u64::MAX)).map_err(fault)? {
                let key = entry.map_err(fault)?.0.value();
                if past.is_full() {
                    return Ok(());
                }
                if !going.contains(&key) && handled(key.1)? {
                    past.raws.push(key);
                }
            }
        }
        Ok(())
    }

    fn ids(&self, past: &mut Past) -> Result<(), StoreError> {
        let Some(cut) = cut(self.now, Some(IDS_KEPT)) else { return Ok(()) };
        let ids = self.transaction.open_table(FORGOTTEN_IDS).map_err(fault)?;
        for entry in ids.range(..(cut + 1, "")).map_err(fault)? {
            if past.is_full() {
                break;
            }
            let key = entry.map_err(fault)?.0;
            let (at, id) = key.value();
            past.ids.push((at, id.to_owned()));
        }
        Ok(())
    }

    fn letters(&self, past: &mut Past) -> Result<(), StoreError> {
        let Some(cut) = cut(self.now, self.retention.dead_letters) else { return Ok(()) };
        let by_time = self.transaction.open_table(DEAD_LETTERS_BY_TIME).map_err(fault)?;
        let letters = self.transaction.open_table(DEAD_LETTERS).map_err(fault)?;
        for entry in by_time.range(..(cut + 1, "")).map_err(fault)? {
            if past.is_full() {
                break;
            }
            let key = entry.map_err(fault)?.0;
            let (at, id) = key.value();
            let Some(row) = letters.get(id).map_err(fault)? else { continue };
            let letter: Option<OfTask> = readable(decode("dead letter", id, row.value().1))?;
            if letter.is_some_and(|letter| self.is_owned(&letter.task.conversation)) {
                past.letters.push((at, id.to_owned()));
            }
        }
        Ok(())
    }

    fn reports(&self, past: &mut Past) -> Result<(), StoreError> {
        let Some(cut) = cut(self.now, self.retention.reports) else { return Ok(()) };
        let reports = self.transaction.open_table(REPORTS).map_err(fault)?;
        for entry in reports.range(0..).map_err(fault)? {
            if past.is_full() {
                break;
            }
            let (number, json) = entry.map_err(fault)?;
            let report: Option<Report> = readable(decode("report", number.value(), json.value()))?;
            if report.is_some_and(|report| report.at.as_millis() <= cut) {
                past.reports.push(number.value());
            }
        }
        Ok(())
    }

    fn conversations(&self, past: &mut Past) -> Result<(), StoreError> {
        let Some(cut) = cut(self.now, self.retention.conversations) else { return Ok(()) };
        let by_day = self.transaction.open_table(ACTIVITY_BY_DAY).map_err(fault)?;
        let states = self.transaction.open_table(CONVERSATIONS).map_err(fault)?;
        let timers = self.transaction.open_table(TIMERS).map_err(fault)?;
        let mut busy = None;
        // A day counts when all of it is past.
        for entry in by_day.range(..(day_of(cut), "")).map_err(fault)? {
            if past.is_full() {
                break;
            }
            let key = entry.map_err(fault)?.0;
            let (day, id) = key.value();
            let Some(conversation) = readable(super::id_of(id))? else { continue };
            let partition = Partition::of(&conversation, self.partitions);
            if !self.owned.contains(&partition) {
                continue;
            }
            let busy = match &busy {
                Some(busy) => busy,
                None => match readable(self.busy())? {
                    Some(found) => busy.insert(found),
                    // A task says nothing about whose it is: it could be anybody's.
                    None => return Ok(()),
                },
            };
            let first = timers.range((partition.0, id, "")..).map_err(fault)?.next().transpose().map_err(fault)?;
            let timer = first.is_some_and(|(key, _)| (key.value().0, key.value().1) == (partition.0, id));
            if timer || busy.contains(&conversation) {
                continue;
            }
            let (version, joined) = match states.get(id).map_err(fault)? {
                None => (0, false),
                Some(state) => {
                    let (version, _, json) = state.value();
                    let Some(state) = readable(decode::<State>("conversation", id, json))? else { continue };
                    (version, state.joined.is_some())
                }
            };
            past.conversations.push(Idle { day, id: id.to_owned(), version, joined });
        }
        Ok(())
    }

    /// Conversations that have tasks, dead letters or unhandled events.
    fn busy(&self) -> Result<HashSet<ConversationId>, StoreError> {
        let mut busy = HashSet::new();
        for entry in self.transaction.open_table(TASKS).map_err(fault)?.iter().map_err(fault)? {
            let (key, json) = entry.map_err(fault)?;
            busy.insert(decode::<Whose>("task", key.value().1, json.value())?.conversation);
        }
        for entry in self.transaction.open_table(DEAD_LETTERS).map_err(fault)?.iter().map_err(fault)? {
            let (id, row) = entry.map_err(fault)?;
            busy.insert(decode::<OfTask>("dead letter", id.value(), row.value().1)?.task.conversation);
        }
        let events = self.transaction.open_table(EVENTS).map_err(fault)?;
        for entry in self.transaction.open_table(JOURNAL).map_err(fault)?.iter().map_err(fault)? {
            let (_, position) = entry.map_err(fault)?.0.value();
            if let Some(row) = events.get(position).map_err(fault)? {
                let (conversation, others) = whose(row.value().0)?;
                busy.insert(conversation);
                // They are about to be joined.
                busy.extend(others);
            }
        }
        Ok(busy)
    }
}

#[derive(Deserialize)]
struct Whose {
    conversation: ConversationId,
}

#[derive(Deserialize)]
struct OfTask {
    task: Whose,
}

#[derive(Deserialize)]
struct State {
    #[serde(default)]
    joined: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Named {
    id: EventId,
}

/// Removes what was found, unless something has happened to it since.
pub(super) fn remove(tables: &mut Tables<'_>, past: &Past, now: Timestamp) -> Result<Removed, StoreError> {
    let mut removed = Removed::default();
    for key in &past.raws {
        removed.raw += u64::from(tables.raws.remove(key).map_err(fault)?.is_some());
    }
    for (at, position) in &past.events {
        removed.events += u64::from(remove_event(tables, *at, *position, now)?);
    }
    for (at, id) in &past.ids {
        tables.forgotten_ids.remove((*at, id.as_str())).map_err(fault)?;
        tables.event_ids.remove(id.as_str()).map_err(fault)?;
    }
    for (at, id) in &past.letters {
        // It may have died again since.
        if tables.dead_letters_by_time.get((*at, id.as_str())).map_err(fault)?.is_some() {
            remove_letter(tables, id)?;
            removed.dead_letters += 1;
        }
    }
    for number in &past.reports {
        removed.reports += u64::from(tables.reports.remove(number).map_err(fault)?.is_some());
    }
    for idle in &past.conversations {
        removed.conversations += u64::from(remove_conversation(tables, idle)?);
    }
    Ok(removed)
}

fn remove_event(tables: &mut Tables<'_>, at: u64, position: u64, now: Timestamp) -> Result<bool, StoreError> {
    let (conversation, id) = {
        let Some(row) = tables.events.get(position).map_err(fault)? else { return Ok(false) };
        let (conversations, json) = row.value();
        let conversation = conversations.split(' ').next().unwrap_or_default().to_owned();
        let Some(named) = readable(decode::<Named>("event at position", position, json))? else { return Ok(false) };
        (conversation, named.id)
    };
    tables.events.remove(position).map_err(fault)?;
    tables.raws.remove((at, position)).map_err(fault)?;
    tables.decisions.remove(position).map_err(fault)?;
    tables.events_by_time.remove((at, position)).map_err(fault)?;
    tables.events_by_conversation.remove((conversation.as_str(), at, position)).map_err(fault)?;
    if Timestamp::from_millis(at).after(IDS_KEPT) > now {
        tables.event_ids.insert(id.as_str(), FORGOTTEN).map_err(fault)?;
        tables.forgotten_ids.insert((at, id.as_str()), NOTHING).map_err(fault)?;
    } else {
        tables.event_ids.remove(id.as_str()).map_err(fault)?;
    }
    let highest = tables.meta.get(META_POSITION).map_err(fault)?.map_or(0, |highest| highest.value());
    if position > highest {
        tables.meta.insert(META_POSITION, position).map_err(fault)?;
    }
    Ok(true)
}

fn remove_conversation(tables: &mut Tables<'_>, idle: &Idle) -> Result<bool, StoreError> {
    let id = idle.id.as_str();
    let day = tables.activity.get(id).map_err(fault)?.map(|day| day.value());
    let version = tables.conversations.get(id).map_err(fault)?.map_or(0, |state| state.value().0);
    // Whatever gives it a task or a timer is an event or writes its state.
    if (day, version) != (Some(idle.day), idle.version) {
        return Ok(false);
    }
    tables.activity_by_day.remove((idle.day, id)).map_err(fault)?;
    if idle.joined {
        return Ok(false);
    }
    tables.activity.remove(id).map_err(fault)?;
    let desks = below(tables.links.range((id, "")..).map_err(fault)?, |key| (key.0 == id).then(|| key.1.to_owned()))?;
    for desk in desks {
        tables.links.remove((id, desk.as_str())).map_err(fault)?;
    }
    let range = tables.tickets_by_conversation.range((id, "", "")..).map_err(fault)?;
    for (desk, ticket) in below(range, |key| (key.0 == id).then(|| (key.1.to_owned(), key.2.to_owned())))? {
        tables.tickets_by_conversation.remove((id, desk.as_str(), ticket.as_str())).map_err(fault)?;
        tables.tickets.remove((desk.as_str(), ticket.as_str())).map_err(fault)?;
    }
    let range = tables.identities_by_conversation.range((id, "")..).map_err(fault)?;
    for key in below(range, |key| (key.0 == id).then(|| key.1.to_owned()))? {
        tables.identities_by_conversation.remove((id, key.as_str())).map_err(fault)?;
        tables.identities.remove(key.as_str()).map_err(fault)?;
    }
    let range = tables.media_by_conversation.range((id, "")..).map_err(fault)?;
    for media in below(range, |key| (key.0 == id).then(|| key.1.to_owned()))? {
        tables.media_by_conversation.remove((id, media.as_str())).map_err(fault)?;
        tables.media.remove(media.as_str()).map_err(fault)?;
    }
    Ok(tables.conversations.remove(id).map_err(fault)?.is_some())
}

/// What `part` gives of the keys of a range, until it gives nothing.
fn below<K: redb::Key + 'static, V: redb::Value + 'static, T>(
    range: redb::Range<'_, K, V>,
    part: impl Fn(K::SelfType<'_>) -> Option<T>,
) -> Result<Vec<T>, StoreError> {
    let mut parts = Vec::new();
    for entry in range {
        let (key, _) = entry.map_err(fault)?;
        match part(key.value()) {
            Some(part) => parts.push(part),
            None => break,
        }
    }
    Ok(parts)
}
