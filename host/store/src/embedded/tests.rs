//! What only a look inside can test: a disk that fails, rows that cannot be read.

use std::sync::atomic::{AtomicBool, Ordering};

use redb::StorageBackend;

use super::file::Opener;
use super::*;
use crate::{ClearedTimer, DOCUMENT_MOST, DocumentWrite, LinkChange, Shelf, Shelved, Timer, Upkeep};

/// A disk in memory.
#[derive(Clone, Debug, Default)]
struct Disk {
    bytes: Arc<Mutex<Vec<u8>>>,
    /// The file cannot grow; what it has can be written.
    full: Arc<AtomicBool>,
    /// Nothing can be written.
    broken: Arc<AtomicBool>,
}

impl Disk {
    fn check(&self) -> std::io::Result<()> {
        if self.broken.load(Ordering::SeqCst) { Err(std::io::Error::other("input/output error")) } else { Ok(()) }
    }

    fn range(offset: u64, length: usize) -> std::ops::Range<usize> {
        let start = usize::try_from(offset).unwrap();
        start..start + length
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> std::io::Result<u64> {
        Ok(self.bytes.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        out.copy_from_slice(&self.bytes.lock().unwrap()[Self::range(offset, out.len())]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.check()?;
        let mut bytes = self.bytes.lock().unwrap();
        let len = usize::try_from(len).unwrap();
        if len > bytes.len() && self.full.load(Ordering::SeqCst) {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        bytes.resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> std::io::Result<()> {
        self.check()
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.check()?;
        self.bytes.lock().unwrap()[Self::range(offset, data.len())].copy_from_slice(data);
        Ok(())
    }
}

fn store(disk: &Disk) -> EmbeddedStore {
    let disk = disk.clone();
    let open: Opener = Box::new(move |_| Ok(Box::new(disk.clone())));
    let options = EmbeddedOptions::default();
    let (file, known) = StoreFile::with(Path::new("memory"), open, &options).unwrap();
    EmbeddedStore::start(file, known, &options).unwrap()
}

fn arrival(number: u32) -> Arrival {
    let number = number.to_be_bytes();
    Arrival {
        id: EventId::derive(&[&number]),
        route: patchbay_model::Route::Conversation(ConversationId::derive(&[b"a"])),
        occurred_at: Timestamp::from_millis(1),
        received_at: Timestamp::from_millis(1),
        body: patchbay_model::Body::Unknown(patchbay_model::Notice { kind: "x".into(), data: "{}".into() }),
        raw: None,
    }
}

/// Larger than what an empty file has free.
fn large(number: u32) -> Arrival {
    let raw = patchbay_model::Raw { field: "x".into(), list: String::new(), json: "x".repeat(8 << 20).into() };
    Arrival { raw: Some(raw), ..arrival(number) }
}

/// Appends until it succeeds: the store tries the disk again by itself, after its pause.
async fn append_at_last(store: &EmbeddedStore, arrival: &Arrival) {
    while store.append(vec![arrival.clone()]).await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_broken_disk_is_told_and_got_over() {
    let disk = Disk::default();
    let store = store(&disk);
    store.append(vec![arrival(1)]).await.unwrap();
    let conversation = ConversationId::derive(&[b"a"]);
    let lease = store.acquire(store.partition_of(&conversation)).await.unwrap().unwrap();
    disk.broken.store(true, Ordering::SeqCst);
    let Err(StoreError::Unavailable(reason)) = store.append(vec![arrival(2)]).await else { panic!("taken") };
    assert!(reason.contains("input/output error"), "{reason}");
    let commit = Commit { handled: Some(Position(1)), ..Commit::default() };
    assert!(matches!(store.commit(&lease, commit.clone()).await, Err(StoreError::Unavailable(_))));
    disk.broken.store(false, Ordering::SeqCst);
    append_at_last(&store, &arrival(2)).await;
    // The lease still counts: nobody else can have had the file.
    store.commit(&lease, commit).await.unwrap();
    let journal = store.journal(&lease, Position(0), 10).await.unwrap();
    assert_eq!(journal.iter().map(|record| record.event.id.clone()).collect::<Vec<_>>(), [arrival(2).id]);
    assert_eq!(store.append(vec![arrival(1), arrival(2)]).await.unwrap(), [Appended::Duplicate, Appended::Duplicate]);
}

#[tokio::test]
async fn reads_come_back_without_a_write() {
    let disk = Disk::default();
    let store = store(&disk);
    store.append(vec![arrival(1)]).await.unwrap();
    disk.broken.store(true, Ordering::SeqCst);
    assert!(store.append(vec![arrival(2)]).await.is_err());
    disk.broken.store(false, Ordering::SeqCst);
    while store.event(&arrival(1).id).await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(store.event(&arrival(2).id).await.unwrap(), None);
}

#[tokio::test]
async fn a_full_disk_can_still_be_read() {
    let disk = Disk::default();
    let store = store(&disk);
    store.append(vec![arrival(1)]).await.unwrap();
    disk.full.store(true, Ordering::SeqCst);
    let full = store.append(vec![arrival(2), large(3)]).await;
    assert!(matches!(full, Err(StoreError::Unavailable(_))), "{full:?}");
    assert!(store.event(&arrival(1).id).await.unwrap().is_some());
    assert_eq!(store.event(&arrival(2).id).await.unwrap(), None, "all of an append is taken, or none");
    disk.full.store(false, Ordering::SeqCst);
    append_at_last(&store, &large(3)).await;
    assert!(store.event(&large(3).id).await.unwrap().is_some());
}

/// Not what belongs there, and nothing that may be told.
const GARBAGE: &[u8] = b"{\"id\":\"hunter2\"}";

fn task(number: u64) -> Task {
    Task {
        id: TaskId::derive(&[&number.to_be_bytes()]),
        lane: patchbay_model::task::Lane::Desk("zendesk".into()),
        conversation: ConversationId::derive(&[b"a"]),
        event: arrival(1).id,
        sequence: number,
        effect: patchbay_model::task::Effect::UpdateTicket { fields: Default::default() },
        attempts: 0,
        broken: 0,
        late: Vec::new(),
        due_at: Timestamp::from_millis(1),
        created_at: Timestamp::from_millis(1),
        uncertain_since: None,
        aside: false,
        last_error: None,
    }
}

fn written(entry: &str) -> LinkChange {
    let (desk, id) = ("zendesk".into(), "4711".into());
    LinkChange::Written {
        conversation: ConversationId::derive(&[b"a"]),
        ticket: patchbay_model::Ticket { desk, id, url: None, status: "open".into(), data: Default::default() },
        read: None,
        entry: Some(entry.into()),
    }
}

/// Writes past the store.
fn spoil(store: &EmbeddedStore, write: impl FnOnce(&mut tables::Tables<'_>)) {
    let handle = store.shared.file.handle();
    let transaction = handle.as_ref().unwrap().database.begin_write().unwrap();
    write(&mut tables::Tables::of(&transaction));
    transaction.commit().unwrap();
}

#[tokio::test]
async fn a_table_that_is_missing_is_made_when_the_file_is_opened() {
    let disk = Disk::default();
    let before = store(&disk);
    before.append(vec![arrival(1)]).await.unwrap();
    {
        let handle = before.shared.file.handle();
        let transaction = handle.as_ref().unwrap().database.begin_write().unwrap();
        assert!(transaction.delete_table(tables::REPORTS).unwrap());
        transaction.commit().unwrap();
    }
    before.reports(1).await.unwrap_err();
    before.close().await;
    let after = store(&disk);
    assert_eq!(after.reports(1).await.unwrap(), []);
    assert_eq!(after.append(vec![arrival(1)]).await.unwrap(), [Appended::Duplicate]);
}

#[tokio::test]
async fn an_unreadable_row_stops_nothing_but_itself() {
    let store = store(&Disk::default());
    let id = ConversationId::derive(&[b"a"]);
    let lease = store.acquire(store.partition_of(&id)).await.unwrap().unwrap();
    let timer = |name: &str| Timer {
        conversation: id.clone(),
        name: name.into(),
        at: Timestamp::from_millis(9),
        data: "".into(),
    };
    let letter =
        |number| DeadLetter { task: task(number), reason: "gone".into(), died_at: Timestamp::from_millis(number) };
    store.append(vec![arrival(1), arrival(2), arrival(3)]).await.unwrap();
    let commit = Commit {
        put_tasks: (1..=4).map(task).collect(),
        set_timers: vec![timer("broken"), timer("whole")],
        links: vec![written("e1")],
        ..Commit::default()
    };
    store.commit(&lease, commit).await.unwrap();
    let died = Commit { dead_letters: vec![letter(3), letter(4)], ..Commit::default() };
    store.commit(&lease, died).await.unwrap();
    let partition = lease.partition.0;
    spoil(&store, |tables| {
        tables.events.insert(2, (id.as_str(), GARBAGE)).unwrap();
        tables.tasks.insert((partition, task(1).id.as_str()), GARBAGE).unwrap();
        tables.timers.insert((partition, id.as_str(), "broken"), GARBAGE).unwrap();
        tables.links.insert((id.as_str(), "zendesk"), GARBAGE).unwrap();
        tables.dead_letters.insert(task(4).id.as_str(), (4, GARBAGE)).unwrap();
    });

    let pending = store.load(&lease).await.unwrap();
    assert_eq!(pending, Pending { tasks: vec![task(2)], timers: vec![timer("whole")] });
    let positions = async |after, limit| {
        let records = store.journal(&lease, Position(after), limit).await.unwrap();
        records.into_iter().map(|record| record.position.0).collect::<Vec<_>>()
    };
    assert_eq!(positions(0, 10).await, [1, 3]);
    // It takes no place in a page: an empty page is the end.
    assert_eq!(positions(1, 1).await, [3]);
    let events = store.events(&EventFilter { limit: 10, ..EventFilter::default() }).await.unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!(store.dead_letters(10).await.unwrap(), [letter(3)]);
    // Who asks for it alone is told, without its content.
    let told = store.event(&arrival(2).id).await.unwrap_err().to_string();
    assert!(told.contains("position 2") && !told.contains("hunter2"), "{told}");

    // It waits for somebody who can read it, unlike what has been handled.
    let handled = [1, 3].map(|position| Commit { handled: Some(Position(position)), ..Commit::default() });
    for commit in handled {
        store.commit(&lease, commit).await.unwrap();
    }
    spoil(&store, |tables| {
        let waiting: Vec<_> = tables.journal.range((0, 0)..).unwrap().map(|entry| entry.unwrap().0.value()).collect();
        assert_eq!(waiting, [(partition, 2)]);
    });

    // Writing goes on beside them, and over them.
    let at = Some(Timestamp::from_millis(9));
    let cleared_timers =
        ["broken", "whole"].map(|name| ClearedTimer { conversation: id.clone(), name: name.into(), at });
    let commit = Commit { cleared_timers: cleared_timers.into(), links: vec![written("e2")], ..Commit::default() };
    store.commit(&lease, commit).await.unwrap();
    assert_eq!(store.load(&lease).await.unwrap().timers, []);
    assert_eq!(store.link(&id, "zendesk").await.unwrap().unwrap().entries, ["e2"]);
}

#[tokio::test]
async fn documents_wait_for_the_disk_and_can_be_read_meanwhile() {
    let disk = Disk::default();
    let store = store(&disk);
    let write = |keys: std::ops::Range<u32>, body: usize| {
        let writes = keys.map(|key| DocumentWrite {
            key: key.to_string(),
            body: Some(bytes::Bytes::from(vec![7; body])),
            expected: None,
        });
        store.write_documents("s", writes.collect(), None)
    };
    let Ok(Shelved::Written(first)) = write(0..1, 1).await else { panic!("not written") };
    disk.full.store(true, Ordering::SeqCst);
    let full = write(0..8, DOCUMENT_MOST).await;
    assert!(matches!(full, Err(StoreError::Unavailable(_))), "{full:?}");
    let kept = store.documents("s").await.unwrap();
    assert_eq!(
        kept.iter().map(|document| document.revision).collect::<Vec<_>>(),
        first,
        "all of it is written, or none"
    );
    disk.full.store(false, Ordering::SeqCst);
    while write(0..8, DOCUMENT_MOST).await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(store.documents("s").await.unwrap().len(), 8);
    assert_eq!(store.verify().await.unwrap().problems, Vec::<String>::new());
}
