//! A node's way to the store, over a network that loses, delays and reorders.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use patchbay_model::decision::Decision;
use patchbay_model::task::DeadLetter;
use patchbay_model::{Arrival, Conversation, ConversationId, EventId, MediaId, Task, TaskId, Timestamp};
use patchbay_store::memory::MemoryStore;
use patchbay_store::{
    Appended, Commit, Document, DocumentWrite, EventFilter, EventRecord, ExportPage, Lease, Link, MediaRecord, Node,
    Pace, Partition, Pending, Position, Record, Removed, Report, Retention, Shelf, Shelved, Stats, Store, StoreError,
    Upkeep, Verification, Versioned,
};
use tokio::sync::{Notify, watch};

use crate::shared::{Shared, short};

/// How long a request is waited for.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A node's way to the store.
pub(crate) struct Network {
    node: usize,
    shared: Shared,
    store: Arc<MemoryStore>,
    /// What this node knows of losses.
    losses: Arc<watch::Sender<u64>>,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("node", &self.node).finish_non_exhaustive()
    }
}

fn lost() -> StoreError {
    StoreError::Unavailable("no answer in time".into())
}

impl Network {
    pub(crate) fn new(node: usize, shared: Shared, store: Arc<MemoryStore>) -> Self {
        let losses = Arc::new(watch::Sender::new(shared.lock().losses));
        Self { node, shared, store, losses }
    }

    /// Whether it has heard of all losses.
    pub(crate) fn is_told(&self) -> bool {
        *self.losses.borrow() == self.shared.lock().losses
    }

    /// What the trace says of a request, if anybody reads it.
    fn detail(&self, detail: impl FnOnce() -> String) -> String {
        if self.shared.lock().is_readable() { detail() } else { String::new() }
    }

    /// A request on its own way: who asked may have gone away before it arrives, and it arrives all the same.
    async fn call<T: Send + 'static, F>(
        &self,
        what: &'static str,
        detail: String,
        request: impl FnOnce(Arc<MemoryStore>) -> F + Send + 'static,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + Send,
    {
        let (node, shared, store, losses) =
            (self.node, self.shared.clone(), Arc::clone(&self.store), Arc::clone(&self.losses));
        let sent = tokio::spawn(async move {
            let (there, back, gone, unanswered) = {
                let mut shared = shared.lock();
                let weather = shared.weather;
                let gone = shared.chance(weather.lost_requests);
                let unanswered = shared.chance(weather.lost_answers);
                (shared.latency(), shared.latency(), gone, unanswered)
            };
            tokio::time::sleep(there).await;
            let now = store.now();
            if gone || shared.lock().is_cut(node, now) {
                shared.lock().trace(now, node, "lost", || format!("{what} {detail}"));
                std::future::pending::<()>().await;
            }
            let (heard, lost_since) = (*losses.borrow(), shared.lock().losses);
            if heard != lost_since {
                // The connection ended with the old server. Whoever makes a new one sees that it is another server, and
                // says so before anything is asked.
                shared.lock().trace(now, node, "hears of a loss", || format!("by {what} {detail}"));
                losses.send_replace(lost_since);
                tokio::time::sleep(back).await;
                return Err(StoreError::Unavailable("the connection was broken".into()));
            }
            let answer = request(Arc::clone(&store)).await;
            let outcome = match &answer {
                Ok(_) => "",
                Err(StoreError::Fenced(_)) => "fenced",
                Err(StoreError::Conflict { .. } | StoreError::Overtaken { .. }) => "conflict",
                Err(_) => "error",
            };
            shared.lock().trace(now, node, what, || {
                let lost = if unanswered { "(answer lost)" } else { "" };
                format!("{detail} {outcome} {lost}")
            });
            if unanswered {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(back).await;
            if shared.lock().is_cut(node, store.now()) {
                std::future::pending::<()>().await;
            }
            answer
        });
        // Ends what nobody waits for any more: an answer that comes after this is not heard.
        let stop = sent.abort_handle();
        match tokio::time::timeout(TIMEOUT, sent).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(lost()),
            Err(_) => {
                stop.abort();
                Err(lost())
            }
        }
    }
}

fn lease_of(lease: &Lease) -> String {
    format!("{}@{}", lease.partition, lease.epoch)
}

