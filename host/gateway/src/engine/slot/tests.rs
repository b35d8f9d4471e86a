//! What is pinned, what is counted, and what a shadow says.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use patchbay_model::conversation::Channel;
use patchbay_model::event::TimerFired;
use patchbay_model::{Action, Body, Conversation, Customer, CustomerId, Event, EventId, Failure, Flow, Timestamp};
use tokio::sync::Notify;

use super::*;

/// One generation that does as it is told, and takes note of how it was asked.
#[derive(Debug, Default)]
pub(crate) struct Scripted {
    pub(crate) generation: u64,
    pub(crate) actions: Vec<Action>,
    /// How often it fails first.
    pub(crate) failures: AtomicUsize,
    /// It answers when it is notified.
    pub(crate) held: Option<Notify>,
    pub(crate) asked: Mutex<VecDeque<(EventId, Mode)>>,
}

impl Scripted {
    /// A generation that emits an event of its own name, so that it is seen who decided.
    pub(crate) fn generation(generation: u64) -> Self {
        let actions = vec![Action::SetAttribute("by".into(), Some(generation.to_string()))];
        Self { generation, actions, ..Self::default() }
    }

    pub(crate) fn asked(&self) -> Vec<(EventId, Mode)> {
        self.asked.lock().unwrap().iter().cloned().collect()
    }
}

#[async_trait]
impl Handler for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    fn generation(&self) -> u64 {
        self.generation
    }

    async fn handle(&self, input: &HandlerInput, call: &Call) -> Result<Outcome, CallError> {
        self.asked.lock().unwrap().push_back((input.event.id.clone(), call.mode));
        if let Some(held) = &self.held {
            held.notified().await;
        }
        let fails = |left: usize| left.checked_sub(1);
        if self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fails).is_ok() {
            return Err(CallError::Failed(Failure::retry("not yet")));
        }
        Ok(Outcome { actions: self.actions.clone(), flow: Flow::Next })
    }
}

pub(crate) fn conversation(number: u32) -> ConversationId {
    ConversationId::derive(&[&number.to_le_bytes()])
}

fn input(number: u32) -> HandlerInput {
    let id = conversation(number);
    let at = Timestamp::from_millis(1);
    let body = Body::Timer(TimerFired { name: "t".into(), data: "{}".into() });
    let channel = Channel { id: "c".into(), platform: "w".into(), account: String::new(), address: "1".into() };
    let customer = Customer {
        id: CustomerId::derive(&[b"c"]),
        phone: None,
        user_id: None,
        group: None,
        username: None,
        name: None,
        locale: None,
    };
    HandlerInput {
        event: Event {
            id: EventId::derive(&[&number.to_le_bytes()]),
            conversation: id.clone(),
            occurred_at: at,
            received_at: at,
            body,
        },
        conversation: Conversation::new(id, channel, customer),
        tickets: Vec::new(),
    }
}

fn call() -> Call {
    Call {
        subject: "s".into(),
        attempt: 1,
        now: Timestamp::from_millis(1),
        deterministic: true,
        timeout: Duration::from_secs(1),
        mode: Mode::Live,
        desk: None,
    }
}

fn shadowed(shadow: Scripted) -> (Arc<Slot>, Arc<Scripted>) {
    let shadow = Arc::new(shadow);
    let running =
        Running { shadow: Some(Arc::<Scripted>::clone(&shadow)), ..Running::only(Arc::new(Scripted::generation(1))) };
    (Arc::new(Slot::new("router", running)), shadow)
}

async fn compare(slot: &Arc<Slot>, number: u32) {
    let pinned = slot.pin(&conversation(number));
    let answer = pinned.handler.handle(&input(number), &call()).await;
    slot.compare(&pinned, &input(number), &call(), &answer);
}

