//! Meta's handshake and webhooks.
//!
//! The order is the promise: the signature over the raw bytes first, then normalising, then one durable append (or, while
//! a shared store is away, this node's spool), then 200.
//! The answers are 200, 401, 413 and 503 and no others: Meta delivers again whatever is not 200, for seven days.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use patchbay_model::Timestamp;
use patchbay_store::Appended;
use patchbay_store::intake::Accepted;
use patchbay_whatsapp::handshake::answer;
use patchbay_whatsapp::normalise::normalise;

use super::{Surface, read_body};

/// Bodies above this are normalised away from the async workers: a thousand messages take milliseconds.
const LARGE_BODY: usize = 128 * 1024;

/// `GET /webhooks/whatsapp`: Meta asks whether the address is ours.
pub async fn handshake(State(surface): State<Arc<Surface>>, RawQuery(query): RawQuery) -> Response {
    match answer(query.as_deref().unwrap_or_default(), &surface.live().verify_token) {
        Ok(challenge) => challenge.into_response(),
        Err(error) => {
            tracing::warn!(%error, "a handshake was refused");
            (StatusCode::FORBIDDEN, error.to_string()).into_response()
        }
    }
}

/// `POST /webhooks/whatsapp`: something happened.
pub async fn webhook(State(surface): State<Arc<Surface>>, headers: HeaderMap, body: Body) -> StatusCode {
    let started = std::time::Instant::now();
    let status = accept(&surface, &headers, body).await;
    metrics::histogram!("patchbay_accept_seconds").record(started.elapsed().as_secs_f64());
    metrics::counter!("patchbay_webhooks_total", "source" => "whatsapp", "status" => status.as_str().to_owned())
        .increment(1);
    status
}

async fn accept(surface: &Arc<Surface>, headers: &HeaderMap, body: Body) -> StatusCode {
    let live = surface.live();
    let body = match read_body(headers, body, live.max_body).await {
        Ok(body) => body,
        Err(status) => {
            tracing::warn!(%status, "a webhook's body was refused");
            return status;
        }
    };
    let signature = headers.get("x-hub-signature-256").map(|value| value.as_bytes());
    if let Err(error) = live.app_secrets.verify(signature, &body) {
        tracing::warn!(%error, "a webhook was refused: check `whatsapp.app_secrets` if it came from Meta");
        return StatusCode::UNAUTHORIZED;
    }
    let received_at = Timestamp::now();
    let normalised = if body.len() > LARGE_BODY {
        let work = move || normalise(&body, &live.channels, received_at);
        match tokio::task::spawn_blocking(work).await {
            Ok(normalised) => normalised,
            Err(error) => {
                tracing::error!(%error, "a webhook's body could not be normalised");
                return StatusCode::SERVICE_UNAVAILABLE;
            }
        }
    } else {
        normalise(&body, &live.channels, received_at)
    };
    if normalised.foreign > 0 {
        metrics::counter!("patchbay_foreign_items_total").increment(normalised.foreign as u64);
        tracing::info!(items = normalised.foreign, "items for numbers that are not configured were dropped");
    }
    if normalised.arrivals.is_empty() {
        return StatusCode::OK;
    }
    let arrivals = normalised.arrivals.len() as u64;
    match surface.intake.accept(normalised.arrivals).await {
        Ok(Accepted::Appended(appended)) => {
            let new = appended.iter().filter(|one| matches!(one, Appended::New { .. })).count() as u64;
            metrics::counter!("patchbay_events_total", "result" => "new").increment(new);
            metrics::counter!("patchbay_events_total", "result" => "duplicate").increment(appended.len() as u64 - new);
            StatusCode::OK
        }
        Ok(Accepted::Spooled) => {
            metrics::counter!("patchbay_events_total", "result" => "spooled").increment(arrivals);
            StatusCode::OK
        }
        Err(error) => {
            tracing::error!(%error, "a webhook could not be kept; it is answered 503 so that Meta delivers it again");
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}
