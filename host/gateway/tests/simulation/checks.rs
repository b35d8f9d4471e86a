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
    let everywhere: BTreeSet<&EventId> = records.iter().map(|record| &record.event.id).collect();
    let mut handled = BTreeSet::new();
    for (id, records) in &conversations {
        for event in conversation(store, id, records, &everywhere, &mut wrong) {
            if !handled.insert(event.clone()) {
                wrong.push(format!("event {event} was handled twice"));
            }
        }
    }
    effects(&shared, store, &records, &handled, &mut wrong);
    let letters = at_once(store.dead_letters(9)).unwrap();
    if !letters.is_empty() {
        wrong.push(format!("{} dead letters, of {}", letters.len(), letters[0].task.id));
    }
    wrong.extend(at_once(store.verify()).unwrap().problems);
    for what in wrong {
        shared.violation(now, usize::from(PARTITIONS), what);
    }
}

/// Each event of a conversation was handled once, in the journal's order. Where it has joined another one, that is so up to
/// some event, and the others were passed on. Gives what was handled.
fn conversation(
    store: &MemoryStore,
    id: &ConversationId,
    records: &[&EventRecord],
    everywhere: &BTreeSet<&EventId>,
    wrong: &mut Vec<String>,
) -> Vec<String> {
    let Some(known) = at_once(store.conversation(id)).unwrap() else {
        wrong.push(format!("conversation {id} was forgotten"));
        return Vec::new();
    };
    let attributes = &known.value.attributes;
    let of = |name: &str| attributes.get(name).map(String::as_str).unwrap_or_default();
    let here: BTreeSet<&str> = records.iter().map(|record| record.event.id.as_str()).collect();
    // What a conversation that goes on here has seen may have come with it.
    let seen: Vec<&str> = of(SEEN).split_whitespace().filter(|event| here.contains(event)).collect();
    let asked: Vec<&&EventRecord> = (records.iter())
        .filter(|record| matches!(record.event.body, Body::Message(_) | Body::Timer(_) | Body::Custom(_)))
        .collect();
    let mut expected: Vec<&str> = asked.iter().map(|record| record.event.id.as_str()).collect();
    if let Some(into) = &known.value.joined {
        for record in asked.iter().skip(seen.len()) {
            let event = &record.event.id;
            let passed = EventId::derive(&[b"passed on", event.as_str().as_bytes(), into.as_str().as_bytes()]);
            if !everywhere.contains(&passed) {
                wrong.push(format!("event {event} of conversation {id} was not passed on to {into}"));
            }
        }
        expected.truncate(seen.len());
    }
    if seen != expected {
        let same = seen.iter().zip(&expected).take_while(|(seen, expected)| seen == expected).count();
        let (seen, expected) = (&seen[same..], &expected[same..]);
        wrong.push(format!("conversation {id} has handled {seen:?} and not {expected:?} after {same} others"));
    }
    let joins = records.iter().any(|record| matches!(record.event.body, Body::Join(_) | Body::Joined(_)));
    if !joins && known.value.joined.is_none() {
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
    seen.into_iter().map(str::to_owned).collect()
}

/// Each effect that was ordered has happened, under one key, in order.
fn effects(
    shared: &Inner,
    store: &MemoryStore,
    records: &[EventRecord],
    handled: &BTreeSet<String>,
    wrong: &mut Vec<String>,
) {
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
        if !sends || !handled.contains(event.id.as_str()) {
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
