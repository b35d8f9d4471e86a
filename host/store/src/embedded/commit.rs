//! The one atomic write that ends the handling of an event or a task.

use std::collections::BTreeSet;

use patchbay_model::{ConversationId, EventId, MediaId, TaskId, Timestamp};

use super::append::{self, Incoming, Places};
use super::tables::{FORGOTTEN, NOTHING, Tables};
use super::{decode, encode, fault, links};
use crate::contract::check;
use crate::{ClearedTimer, Commit, Lease, LinkChange, Partition, Position, Shelving, StoreError, Timer};

/// Reports kept, newest first. A plugin that traps on each event of a busy day makes thousands, all alike; the
/// contract asks for the last thousand.
pub(crate) const REPORTS_KEPT: u64 = 10_000;

/// A commit, made ready by its caller so that the writer only has to put it into place.
pub(super) struct Prepared {
    pub(super) lease: Lease,
    handled: Option<Position>,
    conversation: Option<State>,
    put_tasks: Vec<(TaskId, Vec<u8>)>,
    finished_tasks: Vec<TaskId>,
    dead_letters: Vec<(TaskId, Timestamp, Vec<u8>)>,
    settled_letters: Vec<TaskId>,
    set_timers: Vec<(ConversationId, String, Vec<u8>)>,
    cleared_timers: Vec<ClearedTimer>,
    links: Vec<LinkChange>,
    media: Vec<(MediaId, ConversationId, Vec<u8>)>,
    append: Vec<Incoming>,
    reports: Vec<Vec<u8>>,
    decision: Option<(EventId, Vec<u8>)>,
    documents: Vec<Shelving>,
}

/// A conversation's new state.
struct State {
    id: ConversationId,
    expected: u64,
    /// Of the whole commit; empty where the handled event is the witness.
    fingerprint: String,
    json: Vec<u8>,
}

impl Prepared {
    /// # Errors
    /// [`StoreError::Unsuitable`] when the commit names a conversation of another partition.
    pub(super) fn new(lease: &Lease, commit: Commit, partitions: u16) -> Result<Self, StoreError> {
        belongs(lease.partition, &commit, partitions)?;
        let conversation = match &commit.conversation {
            None => None,
            Some((expected, state)) => {
                let fingerprint = fingerprint(&commit)?;
                Some(State { id: state.id.clone(), expected: *expected, fingerprint, json: encode(state)? })
            }
        };
        let letters = commit.dead_letters.iter();
        Ok(Self {
            lease: lease.clone(),
            handled: commit.handled,
            conversation,
            put_tasks: collect(commit.put_tasks.iter().map(|task| Ok((task.id.clone(), encode(task)?))))?,
            dead_letters: collect(letters.map(|letter| Ok((letter.task.id.clone(), letter.died_at, encode(letter)?))))?,
            set_timers: collect(
                commit.set_timers.iter().map(|t| Ok((t.conversation.clone(), t.name.clone(), encode(t)?))),
            )?,
            media: collect(
                commit.media.iter().map(|media| Ok((media.id.clone(), media.conversation.clone(), encode(media)?))),
            )?,
            append: collect(commit.append.into_iter().map(Incoming::prepare))?,
            reports: collect(commit.reports.iter().map(encode))?,
            decision: commit.decision.map(|one| encode(&one).map(|json| (one.event, json))).transpose()?,
            finished_tasks: commit.finished_tasks,
            settled_letters: commit.settled_letters,
            cleared_timers: commit.cleared_timers,
            links: commit.links,
            documents: commit.documents,
        })
    }