#[async_trait]
impl Store for Network {
    fn partitions(&self) -> u16 {
        self.store.partitions()
    }

    fn partition_of(&self, conversation: &ConversationId) -> Partition {
        self.store.partition_of(conversation)
    }

    fn now(&self) -> Timestamp {
        self.store.now()
    }

    fn lease_time(&self) -> Option<Duration> {
        self.store.lease_time()
    }

    fn losses(&self) -> watch::Receiver<u64> {
        self.losses.subscribe()
    }

    async fn beat(&self, node: &Node) -> Result<Vec<Node>, StoreError> {
        let node = node.clone();
        self.call("beat", String::new(), |store| async move { store.beat(&node).await }).await
    }

    async fn leave(&self, node: &str) -> Result<(), StoreError> {
        let node = node.to_owned();
        self.call("leave", String::new(), |store| async move { store.leave(&node).await }).await
    }

    async fn settle(&self) -> Result<(), StoreError> {
        self.call("settle", String::new(), |store| async move { store.settle().await }).await
    }

    async fn turn(&self, key: &str, pace: Pace) -> Result<Duration, StoreError> {
        let key = key.to_owned();
        self.call("turn", String::new(), move |store| async move { store.turn(&key, pace).await }).await
    }

    async fn append(&self, arrivals: Vec<Arrival>) -> Result<Vec<Appended>, StoreError> {
        let ids = || arrivals.iter().map(|arrival| short(arrival.id.as_str())).collect::<Vec<_>>().join(" ");
        let detail = self.detail(ids);
        self.call("append", detail, |store| async move { store.append(arrivals).await }).await
    }

    async fn acquire(&self, partition: Partition) -> Result<Option<Lease>, StoreError> {
        self.call("acquire", self.detail(|| partition.to_string()), move |store| async move {
            store.acquire(partition).await
        })
        .await
    }

    async fn renew(&self, lease: &Lease) -> Result<(), StoreError> {
        let lease = lease.clone();
        self.call("renew", self.detail(|| lease_of(&lease)), |store| async move { store.renew(&lease).await }).await
    }

    async fn release(&self, lease: Lease) -> Result<(), StoreError> {
        self.call("release", self.detail(|| lease_of(&lease)), |store| async move { store.release(lease).await }).await
    }

    async fn load(&self, lease: &Lease) -> Result<Pending, StoreError> {
        let lease = lease.clone();
        self.call("load", self.detail(|| lease_of(&lease)), |store| async move { store.load(&lease).await }).await
    }

    async fn journal(&self, lease: &Lease, after: Position, limit: usize) -> Result<Vec<EventRecord>, StoreError> {
        let lease = lease.clone();
        let detail = self.detail(|| format!("{} after {}", lease_of(&lease), after.0));
        self.call("journal", detail, move |store| async move { store.journal(&lease, after, limit).await }).await
    }

    fn wakeup(&self, partition: Partition) -> Arc<Notify> {
        self.store.wakeup(partition)
    }

    async fn commit(&self, lease: &Lease, commit: Commit) -> Result<(), StoreError> {
        let lease = lease.clone();
        let short = |id: &TaskId| short(id.as_str()).to_owned();
        let detail = self.detail(|| {
            format!(
                "{} handled {:?} version {:?} put {:?} finished {:?} timers {} cleared {} append {}",
                lease_of(&lease),
                commit.handled.map(|position| position.0),
                commit.conversation.as_ref().map(|(version, _)| version),
                commit.put_tasks.iter().map(|task| short(&task.id)).collect::<Vec<_>>(),
                commit.finished_tasks.iter().map(short).collect::<Vec<_>>(),
                commit.set_timers.len(),
                commit.cleared_timers.len(),
                commit.append.len(),
            )
        });
        self.call("commit", detail, |store| async move { store.commit(&lease, commit).await }).await
    }

    async fn conversation(&self, id: &ConversationId) -> Result<Option<Versioned<Conversation>>, StoreError> {
        let id = id.clone();
        self.call("conversation", String::new(), |store| async move { store.conversation(&id).await }).await
    }

    async fn links(&self, conversation: &ConversationId) -> Result<Vec<Link>, StoreError> {
        let id = conversation.clone();
        self.call("links", String::new(), |store| async move { store.links(&id).await }).await
    }

