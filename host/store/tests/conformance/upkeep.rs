//! Numbers, checks, and thinning out.

use std::sync::Arc;
use std::time::Duration;

use patchbay_model::{Arrival, ConversationId, MediaId, Timestamp};
use patchbay_store::{
    Appended, Commit, EventFilter, IDS_KEPT, Lease, MediaRecord, MediaState, Partition, Removed, Retention, Stats,
    Store,
};

use super::data::{
    at, conversation, conversation_id, customer, dead, event_id, known, phone, report, task, task_id, ticket_route,
    timer, written,
};
use super::{Instance, journal, own};

/// A day in seconds.
const DAY: u64 = 24 * 60 * 60;

pub(crate) fn days(days: u64) -> Timestamp {
    at(days * DAY)
}

pub(crate) const fn kept(days: u64) -> Option<Duration> {
    Some(Duration::from_secs(days * DAY))
}

/// Every partition of a store.
pub(crate) async fn own_all(store: &Arc<dyn Store>) -> Vec<Lease> {
    let mut leases = Vec::new();
    for partition in 0..store.partitions() {
        leases.push(store.acquire(Partition(partition)).await.unwrap().unwrap());
    }
    leases
}

fn of<'l>(store: &Arc<dyn Store>, leases: &'l [Lease], id: &ConversationId) -> &'l Lease {
    &leases[usize::from(store.partition_of(id).0)]
}

/// Thins out until there is no more, and gives what was removed in all.
pub(crate) async fn thin_out(
    store: &Arc<dyn Store>,
    leases: &[Lease],
    retention: &Retention,
    now: Timestamp,
) -> Removed {
    let mut all = Removed::default();
    loop {
        let some = store.thin_out(leases, retention, now).await.unwrap();
        if some == Removed::default() {
            break;
        }
        all.raw += some.raw;
        all.events += some.events;
        all.conversations += some.conversations;
        all.dead_letters += some.dead_letters;
        all.reports += some.reports;
    }
    is_sound(store).await;
    all
}

async fn is_sound(store: &Arc<dyn Store>) {
    let found = store.verify().await.unwrap();
    assert_eq!(found.problems, Vec::<String>::new());
}

fn received(arrival: Arrival, when: Timestamp) -> Arrival {
    Arrival { received_at: when, ..arrival }
}

async fn handle(store: &Arc<dyn Store>, leases: &[Lease], name: &str) {
    let record = store.event(&event_id(name)).await.unwrap().unwrap();
    let lease = of(store, leases, &record.event.conversation);
    store.commit(lease, Commit { handled: Some(record.position), ..Commit::default() }).await.unwrap();
}

pub(crate) async fn stats_count_everything(instance: &mut impl Instance) {
    let store = instance.store();
    let empty = store.stats().await.unwrap();
    assert_eq!(
        empty,
        Stats {
            kind: empty.kind.clone(),
            partitions: store.partitions(),
            bytes: empty.bytes,
            free_bytes: empty.free_bytes,
            ..Stats::default()
        }
    );
    assert!(!empty.kind.is_empty());
    let leases = own_all(&store).await;
    let (a, b) = (conversation_id("a"), conversation_id("b"));
    let arrivals =
        vec![known("1", &a), known("2", &b), received(known("3", &a), days(1)), received(known("4", &b), days(2))];
    store.append(arrivals).await.unwrap();
    handle(&store, &leases, "1").await;
    handle(&store, &leases, "2").await;
    let media = MediaRecord {
        id: MediaId::derive(&[b"photo"]),
        conversation: a.clone(),
        state: MediaState::Failed { reason: "gone".into() },
    };
    let commit = Commit {
        conversation: Some((0, conversation(&a, ""))),
        put_tasks: vec![task("1", &a, 1), task("2", &a, 2), task("3", &a, 3)],
        set_timers: vec![timer("1", &a, 1), timer("2", &a, 2)],
        links: vec![written(&a, "zendesk", "1")],
        media: vec![media],
        reports: vec![report("1", 1), report("2", 2)],
        ..Commit::default()
    };
    store.commit(of(&store, &leases, &a), commit).await.unwrap();
    let died = Commit { dead_letters: vec![dead(task("3", &a, 3), 1)], ..Commit::default() };
    store.commit(of(&store, &leases, &a), died).await.unwrap();
    let full = store.stats().await.unwrap();
    let expected = Stats {
        kind: full.kind.clone(),
        partitions: store.partitions(),
        events: 4,
        pending_events: 2,
        oldest_pending: Some(days(1)),
        conversations: 1,
        tasks: 2,
        timers: 2,
        links: 1,
        media: 1,
        dead_letters: 1,
        reports: 2,
        documents: 0,
        bytes: full.bytes,
        free_bytes: full.free_bytes,
    };
    assert_eq!(full, expected);
    is_sound(&store).await;
    assert!(store.verify().await.unwrap().checked > 10);
}

