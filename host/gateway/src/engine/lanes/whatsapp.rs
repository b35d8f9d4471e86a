//! Effects toward a WhatsApp number.
//!
//! WhatsApp has no idempotency key. A send is therefore noted as begun before it leaves; one whose answer was lost is
//! uncertain, and waits for a status with its reference before it is sent again.

use std::sync::Arc;
use std::time::Duration;

use patchbay_model::{Effect, Failure, Identity, Outgoing, Task, Timestamp};
use patchbay_store::Commit;
use patchbay_whatsapp::graph::Graph;
use patchbay_whatsapp::reference;

use super::settle::write;
use super::{Done, Failed};
use crate::engine::owner::Owner;

/// How often the conversation is looked at while a status is waited for.
const LOOK: Duration = Duration::from_millis(200);

pub(super) async fn execute(owner: &Arc<Owner>, channel: &str, task: &mut Task) -> Result<Done, Failed> {
    let options = &owner.shared().options;
    let Some(line) = options.channels.get(channel) else {
        return Err(Failure::permanent(format!("the number `{channel}` is not in the configuration")).into());
    };
    match task.effect.clone() {
        Effect::MarkRead { message, typing } => {
            line.graph.mark_read(message.reveal(), typing).await?;
            Ok(Done::default())
        }
        Effect::Send { to, message, .. } => send(owner, &line.graph, task, &to, &message).await,
        other => Err(Failure::permanent(format!("`{}` is no effect of a WhatsApp lane", other.kind())).into()),
    }
}

async fn send(
    owner: &Arc<Owner>,
    graph: &Graph,
    task: &mut Task,
    to: &[Identity],
    message: &Outgoing,
) -> Result<Done, Failed> {
    if let Some(since) = task.uncertain_since
        && was_sent(owner, task, since).await?
    {
        tracing::info!(task = %task.id, "a status shows that the message was sent; it is not sent again");
        return Ok(Done::default());
    }
    task.uncertain_since = Some(Timestamp::now());
    let begun = Commit { put_tasks: vec![task.clone()], ..Commit::default() };
    if write(owner, begun).await.is_break() {
        return Err(Failure::retry("the node is stopping").into());
    }
    graph.send(to, message, &reference::format(&task.conversation, &task.id)).await?;
    Ok(Done::default())
}

/// Waits, up to the operator's limit, for a status of the message that an earlier try may have sent.
async fn was_sent(owner: &Arc<Owner>, task: &Task, since: Timestamp) -> Result<bool, Failed> {
    let shared = owner.shared();
    let until = since.after(shared.options.reconcile_wait);
    loop {
        let known = shared.store.conversation(&task.conversation).await;
        let known = known.map_err(|error| Failure::uncertain(error.to_string()))?;
        if known.is_some_and(|known| known.value.sent_by(&task.id).is_some()) {
            return Ok(true);
        }
        if Timestamp::now() >= until {
            return Ok(false);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = owner.gone() => return Err(Failure::uncertain("the node is stopping").into()),
        }
    }
}
