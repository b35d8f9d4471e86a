//! The configuration's sections become generations: at the start, at each reload, and when a store that was away answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, bail};
use async_trait::async_trait;
use patchbay_artefact::{Lock, lock};
use patchbay_runtime::{Plugin, Role};
use patchbay_store::StoreError;

use super::fetch::{self, Fetched};
use super::pipeline::{Examined, examine};
use super::record::{Configured, Origin, Record};
use super::refused::Refused;
use super::section::Section;
use super::shelf::{self, Kept, ShelfError, TRIES};
use super::{Deployments, sources};
use crate::config::{Config, Source};
use crate::engine::slot::{Running, Slot};
use crate::serve::build;
use crate::serve::deploy::{Deploy, Ready};

/// The number of a component that runs without a record: the store was away when it was loaded.
const ADRIFT: u64 = 0;

/// Who the history says it was.
const CONFIGURATION: &str = "the configuration";

/// What a configuration comes to, before anything has changed.
pub(super) struct Prepared {
    config: Arc<Config>,
    slots: BTreeMap<String, Arc<Slot>>,
    plans: BTreeMap<String, Plan>,
    /// Nothing has run here by a record yet.
    starting: bool,
}

/// What becomes of one plugin.
enum Plan {
    /// The record goes on; where nothing runs here yet, with this.
    Goes(Option<Plugin>),
    /// The section has changed.
    Fresh(Box<Fresh>),
    /// The store does not answer: the configuration's own component.
    Adrift(Plugin),
    /// The recorded generation cannot be loaded here; the configuration's own component, until it can.
    Instead(Plugin, String),
}

struct Fresh {
    examined: Examined,
    configured: Configured,
    plugin: Plugin,
    /// The record that it was made for.
    over: Kept,
    /// What the lock file does not know yet.
    to_lock: Option<lock::Entry>,
}

#[async_trait]
impl Deploy for Arc<Deployments> {
    async fn prepare(&self, config: &Config) -> anyhow::Result<Box<dyn Ready>> {
        let prepared = self.take(&Arc::new(config.clone()), false).await?;
        Ok(Box::new(Ours { deployments: Arc::clone(self), prepared }))
    }
}

struct Ours {
    deployments: Arc<Deployments>,
    prepared: Prepared,
}

#[async_trait]
impl Ready for Ours {
    fn slots(&self) -> &BTreeMap<String, Arc<Slot>> {
        &self.prepared.slots
    }

    fn roles(&self, plugin: &str) -> Option<Vec<Role>> {
        let planned = self.prepared.plans.get(plugin)?;
        let planned = planned.plugin().cloned().or_else(|| self.prepared.slots.get(plugin)?.plugin())?;
        Some(planned.roles().to_vec())
    }

    async fn apply(self: Box<Self>) -> anyhow::Result<Vec<String>> {
        self.prepared.write(&self.deployments).await
    }
}

impl Plan {
    fn plugin(&self) -> Option<&Plugin> {
        match self {
            Self::Goes(plugin) => plugin.as_ref(),
            Self::Fresh(fresh) => Some(&fresh.plugin),
            Self::Adrift(plugin) | Self::Instead(plugin, _) => Some(plugin),
        }
    }
}

impl Deployments {
    /// Works out what a configuration comes to, and loads what is new. `starting`: what runs here was taken without a record.
    ///
    /// # Errors
    /// What is wrong with which plugin. At the start a plugin that has run before goes on as it was instead.
    pub(super) async fn take(&self, config: &Arc<Config>, starting: bool) -> anyhow::Result<Prepared> {
        let mut prepared =
            Prepared { config: Arc::clone(config), slots: BTreeMap::new(), plans: BTreeMap::new(), starting };
        for name in config.plugins.keys() {
            let plan = self.plan(config, name, starting).await;
            let plan = plan.with_context(|| format!("cannot load the plugin `{name}`"))?;
            let slot = match (self.slots.slot(name), plan.plugin()) {
                (Some(slot), _) => slot,
                (None, Some(plugin)) => Arc::new(Slot::new(name, Running::only(Arc::new(plugin.clone())))),
                (None, None) => bail!("the plugin `{name}` was not loaded"),
            };
            prepared.slots.insert(name.clone(), slot);
            prepared.plans.insert(name.clone(), plan);
        }
        Ok(prepared)
    }

