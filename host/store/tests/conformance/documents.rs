//! Documents that are written by the commit of an event.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use patchbay_store::{Commit, DocumentWrite, Lease, Position, Shelving, Store, StoreError};

use super::data::{conversation, conversation_id, known};
use super::shelf::{put, written};
use super::{Instance, journal, own};

fn shelving(space: &str, writes: Vec<DocumentWrite>) -> Shelving {
    Shelving { space: space.into(), writes, quota: None }
}

fn at(revision: u64, write: DocumentWrite) -> DocumentWrite {
    DocumentWrite { expected: Some(revision), ..write }
}

/// An event that waits, and its partition's lease.
async fn waiting(store: &Arc<dyn Store>, name: &str) -> (Lease, Position) {
    let id = conversation_id(name);
    store.append(vec![known(&format!("{name} waits"), &id)]).await.unwrap();
    let lease = own(store, &id).await;
    let position = journal(store, &lease).await.first().unwrap().position;
    (lease, position)
}

fn handled(position: Position, documents: Vec<Shelving>) -> Commit {
    Commit { handled: Some(position), documents, ..Commit::default() }
}

async fn body(store: &Arc<dyn Store>, space: &str, key: &str) -> Option<Bytes> {
    store.document(space, key).await.unwrap().map(|document| document.body)
}

pub(crate) async fn documents_are_written_with_their_event(instance: &mut impl Instance) {
    let store = instance.store();
    let (lease, position) = waiting(&store, "a").await;
    let before = written(&store, "kv/one", vec![put("seen", "1"), put("old", "x")]).await;
    let removal = DocumentWrite { key: "old".into(), body: None, expected: None };
    let commit = handled(
        position,
        vec![
            shelving("kv/one", vec![at(before[0], put("seen", "2")), at(0, put("new", "y")), removal]),
            shelving("kv/other", vec![put("seen", "theirs")]),
        ],
    );
    store.commit(&lease, commit.clone()).await.unwrap();
    assert!(journal(&store, &lease).await.is_empty());
    assert_eq!(body(&store, "kv/one", "seen").await.unwrap(), "2");
    assert_eq!(store.document_keys("kv/one").await.unwrap(), ["new", "seen"]);
    assert_eq!(body(&store, "kv/other", "seen").await.unwrap(), "theirs");
    assert_eq!(store.space_size("kv/one").await.unwrap(), 9);
    let now = store.document("kv/one", "seen").await.unwrap().unwrap().revision;
    assert!(now > before[0]);
    // Its answer was lost: it is known again, and nothing is written over what came later.
    written(&store, "kv/one", vec![put("seen", "3")]).await;
    store.commit(&lease, commit).await.unwrap();
    assert_eq!(body(&store, "kv/one", "seen").await.unwrap(), "3");
    drop(store);
    instance.reopen().await;
    let store = instance.store();
    assert_eq!(body(&store, "kv/one", "new").await.unwrap(), "y");
    assert_eq!(store.verify().await.unwrap().problems, Vec::<String>::new());
}

pub(crate) async fn an_overtaken_commit_leaves_nothing(instance: &mut impl Instance) {
    let store = instance.store();
    let (lease, position) = waiting(&store, "a").await;
    let first = written(&store, "kv/one", vec![put("seen", "1")]).await[0];
    let second = written(&store, "kv/one", vec![put("seen", "2")]).await[0];
    for wrong in [0, first, second + 1] {
        let writes = vec![put("beside", "x"), at(wrong, put("seen", "wrong"))];
        let commit = Commit {
            conversation: Some((0, conversation(&conversation_id("a"), "handled"))),
            ..handled(position, vec![shelving("kv/one", writes)])
        };
        let refused = store.commit(&lease, commit).await;
        assert!(matches!(&refused, Err(StoreError::Overtaken { space }) if space == "kv/one"), "{refused:?}");
    }
    assert_eq!(store.document_keys("kv/one").await.unwrap(), ["seen"]);
    assert_eq!(body(&store, "kv/one", "seen").await.unwrap(), "2");
    assert!(store.conversation(&conversation_id("a")).await.unwrap().is_none());
    assert_eq!(journal(&store, &lease).await.len(), 1, "the event still waits");
    let commit = handled(position, vec![shelving("kv/one", vec![at(second, put("seen", "3"))])]);
    store.commit(&lease, commit).await.unwrap();
    assert_eq!(body(&store, "kv/one", "seen").await.unwrap(), "3");
}

