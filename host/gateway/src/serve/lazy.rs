//! A store that does not answer yet: the gateway starts all the same, and goes on by itself when it does.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use patchbay_model::decision::Decision;
use patchbay_model::task::DeadLetter;
use patchbay_model::{Arrival, Conversation, ConversationId, EventId, MediaId, Task, TaskId, Timestamp};
use patchbay_store::{
    Appended, Commit, Document, DocumentWrite, EventFilter, EventRecord, ExportPage, Lease, Link, MediaRecord, Node,
    Pace, Partition, Pending, Position, Record, Removed, Report, Retention, Shelf, Shelved, Stats, Store, StoreError,
    Upkeep, Verification, Versioned,
};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// The pause before a store that could not be opened is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// Opens a store.
pub(super) type Open = Box<dyn Fn() -> BoxFuture<'static, Result<Arc<dyn Store>, StoreError>> + Send + Sync>;

/// A store that is opened in the background, as often as it takes.
pub(super) struct LazyStore {
    shared: Arc<Shared>,
    closing: CancellationToken,
}

struct Shared {
    store: OnceLock<Arc<dyn Store>>,
    /// Why it is not open.
    reason: Mutex<String>,
    partitions: u16,
    lease: Duration,
    losses: watch::Sender<u64>,
}

impl fmt::Debug for LazyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyStore").field("store", &self.shared.store.get()).finish_non_exhaustive()
    }
}

impl LazyStore {
    /// A store that could not be opened because of `reason`; `open` is tried until it can. Until then it has `partitions`,
    /// and leases last for `lease`, as the configuration says.
    pub(super) fn new(open: Open, reason: &StoreError, partitions: u16, lease: Duration) -> Self {
        let shared = Arc::new(Shared {
            store: OnceLock::new(),
            reason: Mutex::new(plain(reason)),
            partitions,
            lease,
            losses: watch::Sender::new(0),
        });
        let closing = CancellationToken::new();
        let (opening, stop) = (Arc::clone(&shared), closing.clone());
        tokio::spawn(async move { stop.run_until_cancelled(opening.open(open)).await });
        Self { shared, closing }
    }

    fn store(&self) -> Result<&dyn Store, StoreError> {
        self.shared.store.get().map(|store| &**store).ok_or_else(|| StoreError::Unavailable(self.shared.reason()))
    }
}

/// An error's own words, to be said again.
fn plain(error: &StoreError) -> String {
    match error {
        StoreError::Unavailable(reason) => reason.clone(),
        error => error.to_string(),
    }
}

impl Shared {
    fn reason(&self) -> String {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn open(&self, open: Open) {
        let store = loop {
            tokio::time::sleep(TRY_AGAIN).await;
            match open().await {
                Ok(store) => break store,
                Err(error) => {
                    let reason = plain(&error);
                    let before = std::mem::replace(
                        &mut *self.reason.lock().unwrap_or_else(PoisonError::into_inner),
                        reason.clone(),
                    );
                    if before != reason {
                        tracing::error!(reason, "the store cannot be opened; trying again");
                    }
                }
            }
        };
        tracing::info!("the store is open");
        let mut losses = store.losses();
        // Set once, here only.
        let _first = self.store.set(store);
        while losses.changed().await.is_ok() {
            let count = *losses.borrow_and_update();
            self.losses.send_if_modified(|known| std::mem::replace(known, count) != count);
        }
    }
}

#[async_trait]
impl Store for LazyStore {
    fn partitions(&self) -> u16 {
        self.store().map_or(self.shared.partitions, Store::partitions)
    }

    fn partition_of(&self, conversation: &ConversationId) -> Partition {
        Partition::of(conversation, self.partitions())
    }

    fn now(&self) -> Timestamp {
        self.store().map_or_else(|_| Timestamp::now(), Store::now)
    }

    fn lease_time(&self) -> Option<Duration> {
        self.store().map_or(Some(self.shared.lease), Store::lease_time)
    }

    fn losses(&self) -> watch::Receiver<u64> {
        self.shared.losses.subscribe()
    }

    async fn beat(&self, node: &Node) -> Result<Vec<Node>, StoreError> {
        self.store()?.beat(node).await
    }

    async fn leave(&self, node: &str) -> Result<(), StoreError> {
        self.store()?.leave(node).await
    }

    async fn settle(&self) -> Result<(), StoreError> {
        let store = self.store()?;
        store.settle().await?;
        // Who hears that everything is safe must have heard before what is not.
        let count = *store.losses().borrow();
        self.shared.losses.send_if_modified(|known| std::mem::replace(known, count) != count);
        Ok(())
    }

    async fn turn(&self, key: &str, pace: Pace) -> Result<Duration, StoreError> {
        self.store()?.turn(key, pace).await
    }

    async fn append(&self, arrivals: Vec<Arrival>) -> Result<Vec<Appended>, StoreError> {
        self.store()?.append(arrivals).await
    }

    async fn acquire(&self, partition: Partition) -> Result<Option<Lease>, StoreError> {
        self.store()?.acquire(partition).await
    }

    async fn renew(&self, lease: &Lease) -> Result<(), StoreError> {
        self.store()?.renew(lease).await
    }

    async fn release(&self, lease: Lease) -> Result<(), StoreError> {
        self.store()?.release(lease).await
    }

