//! What runs on this node follows the record: generations are loaded, slots swapped, and what cannot be done is said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use patchbay_artefact::Digest;
use patchbay_runtime::Plugin;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::asks::Asks;
use super::nodes::{self, Runs, SAID_EVERY};
use super::record::{Generation, Record};
use super::refused::Refused;
use super::shelf::{self, Kept, ShelfError};
use super::watch::Watcher;
use super::{Deployments, components, figures};
use crate::engine::chain::Handler;
use crate::engine::slot::Running;

/// How often the records are looked at: how long another node's swap takes to reach this one.
const LOOK: Duration = Duration::from_secs(1);
/// How often a generation that could not be loaded is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// How often components that nobody names are looked for.
const SWEEP: Duration = Duration::from_secs(60 * 60);

/// What this node has of one deployment.
#[derive(Debug, Default)]
pub(super) struct Local {
    inner: Mutex<Inner>,
    /// The highest number of a generation that was ever loaded here.
    highest: AtomicU64,
}

#[derive(Default)]
struct Inner {
    /// Generations that are loaded.
    plugins: BTreeMap<u64, Loaded>,
    /// The revision of the record that was followed last.
    revision: u64,
    /// What that record was.
    print: Option<Digest>,
    /// Why it was not followed to the end, and when that was tried.
    problem: Option<(String, Instant)>,
    watcher: Watcher,
}

/// A generation that is loaded, and what it was made of. A number alone does not say that for ever: a store that has lost its
/// last writes gives it out again.
struct Loaded {
    plugin: Plugin,
    of: Made,
}

/// What a generation is made of.
type Made = (Digest, String, Asks);

fn made(generation: &Generation) -> Made {
    (generation.digest, generation.hash.clone(), generation.approved.clone())
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let loaded: Vec<&u64> = self.plugins.keys().collect();
        f.debug_struct("Inner").field("revision", &self.revision).field("loaded", &loaded).finish_non_exhaustive()
    }
}

impl Local {
    /// This generation is loaded already.
    pub(super) async fn keep(&self, plugin: Plugin, generation: &Generation) {
        self.inner.lock().await.plugins.insert(generation.number, Loaded { plugin, of: made(generation) });
        self.highest.fetch_max(generation.number, Ordering::AcqRel);
    }

    /// The highest number of a generation that was ever loaded here; 0: none was.
    pub(super) fn highest(&self) -> u64 {
        self.highest.load(Ordering::Acquire)
    }

    /// What was loaded counts no more: secrets may be others. What runs goes on until it is loaded anew.
    pub(super) async fn forget(&self) {
        let mut inner = self.inner.lock().await;
        inner.plugins.clear();
        (inner.revision, inner.print) = (0, None);
    }

    /// This node runs something else than the record says.
    pub(super) async fn trouble(&self, problem: String) {
        self.inner.lock().await.problem = Some((problem, Instant::now()));
    }
}

