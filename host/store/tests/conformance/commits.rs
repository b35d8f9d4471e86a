//! The one atomic write.

use std::sync::Arc;

use patchbay_model::{ConversationId, MediaId};
use patchbay_store::{
    Appended, Commit, EventFilter, Lease, MediaRecord, MediaState, Pending, Position, Store, StoreError,
};

use super::data::{
    arrival, cleared, conversation, conversation_id, dead, event_id, known, link, report, task, task_id, ticket_route,
    timer, written,
};
use super::{Instance, journal, own};

/// A conversation with one event waiting.
async fn waiting(store: &Arc<dyn Store>, name: &str) -> (ConversationId, Lease, Position) {
    let id = conversation_id(name);
    store.append(vec![known(&format!("{name} waits"), &id)]).await.unwrap();
    let lease = own(store, &id).await;
    let position = journal(store, &lease).await.first().unwrap().position;
    (id, lease, position)
}

fn media(id: &ConversationId) -> MediaRecord {
    let state = MediaState::Failed { reason: "the platform no longer has it".into() };
    MediaRecord { id: MediaId::derive(&[b"photo"]), conversation: id.clone(), state }
}

/// A commit with something of everything.
fn full(id: &ConversationId, handled: Option<Position>, version: u64) -> Commit {
    Commit {
        handled,
        conversation: Some((version, conversation(id, "handled"))),
        put_tasks: vec![task("new", id, 1), task("newer", id, 2)],
        finished_tasks: vec![task_id("old")],
        dead_letters: vec![dead(task("dying", id, 0), 5)],
        settled_letters: vec![task_id("dead")],
        set_timers: vec![timer("sla", id, 60)],
        cleared_timers: vec![cleared("reminder", id)],
        links: vec![written(id, "zendesk", "4711")],
        media: vec![media(id)],
        append: vec![known("follows", id), arrival("by ticket", ticket_route("zendesk", "4711"))],
        reports: vec![report("reported", 1)],
        decision: None,
        documents: Vec::new(),
    }
}

/// What [`full`] leaves behind.
async fn is_all_there(store: &Arc<dyn Store>, lease: &Lease, id: &ConversationId) {
    let pending = store.load(lease).await.unwrap();
    let waiting: Vec<_> = journal(store, lease).await.into_iter().map(|record| record.event.id).collect();
    assert_eq!(waiting, [event_id("follows"), event_id("by ticket")]);
    assert_eq!(pending.tasks, [task("new", id, 1), task("newer", id, 2)]);
    assert_eq!(pending.timers, [timer("sla", id, 60)]);
    let state = store.conversation(id).await.unwrap().unwrap();
    assert_eq!((state.version, state.value), (2, conversation(id, "handled")));
    assert_eq!(store.link(id, "zendesk").await.unwrap(), Some(link(id, "zendesk", "4711")));
    assert_eq!(store.media(&media(id).id).await.unwrap(), Some(media(id)));
    assert_eq!(store.dead_letters(10).await.unwrap(), [dead(task("dying", id, 0), 5)]);
    assert_eq!(store.reports(10).await.unwrap(), [report("reported", 1)]);
    assert_eq!(store.task(&task_id("old")).await.unwrap(), None);
    assert_eq!(store.task(&task_id("dying")).await.unwrap(), None);
    assert_eq!(store.task(&task_id("new")).await.unwrap(), Some(task("new", id, 1)));
}

/// What stands before [`full`] is applied.
async fn prepare(store: &Arc<dyn Store>, lease: &Lease, id: &ConversationId) {
    let before = Commit {
        conversation: Some((0, conversation(id, "new"))),
        put_tasks: vec![task("old", id, 0), task("dying", id, 0)],
        dead_letters: vec![dead(task("dead", id, 0), 1)],
        set_timers: vec![timer("reminder", id, 30)],
        ..Commit::default()
    };
    store.commit(lease, before).await.unwrap();
}

pub(crate) async fn a_commit_is_all_there(instance: &mut impl Instance) {
    let store = instance.store();
    let (id, lease, position) = waiting(&store, "a").await;
    prepare(&store, &lease, &id).await;
    store.commit(&lease, full(&id, Some(position), 1)).await.unwrap();
    is_all_there(&store, &lease, &id).await;
    // The event is no longer pending, but it is not forgotten.
    assert!(store.event(&event_id("a waits")).await.unwrap().is_some());
    drop(store);
    instance.reopen().await;
    let store = instance.store();
    let lease = own(&store, &id).await;
    is_all_there(&store, &lease, &id).await;
}

