//! What only a look inside can test: a disk that fails.

use std::sync::atomic::{AtomicBool, Ordering};

use redb::{Database, StorageBackend};

use super::file::Opener;
use super::*;

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
    let open: Opener = Box::new(move || Database::builder().create_with_backend(disk.clone()));
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
    Arrival { raw: Some("x".repeat(8 << 20).into()), ..arrival(number) }
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
    let journal = store.load(&lease).await.unwrap().journal;
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
