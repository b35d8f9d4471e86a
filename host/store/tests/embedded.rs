//! The embedded store keeps the contract, and what it promises besides.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod conformance;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use conformance::Instance;
use conformance::data::{conversation_id, event_id, known};
use conformance::shelf::{put, written};
use patchbay_store::{Appended, Commit, EmbeddedOptions, EmbeddedStore, Store, StoreError};
use redb::TableHandle;

/// A store in a folder of its own.
struct Embedded {
    folder: tempfile::TempDir,
    file: PathBuf,
    crashes: u32,
    store: Arc<dyn Store>,
}

fn open(file: &std::path::Path) -> Result<EmbeddedStore, StoreError> {
    EmbeddedStore::open(file, EmbeddedOptions { cache_bytes: 4 << 20, ..EmbeddedOptions::default() })
}

async fn make() -> Embedded {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("patchbay.redb");
    let store = Arc::new(open(&file).unwrap());
    Embedded { folder, file, crashes: 0, store }
}

#[async_trait]
impl Instance for Embedded {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    async fn reopen(&mut self) {
        // What is on disk while the store is still open is what a crash would leave.
        self.crashes += 1;
        let left = self.folder.path().join(format!("crash-{}.redb", self.crashes));
        std::fs::copy(&self.file, &left).unwrap();
        self.store = Arc::new(open(&left).unwrap());
        self.file = left;
    }
}

conformance!(make);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_leaves_no_document() {
    conformance::documents::a_conflict_leaves_no_document(&mut make().await).await;
}

#[tokio::test]
async fn a_file_has_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("patchbay.redb");
    let store = open(&file).unwrap();
    let Err(StoreError::Unsuitable(sentence)) = open(&file) else { panic!("two stores on one file") };
    assert!(sentence.contains("in use by another process"), "{sentence}");
    drop(store);
    open(&file).unwrap();
}

#[tokio::test]
async fn closing_finishes_what_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("patchbay.redb");
    let store = Arc::new(open(&file).unwrap());
    let id = conversation_id("a");
    let appending: Vec<_> = (0..20)
        .map(|number| {
            let (store, arrival) = (Arc::clone(&store), known(&format!("{number}"), &id));
            tokio::spawn(async move { store.append(vec![arrival]).await })
        })
        .collect();
    tokio::task::yield_now().await;
    store.close().await;
    store.close().await;
    assert!(matches!(store.append(vec![known("late", &id)]).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.event(&event_id("late")).await, Err(StoreError::Unavailable(_))));
    // The file is free although the store is still there, and holds what was acknowledged, neither more nor less.
    let next = open(&file).unwrap();
    for (number, task) in appending.into_iter().enumerate() {
        let acknowledged = matches!(task.await.unwrap().as_deref(), Ok([Appended::New { .. }]));
        let kept = next.event(&event_id(&format!("{number}"))).await.unwrap().is_some();
        assert_eq!(acknowledged, kept, "event {number}");
    }
}

#[tokio::test]
async fn a_store_keeps_its_partitions() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deeper").join("patchbay.redb");
    let with = |partitions| EmbeddedOptions { partitions, ..EmbeddedOptions::default() };
    assert!(matches!(EmbeddedStore::open(&file, with(0)), Err(StoreError::Unsuitable(_))));
    assert_eq!(EmbeddedStore::open(&file, with(3)).unwrap().partitions(), 3);
    assert_eq!(EmbeddedStore::open(&file, with(64)).unwrap().partitions(), 3);
}

#[tokio::test]
async fn only_a_store_of_ours_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "not a database, but long enough to be looked at. ".repeat(400)).unwrap();
    let refused = open(&file);
    assert!(matches!(refused, Err(StoreError::Corrupt(_) | StoreError::Unsuitable(_))), "{refused:?}");
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("not a database"), "and left as it was");

    let file = folder.path().join("other.redb");
    let other = redb::Database::create(&file).unwrap();
    let table = redb::TableDefinition::<u64, u64>::new("theirs");
    let write = other.begin_write().unwrap();
    write.open_table(table).unwrap();
    write.commit().unwrap();
    drop(other);
    let Err(StoreError::Unsuitable(sentence)) = open(&file) else { panic!("a foreign database was opened") };
    assert!(sentence.contains("not a Patchbay store"), "{sentence}");
}

#[tokio::test]
async fn a_later_format_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("patchbay.redb");
    drop(open(&file).unwrap());
    let database = redb::Database::create(&file).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(redb::TableDefinition::<&str, u64>::new("meta")).unwrap().insert("format", 99).unwrap();
    write.commit().unwrap();
    drop(database);
    let Err(StoreError::Unsuitable(sentence)) = open(&file) else { panic!("a later format was opened") };
    assert!(sentence.contains("format 99") && sentence.contains("run the version that wrote it"), "{sentence}");
}

#[tokio::test]
async fn a_file_of_an_earlier_version_can_be_read_and_gets_new_tables() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("patchbay.redb");
    let id = conversation_id("a");
    open(&file).unwrap().append(vec![known("1", &id)]).await.unwrap();
    let database = redb::Database::create(&file).unwrap();
    let write = database.begin_write().unwrap();
    let new = ["decisions", "documents", "document-spaces"];
    let tables: Vec<_> = write.list_tables().unwrap().filter(|table| new.contains(&table.name())).collect();
    assert_eq!(tables.len(), new.len());
    for table in tables {
        assert!(write.delete_table(table).unwrap());
    }
    write.commit().unwrap();
    drop(database);

    assert_eq!(EmbeddedStore::check(&file).unwrap().problems, Vec::<String>::new());
    let store: Arc<dyn Store> = Arc::new(open(&file).unwrap());
    assert_eq!(store.decision(&event_id("1")).await.unwrap(), None);
    assert_eq!(store.document("s", "a").await.unwrap(), None);
    assert_eq!(store.documents("s").await.unwrap(), []);
    assert_eq!(store.document_keys("s").await.unwrap(), Vec::<String>::new());
    assert_eq!(store.stats().await.unwrap().documents, 0);
    assert_eq!(store.verify().await.unwrap().problems, Vec::<String>::new());
    let mut from = None;
    loop {
        from = store.export(from).await.unwrap().next;
        if from.is_none() {
            break;
        }
    }
    store.backup(&folder.path().join("backup.redb")).await.unwrap();
    let lease = conformance::own(&store, &id).await;
    let position = conformance::journal(&store, &lease).await[0].position;
    let decided = Some(conformance::data::decision("1", ""));
    let commit = Commit { handled: Some(position), decision: decided.clone(), ..Commit::default() };
    store.commit(&lease, commit).await.unwrap();
    assert_eq!(store.decision(&event_id("1")).await.unwrap(), decided);
    let revision = written(&store, "s", vec![put("a", "1")]).await[0];
    assert_eq!(store.document("s", "a").await.unwrap().unwrap().revision, revision);
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let instance = make().await;
    assert_eq!(std::fs::metadata(&instance.file).unwrap().permissions().mode() & 0o077, 0);
}
