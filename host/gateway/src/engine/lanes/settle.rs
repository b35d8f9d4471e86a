//! What became of a task, as one write: finished, put off, or given up.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use patchbay_model::event::{EffectFailed, MediaChecked};
use patchbay_model::task::DeadLetter;
use patchbay_model::{Arrival, Body, Effect, EventId, Failure, Route, Task, Timestamp};
use patchbay_store::{Commit, MediaRecord, MediaState};

use super::retry::{is_over, pause};
use super::{Done, Failed, Fault, files};
use crate::engine::owner::Owner;

/// A plugin that breaks on the same task so often will not do better: a trap is no outage.
const BROKEN_ATTEMPTS: u32 = 6;
/// The longest pause that another side can ask for.
const LONGEST_ASKED_FOR: Duration = Duration::from_secs(60 * 60);
/// A receipt that could not be shown is not worth more: the next one replaces it.
const RECEIPT_ATTEMPTS: u32 = 1;

/// Commits that a task is done.
pub(super) async fn done(owner: &Arc<Owner>, task: Task, done: Done) -> ControlFlow<()> {
    let settled = !done.media.is_empty();
    let follow_up = files::follow_up(&task);
    let commit = Commit {
        finished_tasks: vec![task.id],
        put_tasks: follow_up.clone().into_iter().collect(),
        links: done.links,
        media: done.media,
        append: done.append,
        ..Commit::default()
    };
    write(owner, commit).await?;
    if settled {
        owner.shared().media_settled.notify_waiters();
    }
    if let Some(task) = follow_up {
        owner.run_task(task, false);
    }
    ControlFlow::Continue(())
}

/// Commits that a task has failed this time. Gives it back if it is to be tried again.
pub(super) async fn failed(owner: &Arc<Owner>, mut task: Task, failed: Failed) -> ControlFlow<(), Option<Task>> {
    let now = owner.shared().store.now();
    let reason = failed.failure.reason().to_owned();
    if failed.fault == Fault::Plugin {
        task.broken += 1;
    }
    let mut commit = Commit { reports: failed.report.into_iter().collect(), ..Commit::default() };
    let again = match failed.failure {
        Failure::Credential { .. } => {
            // The gate keeps the task waiting; this was no try of its own.
            task.uncertain_since = None;
            Some(now)
        }
        Failure::Permanent { .. } => {
            task.attempts += 1;
            task.uncertain_since = None;
            None
        }
        Failure::Retry { after, uncertain, .. } => {
            // A sandbox or a store that was not free is no try: time alone ends the task then.
            task.attempts += u32::from(failed.fault != Fault::Ours);
            task.uncertain_since = uncertain.then_some(now);
            let routing = owner.shared().routing();
            let retry = &routing.retry;
            let over = is_over(retry, &task, now)
                || task.broken >= BROKEN_ATTEMPTS
                || (matches!(task.effect, Effect::MarkRead { .. }) && task.attempts >= RECEIPT_ATTEMPTS);
            let asked_for = after.unwrap_or_default().min(LONGEST_ASKED_FOR);
            (!over).then(|| now.after(pause(retry, task.attempts).max(asked_for)))
        }
    };
    // Nobody but a send asks whether it is known: a desk is asked itself.
    let unknown = task.uncertain_since.is_some() && matches!(task.effect, Effect::Send { .. });
    task.last_error = Some(reason.clone());
    tracing::warn!(
        lane = %task.lane, task = %task.id, effect = task.effect.kind(), event = %task.event,
        attempts = task.attempts, reason, again = again.is_some(), "an effect failed"
    );
    let Some(due_at) = again else {
        let reason = if unknown { format!("it is not known whether it was sent: {reason}") } else { reason };
        give_up(&mut commit, task, reason, now);
        let settled = !commit.media.is_empty();
        write(owner, commit).await?;
        if settled {
            owner.shared().media_settled.notify_waiters();
        }
        return ControlFlow::Continue(None);
    };
    task.due_at = due_at;
    commit.put_tasks.push(task.clone());
    write(owner, commit).await?;
    ControlFlow::Continue(Some(task))
}

/// The task leaves its lane: nobody misses a receipt, everything else is a dead letter and an event.
fn give_up(commit: &mut Commit, task: Task, reason: String, now: Timestamp) {
    if matches!(task.effect, Effect::MarkRead { .. }) {
        commit.finished_tasks.push(task.id);
        return;
    }
    metrics::counter!("patchbay_dead_letters_total", "lane" => task.lane.to_string()).increment(1);
    tracing::error!(
        lane = %task.lane, task = %task.id, effect = task.effect.kind(), event = %task.event,
        attempts = task.attempts, reason, "given up; it is a dead letter now"
    );
    let body = match &task.effect {
        Effect::FetchMedia { message, media } => {
            commit.media.push(MediaRecord {
                id: media.id.clone(),
                conversation: task.conversation.clone(),
                state: MediaState::Failed { reason: reason.clone() },
            });
            let problem = Some(reason.clone());
            Body::MediaChecked(MediaChecked { message: message.clone(), media: media.clone(), problem })
        }
        effect => Body::EffectFailed(EffectFailed {
            task: task.id.clone(),
            effect: effect.kind().to_owned(),
            target: task.lane.to_string(),
            reason: reason.clone(),
            attempts: task.attempts,
        }),
    };
    commit.append.push(outcome(&task, now, body));
    commit.dead_letters.push(DeadLetter { task, reason, died_at: now });
}

/// An outcome as an event of its conversation.
pub(super) fn outcome(task: &Task, now: Timestamp, body: Body) -> Arrival {
    Arrival {
        // With the time, since a dead letter that an operator revives can end a second time.
        id: EventId::derive(&[b"outcome", task.id.as_str().as_bytes(), &now.as_millis().to_le_bytes()]),
        route: Route::Conversation(task.conversation.clone()),
        occurred_at: now,
        received_at: now,
        body,
        raw: None,
    }
}

/// Writes what has become of a task: nobody else writes it, so there is no conflict to come back from.
pub(super) async fn write(owner: &Arc<Owner>, commit: Commit) -> ControlFlow<()> {
    match owner.commit(commit).await {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    }
}
