//! What is left on the disk, and what becomes of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use patchbay_model::Timestamp;
use patchbay_store::intake::{Accepted, Intake, IntakeOptions};
use patchbay_store::{Store, StoreError};

use crate::faulty::{Fault, Faulty, event};
use crate::{GRACE, LEASE, accept, batch, caught_up, copy, files, ids, open, options, settled, stored};

#[tokio::test(start_paused = true)]
async fn a_crash_leaves_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let store = Faulty::new(LEASE);
    let intake = open(&store, &options(folder.path()));
    store.settles(false);
    accept(&intake, &["1", "2"]).await.unwrap();
    store.fault(Fault::Away);
    for name in ["3", "4", "5"] {
        assert_eq!(accept(&intake, &[name]).await.unwrap(), Accepted::Spooled);
    }
    let left = copy(folder.path());
    drop(intake);
    let again = open(&store, &options(left.path()));
    let standing = *again.standing().unwrap().borrow();
    assert!(standing.behind && standing.batches == 3, "{standing:?}");
    assert_eq!(accept(&again, &["6"]).await.unwrap(), Accepted::Spooled);
    store.fault(Fault::None);
    caught_up(&again).await;
    assert_eq!(stored(&store), ids(&["1", "2", "3", "4", "5", "6"]));
}

#[tokio::test]
async fn leftovers_go_first_even_if_the_spool_is_turned_off() {
    let folder = tempfile::tempdir().unwrap();
    let store = Faulty::new(LEASE);
    let intake = open(&store, &options(folder.path()));
    store.fault(Fault::Away);
    accept(&intake, &["1"]).await.unwrap();
    assert!(!intake.stop(Duration::from_millis(10)).await, "nothing can be handed on");
    assert!(matches!(accept(&intake, &["2"]).await, Err(StoreError::Unavailable(_))));
    let again = open(&store, &IntakeOptions { accept_while_away: false, ..options(folder.path()) });
    assert!(matches!(accept(&again, &["2"]).await, Err(StoreError::Unavailable(_))));
    store.fault(Fault::None);
    caught_up(&again).await;
    assert!(matches!(accept(&again, &["2"]).await, Ok(Accepted::Appended(_))));
    assert_eq!(stored(&store), ids(&["1", "2"]));
}

#[tokio::test]
async fn a_torn_tail_is_cut_and_a_flipped_bit_costs_its_batch_only() {
    let folder = tempfile::tempdir().unwrap();
    let store = Faulty::new(LEASE);
    let intake = open(&store, &options(folder.path()));
    store.fault(Fault::Away);
    for name in ["first", "second", "third", "fourth"] {
        accept(&intake, &[name]).await.unwrap();
    }
    let left = copy(folder.path());
    drop(intake);
    let mut flipped = 0;
    for file in files(left.path(), "log") {
        let mut bytes = std::fs::read(&file).unwrap();
        if let Some(at) = bytes.windows(6).position(|window| window == b"second") {
            bytes[at] ^= 0x10;
            flipped += 1;
        }
        std::fs::write(&file, &bytes).unwrap();
    }
    assert_eq!(flipped, 1);
    let last = files(left.path(), "log").pop().unwrap();
    let torn = std::fs::metadata(&last).unwrap().len() - 7;
    std::fs::OpenOptions::new().write(true).open(&last).unwrap().set_len(torn).unwrap();
    let again = open(&store, &options(left.path()));
    assert!(std::fs::metadata(&last).map_or(0, |file| file.len()) < torn);
    assert_eq!(again.standing().unwrap().borrow().batches, 2);
    store.fault(Fault::None);
    caught_up(&again).await;
    assert_eq!(stored(&store), ids(&["first", "third"]));
    assert!(again.stop(GRACE).await);
    assert!(files(left.path(), "log").is_empty());
}

#[tokio::test]
async fn what_the_store_refuses_is_set_aside_and_can_be_brought_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = Faulty::new(LEASE);
    let intake = open(&store, &options(folder.path()));
    store.fault(Fault::Away);
    for names in [["1", "2"], ["3", "4"]] {
        accept(&intake, &names).await.unwrap();
    }
    store.poison(&event("2"));
    store.fault(Fault::None);
    settled(&intake).await;
    assert_eq!(stored(&store), ids(&["1", "3", "4"]));
    // What is refused straight is nobody's promise.
    assert!(matches!(accept(&intake, &["2"]).await, Err(StoreError::Corrupt(_))));
    assert!(intake.stop(GRACE).await);
    let aside = files(folder.path(), "refused").remove(0);
    std::fs::rename(&aside, aside.with_extension("log")).unwrap();
    let repaired = Faulty::new(LEASE);
    let again = open(&repaired, &options(folder.path()));
    settled(&again).await;
    assert_eq!(stored(&repaired), ids(&["2"]));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_off_for_long_gives_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let store = Faulty::new(LEASE);
    store.settles(false);
    let intake = open(&store, &options(folder.path()));
    let mut old = batch(&["handled long ago"]);
    old[0].received_at = Timestamp::from_millis(Timestamp::now().as_millis() - 8 * 24 * 3_600_000);
    intake.accept(old.clone()).await.unwrap();
    store.fault(Fault::Away);
    old[0].id = event("never handled");
    intake.accept(old).await.unwrap();
    let left = copy(folder.path());
    drop(intake);
    let forgetful = Faulty::new(LEASE);
    let again = open(&forgetful, &options(left.path()));
    settled(&again).await;
    assert_eq!(stored(&forgetful), ids(&["never handled"]));
}

#[tokio::test]
async fn the_files_are_private_and_belong_to_one_process() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("data/spool");
    let store = Faulty::new(LEASE);
    let intake = open(&store, &options(&inside));
    store.fault(Fault::Away);
    accept(&intake, &["1"]).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&inside), mode(&files(&inside, "log")[0])), (0o700, 0o600));
    let shared: Arc<dyn Store> = Arc::<Faulty>::clone(&store);
    let Err(StoreError::Unsuitable(sentence)) = Intake::open(shared, &options(&inside)) else { panic!("two on one") };
    assert!(sentence.contains("in use by another process"), "{sentence}");
}

#[tokio::test]
async fn a_file_of_a_later_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("00000000000000000007.log"), b"patchbay-spool 2 and more").unwrap();
    let store: Arc<dyn Store> = Faulty::new(LEASE);
    let Err(StoreError::Unsuitable(sentence)) = Intake::open(store, &options(folder.path())) else { panic!("opened") };
    assert!(sentence.contains("00000000000000000007.log"), "{sentence}");
}
