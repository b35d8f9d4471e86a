//! The process is killed while it writes: everything acknowledged is there afterwards, exactly once.
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
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use data::{conversation, conversation_id, event_id, known, task, task_id};
use patchbay_store::{Appended, Commit, EmbeddedOptions, EmbeddedStore, EventFilter, Partition, Position, Store};

/// Set in the child: the store's file and the first number that it may use.
const FILE: &str = "PATCHBAY_CRASH_FILE";
const FIRST: &str = "PATCHBAY_CRASH_FIRST";
/// How often the child is killed.
const KILLS: u64 = 12;
/// Numbers of one child's life: more than it can use.
const LIFE: u64 = 1_000_000;
/// Conversations, each with a writer of its own.
const WRITERS: u64 = 8;

/// Not a test of its own: the child's life, run by the test below in a process of its own.
#[test]
fn child() {
    let (Ok(file), Ok(first)) = (std::env::var(FILE), std::env::var(FIRST)) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(live(Path::new(&file), first.parse().unwrap()));
}

/// Says that something is durable. One write for each line: a line is printed whole or not at all, or is cut and then
/// has no end.
fn say(word: &str, number: u64) {
    std::io::stderr().write_all(format!("{word} {number}\n").as_bytes()).unwrap();
}

async fn live(file: &Path, first: u64) {
    let store = Arc::new(EmbeddedStore::open(file, EmbeddedOptions::default()).unwrap());
    let mut leases = Vec::new();
    for partition in 0..store.partitions() {
        leases.push(store.acquire(Partition(partition)).await.unwrap().unwrap());
    }
    let leases = Arc::new(leases);
    for writer in 0..WRITERS {
        let (store, leases) = (Arc::clone(&store), Arc::clone(&leases));
        tokio::spawn(async move {
            let id = conversation_id(&format!("{writer}"));
            let lease = &leases[usize::from(store.partition_of(&id).0)];
            let mut version = store.conversation(&id).await.unwrap().map_or(0, |state| state.version);
            for number in (first + writer..).step_by(WRITERS as usize) {
                let name = format!("{number}");
                store.append(vec![known(&name, &id)]).await.unwrap();
                say("appended", number);
                let position = store.event(&event_id(&name)).await.unwrap().unwrap().position;
                let commit = Commit {
                    handled: Some(position),
                    conversation: Some((version, conversation(&id, &name))),
                    put_tasks: vec![task(&name, &id, number)],
                    finished_tasks: number
                        .checked_sub(WRITERS)
                        .map(|old| task_id(&format!("{old}")))
                        .into_iter()
                        .collect(),
                    ..Commit::default()
                };
                store.commit(lease, commit).await.unwrap();
                version += 1;
                say("committed", number);
            }
        });
    }
    std::future::pending::<()>().await;
}

/// Lets a child live until it has acknowledged so many things, kills it, and gives what it acknowledged.
fn kill_after(file: &Path, first: u64, lines: usize) -> Vec<(bool, u64)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(FILE, file)
        .env(FIRST, format!("{first}"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stderr.take().unwrap());
    let mut said = Vec::new();
    let mut killed = false;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).unwrap() == 0 || !line.ends_with('\n') {
            break;
        }
        let words: Vec<_> = line.split_whitespace().collect();
        match words.as_slice() {
            ["appended", number] => said.push((false, number.parse().unwrap())),
            ["committed", number] => said.push((true, number.parse().unwrap())),
            _ => panic!("the child said: {line}"),
        }
        if !killed && said.len() >= lines {
            // SIGKILL on Unix: nothing in the child runs any more. What it said before is still read.
            child.kill().unwrap();
            killed = true;
        }
    }
    child.wait().unwrap();
    assert!(killed, "the child ended by itself after {} lines", said.len());
    said
}

#[test]
fn what_was_acknowledged_survives_kill_9_exactly_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("patchbay.redb");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut appended, mut committed) = (BTreeSet::new(), BTreeSet::new());
    for life in 0..KILLS {
        let lines = 1 + rand::random_range(0..200);
        for (commit, number) in kill_after(&file, life * LIFE, lines) {
            let fresh = if commit { committed.insert(number) } else { appended.insert(number) };
            assert!(fresh, "{number} was acknowledged twice");
        }
        runtime.block_on(check(&file, &appended, &committed));
    }
    assert!(committed.len() as u64 > KILLS, "hardly anything was written: {}", committed.len());
}

async fn check(file: &Path, appended: &BTreeSet<u64>, committed: &BTreeSet<u64>) {
    let store = EmbeddedStore::open(file, EmbeddedOptions::default()).unwrap();
    let mut pending = BTreeSet::new();
    let mut tasks = BTreeSet::new();
    for partition in 0..store.partitions() {
        let lease = store.acquire(Partition(partition)).await.unwrap().unwrap();
        for record in store.journal(&lease, Position(0), usize::MAX).await.unwrap() {
            assert!(pending.insert(record.event.id.clone()), "{} waits twice", record.event.id);
        }
        tasks.extend(store.load(&lease).await.unwrap().tasks.into_iter().map(|task| task.id));
    }
    for number in appended {
        let id = event_id(&format!("{number}"));
        assert!(store.event(&id).await.unwrap().is_some(), "event {number} was acknowledged and is gone");
        assert!(!committed.contains(number) || !pending.contains(&id), "event {number} was committed and waits again");
    }
    let all = store.events(&EventFilter { limit: usize::MAX, ..EventFilter::default() }).await.unwrap();
    let distinct: BTreeSet<_> = all.iter().map(|record| record.event.id.clone()).collect();
    assert_eq!(distinct.len(), all.len(), "an event stands twice in the list");
    for writer in 0..WRITERS {
        // An event is handled exactly when its commit's other half is there: state, version and task go together.
        let id = conversation_id(&format!("{writer}"));
        let of_writer = EventFilter { conversation: Some(id.clone()), limit: usize::MAX, ..EventFilter::default() };
        let events = store.events(&of_writer).await.unwrap();
        let handled = events.iter().filter(|record| !pending.contains(&record.event.id)).count() as u64;
        let state = store.conversation(&id).await.unwrap();
        assert_eq!(state.as_ref().map_or(0, |state| state.version), handled, "versions of writer {writer}");
        if let Some(state) = state {
            let last = &state.value.attributes["note"];
            assert!(!pending.contains(&event_id(last)) && tasks.contains(&task_id(last)));
        }
    }
    // Delivered again, as Meta would: nothing is taken twice.
    if let Some(number) = appended.last() {
        let again = known(&format!("{number}"), &conversation_id(&format!("{}", number % WRITERS)));
        assert_eq!(store.append(vec![again]).await.unwrap(), [Appended::Duplicate]);
    }
}
