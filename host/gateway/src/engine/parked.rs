//! Events that were put aside since a step failed, decided anew on an operator's order.
//!
//! The order is an event of the conversation, and the decision is made in its place: in order with the others, and once,
//! however often the order arrives. What was said stands in the conversation since the event itself was handled; only what
//! the chain wants is new.

use std::sync::Arc;

use patchbay_model::event::LetterOrder;
use patchbay_model::{Conversation, Event, EventId};
use patchbay_store::{Commit, EventRecord, Report, Versioned};

use super::course::Course;
use super::decide::{Committed, Undecided, ask, commit};
use super::decision::{Weighed, record_of, weigh};
use super::owner::Owner;
use super::plan::{Configured, Plan, Policy};

/// Decides about `event`, which the dead letter of `order` put aside. `record` is the order itself.
pub(super) async fn decide_anew(
    owner: &Arc<Owner>,
    record: &EventRecord,
    order: &LetterOrder,
    event: &EventId,
    course: &Course,
) -> Result<Committed, Undecided> {
    let store = &owner.shared().store;
    let (event, known) = match find(owner, record, event).await? {
        Ok(found) => found,
        Err(reason) => return commit(owner, refusal(record, order, reason, course, owner)).await,
    };
    tracing::info!(event = %event.id, task = %order.task, by = order.by, "an event that was put aside is decided anew");
    let now = store.now();
    let id = &record.event.conversation;
    let desks = &known.value.desks;
    let links = if desks.is_empty() { Vec::new() } else { store.links(id).await? };
    let routing = &course.routing;
    let mut plan = Plan::new(record, known.value, links, Configured::of(routing), now).about(&event);
    for report in &course.reports {
        plan.report(report.clone());
    }
    let weighed = weigh(&routing.chains, &event, &plan.conversation);
    let asked = ask(owner, course, weighed.as_ref(), &mut plan, &event).await?;
    let fallback = weighed.as_ref().and_then(Weighed::fallback);
    plan.conclude_anew(Policy { read_receipts: false, fallback }, asked.end, &event.body);
    let remarks = plan.remarks();
    let mut whole = plan.into_commit(known.version);
    if !asked.parked {
        whole.settled_letters.push(order.task.clone());
    }
    whole.decision = weighed.map(|weighed| record_of(owner, course, &event.id, weighed, asked.steps, remarks));
    commit(owner, whole).await
}

/// The event and the conversation that it is to be decided in, or why it cannot be.
async fn find(
    owner: &Owner,
    record: &EventRecord,
    event: &EventId,
) -> Result<Result<(Event, Versioned<Conversation>), String>, Undecided> {
    let store = &owner.shared().store;
    let id = &record.event.conversation;
    let Some(found) = store.event(event).await? else {
        return Ok(Err(format!("the event {event} is no longer kept: drop the dead letter")));
    };
    if found.event.conversation != *id {
        return Ok(Err(format!("the event {event} is of another conversation: edit the dead letter back, or drop it")));
    }
    Ok(match store.conversation(id).await? {
        Some(known) => match &known.value.joined {
            None => Ok((found.event, known)),
            Some(into) => Err(format!(
                "the conversation goes on in {into}: `patchbay journal replay {event} --as-new` hands the event to it; \
                 drop the dead letter then"
            )),
        },
        None => Err("the conversation is no longer kept: drop the dead letter".into()),
    })
}

/// The commit that leaves the dead letter as it is, and says why.
fn refusal(record: &EventRecord, order: &LetterOrder, reason: String, course: &Course, owner: &Owner) -> Commit {
    tracing::warn!(task = %order.task, reason, "an event that was put aside cannot be decided anew");
    let report = Report {
        at: owner.shared().store.now(),
        plugin: "patchbay".into(),
        generation: 0,
        event: record.event.id.to_string(),
        cause: "dead-letter".into(),
        detail: format!("the dead letter {} cannot be tried again: {reason}", order.task),
        frames: Vec::new(),
        stderr: String::new(),
    };
    let reports = course.reports.iter().cloned().chain([report]).collect();
    Commit { handled: Some(record.position), reports, ..Commit::default() }
}
