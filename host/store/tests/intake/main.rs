//! What is acknowledged is in the store in the end, once and in order, whatever happens to the store and to the node.
//!
//! Where the clock is paused it runs ahead as soon as only the log's own thread is waited for: only what has no time limit
//! of its own is tested so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod disk;
mod faulty;
mod random;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use faulty::{Fault, Faulty, activity, conversation, event, message};
use patchbay_model::task::{Effect, Lane};
use patchbay_model::{Arrival, Attributes, EventId, Task, TaskId, Timestamp};
use patchbay_store::intake::{Accepted, Intake, IntakeOptions};
use patchbay_store::{Appended, Store, StoreError};

const GRACE: Duration = Duration::from_secs(10);
const LEASE: Option<Duration> = Some(Duration::from_secs(10));

fn options(folder: &Path) -> IntakeOptions {
    IntakeOptions {
        folder: Some(folder.to_owned()),
        accept_while_away: true,
        max_bytes: 64 << 20,
        keep: Duration::ZERO,
    }
}

fn open(store: &Arc<Faulty>, options: &IntakeOptions) -> Intake {
    let store: Arc<dyn Store> = Arc::<Faulty>::clone(store);
    Intake::open(store, options).unwrap()
}

/// Waits until the store has got everything.
async fn caught_up(intake: &Intake) {
    intake.standing().unwrap().wait_for(|standing| !standing.behind).await.unwrap();
}

/// Waits until the store has settled everything.
async fn settled(intake: &Intake) {
    intake.standing().unwrap().wait_for(|standing| standing.bytes == 0).await.unwrap();
}

async fn accept(intake: &Intake, names: &[&str]) -> Result<Accepted, StoreError> {
    intake.accept(batch(names)).await
}

/// Messages of one conversation.
fn batch(names: &[&str]) -> Vec<Arrival> {
    names.iter().map(|name| message(name, &conversation("a"))).collect()
}

fn ids(names: &[&str]) -> Vec<EventId> {
    names.iter().map(|name| event(name)).collect()
}

fn stored(store: &Faulty) -> Vec<EventId> {
    store.journal().into_iter().map(|(_, event)| event).collect()
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|found| found == ending));
    files.sort();
    files
}

/// A copy of what is on the disk: what a crash would leave.
fn copy(folder: &Path) -> tempfile::TempDir {
    let left = tempfile::tempdir().unwrap();
    for file in files(folder, "log") {
        // The one that writes the original may just have removed it.
        let _gone = std::fs::copy(&file, left.path().join(file.file_name().unwrap()));
    }
    left
}

#[tokio::test]
async fn a_store_of_one_process_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("spool");
    let store = Faulty::new(None);
    let intake = open(&store, &options(&inside));
    assert!(matches!(accept(&intake, &["1"]).await, Ok(Accepted::Appended(appended)) if appended.len() == 1));
    store.fault(Fault::Away);
    assert!(matches!(accept(&intake, &["2"]).await, Err(StoreError::Unavailable(_))));
    assert!(!inside.exists() && intake.standing().is_none() && !intake.accepts_while_away());
    assert!(intake.stop(GRACE).await);
}

