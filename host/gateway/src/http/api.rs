//! `/v1`: what happened and what went wrong, behind a bearer token.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use patchbay_model::{Body, ConversationId, Customer, Identity, Route, TaskId, Timestamp};
use patchbay_store::{EventFilter, EventRecord, StoreError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Surface;
use crate::token::Claims;

/// Rows of a listing when nothing is said.
const DEFAULT_LIMIT: usize = 100;
/// The most rows of a listing.
const LARGEST_LIMIT: usize = 10_000;

/// The routes below `/v1`.
pub fn router() -> Router<Arc<Surface>> {
    Router::new()
        .route("/v1/events", get(events))
        .route("/v1/events/{id}", get(event))
        .route("/v1/dead-letters", get(dead_letters))
        .route("/v1/dead-letters/{task}/retry", post(retry))
        .route("/v1/reports", get(reports))
}

/// Someone who showed a good token.
pub struct Bearer(pub Claims);

/// Why a request to the API was not answered.
#[derive(Debug)]
pub struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.0, Json(json!({ "error": self.1 }))).into_response();
        if self.0 == StatusCode::UNAUTHORIZED {
            let challenge = header::HeaderValue::from_static("Bearer realm=\"patchbay\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store could not be read for the API");
        Self(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl FromRequestParts<Arc<Surface>> for Bearer {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, surface: &Arc<Surface>) -> Result<Self, Self::Rejection> {
        let Some(tokens) = &surface.tokens else {
            let say = "the API is off: set `token_secrets` under `[admin]` in the configuration";
            return Err(Refusal(StatusCode::NOT_FOUND, say.into()));
        };
        let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some(token) = header.and_then(|value| value.strip_prefix("Bearer ")) else {
            let say = "send `Authorization: Bearer TOKEN`; `patchbay token issue` makes one";
            return Err(Refusal(StatusCode::UNAUTHORIZED, say.into()));
        };
        tokens.verify(token.trim()).map(Self).map_err(|error| Refusal(StatusCode::UNAUTHORIZED, error.to_string()))
    }
}

/// Which events are asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    conversation: Option<String>,
    kind: Option<String>,
    since: Option<String>,
    limit: Option<usize>,
}

impl EventsQuery {
    fn filter(self) -> Result<EventFilter, Refusal> {
        let bad = |what: String| Refusal(StatusCode::BAD_REQUEST, what);
        let conversation = self.conversation.map(|id| {
            ConversationId::parse(&id)
                .ok_or_else(|| bad(format!("`{id}` is no conversation id: they begin with `co_`")))
        });
        let since = self.since.map(|text| {
            moment(&text).ok_or_else(|| {
                bad(format!("`{text}` is no time: write 2026-01-31T12:00:00Z, or milliseconds since the epoch"))
            })
        });
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT).min(LARGEST_LIMIT);
        Ok(EventFilter { conversation: conversation.transpose()?, kind: self.kind, since: since.transpose()?, limit })
    }
}

fn moment(text: &str) -> Option<Timestamp> {
    if let Ok(millis) = text.parse::<u64>() {
        return Some(Timestamp::from_millis(millis));
    }
    let moment: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(moment.as_millisecond()).ok().map(Timestamp::from_millis)
}

/// `GET /v1/events?conversation=&kind=&since=&limit=`: newest first.
async fn events(
    _: Bearer,
    State(surface): State<Arc<Surface>>,
    query: Result<Query<EventsQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Vec<Value>>, Refusal> {
    let Query(query) = query.map_err(|error| Refusal(StatusCode::BAD_REQUEST, error.body_text()))?;
    let records = surface.shared().store.events(&query.filter()?).await?;
    let mut customers = Customers { surface: &surface, known: HashMap::new() };
    let mut rows = Vec::with_capacity(records.len());
    for record in &records {
        rows.push(row(record, customers.of(record).await?));
    }
    Ok(Json(rows))
}

/// `GET /v1/events/{id}`: one event, with the platform's own JSON.
async fn event(_: Bearer, State(surface): State<Arc<Surface>>, Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    let id = patchbay_model::EventId::parse(&id);
    let record = match id {
        Some(id) => surface.shared().store.event(&id).await?,
        None => None,
    };
    let Some(record) = record else {
        return Err(Refusal(StatusCode::NOT_FOUND, "no such event".into()));
    };
    let mut customers = Customers { surface: &surface, known: HashMap::new() };
    let customer = customers.of(&record).await?;
    let mut row = row(&record, customer);
    let raw = record
        .raw
        .as_ref()
        .map(|raw| serde_json::from_str(raw.reveal()).unwrap_or_else(|_| Value::String(raw.reveal().clone())));
    if let Some(object) = row.as_object_mut() {
        object.insert("raw".into(), raw.unwrap_or_default());
    }
    Ok(Json(row))
}

/// Who the events of a listing are about, looked up once each.
struct Customers<'a> {
    surface: &'a Surface,
    known: HashMap<ConversationId, Value>,
}

