//! Effects toward a WhatsApp number.
//!
//! WhatsApp has no idempotency key. A send is therefore noted as begun before it leaves; one whose answer was lost is
//! uncertain, and waits for a status with its reference before it is sent again.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use patchbay_model::task::Lane;
use patchbay_model::{Effect, Failure, Task, Timestamp};
use patchbay_store::Commit;
use patchbay_whatsapp::reference;

use super::settle::write;
use super::{Done, Failed};
use crate::engine::owner::Owner;

/// How often the conversation is looked at while a status is waited for.
const LOOK: Duration = Duration::from_millis(200);

pub(super) async fn execute(owner: &Arc<Owner>, task: &mut Task) -> Result<Done, Failed> {
    let misplaced = || Failure::permanent(format!("`{}` is no effect of the lane {}", task.effect.kind(), task.lane));
    let Lane::Whatsapp(channel) = &task.lane else { return Err(misplaced().into()) };
    let Some(line) = owner.shared().options.channels.get(channel) else { return Err(misplaced().into()) };
    match &task.effect {
        Effect::MarkRead { message, typing } => line.graph.mark_read(message.reveal(), *typing).await?,
        Effect::Send { to, message, .. } => {
            let (to, message) = (to.clone(), message.clone());
            task.uncertain_since = Some(Timestamp::now());
            let begun = Commit { put_tasks: vec![task.clone()], ..Commit::default() };
            if write(owner, begun).await.is_break() {
                return Err(Failure::retry("the node is stopping").into());
            }
            line.graph.send(&to, &message, &reference::format(&task.conversation, &task.id)).await?;
        }
        _ => return Err(misplaced().into()),
    }
    Ok(Done::default())
}

/// Whether an earlier try has sent the message, as a status of it shows. Waits for one up to the operator's limit,
/// counted from when the answer was lost or, if that is later, from when this node began to listen.
pub(super) async fn was_sent(owner: &Arc<Owner>, task: &Task) -> ControlFlow<(), bool> {
    let Some(since) = task.uncertain_since else { return ControlFlow::Continue(false) };
    let shared = owner.shared();
    let until = since.max(owner.started()).after(shared.options.reconcile_wait);
    loop {
        match shared.store.conversation(&task.conversation).await {
            Ok(Some(known)) if known.value.sent_by(&task.id).is_some() => {
                tracing::info!(task = %task.id, "a status shows that the message was sent; it is not sent again");
                return ControlFlow::Continue(true);
            }
            Ok(_) if Timestamp::now() >= until => return ControlFlow::Continue(false),
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "a conversation could not be read; trying again"),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = owner.gone() => return ControlFlow::Break(()),
        }
    }
}
