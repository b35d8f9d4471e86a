//! What happened.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use patchbay_model::{Body, ConversationId, Customer, EventId, Identity, Route, Timestamp};
use patchbay_store::{EventFilter, EventRecord, Store, StoreError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Asked, Bearer, Refusal, rows};
use crate::http::Surface;

/// Which events are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    /// Only this conversation's.
    pub conversation: Option<String>,
    /// Only this kind, or those below it.
    pub kind: Option<String>,
    /// Only those accepted at or after this: RFC 3339, or milliseconds since the epoch.
    pub since: Option<String>,
    /// At most so many.
    pub limit: Option<usize>,
    /// Only those that wait to be handled.
    #[serde(default)]
    pub pending: bool,
}

impl EventsQuery {
    /// What the store is asked.
    ///
    /// # Errors
    /// A sentence about what cannot be read.
    pub fn filter(&self) -> Result<EventFilter, String> {
        let conversation = self.conversation.as_ref().map(|id| {
            ConversationId::parse(id).ok_or_else(|| format!("`{id}` is no conversation id: they begin with `co_`"))
        });
        let since = self.since.as_ref().map(|text| {
            moment(text).ok_or_else(|| {
                format!("`{text}` is no time: write 2026-01-31T12:00:00Z, or milliseconds since the epoch")
            })
        });
        Ok(EventFilter {
            conversation: conversation.transpose()?,
            kind: self.kind.clone(),
            since: since.transpose()?,
            limit: rows(self.limit),
            pending: self.pending,
        })
    }
}

fn moment(text: &str) -> Option<Timestamp> {
    if let Ok(millis) = text.parse::<u64>() {
        return Some(Timestamp::from_millis(millis));
    }
    let moment: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(moment.as_millisecond()).ok().map(Timestamp::from_millis)
}

/// `GET /v1/events?conversation=&kind=&since=&limit=&pending=`: newest first.
pub(super) async fn list(
    _: Bearer,
    State(surface): State<Arc<Surface>>,
    Asked(query): Asked<EventsQuery>,
) -> Result<Json<Vec<Value>>, Refusal> {
    let filter = query.filter().map_err(Refusal::bad)?;
    Ok(Json(listed(&*surface.shared().store, &filter).await?))
}

/// `GET /v1/events/{id}`: one event, with the platform's own JSON.
pub(super) async fn show(
    _: Bearer,
    State(surface): State<Arc<Surface>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let event = shown(&*surface.shared().store, &id).await?;
    event.map(Json).ok_or_else(|| Refusal::absent("no such event"))
}

/// The events that match, as the API shows them.
///
/// # Errors
/// When the store cannot be read.
pub async fn listed(store: &dyn Store, filter: &EventFilter) -> Result<Vec<Value>, StoreError> {
    let records = store.events(filter).await?;
    let mut customers = Customers { store, known: HashMap::new() };
    let mut rows = Vec::with_capacity(records.len());
    for record in &records {
        rows.push(row(record, customers.of(record).await?));
    }
    Ok(rows)
}

/// One event as the API shows it, with the platform's own JSON of it.
///
/// # Errors
/// When the store cannot be read.
pub async fn shown(store: &dyn Store, id: &str) -> Result<Option<Value>, StoreError> {
    let Some(id) = EventId::parse(id) else { return Ok(None) };
    let Some(record) = store.event(&id).await? else { return Ok(None) };
    let customer = Customers { store, known: HashMap::new() }.of(&record).await?;
    let mut row = row(&record, customer);
    let raw = record.raw.as_ref().map(|raw| {
        serde_json::from_str(raw.json.reveal()).unwrap_or_else(|_| Value::String(raw.json.reveal().clone()))
    });
    if let Some(object) = row.as_object_mut() {
        object.insert("raw".into(), raw.unwrap_or_default());
    }
    Ok(Some(row))
}

/// Who the events of a listing are about, looked up once each.
struct Customers<'a> {
    store: &'a dyn Store,
    known: HashMap<ConversationId, Value>,
}

impl Customers<'_> {
    async fn of(&mut self, record: &EventRecord) -> Result<Value, StoreError> {
        let id = &record.event.conversation;
        if let Some(known) = self.known.get(id) {
            return Ok(known.clone());
        }
        let customer = match self.store.conversation(id).await? {
            Some(state) => customer(&state.value.customer),
            None => introduced(&record.route),
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
fn introduced(route: &Route) -> Value {
    let Route::Customer { identities, profile, .. } = route else { return Value::Null };
    let mut shown = json!({ "username": profile.username, "name": profile.name });
    if let Some(object) = shown.as_object_mut() {
        for identity in identities {
            let (key, value) = match identity {
                Identity::Phone(value) => ("phone", value),
                Identity::UserId(value) => ("user_id", value),
                Identity::Group(value) => ("group", value),
                Identity::Username(value) => ("username", value),
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