#[tokio::test(start_paused = true)]
async fn an_outage_delays_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Faulty::new(LEASE);
    let intake = open(&store, &options(folder.path()));
    assert!(matches!(accept(&intake, &["1", "2"]).await, Ok(Accepted::Appended(_))));
    for fault in [Fault::Away, Fault::Hangs, Fault::Unsuitable] {
        let name = |number: u32| format!("{fault:?} {number}");
        store.fault(fault);
        for number in 0..5 {
            assert_eq!(accept(&intake, &[&name(number)]).await.unwrap(), Accepted::Spooled);
        }
        assert!(intake.accepts_while_away());
        let standing = *intake.standing().unwrap().borrow();
        assert!(standing.behind && standing.batches == 5, "{standing:?}");
        store.fault(Fault::None);
        caught_up(&intake).await;
        assert_eq!(stored(&store)[store.journal().len() - 5..], [0, 1, 2, 3, 4].map(|number| event(&name(number))));
        assert!(
            matches!(accept(&intake, &[&name(0)]).await.unwrap(), Accepted::Appended(one) if one == [Appended::Duplicate])
        );
    }
    settled(&intake).await;
    while !files(folder.path(), "log").is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn new_arrivals_wait_behind_spooled_ones() {
    let folder = tempfile::tempdir().unwrap();
    let store = Faulty::new(LEASE);
    let intake = open(&store, &options(folder.path()));
    store.fault(Fault::Away);
    let names: Vec<_> = (0..40).map(|number| number.to_string()).collect();
    for (number, name) in names.iter().enumerate() {
        if number == 20 {
            store.fault(Fault::None);
        }
        accept(&intake, &[name]).await.unwrap();
    }
    caught_up(&intake).await;
    assert_eq!(stored(&store), names.iter().map(|name| event(name)).collect::<Vec<_>>());
    assert!(matches!(accept(&intake, &["straight"]).await, Ok(Accepted::Appended(_))));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_makes_no_second_event() {
    let folder = tempfile::tempdir().unwrap();
    let store = Faulty::new(LEASE);
    let intake = open(&store, &options(folder.path()));
    store.fault(Fault::AnswerLost);
    assert_eq!(accept(&intake, &["1"]).await.unwrap(), Accepted::Spooled);
    assert_eq!(accept(&intake, &["2"]).await.unwrap(), Accepted::Spooled);
    store.fault(Fault::None);
    caught_up(&intake).await;
    assert_eq!(stored(&store), ids(&["1", "2"]));
}

#[tokio::test(start_paused = true)]
async fn without_leave_an_outage_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let store = Faulty::new(LEASE);
    let intake = open(&store, &IntakeOptions { accept_while_away: false, ..options(folder.path()) });
    store.fault(Fault::Away);
    assert!(matches!(accept(&intake, &["1"]).await, Err(StoreError::Unavailable(_))));
    assert!(!intake.accepts_while_away());
    store.fault(Fault::None);
    assert!(matches!(accept(&intake, &["1"]).await, Ok(Accepted::Appended(_))));
    assert_eq!(stored(&store), ids(&["1"]));
}

#[tokio::test(start_paused = true)]
async fn what_a_failover_loses_comes_back_in_order() {
    for accept_while_away in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let store = Faulty::new(LEASE);
        let intake = open(&store, &IntakeOptions { accept_while_away, ..options(folder.path()) });
        accept(&intake, &["1"]).await.unwrap();
        settled(&intake).await;
        store.settles(false);
        for name in ["2", "3", "4"] {
            accept(&intake, &[name]).await.unwrap();
        }
        assert_eq!(store.lose(usize::MAX), 3);
        if accept_while_away {
            assert_eq!(accept(&intake, &["5"]).await.unwrap(), Accepted::Spooled);
        }
        // It is lost again before it is known to be settled.
        intake.standing().unwrap().wait_for(|_| store.journal().len() >= 4).await.unwrap();
        caught_up(&intake).await;
        store.lose(2);
        intake.standing().unwrap().wait_for(|standing| standing.behind).await.unwrap();
        caught_up(&intake).await;
        let names: &[&str] = if accept_while_away { &["1", "2", "3", "4", "5"] } else { &["1", "2", "3", "4"] };
        assert_eq!(stored(&store), ids(names));
        store.settles(true);
        settled(&intake).await;
    }
}

