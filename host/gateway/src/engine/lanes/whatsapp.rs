//! Effects toward a WhatsApp number.
//!
//! WhatsApp has no idempotency key. A send is therefore noted as begun before it leaves; one whose answer was lost is
//! uncertain, and waits for a status with its reference before it is sent again.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use patchbay_model::event::{Delivery, DeliveryState};
use patchbay_model::task::Lane;
use patchbay_model::{Arrival, Body, Effect, EventId, Failure, Private, Route, Task, Timestamp};
use patchbay_store::Commit;
use patchbay_whatsapp::reference;

use super::settle::write;
use super::{Done, Failed, Fault};
use crate::engine::owner::Owner;
use crate::engine::plan::marketing;

/// How often the conversation is looked at while a status is waited for.
const LOOK: Duration = Duration::from_millis(200);

/// Notes that a send is about to leave.
///
/// # Errors
/// The message must not be sent any more, or the note cannot be made.
pub(super) async fn begin(owner: &Arc<Owner>, task: &mut Task) -> Result<(), Failed> {
    if let Some(reason) = refusal(owner, task).await? {
        return Err(Failure::permanent(reason).into());
    }
    task.uncertain_since = Some(owner.shared().store.now());
    let begun = Commit { put_tasks: vec![task.clone()], ..Commit::default() };
    if write(owner, begun).await.is_break() {
        return Err(Failure::retry("the node is stopping").into());
    }
    Ok(())
}

pub(super) async fn execute(owner: &Arc<Owner>, task: &Task) -> Result<Done, Failed> {
    let misplaced = || Failure::permanent(format!("`{}` is no effect of the lane {}", task.effect.kind(), task.lane));
    let Lane::Whatsapp(channel) = &task.lane else { return Err(misplaced().into()) };
    let routing = owner.shared().routing();
    let Some(line) = routing.channels.get(channel) else { return Err(Failed::not_configured(&task.lane)) };
    match &task.effect {
        Effect::MarkRead { message, typing } => line.graph.mark_read(message.reveal(), *typing).await?,
        Effect::Send { to, message, .. } => {
            let sent = line.graph.send(to, message, &reference::format(&task.conversation, &task.id)).await?;
            return Ok(Done { append: vec![accepted(task, sent, owner.shared().store.now())], ..Done::default() });
        }
        _ => return Err(misplaced().into()),
    }
    Ok(Done::default())
}

/// Why the message must not be sent any more: the customer may have stopped marketing messages while it waited, in this
/// conversation or in the one that it goes on in.
async fn refusal(owner: &Arc<Owner>, task: &Task) -> Result<Option<String>, Failed> {
    let shared = owner.shared();
    let routing = shared.routing();
    let message = match &task.effect {
        Effect::Send { message, .. } if marketing::is_template(message) => message,
        _ => return Ok(None),
    };
    let mut next = Some(task.conversation.clone());
    while let Some(id) = next {
        let known = shared.store.conversation(&id).await;
        let known = known.map_err(|error| Failed {
            failure: Failure::retry(error.to_string()),
            report: None,
            fault: Fault::Ours,
        })?;
        let Some(known) = known else { break };
        let refusal = marketing::refusal(&known.value, message, &routing.utility_templates);
        if refusal.is_some() {
            return Ok(refusal);
        }
        // Each joins one that sorts before it, so this ends.
        next = known.value.joined;
    }
    Ok(None)
}

/// The platform's id of a message that it took, as an event: statuses without our reference are known by it.
fn accepted(task: &Task, message: String, now: Timestamp) -> Arrival {
    Arrival {
        id: EventId::derive(&[b"accepted", task.id.as_str().as_bytes(), message.as_bytes()]),
        route: Route::Conversation(task.conversation.clone()),
        occurred_at: now,
        received_at: now,
        body: Body::Delivery(Delivery {
            message: Private::new(message),
            state: DeliveryState::Accepted,
            error: None,
            reference: Some(task.id.clone()),
            pricing: None,
            participant: None,
        }),
        raw: None,
    }
}

/// Whether an earlier try has sent the message, as a status of it shows. Waits for one up to the operator's limit,
/// counted from when the answer was lost or, if that is later, from when this node began to listen.
pub(super) async fn was_sent(owner: &Arc<Owner>, task: &Task) -> ControlFlow<(), bool> {
    let Some(since) = task.uncertain_since else { return ControlFlow::Continue(false) };
    let shared = owner.shared();
    let until = since.max(owner.started()).after(shared.routing().reconcile_wait);
    loop {
        match shared.store.conversation(&task.conversation).await {
            Ok(Some(known)) if known.value.sent_by(&task.id).is_some() => {
                tracing::info!(task = %task.id, "a status shows that the message was sent; it is not sent again");
                return ControlFlow::Continue(true);
            }
            Ok(_) if shared.store.now() >= until => return ControlFlow::Continue(false),
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "a conversation could not be read; trying again"),
        }
        tokio::select! {
            biased;
            () = owner.gone() => return ControlFlow::Break(()),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}
