//! Time on a processor, counted for one call.
//!
//! A call waits most of its time, and shares its thread with others while it does. So the clock runs only while the
//! call's future is being polled, and it is the thread's own CPU clock: a machine that is busy with other things does
//! not make a plugin slower than it is.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The thread's CPU time, nanoseconds.
fn thread_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or_default())
}

/// What a call has spent. Clones share the count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// In polls that have ended, nanoseconds.
    spent: AtomicU64,
    /// The thread's time when this poll began. Only read on the thread that polls.
    since: AtomicU64,
}

impl Meter {
    /// Time spent so far; to be asked from within the call.
    pub(crate) fn spent(&self) -> Duration {
        let running = thread_time().saturating_sub(self.counts.since.load(Ordering::Relaxed));
        Duration::from_nanos(self.counts.spent.load(Ordering::Relaxed).saturating_add(running))
    }

    /// Counts the time of this future.
    pub(crate) fn measure<F>(&self, future: F) -> Measured<F> {
        Measured { future: Box::pin(future), meter: self.clone() }
    }
}

/// A future whose time is counted.
pub(crate) struct Measured<F> {
    future: Pin<Box<F>>,
    meter: Meter,
}

impl<F: Future> Future for Measured<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let begun = thread_time();
        self.meter.counts.since.store(begun, Ordering::Relaxed);
        let polled = self.future.as_mut().poll(cx);
        self.meter.counts.spent.fetch_add(thread_time().saturating_sub(begun), Ordering::Relaxed);
        polled
    }
}
