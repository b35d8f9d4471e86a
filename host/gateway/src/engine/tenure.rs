//! A lease as this node may rely on it: by its own steady clock, counted from before the lease was asked for.
//!
//! The store fences what a former owner writes. What it cannot fence is an effect on the outside world, so a node that was
//! paused must find out by itself that its time is over, before it does anything else: everything that works on a partition
//! runs inside [`Tenure::while_held`], which looks at the clock each time before the work goes on.

use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use patchbay_store::{Lease, Store, StoreError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A lease is renewed when this share of its time is over: two more tries are left then.
const RENEWED_AT: u32 = 3;
/// A renewal that failed is tried again after this share of the lease's time.
const TRIED_AGAIN_AT: u32 = 10;

/// Why a node may no longer rely on a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It gave the partition up, or dropped what it had in memory.
    Dropped,
    /// The store says that it is another node's.
    Fenced,
    /// It could not be renewed in time.
    Expired,
}

#[derive(Debug)]
struct State {
    /// By the steady clock. `None`: as long as the process.
    until: Option<Instant>,
    ended: Option<Ended>,
}

/// A lease, and until when this node may rely on it.
#[derive(Debug)]
pub struct Tenure {
    lease: Lease,
    lasts: Option<Duration>,
    state: Mutex<State>,
    over: CancellationToken,
}

impl Tenure {
    /// A lease that was asked for at `asked` and lasts so long. When `over` is cancelled, it ends.
    #[must_use]
    pub fn new(lease: Lease, asked: Instant, lasts: Option<Duration>, over: CancellationToken) -> Self {
        let state = State { until: lasts.map(|lasts| asked + lasts), ended: None };
        Self { lease, lasts, state: Mutex::new(state), over }
    }

    /// The right to write the partition.
    #[must_use]
    pub const fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Whether the node may rely on it now. Once `false`, always `false`.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.ended().is_none()
    }

    /// Why it may not rely on it any more.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.ended.is_none() {
            if self.over.is_cancelled() {
                state.ended = Some(Ended::Dropped);
            } else if state.until.is_some_and(|until| Instant::now() >= until) {
                state.ended = Some(Ended::Expired);
            } else {
                return None;
            }
        }
        let ended = state.ended;
        drop(state);
        self.over.cancel();
        ended
    }

    /// Ends it.
    pub fn end(&self, why: Ended) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).ended.get_or_insert(why);
        self.over.cancel();
    }

    /// Waits until it has ended; when nobody [keeps](Self::keep) it, that is not noticed by itself.
    pub async fn over(&self) {
        self.over.cancelled().await;
    }

    /// Works while the node may rely on the lease: before each step the clock is looked at, and what is not finished when
    /// its time is over is dropped where it stands. `None`: it was dropped.
    pub async fn while_held<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let (mut work, mut over) = (pin!(work), pin!(self.over.cancelled()));
        std::future::poll_fn(|context| {
            if !self.holds() || over.as_mut().poll(context).is_ready() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(context).map(Some)
        })
        .await
    }

    /// Renews the lease until it has ended, and ends it when it could not be renewed in time.
    pub async fn keep(&self, store: &dyn Store) {
        let Some(lasts) = self.lasts else { return self.over().await };
        let mut pause = lasts / RENEWED_AT;
        loop {
            tokio::select! {
                biased;
                () = self.over() => return,
                () = tokio::time::sleep(pause) => {}
            }
            if !self.holds() {
                return;
            }
            let asked = Instant::now();
            let until = self.until().unwrap_or(asked);
            let renewed = tokio::select! {
                biased;
                () = self.over() => return,
                renewed = tokio::time::timeout_at(until, store.renew(&self.lease)) => renewed,
            };
            pause = match renewed {
                Ok(Ok(())) => {
                    self.extend(asked + lasts);
                    lasts / RENEWED_AT
                }
                Ok(Err(StoreError::Fenced(_))) => return self.end(Ended::Fenced),
                Ok(Err(error)) => {
                    tracing::warn!(%error, partition = %self.lease.partition, "a lease could not be renewed; trying again");
                    (lasts / TRIED_AGAIN_AT).min(until.saturating_duration_since(Instant::now()))
                }
                Err(_) => Duration::ZERO,
            };
        }
    }

    fn until(&self) -> Option<Instant> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).until
    }

    fn extend(&self, until: Instant) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).until = Some(until);
    }
}

#[cfg(test)]
mod tests {
    use patchbay_store::Partition;

    use super::*;

    const LASTS: Duration = Duration::from_secs(10);

    fn tenure(lasts: Option<Duration>) -> Tenure {
        let lease = Lease { partition: Partition(3), epoch: 1, token: 7 };
        Tenure::new(lease, Instant::now(), lasts, CancellationToken::new())
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_relied_on_until_its_time_is_over_and_never_again() {
        let tenure = tenure(Some(LASTS));
        tokio::time::advance(LASTS - Duration::from_millis(1)).await;
        assert!(tenure.holds());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!tenure.holds());
        tenure.extend(Instant::now() + LASTS);
        assert_eq!(tenure.ended(), Some(Ended::Expired), "an answer that comes too late changes nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn work_does_not_go_on_after_a_pause_that_was_longer_than_the_lease() {
        let tenure = tenure(Some(LASTS));
        let mut done = Vec::new();
        let work = async {
            done.push("before");
            tokio::time::sleep(LASTS * 2).await;
            done.push("after");
        };
        assert_eq!(tenure.while_held(work).await, None);
        assert_eq!(done, ["before"]);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_lease_time_it_lasts_until_it_is_given_up() {
        let tenure = tenure(None);
        tokio::time::advance(LASTS * 1000).await;
        assert_eq!(tenure.while_held(async { 1 }).await, Some(1));
        tenure.end(Ended::Dropped);
        assert_eq!(tenure.while_held(async { 1 }).await, None);
    }
}
