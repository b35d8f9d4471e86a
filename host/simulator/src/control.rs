//! `/_sim` and the pages.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_stream::wrappers::BroadcastStream;

use crate::delivery::{FirstAttempt, Sender};
use crate::faults::Fault;
use crate::shared::{Shared, lock};
use crate::simulator::about;
use crate::state::SimulatorState;
use crate::whatsapp::inbound::media_message;
use crate::whatsapp::media::{self, Form};

/// How long `?wait=1` waits for the first attempt of a delivery.
const WAIT: Duration = Duration::from_secs(60);
/// The largest body that is read whole here.
const BODY_LIMIT: usize = 110 * 1024 * 1024;

type Sim = State<Arc<Shared>>;

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/", get(|| async { Html(include_str!("pages/index.html")) }))
        .route("/phone", get(|| async { Html(include_str!("pages/phone.html")) }))
        .route("/desk", get(|| async { Html(include_str!("pages/desk.html")) }))
        .route("/assets/{name}", get(asset))
        .route("/_sim", get(|State(shared): Sim| async move { Json(about(&shared)) }))
        .route("/_sim/whatsapp/inbound", post(inbound))
        .route("/_sim/whatsapp/media", post(store))
        .route("/_sim/whatsapp/media/{id}", get(stored))
        .route("/_sim/whatsapp/webhook", post(webhook))
        .route("/_sim/whatsapp/sent", get(|State(shared): Sim| async { Json(SimulatorState::new(shared).sent()) }))
        .route("/_sim/whatsapp/chats", get(|State(shared): Sim| async { Json(SimulatorState::new(shared).chats()) }))
        .route("/_sim/whatsapp/customers", post(customer))
        .route("/_sim/whatsapp/deliveries", get(deliveries))
        .route("/_sim/desks/{desk}/tickets", get(tickets))
        .route("/_sim/desks/{desk}/reply", post(reply))
        .route("/_sim/desks/{desk}/deliveries", get(desk_deliveries))
        .route("/_sim/faults", get(list_faults).post(add_fault).delete(clear_faults))
        .route("/_sim/violations", get(violations))
        .route("/_sim/events", get(events))
        .route("/_sim/reset", post(reset))
}

/// What went wrong with a request to `/_sim`, as a sentence.
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

fn refused(sentence: impl Into<String>) -> Refused {
    Refused(StatusCode::BAD_REQUEST, sentence.into())
}

#[derive(Debug, Default, Deserialize)]
struct Wait {
    /// `1`: answer after the first attempt of the delivery, and with its HTTP status. `taken`: answer when the receiver has
    /// taken it, however many attempts that needs.
    wait: Option<String>,
}

impl Wait {
    async fn status(
        &self,
        shared: &Arc<Shared>,
        delivery: u64,
        first: tokio::sync::oneshot::Receiver<FirstAttempt>,
    ) -> Value {
        if self.wait.as_deref() == Some("taken") {
            return json!(crate::delivery::finished(shared, delivery).await);
        }
        if self.wait.as_deref().is_none_or(|wait| wait == "0" || wait == "false") {
            return Value::Null;
        }
        match tokio::time::timeout(WAIT, first).await {
            Ok(Ok(first)) => json!(first.status),
            _ => Value::Null,
        }
    }
}

async fn asset(Path(name): Path<String>) -> Response {
    let (mime, text) = match name.as_str() {
        "base.css" => ("text/css", include_str!("pages/base.css")),
        "phone.css" => ("text/css", include_str!("pages/phone.css")),
        "desk.css" => ("text/css", include_str!("pages/desk.css")),
        "common.js" => ("text/javascript", include_str!("pages/common.js")),
        "bubbles.js" => ("text/javascript", include_str!("pages/bubbles.js")),
        "phone.js" => ("text/javascript", include_str!("pages/phone.js")),
        "desk.js" => ("text/javascript", include_str!("pages/desk.js")),
        "icon.svg" => ("image/svg+xml", include_str!("pages/icon.svg")),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    ([(header::CONTENT_TYPE, mime), (header::CACHE_CONTROL, "no-cache")], text).into_response()
}

fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("multipart/form-data"))
}

async fn whole(request: Request) -> Result<Bytes, Refused> {
    axum::body::to_bytes(request.into_body(), BODY_LIMIT)
        .await
        .map_err(|error| refused(format!("the body could not be read: {error}")))
}

