//! What the nodes, the network and the world outside share: the dice, the trace and what went wrong.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use patchbay_model::{Arrival, ConversationId, EventId, TaskId, Timestamp};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// When a simulation begins.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_795_000_000_000);

/// Lines of the trace that are shown.
const LINES: usize = 120;

/// How bad things are, in thousandths.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    /// Requests to the store that never get there.
    pub(crate) lost_requests: u32,
    /// Answers of the store that never come back.
    pub(crate) lost_answers: u32,
    /// Requests and answers that take their time.
    pub(crate) slow: u32,
    /// Effects that fail.
    pub(crate) failing: u32,
    /// Effects whose answer is lost.
    pub(crate) uncertain: u32,
    /// Handlers that fail.
    pub(crate) confused: u32,
}

/// One time that an effect was carried out.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) task: TaskId,
    pub(crate) event: EventId,
    pub(crate) conversation: ConversationId,
    pub(crate) kind: &'static str,
    pub(crate) sequence: u64,
    /// It had its effect.
    pub(crate) happened: bool,
}

/// What everybody shares.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<Inner>>);

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

pub(crate) struct Inner {
    pub(crate) rng: ChaCha8Rng,
    pub(crate) weather: Weather,
    /// By node: until when nothing gets through between it and the store.
    pub(crate) cut: BTreeMap<usize, Timestamp>,
    /// Failovers that have lost something.
    pub(crate) losses: u64,
    /// Effects, in the order in which they were begun.
    pub(crate) runs: Vec<Run>,
    /// What the platform has to say, and when it says it.
    pub(crate) webhooks: Vec<(Timestamp, Arrival)>,
    /// What must not be.
    pub(crate) violations: Vec<String>,
    hash: u64,
    pub(crate) steps: u64,
    /// The last lines of the trace, where somebody wants to read them.
    lines: Option<VecDeque<String>>,
}

impl Shared {
    pub(crate) fn new(seed: u64, readable: bool) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            rng: ChaCha8Rng::seed_from_u64(seed),
            weather: Weather::default(),
            cut: BTreeMap::new(),
            losses: 0,
            runs: Vec::new(),
            webhooks: Vec::new(),
            violations: Vec::new(),
            hash: 0xcbf2_9ce4_8422_2325,
            steps: 0,
            lines: readable.then(VecDeque::new),
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Whether something happens that happens so often in a thousand times.
    pub(crate) fn chance(&mut self, thousandths: u32) -> bool {
        thousandths > 0 && self.rng.random_range(0..1000) < thousandths
    }

    /// A duration between these, in milliseconds.
    pub(crate) fn millis(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.rng.random_range(range))
    }

    /// How long a packet is on its way. Never nothing.
    pub(crate) fn latency(&mut self) -> Duration {
        let slow = self.weather.slow;
        if self.chance(slow) { self.millis(50..900) } else { self.millis(1..9) }
    }

    pub(crate) fn is_cut(&self, node: usize, now: Timestamp) -> bool {
        self.cut.get(&node).is_some_and(|until| *until > now)
    }

    /// Takes note of a step: the same seed takes the same steps.
    pub(crate) fn trace(&mut self, now: Timestamp, who: usize, what: &str, detail: impl FnOnce() -> String) {
        self.steps += 1;
        let numbers = [now.as_millis(), who as u64];
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).chain(what.bytes());
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if let Some(lines) = &mut self.lines {
            let (at, detail) = (now.since(START).as_secs_f64(), detail());
            if lines.len() >= LINES {
                lines.pop_front();
            }
            lines.push_back(format!("{at:9.3}  node {who}  {what} {detail}"));
        }
    }

    /// Something happened that must not.
    pub(crate) fn violation(&mut self, now: Timestamp, who: usize, what: String) {
        self.trace(now, who, "VIOLATION", || what.clone());
        self.violations.push(what);
    }

    /// Whether anybody reads the trace.
    pub(crate) const fn is_readable(&self) -> bool {
        self.lines.is_some()
    }

    /// What the steps so far amount to.
    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn lines(&self) -> String {
        self.lines.iter().flatten().map(|line| format!("{line}\n")).collect()
    }
}

/// The end of an id: enough to tell one from another.
pub(crate) fn short(id: &str) -> &str {
    &id[id.len().saturating_sub(5)..]
}
