//! Documents.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use patchbay_store::{DOCUMENT_KEY_MOST, DOCUMENT_MOST, Document, DocumentWrite, Shelved, Store, StoreError};

use super::Instance;

/// A write of a body, whatever is there.
pub(crate) fn put(key: &str, body: impl Into<Vec<u8>>) -> DocumentWrite {
    DocumentWrite { key: key.into(), body: Some(Bytes::from(body.into())), expected: None }
}

/// A removal, whatever is there.
pub(crate) fn remove(key: &str) -> DocumentWrite {
    DocumentWrite { key: key.into(), body: None, expected: None }
}

/// Only at this revision.
fn only_at(revision: u64, write: DocumentWrite) -> DocumentWrite {
    DocumentWrite { expected: Some(revision), ..write }
}

/// Writes what cannot be refused, and gives the revisions.
pub(crate) async fn written(store: &Arc<dyn Store>, space: &str, writes: Vec<DocumentWrite>) -> Vec<u64> {
    let count = writes.len();
    match store.write_documents(space, writes, None).await.unwrap() {
        Shelved::Written(revisions) => {
            assert_eq!(revisions.len(), count);
            revisions
        }
        refused => panic!("{refused:?}"),
    }
}

fn document(key: &str, revision: u64, body: impl Into<Vec<u8>>) -> Document {
    Document { key: key.into(), revision, body: Bytes::from(body.into()) }
}

fn conflict(key: &str, found: u64) -> Shelved {
    Shelved::Conflict { key: key.into(), found }
}

pub(crate) async fn a_document_is_written_read_and_removed(instance: &mut impl Instance) {
    let store = instance.store();
    assert_eq!(store.document("s", "a").await.unwrap(), None);
    assert_eq!(store.document_keys("s").await.unwrap(), Vec::<String>::new());
    assert_eq!(store.documents("s").await.unwrap(), []);
    let first = written(&store, "s", vec![put("a", "one")]).await[0];
    assert!(first > 0);
    assert_eq!(store.document("s", "a").await.unwrap(), Some(document("a", first, "one")));
    let second = written(&store, "s", vec![put("a", "two, longer")]).await[0];
    assert!(second > first);
    assert_eq!(store.documents("s").await.unwrap(), [document("a", second, "two, longer")]);
    assert_eq!(written(&store, "s", vec![remove("a")]).await, [0]);
    assert_eq!(store.document("s", "a").await.unwrap(), None);
    assert_eq!(store.document_keys("s").await.unwrap(), Vec::<String>::new());
    assert_eq!(written(&store, "s", vec![remove("a")]).await, [0], "it is not there any more");
    assert_eq!(written(&store, "s", vec![]).await, Vec::<u64>::new());
}

pub(crate) async fn a_document_is_written_only_at_its_revision(instance: &mut impl Instance) {
    let store = instance.store();
    let write = async |write| store.write_documents("s", vec![write], None).await.unwrap();
    assert_eq!(write(only_at(7, put("a", "never"))).await, conflict("a", 0));
    assert_eq!(write(only_at(7, remove("a"))).await, conflict("a", 0));
    let Shelved::Written(first) = write(only_at(0, put("a", "one"))).await else { panic!("it is not there") };
    assert_eq!(write(only_at(0, put("a", "never"))).await, conflict("a", first[0]));
    let Shelved::Written(second) = write(only_at(first[0], put("a", "two"))).await else { panic!("it is there") };
    assert_eq!(write(only_at(first[0], put("a", "never"))).await, conflict("a", second[0]));
    assert_eq!(write(only_at(first[0], remove("a"))).await, conflict("a", second[0]));
    assert_eq!(store.document("s", "a").await.unwrap(), Some(document("a", second[0], "two")));
    assert_eq!(write(only_at(second[0], remove("a"))).await, Shelved::Written(vec![0]));
    assert_eq!(write(only_at(0, remove("a"))).await, Shelved::Written(vec![0]), "it is not there, as expected");
}