/// A customer writes: JSON in Meta's shape (an object, or an array for several in one webhook), or a form with `from`,
/// `file` and optionally `type`, `caption`, `voice`, `reply_to`, `name`.
async fn inbound(State(shared): Sim, Query(wait): Query<Wait>, request: Request) -> Result<Json<Value>, Refused> {
    let state = SimulatorState::new(Arc::clone(&shared));
    let message = if is_form(request.headers()) {
        let form = Form::read(request).await.map_err(refused)?;
        let from = form.field("from").ok_or_else(|| refused("the form needs `from`"))?.to_owned();
        let (name, mime, content) = form.file.clone().ok_or_else(|| refused("the form needs `file`"))?;
        let mime = form.field("mime").map_or(mime, str::to_owned);
        let voice = form.field("voice").is_some_and(|voice| voice == "true");
        let id = state.store_media(&mime, name.as_deref(), content);
        let mut message = media_message(&from, &id, &mime, form.field("type"), voice, form.field("caption"));
        if let Some(message) = message.as_object_mut() {
            if let Some(quoted) = form.field("reply_to") {
                message.insert("context".into(), json!({"id": quoted}));
            }
            if let Some(id) = form.field("id") {
                message.insert("id".into(), json!(id));
            }
            if let Some(name) = form.field("name") {
                message.insert("name".into(), json!(name));
            }
        }
        message
    } else {
        serde_json::from_slice(&whole(request).await?)
            .map_err(|error| refused(format!("the body is not valid JSON: {error}")))?
    };
    let written = state.write(message).map_err(refused)?;
    let status = wait.status(&shared, written.delivery, written.first).await;
    Ok(Json(json!({"id": written.ids.first(), "ids": written.ids, "delivery": written.delivery, "status": status})))
}

/// Stores a file: a form with `file`, or the bytes themselves with their `Content-Type`.
async fn store(State(shared): Sim, request: Request) -> Result<Json<Value>, Refused> {
    let state = SimulatorState::new(shared);
    let (name, mime, content) = if is_form(request.headers()) {
        let form = Form::read(request).await.map_err(refused)?;
        form.file.ok_or_else(|| refused("the form needs `file`"))?
    } else {
        let mime = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let mime = mime.unwrap_or("application/octet-stream").to_owned();
        (None, mime, whole(request).await?)
    };
    Ok(Json(json!({"id": state.store_media(&mime, name.as_deref(), content), "mime_type": mime})))
}

async fn stored(State(shared): Sim, Path(id): Path<String>) -> Response {
    match lock(&shared.whatsapp).media.get(&id) {
        Some(found) => media::content(found),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn webhook(State(shared): Sim, Query(wait): Query<Wait>, request: Request) -> Result<Json<Value>, Refused> {
    let body = whole(request).await?;
    let (delivery, first) = SimulatorState::new(Arc::clone(&shared)).raw(body);
    Ok(Json(json!({"delivery": delivery, "status": wait.status(&shared, delivery, first).await})))
}

async fn customer(State(shared): Sim, Json(card): Json<Value>) -> Result<Json<Value>, Refused> {
    SimulatorState::new(shared).set_customer(&card).map(Json).map_err(refused)
}

async fn deliveries(State(shared): Sim) -> Response {
    Json(SimulatorState::new(shared).deliveries_of(Sender::Whatsapp)).into_response()
}

fn known(desk: &str) -> Result<(), Refused> {
    if desk == "zendesk" {
        Ok(())
    } else {
        let sentence = format!("there is no desk `{desk}` here; the simulated ones are: zendesk");
        Err(Refused(StatusCode::NOT_FOUND, sentence))
    }
}

async fn desk_deliveries(State(shared): Sim, Path(desk): Path<String>) -> Result<Response, Refused> {
    known(&desk)?;
    Ok(Json(SimulatorState::new(shared).deliveries_of(Sender::Zendesk)).into_response())
}

async fn tickets(State(shared): Sim, Path(desk): Path<String>) -> Result<Json<Vec<Value>>, Refused> {
    known(&desk)?;
    Ok(Json(SimulatorState::new(shared).tickets(&desk).unwrap_or_default()))
}

async fn reply(State(shared): Sim, Path(desk): Path<String>, Json(body): Json<Value>) -> Result<Json<Value>, Refused> {
    known(&desk)?;
    SimulatorState::new(shared).reply(&desk, &body).map(Json).map_err(refused)
}

async fn list_faults(State(shared): Sim) -> Json<Vec<Fault>> {
    Json(shared.faults.list())
}

async fn add_fault(State(shared): Sim, body: Bytes) -> Result<Json<Fault>, Refused> {
    let fault = serde_json::from_slice::<Fault>(&body).map_err(|error| refused(format!("no such fault: {error}")))?;
    Ok(Json(shared.faults.add(fault)))
}

#[derive(Debug, Deserialize)]
struct Which {
    id: Option<u64>,
}

async fn clear_faults(State(shared): Sim, Query(which): Query<Which>) -> StatusCode {
    shared.faults.clear(which.id);
    StatusCode::NO_CONTENT
}

async fn violations(State(shared): Sim) -> Json<Vec<Value>> {
    Json(SimulatorState::new(shared).violations())
}

async fn reset(State(shared): Sim) -> StatusCode {
    shared.reset();
    StatusCode::NO_CONTENT
}

async fn events(State(shared): Sim) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let news = BroadcastStream::new(shared.news.subscribe()).map(|news| {
        // A page that was too slow loads everything again.
        let text = news.map_or_else(|_| json!({"kind": "reload"}).to_string(), |news| news.to_string());
        Ok(Event::default().data(text))
    });
    let stopping = shared.stopping.clone();
    Sse::new(news.take_until(stopping.cancelled_owned())).keep_alive(KeepAlive::default())
}