impl Customers<'_> {
    async fn of(&mut self, record: &EventRecord) -> Result<Value, StoreError> {
        let id = &record.event.conversation;
        if let Some(known) = self.known.get(id) {
            return Ok(known.clone());
        }
        let state = self.surface.shared().store.conversation(id).await?;
        let customer = match state {
            Some(state) => customer(&state.value.customer),
            None => shown(&record.route),
        };
        self.known.insert(id.clone(), customer.clone());
        Ok(customer)
    }
}

fn customer(customer: &Customer) -> Value {
    let Customer { id, phone, user_id, username, name, .. } = customer;
    json!({ "id": id, "phone": phone, "user_id": user_id, "username": username, "name": name })
}

/// What the event itself says of who wrote, before its conversation has been written for the first time.
fn shown(route: &Route) -> Value {
    let Route::Customer { identities, profile, .. } = route else { return Value::Null };
    let mut shown = json!({ "username": profile.username, "name": profile.name });
    if let Some(object) = shown.as_object_mut() {
        for identity in identities {
            let (key, value) = match identity {
                Identity::Phone(value) => ("phone", value),
                Identity::UserId(value) => ("user_id", value),
            };
            object.insert(key.into(), Value::String(value.reveal().clone()));
        }
    }
    shown
}

fn row(record: &EventRecord, customer: Value) -> Value {
    let event = &record.event;
    let body = serde_json::to_value(&event.body).ok().and_then(|mut body| body.get_mut("value").map(Value::take));
    let mut row = json!({
        "id": event.id,
        "kind": event.body.kind(),
        "conversation": event.conversation,
        "customer": customer,
        "occurred_at": event.occurred_at.to_string(),
        "received_at": event.received_at.to_string(),
        "body": body,
    });
    if let (Body::Unparsed(_), Some(object)) = (&event.body, row.as_object_mut()) {
        object.insert("customer".into(), Value::Null);
    }
    row
}

/// How long a listing may be.
#[derive(Debug, Deserialize)]
pub struct Limit {
    limit: Option<usize>,
}

impl Limit {
    fn get(&self) -> usize {
        self.limit.unwrap_or(DEFAULT_LIMIT).min(LARGEST_LIMIT)
    }
}

/// `GET /v1/dead-letters`: what was given up, newest first.
async fn dead_letters(
    _: Bearer,
    State(surface): State<Arc<Surface>>,
    Query(limit): Query<Limit>,
) -> Result<Json<Vec<Value>>, Refusal> {
    let letters = surface.shared().store.dead_letters(limit.get()).await?;
    let rows = letters.into_iter().map(|letter| {
        let task = letter.task;
        json!({
            "task": task.id,
            "lane": task.lane.to_string(),
            "effect": task.effect.kind(),
            "conversation": task.conversation,
            "event": task.event,
            "attempts": task.attempts,
            "created_at": task.created_at.to_string(),
            "died_at": letter.died_at.to_string(),
            "reason": letter.reason,
        })
    });
    Ok(Json(rows.collect()))
}

/// `POST /v1/dead-letters/{task}/retry`: back into its lane.
async fn retry(
    _: Bearer,
    State(surface): State<Arc<Surface>>,
    Path(task): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let revived = match TaskId::parse(&task) {
        Some(id) => surface.engine.revive(id).await?,
        None => None,
    };
    let Some(task) = revived else {
        return Err(Refusal(StatusCode::NOT_FOUND, "no such dead letter".into()));
    };
    let answer = json!({ "task": task.id, "lane": task.lane.to_string() });
    Ok(Json(answer))
}

/// `GET /v1/reports`: what plugins did that they should not have done, newest first.
async fn reports(
    _: Bearer,
    State(surface): State<Arc<Surface>>,
    Query(limit): Query<Limit>,
) -> Result<Json<Vec<Value>>, Refusal> {
    let reports = surface.shared().store.reports(limit.get()).await?;
    let rows = reports.into_iter().map(|report| {
        let at = report.at.to_string();
        let mut row = serde_json::to_value(report).unwrap_or_default();
        if let Some(object) = row.as_object_mut() {
            object.insert("at".into(), Value::String(at));
        }
        row
    });
    Ok(Json(rows.collect()))
}
