//! A new generation that is worse than the one before goes back by itself.
//!
//! Each node judges by the calls that it has seen itself. A generation is worse when it breaks a rule and does so more than
//! the one that it stands beside, or came after: where both fail, the reason is outside of them.

use std::collections::{BTreeMap, VecDeque};

use patchbay_model::Timestamp;
use tokio::time::Instant;

use super::record::Record;
use crate::config::Watch;
use crate::engine::slot::{Slot, Tally};

/// Tallies that are kept of one window: one more or less of them is a thirtieth of it.
const LOOKS: u32 = 30;

/// What one node has seen of a deployment's generations lately.
#[derive(Debug, Default)]
pub(super) struct Watcher {
    looks: VecDeque<(Instant, BTreeMap<u64, Tally>)>,
    /// What was active when it was looked at last.
    active: Option<u64>,
    /// One that stays, however it does: what there was before it may not run.
    left: Option<u64>,
}

impl Watcher {
    /// Another record counts: what was seen of others says nothing about what is new.
    pub(super) fn begin(&mut self, record: &Record) {
        if self.active != record.active {
            self.active = record.active;
            self.looks.clear();
            self.left = None;
        }
    }

    /// This generation is judged no more, as long as it is the active one.
    pub(super) fn leave(&mut self, generation: u64) {
        self.left = Some(generation);
    }

    /// Takes note of how it goes, and says which generation has to go back, and why.
    pub(super) fn look(
        &mut self,
        record: &Record,
        slot: &Slot,
        rules: &Watch,
        now: Timestamp,
    ) -> Option<(u64, String)> {
        let active = record.active?;
        let canary = record.canary().map(|(canary, _)| canary.number);
        let numbers = [Some(active), canary, record.previous].into_iter().flatten();
        let tallies: BTreeMap<u64, Tally> = numbers.filter_map(|number| Some((number, slot.tally(number)?))).collect();
        let begun = self.window(rules, &tallies);
        let lately = |number: u64| {
            let tally = tallies.get(&number)?;
            Some(begun.get(&number).map_or_else(|| tally.clone(), |before| tally.since(before)))
        };
        if let Some(canary) = canary {
            let beside = lately(active).unwrap_or_default();
            let worse = lately(canary).and_then(|seen| worse(&seen, &beside, rules));
            if let Some(why) = worse {
                return Some((canary, format!("{why}; generation {active} beside it: {}", rate(&beside))));
            }
        }
        let previous = record.previous?;
        let young = record.active_since.is_some_and(|since| now.since(since) < rules.watch_for);
        if !record.watched || !young || self.left == Some(active) {
            return None;
        }
        // All that is known of it: it may have stopped minutes ago.
        let before = tallies.get(&previous).cloned().unwrap_or_default();
        let why = worse(&lately(active)?, &before, rules)?;
        Some((active, format!("{why}; generation {previous} before it: {}", rate(&before))))
    }

    /// The tallies as they were when the window began.
    fn window(&mut self, rules: &Watch, tallies: &BTreeMap<u64, Tally>) -> BTreeMap<u64, Tally> {
        let now = Instant::now();
        if self.looks.back().is_none_or(|(at, _)| now - *at >= rules.window / LOOKS) {
            self.looks.push_back((now, tallies.clone()));
        }
        // The last look that is as old as the window stays: the window begins there.
        while self.looks.get(1).is_some_and(|(at, _)| now - *at >= rules.window) {
            self.looks.pop_front();
        }
        let begun = self.looks.front().filter(|(at, _)| now - *at >= rules.window);
        begun.map(|(_, tallies)| tallies.clone()).unwrap_or_default()
    }
}

/// The rule that a generation breaks, more than the other one does.
fn worse(seen: &Tally, other: &Tally, rules: &Watch) -> Option<String> {
    if seen.calls < rules.min_calls {
        return None;
    }
    let allowed = rules.max_failure_rate;
    if seen.failure_rate() * 100.0 > allowed.as_percent() && seen.failure_rate() > other.failure_rate() {
        return Some(format!("{}, and {allowed} are allowed", rate(seen)));
    }
    let limit = rules.max_p99?;
    // By count: a quantile of the histogram is up to a quarter too long.
    let slow = |tally: &Tally| tally.slower_than(limit) as f64 / (tally.calls.max(1)) as f64;
    if slow(seen) > 0.01 && slow(seen) > slow(other) {
        let count = seen.slower_than(limit);
        return Some(format!("{count} of {} calls took longer than {limit:?}, and 1 of 100 may", seen.calls));
    }
    None
}

