//! The disk is full: while the store works, when it starts, and when it crashes meanwhile. Nothing acknowledged is lost,
//! reads go on, and so does everything when there is room again, without a restart.
//!
//! A child process works with the store, and its limit on the size of a file is lowered and raised while it runs.
#![cfg(target_os = "linux")]
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
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use data::{conversation, conversation_id, event_id, known, raw};
use patchbay_model::Arrival;
use patchbay_store::{Commit, EmbeddedOptions, EmbeddedStore, Partition, Position, Store, StoreError};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

/// Set in the child: the store's file, the first number that it may use, and its limit from the start.
const FILE: &str = "PATCHBAY_FULL_FILE";
const FIRST: &str = "PATCHBAY_FULL_FIRST";
const LIMIT: &str = "PATCHBAY_FULL_LIMIT";
/// How long the child waits after a refusal.
const BREATH: Duration = Duration::from_millis(20);

/// Not a test of its own: the child's life, run by the tests below in a process of its own.
#[test]
fn child() {
    let (Ok(file), Ok(first)) = (std::env::var(FILE), std::env::var(FIRST)) else { return };
    if let Ok(limit) = std::env::var(LIMIT) {
        allow(None, Some(limit.parse().unwrap()));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(live(Path::new(&file), first.parse().unwrap()));
}

/// The size to which files may grow. Only the limit that can be raised again is changed.
fn allow(pid: Option<Pid>, bytes: Option<u64>) {
    prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

fn say(words: &str) {
    std::io::stderr().write_all(format!("{words}\n").as_bytes()).unwrap();
}

/// Repeats a write until it is acknowledged; after each refusal it says whether event 0 can be read.
async fn insist<T>(store: &EmbeddedStore, mut write: impl AsyncFnMut() -> Result<T, StoreError>) -> T {
    loop {
        match write().await {
            Ok(done) => return done,
            Err(StoreError::Unavailable(reason)) => {
                say(&format!("refused {reason}"));
                let read = store.event(&event_id("0")).await;
                say(if matches!(read, Ok(Some(_))) { "read" } else { "unread" });
                tokio::time::sleep(BREATH).await;
            }
            Err(other) => panic!("{other}"),
        }
    }
}

async fn live(file: &Path, first: u64) {
    let store = EmbeddedStore::open(file, EmbeddedOptions::default()).unwrap();
    say("opened");
    let id = conversation_id("a");
    let lease = insist(&store, async || store.acquire(store.partition_of(&id)).await).await.unwrap();
    for number in first.. {
        let name = format!("{number}");
        let arrival = Arrival { raw: Some(raw(&"x".repeat(64 << 10))), ..known(&name, &id) };
        insist(&store, async || store.append(vec![arrival.clone()]).await).await;
        say(&format!("appended {number}"));
        let position = insist(&store, async || store.event(&event_id(&name)).await).await.unwrap().position;
        let version = insist(&store, async || store.conversation(&id).await).await.map_or(0, |state| state.version);
        let state = Some((version, conversation(&id, &name)));
        let commit = Commit { handled: Some(position), conversation: state, ..Commit::default() };
        insist(&store, async || store.commit(&lease, commit.clone()).await).await;
        say(&format!("committed {number}"));
    }
}

/// A child at work, and what it has acknowledged.
struct Work {
    child: Child,
    output: BufReader<ChildStderr>,
    appended: BTreeSet<u64>,
    committed: BTreeSet<u64>,
}

impl Work {
    fn begin(file: &Path, first: u64, limit: Option<u64>) -> Self {
        // Writing beyond the limit is to be an error and not the end: what is ignored stays so in the new program.
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
        command.args(["--exact", "child", "--nocapture", "--test-threads=1"]);
        command.env(FILE, file).env(FIRST, format!("{first}")).stdout(Stdio::null()).stderr(Stdio::piped());
        if let Some(limit) = limit {
            command.env(LIMIT, format!("{limit}"));
        }
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stderr.take().unwrap());
        Self { child, output, appended: BTreeSet::new(), committed: BTreeSet::new() }
    }

    fn allow(&self, bytes: Option<u64>) {
        allow(Pid::from_raw(self.child.id().cast_signed()), bytes);
    }

    /// The next thing that the child says, without its end of line.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let whole = self.output.read_line(&mut line).unwrap() > 0 && line.ends_with('\n');
        if !whole {
            return None;
        }
        let line = line.trim_end().to_owned();
        match line.split_once(' ') {
            Some(("appended", number)) => assert!(self.appended.insert(number.parse().unwrap())),
            Some(("committed", number)) => assert!(self.committed.insert(number.parse().unwrap())),
            Some(("refused", _)) => {}
            _ => assert!(["opened", "read", "unread"].contains(&line.as_str()), "the child said: {line}"),
        }
        Some(line)
    }

    /// Listens until it has said something like this so many times; gives the last of them.
    fn until(&mut self, word: &str, mut times: u32) -> String {
        loop {
            let line = self.line().expect("the child goes on");
            if line.split(' ').next() == Some(word) {
                times -= 1;
                if times == 0 {
                    return line;
                }
            }
        }
    }

    /// Kills it, and gives what it had acknowledged.
    fn kill(mut self) -> (BTreeSet<u64>, BTreeSet<u64>) {
        self.child.kill().unwrap();
        while self.line().is_some() {}
        self.child.wait().unwrap();
        (self.appended, self.committed)
    }
}

