//! Backups while the store works, putting them back, and making the file small again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "conformance/data.rs"]
#[expect(dead_code, reason = "the conformance suite uses the rest")]
mod data;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use data::{at, conversation, conversation_id, decision, event_id, known, raw, task, task_id};
use patchbay_model::Arrival;
use patchbay_store::{
    Commit, DOCUMENT_MOST, DocumentWrite, EmbeddedOptions, EmbeddedStore, EventFilter, Lease, Partition, Position,
    Removed, Retention, Shelf, Store, StoreError, Upkeep,
};

/// Conversations, each with a writer of its own.
const WRITERS: u64 = 8;

fn open(file: &Path) -> EmbeddedStore {
    EmbeddedStore::open(file, EmbeddedOptions::default()).unwrap()
}

async fn own_all(store: &EmbeddedStore) -> Vec<Lease> {
    let mut leases = Vec::new();
    for partition in 0..store.partitions() {
        leases.push(store.acquire(Partition(partition)).await.unwrap().unwrap());
    }
    leases
}

/// Appends and commits until it is told to stop; notes what was acknowledged.
async fn work(
    store: Arc<EmbeddedStore>,
    lease: Lease,
    writer: u64,
    acknowledged: Arc<Mutex<BTreeSet<String>>>,
    stop: Arc<AtomicBool>,
) {
    let id = conversation_id(&format!("{writer}"));
    for version in 0_u64.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let name = format!("{writer} {version}");
        store.append(vec![known(&name, &id)]).await.unwrap();
        acknowledged.lock().unwrap().insert(name.clone());
        let position = store.event(&event_id(&name)).await.unwrap().unwrap().position;
        let before = version.checked_sub(1).map(|before| task_id(&format!("{writer} {before}")));
        let commit = Commit {
            handled: Some(position),
            conversation: Some((version, conversation(&id, &name))),
            put_tasks: vec![task(&name, &id, version)],
            finished_tasks: before.into_iter().collect(),
            decision: Some(decision(&name, "")),
            ..Commit::default()
        };
        store.commit(&lease, commit).await.unwrap();
    }
}

/// Nothing is there by half: an event is handled exactly when its commit's state and task are there.
async fn is_whole(store: &EmbeddedStore) {
    assert_eq!(store.verify().await.unwrap().problems, Vec::<String>::new());
    let leases = own_all(store).await;
    for writer in 0..WRITERS {
        let id = conversation_id(&format!("{writer}"));
        let lease = &leases[usize::from(store.partition_of(&id).0)];
        let pending = store.journal(lease, Position(0), usize::MAX).await.unwrap();
        let pending = pending.iter().filter(|record| record.event.conversation == id).count();
        let filter = EventFilter { conversation: Some(id.clone()), limit: usize::MAX, ..EventFilter::default() };
        let handled = store.events(&filter).await.unwrap().len() - pending;
        let version = store.conversation(&id).await.unwrap().map_or(0, |state| state.version);
        assert_eq!(version, handled as u64);
        let tasks = store.load(lease).await.unwrap().tasks;
        let tasks: Vec<_> = tasks.iter().filter(|task| task.conversation == id).map(|task| task.id.clone()).collect();
        let last = version.checked_sub(1).map(|last| task_id(&format!("{writer} {last}")));
        assert_eq!(tasks, last.into_iter().collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_working_store_is_one_moment_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&folder.path().join("patchbay.redb")));
    let leases = own_all(&store).await;
    let (acknowledged, stop) = (Arc::new(Mutex::new(BTreeSet::new())), Arc::new(AtomicBool::new(false)));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let lease = leases[usize::from(store.partition_of(&conversation_id(&format!("{writer}"))).0)].clone();
            tokio::spawn(work(Arc::clone(&store), lease, writer, Arc::clone(&acknowledged), Arc::clone(&stop)))
        })
        .collect();
    let body = Some(vec![7; DOCUMENT_MOST].into());
    let document = DocumentWrite { key: "0".into(), body, expected: None };
    store.write_documents("components", vec![document], None).await.unwrap();
    let count = || acknowledged.lock().unwrap().len();
    for round in 0..3 {
        let enough = count() + 50;
        while count() < enough {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let before = acknowledged.lock().unwrap().clone();
        let copy = folder.path().join(format!("backup-{round}.redb"));
        let summary = store.backup(&copy).await.unwrap();
        assert_eq!(summary.bytes, std::fs::metadata(&copy).unwrap().len());
        assert_eq!(summary.conversations, WRITERS);
        let checked = EmbeddedStore::check(&copy).unwrap();
        assert_eq!(checked.problems, Vec::<String>::new());
        let restored = folder.path().join(format!("restored-{round}.redb"));
        let back = EmbeddedStore::restore(&copy, &restored).unwrap();
        assert_eq!((back.events, back.conversations, back.bytes), (summary.events, WRITERS, summary.bytes));
        let copy = open(&restored);
        for name in before {
            assert!(copy.event(&event_id(&name)).await.unwrap().is_some(), "event {name} was acknowledged before");
        }
        assert_eq!(copy.stats().await.unwrap().events, summary.events);
        is_whole(&copy).await;
        assert!(copy.documents("components").await.unwrap() == store.documents("components").await.unwrap());
        assert_eq!(copy.decision(&event_id("0 0")).await.unwrap(), Some(decision("0 0", "")));
        // It is a store like any other.
        copy.append(vec![known("next", &conversation_id("0"))]).await.unwrap();
    }
    assert!(count() >= 150, "writers went on meanwhile");
    stop.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.unwrap();
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("part")), "{left:?}");
}

