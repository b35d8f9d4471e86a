//! What all parts of the simulator share.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, broadcast, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::delivery::Delivery;
use crate::faults::Faults;
use crate::options::SimulatorOptions;
use crate::whatsapp::spec::GraphSpec;

/// How many webhooks are under way at once; Meta's deliveries are concurrent too.
const CONCURRENT_DELIVERIES: usize = 128;
/// How many page updates a slow page may lag behind before it loads everything again.
const NEWS_BACKLOG: usize = 1024;

/// Locks, also after a panic elsewhere: a simulator that goes on is more useful than one that stops.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request that broke the vendor's own description of its API.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Violation {
    pub(crate) at: String,
    pub(crate) request: String,
    pub(crate) problems: Vec<String>,
    pub(crate) body: Value,
}

/// Where webhooks go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hooks {
    pub(crate) whatsapp: Option<String>,
    pub(crate) zendesk: Option<String>,
}

/// The state behind every handler.
pub(crate) struct Shared {
    pub(crate) options: SimulatorOptions,
    pub(crate) addr: SocketAddr,
    pub(crate) whatsapp: Mutex<crate::whatsapp::world::World>,
    pub(crate) zendesk: Mutex<crate::zendesk::world::World>,
    pub(crate) faults: Faults,
    pub(crate) hooks: watch::Sender<Hooks>,
    pub(crate) deliveries: Mutex<Vec<Delivery>>,
    pub(crate) delivery_slots: Semaphore,
    pub(crate) greeted: tokio::sync::Mutex<Option<String>>,
    pub(crate) violations: Mutex<Vec<Violation>>,
    pub(crate) news: broadcast::Sender<Arc<Value>>,
    pub(crate) client: reqwest::Client,
    pub(crate) spec: Option<GraphSpec>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stopping: CancellationToken,
    session: Mutex<CancellationToken>,
    counter: AtomicU64,
}

impl Shared {
    pub(crate) fn new(
        options: SimulatorOptions,
        addr: SocketAddr,
        client: reqwest::Client,
        spec: Option<GraphSpec>,
    ) -> Self {
        let stopping = CancellationToken::new();
        Self {
            hooks: watch::Sender::new(Hooks {
                whatsapp: options.whatsapp.webhook_url.clone(),
                zendesk: options.zendesk.webhook_url.clone(),
            }),
            whatsapp: Mutex::new(crate::whatsapp::world::World::default()),
            zendesk: Mutex::new(crate::zendesk::world::World::new(&options.zendesk)),
            options,
            addr,
            faults: Faults::default(),
            deliveries: Mutex::default(),
            delivery_slots: Semaphore::new(CONCURRENT_DELIVERIES),
            greeted: tokio::sync::Mutex::default(),
            violations: Mutex::default(),
            news: broadcast::Sender::new(NEWS_BACKLOG),
            client,
            spec,
            tasks: TaskTracker::new(),
            session: Mutex::new(stopping.child_token()),
            stopping,
            counter: AtomicU64::new(1),
        }
    }

    /// The simulator's base address.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// A number that was not given before.
    pub(crate) fn number(&self) -> u64 {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }

    /// Cancelled by a reset or a stop: work begun before must not be seen afterwards.
    pub(crate) fn session(&self) -> CancellationToken {
        lock(&self.session).clone()
    }

    /// Tells the pages.
    pub(crate) fn tell(&self, news: Value) {
        // No page open is no error.
        self.news.send(Arc::new(news)).ok();
    }

    /// Forgets everything except the options and the webhooks' addresses.
    pub(crate) fn reset(&self) {
        let before = std::mem::replace(&mut *lock(&self.session), self.stopping.child_token());
        before.cancel();
        self.faults.clear(None);
        *lock(&self.whatsapp) = crate::whatsapp::world::World::default();
        *lock(&self.zendesk) = crate::zendesk::world::World::new(&self.options.zendesk);
        lock(&self.deliveries).clear();
        lock(&self.violations).clear();
        self.tell(json!({"kind": "reset"}));
    }

    /// Notes a request that the vendor's description does not allow.
    pub(crate) fn violation(&self, request: String, problems: Vec<String>, body: Value) {
        lock(&self.violations).push(Violation { at: millis(Timestamp::now()), request, problems, body });
    }
}

/// RFC 3339 with milliseconds, UTC.
pub(crate) fn millis(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// RFC 3339 with whole seconds, UTC.
pub(crate) fn seconds(at: Timestamp) -> String {
    format!("{:.0}", Timestamp::from_second(at.as_second()).unwrap_or(at))
}