/// Opens the store without a limit, and looks whether everything acknowledged is there, exactly once.
fn check(file: &Path, appended: &BTreeSet<u64>, committed: &BTreeSet<u64>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = EmbeddedStore::open(file, EmbeddedOptions::default()).unwrap();
        let id = conversation_id("a");
        let lease = store.acquire(store.partition_of(&id)).await.unwrap().unwrap();
        let pending = store.journal(&lease, Position(0), usize::MAX).await.unwrap();
        let waits = |number: u64| pending.iter().any(|record| record.event.id == event_id(&format!("{number}")));
        let mut handled = 0;
        for number in 0..=appended.last().copied().unwrap_or_default() + 1 {
            let there = store.event(&event_id(&format!("{number}"))).await.unwrap().is_some();
            assert!(there || !appended.contains(&number), "event {number} was acknowledged and is gone");
            assert!(!(committed.contains(&number) && waits(number)), "event {number} was committed and waits again");
            handled += u64::from(there && !waits(number));
        }
        let version = store.conversation(&id).await.unwrap().map_or(0, |state| state.version);
        assert_eq!(version, handled, "each commit is there as a whole");
        assert_eq!(patchbay_store::Upkeep::verify(&store).await.unwrap().problems, Vec::<String>::new());
        assert!(store.acquire(Partition(lease.partition.0 ^ 1)).await.unwrap().is_some());
    });
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("patchbay.redb");
    (folder, file)
}

/// Reads come back as soon as the file is open again; the very first refusal may still see it closed.
fn is_told(work: &mut Work) {
    let refusal = work.until("refused", 1);
    assert!(refusal.contains("no space left") && refusal.contains("free space on"), "{refusal}");
    assert!(refusal.contains("the store goes on by itself"), "{refusal}");
    work.until("read", 10);
}

#[test]
fn a_disk_that_fills_is_got_over_without_a_restart() {
    let (_folder, file) = folder();
    let mut work = Work::begin(&file, 0, None);
    work.until("committed", 5);
    for _ in 0..2 {
        // What the file has can be written again; it cannot grow.
        work.allow(Some(std::fs::metadata(&file).unwrap().len()));
        is_told(&mut work);
        // Nothing at all can be written.
        work.allow(Some(0));
        work.until("read", 10);
        work.allow(None);
        work.until("committed", 5);
    }
    let (appended, committed) = work.kill();
    check(&file, &appended, &committed);
}

#[test]
fn a_full_disk_is_started_on_and_got_over() {
    let (_folder, file) = folder();
    let mut work = Work::begin(&file, 0, None);
    work.until("committed", 20);
    // Killed: the engine has to repair the file, which writes.
    let (mut appended, mut committed) = work.kill();
    let bytes = std::fs::read(&file).unwrap();
    for (life, limit) in [(1, 0), (2, 4_096), (3, bytes.len() as u64)] {
        let mut work = Work::begin(&file, life * 1_000_000, Some(limit));
        work.until("opened", 1);
        is_told(&mut work);
        if limit == 0 {
            assert!(std::fs::read(&file).unwrap() == bytes, "what cannot be written is left as it is");
        }
        work.allow(None);
        work.until("committed", 5);
        let (more_appended, more_committed) = work.kill();
        appended.extend(more_appended);
        committed.extend(more_committed);
        // The numbers of a life begin far from those of the one before, so that only what was said is looked for.
        let of = |numbers: &BTreeSet<u64>| numbers.iter().copied().collect::<Vec<_>>();
        check_these(&file, &of(&appended), &of(&committed));
    }
}

#[test]
fn a_crash_on_a_full_disk_loses_nothing() {
    let (_folder, file) = folder();
    let mut work = Work::begin(&file, 0, None);
    work.until("committed", 5);
    work.allow(Some(std::fs::metadata(&file).unwrap().len()));
    is_told(&mut work);
    let (appended, committed) = work.kill();
    // Still full when it starts again, and killed once more.
    let mut work = Work::begin(&file, 1_000_000, Some(0));
    work.until("opened", 1);
    is_told(&mut work);
    work.kill();
    check(&file, &appended, &committed);
}

/// As [`check`], only for these numbers.
fn check_these(file: &Path, appended: &[u64], committed: &[u64]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = EmbeddedStore::open(file, EmbeddedOptions::default()).unwrap();
        let id = conversation_id("a");
        let lease = store.acquire(store.partition_of(&id)).await.unwrap().unwrap();
        let pending = store.journal(&lease, Position(0), usize::MAX).await.unwrap();
        for number in appended {
            let id = event_id(&format!("{number}"));
            assert!(store.event(&id).await.unwrap().is_some(), "event {number} was acknowledged and is gone");
            let waits = pending.iter().any(|record| record.event.id == id);
            assert!(!(committed.contains(number) && waits), "event {number} was committed and waits again");
        }
    });
}