pub(crate) async fn several_writes_are_one(instance: &mut impl Instance) {
    let store = instance.store();
    let before = written(&store, "s", vec![put("a", "1"), put("b", "1"), put("c", "1")]).await;
    let refused = vec![
        only_at(before[0], put("a", "2")),
        remove("b"),
        put("new", "2"),
        // The last of them is what is wrong.
        only_at(before[2] + 1, put("c", "2")),
    ];
    assert_eq!(store.write_documents("s", refused, None).await.unwrap(), conflict("c", before[2]));
    let all = store.documents("s").await.unwrap();
    assert_eq!(all, [document("a", before[0], "1"), document("b", before[1], "1"), document("c", before[2], "1")]);
    let fits = vec![only_at(before[0], put("a", "2")), remove("b"), only_at(before[2], put("c", "2")), put("new", "2")];
    let after = written(&store, "s", fits).await;
    assert!(after[0] > before[0] && after[1] == 0 && after[2] > before[2] && after[3] > 0, "{after:?}");
    let all = store.documents("s").await.unwrap();
    assert_eq!(all, [document("a", after[0], "2"), document("c", after[2], "2"), document("new", after[3], "2")]);
}

pub(crate) async fn revisions_grow_over_a_removal(instance: &mut impl Instance) {
    let mut last = 0;
    for round in 0..3 {
        let store = instance.store();
        for _ in 0..3 {
            let revision = written(&store, "s", vec![put("a", format!("{round}"))]).await[0];
            assert!(revision > last, "{revision} after {last}");
            last = revision;
            // Nothing of the space is left.
            written(&store, "s", vec![remove("a")]).await;
        }
        let old = only_at(last, put("a", "never"));
        assert_eq!(store.write_documents("s", vec![old], None).await.unwrap(), conflict("a", 0));
        drop(store);
        instance.reopen().await;
    }
}

pub(crate) async fn keys_are_sorted_and_spaces_are_apart(instance: &mut impl Instance) {
    let store = instance.store();
    let mut keys = ["b", "a", "ab", "a/b", "B", "ü", "0", "10", "9", " ", "{a}", "a\nb", "\u{0}", "🦊"];
    let spaces = ["kv/a", "kv/ab", "kv/a/", "kv", "kv/{a}", "kv/}{", "Ü b"];
    for space in spaces {
        written(&store, space, keys.iter().map(|key| put(key, format!("{space} {key}"))).collect()).await;
    }
    keys.sort_unstable();
    written(&store, "kv", vec![remove("a"), put("b", "of its own")]).await;
    for space in spaces.into_iter().filter(|space| *space != "kv") {
        assert_eq!(store.document_keys(space).await.unwrap(), keys);
        let all = store.documents(space).await.unwrap();
        assert_eq!(all.iter().map(|document| document.key.as_str()).collect::<Vec<_>>(), keys);
        assert!(all.iter().all(|found| found.body == format!("{space} {}", found.key)));
        assert_eq!(store.document(space, "b").await.unwrap().unwrap().body, format!("{space} b"));
    }
    assert_eq!(store.document("kv", "a").await.unwrap(), None);
    assert_eq!(store.document_keys("kv").await.unwrap().len(), keys.len() - 1);
    assert_eq!(store.document_keys("").await.unwrap(), Vec::<String>::new());
}

