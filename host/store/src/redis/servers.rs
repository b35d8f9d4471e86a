//! Which server has what, and asking it until it answers or patience ends.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ::redis::{Cmd, Value};
use tokio::sync::watch;

use super::keys::{Keys, SLOTS, slot};
use super::options::{PATIENCE, RedisMode, RedisOptions};
use super::scripts::Script;
use super::server::{Identity, Server, Trouble, lock, text};
use super::topology;
use crate::{Partition, StoreError};

/// How long to wait before asking again while a Cluster is busy with itself.
const A_MOMENT: Duration = Duration::from_millis(25);

/// How long what was found out about the servers counts as news.
const NEWS: Duration = Duration::from_millis(50);

/// Which server has which slots.
#[derive(Debug)]
pub(super) struct Map {
    pub(super) servers: Vec<Arc<Server>>,
    /// First and last slot, and the server's place.
    pub(super) ranges: Vec<(u16, u16, usize)>,
}

impl Map {
    /// One server that has everything.
    pub(super) fn of_one(server: Arc<Server>) -> Self {
        Self { servers: vec![server], ranges: vec![(0, SLOTS - 1, 0)] }
    }

    fn of(&self, slot: u16) -> Option<&Arc<Server>> {
        let range = self.ranges.iter().find(|(first, last, _)| (*first..=*last).contains(&slot));
        range.and_then(|(_, _, place)| self.servers.get(*place))
    }
}

/// What a store is, once it is known.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) keys: Keys,
    /// Drawn when the store was made.
    pub(super) store: String,
}

/// All servers.
#[derive(Debug)]
pub(super) struct Servers {
    pub(super) options: RedisOptions,
    pub(super) connects: Arc<AtomicU64>,
    map: Mutex<Option<Arc<Map>>>,
    refreshing: tokio::sync::Mutex<Option<Instant>>,
    /// By address: a server keeps its connections while the map changes.
    known: Mutex<HashMap<String, Arc<Server>>>,
    /// The count of `connects` up to which histories were compared.
    observed: AtomicU64,
    /// By partition: who wrote its history.
    histories: Mutex<Vec<Option<Identity>>>,
    losses: watch::Sender<u64>,
    home: std::sync::OnceLock<Home>,
    /// The servers are others than before: whether they hold our store is not known.
    doubtful: AtomicBool,
    closed: AtomicBool,
}

