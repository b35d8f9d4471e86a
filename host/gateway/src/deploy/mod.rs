//! Deployments: which generation of each plugin runs, on this node and on all that share its store.
//!
//! What is to run stands in a record on the store's shelf; whoever changes it writes it by compare-and-swap, and every node
//! follows. A node that cannot follow says so and keeps what it runs.
//!
//! # Layout
//! - here: what an operator orders
//! - [`record`], [`state`]: a deployment's document, and what can happen to it; pure
//! - [`asks`], [`section`]: what a component asks for; how it is set
//! - `fetch`, `pipeline`, `settings`: the way of a new generation
//! - [`shelf`], [`components`], [`nodes`]: records, components and nodes' words in the store
//! - `converge`: what runs here follows the record
//! - `watch`: a new generation that is worse goes back by itself
//! - `ready`: the configuration's sections, at the start and at each reload
//! - [`view`]: how all of it is shown
//! - [`keyvalue`]: what plugins keep

pub mod asks;
pub mod components;
mod converge;
mod fetch;
pub mod keyvalue;
pub mod nodes;
mod pipeline;
mod ready;
pub mod record;
mod refused;
pub mod section;
mod settings;
pub mod shelf;
pub mod state;
pub mod view;
mod watch;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use patchbay_artefact::Signature;
use patchbay_store::{Store, StoreError};
use tokio::sync::Notify;

use self::converge::Local;
use self::fetch::{Fetched, Trust};
use self::pipeline::{Done, Examined, examine};
use self::record::{Origin, Record, Rollout};
pub use self::refused::Refused;
use self::section::Section;
use self::shelf::{Kept, TRIES};
use self::state::By;
use crate::config::{self, Config, Share};
use crate::engine::NodeName;
use crate::engine::slot::Slots;

/// The deployments of a node.
#[derive(Debug)]
pub struct Deployments {
    store: Arc<dyn Store>,
    runtime: patchbay_runtime::Engine,
    node: NodeName,
    slots: Arc<Slots>,
    /// What counts now; none before the first time.
    config: ArcSwapOption<Config>,
    /// What this node has loaded, by deployment.
    local: Mutex<BTreeMap<String, Arc<Local>>>,
    /// Is told when a record has changed here.
    nudge: Notify,
    /// The store did not answer when the gateway started: the configuration's own components run until it does.
    adrift: AtomicBool,
}

/// A component that somebody wants deployed.
#[derive(Clone, Debug)]
pub enum Given {
    /// Its bytes, and the signatures that came along.
    Component(Bytes, Vec<Signature>),
    /// Where it lies, as the gateway sees it.
    Source(config::Source),
}

/// What became of an order.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The generation that it is about.
    pub generation: u64,
    /// The record as it is now.
    pub record: Record,
    /// What the stages did.
    pub stages: Vec<Done>,
}