pub(crate) async fn raw_json_goes_and_the_event_stays(instance: &mut impl Instance) {
    let store = instance.store();
    let leases = own_all(&store).await;
    let id = conversation_id("a");
    let arrivals = ["old", "old and waiting"].map(|name| known(name, &id)).into_iter();
    store.append(arrivals.chain([received(known("new", &id), days(20))]).collect()).await.unwrap();
    handle(&store, &leases, "old").await;
    handle(&store, &leases, "new").await;
    let retention = Retention { raw: kept(30), ..Retention::default() };
    assert_eq!(thin_out(&store, &leases, &retention, days(29)).await, Removed::default());
    assert_eq!(thin_out(&store, &leases, &retention, days(31)).await, Removed { raw: 1, ..Removed::default() });
    let raw = async |name: &str| store.event(&event_id(name)).await.unwrap().unwrap().raw.is_some();
    assert_eq!((raw("old").await, raw("old and waiting").await, raw("new").await), (false, true, true));
    let old = store.event(&event_id("old")).await.unwrap().unwrap();
    assert_eq!((old.event.body, old.event.conversation), (known("old", &id).body, id.clone()));
    handle(&store, &leases, "old and waiting").await;
    assert_eq!(thin_out(&store, &leases, &retention, days(31)).await.raw, 1);
    drop(store);
    instance.reopen().await;
    assert_eq!(instance.store().events(&EventFilter { limit: 9, ..EventFilter::default() }).await.unwrap().len(), 3);
}

pub(crate) async fn events_go_and_their_ids_are_remembered(instance: &mut impl Instance) {
    let store = instance.store();
    let leases = own_all(&store).await;
    let id = conversation_id("a");
    let arrivals = vec![known("old", &id), known("waiting", &id), received(known("new", &id), days(3))];
    store.append(arrivals).await.unwrap();
    handle(&store, &leases, "old").await;
    handle(&store, &leases, "new").await;
    let retention = Retention { events: kept(2), ..Retention::default() };
    assert_eq!(thin_out(&store, &leases, &retention, days(4)).await, Removed { events: 1, ..Removed::default() });
    assert_eq!(store.event(&event_id("old")).await.unwrap(), None);
    let listed = async |filter: EventFilter| {
        store.events(&filter).await.unwrap().into_iter().map(|record| record.event.id).collect::<Vec<_>>()
    };
    let all = EventFilter { limit: 9, ..EventFilter::default() };
    assert_eq!(listed(all.clone()).await, [event_id("new"), event_id("waiting")]);
    assert_eq!(listed(EventFilter { conversation: Some(id.clone()), ..all }).await.len(), 2);
    assert_eq!(journal(&store, of(&store, &leases, &id)).await.len(), 1, "what waits is never removed");
    assert_eq!(store.stats().await.unwrap().events, 2);

    // WhatsApp delivers it again after a week.
    assert_eq!(store.append(vec![known("old", &id)]).await.unwrap(), [Appended::Duplicate]);
    let still = at(IDS_KEPT.as_secs() - 1);
    assert_eq!(thin_out(&store, &leases, &retention, still).await.events, 1, "the new one");
    assert_eq!(store.append(vec![known("old", &id)]).await.unwrap(), [Appended::Duplicate]);
    drop(store);
    instance.reopen().await;
    let store = instance.store();
    assert_eq!(store.append(vec![known("old", &id)]).await.unwrap(), [Appended::Duplicate]);
    // Positions go on where they were, although the last event is gone.
    let waiting = store.event(&event_id("waiting")).await.unwrap().unwrap().position;
    store.append(vec![known("next", &id)]).await.unwrap();
    assert!(store.event(&event_id("next")).await.unwrap().unwrap().position > waiting);
}

pub(crate) async fn many_events_go_in_pieces(instance: &mut impl Instance) {
    let store = instance.store();
    let leases = own_all(&store).await;
    let id = conversation_id("a");
    let many = 1_200;
    store.append((0..many).map(|n| known(&format!("{n}"), &id)).collect()).await.unwrap();
    let lease = of(&store, &leases, &id);
    let handled: Vec<_> = journal(&store, lease).await.into_iter().map(|record| record.position).collect();
    for position in handled.iter().skip(1) {
        store.commit(lease, Commit { handled: Some(*position), ..Commit::default() }).await.unwrap();
    }
    let retention = Retention { events: kept(30), raw: kept(10), ..Retention::default() };
    assert_eq!(thin_out(&store, &leases, &retention, days(20)).await.raw, many - 1);
    assert_eq!(thin_out(&store, &leases, &retention, days(40)).await.events, many - 1);
    assert_eq!(store.stats().await.unwrap().events, 1);
}