impl Servers {
    pub(super) fn new(options: RedisOptions) -> Self {
        Self {
            options,
            connects: Arc::default(),
            map: Mutex::default(),
            refreshing: tokio::sync::Mutex::default(),
            known: Mutex::default(),
            observed: AtomicU64::new(0),
            histories: Mutex::default(),
            losses: watch::Sender::new(0),
            home: std::sync::OnceLock::new(),
            doubtful: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    /// Says which store this is; from now on losses are noticed.
    pub(super) fn settle_in(&self, home: Home) {
        *lock(&self.histories) = vec![None; usize::from(home.keys.partitions())];
        let _once = self.home.set(home);
        // Whoever is there now is who all that follow are compared with.
        self.observed.store(u64::MAX, Ordering::Release);
        self.observe();
    }

    pub(super) fn losses(&self) -> &watch::Sender<u64> {
        &self.losses
    }

    /// Something that should have been there is not.
    pub(super) fn lost(&self, what: &str) {
        tracing::warn!(what, "Redis may have lost its last writes; everything is read again");
        self.losses.send_modify(|count| *count += 1);
    }

    /// Answers nobody any more.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        *lock(&self.map) = None;
        for (_, server) in lock(&self.known).drain() {
            server.disconnect();
        }
    }

    /// The server at an address.
    pub(super) fn at(&self, address: &str) -> Result<Arc<Server>, StoreError> {
        let mut known = lock(&self.known);
        if let Some(server) = known.get(address) {
            return Ok(Arc::clone(server));
        }
        let server = Arc::new(Server::new(address, &self.options, &self.connects)?);
        known.insert(address.to_owned(), Arc::clone(&server));
        Ok(server)
    }

    /// Which server has what, as far as is known.
    pub(super) async fn map(&self) -> Result<Arc<Map>, StoreError> {
        if let Some(map) = self.current() {
            return Ok(map);
        }
        self.refresh().await?;
        self.current().ok_or_else(closed)
    }

    pub(super) fn current(&self) -> Option<Arc<Map>> {
        lock(&self.map).clone()
    }

    /// Finds out anew which server has what; whoever asks meanwhile shares the answer.
    pub(super) async fn refresh(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        let asked = Instant::now();
        let mut last = self.refreshing.lock().await;
        if last.is_some_and(|last| last + NEWS > asked) && self.current().is_some() {
            return Ok(());
        }
        let map = match self.options.mode {
            RedisMode::Standalone => topology::standalone(self)?,
            RedisMode::Sentinel => topology::sentinel(self).await?,
            RedisMode::Cluster => topology::cluster(self).await?,
        };
        *last = Some(Instant::now());
        let before = lock(&self.map).replace(Arc::new(map));
        drop(before);
        // Others may have what was ours: compare.
        self.connects.fetch_add(1, Ordering::AcqRel);
        self.observe();
        Ok(())
    }

    /// Compares who writes the partitions' histories with who did.
    pub(super) fn observe(&self) {
        let count = self.connects.load(Ordering::Acquire);
        if self.observed.swap(count, Ordering::AcqRel) == count {
            return;
        }
        let (Some(home), Some(map)) = (self.home.get(), self.current()) else { return };
        let mut changed = false;
        for (partition, known) in home.keys.all().zip(lock(&self.histories).iter_mut()) {
            let Some(identity) = map.of(home.keys.slot(partition)).and_then(|server| server.identity()) else {
                continue;
            };
            if known.as_ref() != Some(&identity) {
                changed |= known.is_some();
                *known = Some(identity);
            }
        }
        if changed {
            self.doubtful.store(true, Ordering::Release);
            self.lost("another server, or another process of it, has the partitions");
        }
    }

    /// Whether the servers still hold our store, where that is in doubt.
    async fn check_home(&self) -> Result<(), StoreError> {
        let Some(home) = self.home.get().filter(|_| self.doubtful.load(Ordering::Acquire)) else { return Ok(()) };
        let meta = home.keys.meta();
        let mut request = ::redis::cmd("HGET");
        request.arg(&meta).arg("store");
        let found = text(self.ask(slot(&meta), &request).await.map_err(Trouble::into_error)?);
        if found != home.store {
            return Err(StoreError::Unavailable(format!(
                "Redis no longer holds this store: {meta} is {}. If its data is lost, start the gateway again to begin \
                 anew; else bring the data back",
                if found.is_empty() { "missing" } else { "another one's" }
            )));
        }
        self.doubtful.store(false, Ordering::Release);
        Ok(())
    }

    /// Sends a request to the server that has a partition.
    pub(super) async fn call(&self, partition: Partition, request: &Cmd) -> Result<Value, Trouble> {
        let slot = self.home.get().map_or(0, |home| home.keys.slot(partition));
        self.call_slot(slot, request).await
    }

    /// Sends a request to the server that has a key.
    pub(super) async fn call_key(&self, key: &str, request: &Cmd) -> Result<Value, Trouble> {
        self.call_slot(slot(key), request).await
    }

    async fn call_slot(&self, slot: u16, request: &Cmd) -> Result<Value, Trouble> {
        self.check_home().await.map_err(|error| Trouble::Refused(reason(error)))?;
        self.ask(slot, request).await
    }

    /// Asks until there is an answer or patience ends.
    ///
    /// A request whose connection broke is sent again: everything that is written here can be written twice.
    async fn ask(&self, slot: u16, request: &Cmd) -> Result<Value, Trouble> {
        let until = Instant::now() + PATIENCE;
        loop {
            let trouble = match self.try_once(slot, request).await {
                Ok(answer) => return Ok(answer),
                Err(trouble) => trouble,
            };
            match &trouble {
                Trouble::Refused(_) | Trouble::Fenced => return Err(trouble),
                _ if Instant::now() >= until => return Err(trouble),
                Trouble::Later(_) => tokio::time::sleep(A_MOMENT).await,
                Trouble::NoScript | Trouble::Ask(_) => {}
                Trouble::Dropped(_) if self.options.mode == RedisMode::Standalone => {}
                Trouble::Away(_) if self.options.mode == RedisMode::Standalone => return Err(trouble),
                Trouble::Moved | Trouble::NotMaster | Trouble::Dropped(_) | Trouble::Away(_) => {
                    let before = self.current();
                    let refreshed = self.refresh().await;
                    let same =
                        self.current().map(|map| topology::outline(&map)) == before.map(|map| topology::outline(&map));
                    if refreshed.is_err() || (same && matches!(trouble, Trouble::Away(_))) {
                        return Err(trouble);
                    }
                    if same {
                        tokio::time::sleep(A_MOMENT).await;
                    }
                }
            }
        }
    }

    async fn try_once(&self, slot: u16, request: &Cmd) -> Result<Value, Trouble> {
        let away = |error| Trouble::Away(reason(error));
        let map = self.map().await.map_err(away)?;
        let server = map.of(slot).ok_or_else(|| Trouble::Later("no server of the Cluster has the slot".into()))?;
        let answer = server.send(request).await;
        self.observe();
        match answer {
            Err(Trouble::NoScript) => {
                server.load_scripts().await?;
                Err(Trouble::NoScript)
            }
            Err(Trouble::Ask(address)) => {
                let other = self.at(&topology::resolve(&address, server)).map_err(away)?;
                match other.send_asking(request).await {
                    Err(Trouble::NoScript) => {
                        other.load_scripts().await?;
                        other.send_asking(request).await
                    }
                    answer => answer,
                }
            }
            answer => answer,
        }
    }

    /// The server that has a partition now.
    pub(super) async fn server_of(&self, partition: Partition) -> Result<Arc<Server>, StoreError> {
        let slot = self.home.get().map_or(0, |home| home.keys.slot(partition));
        let map = self.map().await?;
        map.of(slot).cloned().ok_or_else(|| StoreError::Unavailable("no server of the Cluster has the slot".into()))
    }
}

/// A script for some keys, to which arguments are added.
pub(super) fn invoke<'k>(
    script: &Script,
    keys: impl IntoIterator<Item = &'k String, IntoIter: ExactSizeIterator>,
) -> Cmd {
    let keys = keys.into_iter();
    let mut request = ::redis::cmd("EVALSHA");
    request.arg(script.hash()).arg(keys.len());
    for key in keys {
        request.arg(key);
    }
    request
}

pub(super) fn closed() -> StoreError {
    StoreError::Unavailable("the store was closed".into())
}

/// What happened, without the sentence that the contract's error puts before it.
pub(super) fn reason(error: StoreError) -> String {
    match error {
        StoreError::Unavailable(reason) => reason,
        other => other.to_string(),
    }
}
