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

#[derive(Debug)]
struct Inner {
    state: State,
    /// How often it has been shut: what a call says that began before the last time is old news.
    shut: u64,
    /// How many calls have worked.
    worked: u64,
}

/// A lane's gate.
#[derive(Debug)]
pub struct Gate {
    inner: Mutex<Inner>,
    changed: Notify,
}

/// The leave to make one call. Dropped without a verdict, it lets somebody else try.
#[derive(Debug)]
pub struct Pass<'a> {
    gate: &'a Gate,
    shut: u64,
    open: bool,
}

impl Default for Gate {
    fn default() -> Self {
        let inner = Inner { state: State::Working { failures: 0 }, shut: 0, worked: 0 };
        Self { inner: Mutex::new(inner), changed: Notify::new() }
    }
}

impl Gate {
    /// Waits until [`Gate::try_pass`] is worth asking.
    pub async fn opened(&self) {
        loop {
            let changed = self.changed.notified();
            let until = match &self.lock().state {
                State::Working { .. } => return,
                State::Shut { until, .. } if *until <= Instant::now() => return,
                State::Shut { until, .. } => Some(*until),
                State::Probing { .. } => None,
            };
            match until {
                Some(until) => {
                    tokio::select! {
                        biased;
                        () = changed => {}
                        () = tokio::time::sleep_until(until) => {}
                    }
                }
                None => changed.await,
            }
        }
    }

    /// The leave to make a call. After a pause only one call gets it, to see; the others wait for its verdict.
    pub fn try_pass(&self) -> Option<Pass<'_>> {
        let mut inner = self.lock();
        match &mut inner.state {
            State::Working { .. } => {}
            State::Shut { until, pause, reason, refused } if *until <= Instant::now() => {
                let reason = std::mem::take(reason);
                inner.state = State::Probing { pause: *pause, reason, refused: *refused };
            }
            State::Shut { .. } | State::Probing { .. } => return None,
        }
        Some(Pass { gate: self, shut: inner.shut, open: true })
    }

    /// Ends the pause: the next call is the one that sees.
    pub fn try_now(&self) {
        if let State::Shut { until, .. } = &mut self.lock().state {
            *until = Instant::now();
        }
        self.changed.notify_waiters();
    }

    /// How many calls have worked since the start.
    pub fn worked(&self) -> u64 {
        self.lock().worked
    }

    /// Why the gate is shut, if it is, and whether it is the credential.
    pub fn trouble(&self) -> Option<(String, bool)> {
        match &self.lock().state {
            State::Working { .. } => None,
            State::Shut { reason, refused, .. } | State::Probing { reason, refused, .. } => {
                Some((reason.clone(), *refused))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// Takes note of how the call went. `true`: the gate has just been shut.
    pub fn record(mut self, verdict: Verdict) -> bool {
        self.open = false;
        let mut inner = self.gate.lock();
        if verdict == Verdict::Works {
            inner.worked += 1;
        }
        if inner.shut != self.shut {
            return false;
        }
        inner.state = match (&inner.state, verdict) {
            (_, Verdict::Works) => State::Working { failures: 0 },
            (State::Working { failures }, Verdict::Down(_)) if failures + 1 < FAILURES => {
                State::Working { failures: failures + 1 }
            }
            (before, Verdict::Down(reason)) => shut(before, reason, false, DOWN_FIRST, DOWN_LONGEST),
            (before, Verdict::Refused(reason)) => shut(before, reason, true, REFUSED_FIRST, REFUSED_LONGEST),
        };
        let shut = matches!(inner.state, State::Shut { .. });
        inner.shut += u64::from(shut);
        drop(inner);
        self.gate.changed.notify_waiters();
        shut
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        let mut inner = self.gate.lock();
        if inner.shut != self.shut {
            return;
        }
        if let State::Probing { pause, reason, refused } = &mut inner.state {
            let reason = std::mem::take(reason);
            inner.state = State::Shut { until: Instant::now(), pause: *pause, reason, refused: *refused };
            drop(inner);
            self.gate.changed.notify_waiters();
        }
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

    fn down() -> Verdict {
        Verdict::Down("503".into())
    }

    fn record(gate: &Gate, verdict: Verdict) -> bool {
        gate.try_pass().expect("a pass").record(verdict)
    }

    #[tokio::test(start_paused = true)]
    async fn it_shuts_after_failures_in_a_row_and_lets_one_probe_through() {
        let gate = Gate::default();
        for _ in 1..FAILURES {
            assert!(!record(&gate, down()));
        }
        record(&gate, Verdict::Works);
        for _ in 1..FAILURES {
            assert!(!record(&gate, down()), "a success starts the count again");
        }
        assert!(record(&gate, down()));
        assert_eq!(gate.trouble(), Some(("503".into(), false)));
        assert!(gate.try_pass().is_none());

        let before = Instant::now();
        gate.opened().await;
        assert!(before.elapsed() >= DOWN_FIRST, "the probe waits for the pause");
        let probe = gate.try_pass().expect("the probe");
        assert!(gate.try_pass().is_none(), "the others wait for its verdict");
        probe.record(Verdict::Works);
        assert!(gate.try_pass().is_some());
        assert_eq!(gate.trouble(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_credential_shuts_it_at_once_and_longer_each_time() {
        let gate = Gate::default();
        let refused = || Verdict::Refused("190".into());
        assert!(record(&gate, refused()));
        let start = Instant::now();
        gate.opened().await;
        assert!(start.elapsed() >= REFUSED_FIRST);
        assert!(record(&gate, refused()));
        let start = Instant::now();
        gate.opened().await;
        assert!(start.elapsed() >= REFUSED_FIRST * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn it_can_be_tried_before_its_pause_is_over() {
        let gate = Gate::default();
        gate.try_now();
        assert!(record(&gate, Verdict::Refused("190".into())));
        assert!(gate.try_pass().is_none());
        gate.try_now();
        gate.opened().await;
        gate.try_pass().expect("the probe").record(Verdict::Works);
        assert_eq!(gate.trouble(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_not_made_lets_another_try_and_old_news_do_not_open_it() {
        let gate = Gate::default();
        let straggler = gate.try_pass().expect("a pass");
        assert!(record(&gate, Verdict::Refused("190".into())));
        straggler.record(Verdict::Works);
        assert!(gate.trouble().is_some(), "a call that began before says nothing about now");
        assert_eq!(gate.worked(), 1);
        gate.opened().await;
        drop(gate.try_pass().expect("the probe"));
        gate.opened().await;
        assert!(gate.try_pass().is_some());
    }
}
