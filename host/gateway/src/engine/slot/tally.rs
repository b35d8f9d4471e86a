//! How the calls of a generation went: counts and a small histogram, without a lock.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use patchbay_runtime::CallError;

/// Buckets of a doubling of the time: a bucket is at most a quarter wider than where it begins.
const PARTS: usize = 4;
/// Doublings from one microsecond to 134 seconds, which is longer than any call may take.
const DOUBLINGS: usize = 27;
const BUCKETS: usize = DOUBLINGS * PARTS;

/// How the calls of one generation went so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Calls that have ended.
    pub calls: u64,
    /// Calls that were answered with a failure.
    pub failures: u64,
    /// Calls that were not answered: traps, limits, no answer in time.
    pub broken: u64,
    buckets: [u64; BUCKETS],
}

impl Default for Tally {
    fn default() -> Self {
        Self { calls: 0, failures: 0, broken: 0, buckets: [0; BUCKETS] }
    }
}

impl Tally {
    /// The calls that did not do what was asked.
    #[must_use]
    pub const fn failed(&self) -> u64 {
        self.failures.saturating_add(self.broken)
    }

    /// The share of them among all, 0 to 1; 0 where there was no call.
    #[must_use]
    pub fn failure_rate(&self) -> f64 {
        if self.calls == 0 { 0.0 } else { self.failed() as f64 / self.calls as f64 }
    }

    /// The time that this share of the calls (0 to 1) did not exceed; up to a quarter too much. None: there was no call.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let all: u64 = self.buckets.iter().sum();
        let wanted = ((all as f64 * share.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut below = 0;
        self.buckets.iter().enumerate().find_map(|(index, count)| {
            below += count;
            (below >= wanted).then(|| end_of(index))
        })
    }

    /// How many calls took longer than this; one that took up to a quarter longer may be missing.
    #[must_use]
    pub fn slower_than(&self, limit: Duration) -> u64 {
        self.buckets.iter().skip(bucket_of(limit) + 1).sum()
    }

    /// What was added since an earlier tally of the same generation.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut added = self.clone();
        added.calls = added.calls.saturating_sub(earlier.calls);
        added.failures = added.failures.saturating_sub(earlier.failures);
        added.broken = added.broken.saturating_sub(earlier.broken);
        for (count, before) in added.buckets.iter_mut().zip(&earlier.buckets) {
            *count = count.saturating_sub(*before);
        }
        added
    }
}

/// The bucket of a time.
fn bucket_of(time: Duration) -> usize {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
    let doubling = micros.ilog2();
    // The two bits below the highest one.
    let part = if doubling >= 2 { (micros >> (doubling - 2)) & 3 } else { (micros << (2 - doubling)) & 3 };
    let index = doubling as usize * PARTS + part as usize;
    index.min(BUCKETS - 1)
}

/// The time at which a bucket ends.
fn end_of(index: usize) -> Duration {
    let (doubling, part) = (index / PARTS, index % PARTS);
    let quarters = (PARTS + part + 1) as u64;
    Duration::from_micros((quarters << doubling).div_ceil(PARTS as u64))
}

/// Where the calls of one generation are counted.
#[derive(Debug)]
pub(super) struct Counters {
    calls: AtomicU64,
    failures: AtomicU64,
    broken: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            calls: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            buckets: array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

impl Counters {
    /// Takes note of a call.
    pub(super) fn add(&self, error: Option<&CallError>, took: Duration) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match error {
            None => {}
            Some(CallError::Failed(_)) => drop(self.failures.fetch_add(1, Ordering::Relaxed)),
            Some(CallError::Broken(_)) => drop(self.broken.fetch_add(1, Ordering::Relaxed)),
        }
        if let Some(bucket) = self.buckets.get(bucket_of(took)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was counted so far.
    pub(super) fn tally(&self) -> Tally {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let mut buckets = [0; BUCKETS];
        for (copy, count) in buckets.iter_mut().zip(&self.buckets) {
            *copy = read(count);
        }
        Tally { calls: read(&self.calls), failures: read(&self.failures), broken: read(&self.broken), buckets }
    }
}

#[cfg(test)]
mod tests {
    use patchbay_model::Failure;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_counts_and_tells_how_long_calls_took() {
        let counters = Counters::default();
        for millis in 1..=100 {
            counters.add(None, Duration::from_millis(millis));
        }
        let before = counters.tally();
        let failed = CallError::Failed(Failure::retry("no"));
        counters.add(Some(&failed), Duration::from_secs(2));
        let tally = counters.tally();
        assert_eq!((tally.calls, tally.failed()), (101, 1));
        let median = tally.quantile(0.5).unwrap();
        assert!((50..=63).contains(&median.as_millis()), "{median:?}");
        assert_eq!(tally.slower_than(Duration::from_secs(1)), 1);
        let since = tally.since(&before);
        assert_eq!((since.calls, since.failures, since.failure_rate()), (1, 1, 1.0));
        assert!(since.quantile(0.0).unwrap() >= Duration::from_secs(2));
        assert_eq!(Tally::default().quantile(0.5), None);
    }

    proptest! {
        #[test]
        fn a_bucket_ends_at_most_a_quarter_after_the_time(micros in 1_u64..100_000_000) {
            let end = end_of(bucket_of(Duration::from_micros(micros))).as_micros();
            prop_assert!(end >= u128::from(micros) && end * 4 <= u128::from(micros) * 5 + 8, "{micros}: {end}");
        }
    }
}
