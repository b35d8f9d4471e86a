//! A deployment as the loop sees it: which generation is asked, for which conversation, and how its calls went.
//!
//! # Layout
//! - here: what runs in a slot, and what an event is pinned to
//! - `tally`: how the calls of a generation went
//! - `comparison`: what a shadow would have decided
//! - `slots`: all of a node's

mod comparison;
mod slots;
mod tally;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use patchbay_model::{ConversationId, Outcome};
use patchbay_runtime::{Call, CallError, Cause, HandlerInput, Mode, Plugin};
use tokio::sync::Semaphore;

pub use self::comparison::{Comparison, Difference};
pub use self::slots::Slots;
use self::tally::Counters;
pub use self::tally::Tally;
use super::chain::Handler;
pub use crate::config::Share;

/// Events that one shadow is asked about at once. More are passed over: sandboxes belong to the events that count.
const SHADOWED_AT_ONCE: usize = 4;
/// Generations whose tallies are kept: those that an operator goes back to.
const TALLIES_KEPT: usize = 32;

/// What runs in a slot.
#[derive(Clone, Debug)]
pub struct Running {
    /// Who is asked.
    pub active: Arc<dyn Handler>,
    /// Who is asked instead for a share of the conversations.
    pub canary: Option<(Arc<dyn Handler>, Share)>,
    /// Who is asked beside, without effect.
    pub shadow: Option<Arc<dyn Handler>>,
}

impl Running {
    /// One generation alone.
    #[must_use]
    pub fn only(active: Arc<dyn Handler>) -> Self {
        Self { active, canary: None, shadow: None }
    }
}

/// A deployment's place in the loop: what runs there can be exchanged at any time.
#[derive(Debug)]
pub struct Slot {
    name: String,
    running: ArcSwap<Running>,
    counters: Mutex<BTreeMap<u64, Arc<Counters>>>,
    comparison: Mutex<Option<Comparison>>,
    shadowed: Arc<Semaphore>,
}

/// What an event goes on with, for all of its attempts, whatever is swapped meanwhile.
#[derive(Clone, Debug)]
pub struct Pinned {
    /// Who is asked.
    pub handler: Arc<dyn Handler>,
    /// It is the canary.
    pub canary: bool,
    /// Who is asked beside, without effect. A canary's events are not compared: the shadow stands beside the active one.
    pub shadow: Option<Arc<dyn Handler>>,
    counters: Arc<Counters>,
}

impl Pinned {
    /// Takes note of how a call ended. What is nobody's fault (no free sandbox, a fault of the host) says nothing about
    /// the generation and is not counted.
    pub fn observe(&self, error: Option<&CallError>, took: Duration) {
        let ours =
            matches!(error, Some(CallError::Broken(report)) if matches!(report.cause, Cause::Busy | Cause::Host));
        if !ours {
            self.counters.add(error, took);
        }
    }
}

impl Slot {
    /// A slot in which this runs.
    #[must_use]
    pub fn new(name: impl Into<String>, running: Running) -> Self {
        Self {
            name: name.into(),
            running: ArcSwap::from_pointee(running),
            counters: Mutex::default(),
            comparison: Mutex::default(),
            shadowed: Arc::new(Semaphore::new(SHADOWED_AT_ONCE)),
        }
    }

    /// The deployment's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What runs now.
    #[must_use]
    pub fn running(&self) -> Arc<Running> {
        self.running.load_full()
    }

    /// Exchanges what runs. Events that have begun go on with what they began with.
    pub fn swap(&self, running: Running) {
        self.running.store(Arc::new(running));
    }

    /// What an event of this conversation is asked with.
    #[must_use]
    pub fn pin(&self, conversation: &ConversationId) -> Pinned {
        let running = self.running.load();
        let canary = running.canary.as_ref().filter(|(_, share)| share.has(&self.name, conversation));
        match canary {
            Some((handler, _)) => self.pinned(handler, true, None),
            None => self.pinned(&running.active, false, running.shadow.clone()),
        }
    }

    /// The active generation, for what belongs to no conversation (yet): a desk's webhooks.
    #[must_use]
    pub fn pin_active(&self) -> Pinned {
        self.pinned(&self.running.load().active, false, None)
    }

    fn pinned(&self, handler: &Arc<dyn Handler>, canary: bool, shadow: Option<Arc<dyn Handler>>) -> Pinned {
        let counters = self.counters_of(handler.generation());
        Pinned { handler: Arc::clone(handler), canary, shadow, counters }
    }

    /// The plugin that is active now; none in a slot of the tests.
    #[must_use]
    pub fn plugin(&self) -> Option<Plugin> {
        self.running.load().active.plugin().cloned()
    }

    /// How the calls of a generation went, on this node, since it first ran here. None: it was never asked here, or too
    /// many came after it.
    #[must_use]
    pub fn tally(&self, generation: u64) -> Option<Tally> {
        self.counters().get(&generation).map(|counters| counters.tally())
    }

    /// What the shadow that runs (or ran last) would have decided, on this node. None: there was none.
    #[must_use]
    pub fn comparison(&self) -> Option<Comparison> {
        self.comparison_now().clone()
    }

    /// Asks an event's shadow, beside and without effect, and compares its answer with the one that counts. Returns at
    /// once; a shadow that is busy is not asked.
    pub fn compare(
        self: &Arc<Self>,
        pinned: &Pinned,
        input: &HandlerInput,
        call: &Call,
        active: &Result<Outcome, CallError>,
    ) {
        let Some(shadow) = &pinned.shadow else { return };
        let pair = (shadow.generation(), pinned.handler.generation());
        let Ok(turn) = Arc::clone(&self.shadowed).try_acquire_owned() else {
            return self.compared(pair, |comparison| comparison.passed_over += 1);
        };
        let (slot, shadow, input, active) = (Arc::clone(self), Arc::clone(shadow), input.clone(), active.clone());
        let call = Call { mode: Mode::Rehearsal, ..call.clone() };
        tokio::spawn(async move {
            let begun = tokio::time::Instant::now();
            let answer = shadow.handle(&input, &call).await;
            let pin = slot.pinned(&shadow, false, None);
            pin.observe(answer.as_ref().err(), begun.elapsed());
            let difference = comparison::difference(&active, &answer);
            let (event, at) = (input.event.id.clone(), input.event.received_at);
            slot.compared(pair, |comparison| comparison.add(event, at, difference));
            drop(turn);
        });
    }

    /// Takes note in the comparison of these two generations. Another pair begins another comparison, if it is the one
    /// that runs: late answers of a former shadow count no more.
    fn compared(&self, (shadow, active): (u64, u64), note: impl FnOnce(&mut Comparison)) {
        let mut kept = self.comparison_now();
        match kept.as_mut().filter(|kept| kept.generation == shadow && kept.against == active) {
            Some(same) => note(same),
            None => {
                let running = self.running.load();
                let shadows = running.shadow.as_ref().map(|shadow| shadow.generation());
                if shadows == Some(shadow) && running.active.generation() == active {
                    note(kept.insert(Comparison::of(shadow, active)));
                }
            }
        }
    }

    fn counters_of(&self, generation: u64) -> Arc<Counters> {
        let mut counters = self.counters();
        if let Some(known) = counters.get(&generation) {
            return Arc::clone(known);
        }
        while counters.len() >= TALLIES_KEPT {
            counters.pop_first();
        }
        Arc::clone(counters.entry(generation).or_default())
    }

    fn counters(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Counters>>> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn comparison_now(&self) -> MutexGuard<'_, Option<Comparison>> {
        self.comparison.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