pub(crate) async fn a_space_that_has_filled_up_overtakes_a_commit(instance: &mut impl Instance) {
    let store = instance.store();
    let (lease, position) = waiting(&store, "a").await;
    written(&store, "kv/one", vec![put("key", "7 bytes")]).await;
    let commit =
        |quota| handled(position, vec![Shelving { quota: Some(quota), ..shelving("kv/one", vec![put("more", "1")]) }]);
    let refused = store.commit(&lease, commit(14)).await;
    assert!(matches!(refused, Err(StoreError::Overtaken { .. })), "{refused:?}");
    assert_eq!((journal(&store, &lease).await.len(), store.space_size("kv/one").await.unwrap()), (1, 10));
    store.commit(&lease, commit(15)).await.unwrap();
    assert_eq!(store.space_size("kv/one").await.unwrap(), 15);
}

pub(crate) async fn documents_need_their_event(instance: &mut impl Instance) {
    let store = instance.store();
    let (lease, position) = waiting(&store, "a").await;
    let one = shelving("kv/one", vec![put("a", "1")]);
    for wrong in [
        Commit { documents: vec![one.clone()], ..Commit::default() },
        handled(position, vec![one.clone(), one.clone()]),
        handled(position, vec![shelving("", vec![put("a", "1")])]),
        handled(position, vec![shelving("kv/one", vec![put("a", "1"), put("a", "2")])]),
    ] {
        let refused = store.commit(&lease, wrong).await;
        assert!(matches!(refused, Err(StoreError::Unsuitable(_))), "{refused:?}");
    }
    assert_eq!(journal(&store, &lease).await.len(), 1);
    assert_eq!(body(&store, "kv/one", "a").await, None);
}

pub(crate) async fn counters_of_many_conversations_lose_nothing(instance: &mut impl Instance) {
    const CONVERSATIONS: usize = 8;
    const EVENTS: usize = 5;
    let store = instance.store();
    let mut waiting = Vec::new();
    for conversation in 0..CONVERSATIONS {
        let id = conversation_id(&format!("c{conversation}"));
        let events = (0..EVENTS).map(|event| known(&format!("c{conversation} e{event}"), &id));
        store.append(events.collect()).await.unwrap();
    }
    let mut leases: Vec<Lease> = Vec::new();
    for conversation in 0..CONVERSATIONS {
        let id = conversation_id(&format!("c{conversation}"));
        if !leases.iter().any(|lease| lease.partition == store.partition_of(&id)) {
            leases.push(own(&store, &id).await);
        }
    }
    for lease in &leases {
        waiting.extend(journal(&store, lease).await.into_iter().map(|record| (lease.clone(), record.position)));
    }
    assert_eq!(waiting.len(), CONVERSATIONS * EVENTS);
    // All at once: each reads the counter, adds one, and begins anew when somebody was quicker.
    join_all(waiting.into_iter().map(|(lease, position)| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            loop {
                let found = store.document("kv/one", "count").await.unwrap();
                let count: u64 =
                    found.as_ref().map_or(0, |found| std::str::from_utf8(&found.body).unwrap().parse().unwrap());
                let revision = found.map_or(0, |found| found.revision);
                let write = at(revision, put("count", (count + 1).to_string()));
                match store.commit(&lease, handled(position, vec![shelving("kv/one", vec![write])])).await {
                    Ok(()) => return,
                    Err(StoreError::Overtaken { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        })
    }))
    .await
    .into_iter()
    .for_each(|ended| ended.unwrap());
    assert_eq!(body(&store, "kv/one", "count").await.unwrap(), (CONVERSATIONS * EVENTS).to_string());
}

/// Where all is one write; in a Cluster the documents come first.
#[allow(dead_code, reason = "each of the stores is a test program of its own, and a Cluster has no use for it")]
pub(crate) async fn a_conflict_leaves_no_document(instance: &mut impl Instance) {
    let store = instance.store();
    let (lease, position) = waiting(&store, "a").await;
    let commit = |version| Commit {
        conversation: Some((version, conversation(&conversation_id("a"), "handled"))),
        ..handled(position, vec![shelving("kv/one", vec![put("a", "1")])])
    };
    let refused = store.commit(&lease, commit(3)).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    let other = Lease { epoch: lease.epoch + 1, ..lease.clone() };
    let refused = store.commit(&other, commit(0)).await;
    assert!(matches!(refused, Err(StoreError::Fenced(_))), "{refused:?}");
    assert_eq!(body(&store, "kv/one", "a").await, None);
    store.commit(&lease, commit(0)).await.unwrap();
    assert_eq!(body(&store, "kv/one", "a").await.unwrap(), "1");
}
