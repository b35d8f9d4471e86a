//! What a shadow would have decided, beside what was decided.

use std::collections::VecDeque;

use patchbay_model::{EventId, Outcome, Timestamp};
use patchbay_runtime::CallError;
use serde::Serialize;

use crate::engine::summary;

/// Differences that are kept: enough to see what they have in common.
const KEPT: usize = 20;

/// A shadow beside the generation that decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The shadow's generation.
    pub generation: u64,
    /// The generation that decided.
    pub against: u64,
    /// Events about which both said the same.
    pub same: u64,
    /// Events about which they differ.
    pub different: u64,
    /// Events about which the shadow was not asked, since it was busy with others.
    pub passed_over: u64,
    /// The last differences, newest last.
    pub last: VecDeque<Difference>,
}

/// One event about which a shadow differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which.
    pub event: EventId,
    /// When it was accepted.
    pub at: Timestamp,
    /// What differs, as a sentence without what customers wrote.
    pub what: String,
}

impl Comparison {
    /// One between these generations, with nothing compared yet.
    pub(super) fn of(generation: u64, against: u64) -> Self {
        Self { generation, against, ..Self::default() }
    }

    /// Takes note of one event.
    pub(super) fn add(&mut self, event: EventId, at: Timestamp, difference: Option<String>) {
        let Some(what) = difference else {
            self.same += 1;
            return;
        };
        self.different += 1;
        self.last.push_back(Difference { event, at, what });
        self.last.drain(..self.last.len().saturating_sub(KEPT));
    }
}

/// What one answer has that the other has not; none: nothing.
pub(super) fn difference(active: &Result<Outcome, CallError>, shadow: &Result<Outcome, CallError>) -> Option<String> {
    match (active, shadow) {
        (Ok(active), Ok(shadow)) => summary::difference(active, shadow),
        (Err(_), Err(_)) => None,
        (Ok(_), Err(error)) => Some(format!("it failed ({}), and the active one did not", cause(error))),
        (Err(error), Ok(_)) => Some(format!("it did not fail, and the active one did ({})", cause(error))),
    }
}

fn cause(error: &CallError) -> &'static str {
    match error {
        CallError::Failed(_) => "failure",
        CallError::Broken(report) => report.cause.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_differences_are_kept() {
        let mut comparison = Comparison::of(2, 1);
        for number in 0..50_u8 {
            let event = EventId::derive(&[&[number]]);
            let what = (number % 2 == 1).then(|| number.to_string());
            comparison.add(event, Timestamp::from_millis(1), what);
        }
        assert_eq!((comparison.same, comparison.different, comparison.last.len()), (25, 25, KEPT));
        assert_eq!(comparison.last.back().unwrap().what, "49");
    }
}