pub(crate) async fn a_refused_commit_leaves_nothing(instance: &mut impl Instance) {
    let store = instance.store();
    let (id, lease, position) = waiting(&store, "a").await;
    prepare(&store, &lease, &id).await;
    let before = (store.load(&lease).await.unwrap(), journal(&store, &lease).await);
    for wrong in [0, 2, 7] {
        let refused = store.commit(&lease, full(&id, Some(position), wrong)).await;
        let Err(StoreError::Conflict { conversation, expected, found }) = refused else { panic!("{refused:?}") };
        assert_eq!((conversation, expected, found), (id.clone(), wrong, 1));
    }
    assert_eq!((store.load(&lease).await.unwrap(), journal(&store, &lease).await), before);
    assert_eq!(store.links(&id).await.unwrap(), []);
    assert_eq!(store.dead_letters(10).await.unwrap(), [dead(task("dead", &id, 0), 1)]);
    assert_eq!(store.reports(10).await.unwrap(), []);
    assert_eq!(store.events(&EventFilter { limit: 10, ..EventFilter::default() }).await.unwrap().len(), 1);
    store.commit(&lease, full(&id, Some(position), 1)).await.unwrap();
    is_all_there(&store, &lease, &id).await;
}

pub(crate) async fn an_event_is_the_witness(instance: &mut impl Instance) {
    let store = instance.store();
    let (id, lease, position) = waiting(&store, "a").await;
    prepare(&store, &lease, &id).await;
    let commit = full(&id, Some(position), 1);
    store.commit(&lease, commit.clone()).await.unwrap();
    store.commit(&lease, commit.clone()).await.unwrap();
    is_all_there(&store, &lease, &id).await;
    // Also by a later owner, and when its tasks have been finished since.
    let done = Commit { finished_tasks: vec![task_id("new"), task_id("newer")], ..Commit::default() };
    store.commit(&lease, done).await.unwrap();
    drop(store);
    instance.reopen().await;
    let store = instance.store();
    let lease = own(&store, &id).await;
    store.commit(&lease, commit).await.unwrap();
    assert_eq!(store.load(&lease).await.unwrap().tasks, []);
    assert_eq!(store.reports(10).await.unwrap().len(), 1);
}

pub(crate) async fn a_version_is_the_witness(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let lease = own(&store, &id).await;
    prepare(&store, &lease, &id).await;
    let commit = full(&id, None, 1);
    store.commit(&lease, commit.clone()).await.unwrap();
    store.commit(&lease, commit.clone()).await.unwrap();
    is_all_there(&store, &lease, &id).await;
    // Another commit that would have led to the same version and even to the same state is not this one.
    let other = Commit { put_tasks: Vec::new(), ..commit.clone() };
    let refused = store.commit(&lease, other).await;
    assert!(matches!(refused, Err(StoreError::Conflict { expected: 1, found: 2, .. })), "{refused:?}");
    // Once the state has moved on, the old commit is a conflict like any other.
    let next = Commit { conversation: Some((2, conversation(&id, "next"))), ..Commit::default() };
    store.commit(&lease, next).await.unwrap();
    assert!(matches!(store.commit(&lease, commit).await, Err(StoreError::Conflict { expected: 1, found: 3, .. })));
}

pub(crate) async fn a_task_is_the_witness(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let lease = own(&store, &id).await;
    let put = Commit { put_tasks: vec![task("old", &id, 0), task("dying", &id, 1)], ..Commit::default() };
    store.commit(&lease, put.clone()).await.unwrap();
    let done = Commit {
        finished_tasks: vec![task_id("old")],
        put_tasks: vec![task("next", &id, 2)],
        reports: vec![report("once", 1)],
        append: vec![known("outcome", &id)],
        ..Commit::default()
    };
    let died = Commit { dead_letters: vec![dead(task("dying", &id, 1), 1)], ..Commit::default() };
    store.commit(&lease, done.clone()).await.unwrap();
    store.commit(&lease, died.clone()).await.unwrap();
    let next = Commit { finished_tasks: vec![task_id("next")], ..Commit::default() };
    store.commit(&lease, next).await.unwrap();
    // Applied again late, it does not bring back the task that it ordered.
    store.commit(&lease, done).await.unwrap();
    store.commit(&lease, died).await.unwrap();
    assert_eq!(store.load(&lease).await.unwrap().tasks, []);
    assert_eq!(journal(&store, &lease).await.len(), 1);
    assert_eq!(store.reports(10).await.unwrap().len(), 1);
    assert_eq!(store.dead_letters(10).await.unwrap().len(), 1);
    // Without any witness it is written again by its keys.
    store.commit(&lease, put.clone()).await.unwrap();
    store.commit(&lease, put).await.unwrap();
    assert_eq!(store.load(&lease).await.unwrap().tasks.len(), 2);
}

