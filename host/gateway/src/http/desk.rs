//! The ticket systems' webhooks: the desk's plugin checks and reads them, the journal keeps what they say.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use patchbay_model::desk::Webhook;
use patchbay_model::event::DeskActivity;
use patchbay_model::{Arrival, Body as EventBody, EventId, Failure, Private, Route, Timestamp};
use patchbay_runtime::{Call, CallError, Mode};
use patchbay_store::Appended;
use patchbay_store::intake::Accepted;

use super::{Surface, read_body};
use crate::engine::chain::to_report;

/// How long a plugin may take to read a webhook: vendors wait between five and twelve seconds for an answer.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(4);

/// When a vendor is to deliver again what could not be kept, seconds. Zendesk repeats a 503 only if it says so.
const RETRY_AFTER: &str = "5";

/// `POST /webhooks/desk/{desk}`.
pub async fn webhook(
    State(surface): State<Arc<Surface>>,
    Path(desk): Path<String>,
    query: RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    receive(surface, desk, String::new(), query, headers, body).await
}

/// `POST /webhooks/desk/{desk}/…`, for vendors that add a path.
pub async fn webhook_below(
    State(surface): State<Arc<Surface>>,
    Path((desk, path)): Path<(String, String)>,
    query: RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    receive(surface, desk, format!("/{path}"), query, headers, body).await
}

async fn receive(
    surface: Arc<Surface>,
    desk: String,
    path: String,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let answer = accept(&surface, &desk, path, query.unwrap_or_default(), &headers, body).await;
    let status = answer.as_ref().err().map_or(StatusCode::OK, |(status, _)| *status);
    metrics::counter!("patchbay_webhooks_total", "source" => "desk", "status" => status.as_str().to_owned())
        .increment(1);
    match answer {
        Ok(()) => StatusCode::OK.into_response(),
        Err(refusal) => {
            tracing::warn!(desk, status = %refusal.0, why = refusal.1, "a desk's webhook was refused");
            let mut response = refusal.into_response();
            if response.status() == StatusCode::SERVICE_UNAVAILABLE {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
            }
            response
        }
    }
}

async fn accept(
    surface: &Surface,
    desk: &str,
    path: String,
    query: String,
    headers: &HeaderMap,
    body: Body,
) -> Result<(), (StatusCode, String)> {
    let shared = surface.shared();
    let pinned = shared.routing().desks.get(desk).map(|line| line.slot.pin_active());
    let Some(pinned) = pinned else { return Err((StatusCode::NOT_FOUND, format!("no desk is called `{desk}`"))) };
    let Some(plugin) = pinned.handler.plugin() else {
        return Err((StatusCode::SERVICE_UNAVAILABLE, format!("the desk `{desk}` has no plugin now")));
    };
    let body = read_body(headers, body, surface.live().max_body).await.map_err(|status| (status, String::new()))?;
    let now = Timestamp::now();
    let digest = EventId::derive(&[b"desk webhook", desk.as_bytes(), &body]);
    let headers = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), Private::new(value.to_str().ok()?.to_owned()))));
    let webhook =
        Webhook { method: "POST".into(), path, query, headers: headers.collect(), body: Private::new(body.to_vec()) };
    let call = Call {
        subject: digest.to_string(),
        attempt: 1,
        now,
        deterministic: false,
        mode: Mode::Live,
        timeout: RECEIVE_TIMEOUT,
        desk: Some(desk.to_owned()),
    };
    let begun = std::time::Instant::now();
    let read = plugin.receive(&webhook, &call).await;
    // Whoever can reach the webhook can send what has no good signature: that is no failure of the plugin's.
    let forged = matches!(read, Err(CallError::Failed(Failure::Credential { .. } | Failure::Permanent { .. })));
    pinned.observe(read.as_ref().err().filter(|_| !forged), begun.elapsed());
    let activities = read.map_err(|error| refusal(error, now))?;
    if activities.is_empty() {
        return Ok(());
    }
    let arrivals: Vec<Arrival> = activities.into_iter().map(|activity| arrival(desk, activity, now)).collect();
    let accepted = surface.intake.accept(arrivals).await.map_err(|error| {
        tracing::error!(%error, "a desk's webhook could not be kept");
        (StatusCode::SERVICE_UNAVAILABLE, "it cannot be kept now".to_owned())
    })?;
    // Of what is spooled it is known later, and counted then.
    if let Accepted::Appended(appended) = accepted {
        let strangers = appended.iter().filter(|one| matches!(one, Appended::Stranger)).count();
        metrics::counter!("patchbay_foreign_items_total").increment(strangers as u64);
    }
    Ok(())
}

fn arrival(desk: &str, mut activity: DeskActivity, received_at: Timestamp) -> Arrival {
    desk.clone_into(&mut activity.desk);
    Arrival {
        id: EventId::derive(&[b"desk", desk.as_bytes(), activity.id.as_bytes()]),
        route: Route::Ticket { desk: desk.to_owned(), ticket: activity.ticket.clone() },
        occurred_at: activity.occurred_at,
        received_at,
        body: EventBody::DeskActivity(activity),
        raw: None,
    }
}

fn refusal(error: CallError, now: Timestamp) -> (StatusCode, String) {
    match error {
        CallError::Failed(Failure::Credential { reason }) => (StatusCode::UNAUTHORIZED, reason),
        CallError::Failed(Failure::Permanent { reason }) => (StatusCode::BAD_REQUEST, reason),
        CallError::Failed(Failure::Retry { reason, .. }) => (StatusCode::SERVICE_UNAVAILABLE, reason),
        CallError::Broken(report) => {
            let report = to_report(&report, now);
            tracing::error!(report.plugin, report.cause, report.detail, "a desk's plugin broke on a webhook");
            (StatusCode::SERVICE_UNAVAILABLE, "the desk's plugin could not read this".into())
        }
    }
}
