//! A store that takes arrivals and has faults on demand: it goes away, loses answers, loses its last appends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use patchbay_model::task::DeadLetter;
use patchbay_model::*;
use patchbay_store::*;
use tokio::sync::{Notify, watch};

/// What is wrong with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// Appends are refused.
    Away,
    /// Appends are written, and answered with an error.
    AnswerLost,
    /// Appends are never answered.
    Hangs,
    /// The whole store is of another version.
    Unsuitable,
}

#[derive(Debug, Default)]
struct Inner {
    fault: Fault,
    settles: bool,
    /// What was appended, in order: the conversation and the event.
    journal: Vec<(ConversationId, EventId)>,
    /// So much of it cannot be lost any more.
    settled: usize,
    /// Events that cannot be taken.
    poison: BTreeSet<String>,
    /// Conversations by ticket, and by the task that makes a ticket.
    links: BTreeMap<String, ConversationId>,
    tasks: BTreeMap<String, Task>,
    settle_calls: u64,
}

/// The store.
#[derive(Debug)]
pub(crate) struct Faulty {
    inner: Mutex<Inner>,
    losses: watch::Sender<u64>,
    lease_time: Option<Duration>,
}

fn lost<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("it is not there".into()))
}

impl Faulty {
    /// One that settles; `lease_time`: see [`Store::lease_time`].
    pub(crate) fn new(lease_time: Option<Duration>) -> Arc<Self> {
        let inner = Inner { settles: true, ..Inner::default() };
        Arc::new(Self { inner: Mutex::new(inner), losses: watch::Sender::new(0), lease_time })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub(crate) fn fault(&self, fault: Fault) {
        self.lock().fault = fault;
    }

    pub(crate) fn settles(&self, settles: bool) {
        self.lock().settles = settles;
    }

    pub(crate) fn poison(&self, event: &EventId) {
        self.lock().poison.insert(event.to_string());
    }

    pub(crate) fn link(&self, ticket: &str, conversation: &ConversationId) {
        self.lock().links.insert(ticket.into(), conversation.clone());
    }

    pub(crate) fn unlink(&self, ticket: &str) {
        self.lock().links.remove(ticket);
    }

    pub(crate) fn put_task(&self, task: Task) {
        self.lock().tasks.insert(task.id.to_string(), task);
    }

    /// How often it was asked to settle.
    pub(crate) fn settle_calls(&self) -> u64 {
        self.lock().settle_calls
    }

    /// Loses the last appends that are not settled, `most` at most.
    pub(crate) fn lose(&self, most: usize) -> usize {
        let mut inner = self.lock();
        let left = inner.journal.len().saturating_sub(most).max(inner.settled);
        let lost = inner.journal.len() - left;
        inner.journal.truncate(left);
        self.losses.send_modify(|losses| *losses += 1);
        lost
    }

    /// Everything that it has, in order.
    pub(crate) fn journal(&self) -> Vec<(ConversationId, EventId)> {
        self.lock().journal.clone()
    }
}

impl Inner {
    fn append(&mut self, arrival: &Arrival) -> Appended {
        let conversation = match &arrival.route {
            Route::Ticket { ticket, .. } => self.links.get(ticket).cloned(),
            route => route.new_conversation(),
        };
        let Some(conversation) = conversation else { return Appended::Stranger };
        if self.journal.iter().any(|(_, id)| *id == arrival.id) {
            return Appended::Duplicate;
        }
        self.journal.push((conversation.clone(), arrival.id.clone()));
        Appended::New { partition: Partition(0), conversation }
    }
}

#[async_trait]
impl Store for Faulty {
    fn partitions(&self) -> u16 {
        1
    }
    fn partition_of(&self, _: &ConversationId) -> Partition {
        Partition(0)
    }
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
    fn lease_time(&self) -> Option<Duration> {
        self.lease_time
    }
    fn losses(&self) -> watch::Receiver<u64> {
        self.losses.subscribe()
    }
    async fn settle(&self) -> Result<(), StoreError> {
        let mut inner = self.lock();
        inner.settle_calls += 1;
        if !inner.settles || inner.fault != Fault::None {
            return lost();
        }
        inner.settled = inner.journal.len();
        Ok(())
    }
    async fn append(&self, arrivals: Vec<Arrival>) -> Result<Vec<Appended>, StoreError> {
        // Whoever calls at the same time gets a turn in between.
        tokio::task::yield_now().await;
        let fault = self.lock().fault;
        match fault {
            Fault::None | Fault::AnswerLost => {}
            Fault::Away => return lost(),
            Fault::Hangs => std::future::pending().await,
            Fault::Unsuitable => return Err(StoreError::Unsuitable("it is empty, and was not".into())),
        }
        let appended = {
            let mut inner = self.lock();
            if arrivals.iter().any(|arrival| inner.poison.contains(&arrival.id.to_string())) {
                return Err(StoreError::Corrupt("an entry of the index".into()));
            }
            arrivals.iter().map(|arrival| inner.append(arrival)).collect()
        };
        tokio::task::yield_now().await;
        if fault == Fault::AnswerLost { lost() } else { Ok(appended) }
    }
    async fn task(&self, id: &TaskId) -> Result<Option<Task>, StoreError> {
        Ok(self.lock().tasks.get(&id.to_string()).cloned())
    }
    fn wakeup(&self, _: Partition) -> Arc<Notify> {
        Arc::default()
    }
    async fn close(&self) {}