    /// Writes it, unless it has been written. The lease has been checked.
    ///
    /// Everything that can refuse the commit is looked at before the first change: the transaction is shared with others.
    pub(super) fn apply(&self, tables: &mut Tables<'_>, places: &mut Places) -> Result<Applied, StoreError> {
        let partition = self.lease.partition.0;
        let stored = self.stored(tables)?;
        if self.is_applied(tables, stored.as_ref())? {
            return Ok(Applied::Before);
        }
        if let Some(state) = &self.conversation {
            let found = stored.map_or(0, |(version, _)| version);
            if found != state.expected {
                let (conversation, expected) = (state.id.clone(), state.expected);
                return Ok(Applied::Refused(StoreError::Conflict { conversation, expected, found }));
            }
        }
        let mut sizes = Vec::with_capacity(self.documents.len());
        for shelving in &self.documents {
            let Ok(after) = shelving.weigh(tables)? else {
                return Ok(Applied::Refused(StoreError::Overtaken { space: shelving.space.clone() }));
            };
            sizes.push(after);
        }
        if let Some(position) = self.handled {
            tables.journal.remove((partition, position.0)).map_err(fault)?;
        }
        for (shelving, after) in self.documents.iter().zip(sizes) {
            shelving.put(tables, after)?;
        }
        if let Some(state) = &self.conversation {
            let value = (state.expected.saturating_add(1), state.fingerprint.as_str(), state.json.as_slice());
            tables.conversations.insert(state.id.as_str(), value).map_err(fault)?;
            if tables.activity.get(state.id.as_str()).map_err(fault)?.is_none() {
                // Not an event's doing, so that no event says when.
                tables.touch(state.id.as_str(), Timestamp::now().as_millis())?;
            }
        }
        self.write_tasks(tables)?;
        self.write_timers(tables)?;
        for change in &self.links {
            links::apply(tables, change)?;
        }
        for (id, conversation, json) in &self.media {
            put_media(tables, id, conversation, json)?;
        }
        for incoming in &self.append {
            append::append(tables, places, incoming)?;
        }
        self.write_reports(tables)?;
        if let Some((event, json)) = &self.decision {
            put_decision(tables, event, json)?;
        }
        Ok(Applied::Now)
    }

    /// The stored version of the commit's conversation, and whether this very commit wrote it.
    fn stored(&self, tables: &Tables<'_>) -> Result<Option<(u64, bool)>, StoreError> {
        let Some(state) = &self.conversation else { return Ok(None) };
        let value = tables.conversations.get(state.id.as_str()).map_err(fault)?;
        Ok(value.map(|value| {
            let (version, fingerprint, _) = value.value();
            (version, !fingerprint.is_empty() && fingerprint == state.fingerprint)
        }))
    }

    /// Looks at the commit's witness, as [`Commit`] describes it.
    fn is_applied(&self, tables: &Tables<'_>, stored: Option<&(u64, bool)>) -> Result<bool, StoreError> {
        let partition = self.lease.partition.0;
        if let Some(position) = self.handled {
            return Ok(tables.journal.get((partition, position.0)).map_err(fault)?.is_none());
        }
        if let Some(state) = &self.conversation {
            let new = state.expected.saturating_add(1);
            return Ok(stored.is_some_and(|(version, ours)| *version == new && *ours));
        }
        let ended = self.finished_tasks.iter().chain(self.dead_letters.iter().map(|(id, ..)| id));
        let mut named = false;
        for id in ended {
            named = true;
            if tables.tasks.get((partition, id.as_str())).map_err(fault)?.is_some() {
                return Ok(false);
            }
        }
        Ok(named)
    }

    fn write_tasks(&self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        let partition = self.lease.partition.0;
        for id in &self.finished_tasks {
            tables.tasks.remove((partition, id.as_str())).map_err(fault)?;
        }
        for (id, died_at, json) in &self.dead_letters {
            let (id, died_at) = (id.as_str(), died_at.as_millis());
            tables.tasks.remove((partition, id)).map_err(fault)?;
            put_letter(tables, id, died_at, json)?;
        }
        for id in self.settled_letters.iter().map(TaskId::as_str) {
            remove_letter(tables, id)?;
        }
        for (id, json) in &self.put_tasks {
            tables.tasks.insert((partition, id.as_str()), json.as_slice()).map_err(fault)?;
        }
        Ok(())
    }

    fn write_timers(&self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        let partition = self.lease.partition.0;
        for cleared in &self.cleared_timers {
            let key = (partition, cleared.conversation.as_str(), cleared.name.as_str());
            let meant = match cleared.at {
                None => true,
                // One that cannot be read is not known to be meant: it stays, and nobody loads it.
                Some(at) => tables.timers.get(key).map_err(fault)?.is_some_and(|json| {
                    decode::<Timer>("timer of", &cleared.conversation, json.value()).is_ok_and(|timer| timer.at == at)
                }),
            };
            if meant {
                tables.timers.remove(key).map_err(fault)?;
            }
        }
        for (conversation, name, json) in &self.set_timers {
            let key = (partition, conversation.as_str(), name.as_str());
            tables.timers.insert(key, json.as_slice()).map_err(fault)?;
        }
        Ok(())
    }

    fn write_reports(&self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        self.reports.iter().try_for_each(|json| add_report(tables, json))
    }
}

