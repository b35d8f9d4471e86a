//! Reading everything, and holding rows and indexes against each other.

use patchbay_model::decision::Decision;
use patchbay_model::task::DeadLetter;
use patchbay_model::{Arrival, Conversation, Task};
use redb::{ReadTransaction, ReadableTable};

use super::append::FORMER;
use super::reads::{raw_item, whose};
use super::tables::{
    ACTIVITY, ACTIVITY_BY_DAY, CONVERSATIONS, DEAD_LETTERS, DEAD_LETTERS_BY_TIME, DECISIONS, EVENT_IDS, EVENTS,
    EVENTS_BY_CONVERSATION, EVENTS_BY_TIME, FORGOTTEN, FORGOTTEN_IDS, IDENTITIES, IDENTITIES_BY_CONVERSATION, JOURNAL,
    LINKS, MEDIA, MEDIA_BY_CONVERSATION, RAWS, REPORTS, TASKS, TICKETS, TICKETS_BY_CONVERSATION, TIMERS, table,
};
use super::{decode, fault, id_of, shelf};
use crate::{Link, MediaRecord, Partition, Report, StoreError, Timer, Verification};

/// Problems that are told at most: nobody reads more of them.
const TOLD: usize = 1_000;

/// Checks every row of a snapshot.
pub(super) fn verify(transaction: &ReadTransaction, partitions: u16) -> Result<Verification, StoreError> {
    let mut check = Check { transaction, partitions, found: Verification::default() };
    check.events()?;
    check.event_indexes()?;
    check.event_ids()?;
    check.identities()?;
    check.conversations()?;
    check.lanes()?;
    check.tickets()?;
    check.media()?;
    check.letters()?;
    check.reports()?;
    check.decisions()?;
    check.documents()?;
    Ok(check.found)
}

struct Check<'c> {
    transaction: &'c ReadTransaction,
    partitions: u16,
    found: Verification,
}

/// Goes through a table: counts its rows, and lets `$look` say what is wrong with each of them.
macro_rules! each {
    ($check:expr, $table:expr, |$key:ident, $row:ident| $look:expr) => {
        if let Some(table) = table($check.transaction, $table)? {
            for entry in table.iter().map_err(fault)? {
                let (key, row) = entry.map_err(fault)?;
                let ($key, $row) = (key.value(), row.value());
                $check.found.checked += 1;
                let wrong: Option<String> = $look;
                $check.tell(wrong);
            }
        }
    };
}

/// `Some` sentence where something is missing.
macro_rules! unless {
    ($fine:expr, $($sentence:tt)+) => {
        if $fine { None } else { Some(format!($($sentence)+)) }
    };
}