pub(crate) async fn a_quota_holds(instance: &mut impl Instance) {
    let store = instance.store();
    let write = async |writes, quota| store.write_documents("s", writes, Some(quota)).await.unwrap();
    let full = |would_be| Shelved::Full { would_be };
    // A key counts as well: 3 + 7 bytes.
    assert_eq!(write(vec![put("key", "7 bytes")], 9).await, full(10));
    assert_eq!(store.document("s", "key").await.unwrap(), None);
    assert!(matches!(write(vec![put("key", "7 bytes")], 10).await, Shelved::Written(_)));
    assert_eq!(write(vec![put("x", "")], 10).await, full(11));
    assert_eq!(write(vec![put("key", "of 8 byte")], 11).await, full(12));
    // Only what is there afterwards counts.
    assert!(matches!(write(vec![put("x", "123456789"), remove("key")], 10).await, Shelved::Written(_)));
    assert_eq!(store.document_keys("s").await.unwrap(), ["x"]);
    let other = store.write_documents("other", vec![put("x", "1")], Some(2)).await.unwrap();
    assert!(matches!(other, Shelved::Written(_)), "each space by itself");
    // The quota has been lowered: what is written may not be more than before.
    written(&store, "s", vec![put("large", "x".repeat(95))]).await;
    assert_eq!(write(vec![put("y", "")], 20).await, full(111));
    assert!(matches!(write(vec![put("large", "y".repeat(95))], 20).await, Shelved::Written(_)));
    assert!(matches!(write(vec![put("large", "y".repeat(90)), put("y", "1234")], 20).await, Shelved::Written(_)));
    assert!(matches!(write(vec![remove("x")], 20).await, Shelved::Written(_)));
    assert!(matches!(write(vec![remove("x")], 20).await, Shelved::Written(_)), "it is not there any more");
    assert_eq!(write(vec![put("y", "12345")], 20).await, full(101));
    // Who expects something else is told that first.
    assert_eq!(write(vec![only_at(1, put("z", "1"))], 0).await, conflict("z", 0));
    drop(store);
    instance.reopen().await;
    let store = instance.store();
    let write = async |writes, quota| store.write_documents("s", writes, Some(quota)).await.unwrap();
    assert_eq!(write(vec![put("z", "")], 100).await, full(101), "what it holds is known again");
    written(&store, "s", vec![remove("large"), remove("y")]).await;
    assert_eq!(write(vec![put("key", "7 bytes")], 9).await, full(10), "and it holds nothing again");
}

pub(crate) async fn how_much_a_space_holds_is_known(instance: &mut impl Instance) {
    let store = instance.store();
    assert_eq!(store.space_size("s").await.unwrap(), 0);
    written(&store, "s", vec![put("key", "7 bytes"), put("x", "")]).await;
    written(&store, "other", vec![put("x", "1")]).await;
    assert_eq!((store.space_size("s").await.unwrap(), store.space_size("other").await.unwrap()), (11, 2));
    written(&store, "s", vec![put("key", "of 8 byt"), remove("x")]).await;
    assert_eq!(store.space_size("s").await.unwrap(), 11);
    written(&store, "s", vec![remove("key")]).await;
    assert_eq!(store.space_size("s").await.unwrap(), 0);
}

pub(crate) async fn bodies_are_any_bytes_up_to_the_limit(instance: &mut impl Instance) {
    let store = instance.store();
    let every: Vec<u8> = (0..=u8::MAX).collect();
    let most: Vec<u8> = (0..DOCUMENT_MOST).map(|at| (at.wrapping_mul(2_654_435_761) >> 7) as u8).collect();
    let (longest, utf8) = ("k".repeat(DOCUMENT_KEY_MOST), "ü".repeat(DOCUMENT_KEY_MOST / 2));
    let writes = vec![
        put("every", every.clone()),
        put("most", most.clone()),
        put("none", ""),
        put("zeros", vec![0; 40]),
        put(&longest, "1"),
        put(&utf8, "2"),
    ];
    written(&store, &longest, writes).await;
    let body = async |key: &str| store.document(&longest, key).await.unwrap().unwrap().body;
    assert_eq!(body("every").await, every);
    assert!(body("most").await == most);
    assert_eq!(body("none").await, "", "it is there, and empty");
    assert_eq!(body("zeros").await, vec![0; 40]);
    assert_eq!((body(&longest).await, body(&utf8).await), ("1".into(), "2".into()));
    assert_eq!(store.documents(&longest).await.unwrap().len(), 6);

    let refused = async |space: &str, writes| match store.write_documents(space, writes, None).await {
        Err(StoreError::Unsuitable(sentence)) => sentence,
        other => panic!("{other:?}"),
    };
    let long = refused("s", vec![put("fine", "1"), put("secret", vec![0; DOCUMENT_MOST + 1])]).await;
    assert!(long.contains("1048577") && long.contains("cut it into several") && !long.contains("secret"), "{long}");
    let sentence = refused("s", vec![put(&format!("{longest}k"), "1")]).await;
    assert!(sentence.contains("1 to 512 bytes") && sentence.contains("513"), "{sentence}");
    refused("s", vec![remove("")]).await;
    refused("", vec![put("a", "1")]).await;
    refused(&format!("{longest}k"), vec![put("a", "1")]).await;
    let twice = refused("s", vec![put("a", "1"), remove("a")]).await;
    assert!(twice.contains("twice"), "{twice}");
    assert_eq!(store.document_keys("s").await.unwrap(), Vec::<String>::new(), "nothing of a refused write is there");
    assert_eq!(store.document("s", &format!("{longest}k")).await.unwrap(), None);
}

