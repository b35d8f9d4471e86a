//! Saying that this node lives, and hearing of the others.

use std::sync::Arc;
use std::time::Duration;

use patchbay_model::Timestamp;
use patchbay_store::Node;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Shared;

/// The longest time between two beats: how long a node that comes or leaves goes unnoticed.
const BEAT: Duration = Duration::from_secs(1);
/// Beats in the time of a lease, at least: two may get lost before the others take this node for dead.
const BEATS_A_LEASE: u32 = 3;
/// How long the store may take for one beat, or for saying goodbye, where leases do not end.
const PATIENCE: Duration = Duration::from_secs(5);

/// The nodes that share the store, as far as this one knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Company {
    /// Those that live, this one among them. Empty: it has not heard of any yet.
    pub nodes: Vec<Node>,
    /// Why the store did not answer the last time.
    pub silence: Option<String>,
}

/// Beats until `over` is cancelled, and then says goodbye. From when the gateway is told to stop the beats say so.
pub async fn beat(shared: Arc<Shared>, company: watch::Sender<Company>, over: CancellationToken) {
    let store = &shared.store;
    let pause = store.lease_time().map_or(BEAT, |lease| BEAT.min(lease / BEATS_A_LEASE));
    let patience = store.lease_time().unwrap_or(PATIENCE);
    let since = store.now();
    while !over.is_cancelled() {
        let leaving = shared.stop.is_cancelled();
        let node = this_node(&shared, since, leaving);
        let heard = tokio::time::timeout(patience, store.beat(&node)).await;
        let heard = heard.map_err(|_| "the store does not answer".to_owned());
        hear(&company, heard.and_then(|heard| heard.map_err(|error| error.to_string())));
        tokio::select! {
            biased;
            () = shared.stop.cancelled(), if !leaving => {}
            () = over.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    match tokio::time::timeout(patience.min(PATIENCE), store.leave(&shared.node.id)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the other nodes could not be told that this one has stopped"),
        Err(_) => tracing::warn!("the other nodes could not be told that this one has stopped"),
    }
}

fn this_node(shared: &Shared, since: Timestamp, leaving: bool) -> Node {
    let (own, store) = (Timestamp::now().as_millis(), shared.store.now().as_millis());
    Node {
        id: shared.node.id.clone(),
        name: shared.node.name.clone(),
        since,
        owned: u16::try_from(shared.owners.len()).unwrap_or(u16::MAX),
        skew_ms: i64::try_from(i128::from(own) - i128::from(store)).unwrap_or_default(),
        leaving,
    }
}

/// Takes note of an answer. Who waits is told only of what is new about it.
fn hear(company: &watch::Sender<Company>, heard: Result<Vec<Node>, String>) {
    let known = |nodes: &[Node]| nodes.iter().map(|node| (node.id.clone(), node.leaving)).collect::<Vec<_>>();
    company.send_if_modified(|company| match heard {
        Ok(mut nodes) => {
            nodes.sort_by(|a, b| a.id.cmp(&b.id));
            let news = known(&nodes) != known(&company.nodes);
            if news {
                metrics::gauge!("patchbay_nodes").set(f64::from(u32::try_from(nodes.len()).unwrap_or(u32::MAX)));
                tracing::info!(nodes = nodes.len(), "the nodes that share the store");
            }
            let back = company.silence.take().is_some();
            if back {
                tracing::info!("the store answers again");
            }
            company.nodes = nodes;
            news || back
        }
        Err(error) => {
            let news = company.silence.as_ref() != Some(&error);
            if company.silence.is_none() {
                tracing::warn!(error, "the store does not take this node's beat; trying again");
            }
            company.silence = Some(error);
            news
        }
    });
}
