//! Events that are put aside, since a step that must not be passed over has failed.

use patchbay_model::task::{DeadLetter, Lane};
use patchbay_model::{Effect, EventId, Task, TaskId};
use patchbay_store::Report;

use super::{Plan, TASKS_PER_EVENT_BITS};

impl Plan<'_> {
    /// Puts an event aside as a dead letter, which an operator can have decided anew. `report` says why. Nobody is told by
    /// an event: a chain that fails on it would put that aside, too, and so on.
    pub fn park(&mut self, event: &EventId, chain: &str, report: Report) {
        let id = TaskId::derive(&[b"parked", event.as_str().as_bytes()]);
        let Report { plugin, cause, detail, .. } = &report;
        let reason = format!("the step `{plugin}` of the chain `{chain}` failed ({cause}): {detail}");
        tracing::error!(%event, task = %id, chain, plugin, cause, "an event is put aside; it is a dead letter now");
        self.remarks.push(format!("put aside: `patchbay dead-letters retry {id}` has it decided anew"));
        let task = Task {
            id,
            lane: Lane::Conversations,
            conversation: self.conversation.id.clone(),
            event: event.clone(),
            sequence: self.record.position.0 << TASKS_PER_EVENT_BITS,
            effect: Effect::Decide { event: event.clone() },
            attempts: 0,
            broken: 0,
            due_at: self.now,
            created_at: self.now,
            uncertain_since: None,
            late: Vec::new(),
            aside: true,
            last_error: Some(reason.clone()),
        };
        self.dead_letters.push(DeadLetter { task, reason, died_at: self.now });
        self.report(report);
    }
}
