//! Nodes on one store, without anything around them.

use std::path::Path;

use patchbay_artefact::component::pack;
use patchbay_artefact::manifest::{Manifest, Wants};
use patchbay_runtime::{Engine, EngineOptions, NoMedia};
use patchbay_store::memory::{MemoryOptions, MemoryServer};

use super::record::{Rollout, State};
use super::*;
use crate::config::Secrets;
use crate::dev::DEV_TOML;

fn config(toml: &str) -> Arc<Config> {
    let toml = format!("{toml}\n[deployments]\nunsigned = true\n");
    let checked = Config::from_toml("test.toml", toml, Path::new("."), Secrets::Unseen);
    let mut config = checked.config.unwrap_or_else(|| panic!("{}", checked.problems));
    // It has secrets, and no part in this.
    config.plugins.remove("zendesk");
    config.desks.clear();
    Arc::new(config)
}

/// A node that has started with a configuration.
async fn node(server: &MemoryServer, toml: &str) -> Deployments {
    let engine = Engine::new(EngineOptions { concurrent_calls: 4, ..EngineOptions::new(Arc::new(NoMedia)) }).unwrap();
    let name = NodeName { id: "one".into(), name: "one".into() };
    let node = Deployments::new(Arc::new(server.node()), engine, name, Arc::new(Slots::default()));
    node.take(&config(toml), false).await.unwrap().write(&node).await.unwrap();
    node
}

/// Deploys the shipped router as this version, and gives the generation's number.
async fn deploy(node: &Deployments, version: &str) -> u64 {
    let router = patchbay_builtin::component("keyword-router").unwrap();
    let manifest = Manifest {
        name: "acme-router".into(),
        version: version.into(),
        description: String::new(),
        wants: Wants::default(),
        settings: None,
        secrets: Vec::new(),
    };
    let component = Given::Component(pack(router, &manifest, &[]).unwrap().into(), Vec::new());
    let done = node.deploy("router", component, Rollout::Full, "ada").await.unwrap();
    assert_eq!(done.record.generation(done.generation).unwrap().state, State::Active);
    done.generation
}

/// The generation that runs, and the version that its record names; empty for the shipped one.
async fn runs(node: &Deployments) -> (u64, String) {
    let record = node.show("router").await.unwrap().0.record;
    let number = node.slots.slot("router").unwrap().running().active.generation();
    let generation = record.generation(number).unwrap();
    let title = generation.manifest.as_ref().filter(|title| title.name == "acme-router");
    (number, title.map(|title| title.version.clone()).unwrap_or_default())
}

#[tokio::test]
async fn a_store_that_has_lost_its_last_writes_is_followed_and_no_number_comes_twice() {
    let server = MemoryServer::new(MemoryOptions::default());
    let node = node(&server, DEV_TOML).await;
    assert_eq!(runs(&node).await, (1, String::new()));
    server.stall();
    assert_eq!(deploy(&node, "2.0.0").await, 2);
    assert_eq!(runs(&node).await, (2, "2.0.0".into()));
    assert!(server.fail_over());
    let left = shelf::get(&*node.store, "router").await.unwrap();
    assert_eq!(left.record.active, Some(1));
    node.follow("router", left).await;
    assert_eq!(runs(&node).await, (1, String::new()), "what is left counts");
    assert_eq!(deploy(&node, "3.0.0").await, 3, "generation 2 was another one");
    assert_eq!(runs(&node).await, (3, "3.0.0".into()));
}

#[tokio::test]
async fn what_is_deployed_while_a_reload_is_prepared_is_not_lost() {
    let server = MemoryServer::new(MemoryOptions::default());
    let node = node(&server, DEV_TOML).await;
    let line = DEV_TOML.lines().find(|line| line.starts_with("default_queue")).unwrap();
    let changed = DEV_TOML.replace(line, "default_queue = \"another\"");
    let prepared = node.take(&config(&changed), false).await.unwrap();
    assert_eq!(deploy(&node, "2.0.0").await, 2);
    let told = prepared.write(&node).await.unwrap();
    assert_eq!(told, ["the plugin router runs as generation 3"]);
    assert_eq!(runs(&node).await, (3, "2.0.0".into()));
    let record = node.show("router").await.unwrap().0.record;
    assert_eq!(record.active().unwrap().section.settings["default_queue"], "another");
    assert_eq!(record.previous, Some(2));
}

#[tokio::test]
async fn a_record_that_is_older_than_what_runs_changes_nothing() {
    let server = MemoryServer::new(MemoryOptions::default());
    let node = node(&server, DEV_TOML).await;
    let before = shelf::get(&*node.store, "router").await.unwrap();
    assert_eq!(deploy(&node, "2.0.0").await, 2);
    // It was read before the deployment, and is acted upon after it.
    node.follow("router", before).await;
    assert_eq!(runs(&node).await.0, 2);
}

#[tokio::test]
async fn a_section_that_is_gone_leaves_nothing_loaded() {
    let server = MemoryServer::new(MemoryOptions::default());
    let node = node(&server, DEV_TOML).await;
    let mut less = Config::clone(&config(DEV_TOML));
    less.plugins.remove("router");
    node.take(&Arc::new(less), false).await.unwrap().write(&node).await.unwrap();
    assert!(!node.local.lock().unwrap().contains_key("router"));
    // Back again, the numbers go on.
    node.take(&config(DEV_TOML), false).await.unwrap().write(&node).await.unwrap();
    assert_eq!(runs(&node).await.0, 1);
    assert_eq!(deploy(&node, "2.0.0").await, 2);
}