pub(crate) async fn of_concurrent_writers_one_wins(instance: &mut impl Instance) {
    let store = instance.store();
    let racers = (0..16).map(|racer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let writes = vec![only_at(0, put("prize", format!("{racer}"))), put(&format!("racer {racer}"), "won")];
            store.write_documents("race", writes, None).await.unwrap()
        })
    });
    let racers: Vec<_> = racers.collect();
    let mut winners = Vec::new();
    for (racer, task) in racers.into_iter().enumerate() {
        match task.await.unwrap() {
            Shelved::Written(_) => winners.push(racer),
            Shelved::Conflict { key, found } => assert!(key == "prize" && found > 0),
            full => panic!("{full:?}"),
        }
    }
    let [winner] = winners.as_slice() else { panic!("{} have won", winners.len()) };
    assert_eq!(store.document("race", "prize").await.unwrap().unwrap().body, format!("{winner}"));
    assert_eq!(store.document_keys("race").await.unwrap(), ["prize".to_owned(), format!("racer {winner}")]);

    // A count that everybody raises, each time at the revision that was read.
    written(&store, "count", vec![put("n", "0")]).await;
    let raise = |store: Arc<dyn Store>| async move {
        let mut seen = Vec::new();
        while seen.len() < 10 {
            let now = store.document("count", "n").await.unwrap().unwrap();
            let next = std::str::from_utf8(&now.body).unwrap().parse::<u32>().unwrap() + 1;
            let write = only_at(now.revision, put("n", format!("{next}")));
            if let Shelved::Written(revisions) = store.write_documents("count", vec![write], None).await.unwrap() {
                seen.push((next, revisions[0]));
            }
        }
        seen
    };
    let raising: Vec<_> = (0..6).map(|_| tokio::spawn(raise(Arc::clone(&store)))).collect();
    let mut seen = BTreeSet::new();
    for task in raising {
        seen.extend(task.await.unwrap());
    }
    assert_eq!(seen.iter().map(|(n, _)| *n).collect::<Vec<_>>(), (1..=60).collect::<Vec<_>>());
    assert!(seen.iter().map(|(_, revision)| revision).is_sorted(), "revisions are in the order of the writes");
    assert_eq!(store.document("count", "n").await.unwrap().unwrap().body, "60");
}

pub(crate) async fn documents_are_kept_counted_and_sound(instance: &mut impl Instance) {
    let store = instance.store();
    let large = vec![7; 700_000];
    let first = written(&store, "components", vec![put("0", large.clone()), put("1", large.clone())]).await;
    written(&store, "gone", vec![put("a", "1"), put("b", "2")]).await;
    written(&store, "gone", vec![remove("a"), remove("b")]).await;
    let second = written(&store, "deployments", vec![put("router", "{}")]).await;
    assert_eq!(store.stats().await.unwrap().documents, 3);
    let found = store.verify().await.unwrap();
    assert_eq!(found.problems, Vec::<String>::new());
    assert!(found.checked >= 3);
    drop(store);
    instance.reopen().await;
    let store = instance.store();
    let kept = store.documents("components").await.unwrap();
    assert_eq!(kept, [document("0", first[0], large.clone()), document("1", first[1], large)]);
    assert_eq!(store.document("deployments", "router").await.unwrap(), Some(document("router", second[0], "{}")));
    assert_eq!(store.document_keys("gone").await.unwrap(), Vec::<String>::new());
    assert_eq!(store.stats().await.unwrap().documents, 3);
    let next = only_at(second[0], put("router", "{\"generation\":2}"));
    assert!(matches!(store.write_documents("deployments", vec![next], None).await.unwrap(), Shelved::Written(_)));
    assert_eq!(store.verify().await.unwrap().problems, Vec::<String>::new());
}
