//! The way of a new generation: read, verify, check settings and grants, compile, golden events. A stage that is not passed
//! says why, and nothing has changed then.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Context, bail};
use bytes::Bytes;
use patchbay_artefact::{Signature, component};
use patchbay_model::golden::Golden;
use patchbay_runtime::{Plugin, PluginSpec, Role, inspect, rehearse};
use patchbay_store::{Store, StoreError};
use serde::Serialize;

use super::asks::Asks;
use super::components;
use super::fetch::{self, Fetched};
use super::record::{Origin, Title};
use super::refused::Refused;
use super::section::Section;
use super::settings;
use super::state::Draft;
use crate::config::{Config, SecretRefs};
use crate::serve::build;

/// Golden events that are told of when several differ; the rest are counted.
const TOLD: usize = 3;

/// What a stage did, for people.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Done {
    /// `verified`, `settings`, `compiled`, `golden`.
    pub stage: &'static str,
    /// In a few words.
    pub said: String,
    /// How long it took, milliseconds.
    pub took_ms: u64,
}

/// A component that may become a generation: everything is known of it that can be without running it.
#[derive(Clone, Debug)]
pub(super) struct Examined {
    pub(super) draft: Draft,
    pub(super) component: Bytes,
    pub(super) signatures: Vec<Signature>,
    golden: Vec<Golden>,
    pub(super) stages: Vec<Done>,
}

/// Verifies a component, reads what it says about itself and checks its settings.
///
/// # Errors
/// The stage that it does not pass.
pub(super) fn examine(
    config: &Config,
    name: &str,
    fetched: Fetched,
    section: Section,
    origin: Origin,
) -> Result<Examined, Refused> {
    let begun = Instant::now();
    let invalid = |error: &dyn std::fmt::Display| Refused::Invalid(format!("the component for `{name}`: {error}"));
    let said = fetch::judge(config, name, &fetched)?;
    let mut stages = vec![done("verified", format!("{}, {said}", fetched.digest.short()), begun)];
    let inspection = inspect(&fetched.component).map_err(|error| invalid(&error))?;
    let manifest = component::manifest(&fetched.component).map_err(|error| invalid(&error))?;
    let golden = component::golden(&fetched.component).map_err(|error| invalid(&error))?;
    let begun = Instant::now();
    if let Some(schema) = manifest.as_ref().and_then(|manifest| manifest.settings.as_ref()) {
        settings::check(name, &section, schema).map_err(Refused::Invalid)?;
        stages.push(done("settings", "they fit the plugin's schema".into(), begun));
    }
    let draft = Draft {
        digest: fetched.digest,
        size: fetched.component.len() as u64,
        source: fetched.source,
        verified: said,
        trust: fetched.trust,
        asks: Asks::of(manifest.as_ref(), &inspection),
        manifest: manifest.map(|manifest| Title { name: manifest.name, version: manifest.version }),
        section,
        origin,
    };
    Ok(Examined { draft, component: fetched.component, signatures: fetched.signatures, golden, stages })
}

impl Examined {
    /// Puts it on the shelf.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(super) async fn put(&self, store: &dyn Store) -> Result<(), StoreError> {
        components::put(store, &self.draft.digest, &self.component, &self.signatures).await
    }

    /// Compiles it as this generation, and asks its golden events.
    ///
    /// # Errors
    /// A sentence about the stage that it does not pass.
    pub(super) async fn load(
        &mut self,
        runtime: &patchbay_runtime::Engine,
        config: &Config,
        name: &str,
        number: u64,
        approved: &Asks,
    ) -> Result<Plugin, String> {
        let begun = Instant::now();
        let component = self.component.clone();
        let spec = spec(config, name, number, component, &self.draft.section, approved);
        let spec = spec.map_err(|error| format!("{error:#}"))?;
        let plugin = runtime.load(spec).await.map_err(|error| error.to_string())?;
        fits(config, name, &plugin)?;
        let said = format!("contract {}", plugin.contract());
        self.stages.push(done("compiled", said, begun));
        if !self.golden.is_empty() {
            let begun = Instant::now();
            let said = golden(&plugin, &self.golden).await?;
            self.stages.push(done("golden", said, begun));
        }
        Ok(plugin)
    }
}

/// What a generation is loaded from on this node: the section as the generation keeps it, with this node's secrets.
///
/// # Errors
/// When this node's configuration has no such plugin, secret or credential.
pub(super) fn spec(
    config: &Config,
    name: &str,
    number: u64,
    component: Bytes,
    section: &Section,
    approved: &Asks,
) -> anyhow::Result<PluginSpec> {
    let Some(own) = config.plugins.get(name) else { bail!("this node's configuration has no [plugins.{name}]") };
    let mut plugin = own.clone();
    plugin.secrets.retain(|secret, _: &mut SecretRefs| section.secrets.contains(secret));
    if let Some(absent) = section.secrets.iter().find(|secret| !plugin.secrets.contains_key(*secret)) {
        bail!("this node's configuration has no secret `{absent}` under [plugins.{name}.secrets]");
    }
    plugin.settings.clone_from(&section.settings);
    plugin.grants = section.grants_with(approved);
    plugin.limits.clone_from(&section.limits);
    let mut config = config.clone();
    config.plugins.insert(name.to_owned(), plugin);
    build::spec(&config, name, number, component).with_context(|| format!("generation {number} of `{name}`"))
}

/// Whether a plugin can do what desks and chains ask of it.
///
/// # Errors
/// A sentence about what it cannot do.
pub(super) fn fits(config: &Config, name: &str, plugin: &Plugin) -> Result<(), String> {
    let mut needed = BTreeSet::new();
    if config.desks.values().any(|desk| desk.plugin == name) {
        needed.insert(Role::Desk);
    }
    if config.chains.iter().flat_map(|chain| &chain.steps).any(|step| step.plugin == name) {
        needed.insert(Role::Handler);
    }
    match needed.into_iter().find(|role| !plugin.roles().contains(role)) {
        Some(role) => {
            let roles: Vec<&str> = plugin.roles().iter().map(|role| role.as_str()).collect();
            let role = role.as_str();
            Err(format!("`{name}` is used as a {role}, and this component is none: its roles are {}", roles.join(", ")))
        }
        None => Ok(()),
    }
}

async fn golden(plugin: &Plugin, events: &[Golden]) -> Result<String, String> {
    let mut differ = Vec::new();
    for event in events {
        let result = rehearse(plugin, event).await;
        if !result.passed {
            differ.push(format!("`{}`: {}", result.name, result.differences.join("; ")));
        }
    }
    let all = events.len();
    if differ.is_empty() {
        return Ok(format!("{all} of {all} as expected"));
    }
    let count = differ.len();
    differ.truncate(TOLD);
    Err(format!("{count} of its {all} golden events did not come out as expected: {}", differ.join(" · ")))
}

fn done(stage: &'static str, said: String, begun: Instant) -> Done {
    Done { stage, said, took_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX) }
}
