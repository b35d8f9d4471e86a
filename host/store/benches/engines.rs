//! The two embeddable engines on the gateway's write pattern, deletes included: the figures behind
//! `docs/decisions/0001-embedded-store.md`.
//!
//! `cargo bench -p patchbay-store --bench engines -- [seconds for each row] [events of the fixed work]`
//!
//! N writers each wait for a durable answer before they go on. Every writer alternates an append (event record, id
//! index, journal marker) with the commit that ends the event (marker deleted, conversation rewritten, two tasks put, two
//! older tasks deleted, a link put). One thread applies what has come in and flushes once for all of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a measurement stops at the first surprise"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

use redb::{ReadableTable, TableDefinition};

/// An event record with the platform's own JSON.
const EVENT_BYTES: usize = 1_500;
/// A conversation's state.
const CONVERSATION_BYTES: usize = 1_500;
/// A task with its effect.
const TASK_BYTES: usize = 600;
/// A ticket link with the last entries.
const LINK_BYTES: usize = 300;
/// Writes that share one flush at most.
const BATCH: usize = 1_024;

const EVENTS: usize = 0;
const IDS: usize = 1;
const JOURNAL: usize = 2;
const CONVERSATIONS: usize = 3;
const TASKS: usize = 4;
const LINKS: usize = 5;
const TABLES: [&str; 6] = ["events", "ids", "journal", "conversations", "tasks", "links"];

/// One change of one table.
enum Change {
    Put(usize, Vec<u8>, Vec<u8>),
    Delete(usize, Vec<u8>),
}

/// One write: a key to look up first, as the store does for duplicates and versions, and its changes.
struct Write {
    look_up: (usize, Vec<u8>),
    changes: Vec<Change>,
    done: SyncSender<()>,
}

trait Engine: Send {
    fn apply(&mut self, writes: &[Write]);
}

struct Redb {
    database: redb::Database,
    quick_repair: bool,
}

fn definition(table: usize) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(TABLES[table])
}

impl Redb {
    fn open(path: &Path, quick_repair: bool) -> Self {
        let database = redb::Database::builder().set_cache_size(64 << 20).create(path).unwrap();
        Self { database, quick_repair }
    }
}

impl Engine for Redb {
    fn apply(&mut self, writes: &[Write]) {
        let mut transaction = self.database.begin_write().unwrap();
        transaction.set_quick_repair(self.quick_repair);
        {
            let mut tables: Vec<_> =
                (0..TABLES.len()).map(|i| transaction.open_table(definition(i)).unwrap()).collect();
            for write in writes {
                std::hint::black_box(tables[write.look_up.0].get(write.look_up.1.as_slice()).unwrap().is_some());
                for change in &write.changes {
                    match change {
                        Change::Put(table, key, value) => {
                            tables[*table].insert(key.as_slice(), value.as_slice()).unwrap();
                        }
                        Change::Delete(table, key) => {
                            tables[*table].remove(key.as_slice()).unwrap();
                        }
                    }
                }
            }
        }
        transaction.commit().unwrap();
    }
}

struct Fjall {
    database: fjall::Database,
    keyspaces: Vec<fjall::Keyspace>,
}

impl Fjall {
    fn open(path: &Path) -> Self {
        let database = fjall::Database::builder(path).cache_size(64 << 20).open().unwrap();
        let keyspaces =
            TABLES.iter().map(|name| database.keyspace(name, fjall::KeyspaceCreateOptions::default).unwrap()).collect();
        Self { database, keyspaces }
    }
}

impl Engine for Fjall {
    fn apply(&mut self, writes: &[Write]) {
        let mut batch = self.database.batch().durability(Some(fjall::PersistMode::SyncData));
        for write in writes {
            std::hint::black_box(self.keyspaces[write.look_up.0].get(&write.look_up.1).unwrap().is_some());
            for change in &write.changes {
                match change {
                    Change::Put(table, key, value) => {
                        batch.insert(&self.keyspaces[*table], key.as_slice(), value.as_slice());
                    }
                    Change::Delete(table, key) => batch.remove(&self.keyspaces[*table], key.as_slice()),
                }
            }
        }
        batch.commit().unwrap();
    }
}

/// Text that compresses about as well as the gateway's JSON does.
fn text(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = Vec::with_capacity(bytes + 24);
    while text.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.extend_from_slice(b"\"attribute\":\"");
        text.extend_from_slice(format!("{state:016x}").as_bytes());
    }
    text.truncate(bytes);
    text
}

/// Hashes are spread over the key space, as the ids are.
fn id(kind: &str, number: u64) -> Vec<u8> {
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{kind}_{spread:016x}{number:08x}").into_bytes()
}

fn append(number: u64, done: SyncSender<()>) -> Write {
    let place = number.to_be_bytes().to_vec();
    Write {
        look_up: (IDS, id("ev", number)),
        changes: vec![
            Change::Put(EVENTS, place.clone(), text(number, EVENT_BYTES)),
            Change::Put(IDS, id("ev", number), place.clone()),
            Change::Put(JOURNAL, place, Vec::new()),
        ],
        done,
    }
}

