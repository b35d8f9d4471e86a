//! Why an event went where it went.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use patchbay_model::EventId;
use patchbay_model::decision::{Considered, Decision, StepTaken};
use patchbay_store::{EventFilter, EventRecord, Store, StoreError};
use serde::{Deserialize, Serialize};

use super::{Bearer, Refusal};
use crate::http::Surface;

/// Events of a conversation that are looked through for one that waits.
const PENDING_LOOKED_AT: usize = 1_000;

/// A decision as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Which event.
    pub event: EventId,
    /// The event's kind.
    pub kind: String,
    /// The event's conversation.
    pub conversation: String,
    /// When the event was accepted, RFC 3339.
    pub received_at: String,
    /// When the decision was committed, RFC 3339.
    pub decided_at: String,
    /// The chain that decided; none: no chain is for the event.
    pub chain: Option<String>,
    /// The node that decided, by its name.
    pub node: String,
    /// How often the chain was begun.
    pub attempts: u32,
    /// From the first attempt to the commit, microseconds.
    pub took: u64,
    /// The chains that were considered, in their order.
    pub considered: Vec<Considered>,
    /// The handlers that were asked, in order; how long each took in microseconds.
    pub steps: Vec<StepTaken>,
    /// What was done beyond the handlers' answers.
    pub notes: Vec<String>,
}

impl Explanation {
    fn new(record: &EventRecord, decision: Decision) -> Self {
        let Decision { event, at, node, attempts, considered, steps, notes, took } = decision;
        let chain = considered.iter().find(|chain| chain.passed_over.is_none()).map(|chain| chain.chain.clone());
        Self {
            event,
            kind: record.event.body.kind(),
            conversation: record.event.conversation.to_string(),
            received_at: record.event.received_at.to_string(),
            decided_at: at.to_string(),
            chain,
            node,
            attempts,
            took: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            considered,
            steps,
            notes,
        }
    }
}

/// What is known of how an event was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// All of it.
    Decided(Box<Explanation>),
    /// There is no such event.
    NoEvent,
    /// Nothing, and why, as a sentence.
    Undecided(String),
}

/// `GET /v1/events/{id}/decision`.
pub(super) async fn show(
    _: Bearer,
    State(surface): State<Arc<Surface>>,
    Path(id): Path<String>,
) -> Result<Json<Explanation>, Refusal> {
    match found(&*surface.shared().store, &id).await? {
        Found::Decided(explanation) => Ok(Json(*explanation)),
        Found::NoEvent => Err(Refusal::absent("no such event")),
        Found::Undecided(reason) => Err(Refusal::absent(reason)),
    }
}

/// How an event was decided.
///
/// # Errors
/// When the store cannot be read.
pub async fn found(store: &dyn Store, id: &str) -> Result<Found, StoreError> {
    let Some(id) = EventId::parse(id) else { return Ok(Found::NoEvent) };
    let Some(record) = store.event(&id).await? else { return Ok(Found::NoEvent) };
    if let Some(decision) = store.decision(&id).await? {
        return Ok(Found::Decided(Box::new(Explanation::new(&record, decision))));
    }
    let pending = EventFilter {
        conversation: Some(record.event.conversation.clone()),
        limit: PENDING_LOOKED_AT,
        pending: true,
        ..EventFilter::default()
    };
    let waits = store.events(&pending).await?.iter().any(|waiting| waiting.event.id == id);
    Ok(Found::Undecided(if waits {
        format!("{id} waits to be decided; `patchbay journal list --pending` shows what is before it")
    } else {
        format!(
            "no decision is kept of {id} (`{}`): no chain was held against it. Events between the gateway's own parts, of \
             joined conversations and from before this version have none",
            record.event.body.kind()
        )
    }))
}