/// `3 of 20 calls failed (15%)`
fn rate(tally: &Tally) -> String {
    match tally.calls {
        0 => "no calls".into(),
        calls => format!("{} of {calls} calls failed ({:.0}%)", tally.failed(), tally.failure_rate() * 100.0),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use patchbay_artefact::Digest;
    use patchbay_model::Failure;
    use patchbay_runtime::CallError;

    use super::*;
    use crate::config::{Period, Rules, Share};
    use crate::deploy::asks::Asks;
    use crate::deploy::record::{Configured, Origin, Rollout, Trust};
    use crate::deploy::section::Section;
    use crate::deploy::state::{By, Draft};
    use crate::engine::slot::Running;
    use crate::engine::slot::tests::Scripted;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// Two generations, the second one begun so.
    fn record(rollout: Rollout) -> Record {
        let by = By { who: "ada".into(), at: at(0) };
        let draft = |origin| Draft {
            digest: Digest::of(b"x"),
            size: 1,
            source: "file:x".into(),
            verified: String::new(),
            trust: Trust::Sent,
            manifest: None,
            section: Section::default(),
            asks: Asks::default(),
            origin,
        };
        let first = draft(Origin::Configuration);
        let configured = Configured { source: "file:x".into(), digest: first.digest, hash: first.section.hash() };
        let record = Record::default().configured(first, configured, &by);
        record.deployed(draft(Origin::Operator { subject: "ada".into() }), rollout, &by).unwrap()
    }

    /// Calls of a generation: so many, so many of them failed, each so long.
    fn calls(slot: &Slot, generation: u64, count: u32, failed: u32, took: Duration) {
        slot.swap(Running::only(Arc::new(Scripted::generation(generation))));
        let error = CallError::Failed(Failure::retry("no"));
        for number in 0..count {
            slot.pin_active().observe((number < failed).then_some(&error), took);
        }
    }

    fn slot() -> Slot {
        Slot::new("router", Running::only(Arc::new(Scripted::generation(1))))
    }

    fn rules() -> Watch {
        let rules = Rules { max_p99: Some(Period::millis(100)), ..Rules::default() };
        rules.or(&Rules { min_calls: Some(10), ..Rules::default() })
    }

    const QUICK: Duration = Duration::from_millis(1);
    const SLOW: Duration = Duration::from_millis(400);

    #[tokio::test(start_paused = true)]
    async fn one_that_fails_more_than_the_one_before_has_to_go_back() {
        let (record, slot) = (record(Rollout::Full), slot());
        calls(&slot, 1, 100, 1, QUICK);
        let mut watcher = Watcher::default();
        calls(&slot, 2, 9, 9, QUICK);
        assert_eq!(watcher.look(&record, &slot, &rules(), at(1000)), None, "too few to say");
        calls(&slot, 2, 1, 1, QUICK);
        let (suspect, why) = watcher.look(&record, &slot, &rules(), at(1000)).unwrap();
        assert_eq!(suspect, 2);
        assert_eq!(
            why,
            "10 of 10 calls failed (100%), and 20% are allowed; generation 1 before it: 1 of 100 calls failed (1%)"
        );
        // Nobody watches it for ever, nor one that somebody went back to.
        assert_eq!(watcher.look(&record, &slot, &rules(), at(16 * 60 * 1000)), None);
        let unwatched = Record { watched: false, ..record };
        assert_eq!(watcher.look(&unwatched, &slot, &rules(), at(1000)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn where_both_fail_the_reason_is_elsewhere() {
        let (record, slot) = (record(Rollout::Full), slot());
        calls(&slot, 1, 100, 90, SLOW);
        calls(&slot, 2, 20, 10, SLOW);
        assert_eq!(Watcher::default().look(&record, &slot, &rules(), at(1000)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_slow_has_to_go_back() {
        let (record, slot) = (record(Rollout::Full), slot());
        calls(&slot, 1, 100, 0, QUICK);
        calls(&slot, 2, 20, 0, SLOW);
        let (suspect, why) = Watcher::default().look(&record, &slot, &rules(), at(1000)).unwrap();
        assert!(suspect == 2 && why.starts_with("20 of 20 calls took longer than 100ms"), "{why}");
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_is_in_the_window_counts() {
        let (record, slot) = (record(Rollout::Full), slot());
        let mut watcher = Watcher::default();
        calls(&slot, 2, 9, 9, QUICK);
        assert_eq!(watcher.look(&record, &slot, &rules(), at(1000)), None);
        for _ in 0..70 {
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!(watcher.look(&record, &slot, &rules(), at(2000)), None);
        }
        // The nine failures are past: of the last minute's calls a tenth failed.
        calls(&slot, 2, 20, 2, QUICK);
        assert_eq!(watcher.look(&record, &slot, &rules(), at(3000)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_canary_is_held_against_the_active_one() {
        let share = Share::percent(10.0).unwrap();
        let (record, slot) = (record(Rollout::Canary { share }), slot());
        calls(&slot, 1, 100, 5, QUICK);
        calls(&slot, 2, 20, 10, QUICK);
        // However old: a canary is always watched.
        let (suspect, why) = Watcher::default().look(&record, &slot, &rules(), at(u64::MAX / 2)).unwrap();
        assert!(suspect == 2 && why.contains("generation 1 beside it: 5 of 100"), "{why}");
    }
}