#[tokio::test]
async fn a_backup_replaces_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (file, copy) = (folder.path().join("patchbay.redb"), folder.path().join("backup.redb"));
    let store = open(&file);
    for taken in [&file, &copy] {
        if *taken == copy {
            std::fs::write(&copy, "somebody's").unwrap();
        }
        let Err(StoreError::Unsuitable(sentence)) = store.backup(taken).await else { panic!("it was replaced") };
        assert!(sentence.contains("is there already"), "{sentence}");
    }
    assert_eq!(std::fs::read_to_string(&copy).unwrap(), "somebody's");
    let nowhere = folder.path().join("no").join("backup.redb");
    assert!(store.backup(&nowhere).await.is_err());
    let fresh = folder.path().join("fresh.redb");
    store.backup(&fresh).await.unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&fresh).unwrap().permissions().mode() & 0o077, 0, "only the owner may read it");
    }
    let Err(StoreError::Unsuitable(sentence)) = EmbeddedStore::restore(&fresh, &file) else { panic!("replaced") };
    assert!(sentence.contains("is there already"), "{sentence}");
}

#[tokio::test]
async fn only_a_whole_store_is_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let (file, to) = (folder.path().join("patchbay.redb"), folder.path().join("restored.redb"));
    let store = open(&file);
    let id = conversation_id("a");
    store.append((0..200).map(|n| known(&format!("{n}"), &id)).collect()).await.unwrap();

    // A file copied while the store works, as the tools of an operator would: whole, though not closed.
    let crashed = folder.path().join("crashed.redb");
    std::fs::copy(&file, &crashed).unwrap();
    let bytes = std::fs::read(&crashed).unwrap();
    let summary = EmbeddedStore::restore(&crashed, &to).unwrap();
    assert_eq!(summary.events, 200);
    assert!(std::fs::read(&crashed).unwrap() == bytes, "what is read is not changed");
    assert_eq!(open(&to).stats().await.unwrap().events, 200);
    std::fs::remove_file(&to).unwrap();

    let wrong = folder.path().join("wrong.redb");
    let halves = [&bytes[..bytes.len() / 2], b"not a store", b""];
    for content in halves {
        std::fs::write(&wrong, content).unwrap();
        let refused = EmbeddedStore::restore(&wrong, &to);
        assert!(matches!(refused, Err(StoreError::Unsuitable(_) | StoreError::Corrupt(_))), "{refused:?}");
        assert!(!to.exists());
    }
    assert!(matches!(EmbeddedStore::restore(&folder.path().join("absent"), &to), Err(StoreError::Unsuitable(_))));
    // The check of a file wants it alone, and changes nothing either.
    assert!(matches!(EmbeddedStore::check(&file), Err(StoreError::Unsuitable(_))));
    assert_eq!(EmbeddedStore::check(&crashed).unwrap().problems, Vec::<String>::new());
    assert!(std::fs::read(&crashed).unwrap() == bytes);
}

#[tokio::test]
async fn space_is_freed_used_again_and_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("patchbay.redb");
    let store = open(&file);
    let leases = own_all(&store).await;
    let id = conversation_id("a");
    let lease = &leases[usize::from(store.partition_of(&id).0)];
    let fill = async |from: u64| {
        for first in (from..from + 1_000).step_by(100) {
            let large = |n: u64| Arrival { raw: Some(raw(&"x".repeat(8_000))), ..known(&format!("{n}"), &id) };
            store.append((first..first + 100).map(large).collect()).await.unwrap();
        }
        for record in store.journal(lease, Position(0), usize::MAX).await.unwrap() {
            store.commit(lease, Commit { handled: Some(record.position), ..Commit::default() }).await.unwrap();
        }
    };
    fill(0).await;
    let full = store.stats().await.unwrap();
    let retention = Retention { events: Some(Duration::from_secs(60)), ..Retention::default() };
    while store.thin_out(&leases, &retention, at(1_000_000)).await.unwrap() != Removed::default() {}
    let thin = store.stats().await.unwrap();
    let (bytes, free) = (thin.bytes.unwrap(), thin.free_bytes.unwrap());
    assert!(free > full.free_bytes.unwrap() + 7_000_000, "{full:?} {thin:?}");
    assert!(free <= bytes);
    fill(1_000).await;
    let again = store.stats().await.unwrap().bytes.unwrap();
    assert!(again <= full.bytes.unwrap() * 5 / 4, "what is free is used again: {again} of {full:?}");
    while store.thin_out(&leases, &retention, at(2_000_000)).await.unwrap() != Removed::default() {}
    let copy = folder.path().join("backup.redb");
    let summary = store.backup(&copy).await.unwrap();
    assert!(summary.bytes < again / 2, "a backup has no free space: {} of {again}", summary.bytes);
    assert!(matches!(EmbeddedStore::compact(&file, &EmbeddedOptions::default()), Err(StoreError::Unsuitable(_))));
    drop(store);
    let compacted = EmbeddedStore::compact(&file, &EmbeddedOptions::default()).unwrap();
    assert!(compacted.after < compacted.before / 2, "{compacted:?}");
    let store = open(&file);
    assert_eq!(store.verify().await.unwrap().problems, Vec::<String>::new());
    // The ids of what is gone are gone with the time that they are kept for, and positions go on.
    store.append(vec![known("0", &id)]).await.unwrap();
    assert!(store.event(&event_id("0")).await.unwrap().unwrap().position > Position(2_000));
}
