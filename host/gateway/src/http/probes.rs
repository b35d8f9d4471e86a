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

/// `GET /readyz`: webhooks are welcome here, or why not. A lane in trouble is named, but is no reason to stop accepting:
/// its tasks are kept.
pub async fn readyz(State(surface): State<Arc<Surface>>) -> Response {
    let shared = surface.shared();
    let mut reasons = Vec::new();
    if shared.stop.is_cancelled() {
        reasons.push("the gateway is stopping".to_owned());
    }
    if surface.engine.owned() == 0 {
        reasons.push("no partition is owned by this node".to_owned());
    }
    let probe = EventFilter { limit: 1, ..EventFilter::default() };
    if let Err(error) = shared.store.events(&probe).await {
        reasons.push(error.to_string());
    }
    let lanes: Vec<_> = shared
        .lanes
        .trouble()
        .into_iter()
        .map(|(lane, reason, refused)| json!({ "lane": lane, "reason": reason, "credential": refused }))
        .collect();
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({ "ready": reasons.is_empty(), "reasons": reasons, "partitions": surface.engine.owned(), "lanes_in_trouble": lanes });
    (status, Json(body)).into_response()
}

/// `GET /metrics`: Prometheus text.
pub async fn metrics(State(surface): State<Arc<Surface>>) -> impl IntoResponse {
    surface.runtime.record_metrics();
    let trouble = surface.shared().lanes.trouble();
    metrics::gauge!("patchbay_lanes_paused").set(f64::from(u32::try_from(trouble.len()).unwrap_or(u32::MAX)));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], surface.metrics.render())
}
