//! Deployments: which generation of each plugin runs, on this node and on all that share its store.
//!
//! What is to run stands in a record on the store's shelf; whoever changes it writes it by compare-and-swap, and every node
//! follows. A node that cannot follow says so and keeps what it runs.
//!
//! # Layout
//! - here: what a node knows of them
//! - `orders`: what an operator orders
//! - [`record`], [`state`]: a deployment's document, and what can happen to it; pure
//! - [`asks`], [`section`]: what a component asks for; how it is set
//! - `fetch`, `pipeline`, `settings`: the way of a new generation
//! - [`shelf`], [`components`], [`nodes`]: records, components and nodes' words in the store
//! - `again`: generations once more, from the shelf, under the policy of now
//! - `converge`: what runs here follows the record
//! - `figures`: what monitoring sees of it
//! - `watch`: a new generation that is worse goes back by itself
//! - `sources`: what the configuration's registries lead to, and the lock file
//! - `ready`: the configuration's sections, at the start and at each reload
//! - [`view`]: how all of it is shown
//! - [`keyvalue`]: what plugins keep
//! - [`tokens`]: what became of refresh tokens

mod again;
pub mod asks;
pub mod components;
mod converge;
mod fetch;
mod figures;
pub mod keyvalue;
pub mod nodes;
mod orders;
mod pipeline;
mod ready;
pub mod record;
mod refused;
pub mod section;
mod settings;
pub mod shelf;
mod sources;
pub mod state;
#[cfg(test)]
mod tests;
pub mod tokens;
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
use self::pipeline::Done;
use self::record::Record;
pub use self::refused::Refused;
use self::shelf::{Kept, ShelfError};
use self::state::By;
use crate::config::{self, Config};
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
    pub async fn show(&self, name: &str) -> Result<(Kept, Vec<nodes::NodeState>), Refused> {
        self.config(name)?;
        Ok((shelf::get(&*self.store, name).await?, nodes::all(&*self.store).await?))
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

    /// The record to make a new generation of. A store that has lost its last writes must not give a number out twice: no node
    /// takes one that it has seen.
    async fn latest(&self, name: &str) -> Result<Kept, ShelfError> {
        let mut kept = shelf::get(&*self.store, name).await?;
        kept.record.next = kept.record.next.max(self.local(name).highest().saturating_add(1));
        Ok(kept)
    }

    fn local(&self, name: &str) -> Arc<Local> {
        let mut local = self.local.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(local.entry(name.to_owned()).or_default())
    }

    /// What was loaded for sections that are gone is dropped.
    fn forget_all_but(&self, config: &Config) {
        let mut local = self.local.lock().unwrap_or_else(PoisonError::into_inner);
        local.retain(|name, _| {
            let stays = config.plugins.contains_key(name);
            if !stays {
                figures::active(name, 0);
                figures::behind(name, false);
            }
            stays
        });
    }

    fn by(&self, who: &str) -> By {
        By { who: who.to_owned(), at: self.store.now() }
    }

    fn is_adrift(&self) -> bool {
        self.adrift.load(Ordering::Acquire)
    }
}
