//! A lane's gate: open while the target works, shut for a while when it does not (a circuit breaker).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Failures in a row, over all conversations, after which the target is taken to be down. A few failing tickets do not
/// reach it, since other tickets succeed between them.
const FAILURES: u32 = 12;
/// The first pause of a target that is down; it doubles while the probe fails.
const DOWN_FIRST: Duration = Duration::from_secs(2);
/// The longest pause of a target that is down: how long its return goes unnoticed.
const DOWN_LONGEST: Duration = Duration::from_secs(60);
/// The first pause of a credential that does not work: an operator has to act, but a token that is being rotated works
/// again by itself.
const REFUSED_FIRST: Duration = Duration::from_secs(15);
/// The longest pause of a credential that does not work.
const REFUSED_LONGEST: Duration = Duration::from_secs(300);

/// How a call to the target went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It answered, whatever it said about the one task.
    Works,
    /// It did not answer as it should.
    Down(String),
    /// It refused our credential.
    Refused(String),
}

#[derive(Debug)]
enum State {
    Working { failures: u32 },
    Shut { until: Instant, pause: Duration, reason: String, refused: bool },
    Probing { pause: Duration, reason: String, refused: bool },
}

/// A lane's gate.
#[derive(Debug)]
pub struct Gate {
    state: Mutex<State>,
    changed: Notify,
}

impl Default for Gate {
    fn default() -> Self {
        Self { state: Mutex::new(State::Working { failures: 0 }), changed: Notify::new() }
    }
}

impl Gate {
    /// Waits until a call may be made. After a pause one call is let through to see; the others wait for its verdict.
    pub async fn pass(&self) {
        loop {
            let changed = self.changed.notified();
            let until = {
                let mut state = self.lock();
                match &mut *state {
                    State::Working { .. } => return,
                    State::Shut { until, pause, reason, refused } if *until <= Instant::now() => {
                        let reason = std::mem::take(reason);
                        *state = State::Probing { pause: *pause, reason, refused: *refused };
                        return;
                    }
                    State::Shut { until, .. } => Some(*until),
                    State::Probing { .. } => None,
                }
            };
            match until {
                Some(until) => {
                    tokio::select! {
                        () = changed => {}
                        () = tokio::time::sleep_until(until) => {}
                    }
                }
                None => changed.await,
            }
        }
    }

    /// Takes note of how a call went. `true`: the gate has just been shut.
    pub fn record(&self, verdict: Verdict) -> bool {
        let mut state = self.lock();
        let next = match (&*state, verdict) {
            (_, Verdict::Works) => State::Working { failures: 0 },
            (State::Working { failures }, Verdict::Down(_)) if failures + 1 < FAILURES => {
                State::Working { failures: failures + 1 }
            }
            (State::Shut { .. }, Verdict::Down(_) | Verdict::Refused(_)) => return false,
            (before, Verdict::Down(reason)) => shut(before, reason, false, DOWN_FIRST, DOWN_LONGEST),
            (before, Verdict::Refused(reason)) => shut(before, reason, true, REFUSED_FIRST, REFUSED_LONGEST),
        };
        let shut = matches!(next, State::Shut { .. });
        *state = next;
        drop(state);
        self.changed.notify_waiters();
        shut
    }

    /// A call that was let through was not made: somebody else may try.
    pub fn give_back(&self) {
        let mut state = self.lock();
        if let State::Probing { pause, reason, refused } = &mut *state {
            let reason = std::mem::take(reason);
            *state = State::Shut { until: Instant::now(), pause: *pause, reason, refused: *refused };
            drop(state);
            self.changed.notify_waiters();
        }
    }

    /// Why the gate is shut, if it is, and whether it is the credential.
    pub fn trouble(&self) -> Option<(String, bool)> {
        match &*self.lock() {
            State::Working { .. } => None,
            State::Shut { reason, refused, .. } | State::Probing { reason, refused, .. } => {
                Some((reason.clone(), *refused))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shut(before: &State, reason: String, refused: bool, first: Duration, longest: Duration) -> State {
    let pause = match before {
        State::Probing { pause, .. } => pause.saturating_mul(2).clamp(first, longest),
        _ => first,
    };
    State::Shut { until: Instant::now() + pause, pause, reason, refused }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_shuts_after_failures_in_a_row_and_lets_one_probe_through() {
        let gate = Gate::default();
        for _ in 1..FAILURES {
            assert!(!gate.record(Verdict::Down("503".into())));
        }
        gate.record(Verdict::Works);
        for _ in 1..FAILURES {
            assert!(!gate.record(Verdict::Down("503".into())), "a success starts the count again");
        }
        assert!(gate.record(Verdict::Down("503".into())));
        assert_eq!(gate.trouble(), Some(("503".into(), false)));

        let before = Instant::now();
        gate.pass().await;
        assert!(before.elapsed() >= DOWN_FIRST, "the probe waits for the pause");
        let second = tokio::time::timeout(Duration::from_secs(600), gate.pass()).await;
        assert!(second.is_err(), "the others wait for the probe's verdict");
        gate.record(Verdict::Works);
        gate.pass().await;
        assert_eq!(gate.trouble(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_credential_shuts_it_at_once_and_longer_each_time() {
        let gate = Gate::default();
        assert!(gate.record(Verdict::Refused("190".into())));
        let start = Instant::now();
        gate.pass().await;
        assert!(start.elapsed() >= REFUSED_FIRST);
        assert!(gate.record(Verdict::Refused("190".into())));
        let start = Instant::now();
        gate.pass().await;
        assert!(start.elapsed() >= REFUSED_FIRST * 2);
    }
}
