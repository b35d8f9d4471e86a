//! The stores under load: events accepted and events committed per second, each waiting for its durable answer.
//!
//! `cargo bench -p patchbay-store --bench store -- [seconds for each row]`; with `redis` behind it also on a Redis of its
//! own, which flushes each second and then each write.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a measurement stops at the first surprise"
)]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use patchbay_model::arrival::Profile;
use patchbay_model::task::{Effect, Lane};
use patchbay_model::{
    Arrival, Attributes, Body, Channel, Content, Conversation, ConversationId, Customer, CustomerId, EventId, Identity,
    Message, Raw, Route, Task, TaskId, Ticket, Timestamp,
};
use patchbay_store::{
    Appended, Commit, EmbeddedOptions, EmbeddedStore, Lease, LinkChange, Partition, Position, RedisOptions, RedisStore,
    Store,
};
use patchbay_test_redis::{Options, Redis};

/// Writers at once.
const WRITERS: [u64; 3] = [1, 64, 256];

fn channel() -> Channel {
    Channel {
        id: "support".into(),
        platform: "whatsapp".into(),
        account: "102290129340398".into(),
        address: "106540352242922".into(),
    }
}

/// A text message with the platform's JSON of it: some 1.5 KB when stored.
fn arrival(number: u64, writer: u64) -> Arrival {
    let now = Timestamp::now();
    Arrival {
        id: EventId::derive(&[&number.to_le_bytes()]),
        route: Route::Customer {
            channel: channel(),
            identities: vec![Identity::Phone(format!("4477009{writer:05}").into())],
            former: Vec::new(),
            profile: Profile::default(),
        },
        occurred_at: now,
        received_at: now,
        body: Body::Message(Message {
            id: format!("wamid.{number:040}").into(),
            content: Content::Text("My parcel has not arrived yet. ".repeat(6).into()),
            reply_to: None,
            forwarded: false,
            referral: None,
            author: None,
        }),
        raw: Some(Raw {
            field: "messages".into(),
            list: "messages".into(),
            json: "{\"messaging_product\":\"whatsapp\",\"id\":\"0123456789abcdef\"},".repeat(12).into(),
        }),
    }
}

fn state(id: &ConversationId, version: u64) -> Conversation {
    let customer = Customer {
        id: CustomerId::derive(&[id.as_str().as_bytes()]),
        phone: Some("447700900001".into()),
        user_id: None,
        group: None,
        username: None,
        name: Some("Robin".into()),
        locale: None,
    };
    let mut state = Conversation::new(id.clone(), channel(), customer);
    for number in 0..20 {
        state.attributes.insert(format!("attribute-{number}"), format!("the value of version {version}"));
    }
    state
}

fn task(number: u64, half: u64, conversation: &ConversationId) -> Task {
    let now = Timestamp::now();
    let fields = (0..8).map(|field| (format!("field-{field}"), "a value of some length".into()));
    Task {
        id: TaskId::derive(&[&number.to_le_bytes(), &half.to_le_bytes()]),
        lane: Lane::Desk("zendesk".into()),
        conversation: conversation.clone(),
        event: EventId::derive(&[&number.to_le_bytes()]),
        sequence: number * 2 + half,
        effect: Effect::UpdateTicket { fields: fields.collect::<Attributes>() },
        attempts: 0,
        broken: 0,
        late: Vec::new(),
        aside: false,
        due_at: now,
        created_at: now,
        uncertain_since: None,
        last_error: None,
    }
}

fn link(conversation: &ConversationId, number: u64) -> LinkChange {
    let ticket = Ticket {
        desk: "zendesk".into(),
        id: conversation.as_str().into(),
        url: Some("https://example.zendesk.com/agent/tickets/4711".into()),
        status: "open".into(),
        data: Attributes::new(),
    };
    let read = Some(ticket.id.clone());
    LinkChange::Written { conversation: conversation.clone(), ticket, read, entry: Some(format!("{number}")) }
}

/// One writer, with numbers of its own.
struct Work {
    store: Arc<dyn Store>,
    leases: Arc<Vec<Lease>>,
    writer: u64,
    until: Instant,
}

impl Work {
    fn numbers(&self) -> impl Iterator<Item = u64> + use<> {
        let first = self.writer << 32;
        first..
    }

    /// Accepts events until the time is over; gives how long each took, and the conversation.
    async fn append(&self) -> (Vec<Duration>, ConversationId) {
        let mut times = Vec::new();
        let mut conversation = None;
        for number in self.numbers() {
            let begun = Instant::now();
            let appended = self.store.append(vec![arrival(number, self.writer)]).await.unwrap();
            times.push(begun.elapsed());
            if let Some(Appended::New { conversation: id, .. }) = appended.into_iter().next() {
                conversation = Some(id);
            }
            if Instant::now() >= self.until {
                break;
            }
        }
        (times, conversation.unwrap())
    }

