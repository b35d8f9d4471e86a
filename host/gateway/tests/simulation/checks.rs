//! What must hold in the end.

use std::collections::{BTreeMap, BTreeSet};

use patchbay_model::{Body, Content, ConversationId, EventId, Timestamp};
use patchbay_store::memory::MemoryStore;
use patchbay_store::{EventFilter, EventRecord, Store, Upkeep as _};

use crate::actors::{ARMED, FIRED, SEEN};
use crate::intake::Webhook;
use crate::node::at_once;
use crate::run::PARTITIONS;
use crate::shared::{Inner, Shared};

/// Looks at everything.
pub(crate) fn check(shared: &Shared, store: &MemoryStore, webhooks: &[Webhook], now: Timestamp) {
    let mut shared = shared.lock();
    let mut wrong = Vec::new();
    let filter = EventFilter { limit: usize::MAX, ..EventFilter::default() };
    let mut records = at_once(store.events(&filter)).unwrap();
    records.sort_by_key(|record| record.position);
    for webhook in webhooks {
        let times = records.iter().filter(|record| record.event.id == webhook.arrival.id).count();
        if times != 1 {
            wrong.push(format!("event {} stands in the journal {times} times", webhook.arrival.id));
        }
    }
    let mut conversations: BTreeMap<&ConversationId, Vec<&EventRecord>> = BTreeMap::new();
    for record in &records {
        conversations.entry(&record.event.conversation).or_default().push(record);
    }
    for (id, records) in &conversations {
        conversation(store, id, records, &mut wrong);
    }
    effects(&shared, store, &records, &mut wrong);
    let letters = at_once(store.dead_letters(9)).unwrap();
    if !letters.is_empty() {
        wrong.push(format!("{} dead letters, of {}", letters.len(), letters[0].task.id));
    }
    wrong.extend(at_once(store.verify()).unwrap().problems);
    for what in wrong {
        shared.violation(now, usize::from(PARTITIONS), what);
    }
}

/// Each event of a conversation was handled once, in the journal's order.
fn conversation(store: &MemoryStore, id: &ConversationId, records: &[&EventRecord], wrong: &mut Vec<String>) {
    let Some(known) = at_once(store.conversation(id)).unwrap() else {
        wrong.push(format!("conversation {id} was forgotten"));
        return;
    };
    let attributes = &known.value.attributes;
    let of = |name: &str| attributes.get(name).map(String::as_str).unwrap_or_default();
    let seen: Vec<&str> = of(SEEN).split_whitespace().collect();
    let expected: Vec<&str> = (records.iter())
        .filter(|record| matches!(record.event.body, Body::Message(_) | Body::Timer(_) | Body::Custom(_)))
        .map(|record| record.event.id.as_str())
        .collect();
    if seen != expected {
        let same = seen.iter().zip(&expected).take_while(|(seen, expected)| seen == expected).count();
        let (seen, expected) = (&seen[same..], &expected[same..]);
        wrong.push(format!("conversation {id} has handled {seen:?} and not {expected:?} after {same} others"));
    }
    if of(ARMED) != of(FIRED) {
        wrong.push(format!("conversation {id}: the timer of {} went off for {}", of(ARMED), of(FIRED)));
    }
    let emitted = (records.iter())
        .filter(|record| matches!(record.event.body, Body::Message(_)))
        .filter(|record| record.event.id.as_str().bytes().last().is_some_and(|byte| byte.is_multiple_of(3)))
        .count();
    let custom = records.iter().filter(|record| matches!(record.event.body, Body::Custom(_))).count();
    if emitted != custom {
        wrong.push(format!("conversation {id}: {emitted} events were emitted, {custom} came"));
    }
}

/// Each effect that was ordered has happened, under one key, in order.
fn effects(shared: &Inner, store: &MemoryStore, records: &[EventRecord], wrong: &mut Vec<String>) {
    let mut happened: BTreeMap<(&EventId, &str), BTreeSet<&str>> = BTreeMap::new();
    for run in shared.runs.iter().filter(|run| run.happened) {
        happened.entry((&run.event, run.kind)).or_default().insert(run.task.as_str());
    }
    let known: BTreeSet<&EventId> = records.iter().map(|record| &record.event.id).collect();
    for run in shared.runs.iter().filter(|run| !known.contains(&run.event)) {
        wrong.push(format!("task {} was carried out for an event that never was", run.task));
    }
    for record in records {
        let event = &record.event;
        let sends = match &event.body {
            Body::Message(message) => {
                if let Content::Media(media) = &message.content
                    && at_once(store.media(&media.id)).unwrap().is_none()
                {
                    wrong.push(format!("the file of event {} was never fetched", event.id));
                }
                true
            }
            Body::Timer(_) => true,
            _ => false,
        };
        if !sends {
            continue;
        }
        match happened.get(&(&event.id, "send")).map_or(0, BTreeSet::len) {
            1 => {}
            keys => wrong.push(format!("the answer to event {} was sent under {keys} keys", event.id)),
        }
    }
    if shared.losses > 0 {
        // What was lost was decided again, perhaps in another order.
        return;
    }
    let mut last: BTreeMap<&ConversationId, u64> = BTreeMap::new();
    let mut first = BTreeSet::new();
    for run in shared.runs.iter().filter(|run| run.happened && run.kind == "send") {
        if !first.insert(&run.task) {
            continue;
        }
        let before = last.insert(&run.conversation, run.sequence);
        if before.is_some_and(|before| before > run.sequence) {
            wrong.push(format!("task {} overtook another one of its conversation", run.task));
        }
    }
}