    async fn plan(&self, config: &Config, name: &str, starting: bool) -> anyhow::Result<Plan> {
        let first = starting || self.slots.slot(name).is_none();
        let kept = match self.latest(name).await {
            Ok(kept) => kept,
            Err(ShelfError::Store(StoreError::Unavailable(reason))) if first => {
                tracing::warn!(deployment = name, reason, "the store is away: the configuration's own component runs");
                return Ok(Plan::Adrift(self.own(config, name).await?));
            }
            Err(error) => return Err(error.into()),
        };
        let (wanted, fetched) = configured(config, name, &kept.record).await?;
        if kept.record.configured.as_ref() == Some(&wanted) && kept.record.active().is_some() {
            return self.goes_on(config, name, &kept.record, first).await;
        }
        let error = match self.fresh(config, name, &kept, wanted, fetched).await {
            Ok(fresh) => return Ok(Plan::Fresh(Box::new(fresh))),
            Err(error) => error,
        };
        // A gateway that is started again goes on with what has run; one that is told to reload is told no.
        if first && kept.record.active().is_some() {
            let why = format!("{error:#}");
            tracing::error!(deployment = name, why, "the section's plugin does not run; the generation before goes on");
            let record = kept.record.clone();
            self.tell(name, kept, &why).await;
            return self.goes_on(config, name, &record, first).await;
        }
        let away = error.is::<StoreError>() || matches!(error.downcast_ref(), Some(Refused::Store(_)));
        if !away {
            let refused = Refused::Invalid(format!("the section of the configuration does not run: {error:#}"));
            self.note_refused(name, None, "", refused, CONFIGURATION).await;
        }
        Err(error)
    }

    /// Leaves a line in the history, once for each reason.
    async fn tell(&self, name: &str, kept: Kept, why: &str) {
        let Kept { record, revision, .. } = kept;
        let why = format!("the section of the configuration does not run: {why}");
        let next = record.told("goes-on", record.active, &why, &self.by(CONFIGURATION));
        // It is in the log too, and somebody else's order counts more.
        let _told = shelf::put(&*self.store, name, next, revision).await;
    }

    /// The record goes on. Its active generation is loaded where nothing runs yet. What runs already has to be allowed by the
    /// policy of this configuration.
    async fn goes_on(&self, config: &Config, name: &str, record: &Record, first: bool) -> anyhow::Result<Plan> {
        let Some(active) = record.active() else { return Ok(Plan::Goes(None)) };
        if !first {
            for generation in [Some(active), record.canary().map(|(canary, _)| canary)].into_iter().flatten() {
                if let Err(refused) = self.allowed(config, name, generation).await {
                    let number = Some(generation.number);
                    return Err(self.note_refused(name, number, "", refused, CONFIGURATION).await.into());
                }
            }
            return Ok(Plan::Goes(None));
        }
        match self.load_with(config, name, active).await {
            Ok(plugin) => Ok(Plan::Goes(Some(plugin))),
            Err(problem) => {
                let number = active.number;
                tracing::error!(deployment = name, generation = number, problem, "a generation cannot be loaded");
                let own = self.own(config, name).await;
                let own = own.with_context(|| format!("generation {number} cannot be loaded either: {problem}"))?;
                Ok(Plan::Instead(own, format!("generation {number} cannot be loaded: {problem}")))
            }
        }
    }

    /// The component that the configuration names, as it names it.
    async fn own(&self, config: &Config, name: &str) -> anyhow::Result<Plugin> {
        let fetched = sources::own(config, name).await?;
        fetch::judge(config, name, &fetched)?;
        let spec = build::spec(config, name, ADRIFT, fetched.component)?;
        Ok(self.runtime.load(spec).await?)
    }

    /// A new generation of a section that has changed. Where its `source` has not, the component that runs now goes on with
    /// the new section, also one that was deployed since.
    async fn fresh(
        &self,
        config: &Config,
        name: &str,
        kept: &Kept,
        wanted: Configured,
        fetched: Option<Fetched>,
    ) -> anyhow::Result<Fresh> {
        let Some(plugin) = config.plugins.get(name) else { bail!("there is no [plugins.{name}]") };
        let (record, section, mut to_lock) = (&kept.record, Section::of(plugin), None);
        let before = record.configured.as_ref();
        let deployed = record.active().filter(|active| active.origin != Origin::Configuration);
        let stays = deployed.filter(|_| before.is_some_and(|before| before.same_source(&wanted)));
        let mut examined = match stays {
            Some(active) => {
                let mut again = active.clone();
                (again.section, again.origin) = (section, Origin::Configuration);
                self.take_from_shelf(config, name, &again).await?
            }
            None => {
                let fetched = match fetched {
                    Some(fetched) => fetched,
                    None => sources::own(config, name).await?,
                };
                to_lock = sources::to_lock(config, name, &fetched);
                examine(config, name, fetched, section, Origin::Configuration)?
            }
        };
        let approved = record.approved(&examined.draft);
        let loaded = examined.load(&self.runtime, config, name, record.next, &approved).await;
        let plugin = loaded.map_err(anyhow::Error::msg)?;
        Ok(Fresh { examined, configured: wanted, plugin, over: kept.clone(), to_lock })
    }
}

