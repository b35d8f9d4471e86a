//! One node: a runtime with a clock of its own, and the engine in it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use patchbay_gateway::config::{Match, OnFailure, Period, Retry};
use patchbay_gateway::engine::chain::{Chain, Step};
use patchbay_gateway::engine::slot::{Running, Slot, Slots};
use patchbay_gateway::engine::{ChannelLine, Engine, EngineOptions, NodeName, Routing};
use patchbay_media::Blobs;
use patchbay_model::Timestamp;
use patchbay_model::conversation::Channel;
use patchbay_store::Store;
use patchbay_store::memory::{MemoryServer, MemoryStore};
use patchbay_whatsapp::graph::{Graph, GraphOptions};
use tokio::runtime::{EnterGuard, Runtime};
use tokio::time::Instant;

use crate::actors::{Tally, World};
use crate::network::Network;
use crate::shared::Shared;

/// How long a node that stops waits for what it has begun.
const GRACE: Duration = Duration::from_secs(1);

/// A process.
pub(crate) struct Node {
    pub(crate) number: usize,
    runtime: Runtime,
    /// A moment by its clock, and by everybody's.
    began: (Instant, Timestamp),
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) network: Arc<Network>,
    engine: Arc<Mutex<Option<Arc<Engine>>>>,
    /// It has stopped by itself.
    ended: Arc<Mutex<bool>>,
    stopping: bool,
}

impl Node {
    /// Starts a process.
    pub(crate) fn start(number: usize, life: u64, now: Timestamp, shared: &Shared, server: &MemoryServer) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let guard = runtime.enter();
        let began = (Instant::now(), now);
        let store = Arc::new(server.node_at(now));
        drop(guard);
        let network = Arc::new(Network::new(number, shared.clone(), Arc::clone(&store)));
        let engine = Arc::new(Mutex::new(None));
        let world = World {
            node: number,
            shared: shared.clone(),
            server: server.clone(),
            store: Arc::clone(&store),
            network: Arc::clone(&network),
        };
        // Who gets which partition follows from it.
        let id = format!("node {number} life {life} {:?}", shared.lock().millis(0..1 << 32));
        let (shared, link, slot) = (shared.clone(), Arc::clone(&network), Arc::clone(&engine));
        let world = Arc::new(world);
        runtime.spawn(async move {
            loop {
                let options = options(Arc::clone(&world), &shared, &id);
                match Engine::start(options, Arc::clone(&link) as Arc<dyn Store>, blobs()).await {
                    Ok(started) => {
                        *slot.lock().unwrap() = Some(Arc::new(started));
                        return;
                    }
                    Err(_) => tokio::time::sleep(Duration::from_millis(300)).await,
                }
            }
        });
        Self { number, runtime, began, store, network, engine, ended: Arc::new(Mutex::new(false)), stopping: false }
    }

    /// Lets it work until then. If it has stood still, it wakes up then: its clock has gone on.
    pub(crate) fn run(&self, until: Timestamp, woken: bool) {
        let (instant, timestamp) = self.began;
        let until = instant + until.since(timestamp);
        self.runtime.block_on(async {
            if woken {
                let lag = until.saturating_duration_since(Instant::now());
                tokio::time::advance(lag.saturating_sub(Duration::from_millis(1))).await;
            }
            tokio::time::sleep_until(until).await;
        });
    }

    /// Its clock is the one that counts, as long as this lives.
    pub(crate) fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }

    /// Does something in its time.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }

    /// Asks it to stop.
    pub(crate) fn stop(&mut self) {
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        let engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ended = Arc::clone(&self.ended);
        self.runtime.spawn(async move {
            if let Some(engine) = engine {
                engine.stop(GRACE).await;
            }
            *ended.lock().unwrap() = true;
        });
    }

    /// Whether it has stopped.
    pub(crate) fn has_ended(&self) -> bool {
        *self.ended.lock().unwrap()
    }

    /// How many partitions it believes to have.
    pub(crate) fn owned(&self) -> usize {
        self.engine.lock().unwrap().as_ref().map_or(0, |engine| engine.owned())
    }
}

fn options(world: Arc<World>, shared: &Shared, id: &str) -> EngineOptions {
    let tally = Running::only(Arc::new(Tally { shared: shared.clone() }));
    let slot = Arc::new(Slot::new("tally", tally));
    let slots = Arc::new(Slots::default());
    slots.insert(Arc::clone(&slot));
    let step = Step { slot, timeout: Duration::from_secs(5), on_failure: OnFailure::Retry, share: None };
    let kinds = ["message", "timer", "custom"].map(str::to_owned).to_vec();
    let matches = Match { kinds, ..Match::default() };
    let chain = Chain { name: "all".into(), matches, steps: vec![step], fallback: None };
    let line = ChannelLine { channel: channel(), graph: graph(), rate_per_second: 80 };
    let routing = Routing {
        channels: BTreeMap::from([("support".to_owned(), line)]),
        chains: vec![Arc::new(chain)],
        read_receipts: true,
        // No jitter: the dice are all the simulation's.
        retry: Retry { first: Period::millis(500), longest: Period::seconds(5), jitter: 0.0, ..Retry::default() },
        reconcile_wait: Duration::from_secs(1),
        ..Routing::default()
    };
    EngineOptions { node: NodeName { id: id.to_owned(), name: id.to_owned() }, effects: world, routing, slots }
}

/// What the store itself says, without a network.
pub(crate) fn at_once<T>(answer: impl Future<Output = T>) -> T {
    answer.now_or_never().expect("a store in memory does not wait")
}

/// The only number.
pub(crate) fn channel() -> Channel {
    Channel { id: "support".into(), platform: "whatsapp".into(), account: "1".into(), address: "2".into() }
}

/// Nobody calls it.
fn graph() -> Graph {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    let client = CLIENT.get_or_init(|| patchbay_whatsapp::graph::client().unwrap()).clone();
    let options = GraphOptions {
        base_url: "http://127.0.0.1:9".parse().unwrap(),
        version: "v24.0".into(),
        phone_number_id: "2".into(),
        access_token: "none".to_owned().into(),
        timeout: Duration::from_secs(1),
    };
    Graph::with_client(options, client).unwrap()
}

/// Nobody puts anything there.
fn blobs() -> Arc<Blobs> {
    static BLOBS: OnceLock<(tempfile::TempDir, Arc<Blobs>)> = OnceLock::new();
    let (_, blobs) = BLOBS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Arc::new(Blobs::open(folder.path()).unwrap());
        (folder, blobs)
    });
    Arc::clone(blobs)
}