    // Nothing that accepts asks for the rest.
    async fn beat(&self, _: &Node) -> Result<Vec<Node>, StoreError> {
        lost()
    }
    async fn leave(&self, _: &str) -> Result<(), StoreError> {
        lost()
    }
    async fn turn(&self, _: &str, _: Pace) -> Result<Duration, StoreError> {
        lost()
    }
    async fn acquire(&self, _: Partition) -> Result<Option<Lease>, StoreError> {
        lost()
    }
    async fn renew(&self, _: &Lease) -> Result<(), StoreError> {
        lost()
    }
    async fn release(&self, _: Lease) -> Result<(), StoreError> {
        lost()
    }
    async fn load(&self, _: &Lease) -> Result<Pending, StoreError> {
        lost()
    }
    async fn journal(&self, _: &Lease, _: Position, _: usize) -> Result<Vec<EventRecord>, StoreError> {
        lost()
    }
    async fn commit(&self, _: &Lease, _: Commit) -> Result<(), StoreError> {
        lost()
    }
    async fn conversation(&self, _: &ConversationId) -> Result<Option<Versioned<Conversation>>, StoreError> {
        lost()
    }
    async fn links(&self, _: &ConversationId) -> Result<Vec<Link>, StoreError> {
        lost()
    }
    async fn link(&self, _: &ConversationId, _: &str) -> Result<Option<Link>, StoreError> {
        lost()
    }
    async fn media(&self, _: &MediaId) -> Result<Option<MediaRecord>, StoreError> {
        lost()
    }
    async fn event(&self, _: &EventId) -> Result<Option<EventRecord>, StoreError> {
        lost()
    }
    async fn decision(&self, _: &EventId) -> Result<Option<decision::Decision>, StoreError> {
        lost()
    }
    async fn events(&self, _: &EventFilter) -> Result<Vec<EventRecord>, StoreError> {
        lost()
    }
    async fn dead_letters(&self, _: usize) -> Result<Vec<DeadLetter>, StoreError> {
        lost()
    }
    async fn dead_letter(&self, _: &TaskId) -> Result<Option<DeadLetter>, StoreError> {
        lost()
    }
    async fn reports(&self, _: usize) -> Result<Vec<Report>, StoreError> {
        lost()
    }
}

#[async_trait]
impl Shelf for Faulty {
    async fn document(&self, _: &str, _: &str) -> Result<Option<Document>, StoreError> {
        lost()
    }
    async fn document_keys(&self, _: &str) -> Result<Vec<String>, StoreError> {
        lost()
    }
    async fn documents(&self, _: &str) -> Result<Vec<Document>, StoreError> {
        lost()
    }
    async fn space_size(&self, _: &str) -> Result<u64, StoreError> {
        lost()
    }
    async fn write_documents(&self, _: &str, _: Vec<DocumentWrite>, _: Option<u64>) -> Result<Shelved, StoreError> {
        lost()
    }
}

#[async_trait]
impl Upkeep for Faulty {
    async fn stats(&self) -> Result<Stats, StoreError> {
        lost()
    }
    async fn verify(&self) -> Result<Verification, StoreError> {
        lost()
    }
    async fn thin_out(&self, _: &[Lease], _: &Retention, _: Timestamp) -> Result<Removed, StoreError> {
        lost()
    }
    async fn export(&self, _: Option<String>) -> Result<ExportPage, StoreError> {
        lost()
    }
    async fn import(&self, _: Vec<Record>) -> Result<(), StoreError> {
        lost()
    }
}

/// A conversation.
pub(crate) fn conversation(name: &str) -> ConversationId {
    ConversationId::derive(&[name.as_bytes()])
}

/// An event's id.
pub(crate) fn event(name: &str) -> EventId {
    EventId::derive(&[name.as_bytes()])
}

/// A message in a conversation.
pub(crate) fn message(name: &str, conversation: &ConversationId) -> Arrival {
    let body = Body::Message(Message {
        id: format!("wamid.{name}").into(),
        content: Content::Text(name.into()),
        reply_to: None,
        forwarded: false,
        referral: None,
        author: None,
    });
    let now = Timestamp::now();
    let route = Route::Conversation(conversation.clone());
    Arrival { id: event(name), route, occurred_at: now, received_at: now, body, raw: None }
}

/// A new status of a ticket; `key`: the task that made the ticket.
pub(crate) fn activity(name: &str, ticket: &str, key: Option<String>) -> Arrival {
    let now = Timestamp::now();
    let what = event::Activity::Status("open".into());
    let (id, desk, ticket) = (name.to_owned(), "zendesk".to_owned(), ticket.to_owned());
    let route = Route::Ticket { desk: desk.clone(), ticket: ticket.clone() };
    let body = Body::DeskActivity(event::DeskActivity { id, desk, ticket, key, occurred_at: now, what });
    Arrival { id: self::event(name), route, occurred_at: now, received_at: now, body, raw: None }
}