fn commit(number: u64, done: SyncSender<()>) -> Write {
    /// Conversations that are active at the same time.
    const ACTIVE: u64 = 20_000;
    /// Tasks are finished this many events after they were ordered.
    const LATER: u64 = 500;
    let conversation = id("co", number % ACTIVE);
    let mut changes = vec![
        Change::Delete(JOURNAL, number.to_be_bytes().to_vec()),
        Change::Put(CONVERSATIONS, conversation.clone(), text(number ^ 1, CONVERSATION_BYTES)),
        Change::Put(LINKS, conversation.clone(), text(number ^ 2, LINK_BYTES)),
    ];
    for task in 0..2 {
        changes.push(Change::Put(TASKS, id("ta", number * 2 + task), text(number ^ 3, TASK_BYTES)));
        if let Some(old) = number.checked_sub(LATER) {
            changes.push(Change::Delete(TASKS, id("ta", old * 2 + task)));
        }
    }
    Write { look_up: (CONVERSATIONS, conversation), changes, done }
}

/// When to stop.
#[derive(Clone, Copy)]
enum Until {
    Elapsed(Duration),
    Events(u64),
}

struct Outcome {
    operations: usize,
    elapsed: Duration,
    p50: Duration,
    p99: Duration,
    batches: usize,
}

fn run(mut engine: Box<dyn Engine>, writers: usize, until: Until) -> (Outcome, Box<dyn Engine>) {
    let (sender, receiver): (Sender<Write>, Receiver<Write>) = channel();
    let flusher = std::thread::spawn(move || {
        let mut batches = 0;
        while let Ok(first) = receiver.recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH {
                match receiver.try_recv() {
                    Ok(write) => batch.push(write),
                    Err(_) => break,
                }
            }
            engine.apply(&batch);
            batches += 1;
            for write in &batch {
                let _ = write.done.send(());
            }
        }
        (engine, batches)
    });
    let next = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let start = Instant::now();
    let threads: Vec<_> = (0..writers)
        .map(|_| {
            let (sender, next, stop) = (sender.clone(), Arc::clone(&next), Arc::clone(&stop));
            std::thread::Builder::new()
                .stack_size(128 << 10)
                .spawn(move || {
                    let mut times = Vec::new();
                    let (done, answer) = sync_channel(1);
                    while !stop.load(Ordering::Relaxed) {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if matches!(until, Until::Events(events) if number >= events) {
                            break;
                        }
                        for make in [append, commit] {
                            let write = make(number, done.clone());
                            let begun = Instant::now();
                            sender.send(write).unwrap();
                            answer.recv().unwrap();
                            times.push(begun.elapsed());
                        }
                    }
                    times
                })
                .unwrap()
        })
        .collect();
    drop(sender);
    if let Until::Elapsed(duration) = until {
        std::thread::park_timeout(duration);
        stop.store(true, Ordering::Relaxed);
    }
    let mut times: Vec<Duration> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    let elapsed = start.elapsed();
    let (engine, batches) = flusher.join().unwrap();
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    (Outcome { operations: times.len(), elapsed, p50: at(0.5), p99: at(0.99), batches }, engine)
}

fn size(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path).unwrap();
    if meta.is_file() {
        return meta.blocks() * 512;
    }
    std::fs::read_dir(path).unwrap().map(|entry| size(&entry.unwrap().path())).sum()
}

fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        std::fs::copy(from, to).unwrap();
        return;
    }
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

fn open(engine: &str, path: &Path) -> Box<dyn Engine> {
    match engine {
        "redb" => Box::new(Redb::open(path, false)),
        "redb, quick repair" => Box::new(Redb::open(path, true)),
        _ => Box::new(Fjall::open(path)),
    }
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let seconds = numbers.next().unwrap_or(8);
    let events = numbers.next().unwrap_or(300_000);
    println!("{:<20} {:>8} {:>10} {:>10} {:>10} {:>8}", "engine", "writers", "writes/s", "p50 ms", "p99 ms", "a flush");
    for engine in ["redb", "redb, quick repair", "fjall"] {
        for writers in [1, 64, 256] {
            let folder = tempfile::tempdir().unwrap();
            let (outcome, _) =
                run(open(engine, &folder.path().join("store")), writers, Until::Elapsed(Duration::from_secs(seconds)));
            println!(
                "{engine:<20} {writers:>8} {:>10.0} {:>10.2} {:>10.2} {:>8.1}",
                outcome.operations as f64 / outcome.elapsed.as_secs_f64(),
                outcome.p50.as_secs_f64() * 1e3,
                outcome.p99.as_secs_f64() * 1e3,
                outcome.operations as f64 / outcome.batches as f64,
            );
        }
    }
    println!("\n{events} events appended and committed by 64 writers");
    println!(
        "{:<20} {:>10} {:>10} {:>10} {:>12} {:>10}",
        "engine", "writes/s", "p99 ms", "MB", "MB, closed", "reopen ms"
    );
    for engine in ["redb", "redb, quick repair", "fjall"] {
        let folder = tempfile::tempdir().unwrap();
        let path: PathBuf = folder.path().join("store");
        let (outcome, open_engine) = run(open(engine, &path), 64, Until::Events(events));
        let before = size(&path);
        // As after a power cut: what is on disk while the engine still runs.
        let torn = folder.path().join("torn");
        copy(&path, &torn);
        let begun = Instant::now();
        drop(open(engine, &torn));
        let reopened = begun.elapsed();
        drop(open_engine);
        println!(
            "{engine:<20} {:>10.0} {:>10.2} {:>10.0} {:>12.0} {:>10.0}",
            outcome.operations as f64 / outcome.elapsed.as_secs_f64(),
            outcome.p99.as_secs_f64() * 1e3,
            before as f64 / 1e6,
            size(&path) as f64 / 1e6,
            reopened.as_secs_f64() * 1e3,
        );
    }
}
