//! When a task is tried again, and when it is given up.

use std::time::Duration;

use patchbay_model::{Task, Timestamp};
use rand::RngExt;

use crate::config::Retry;

/// The pause before the try after `attempts` failed ones: shortened by a random share of it, so that tasks that failed
/// together do not come back together.
#[must_use]
pub fn pause(retry: &Retry, attempts: u32) -> Duration {
    let share = rand::rng().random_range(0.0..=1.0) * retry.jitter.clamp(0.0, 1.0);
    retry.wait_after(attempts).mul_f64(1.0 - share)
}

/// Whether a task that has just failed is given up.
#[must_use]
pub fn is_over(retry: &Retry, task: &Task, now: Timestamp) -> bool {
    now.since(task.created_at) >= retry.give_up_after.get()
        || retry.attempts.is_some_and(|attempts| task.attempts >= attempts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_vary_within_the_share_that_is_drawn() {
        let retry = Retry { jitter: 0.5, ..Retry::default() };
        let pauses: Vec<f64> = (0..50).map(|_| pause(&retry, 5).as_secs_f64()).collect();
        assert!(pauses.iter().all(|pause| (8.0..=16.0).contains(pause)), "{pauses:?}");
        assert!(pauses.iter().any(|pause| Some(pause) != pauses.first()));
        let steady = Retry { jitter: 0.0, ..Retry::default() };
        assert_eq!(pause(&steady, 3), Duration::from_secs(4));
    }
}
