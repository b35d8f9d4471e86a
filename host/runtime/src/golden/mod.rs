//! Golden events: a plugin's vendor writes down what it has to answer, and the real sandbox asks it.
//!
//! A rehearsal is a call like any other, with three things in place of the real world: the golden event's settings, its
//! script in the network's place, and no keys and values. The plugin's clock and randomness come from the event, so that
//! the same plugin answers the same thing each time, and answers are compared whole.

pub(crate) mod diff;

use std::sync::Arc;
use std::time::{Duration, Instant};

use patchbay_model::golden::{Expected, Golden};
use patchbay_model::{Failure, Outcome};
use serde_json::{Value, json};

use crate::call::{Call, HandlerInput, Mode};
use crate::capabilities::config;
use crate::capabilities::script::Script;
use crate::limits;
use crate::plugin::{Plugin, Role};
use crate::report::{CallError, PluginReport};
use crate::state::Stage;

/// Lines of a plugin's standard error in a difference: a panic's message takes two or three.
const LINES: usize = 5;

/// What became of one golden event.
#[derive(Clone, Debug, PartialEq)]
pub struct GoldenResult {
    /// As the golden event names itself.
    pub name: String,
    /// The plugin answered what it has to answer.
    pub passed: bool,
    /// Each as `/actions/0/value: expected …, got …`, with a JSON pointer into `expect.outcome` or into the golden event.
    pub differences: Vec<String>,
    /// What the plugin answered, in the form of `expect`; none where it broke off.
    pub answered: Option<Expected>,
    /// How long the plugin took.
    pub took: Duration,
}

/// Asks the plugin what the golden event asks, and compares.
///
/// The plugin's grants do not count: nothing leaves the sandbox, and each request is answered by the script or refused.
pub async fn rehearse(plugin: &Plugin, golden: &Golden) -> GoldenResult {
    let begun = Instant::now();
    let result = |answered, differences: Vec<String>| GoldenResult {
        name: golden.name.clone(),
        passed: differences.is_empty(),
        differences,
        answered,
        took: begun.elapsed(),
    };
    if !plugin.roles().contains(&Role::Handler) {
        let why = "golden events are for handlers, and this plugin is none";
        return result(None, vec![why.to_owned()]);
    }
    let script = Arc::new(Script::new(&golden.http));
    let stage = Stage { settings: Arc::new(config::variables(&golden.settings)), script: Arc::clone(&script) };
    let input = HandlerInput {
        event: golden.event.clone(),
        conversation: golden.conversation.clone(),
        tickets: golden.tickets.clone(),
    };
    let call = Call {
        subject: golden.event.id.to_string(),
        attempt: 1,
        now: golden.event.received_at,
        deterministic: true,
        timeout: limits::WALL,
        mode: Mode::Rehearsal,
        desk: None,
    };
    let (answered, mut differences) = match plugin.rehearse(&input, &call, stage).await {
        Ok(outcome) => {
            let differences = against_outcome(&golden.expect, &outcome);
            (Some(Expected::Outcome { actions: outcome.actions, flow: outcome.flow }), differences)
        }
        Err(CallError::Failed(failure)) => {
            (Some(Expected::Failure(sort(&failure).to_owned())), against_failure(&golden.expect, &failure))
        }
        Err(CallError::Broken(report)) => (None, vec![broken(&report)]),
    };
    differences.extend(script.differences());
    result(answered, differences)
}

fn against_outcome(expect: &Expected, outcome: &Outcome) -> Vec<String> {
    match expect {
        Expected::Outcome { actions, flow } => {
            diff::differences("", &json!({ "actions": actions, "flow": flow }), &whole(outcome))
        }
        Expected::Failure(sort) => vec![format!("expected a failure of the sort `{sort}`, got {}", whole(outcome))],
    }
}

fn whole(outcome: &Outcome) -> Value {
    json!({ "actions": outcome.actions, "flow": outcome.flow })
}

fn against_failure(expect: &Expected, failure: &Failure) -> Vec<String> {
    match expect {
        Expected::Failure(expected) if expected == sort(failure) => Vec::new(),
        Expected::Failure(expected) => vec![format!("expected a failure of the sort `{expected}`, got: {failure}")],
        Expected::Outcome { .. } => vec![format!("expected an outcome, got a failure: {failure}")],
    }
}

/// The word for a failure in a golden event.
const fn sort(failure: &Failure) -> &'static str {
    match failure {
        Failure::Retry { .. } => "retry",
        Failure::Permanent { .. } => "permanent",
        Failure::Credential { .. } => "credential",
    }
}

/// The report in a few lines, with what the plugin printed last: there the reason stands most often.
fn broken(report: &PluginReport) -> String {
    let mut text = format!("it broke off: {} [{}]", report.detail, report.cause);
    let said: Vec<&str> = report.stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    for line in said.iter().skip(said.len().saturating_sub(LINES)) {
        text.push_str("\n    ");
        text.push_str(line);
    }
    text
}