    async fn load(&self, lease: &Lease) -> Result<Pending, StoreError> {
        self.store()?.load(lease).await
    }

    async fn journal(&self, lease: &Lease, after: Position, limit: usize) -> Result<Vec<EventRecord>, StoreError> {
        self.store()?.journal(lease, after, limit).await
    }

    fn wakeup(&self, partition: Partition) -> Arc<Notify> {
        self.store().map_or_else(|_| Arc::default(), |store| store.wakeup(partition))
    }

    async fn commit(&self, lease: &Lease, commit: Commit) -> Result<(), StoreError> {
        self.store()?.commit(lease, commit).await
    }

    async fn conversation(&self, id: &ConversationId) -> Result<Option<Versioned<Conversation>>, StoreError> {
        self.store()?.conversation(id).await
    }

    async fn links(&self, conversation: &ConversationId) -> Result<Vec<Link>, StoreError> {
        self.store()?.links(conversation).await
    }

    async fn link(&self, conversation: &ConversationId, desk: &str) -> Result<Option<Link>, StoreError> {
        self.store()?.link(conversation, desk).await
    }

    async fn media(&self, id: &MediaId) -> Result<Option<MediaRecord>, StoreError> {
        self.store()?.media(id).await
    }

    async fn task(&self, id: &TaskId) -> Result<Option<Task>, StoreError> {
        self.store()?.task(id).await
    }

    async fn event(&self, id: &EventId) -> Result<Option<EventRecord>, StoreError> {
        self.store()?.event(id).await
    }

    async fn decision(&self, id: &EventId) -> Result<Option<Decision>, StoreError> {
        self.store()?.decision(id).await
    }

    async fn events(&self, filter: &EventFilter) -> Result<Vec<EventRecord>, StoreError> {
        self.store()?.events(filter).await
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        self.store()?.dead_letters(limit).await
    }

    async fn dead_letter(&self, id: &TaskId) -> Result<Option<DeadLetter>, StoreError> {
        self.store()?.dead_letter(id).await
    }

    async fn reports(&self, limit: usize) -> Result<Vec<Report>, StoreError> {
        self.store()?.reports(limit).await
    }

    async fn close(&self) {
        self.closing.cancel();
        if let Ok(store) = self.store() {
            store.close().await;
        }
    }
}

impl Drop for LazyStore {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

#[async_trait]
impl Shelf for LazyStore {
    async fn document(&self, space: &str, key: &str) -> Result<Option<Document>, StoreError> {
        self.store()?.document(space, key).await
    }

    async fn document_keys(&self, space: &str) -> Result<Vec<String>, StoreError> {
        self.store()?.document_keys(space).await
    }

    async fn documents(&self, space: &str) -> Result<Vec<Document>, StoreError> {
        self.store()?.documents(space).await
    }

    async fn space_size(&self, space: &str) -> Result<u64, StoreError> {
        self.store()?.space_size(space).await
    }

    async fn write_documents(
        &self,
        space: &str,
        writes: Vec<DocumentWrite>,
        quota: Option<u64>,
    ) -> Result<Shelved, StoreError> {
        self.store()?.write_documents(space, writes, quota).await
    }
}

#[async_trait]
impl Upkeep for LazyStore {
    async fn stats(&self) -> Result<Stats, StoreError> {
        self.store()?.stats().await
    }

    async fn verify(&self) -> Result<Verification, StoreError> {
        self.store()?.verify().await
    }

    async fn thin_out(&self, owned: &[Lease], kept: &Retention, now: Timestamp) -> Result<Removed, StoreError> {
        self.store()?.thin_out(owned, kept, now).await
    }

    async fn export(&self, from: Option<String>) -> Result<ExportPage, StoreError> {
        self.store()?.export(from).await
    }

    async fn import(&self, records: Vec<Record>) -> Result<(), StoreError> {
        self.store()?.import(records).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use patchbay_store::memory::{MemoryOptions, MemoryServer};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_says_why_it_is_not_open_and_goes_on_when_it_is() {
        let server = MemoryServer::new(MemoryOptions { partitions: 7, ..MemoryOptions::default() });
        let (tries, node) = (Arc::new(AtomicU32::new(0)), Arc::new(server.node()));
        let open: Open = Box::new(move || {
            let (try_number, node) = (tries.fetch_add(1, Ordering::Relaxed), Arc::clone(&node));
            Box::pin(async move {
                if try_number < 2 {
                    Err(StoreError::Unavailable("no route".into()))
                } else {
                    Ok(node as Arc<dyn Store>)
                }
            })
        });
        let reason = StoreError::Unavailable("refused".into());
        let store = LazyStore::new(open, &reason, 64, Duration::from_secs(10));
        let mut losses = store.losses();
        let why = |error: StoreError| error.to_string();
        assert_eq!(store.dead_letters(1).await.map_err(why), Err(reason.to_string()));
        assert_eq!((store.partitions(), store.lease_time()), (64, Some(Duration::from_secs(10))));
        tokio::time::sleep(TRY_AGAIN * 4).await;
        assert_eq!(store.dead_letters(1).await.map_err(why), Ok(Vec::new()));
        assert_eq!(store.partitions(), 7);
        server.stall();
        assert!(server.fail_over());
        losses.changed().await.unwrap();
        store.close().await;
        assert!(store.dead_letters(1).await.is_err());
    }
}
