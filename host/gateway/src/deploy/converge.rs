//! What runs on this node follows the record: generations are loaded, slots swapped, and what cannot be done is said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use patchbay_runtime::Plugin;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::nodes::{self, Runs, SAID_EVERY};
use super::pipeline;
use super::record::{Generation, Record};
use super::shelf::{self, Kept};
use super::watch::Watcher;
use super::{Deployments, components};
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
}

#[derive(Default)]
struct Inner {
    /// Generations that are loaded.
    plugins: BTreeMap<u64, Plugin>,
    /// The revision of the record that was followed last.
    revision: u64,
    /// Why it was not followed to the end, and when that was tried.
    problem: Option<(String, Instant)>,
    watcher: Watcher,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let loaded: Vec<&u64> = self.plugins.keys().collect();
        f.debug_struct("Inner").field("revision", &self.revision).field("loaded", &loaded).finish_non_exhaustive()
    }
}

impl Local {
    /// A generation that is loaded already.
    pub(super) async fn keep(&self, plugin: Plugin) {
        self.inner.lock().await.plugins.insert(plugin.generation(), plugin);
    }

    /// What was loaded counts no more: secrets may be others. What runs goes on until it is loaded anew.
    pub(super) async fn forget(&self) {
        let mut inner = self.inner.lock().await;
        inner.plugins.clear();
        inner.revision = 0;
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

    async fn follow_all(&self, stop: &CancellationToken) {
        let mut swept = Instant::now();
        while stop.run_until_cancelled(self.round()).await.is_some() {
            if swept.elapsed() >= SWEEP {
                self.sweep().await;
                swept = Instant::now();
            }
            stop.run_until_cancelled(tokio::time::sleep(LOOK)).await;
        }
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

    async fn round(&self) {
        let records = match shelf::all(&*self.store).await {
            Ok(records) => records,
            // The loop says so; what runs goes on.
            Err(error) => return tracing::debug!(%error, "the deployments cannot be read"),
        };
        if self.is_adrift() {
            return self.moor().await;
        }
        let mut known: BTreeMap<String, Record> = BTreeMap::new();
        let mut following = Vec::new();
        for (name, kept) in records {
            if self.slots.slot(&name).is_none() {
                continue;
            }
            match kept {
                Ok(kept) => {
                    known.insert(name.clone(), kept.record.clone());
                    following.push(async move { self.follow(&name, kept).await });
                }
                Err(error) => self.local(&name).trouble(error.to_string()).await,
            }
        }
        join_all(following).await;
        for (name, record) in &known {
            self.watch(name, record).await;
        }
    }

    /// Brings what runs here to what a record says. Does nothing where it is so already.
    pub(super) async fn follow(&self, name: &str, kept: Kept) {
        let local = self.local(name);
        let mut inner = local.inner.lock().await;
        let tried = inner.problem.as_ref().map(|(_, tried)| tried.elapsed());
        let done = kept.revision < inner.revision
            || (kept.revision == inner.revision && tried.is_none_or(|ago| ago < TRY_AGAIN));
        let Some(slot) = self.slots.slot(name).filter(|_| !done) else { return };
        let mut problems = Vec::new();
        for generation in kept.record.loaded() {
            if let Err(problem) = self.have(&mut inner, name, generation).await {
                let number = generation.number;
                tracing::error!(deployment = name, generation = number, problem, "a generation cannot be loaded");
                problems.push(format!("generation {number} cannot be loaded: {problem}"));
            }
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
        let mut needed: BTreeSet<u64> = kept.record.loaded().iter().map(|generation| generation.number).collect();
        needed.insert(runs.active.generation());
        inner.plugins.retain(|number, _| needed.contains(number));
        inner.revision = kept.revision;
        inner.problem = (!problems.is_empty()).then(|| (problems.join("; "), Instant::now()));
        drop(inner);
        self.nudge.notify_one();
    }

    /// Loads a generation unless it is loaded.
    async fn have(&self, inner: &mut MutexGuard<'_, Inner>, name: &str, generation: &Generation) -> Result<(), String> {
        if inner.plugins.contains_key(&generation.number) {
            return Ok(());
        }
        let plugin = self.load_generation(name, generation).await?;
        inner.plugins.insert(generation.number, plugin);
        Ok(())
    }

    /// Loads a generation from the shelf, with this node's secrets.
    ///
    /// # Errors
    /// A sentence for people.
    pub(super) async fn load_generation(&self, name: &str, generation: &Generation) -> Result<Plugin, String> {
        let config = self.config.load_full().ok_or("the gateway has no configuration yet")?;
        self.load_with(&config, name, generation).await
    }

    /// As [`Deployments::load_generation`], with a configuration that does not count yet.
    ///
    /// # Errors
    /// As there.
    pub(super) async fn load_with(
        &self,
        config: &crate::config::Config,
        name: &str,
        generation: &Generation,
    ) -> Result<Plugin, String> {
        let component = components::get(&*self.store, &generation.digest).await.map_err(|error| error.to_string())?;
        let Generation { number, section, approved, .. } = generation;
        let spec = pipeline::spec(config, name, *number, component, section, approved);
        let plugin = self.runtime.load(spec.map_err(|error| format!("{error:#}"))?).await;
        let plugin = plugin.map_err(|error| error.to_string())?;
        pipeline::fits(config, name, &plugin)?;
        Ok(plugin)
    }

    /// Looks whether a new generation of it has to go back.
    async fn watch(&self, name: &str, record: &Record) {
        let (Some(slot), Some(config)) = (self.slots.slot(name), self.config.load_full()) else { return };
        let Some(plugin) = config.plugins.get(name) else { return };
        let rules = plugin.rollout.or(&config.deployments.rollout);
        let local = self.local(name);
        let verdict = local.inner.lock().await.watcher.look(record, &slot, &rules, self.store.now());
        let Some((suspect, why)) = verdict else { return };
        tracing::warn!(deployment = name, generation = suspect, why, "a generation goes back by itself");
        metrics::counter!("patchbay_automatic_rollbacks_total").increment(1);
        let who = format!("node {}", self.node.name);
        if let Err(error) = self.roll_back_if(name, suspect, &why, &who).await {
            tracing::error!(deployment = name, generation = suspect, %error, "it could not go back");
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
        match self.take(&config).await {
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
    let handler = |number: u64| -> Option<Arc<dyn Handler>> { Some(Arc::new(inner.plugins.get(&number)?.clone())) };
    Some(Running {
        active: handler(record.active?)?,
        canary: record.canary().and_then(|(canary, share)| Some((handler(canary.number)?, share))),
        shadow: record.shadow().and_then(|shadow| handler(shadow.number)),
    })
}