pub(crate) async fn dead_letters_and_reports_go(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let leases = own_all(&store).await;
    let lease = of(&store, &leases, &id);
    let letters = [dead(task("old", &id, 1), 0), dead(task("new", &id, 2), 20 * DAY)];
    let put = Commit { put_tasks: letters.iter().map(|letter| letter.task.clone()).collect(), ..Commit::default() };
    store.commit(lease, put).await.unwrap();
    let commit = Commit {
        dead_letters: letters.to_vec(),
        reports: vec![report("old", 0), report("new", 20 * DAY)],
        ..Commit::default()
    };
    store.commit(lease, commit).await.unwrap();
    let retention = Retention { dead_letters: kept(30), reports: kept(40), ..Retention::default() };
    assert_eq!(thin_out(&store, &leases, &retention, days(29)).await, Removed::default());
    let removed = thin_out(&store, &leases, &retention, days(31)).await;
    assert_eq!(removed, Removed { dead_letters: 1, ..Removed::default() });
    assert_eq!(store.dead_letters(9).await.unwrap(), [letters[1].clone()]);
    assert_eq!(store.dead_letter(&task_id("old")).await.unwrap(), None);
    let removed = thin_out(&store, &leases, &retention, days(41)).await;
    assert_eq!(removed, Removed { reports: 1, ..Removed::default() });
    assert_eq!(store.reports(9).await.unwrap(), [report("new", 20 * DAY)]);
}

/// A conversation of a customer, with everything that belongs to one.
async fn talk(store: &Arc<dyn Store>, leases: &[Lease], name: &str, number: &str) -> ConversationId {
    let arrival = super::data::arrival(name, customer(&[phone(number)]));
    let appended = store.append(vec![arrival]).await.unwrap();
    let [Appended::New { conversation: id, .. }] = appended.as_slice() else { panic!("{appended:?}") };
    let record = store.event(&event_id(name)).await.unwrap().unwrap();
    let media = MediaRecord {
        id: MediaId::derive(&[name.as_bytes()]),
        conversation: id.clone(),
        state: MediaState::Failed { reason: "gone".into() },
    };
    let commit = Commit {
        handled: Some(record.position),
        conversation: Some((0, conversation(id, name))),
        links: vec![written(id, "zendesk", name)],
        media: vec![media],
        ..Commit::default()
    };
    store.commit(of(store, leases, id), commit).await.unwrap();
    id.clone()
}

pub(crate) async fn a_conversation_goes_with_all_that_is_its_own(instance: &mut impl Instance) {
    let store = instance.store();
    let leases = own_all(&store).await;
    let id = talk(&store, &leases, "first", "1").await;
    let other = talk(&store, &leases, "second", "2").await;
    store.append(vec![received(known("later", &other), days(200))]).await.unwrap();
    handle(&store, &leases, "later").await;
    let retention = Retention { conversations: kept(365), events: kept(90), ..Retention::default() };
    // Its events go long before, and it stays.
    let removed = thin_out(&store, &leases, &retention, days(120)).await;
    assert_eq!(removed, Removed { events: 2, ..Removed::default() });
    assert_eq!(thin_out(&store, &leases, &retention, days(364)).await.conversations, 0);
    assert!(store.conversation(&id).await.unwrap().is_some());
    assert_eq!(thin_out(&store, &leases, &retention, days(367)).await.conversations, 1);
    assert_eq!(store.conversation(&id).await.unwrap(), None);
    assert_eq!(store.links(&id).await.unwrap(), []);
    let about = super::data::arrival("about", ticket_route("zendesk", "first"));
    assert_eq!(store.append(vec![about]).await.unwrap(), [Appended::Stranger]);
    assert!(store.conversation(&other).await.unwrap().is_some(), "something happened there since");
    assert_eq!(store.links(&other).await.unwrap().len(), 1);

    // Who writes again begins anew; who has another identity meets nobody.
    drop(store);
    instance.reopen().await;
    let store = instance.store();
    let leases = own_all(&store).await;
    let again = received(super::data::arrival("again", customer(&[super::data::user("GB.1"), phone("1")])), days(370));
    let appended = store.append(vec![again]).await.unwrap();
    let [Appended::New { conversation: anew, .. }] = appended.as_slice() else { panic!("{appended:?}") };
    assert_ne!(*anew, id, "the number led to it, and does no more");
    let commit = Commit { conversation: Some((0, conversation(anew, "anew"))), ..Commit::default() };
    store.commit(of(&store, &leases, anew), commit).await.unwrap();
    assert_eq!(store.stats().await.unwrap().conversations, 2);
    is_sound(&store).await;
}

