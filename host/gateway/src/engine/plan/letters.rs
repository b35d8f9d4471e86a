//! What an operator's order about a dead letter leads to.

use patchbay_model::event::{LetterOrder, LetterVerb};
use patchbay_model::task::DeadLetter;
use patchbay_model::{Effect, Task, Timestamp};
use patchbay_store::{Commit, EventRecord, Report};

/// The commit that carries out `order`, the event of `record`. `letter` is the dead letter as it is now; one that is gone,
/// or belongs to another conversation, is left alone. No handler is asked.
///
/// Tasks in the commit may have been begun before: whoever carries them out has to ask for an earlier success first.
#[must_use]
pub fn carry_out(record: &EventRecord, order: &LetterOrder, letter: Option<DeadLetter>, now: Timestamp) -> Commit {
    let mut commit = Commit { handled: Some(record.position), ..Commit::default() };
    let letter =
        letter.filter(|letter| letter.task.id == order.task && letter.task.conversation == record.event.conversation);
    let Some(letter) = letter else {
        tracing::info!(task = %order.task, verb = order.verb.as_str(), "the dead letter is gone; nothing is done");
        return commit;
    };
    tracing::info!(task = %order.task, verb = order.verb.as_str(), by = order.by, "a dead letter is dealt with");
    match &order.verb {
        LetterVerb::Retry => {
            commit.settled_letters.push(order.task.clone());
            commit.put_tasks.push(as_new(letter.task, now));
        }
        LetterVerb::Edit { effect } if effect.kind() == letter.task.effect.kind() => {
            commit.dead_letters.push(edited(letter, effect.as_ref().clone()));
        }
        LetterVerb::Edit { effect } => commit.reports.push(mistaken(record, &letter, effect, now)),
        LetterVerb::Drop => commit.settled_letters.push(order.task.clone()),
    }
    commit
}

/// As if it were ordered now. Whether it has happened stays as unknown as it was.
fn as_new(task: Task, now: Timestamp) -> Task {
    Task { attempts: 0, broken: 0, due_at: now, created_at: now, last_error: None, ..task }
}

/// With another effect, of which it is known that it has not happened.
fn edited(letter: DeadLetter, effect: Effect) -> DeadLetter {
    DeadLetter { task: Task { effect, uncertain_since: None, ..letter.task }, ..letter }
}

fn mistaken(record: &EventRecord, letter: &DeadLetter, effect: &Effect, now: Timestamp) -> Report {
    let (is, wanted) = (letter.task.effect.kind(), effect.kind());
    tracing::warn!(task = %letter.task.id, is, wanted, "a dead letter keeps its kind of effect; the edit is not made");
    Report {
        at: now,
        plugin: "patchbay".into(),
        generation: 0,
        event: record.event.id.to_string(),
        cause: "dead-letter".into(),
        detail: format!(
            "the dead letter {} is a `{is}` and cannot become a `{wanted}`: edit its `{is}`, or drop it",
            letter.task.id
        ),
        frames: Vec::new(),
        stderr: String::new(),
    }
}