/// Adds a report, and removes the one that is too many.
pub(super) fn add_report(tables: &mut Tables<'_>, json: &[u8]) -> Result<(), StoreError> {
    let last = tables.reports.last().map_err(fault)?.map_or(0, |(number, _)| number.value());
    let number = last.saturating_add(1);
    tables.reports.insert(number, json).map_err(fault)?;
    if let Some(old) = number.checked_sub(REPORTS_KEPT) {
        tables.reports.remove(old).map_err(fault)?;
    }
    Ok(())
}

/// Puts a dead letter, in the place of an older one of the same task.
pub(super) fn put_letter(tables: &mut Tables<'_>, id: &str, died_at: u64, json: &[u8]) -> Result<(), StoreError> {
    let before = tables.dead_letters.insert(id, (died_at, json)).map_err(fault)?.map(|before| before.value().0);
    if let Some(before) = before {
        tables.dead_letters_by_time.remove((before, id)).map_err(fault)?;
    }
    tables.dead_letters_by_time.insert((died_at, id), NOTHING).map_err(fault)?;
    Ok(())
}

/// Removes a dead letter, if it is there.
pub(super) fn remove_letter(tables: &mut Tables<'_>, id: &str) -> Result<(), StoreError> {
    let before = tables.dead_letters.remove(id).map_err(fault)?.map(|letter| letter.value().0);
    if let Some(died_at) = before {
        tables.dead_letters_by_time.remove((died_at, id)).map_err(fault)?;
    }
    Ok(())
}

/// Puts a decision beside its event, if that is kept.
pub(super) fn put_decision(tables: &mut Tables<'_>, event: &EventId, json: &[u8]) -> Result<(), StoreError> {
    let position = tables.event_ids.get(event.as_str()).map_err(fault)?.map(|position| position.value());
    if let Some(position) = position.filter(|position| *position != FORGOTTEN) {
        tables.decisions.insert(position, json).map_err(fault)?;
    }
    Ok(())
}

/// Puts a media record.
pub(super) fn put_media(
    tables: &mut Tables<'_>,
    id: &MediaId,
    conversation: &ConversationId,
    json: &[u8],
) -> Result<(), StoreError> {
    tables.media.insert(id.as_str(), json).map_err(fault)?;
    tables.media_by_conversation.insert((conversation.as_str(), id.as_str()), NOTHING).map_err(fault)?;
    Ok(())
}

/// What became of a commit.
#[derive(Debug)]
pub(super) enum Applied {
    /// It is written now.
    Now,
    /// It was written before; nothing is written now.
    Before,
    /// It cannot be written; nothing is.
    Refused(StoreError),
}

fn collect<T>(items: impl Iterator<Item = Result<T, StoreError>>) -> Result<Vec<T>, StoreError> {
    items.collect()
}

/// What a commit is known again by that writes a conversation; empty where the handled event is its witness.
pub(crate) fn fingerprint(commit: &Commit) -> Result<String, StoreError> {
    match commit.handled {
        Some(_) => Ok(String::new()),
        None => Ok(patchbay_model::ids::derive("commit", &[&encode(commit)?])),
    }
}

/// Checks what can be checked of a commit without the store.
///
/// A store for many nodes cannot write two partitions at once, so nobody may rely on it here.
pub(crate) fn belongs(partition: Partition, commit: &Commit, partitions: u16) -> Result<(), StoreError> {
    let conversations = (commit.conversation.iter().map(|(_, state)| &state.id))
        .chain(commit.put_tasks.iter().map(|task| &task.conversation))
        .chain(commit.dead_letters.iter().map(|letter| &letter.task.conversation))
        .chain(commit.set_timers.iter().map(|timer| &timer.conversation))
        .chain(commit.cleared_timers.iter().map(|timer| &timer.conversation))
        .chain(commit.links.iter().map(LinkChange::conversation))
        .chain(commit.media.iter().map(|media| &media.conversation));
    for conversation in conversations {
        let other = Partition::of(conversation, partitions);
        if other != partition {
            return Err(StoreError::Unsuitable(format!(
                "a commit to partition {partition} names {conversation}, which belongs to partition {other}"
            )));
        }
    }
    if !commit.documents.is_empty() && commit.handled.is_none() {
        return Err(StoreError::Unsuitable("a commit writes documents, and handles no event".into()));
    }
    let mut spaces = BTreeSet::new();
    for Shelving { space, writes, .. } in &commit.documents {
        check(space, writes)?;
        if !spaces.insert(space) {
            return Err(StoreError::Unsuitable(format!("a commit names the space {space} twice: name it once")));
        }
    }
    Ok(())
}