#[tokio::test(start_paused = true)]
async fn settling_removes_and_is_not_asked_for_without_need() {
    let folder = tempfile::tempdir().unwrap();
    let store = Faulty::new(LEASE);
    let intake = open(&store, &options(folder.path()));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(store.settle_calls(), 0);
    accept(&intake, &["1"]).await.unwrap();
    settled(&intake).await;
    assert_eq!(store.settle_calls(), 1);
    store.settles(false);
    accept(&intake, &["2"]).await.unwrap();
    let began = tokio::time::Instant::now();
    while store.settle_calls() < 5 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(began.elapsed() >= Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(intake.standing().unwrap().borrow().bytes > 0);
}

#[tokio::test(start_paused = true)]
async fn a_full_spool_is_unavailable_and_empties_itself() {
    let folder = tempfile::tempdir().unwrap();
    let store = Faulty::new(LEASE);
    let intake = open(&store, &IntakeOptions { max_bytes: 20_000, ..options(folder.path()) });
    store.fault(Fault::Away);
    let mut acknowledged = Vec::new();
    let full = loop {
        let name = acknowledged.len().to_string();
        match accept(&intake, &[&name]).await {
            Ok(_) => acknowledged.push(event(&name)),
            Err(error) => break error,
        }
    };
    assert!(full.to_string().contains("`max` under [spool]"), "{full}");
    assert!(acknowledged.len() > 10 && intake.standing().unwrap().borrow().bytes <= 20_000);
    store.fault(Fault::None);
    settled(&intake).await;
    assert_eq!(stored(&store), acknowledged);
    assert!(matches!(accept(&intake, &["after"]).await, Ok(Accepted::Appended(_))));
}

#[tokio::test(start_paused = true)]
async fn an_unsettled_store_stops_the_node_at_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let store = Faulty::new(LEASE);
    let intake = open(&store, &IntakeOptions { max_bytes: 20_000, ..options(folder.path()) });
    store.settles(false);
    let mut number = 0;
    while accept(&intake, &[&number.to_string()]).await.is_ok() {
        number += 1;
        assert!(number < 1_000, "there is no limit");
    }
    store.settles(true);
    settled(&intake).await;
    assert!(accept(&intake, &["after"]).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn activities_find_their_conversations_late() {
    let folder = tempfile::tempdir().unwrap();
    let store = Faulty::new(LEASE);
    store.settles(false);
    let intake = open(&store, &options(folder.path()));
    let (linked, made) = (conversation("linked"), conversation("made"));
    store.link("1", &linked);
    let key = TaskId::derive(&[b"create"]);
    store.put_task(create(&key, &made));
    let key = Some(key.to_string());
    let straight = vec![
        activity("a", "1", None),
        activity("b", "2", key.clone()),
        activity("c", "3", None),
        activity("d", "1", None),
    ];
    let Accepted::Appended(appended) = intake.accept(straight).await.unwrap() else { panic!("spooled") };
    let conversations: Vec<_> = appended
        .iter()
        .map(|one| match one {
            Appended::New { conversation, .. } => Some(conversation.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(conversations, [Some(linked.clone()), Some(made.clone()), None, Some(linked.clone())]);
    // The link is lost with the events: they are known to belong to its conversation all the same.
    store.unlink("1");
    store.lose(usize::MAX);
    intake.standing().unwrap().wait_for(|standing| standing.behind).await.unwrap();
    caught_up(&intake).await;
    let all = [(linked.clone(), event("a")), (made.clone(), event("b")), (linked, event("d"))];
    let sorted = |mut journal: Vec<_>| {
        journal.sort();
        journal
    };
    assert_eq!(sorted(store.journal()), sorted(all.to_vec()));
    store.fault(Fault::Away);
    let late = vec![activity("e", "4", key), activity("f", "5", None)];
    assert_eq!(intake.accept(late).await.unwrap(), Accepted::Spooled);
    store.fault(Fault::None);
    caught_up(&intake).await;
    assert_eq!(store.journal()[3..], [(made, event("e"))]);
}

/// The task that makes a ticket.
fn create(id: &TaskId, of: &patchbay_model::ConversationId) -> Task {
    Task {
        id: id.clone(),
        lane: Lane::Desk("zendesk".into()),
        conversation: of.clone(),
        event: event("it"),
        sequence: 1,
        effect: Effect::UpdateTicket { fields: Attributes::new() },
        attempts: 0,
        broken: 0,
        late: Vec::new(),
        aside: false,
        due_at: Timestamp::from_millis(0),
        created_at: Timestamp::from_millis(0),
        uncertain_since: None,
        last_error: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_outage_is_handed_on_in_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let store = Faulty::new(LEASE);
    let intake = Arc::new(open(&store, &IntakeOptions { max_bytes: 4 << 20, ..options(folder.path()) }));
    store.fault(Fault::Away);
    let names: Vec<_> = (0..3_000).map(|number| number.to_string()).collect();
    // From the first one on there is an order even for those that come at once.
    accept(&intake, &["0"]).await.unwrap();
    for chunk in names.chunks(100) {
        let accepting = chunk.chunks(4).map(|names| {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            let (intake, batch) = (Arc::clone(&intake), batch(&names));
            tokio::spawn(async move { intake.accept(batch).await })
        });
        // All at once: they share their flushes.
        for accepted in accepting.collect::<Vec<_>>() {
            assert_eq!(accepted.await.unwrap().unwrap(), Accepted::Spooled);
        }
    }
    assert!(files(folder.path(), "log").len() > 3, "it is cut into segments");
    store.fault(Fault::None);
    settled(&intake).await;
    assert!(stored(&store) == names.iter().map(|name| event(name)).collect::<Vec<_>>(), "not in order");
}

#[tokio::test]
async fn stopping_hands_on_what_waits() {
    let folder = tempfile::tempdir().unwrap();
    let store = Faulty::new(LEASE);
    let intake = open(&store, &options(folder.path()));
    store.fault(Fault::Away);
    accept(&intake, &["1"]).await.unwrap();
    store.fault(Fault::None);
    assert!(intake.stop(GRACE).await);
    assert_eq!(stored(&store), ids(&["1"]));
    assert!(files(folder.path(), "log").is_empty(), "what is settled leaves nothing behind");
}