impl Deployments {
    /// Follows the records, and says what runs here, until the node stops.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        // Apart: a node that compiles for a minute is not gone.
        tokio::join!(self.follow_all(&stop), self.say_all(&stop));
        // A store that is away now forgets this node by itself.
        let _gone = nodes::leave(&*self.store, &self.node).await;
    }

    /// Each deployment by itself: one that is being compiled for a minute keeps no other one from being followed, watched and
    /// taken back.
    async fn follow_all(&self, stop: &CancellationToken) {
        let work = async {
            let (mut going, mut busy) = (FuturesUnordered::new(), BTreeSet::new());
            let mut looks = interval(LOOK);
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let (mut swept, mut moored) = (Instant::now(), None);
            loop {
                tokio::select! {
                    biased;
                    Some(name) = going.next(), if !going.is_empty() => {
                        busy.remove(&name);
                    }
                    _ = looks.tick() => {
                        for (name, kept) in self.records(&mut moored).await {
                            if self.slots.slot(&name).is_some() && busy.insert(name.clone()) {
                                going.push(self.attend(name, kept));
                            }
                        }
                        if swept.elapsed() >= SWEEP {
                            self.sweep().await;
                            swept = Instant::now();
                        }
                    }
                }
            }
        };
        stop.run_until_cancelled(work).await;
    }

    async fn say_all(&self, stop: &CancellationToken) {
        let mut said = (BTreeMap::new(), Instant::now());
        loop {
            self.say(&mut said).await;
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.nudge.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// The records as they are now. `moored`: when this node tried last to find its way back to the store.
    async fn records(&self, moored: &mut Option<Instant>) -> BTreeMap<String, Result<Kept, ShelfError>> {
        match shelf::all(&*self.store).await {
            Ok(records) if !self.is_adrift() => return records,
            Ok(_) if moored.is_none_or(|tried: Instant| tried.elapsed() >= TRY_AGAIN) => {
                *moored = Some(Instant::now());
                self.moor().await;
            }
            Ok(_) => {}
            // The loop says so; what runs goes on.
            Err(error) => tracing::debug!(%error, "the deployments cannot be read"),
        }
        BTreeMap::new()
    }

    /// Follows a deployment's record, and looks how its generations do. Gives its name.
    async fn attend(&self, name: String, kept: Result<Kept, ShelfError>) -> String {
        match kept {
            Ok(kept) => {
                let record = kept.record.clone();
                self.follow(&name, kept).await;
                self.watch(&name, &record).await;
            }
            Err(error) => {
                figures::behind(&name, true);
                self.local(&name).trouble(error.to_string()).await;
            }
        }
        name
    }

    /// Brings what runs here to what a record says. Does nothing where it is so already.
    pub(super) async fn follow(&self, name: &str, kept: Kept) {
        let local = self.local(name);
        let mut inner = local.inner.lock().await;
        let Some(slot) = self.slots.slot(name) else { return };
        let Some(kept) = self.newer(&inner, name, kept).await else { return };
        let tried = inner.problem.as_ref().map(|(_, tried)| tried.elapsed());
        let same = kept.revision == inner.revision && kept.print == inner.print;
        if same && tried.is_none_or(|ago| ago < TRY_AGAIN) {
            return;
        }
        let mut problems = Vec::new();
        for generation in kept.record.loaded() {
            let number = generation.number;
            let Err(problem) = self.have(&mut inner, name, generation).await else {
                local.highest.fetch_max(number, Ordering::AcqRel);
                continue;
            };
            if kept.record.previous == Some(number) {
                // Nobody is asked differently for it, until somebody wants to go back there.
                tracing::warn!(
                    deployment = name,
                    generation = number,
                    problem,
                    "one cannot go back to this generation"
                );
                continue;
            }
            tracing::error!(deployment = name, generation = number, problem, "a generation cannot be loaded");
            problems.push(format!("generation {number} cannot be loaded: {problem}"));
        }
        if let Some(running) = running(&kept.record, &inner) {
            let before = slot.running();
            slot.swap(running.clone());
            let (was, is) = (before.active.generation(), running.active.generation());
            if was != is {
                tracing::info!(deployment = name, from = was, to = is, "another generation is active");
                metrics::counter!("patchbay_generation_swaps_total").increment(1);
            }
        }
        inner.watcher.begin(&kept.record);
        let runs = slot.running();
        figures::active(name, runs.active.generation());
        figures::behind(name, !problems.is_empty());
        let mut needed: BTreeSet<u64> = kept.record.loaded().iter().map(|generation| generation.number).collect();
        needed.insert(runs.active.generation());
        inner.plugins.retain(|number, _| needed.contains(number));
        (inner.revision, inner.print) = (kept.revision, kept.print);
        inner.problem = (!problems.is_empty()).then(|| (problems.join("; "), Instant::now()));
        drop(inner);
        self.nudge.notify_one();
    }

    /// A record that is not older than the one that was followed last. One that is was read before that one was written; or the
    /// store has lost its last writes in a failover, and this is what is left.
    async fn newer(&self, inner: &Inner, name: &str, kept: Kept) -> Option<Kept> {
        if kept.revision >= inner.revision {
            return Some(kept);
        }
        let now = shelf::get(&*self.store, name).await.ok()?;
        if now.revision < inner.revision {
            let (had, has) = (inner.revision, now.revision);
            tracing::warn!(deployment = name, had, has, "the store has lost the last changes of this deployment");
        }
        Some(now)
    }

    /// Loads a generation unless it is loaded.
    async fn have(&self, inner: &mut MutexGuard<'_, Inner>, name: &str, generation: &Generation) -> Result<(), String> {
        let of = made(generation);
        if inner.plugins.get(&generation.number).is_some_and(|loaded| loaded.of == of) {
            return Ok(());
        }
        inner.plugins.remove(&generation.number);
        let plugin = self.load_generation(name, generation).await?;
        inner.plugins.insert(generation.number, Loaded { plugin, of });
        Ok(())
    }

    /// Looks whether a new generation of it has to go back.
    async fn watch(&self, name: &str, record: &Record) {
        let (Some(slot), Some(config)) = (self.slots.slot(name), self.config.load_full()) else { return };
        let Some(plugin) = config.plugins.get(name) else { return };
        let rules = plugin.rollout.or(&config.deployments.rollout);
        let local = self.local(name);
        // While a generation is being loaded there is nothing new to judge.
        let Ok(mut inner) = local.inner.try_lock() else { return };
        let verdict = inner.watcher.look(record, &slot, &rules, self.store.now());
        drop(inner);
        let Some((suspect, why)) = verdict else { return };
        tracing::warn!(deployment = name, generation = suspect, why, "a generation goes back by itself");
        let who = format!("node {}", self.node.name);
        match self.roll_back_if(name, suspect, &why, &who).await {
            Ok(done) => metrics::counter!("patchbay_automatic_rollbacks_total").increment(u64::from(done)),
            Err(error) => {
                tracing::error!(deployment = name, generation = suspect, %error, "it could not go back");
                if !matches!(error, Refused::Store(_)) {
                    // Where it would go back to is not to run: that is a matter for people.
                    local.inner.lock().await.watcher.leave(suspect);
                }
            }
        }
    }

    /// Says what runs here, when that has changed or was not said for a while.
    async fn say(&self, (said, at): &mut (BTreeMap<String, Runs>, Instant)) {
        let mut runs = BTreeMap::new();
        for (name, slot) in self.slots.all() {
            let local = self.local(&name);
            let (revision, problem) = match local.inner.try_lock() {
                Ok(inner) => (inner.revision, inner.problem.as_ref().map(|(problem, _)| problem.clone())),
                // Somebody is loading: what it comes to is said then.
                Err(_) => said.get(&name).map(|runs| (runs.revision, runs.problem.clone())).unwrap_or_default(),
            };
            runs.insert(name, Runs::of(&slot, revision, problem));
        }
        let outline: BTreeMap<String, Runs> = runs.iter().map(|(name, runs)| (name.clone(), runs.outline())).collect();
        if *said == outline && at.elapsed() < SAID_EVERY {
            return;
        }
        match nodes::say(&*self.store, &self.node, runs).await {
            Ok(()) => (*said, *at) = (outline, Instant::now()),
            Err(error) => tracing::debug!(%error, "what this node runs cannot be told"),
        }
    }

    async fn sweep(&self) {
        let sweep = async {
            let records = shelf::all(&*self.store).await?;
            // What cannot be read may name anything.
            if records.values().any(Result::is_err) {
                return Ok(0);
            }
            let named = records.values().flatten().flat_map(|kept| kept.record.components());
            components::sweep(&*self.store, &named.map(|digest| digest.hex()).collect()).await
        };
        match sweep.await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "components that no deployment names were removed"),
            Err(error) => tracing::debug!(%error, "components could not be looked through"),
        }
    }

    /// The store answers for the first time: the configuration's plugins become generations.
    async fn moor(&self) {
        let Some(config) = self.config.load_full() else { return };
        self.adrift.store(false, Ordering::Release);
        match self.take(&config, true).await {
            Ok(prepared) => {
                if let Err(error) = prepared.write(self).await {
                    self.adrift.store(true, Ordering::Release);
                    tracing::warn!(error = format!("{error:#}"), "the deployments cannot be written yet");
                }
            }
            Err(error) => {
                self.adrift.store(true, Ordering::Release);
                tracing::warn!(error = format!("{error:#}"), "the deployments cannot be made yet");
            }
        }
    }
}

/// What a slot runs by a record, of what is loaded. None: the active generation is not.
fn running(record: &Record, inner: &Inner) -> Option<Running> {
    let handler =
        |number: u64| -> Option<Arc<dyn Handler>> { Some(Arc::new(inner.plugins.get(&number)?.plugin.clone())) };
    Some(Running {
        active: handler(record.active?)?,
        canary: record.canary().and_then(|(canary, share)| Some((handler(canary.number)?, share))),
        shadow: record.shadow().and_then(|shadow| handler(shadow.number)),
    })
}