pub(crate) async fn a_conversation_that_something_waits_for_stays(instance: &mut impl Instance) {
    let store = instance.store();
    let leases = own_all(&store).await;
    let names = ["task", "timer", "letter", "event", "joined", "nothing"];
    let mut ids = Vec::new();
    for (number, name) in names.iter().enumerate() {
        ids.push(talk(&store, &leases, name, &format!("{number}")).await);
    }
    let [task_of, timer_of, letter_of, event_of, joined, nothing] = ids.try_into().unwrap();
    let commit = async |id: &ConversationId, commit: Commit| {
        store.commit(of(&store, &leases, id), commit).await.unwrap();
    };
    commit(&task_of, Commit { put_tasks: vec![task("waits", &task_of, 1)], ..Commit::default() }).await;
    commit(&timer_of, Commit { set_timers: vec![timer("waits", &timer_of, 1)], ..Commit::default() }).await;
    commit(&letter_of, Commit { put_tasks: vec![task("dying", &letter_of, 1)], ..Commit::default() }).await;
    commit(&letter_of, Commit { dead_letters: vec![dead(task("dying", &letter_of, 1), 0)], ..Commit::default() }).await;
    store.append(vec![known("waits", &event_of)]).await.unwrap();
    let mut state = conversation(&joined, "joined");
    state.joined = Some(nothing.clone());
    commit(&joined, Commit { conversation: Some((1, state)), ..Commit::default() }).await;

    let retention = Retention { conversations: kept(365), ..Retention::default() };
    let removed = thin_out(&store, &leases, &retention, days(1_000)).await;
    assert_eq!(removed, Removed { conversations: 1, ..Removed::default() });
    assert_eq!(store.conversation(&nothing).await.unwrap(), None);
    for id in [&task_of, &timer_of, &letter_of, &event_of] {
        assert!(store.conversation(id).await.unwrap().is_some());
        assert_eq!(store.links(id).await.unwrap().len(), 1);
    }
    // What arrives at a joined one is passed on for ever, and so its customer's identity still leads there.
    assert_eq!(store.conversation(&joined).await.unwrap().unwrap().value.joined, Some(nothing.clone()));
    let late = received(super::data::arrival("late", customer(&[phone("4")])), days(1_000));
    let appended = store.append(vec![late]).await.unwrap();
    assert!(matches!(appended.as_slice(), [Appended::New { conversation, .. }] if *conversation == joined));

    // What no longer waits lets it go.
    commit(&task_of, Commit { finished_tasks: vec![task_id("waits")], ..Commit::default() }).await;
    commit(&timer_of, Commit { cleared_timers: vec![super::data::cleared("waits", &timer_of)], ..Commit::default() })
        .await;
    commit(&letter_of, Commit { settled_letters: vec![task_id("dying")], ..Commit::default() }).await;
    handle(&store, &leases, "waits").await;
    assert_eq!(thin_out(&store, &leases, &retention, days(1_000)).await.conversations, 4);
}

pub(crate) async fn nothing_is_removed_without_a_time(instance: &mut impl Instance) {
    let store = instance.store();
    let leases = own_all(&store).await;
    let id = talk(&store, &leases, "first", "1").await;
    let commit = Commit { reports: vec![report("1", 1)], ..Commit::default() };
    store.commit(of(&store, &leases, &id), commit).await.unwrap();
    assert_eq!(thin_out(&store, &leases, &Retention::default(), days(100_000)).await, Removed::default());
    assert!(store.event(&event_id("first")).await.unwrap().unwrap().raw.is_some());
}

pub(crate) async fn only_an_owner_thins_out(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    store.append(vec![known("1", &id)]).await.unwrap();
    let lease = own(&store, &id).await;
    let position = journal(&store, &lease).await[0].position;
    store.commit(&lease, Commit { handled: Some(position), ..Commit::default() }).await.unwrap();
    let retention = Retention { events: kept(1), ..Retention::default() };
    assert_eq!(store.thin_out(&[], &retention, days(9)).await.unwrap(), Removed::default());
    let foreign = (0..store.partitions()).map(Partition).find(|partition| *partition != lease.partition).unwrap();
    let foreign = store.acquire(foreign).await.unwrap().unwrap();
    assert_eq!(store.thin_out(&[foreign], &retention, days(9)).await.unwrap(), Removed::default());
    let stale = Lease { token: !lease.token, ..lease.clone() };
    let refused = store.thin_out(&[stale], &retention, days(9)).await;
    assert!(matches!(refused, Err(patchbay_store::StoreError::Fenced(_))), "{refused:?}");
    assert_eq!(store.thin_out(&[lease], &retention, days(9)).await.unwrap().events, 1);
}
