//! From one store into another.

use std::sync::Arc;

use patchbay_model::{ConversationId, MediaId};
use patchbay_store::{
    Appended, Commit, EventFilter, EventRecord, Lease, MediaRecord, MediaState, Record, Retention, Store,
};

use super::data::{
    arrival, at, changed, conversation, conversation_id, customer, dead, decision, event_id, known, phone, report,
    task, ticket_route, timer, user, written,
};
use super::shelf::{put, remove};
use super::upkeep::{days, kept, own_all, thin_out};
use super::{Instance, journal, shelf};

/// Spaces, apart from a large one.
const SPACES: [&str; 2] = ["deployments", "kv/router"];

/// Everything of a store.
async fn export(store: &Arc<dyn Store>) -> Vec<Record> {
    let mut records = Vec::new();
    let mut from = None;
    loop {
        let page = store.export(from).await.unwrap();
        records.extend(page.records);
        from = page.next;
        if from.is_none() {
            return records;
        }
    }
}

async fn import(store: &Arc<dyn Store>, records: &[Record]) {
    // In pieces of another size than they came in, and through JSON, as a file would have them.
    for piece in records.chunks(7) {
        let piece = piece.iter().map(|record| {
            let json = serde_json::to_string(record).unwrap();
            serde_json::from_str(&json).unwrap()
        });
        store.import(piece.collect()).await.unwrap();
    }
}

fn photo() -> MediaId {
    MediaId::derive(&[b"photo"])
}

/// Something of everything.
async fn fill(store: &Arc<dyn Store>) -> Vec<ConversationId> {
    let leases = own_all(store).await;
    let (a, b) = (conversation_id("a"), conversation_id("b"));
    for n in 0..40 {
        let arrivals = vec![known(&format!("a{n}"), &a), known(&format!("b{n}"), &b)];
        let arrivals = arrivals.into_iter().map(|one| patchbay_model::Arrival { received_at: at(n), ..one });
        store.append(arrivals.collect()).await.unwrap();
    }
    let first = arrival("1", customer(&[phone("1")]));
    let second = arrival("2", customer(&[user("1")]));
    let meet = arrival("3", customer(&[user("1"), phone("1")]));
    let gone = arrival("4", changed(&[phone("2")], &[phone("3")]));
    let appended = store.append(vec![first, second, meet, gone]).await.unwrap();
    let mut ids = vec![a.clone(), b.clone()];
    for appended in appended {
        let Appended::New { conversation, .. } = appended else { panic!("{appended:?}") };
        ids.push(conversation);
    }
    let lease = |id: &ConversationId| leases[usize::from(store.partition_of(id).0)].clone();
    let half: Vec<_> =
        journal(store, &lease(&a)).await.into_iter().filter(|record| record.event.conversation == a).collect();
    for (version, record) in (0..).zip(half.iter().take(20)) {
        let commit = Commit {
            handled: Some(record.position),
            conversation: Some((version, conversation(&a, &format!("{version}")))),
            decision: Some(decision(&format!("a{version}"), "")),
            ..Commit::default()
        };
        store.commit(&lease(&a), commit).await.unwrap();
    }
    let media =
        MediaRecord { id: photo(), conversation: a.clone(), state: MediaState::Failed { reason: "gone".into() } };
    let commit = Commit {
        put_tasks: vec![task("1", &a, 1), task("2", &a, 2)],
        set_timers: vec![timer("1", &a, 5)],
        links: vec![written(&a, "zendesk", "4711")],
        media: vec![media],
        reports: (0..3).map(|n| report(&format!("{n}"), n)).collect(),
        ..Commit::default()
    };
    store.commit(&lease(&a), commit).await.unwrap();
    let moved =
        patchbay_store::LinkChange::Moved { conversation: a.clone(), desk: "zendesk".into(), to: "4712".into() };
    let died = Commit { dead_letters: vec![dead(task("2", &a, 2), 1)], links: vec![moved], ..Commit::default() };
    store.commit(&lease(&a), died).await.unwrap();
    let with_state = Commit { conversation: Some((0, conversation(&b, "b"))), ..Commit::default() };
    store.commit(&lease(&b), with_state).await.unwrap();
    // The first ten events are kept no more, but their ids are.
    let retention = Retention { events: kept(1), ..Retention::default() };
    thin_out(store, &leases, &retention, days(1).after(std::time::Duration::from_secs(9))).await;
    for lease in leases {
        store.release(lease).await.unwrap();
    }
    // More than one page of them, of all sizes.
    for n in 0_u8..12 {
        shelf::written(store, "components", vec![put(&format!("{n}"), vec![n; 900_000])]).await;
    }
    for space in SPACES {
        let writes = (0_u8..40).map(|n| put(&format!("{n}"), vec![n; usize::from(n)]));
        shelf::written(store, space, writes.chain([put("gone", "1")]).collect()).await;
        shelf::written(store, space, vec![remove("gone")]).await;
    }
    ids
}

/// What another store numbers in its own way.
fn without_place(record: EventRecord) -> EventRecord {
    EventRecord { position: patchbay_store::Position(0), ..record }
}