impl Check<'_> {
    fn tell(&mut self, wrong: Option<String>) {
        if self.found.problems.len() < TOLD {
            self.found.problems.extend(wrong);
        }
    }

    fn events(&mut self) -> Result<(), StoreError> {
        let ids = self.transaction.open_table(EVENT_IDS).map_err(fault)?;
        let by_time = self.transaction.open_table(EVENTS_BY_TIME).map_err(fault)?;
        let by_conversation = self.transaction.open_table(EVENTS_BY_CONVERSATION).map_err(fault)?;
        each!(self, EVENTS, |position, row| {
            let arrival = decode::<Arrival>("event at position", position, row.1);
            match arrival.and_then(|arrival| whose(row.0).map(|(conversation, _)| (arrival, conversation))) {
                Err(error) => Some(error.to_string()),
                Ok((arrival, conversation)) => {
                    let (at, kind) = (arrival.received_at.as_millis(), arrival.body.kind());
                    let id = ids.get(arrival.id.as_str()).map_err(fault)?.map(|found| found.value());
                    let time = by_time.get((at, position)).map_err(fault)?;
                    let key = (conversation.as_str(), at, position);
                    let listed = by_conversation.get(key).map_err(fault)?;
                    let fine = id == Some(position)
                        && time.is_some_and(|found| found.value() == kind)
                        && listed.is_some_and(|found| found.value() == kind);
                    unless!(fine, "event {} at position {position} is missing in an index", arrival.id)
                }
            }
        });
        Ok(())
    }

    fn event_indexes(&mut self) -> Result<(), StoreError> {
        let events = self.transaction.open_table(EVENTS).map_err(fault)?;
        let there = |position: u64| Ok::<_, StoreError>(events.get(position).map_err(fault)?.is_some());
        each!(self, EVENTS_BY_TIME, |key, _row| {
            unless!(there(key.1)?, "the list by time names position {}, where no event is", key.1)
        });
        each!(self, EVENTS_BY_CONVERSATION, |key, _row| {
            unless!(there(key.2)?, "the list of {} names position {}, where no event is", key.0, key.2)
        });
        each!(self, RAWS, |key, row| match raw_item(key.1, row) {
            Err(error) => Some(error.to_string()),
            Ok(_) => unless!(there(key.1)?, "raw JSON is kept for position {}, where no event is", key.1),
        });
        let partitions = self.partitions;
        each!(self, JOURNAL, |key, _row| {
            let row = events.get(key.1).map_err(fault)?;
            let conversation = row.and_then(|row| whose(row.value().0).ok()).map(|(conversation, _)| conversation);
            let partition = conversation.map(|conversation| Partition::of(&conversation, partitions).0);
            unless!(partition == Some(key.0), "the journal of partition {} names position {} wrongly", key.0, key.1)
        });
        Ok(())
    }

    fn event_ids(&mut self) -> Result<(), StoreError> {
        let events = self.transaction.open_table(EVENTS).map_err(fault)?;
        let ids = self.transaction.open_table(EVENT_IDS).map_err(fault)?;
        let mut forgotten = 0_u64;
        each!(self, EVENT_IDS, |id, position| {
            forgotten += u64::from(position == FORGOTTEN);
            let there = position == FORGOTTEN || events.get(position).map_err(fault)?.is_some();
            unless!(there, "event {id} is said to be at position {position}, where no event is")
        });
        each!(self, FORGOTTEN_IDS, |key, _row| {
            let known = ids.get(key.1).map_err(fault)?.is_some_and(|position| position.value() == FORGOTTEN);
            forgotten = forgotten.saturating_sub(u64::from(known));
            unless!(known, "the forgotten id {} is not among the ids", key.1)
        });
        self.tell(unless!(forgotten == 0, "{forgotten} ids of forgotten events are never removed"));
        Ok(())
    }

    fn identities(&mut self) -> Result<(), StoreError> {
        let identities = self.transaction.open_table(IDENTITIES).map_err(fault)?;
        let back = self.transaction.open_table(IDENTITIES_BY_CONVERSATION).map_err(fault)?;
        each!(self, IDENTITIES, |key, row| {
            let conversation = row.trim_end_matches(FORMER);
            let fine = id_of(conversation).is_ok() && back.get((conversation, key)).map_err(fault)?.is_some();
            unless!(fine, "identity {key} leads to no conversation, or is missing in its list")
        });
        each!(self, IDENTITIES_BY_CONVERSATION, |key, _row| {
            let known = identities.get(key.1).map_err(fault)?;
            let fine = known.is_some_and(|known| known.value().trim_end_matches(FORMER) == key.0);
            unless!(fine, "the list of {} names identity {}, which is not its own", key.0, key.1)
        });
        Ok(())
    }

    fn conversations(&mut self) -> Result<(), StoreError> {
        let states = self.transaction.open_table(CONVERSATIONS).map_err(fault)?;
        let activity = self.transaction.open_table(ACTIVITY).map_err(fault)?;
        let by_day = self.transaction.open_table(ACTIVITY_BY_DAY).map_err(fault)?;
        each!(self, CONVERSATIONS, |id, row| match decode::<Conversation>("conversation", id, row.2) {
            Err(error) => Some(error.to_string()),
            Ok(state) => {
                let fine = state.id.as_str() == id && activity.get(id).map_err(fault)?.is_some();
                unless!(fine, "conversation {id} has another's state, or is never thinned out")
            }
        });
        each!(self, ACTIVITY, |id, day| {
            let listed = by_day.get((day, id)).map_err(fault)?.is_some();
            let joined = || {
                let state = states.get(id).map_err(fault)?;
                let state = state.and_then(|state| decode::<Conversation>("conversation", id, state.value().2).ok());
                Ok::<_, StoreError>(state.is_some_and(|state| state.joined.is_some()))
            };
            unless!(listed || joined()?, "the day of {id} is missing in its list")
        });
        each!(self, ACTIVITY_BY_DAY, |key, _row| {
            let fine = activity.get(key.1).map_err(fault)?.is_some_and(|day| day.value() == key.0);
            unless!(fine, "the list of day {} names {}, wrongly", key.0, key.1)
        });
        Ok(())
    }

    fn lanes(&mut self) -> Result<(), StoreError> {
        let partitions = self.partitions;
        each!(self, TASKS, |key, row| match decode::<Task>("task", key.1, row) {
            Err(error) => Some(error.to_string()),
            Ok(task) => {
                let place = (Partition::of(&task.conversation, partitions).0, task.id.as_str());
                unless!(place == key, "task {} of partition {} is out of place", key.1, key.0)
            }
        });
        each!(self, TIMERS, |key, row| match decode::<Timer>("timer of", key.1, row) {
            Err(error) => Some(error.to_string()),
            Ok(timer) => {
                let conversation = &timer.conversation;
                let place = (Partition::of(conversation, partitions).0, conversation.as_str(), timer.name.as_str());
                unless!(place == key, "a timer of {} in partition {} is out of place", key.1, key.0)
            }
        });
        Ok(())
    }

    fn tickets(&mut self) -> Result<(), StoreError> {
        let tickets = self.transaction.open_table(TICKETS).map_err(fault)?;
        let back = self.transaction.open_table(TICKETS_BY_CONVERSATION).map_err(fault)?;
        each!(self, LINKS, |key, row| match decode::<Link>("link of", key.0, row) {
            Err(error) => Some(error.to_string()),
            Ok(link) => {
                let place = (link.conversation.as_str(), link.ticket.desk.as_str());
                let known = tickets.get((key.1, link.ticket.id.as_str())).map_err(fault)?.is_some();
                unless!(
                    known && place == key,
                    "the link of {} in {} is out of place, or its ticket leads nowhere",
                    key.0,
                    key.1
                )
            }
        });
        each!(self, TICKETS, |key, conversation| {
            let fine = id_of(conversation).is_ok() && back.get((conversation, key.0, key.1)).map_err(fault)?.is_some();
            unless!(fine, "ticket {} of {} leads to no conversation, or is missing in its list", key.1, key.0)
        });
        each!(self, TICKETS_BY_CONVERSATION, |key, _row| {
            let fine = tickets.get((key.1, key.2)).map_err(fault)?.is_some_and(|whose| whose.value() == key.0);
            unless!(fine, "the list of {} names ticket {} of {}, which is not its own", key.0, key.2, key.1)
        });
        Ok(())
    }

    fn media(&mut self) -> Result<(), StoreError> {
        let media = self.transaction.open_table(MEDIA).map_err(fault)?;
        let back = self.transaction.open_table(MEDIA_BY_CONVERSATION).map_err(fault)?;
        each!(self, MEDIA, |id, row| match decode::<MediaRecord>("media", id, row) {
            Err(error) => Some(error.to_string()),
            Ok(record) => {
                let listed = back.get((record.conversation.as_str(), id)).map_err(fault)?.is_some();
                unless!(listed && record.id.as_str() == id, "media {id} is another's, or missing in its list")
            }
        });
        each!(self, MEDIA_BY_CONVERSATION, |key, _row| {
            unless!(
                media.get(key.1).map_err(fault)?.is_some(),
                "the list of {} names media {}, which is not there",
                key.0,
                key.1
            )
        });
        Ok(())
    }

    fn letters(&mut self) -> Result<(), StoreError> {
        let letters = self.transaction.open_table(DEAD_LETTERS).map_err(fault)?;
        let by_time = self.transaction.open_table(DEAD_LETTERS_BY_TIME).map_err(fault)?;
        each!(self, DEAD_LETTERS, |id, row| match decode::<DeadLetter>("dead letter", id, row.1) {
            Err(error) => Some(error.to_string()),
            Ok(letter) => {
                let listed = by_time.get((row.0, id)).map_err(fault)?.is_some();
                let fine = listed && letter.task.id.as_str() == id && letter.died_at.as_millis() == row.0;
                unless!(fine, "dead letter {id} is another's, or missing in its list")
            }
        });
        each!(self, DEAD_LETTERS_BY_TIME, |key, _row| {
            let fine = letters.get(key.1).map_err(fault)?.is_some_and(|letter| letter.value().0 == key.0);
            unless!(fine, "the list of dead letters names {}, wrongly", key.1)
        });
        Ok(())
    }

    fn reports(&mut self) -> Result<(), StoreError> {
        each!(self, REPORTS, |number, row| decode::<Report>("report", number, row)
            .err()
            .map(|error| error.to_string()));
        Ok(())
    }

    fn decisions(&mut self) -> Result<(), StoreError> {
        let events = self.transaction.open_table(EVENTS).map_err(fault)?;
        let ids = self.transaction.open_table(EVENT_IDS).map_err(fault)?;
        each!(self, DECISIONS, |position, row| match decode::<Decision>("decision about position", position, row) {
            Err(error) => Some(error.to_string()),
            Ok(decision) => {
                let id = ids.get(decision.event.as_str()).map_err(fault)?.map(|found| found.value());
                let fine = id == Some(position) && events.get(position).map_err(fault)?.is_some();
                unless!(fine, "a decision is kept for position {position}, where its event is not")
            }
        });
        Ok(())
    }

    fn documents(&mut self) -> Result<(), StoreError> {
        let (checked, problems) = shelf::verify(self.transaction)?;
        self.found.checked += checked;
        problems.into_iter().for_each(|problem| self.tell(Some(problem)));
        Ok(())
    }
}
