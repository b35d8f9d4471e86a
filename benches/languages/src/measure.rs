//! How figures are taken.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// How long each case is measured.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// Before the first figure.
    warm_up: Duration,
    /// All calls of a case together.
    pub(crate) time: Duration,
    /// Calls of a case, however long they take.
    least: usize,
    /// Deployments of a plugin that were never compiled before.
    pub(crate) cold: usize,
    /// Idle plugins.
    pub(crate) plugins: usize,
}

impl Plan {
    /// A few calls: a check that all of it works.
    pub(crate) const fn quick() -> Self {
        Self { warm_up: Duration::ZERO, time: Duration::ZERO, least: 3, cold: 1, plugins: 5 }
    }

    /// Each case for `time`.
    pub(crate) fn lasting(time: Duration) -> Self {
        Self { warm_up: time / 4, time, least: 20, cold: 3, plugins: 50 }
    }
}

/// How long a call took, of many; seconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Times {
    /// Half of them took less.
    pub(crate) p50: f64,
    /// Of a hundred, one took more.
    pub(crate) p99: f64,
    /// All together, by their number.
    pub(crate) mean: f64,
    /// How many.
    pub(crate) calls: usize,
}

impl Times {
    /// Of these.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn of(mut times: Vec<Duration>) -> Result<Self> {
        times.sort_unstable();
        let at = |share: usize| times.get(times.len() * share / 100).context("nothing was measured");
        let sum: f64 = times.iter().map(Duration::as_secs_f64).sum();
        let (p50, p99) = (at(50)?.as_secs_f64(), at(99)?.as_secs_f64());
        Ok(Self { p50, p99, mean: sum / times.len() as f64, calls: times.len() })
    }
}

/// Calls again and again, one call at a time.
///
/// # Errors
/// The first one of a call.
pub(crate) async fn one_by_one(plan: Plan, mut call: impl AsyncFnMut() -> Result<()>) -> Result<Times> {
    let begun = Instant::now();
    while begun.elapsed() < plan.warm_up {
        call().await?;
    }
    let begun = Instant::now();
    let mut times = Vec::new();
    while times.len() < plan.least || begun.elapsed() < plan.time {
        let start = Instant::now();
        call().await?;
        times.push(start.elapsed());
    }
    Times::of(times)
}

/// Calls again and again on a thread for each core, each with a call that `make` made for it; gives calls a second.
///
/// # Errors
/// The first one of a call.
pub(crate) fn on_all_cores<C: FnMut() -> Result<()>>(plan: Plan, make: impl Fn() -> Result<C> + Sync) -> Result<f64> {
    let rate = || -> Result<f64> {
        let mut call = make()?;
        let begun = Instant::now();
        let mut calls = 0_u64;
        while calls == 0 || begun.elapsed() < plan.time {
            call()?;
            calls += 1;
        }
        Ok(calls as f64 / begun.elapsed().as_secs_f64())
    };
    let cores = thread::available_parallelism()?.get();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(rate)).collect();
        let rates = threads.into_iter().map(|thread| thread.join().ok().context("a thread panicked")?);
        rates.sum()
    })
}

/// What this process has of the machine's memory, bytes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// Its own: heap, stacks, and pages of files that it changed.
    pub(crate) anonymous: i64,
    /// Pages of files, which plugins with the same file share; the kernel drops them when it needs the room.
    pub(crate) mapped: i64,
}

impl Memory {
    /// As it stands.
    ///
    /// # Errors
    /// On systems without `/proc`.
    pub(crate) fn now() -> Result<Self> {
        let text = fs::read_to_string("/proc/self/smaps_rollup").context("memory is measured on Linux only")?;
        let field = |name: &str| -> Result<i64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<i64>().ok());
            Ok(kib.with_context(|| format!("smaps_rollup has no {name}"))? * 1024)
        };
        let anonymous = field("Anonymous")?;
        Ok(Self { anonymous, mapped: field("Rss")? - anonymous })
    }

    /// What came since `before`, for each of `number`.
    pub(crate) fn each_since(self, before: Self, number: i64) -> Self {
        Self { anonymous: (self.anonymous - before.anonymous) / number, mapped: (self.mapped - before.mapped) / number }
    }
}