impl Deployments {
    /// For these slots. Nothing runs in them before the first configuration is applied.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, runtime: patchbay_runtime::Engine, node: NodeName, slots: Arc<Slots>) -> Self {
        Self {
            store,
            runtime,
            node,
            slots,
            config: ArcSwapOption::empty(),
            local: Mutex::default(),
            nudge: Notify::new(),
            adrift: AtomicBool::new(false),
        }
    }

    /// Makes a new generation of a deployment and lets it begin, or holds it where it asks for more than the one before.
    ///
    /// # Errors
    /// The stage that it did not pass; the old generation goes on.
    pub async fn deploy(&self, name: &str, given: Given, rollout: Rollout, who: &str) -> Result<Outcome, Refused> {
        let config = self.config(name)?;
        let fetched = match given {
            Given::Component(bytes, signatures) => Fetched::uploaded(bytes, signatures),
            Given::Source(source) => {
                let fetched = fetch::fetch(&config, name, &source, Trust::Sent).await;
                fetched.map_err(|error| Refused::Invalid(format!("{error:#}")))?
            }
        };
        let begun = shelf::get(&*self.store, name).await?.record;
        let plugin = config.plugins.get(name).map(Section::of).unwrap_or_default();
        // How the active one is set; the configuration says so, unless a rollback has brought an older section back.
        let section = begun.active().map_or(plugin, |active| active.section.clone());
        let origin = Origin::Operator { subject: who.to_owned() };
        let mut examined = examine(&config, name, fetched, section, origin)?;
        let (by, known) = (self.by(who), examined.stages.len());
        for _ in 0..TRIES {
            let Kept { record, revision } = shelf::get(&*self.store, name).await?;
            let (number, draft) = (record.next, examined.draft.clone());
            let held = !record.missing(&draft).is_empty();
            let mut loaded = None;
            let next = if held {
                // It does not run before somebody has agreed: nor is it compiled.
                record.deployed(draft, rollout, &by)?
            } else {
                match examined.load(&self.runtime, &config, name, number, &record.approved(&draft)).await {
                    Ok(plugin) => {
                        loaded = Some(plugin);
                        record.deployed(draft, rollout, &by)?
                    }
                    Err(why) => {
                        let failed = record.failed(draft, &why, &by);
                        if shelf::put(&*self.store, name, failed, revision).await?.is_none() {
                            continue;
                        }
                        return Err(Refused::Invalid(format!("generation {number} of `{name}` does not run: {why}")));
                    }
                }
            };
            components::put(&*self.store, &examined.draft.digest, &examined.component).await?;
            if let Some(kept) = shelf::put(&*self.store, name, next, revision).await? {
                if let Some(plugin) = loaded {
                    self.local(name).keep(plugin).await;
                }
                let (record, stages) = (kept.record.clone(), examined.stages);
                self.follow(name, kept).await;
                return Ok(Outcome { generation: number, record, stages });
            }
            examined.stages.truncate(known);
        }
        Err(shelf::ShelfError::Busy(name.to_owned()).into())
    }

    /// Lets a held generation have what it asks for; without a number the one that is held. It has to pass the stages that
    /// are left.
    ///
    /// # Errors
    /// None is held, or it did not pass a stage.
    pub async fn approve(&self, name: &str, number: Option<u64>, who: &str) -> Result<Outcome, Refused> {
        let config = self.config(name)?;
        let by = self.by(who);
        for _ in 0..TRIES {
            let Kept { record, revision } = shelf::get(&*self.store, name).await?;
            let number = match number.or_else(|| record.held().map(|held| held.number)) {
                Some(number) => number,
                None => return Err(Refused::Conflict(format!("no generation of `{name}` is held"))),
            };
            let next = record.approved_by(number, &by)?;
            let generation = next.generation(number).cloned();
            let generation = generation.ok_or_else(|| Refused::Absent(format!("there is no generation {number}")))?;
            let mut examined = self.take_from_shelf(&config, name, &generation).await?;
            let loaded = examined.load(&self.runtime, &config, name, number, &generation.approved).await;
            let (next, outcome) = match loaded {
                Ok(plugin) => (next, Ok(plugin)),
                Err(why) => (record.failed_when_approved(number, &why, &by), Err(why)),
            };
            let Some(kept) = shelf::put(&*self.store, name, next, revision).await? else { continue };
            match outcome {
                Ok(plugin) => self.local(name).keep(plugin).await,
                Err(why) => {
                    return Err(Refused::Invalid(format!("generation {number} of `{name}` does not run: {why}")));
                }
            }
            let record = kept.record.clone();
            self.follow(name, kept).await;
            return Ok(Outcome { generation: number, record, stages: examined.stages });
        }
        Err(shelf::ShelfError::Busy(name.to_owned()).into())
    }

    /// A held generation once more, from the shelf. Its signature was verified when it came.
    async fn take_from_shelf(
        &self,
        config: &Config,
        name: &str,
        generation: &record::Generation,
    ) -> Result<Examined, Refused> {
        let component = components::get(&*self.store, &generation.digest).await;
        let component = component.map_err(|error| Refused::Conflict(error.to_string()))?;
        let fetched = Fetched {
            component,
            digest: generation.digest,
            source: generation.source.clone(),
            reference: None,
            signatures: Vec::new(),
            trust: Trust::Builtin,
        };
        let mut examined = examine(config, name, fetched, generation.section.clone(), generation.origin.clone())?;
        examined.stages.retain(|done| done.stage != "verified");
        Ok(examined)
    }

    /// A canary or a shadow becomes the active generation, or with a share the canary for that; without a number the canary,
    /// and without one the shadow.
    ///
    /// # Errors
    /// There is none.
    pub async fn promote(
        &self,
        name: &str,
        number: Option<u64>,
        share: Option<Share>,
        who: &str,
    ) -> Result<Outcome, Refused> {
        self.change(name, who, |record, by| {
            let beside = || record.canary().map(|(canary, _)| canary).or(record.shadow()).map(|one| one.number);
            let number = number.or_else(beside).ok_or_else(|| {
                Refused::Conflict(format!("`{name}` has no canary and no shadow: nothing to promote"))
            })?;
            Ok((number, record.promoted(number, share, by)?))
        })
        .await
    }

    /// Back to an earlier generation: without a number from the canary, or else from the active one to the one before.
    ///
    /// # Errors
    /// There is nothing to go back to.
    pub async fn roll_back(
        &self,
        name: &str,
        number: Option<u64>,
        reason: &str,
        who: &str,
    ) -> Result<Outcome, Refused> {
        self.change(name, who, |record, by| {
            let next = record.rolled_back(number, reason, by)?;
            Ok((next.active.unwrap_or_default(), next))
        })
        .await
    }

    /// Takes a generation back that is worse than the one before, unless somebody has done so already.
    async fn roll_back_if(&self, name: &str, suspect: u64, why: &str, who: &str) -> Result<(), Refused> {
        let done = self
            .change(name, who, |record, by| {
                let canary = record.canary().map(|(canary, _)| canary.number);
                let target = match (canary == Some(suspect), record.active == Some(suspect)) {
                    (true, _) => None,
                    (false, true) => record.previous,
                    (false, false) => return Err(Refused::Absent("it is gone already".into())),
                };
                Ok((suspect, record.rolled_back(target, why, by)?))
            })
            .await;
        match done {
            Ok(_) | Err(Refused::Absent(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Changes a record, again where somebody else came before.
    async fn change(
        &self,
        name: &str,
        who: &str,
        step: impl Fn(&Record, &By) -> Result<(u64, Record), Refused>,
    ) -> Result<Outcome, Refused> {
        self.config(name)?;
        for _ in 0..TRIES {
            let Kept { record, revision } = shelf::get(&*self.store, name).await?;
            let (generation, next) = step(&record, &self.by(who))?;
            if let Some(kept) = shelf::put(&*self.store, name, next, revision).await? {
                let record = kept.record.clone();
                self.follow(name, kept).await;
                return Ok(Outcome { generation, record, stages: Vec::new() });
            }
        }
        Err(shelf::ShelfError::Busy(name.to_owned()).into())
    }

    /// The records that there are, and what the nodes say, by deployment.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list(&self) -> Result<(BTreeMap<String, Record>, Vec<nodes::NodeState>), StoreError> {
        let records = shelf::all(&*self.store).await?;
        let there = self.config.load_full();
        let named = |name: &String| there.as_ref().is_none_or(|config| config.plugins.contains_key(name));
        let readable = records.into_iter().filter(|(name, _)| named(name));
        let records = readable.filter_map(|(name, kept)| Some((name, kept.ok()?.record))).collect();
        Ok((records, nodes::all(&*self.store).await?))
    }

    /// One record, and what the nodes say.
    ///
    /// # Errors
    /// There is no such deployment, or the store cannot be read.
    pub async fn show(&self, name: &str) -> Result<(Record, Vec<nodes::NodeState>), Refused> {
        self.config(name)?;
        Ok((shelf::get(&*self.store, name).await?.record, nodes::all(&*self.store).await?))
    }

    /// The configuration, if it has such a plugin.
    fn config(&self, name: &str) -> Result<Arc<Config>, Refused> {
        let config = self.config.load_full().filter(|config| config.plugins.contains_key(name));
        config.ok_or_else(|| {
            Refused::Absent(format!(
                "no such deployment: the configuration has no [plugins.{name}]; add the section first, it says what the \
                 plugin may do"
            ))
        })
    }

    fn local(&self, name: &str) -> Arc<Local> {
        let mut local = self.local.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(local.entry(name.to_owned()).or_default())
    }

    fn by(&self, who: &str) -> By {
        By { who: who.to_owned(), at: self.store.now() }
    }

    fn is_adrift(&self) -> bool {
        self.adrift.load(Ordering::Acquire)
    }
}