    /// Commits what waits for this writer's conversation until it or the time is over.
    async fn commit(&self, conversation: ConversationId, mut waiting: VecDeque<Position>) -> Vec<Duration> {
        let lease = &self.leases[usize::from(self.store.partition_of(&conversation).0)];
        let mut times = Vec::new();
        for (version, number) in (0..).zip(self.numbers()) {
            let Some(position) = waiting.pop_front() else { break };
            let finished = number.checked_sub(1).filter(|_| version > 0);
            let commit = Commit {
                handled: Some(position),
                conversation: Some((version, state(&conversation, version))),
                put_tasks: (0..2).map(|half| task(number, half, &conversation)).collect(),
                finished_tasks: finished
                    .iter()
                    .flat_map(|old| (0..2).map(|half| task(*old, half, &conversation).id))
                    .collect(),
                links: vec![link(&conversation, number)],
                ..Commit::default()
            };
            let begun = Instant::now();
            self.store.commit(lease, commit).await.unwrap();
            times.push(begun.elapsed());
            if Instant::now() >= self.until {
                break;
            }
        }
        times
    }
}

fn row(what: &str, writers: u64, elapsed: Duration, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let rate = times.len() as f64 / elapsed.as_secs_f64();
    println!("{what:<10} {writers:>8} {rate:>10.0} {:>10.2} {:>10.2}", at(0.5), at(0.99));
}

async fn embedded(writers: u64, length: Duration) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("patchbay.redb");
    measure(Arc::new(EmbeddedStore::open(&path, EmbeddedOptions::default()).unwrap()), writers, length).await;
}

async fn on_redis(appendfsync: &'static str, writers: u64, length: Duration) {
    let redis = Redis::start(Options { appendfsync, ..Options::default() });
    // Nobody renews the leases here.
    let lease = Duration::from_secs(3_600);
    let options = RedisOptions { addresses: vec![redis.addr()], lease, ..RedisOptions::default() };
    let (store, _) = RedisStore::connect(options).await.unwrap();
    measure(Arc::new(store), writers, length).await;
}

async fn measure(store: Arc<dyn Store>, writers: u64, length: Duration) {
    let mut leases = Vec::new();
    for partition in 0..store.partitions() {
        leases.push(store.acquire(Partition(partition)).await.unwrap().unwrap());
    }
    let leases = Arc::new(leases);
    let work = |writer, until| Work { store: Arc::clone(&store), leases: Arc::clone(&leases), writer, until };

    let begun = Instant::now();
    let appending: Vec<_> = (0..writers)
        .map(|writer| {
            let work = work(writer, begun + length);
            tokio::spawn(async move { work.append().await })
        })
        .collect();
    let (mut times, mut conversations) = (Vec::new(), Vec::new());
    for task in appending {
        let (of_task, conversation) = task.await.unwrap();
        times.extend(of_task);
        conversations.push(conversation);
    }
    row("append", writers, begun.elapsed(), times);

    let mut waiting = std::collections::HashMap::<ConversationId, VecDeque<Position>>::new();
    for lease in leases.iter() {
        for record in store.journal(lease, Position(0), usize::MAX).await.unwrap() {
            waiting.entry(record.event.conversation).or_default().push_back(record.position);
        }
    }
    let begun = Instant::now();
    let committing: Vec<_> = (0..)
        .zip(conversations)
        .map(|(writer, conversation)| {
            let waiting = waiting.remove(&conversation).unwrap_or_default();
            let work = work(writer, begun + length);
            tokio::spawn(async move { work.commit(conversation, waiting).await })
        })
        .collect();
    let mut times = Vec::new();
    for task in committing {
        times.extend(task.await.unwrap());
    }
    row("commit", writers, begun.elapsed(), times);
}

fn main() {
    let seconds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(5);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    println!("{:<10} {:>8} {:>10} {:>10} {:>10}", "write", "writers", "a second", "p50 ms", "p99 ms");
    for writers in WRITERS {
        runtime.block_on(embedded(writers, Duration::from_secs(seconds)));
    }
    if !std::env::args().any(|argument| argument == "redis") {
        return;
    }
    for appendfsync in ["everysec", "always"] {
        println!("Redis, appendfsync {appendfsync}");
        for writers in WRITERS {
            runtime.block_on(on_redis(appendfsync, writers, Duration::from_secs(seconds)));
        }
    }
}