    async fn link(&self, conversation: &ConversationId, desk: &str) -> Result<Option<Link>, StoreError> {
        let (id, desk) = (conversation.clone(), desk.to_owned());
        self.call("link", String::new(), |store| async move { store.link(&id, &desk).await }).await
    }

    async fn media(&self, id: &MediaId) -> Result<Option<MediaRecord>, StoreError> {
        let id = id.clone();
        self.call("media", String::new(), |store| async move { store.media(&id).await }).await
    }

    async fn task(&self, id: &TaskId) -> Result<Option<Task>, StoreError> {
        let id = id.clone();
        self.call("task", String::new(), |store| async move { store.task(&id).await }).await
    }

    async fn event(&self, id: &EventId) -> Result<Option<EventRecord>, StoreError> {
        let id = id.clone();
        self.call("event", String::new(), |store| async move { store.event(&id).await }).await
    }

    async fn decision(&self, id: &EventId) -> Result<Option<Decision>, StoreError> {
        let id = id.clone();
        self.call("decision", String::new(), |store| async move { store.decision(&id).await }).await
    }

    async fn events(&self, filter: &EventFilter) -> Result<Vec<EventRecord>, StoreError> {
        let filter = filter.clone();
        self.call("events", String::new(), |store| async move { store.events(&filter).await }).await
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        self.call("dead letters", String::new(), move |store| async move { store.dead_letters(limit).await }).await
    }

    async fn dead_letter(&self, id: &TaskId) -> Result<Option<DeadLetter>, StoreError> {
        let id = id.clone();
        self.call("dead letter", String::new(), |store| async move { store.dead_letter(&id).await }).await
    }

    async fn reports(&self, limit: usize) -> Result<Vec<Report>, StoreError> {
        self.call("reports", String::new(), move |store| async move { store.reports(limit).await }).await
    }

    async fn close(&self) {
        self.store.close().await;
    }
}

#[async_trait]
impl Shelf for Network {
    async fn document(&self, space: &str, key: &str) -> Result<Option<Document>, StoreError> {
        let (space, key) = (space.to_owned(), key.to_owned());
        self.call(
            "document",
            self.detail(|| space.clone()),
            move |store| async move { store.document(&space, &key).await },
        )
        .await
    }

    async fn document_keys(&self, space: &str) -> Result<Vec<String>, StoreError> {
        let space = space.to_owned();
        self.call("document keys", self.detail(|| space.clone()), move |store| async move {
            store.document_keys(&space).await
        })
        .await
    }

    async fn documents(&self, space: &str) -> Result<Vec<Document>, StoreError> {
        let space = space.to_owned();
        self.call("documents", self.detail(|| space.clone()), move |store| async move { store.documents(&space).await })
            .await
    }

    async fn space_size(&self, space: &str) -> Result<u64, StoreError> {
        let space = space.to_owned();
        self.call(
            "space size",
            self.detail(|| space.clone()),
            move |store| async move { store.space_size(&space).await },
        )
        .await
    }

    async fn write_documents(
        &self,
        space: &str,
        writes: Vec<DocumentWrite>,
        quota: Option<u64>,
    ) -> Result<Shelved, StoreError> {
        let space = space.to_owned();
        let detail = self.detail(|| format!("{space} {} writes", writes.len()));
        self.call(
            "write documents",
            detail,
            move |store| async move { store.write_documents(&space, writes, quota).await },
        )
        .await
    }
}

/// Nobody thins out, exports or imports here.
#[async_trait]
impl Upkeep for Network {
    async fn stats(&self) -> Result<Stats, StoreError> {
        self.store.stats().await
    }

    async fn verify(&self) -> Result<Verification, StoreError> {
        self.store.verify().await
    }

    async fn thin_out(&self, owned: &[Lease], kept: &Retention, now: Timestamp) -> Result<Removed, StoreError> {
        self.store.thin_out(owned, kept, now).await
    }

    async fn export(&self, from: Option<String>) -> Result<ExportPage, StoreError> {
        self.store.export(from).await
    }

    async fn import(&self, records: Vec<Record>) -> Result<(), StoreError> {
        self.store.import(records).await
    }
}
