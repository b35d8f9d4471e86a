//! Events once more: run through today's normaliser, or handled again.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use patchbay_model::{Arrival, Body, EventId, Route, Timestamp};
use patchbay_store::{Appended, EventRecord, Store, StoreError};
use patchbay_whatsapp::normalise::{self, Channels};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Bearer, Given, Refusal};
use crate::http::Surface;

/// The header that makes asking twice harmless.
pub const KEY_HEADER: &str = "idempotency-key";
/// The most bytes of a key.
const LONGEST_KEY: usize = 256;

/// How an event is replayed.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Replay {
    /// Under a new id: it is handled again, with all its effects.
    as_new: bool,
    /// Only say what would happen.
    dry_run: bool,
}

/// `POST /v1/events/{id}/replay` with `{"as_new":false,"dry_run":false}`.
///
/// By itself it changes nothing that was handled: an id that was taken before is not taken again, so that only what
/// today's normaliser finds besides is new. With `as_new` the event gets an id that is derived from the header
/// `Idempotency-Key`: asking again with the same key does nothing.
pub(super) async fn replay(
    Bearer(claims): Bearer,
    State(surface): State<Arc<Surface>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Given(replay): Given<Replay>,
) -> Result<Json<Value>, Refusal> {
    let absent = || Refusal::absent("no such event");
    let store = &surface.shared().store;
    let live = surface.live();
    let id = EventId::parse(&id).ok_or_else(absent)?;
    let record = store.event(&id).await?.ok_or_else(absent)?;
    let arrivals = if replay.as_new {
        let key = headers.get(KEY_HEADER).map(|key| key.as_bytes()).filter(|key| !key.is_empty());
        let Some(key) = key.filter(|key| key.len() <= LONGEST_KEY) else {
            let say = "send `Idempotency-Key: WORD` of at most 256 bytes: asking again with the same word does nothing";
            return Err(Refusal::bad(say));
        };
        anew(&record, key, &live.channels, store.now()).map_err(conflict)?
    } else {
        again(&record, &live.channels).ok_or_else(|| conflict(nothing_kept(&record)))?
    };
    if !replay.dry_run {
        let (as_new, by) = (replay.as_new, claims.sub);
        tracing::info!(event = %id, as_new, by, "an event is replayed");
    }
    let results = append(&**store, arrivals, replay.dry_run).await?;
    Ok(Json(json!({ "results": results })))
}

fn conflict(reason: String) -> Refusal {
    Refusal(StatusCode::CONFLICT, reason)
}

/// What today's normaliser makes of what is kept of an event; none: nothing of the platform's own is kept.
fn again(record: &EventRecord, channels: &Channels) -> Option<Vec<Arrival>> {
    let normalised = normalise::again(&record.event, &record.route, record.raw.as_ref(), channels)?;
    Some(normalised.arrivals)
}

/// Why there is nothing to normalise.
fn nothing_kept(record: &EventRecord) -> String {
    let kind = record.event.body.kind();
    match &record.route {
        Route::Customer { .. } | Route::Account(_) => format!(
            "WhatsApp's own JSON of this event (`{kind}`) is no longer kept: `raw` under [retention] says how long it \
             is; --as-new handles the event again as it was understood then"
        ),
        Route::Conversation(_) | Route::Ticket { .. } => format!(
            "this event (`{kind}`) did not come from WhatsApp, so there is nothing to normalise; --as-new handles it \
             again as it is"
        ),
    }
}

/// The event under new ids: as it is understood today, or as it stands where nothing else is kept.
fn anew(record: &EventRecord, key: &[u8], channels: &Channels, now: Timestamp) -> Result<Vec<Arrival>, String> {
    let event = &record.event;
    if let Body::Join(_) | Body::Joined(_) = &event.body {
        return Err(format!(
            "an event `{}` moves a conversation's state and is never handled twice; replay the customer's own events",
            event.body.kind()
        ));
    }
    let mut arrivals = again(record, channels).unwrap_or_default();
    if arrivals.is_empty() {
        let route = match &record.route {
            Route::Customer { .. } | Route::Account(_) => record.route.clone(),
            // It need not be found again: it is known whose it is.
            Route::Conversation(_) | Route::Ticket { .. } => Route::Conversation(event.conversation.clone()),
        };
        arrivals.push(Arrival {
            id: event.id.clone(),
            route,
            occurred_at: event.occurred_at,
            received_at: now,
            body: event.body.clone(),
            raw: record.raw.clone(),
        });
    }
    for arrival in &mut arrivals {
        arrival.id = EventId::derive(&[b"again", key, event.id.as_str().as_bytes(), arrival.id.as_str().as_bytes()]);
        arrival.received_at = now;
    }
    Ok(arrivals)
}

/// Appends what is new, or says what would be.
async fn append(store: &dyn Store, arrivals: Vec<Arrival>, dry_run: bool) -> Result<Vec<Value>, StoreError> {
    let mut results = Vec::with_capacity(arrivals.len());
    for arrival in arrivals {
        let (id, kind) = (arrival.id.clone(), arrival.body.kind());
        let outcome = if store.event(&id).await?.is_some() {
            "already-handled"
        } else if dry_run {
            "would-be-new"
        } else {
            match store.append(vec![arrival]).await?.first() {
                Some(Appended::New { .. }) => "new",
                Some(Appended::Stranger) => "nobodys",
                Some(Appended::Duplicate) | None => "already-handled",
            }
        };
        results.push(json!({ "event": id, "kind": kind, "outcome": outcome }));
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use patchbay_model::event::TimerFired;
    use patchbay_model::{ConversationId, Event};
    use patchbay_store::Position;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);

    fn timer() -> EventRecord {
        let conversation = ConversationId::derive(&[b"ada"]);
        let body = Body::Timer(TimerFired { name: "sla".into(), data: "{}".into() });
        let (id, at) = (EventId::derive(&[b"timer"]), Timestamp::from_millis(5));
        let event = Event { id, conversation, occurred_at: at, received_at: at, body };
        let route = Route::Ticket { desk: "zendesk".into(), ticket: "1".into() };
        EventRecord { position: Position(1), event, route, raw: None, others: Vec::new() }
    }

    #[test]
    fn an_internal_event_is_handled_again_in_its_conversation() {
        let record = timer();
        let channels = Channels::default();
        assert_eq!(again(&record, &channels), None);
        let arrivals = anew(&record, b"key", &channels, NOW).unwrap();
        assert_eq!(arrivals.len(), 1);
        assert_eq!(arrivals[0].route, Route::Conversation(record.event.conversation.clone()));
        assert_eq!((arrivals[0].occurred_at.as_millis(), arrivals[0].received_at), (5, NOW));
        assert_eq!(arrivals[0].body, record.event.body);
    }

    #[test]
    fn the_same_key_gives_the_same_id_and_another_gives_another() {
        let id = |key: &[u8]| anew(&timer(), key, &Channels::default(), NOW).unwrap()[0].id.clone();
        assert_eq!(id(b"one"), id(b"one"));
        assert_ne!(id(b"one"), id(b"two"));
        assert_ne!(id(b"one"), timer().event.id);
    }

    #[test]
    fn a_conversation_is_not_joined_twice() {
        let mut record = timer();
        let into = ConversationId::derive(&[b"bob"]);
        record.event.body = Body::Join(patchbay_model::event::Join { into });
        assert!(anew(&record, b"key", &Channels::default(), NOW).unwrap_err().contains("never handled twice"));
    }
}