/// Waits, in virtual time, until the comparison is so.
async fn until(slot: &Slot, so: impl Fn(&Comparison) -> bool) -> Comparison {
    for _ in 0..1_000 {
        if let Some(comparison) = slot.comparison().filter(&so) {
            return comparison;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{:?}", slot.comparison())
}

#[test]
fn a_canary_has_its_share_and_always_the_same_conversations() {
    let share = Share::percent(25.0).unwrap();
    let canary = Arc::new(Scripted::generation(2));
    let running = Running { canary: Some((canary, share)), ..Running::only(Arc::new(Scripted::generation(1))) };
    let slot = Slot::new("router", running);
    let generation = |number| slot.pin(&conversation(number)).handler.generation();
    let first: Vec<u64> = (0..4_000).map(generation).collect();
    let canaries = first.iter().filter(|generation| **generation == 2).count();
    assert!((850..1_150).contains(&canaries), "{canaries}");
    assert_eq!(first, (0..4_000).map(generation).collect::<Vec<_>>());
    assert!((0..100).all(|number| slot.pin(&conversation(number)).canary == (generation(number) == 2)));
    assert_eq!(slot.pin_active().handler.generation(), 1);
}

#[test]
fn what_was_pinned_stays_whatever_is_swapped() {
    let slot = Slot::new("router", Running::only(Arc::new(Scripted::generation(1))));
    let pinned = slot.pin(&conversation(1));
    slot.swap(Running::only(Arc::new(Scripted::generation(2))));
    assert_eq!((pinned.handler.generation(), slot.pin(&conversation(1)).handler.generation()), (1, 2));
}

#[test]
fn each_generation_has_a_tally_that_outlasts_a_swap() {
    let slot = Slot::new("router", Running::only(Arc::new(Scripted::generation(1))));
    let failed = CallError::Failed(Failure::retry("no"));
    slot.pin_active().observe(None, Duration::from_millis(1));
    slot.swap(Running::only(Arc::new(Scripted::generation(2))));
    slot.pin_active().observe(Some(&failed), Duration::from_millis(1));
    slot.swap(Running::only(Arc::new(Scripted::generation(1))));
    slot.pin_active().observe(None, Duration::from_millis(1));
    let calls = |generation| slot.tally(generation).map(|tally| (tally.calls, tally.failures));
    assert_eq!((calls(1), calls(2), calls(3)), (Some((2, 0)), Some((1, 1)), None));
}

#[test]
fn what_is_nobodys_fault_is_not_counted() {
    let slot = Slot::new("router", Running::only(Arc::new(Scripted::generation(1))));
    let broken = |cause| {
        CallError::Broken(patchbay_runtime::PluginReport {
            plugin: "router".into(),
            generation: 1,
            subject: "s".into(),
            cause,
            detail: String::new(),
            frames: Vec::new(),
            stderr: String::new(),
        })
    };
    for cause in [Cause::Busy, Cause::Host, Cause::Trap] {
        slot.pin_active().observe(Some(&broken(cause)), Duration::from_millis(1));
    }
    let tally = slot.tally(1).unwrap();
    assert_eq!((tally.calls, tally.broken), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_shadow_is_asked_without_effect_and_compared() {
    let (slot, shadow) = shadowed(Scripted { failures: AtomicUsize::new(1), ..Scripted::generation(2) });
    compare(&slot, 1).await;
    let comparison = until(&slot, |comparison| comparison.different == 1).await;
    assert_eq!((comparison.generation, comparison.against), (2, 1));
    assert_eq!(comparison.last[0].what, "it failed (failure), and the active one did not");
    compare(&slot, 2).await;
    let comparison = until(&slot, |comparison| comparison.different == 2).await;
    assert_eq!(comparison.last[1].what, "another content of `set by`");
    assert_eq!(comparison.last[1].event, input(2).event.id);
    assert!(shadow.asked().iter().all(|(_, mode)| *mode == Mode::Rehearsal));
    assert_eq!(slot.tally(2).unwrap().calls, 2);
}

#[tokio::test(start_paused = true)]
async fn a_shadow_that_says_the_same_is_counted_so() {
    let same = Scripted { actions: Scripted::generation(1).actions, ..Scripted::generation(2) };
    let (slot, _) = shadowed(same);
    compare(&slot, 1).await;
    let comparison = until(&slot, |comparison| comparison.same == 1).await;
    assert_eq!((comparison.different, comparison.last.len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_shadow_that_hangs_is_passed_over_and_delays_nobody() {
    let (slot, shadow) = shadowed(Scripted { held: Some(Notify::new()), ..Scripted::generation(2) });
    let begun = tokio::time::Instant::now();
    for number in 0..10 {
        compare(&slot, number).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let comparison = slot.comparison().unwrap();
    assert_eq!(comparison.passed_over as usize, 10 - SHADOWED_AT_ONCE);
    assert_eq!(shadow.asked().len(), SHADOWED_AT_ONCE);
    // What it says after another took its place counts no more.
    slot.swap(Running::only(Arc::new(Scripted::generation(3))));
    for _ in 0..SHADOWED_AT_ONCE {
        shadow.held.as_ref().unwrap().notify_one();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let comparison = until(&slot, |comparison| comparison.different as usize == SHADOWED_AT_ONCE).await;
    assert_eq!(comparison.generation, 2);
}