async fn are_equal(one: &Arc<dyn Store>, other: &Arc<dyn Store>, ids: &[ConversationId]) {
    let all = EventFilter { limit: 1_000, ..EventFilter::default() };
    let (mut events, mut copies) = (one.events(&all).await.unwrap(), other.events(&all).await.unwrap());
    // Equal times are in the order of positions, which is the same only within a partition.
    events.sort_by(|a, b| a.event.id.cmp(&b.event.id));
    copies.sort_by(|a, b| a.event.id.cmp(&b.event.id));
    let bare = |events: Vec<EventRecord>| events.into_iter().map(without_place).collect::<Vec<_>>();
    assert_eq!(bare(events), bare(copies));
    for id in ids {
        let of = EventFilter { conversation: Some(id.clone()), ..all.clone() };
        assert_eq!(bare(one.events(&of).await.unwrap()), bare(other.events(&of).await.unwrap()));
        assert_eq!(one.conversation(id).await.unwrap(), other.conversation(id).await.unwrap());
        assert_eq!(one.links(id).await.unwrap(), other.links(id).await.unwrap());
    }
    for n in 0..40 {
        let id = event_id(&format!("a{n}"));
        assert_eq!(one.decision(&id).await.unwrap(), other.decision(&id).await.unwrap());
    }
    for space in SPACES.into_iter().chain(["components"]) {
        assert!(one.documents(space).await.unwrap() == other.documents(space).await.unwrap(), "of {space}");
    }
    assert_eq!(one.dead_letters(99).await.unwrap(), other.dead_letters(99).await.unwrap());
    assert_eq!(one.reports(99).await.unwrap(), other.reports(99).await.unwrap());
    assert_eq!(one.media(&photo()).await.unwrap(), other.media(&photo()).await.unwrap());
    let stats = async |store: &Arc<dyn Store>| {
        let stats = store.stats().await.unwrap();
        patchbay_store::Stats { kind: String::new(), bytes: None, free_bytes: None, ..stats }
    };
    assert_eq!(stats(one).await, stats(other).await);
    let (one_leases, other_leases) = (own_all(one).await, own_all(other).await);
    for (lease, copy) in one_leases.iter().zip(&other_leases) {
        assert_eq!(one.load(lease).await.unwrap(), other.load(copy).await.unwrap());
        assert_eq!(bare(journal(one, lease).await), bare(journal(other, copy).await), "the order of the journal");
    }
    release(one, one_leases).await;
    release(other, other_leases).await;
}

async fn release(store: &Arc<dyn Store>, leases: Vec<Lease>) {
    for lease in leases {
        store.release(lease).await.unwrap();
    }
}

pub(crate) async fn an_export_makes_an_equal_store(one: &mut impl Instance, other: &mut impl Instance) {
    let (store, copy) = (one.store(), other.store());
    let ids = fill(&store).await;
    let records = export(&store).await;
    let (known_ids, events): (Vec<_>, Vec<_>) = records
        .iter()
        .filter(|record| matches!(record, Record::SeenId { .. } | Record::Event { .. }))
        .partition(|record| matches!(record, Record::SeenId { .. }));
    assert_eq!((known_ids.len(), events.len()), (10, 74));
    import(&copy, &records).await;
    are_equal(&store, &copy, &ids).await;
    // Again, in one piece: nothing changes.
    copy.import(records.clone()).await.unwrap();
    are_equal(&store, &copy, &ids).await;
    assert_eq!(copy.verify().await.unwrap().problems, Vec::<String>::new());
    drop(copy);
    other.reopen().await;
    let copy = other.store();
    are_equal(&store, &copy, &ids).await;

    // Both go on alike.
    let last = store.documents("deployments").await.unwrap().iter().map(|document| document.revision).max().unwrap();
    for store in [&store, &copy] {
        let next = shelf::written(store, "deployments", vec![put("next", "1")]).await[0];
        assert!(next > last, "{next} after {last}");
        shelf::written(store, "deployments", vec![remove("next")]).await;
    }
    let next = vec![
        known("a0", &ids[0]),
        known("a39", &ids[0]),
        arrival("by phone", customer(&[phone("1")])),
        arrival("by user", customer(&[user("1")])),
        arrival("by both", customer(&[phone("1"), user("1")])),
        arrival("by former", customer(&[phone("3")])),
        arrival("stranger", customer(&[user("9"), phone("3")])),
        arrival("by ticket", ticket_route("zendesk", "4712")),
        arrival("by old ticket", ticket_route("zendesk", "4711")),
        arrival("by no ticket", ticket_route("zendesk", "1")),
    ];
    let appended = store.append(next.clone()).await.unwrap();
    assert_eq!(appended[0], Appended::Duplicate, "an event that is kept no more");
    assert_eq!(appended, copy.append(next).await.unwrap());
    let others = async |store: &Arc<dyn Store>| store.event(&event_id("by both")).await.unwrap().unwrap().others;
    assert_eq!(others(&store).await, others(&copy).await);
    are_equal(&store, &copy, &ids).await;
}

pub(crate) async fn an_empty_store_exports_nothing(one: &mut impl Instance, other: &mut impl Instance) {
    assert_eq!(export(&one.store()).await, []);
    other.store().import(Vec::new()).await.unwrap();
    assert_eq!(export(&other.store()).await, []);
}
