//! Deployments as the API shows them.

use serde_json::{Value, json};

use super::Outcome;
use super::nodes::NodeState;
use super::record::{Entry, Generation, Record, State};
use super::shelf::Kept;

/// One line of a listing: what runs, and how it goes on each node.
#[must_use]
pub fn row(name: &str, record: &Record, nodes: &[NodeState]) -> Value {
    let active = record.active();
    json!({
        "deployment": name,
        "active": record.active,
        "version": active.and_then(|one| one.manifest.as_ref()).map(|title| title.version.clone()),
        "digest": active.map(|one| one.digest.to_string()),
        "canary": record.canary().map(|(canary, share)| json!({ "generation": canary.number, "share": share })),
        "shadow": record.shadow().map(|shadow| shadow.number),
        "held": record.held().map(|held| held.number),
        "previous": record.previous,
        "nodes": nodes.iter().filter_map(|node| node_row(name, record, node)).collect::<Vec<_>>(),
    })
}

/// A deployment whole.
#[must_use]
pub fn whole(name: &str, kept: &Kept, nodes: &[NodeState]) -> Value {
    let Kept { record, revision, .. } = kept;
    let mut row = row(name, record, nodes);
    if let Some(object) = row.as_object_mut() {
        let generations: Vec<Value> = record.generations.iter().map(generation).collect();
        let history: Vec<Value> = record.history.iter().map(entry).collect();
        object.insert("revision".into(), (*revision).into());
        object.insert("next".into(), record.next.into());
        object.insert("active_since".into(), record.active_since.map(|at| at.to_string()).into());
        object.insert("generations".into(), generations.into());
        object.insert("history".into(), history.into());
    }
    row
}

/// What became of an order, with what to type next where a person has to decide.
#[must_use]
pub fn outcome(name: &str, outcome: &Outcome) -> Value {
    let number = outcome.generation;
    let found = outcome.record.generation(number);
    let (missing, next) = match found.map(|generation| &generation.state) {
        Some(State::Held { missing, .. }) => {
            (missing.lines(), Some(format!("patchbay plugin approve {name} --generation {number}")))
        }
        Some(State::Canary { .. } | State::Shadow) => {
            (Vec::new(), Some(format!("patchbay plugin promote {name}, or patchbay plugin rollback {name}")))
        }
        _ => (Vec::new(), None),
    };
    json!({
        "deployment": name,
        "generation": number,
        "state": found.map(|generation| generation.state.word()),
        "missing": missing,
        "next": next,
        "active": outcome.record.active,
        "stages": outcome.stages,
    })
}

/// What a node runs of it.
fn node_row(name: &str, record: &Record, node: &NodeState) -> Option<Value> {
    let runs = node.deployments.get(name)?;
    let canary = record.canary().map(|(canary, _)| canary.number);
    let shadow = record.shadow().map(|shadow| shadow.number);
    let follows = record.active == Some(runs.active) && canary == runs.canary && shadow == runs.shadow;
    let calls: Vec<Value> = runs
        .calls
        .iter()
        .map(|(generation, calls)| {
            let rate = if calls.calls == 0 { 0.0 } else { calls.failed as f64 / calls.calls as f64 };
            json!({
                "generation": generation,
                "calls": calls.calls,
                "failed": calls.failed,
                "failure_rate": rate,
                "p50_ms": calls.p50_ms,
                "p99_ms": calls.p99_ms,
            })
        })
        .collect();
    Some(json!({
        "node": node.name,
        "at": node.at.to_string(),
        "revision": runs.revision,
        "silent_ms": u64::try_from(node.silent.as_millis()).unwrap_or(u64::MAX),
        "active": runs.active,
        "canary": runs.canary,
        "shadow": runs.shadow,
        "follows": follows && runs.problem.is_none(),
        "problem": runs.problem,
        "calls": calls,
        "comparison": runs.comparison,
    }))
}

fn generation(generation: &Generation) -> Value {
    let Generation {
        number,
        digest,
        size,
        source,
        verified,
        trust: _,
        manifest,
        section,
        hash,
        asks,
        approved,
        origin,
        made_at,
        state,
    } = generation;
    json!({
        "generation": number,
        "state": state.word(),
        "detail": detail(state),
        "digest": digest.to_string(),
        "size": size,
        "source": source,
        "verified": verified,
        "name": manifest.as_ref().map(|title| &title.name),
        "version": manifest.as_ref().map(|title| &title.version),
        "settings_hash": hash,
        "settings": section.settings,
        "secrets": section.secrets,
        "asks": asks.lines(),
        "approved": approved.lines(),
        "by": origin.to_string(),
        "made_at": made_at.to_string(),
    })
}

fn detail(state: &State) -> Value {
    match state {
        State::Held { missing, .. } => missing.lines().join("; ").into(),
        State::Canary { share } => share.to_string().into(),
        State::Failed { why } | State::RolledBack { why } => why.clone().into(),
        State::Active | State::Shadow | State::Retired => Value::Null,
    }
}

fn entry(entry: &Entry) -> Value {
    let Entry { at, generation, what, who, why } = entry;
    json!({ "at": at.to_string(), "generation": generation, "what": what, "who": who, "why": why })
}
