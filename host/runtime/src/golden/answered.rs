//! What a plugin answered, beside what it has to answer.

use patchbay_model::Failure;
use patchbay_model::golden::Expected;
use serde_json::Value;

use super::diff;
use crate::contract::Answer;

/// An answer in the form of `expect`.
pub(super) fn written(answer: Answer) -> Expected {
    match answer {
        Answer::Outcome(outcome) => Expected::Outcome { actions: outcome.actions, flow: outcome.flow },
        Answer::Found(found) => Expected::Found(found),
        Answer::Added(added) => Expected::Added(added),
        Answer::Ticket(ticket) => Expected::Ticket(ticket),
        Answer::Snapshot(snapshot) => Expected::Snapshot(snapshot),
        Answer::Activities(activities) => Expected::Activities(activities),
        Answer::Verdict(verdict) => Expected::Verdict(verdict),
    }
}

/// Where an answer is not what was expected.
pub(super) fn against(expect: &Expected, got: &Expected) -> Vec<String> {
    if let Expected::Failure(sort) = expect {
        return vec![format!("expected a failure of the sort `{sort}`, got {}", inner(got))];
    }
    diff::differences("", &inner(expect), &inner(got))
}

/// The same of a failure.
pub(super) fn against_failure(expect: &Expected, failure: &Failure) -> Vec<String> {
    match expect {
        Expected::Failure(expected) if expected == sort(failure) => Vec::new(),
        Expected::Failure(expected) => vec![format!("expected a failure of the sort `{expected}`, got: {failure}")],
        other => vec![format!("expected {}, got a failure: {failure}", kind(other))],
    }
}

/// The word for a failure in a golden event.
pub(super) const fn sort(failure: &Failure) -> &'static str {
    match failure {
        Failure::Retry { .. } => "retry",
        Failure::Permanent { .. } => "permanent",
        Failure::Credential { .. } => "credential",
    }
}

/// What stands behind the key. By way of the text, in which a number has as many places as somebody would write.
fn inner(expected: &Expected) -> Value {
    let text = serde_json::to_string(expected).unwrap_or_default();
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    value.get(expected.key()).cloned().unwrap_or_default()
}

const fn kind(expected: &Expected) -> &'static str {
    match expected {
        Expected::Outcome { .. } => "an outcome",
        Expected::Added(_) => "an entry and its ticket",
        Expected::Found(None) => "to find nothing",
        Expected::Found(Some(_)) => "to find something",
        Expected::Ticket(_) => "a ticket",
        Expected::Snapshot(_) => "a ticket and its entries",
        Expected::Activities(_) => "activities",
        Expected::Verdict(_) => "a verdict",
        Expected::Failure(_) => "a failure",
    }
}