pub(crate) async fn two_writers_of_one_version_conflict(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let lease = own(&store, &id).await;
    let writers: Vec<_> = (0..8)
        .map(|number| {
            let (store, lease, id) = (Arc::clone(&store), lease.clone(), id.clone());
            tokio::spawn(async move {
                let state = conversation(&id, &format!("{number}"));
                store.commit(&lease, Commit { conversation: Some((0, state)), ..Commit::default() }).await
            })
        })
        .collect();
    let mut won = Vec::new();
    for (number, writer) in writers.into_iter().enumerate() {
        match writer.await.unwrap() {
            Ok(()) => won.push(number),
            Err(StoreError::Conflict { expected: 0, found: 1, .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    let [winner] = won.as_slice() else { panic!("{won:?} all wrote version 1") };
    let state = store.conversation(&id).await.unwrap().unwrap();
    assert_eq!((state.version, state.value), (1, conversation(&id, &format!("{winner}"))));
}

pub(crate) async fn task_and_event_commits_go_together(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let lease = own(&store, &id).await;
    let rounds = 20;
    store.append((0..rounds).map(|n| known(&format!("event {n}"), &id)).collect()).await.unwrap();
    let waiting = journal(&store, &lease).await;
    let put = (0..rounds).map(|n| task(&format!("task {n}"), &id, n)).collect();
    store.commit(&lease, Commit { put_tasks: put, ..Commit::default() }).await.unwrap();
    let worker = {
        let (store, lease, id) = (Arc::clone(&store), lease.clone(), id.clone());
        tokio::spawn(async move {
            for n in 0..rounds {
                let commit = Commit {
                    finished_tasks: vec![task_id(&format!("task {n}"))],
                    links: vec![written(&id, "zendesk", &format!("{n}"))],
                    append: vec![known(&format!("outcome {n}"), &id)],
                    ..Commit::default()
                };
                store.commit(&lease, commit).await.unwrap();
            }
        })
    };
    for (version, record) in (0..).zip(&waiting) {
        let commit = Commit {
            handled: Some(record.position),
            conversation: Some((version, conversation(&id, &format!("{version}")))),
            put_tasks: vec![task(&format!("ordered {version}"), &id, 100 + version)],
            ..Commit::default()
        };
        store.commit(&lease, commit).await.unwrap();
    }
    worker.await.unwrap();
    assert_eq!(journal(&store, &lease).await.len() as u64, rounds, "the outcomes wait, the events do not");
    assert_eq!(
        store.load(&lease).await.unwrap().tasks.len() as u64,
        rounds,
        "the ordered tasks wait, the finished ones do not"
    );
    assert_eq!(store.conversation(&id).await.unwrap().unwrap().version, rounds);
}

pub(crate) async fn a_foreign_partition_is_refused(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let lease = own(&store, &id).await;
    let foreign = (0..).map(|n| conversation_id(&format!("{n}")));
    let foreign = foreign.into_iter().find(|other| store.partition_of(other) != lease.partition).unwrap();
    let commits = [
        Commit { conversation: Some((0, conversation(&foreign, ""))), ..Commit::default() },
        Commit { put_tasks: vec![task("1", &foreign, 1)], ..Commit::default() },
        Commit { set_timers: vec![timer("1", &foreign, 1)], ..Commit::default() },
        Commit { cleared_timers: vec![cleared("1", &foreign)], ..Commit::default() },
        Commit { links: vec![written(&foreign, "zendesk", "1")], ..Commit::default() },
    ];
    for commit in commits {
        assert!(matches!(store.commit(&lease, commit).await, Err(StoreError::Unsuitable(_))));
    }
    let own = super::own(&store, &foreign).await;
    assert_eq!(store.load(&own).await.unwrap(), Pending::default());
}

pub(crate) async fn appended_events_wait_and_wake(instance: &mut impl Instance) {
    let store = instance.store();
    let (id, lease, position) = waiting(&store, "a").await;
    let wakeup = store.wakeup(lease.partition);
    wakeup.notified().await;
    let commit = Commit {
        handled: Some(position),
        // Events that have been seen, and those about tickets that nobody knows, are left out.
        append: vec![known("a waits", &id), arrival("stranger", ticket_route("zendesk", "1")), known("next", &id)],
        ..Commit::default()
    };
    store.commit(&lease, commit).await.unwrap();
    wakeup.notified().await;
    let journal = store.journal(&lease, position, 10).await.unwrap();
    assert_eq!(journal.iter().map(|record| record.event.id.clone()).collect::<Vec<_>>(), [event_id("next")]);
    assert_eq!(store.append(vec![known("next", &id)]).await.unwrap(), [Appended::Duplicate]);
}
