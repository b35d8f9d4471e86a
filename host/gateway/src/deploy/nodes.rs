//! What each node runs, as it tells the others: one document for each node.

use std::collections::BTreeMap;
use std::time::Duration;

use patchbay_model::Timestamp;
use patchbay_store::{DocumentWrite, Store, StoreError};
use serde::{Deserialize, Serialize};

use crate::engine::NodeName;
use crate::engine::slot::{Comparison, Slot, Tally};

/// The space of these documents.
const SPACE: &str = "deployment-nodes";
/// A node that has said nothing for so long is gone: it speaks every [`SAID_EVERY`].
pub const GONE_AFTER: Duration = Duration::from_secs(15);
/// How often a node says how its calls go, even where nothing has changed.
pub const SAID_EVERY: Duration = Duration::from_secs(5);

/// What a node says of itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeState {
    /// The operator's name for it.
    pub name: String,
    /// When it said so.
    pub at: Timestamp,
    /// What it runs, by deployment.
    pub deployments: BTreeMap<String, Runs>,
    /// How long ago that was when it was read.
    #[serde(skip)]
    pub silent: Duration,
}

/// What a node runs of a deployment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Runs {
    /// The generation that decides there; 0: the configuration's own, while the store is away.
    pub active: u64,
    /// The canary.
    pub canary: Option<u64>,
    /// The shadow.
    pub shadow: Option<u64>,
    /// The revision of the record that this follows; the record's own where nothing is wrong.
    pub revision: u64,
    /// Why it does not run what it should.
    pub problem: Option<String>,
    /// How the calls of generations went there.
    pub calls: BTreeMap<u64, Calls>,
    /// What the shadow would have decided.
    pub comparison: Option<serde_json::Value>,
}

/// How the calls of a generation went on one node since it began there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Calls {
    /// Calls that have ended.
    pub calls: u64,
    /// Those that were answered with a failure, or not at all.
    pub failed: u64,
    /// Half of the calls took no longer, milliseconds.
    pub p50_ms: Option<f64>,
    /// 99 of 100 took no longer.
    pub p99_ms: Option<f64>,
}

impl Calls {
    /// Of a tally.
    #[must_use]
    pub fn of(tally: &Tally) -> Self {
        let millis = |share: f64| tally.quantile(share).map(|time| (time.as_secs_f64() * 1e6).round() / 1e3);
        Self { calls: tally.calls, failed: tally.failed(), p50_ms: millis(0.5), p99_ms: millis(0.99) }
    }
}

impl Runs {
    /// What runs in a slot, with its figures.
    #[must_use]
    pub fn of(slot: &Slot, revision: u64, problem: Option<String>) -> Self {
        let running = slot.running();
        let active = running.active.generation();
        let canary = running.canary.as_ref().map(|(handler, _)| handler.generation());
        let shadow = running.shadow.as_ref().map(|handler| handler.generation());
        let generations = [Some(active), canary, shadow];
        let calls = generations.into_iter().flatten().filter_map(|one| Some((one, Calls::of(&slot.tally(one)?))));
        let ours = |comparison: &Comparison| Some(comparison.generation) == shadow;
        let comparison = slot.comparison().filter(ours).and_then(|comparison| serde_json::to_value(comparison).ok());
        Self { active, canary, shadow, revision, problem, calls: calls.collect(), comparison }
    }

    /// Without figures: whether there is something new to say at once.
    #[must_use]
    pub fn outline(&self) -> Self {
        Self { calls: BTreeMap::new(), comparison: None, ..self.clone() }
    }
}

/// Says what this node runs.
///
/// # Errors
/// When the store cannot be written.
pub async fn say(store: &dyn Store, node: &NodeName, deployments: BTreeMap<String, Runs>) -> Result<(), StoreError> {
    let state = NodeState { name: node.name.clone(), at: store.now(), deployments, silent: Duration::ZERO };
    let body = serde_json::to_vec(&state).unwrap_or_default().into();
    let writes = vec![DocumentWrite { key: node.id.clone(), body: Some(body), expected: None }];
    store.write_documents(SPACE, writes, None).await.map(drop)
}

/// Takes back what this node said: it stops.
///
/// # Errors
/// When the store cannot be written.
pub async fn leave(store: &dyn Store, node: &NodeName) -> Result<(), StoreError> {
    let writes = vec![DocumentWrite { key: node.id.clone(), body: None, expected: None }];
    store.write_documents(SPACE, writes, None).await.map(drop)
}

/// The nodes that live, by name. What a node that is gone has left behind is removed.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn all(store: &dyn Store) -> Result<Vec<NodeState>, StoreError> {
    let now = store.now();
    let (mut living, mut gone) = (Vec::new(), Vec::new());
    for document in store.documents(SPACE).await? {
        let state: Option<NodeState> = serde_json::from_slice(&document.body).ok();
        let state = state.map(|state| NodeState { silent: now.since(state.at), ..state });
        match state.filter(|state| state.silent < GONE_AFTER) {
            Some(state) => living.push(state),
            None => gone.push(DocumentWrite { key: document.key, body: None, expected: Some(document.revision) }),
        }
    }
    if !gone.is_empty() {
        // Somebody else may have removed some of them; what is left is found next time.
        store.write_documents(SPACE, gone, None).await?;
    }
    living.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(living)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use patchbay_store::Shelf as _;
    use patchbay_store::memory::{MemoryOptions, MemoryServer};

    use super::*;

    #[tokio::test]
    async fn who_is_gone_is_forgotten() {
        let store = MemoryServer::new(MemoryOptions::default()).node();
        let node = |id: &str| NodeName { id: id.into(), name: format!("node {id}") };
        let runs = Runs { active: 3, problem: Some("no room".into()), ..Runs::default() };
        say(&store, &node("b"), BTreeMap::from([("router".to_owned(), runs.clone())])).await.unwrap();
        say(&store, &node("a"), BTreeMap::new()).await.unwrap();
        let dead = Bytes::from_static(b"{\"name\":\"dead\",\"at\":1}");
        let writes = vec![DocumentWrite { key: "c".into(), body: Some(dead), expected: None }];
        store.write_documents(SPACE, writes, None).await.unwrap();
        let living = all(&store).await.unwrap();
        let names: Vec<&str> = living.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["node a", "node b"]);
        assert_eq!(living[1].deployments["router"], runs);
        assert_eq!(store.document_keys(SPACE).await.unwrap(), ["a", "b"]);
        leave(&store, &node("a")).await.unwrap();
        assert_eq!(all(&store).await.unwrap().len(), 1);
    }
}
