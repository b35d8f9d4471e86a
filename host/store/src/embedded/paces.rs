//! Turns of what has a pace, in memory: there is no other node to share them with.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Pace;

/// Keys beyond which those that are at rest are forgotten.
const KEYS: usize = 4_096;

/// The theoretical arrival time (TAT) of each key's next turn.
#[derive(Debug, Default)]
pub(super) struct Paces {
    next: Mutex<HashMap<String, Instant>>,
}

impl Paces {
    /// Takes the next turn, and gives how long to wait for it.
    pub(super) fn turn(&self, key: &str, pace: Pace) -> Duration {
        let now = Instant::now();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if next.len() >= KEYS {
            // At rest: as if it had never had a turn.
            next.retain(|_, tat| *tat > now);
        }
        let tat = next.get(key).copied().unwrap_or(now).max(now);
        next.insert(key.to_owned(), tat + pace.interval);
        let allowance = pace.interval.saturating_mul(pace.burst.saturating_sub(1));
        tat.saturating_duration_since(now).saturating_sub(allowance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_then_turns_keep_their_interval() {
        let paces = Paces::default();
        let pace = Pace { interval: Duration::from_secs(10), burst: 3 };
        for _ in 0..3 {
            assert_eq!(paces.turn("a", pace), Duration::ZERO);
        }
        let fourth = paces.turn("a", pace);
        assert!(fourth > Duration::from_secs(9) && fourth <= Duration::from_secs(10), "{fourth:?}");
        assert!(paces.turn("a", pace) > Duration::from_secs(19));
        assert_eq!(paces.turn("b", pace), Duration::ZERO, "keys have nothing to do with each other");
    }
}
