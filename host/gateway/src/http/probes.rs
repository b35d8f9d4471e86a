//! Liveness, readiness and metrics.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use patchbay_store::EventFilter;
use serde_json::json;

use super::Surface;

/// `GET /healthz`: the process answers.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: webhooks are welcome here, or why not. Where they are accepted while the store is away, that is no reason
/// against it, and is told as a note. A lane in trouble is named, but is no reason to stop accepting: its tasks are kept.
pub async fn readyz(State(surface): State<Arc<Surface>>) -> Response {
    let shared = surface.shared();
    let mut reasons = Vec::new();
    if shared.stop.is_cancelled() {
        reasons.push("the gateway is stopping".to_owned());
    }
    let (status, owned) = (surface.engine.status(), surface.engine.owned());
    if let Some(problem) = &status.problem {
        reasons.push(problem.message.clone());
    } else if owned == 0 && (status.wanted > 0 || !status.settled) {
        // Without a share of its own, beside many others, a node takes webhooks all the same.
        reasons.push("no partition is owned by this node yet".to_owned());
    }
    let probe = EventFilter { limit: 1, ..EventFilter::default() };
    if let Err(error) = shared.store.events(&probe).await {
        let reason = error.to_string();
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    // Webhooks are welcome all the same: this node keeps them until the store takes them.
    let spools = !shared.stop.is_cancelled() && surface.intake.accepts_while_away();
    let notes = if spools { std::mem::take(&mut reasons) } else { Vec::new() };
    let spool = surface.intake.standing().map(|standing| *standing.borrow());
    let spool = spool.map(|now| json!({ "behind": now.behind, "batches": now.batches, "bytes": now.bytes }));
    let lanes: Vec<_> = shared
        .lanes
        .trouble()
        .into_iter()
        .map(|(lane, reason, refused)| json!({ "lane": lane, "reason": reason, "credential": refused }))
        .collect();
    let code = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "ready": reasons.is_empty(),
        "reasons": reasons,
        "notes": notes,
        "spool": spool,
        "node": shared.node.name,
        "nodes": status.nodes,
        "partitions": owned,
        "partitions_wanted": status.wanted,
        "lanes_in_trouble": lanes,
    });
    (code, Json(body)).into_response()
}

/// `GET /metrics`: Prometheus text.
pub async fn metrics(State(surface): State<Arc<Surface>>) -> impl IntoResponse {
    surface.runtime.record_metrics();
    let shared = surface.shared();
    shared.owners.record_lag(shared.store.now());
    let trouble = shared.lanes.trouble();
    metrics::gauge!("patchbay_lanes_paused").set(f64::from(u32::try_from(trouble.len()).unwrap_or(u32::MAX)));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], surface.metrics.render())
}
