//! The native function: the model in and out, without any sandbox.

use anyhow::Result;
use patchbay_model::{Action, Assignment, Flow, Outcome, Priority};
use patchbay_runtime::HandlerInput;
use routing::{ATTRIBUTE, Settings};

use crate::workload;

/// Decides about an event. The settings are parsed each time, as a fresh sandbox has to.
///
/// # Errors
/// When the settings are none, or the event is no text message.
pub(crate) fn handle(settings: &str, input: &HandlerInput) -> Result<Outcome> {
    let settings: Settings = serde_json::from_str(settings)?;
    let decision = settings.decide(workload::text(input)?);
    let assignment = Assignment {
        queue: decision.queue.to_owned(),
        tier: decision.tier,
        priority: match decision.priority {
            routing::Priority::Low => Priority::Low,
            routing::Priority::Normal => Priority::Normal,
            routing::Priority::High => Priority::High,
            routing::Priority::Urgent => Priority::Urgent,
        },
        reason: decision.reason.clone(),
    };
    let word = Action::SetAttribute(ATTRIBUTE.to_owned(), Some(decision.word.to_owned()));
    let actions = vec![Action::Assign(assignment), word, Action::Note(decision.reason.into())];
    Ok(Outcome { actions, flow: Flow::Next })
}