/// What a section comes to now, and its component where that had to be read. A tag of a registry is looked up once: what it
/// leads to later is a matter of deploying.
async fn configured(config: &Config, name: &str, record: &Record) -> anyhow::Result<(Configured, Option<Fetched>)> {
    let Some(plugin) = config.plugins.get(name) else { bail!("there is no [plugins.{name}]") };
    let (source, hash) = (plugin.source.to_string(), Section::of(plugin).hash());
    if let Source::Registry(reference) = &plugin.source
        && let Some(before) = record.configured.as_ref().filter(|before| before.source == source)
    {
        let lock = Lock::read(&config.deployments.lock)?;
        if lock.get(reference).is_none_or(|entry| entry.component == before.digest) {
            return Ok((Configured { source, digest: before.digest, hash }, None));
        }
    }
    let fetched = sources::own(config, name).await?;
    Ok((Configured { source, digest: fetched.digest, hash }, Some(fetched)))
}

impl Prepared {
    /// Writes down what is new and swaps it in. Gives a sentence for each plugin that is another one now.
    ///
    /// # Errors
    /// When it cannot be written; nothing has changed then but components on the shelf that nobody names.
    pub(super) async fn write(mut self, deployments: &Deployments) -> anyhow::Result<Vec<String>> {
        let mut changes = Vec::new();
        let by = deployments.by(CONFIGURATION);
        for _ in 0..TRIES {
            let mut writes = Vec::new();
            changes.clear();
            for (name, fresh) in self.fresh() {
                fresh.examined.put(&*deployments.store).await?;
                let Kept { record, revision, .. } = &fresh.over;
                changes.push(format!("the plugin {name} runs as generation {}", record.next));
                let next = record.configured(fresh.examined.draft.clone(), fresh.configured.clone(), &by);
                writes.push((name.clone(), next, *revision));
            }
            if writes.is_empty() || shelf::put_all(&*deployments.store, writes).await? {
                let entries: Vec<lock::Entry> = self.fresh().filter_map(|(_, fresh)| fresh.to_lock.clone()).collect();
                if !entries.is_empty() {
                    sources::lock(&self.config, entries).await;
                }
                self.swap(deployments).await;
                return Ok(changes);
            }
            // Somebody else came before: another node with the same configuration, or an operator. What they did counts.
            for (name, plan) in &mut self.plans {
                if let Plan::Fresh(fresh) = &*plan
                    && shelf::get(&*deployments.store, name).await?.revision != fresh.over.revision
                {
                    *plan = deployments.plan(&self.config, name, self.starting).await?;
                }
            }
        }
        bail!("the deployments are being changed by others all the time; try again")
    }

    fn fresh(&self) -> impl Iterator<Item = (&String, &Fresh)> {
        self.plans.iter().filter_map(|(name, plan)| match plan {
            Plan::Fresh(fresh) => Some((name, &**fresh)),
            _ => None,
        })
    }

    async fn swap(self, deployments: &Deployments) {
        deployments.config.store(Some(Arc::clone(&self.config)));
        deployments.forget_all_but(&self.config);
        for (name, slot) in self.slots {
            deployments.slots.insert(slot);
            let (local, plan) = (deployments.local(&name), self.plans.get(&name));
            local.forget().await;
            let kept = shelf::get(&*deployments.store, &name).await;
            match plan {
                Some(Plan::Adrift(_)) => deployments.adrift.store(true, Ordering::Release),
                Some(Plan::Instead(_, problem)) => local.trouble(problem.clone()).await,
                Some(plan) => {
                    let generation = plan
                        .plugin()
                        .zip(kept.as_ref().ok())
                        .and_then(|(plugin, kept)| Some((plugin, kept.record.generation(plugin.generation())?)));
                    if let Some((plugin, generation)) = generation {
                        local.keep(plugin.clone(), generation).await;
                    }
                }
                None => {}
            }
            match kept {
                Ok(kept) if kept.revision > 0 => deployments.follow(&name, kept).await,
                Ok(_) => {}
                // The loop follows when it can.
                Err(error) => tracing::debug!(deployment = name, %error, "the deployment cannot be read yet"),
            }
        }
    }
}
