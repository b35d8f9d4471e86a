//! Effects: tasks with their pace, their retries and, in the end, their dead letters.
//!
//! A lane is the way to one target. Its gate, its rate and its number of calls at once are shared by all conversations;
//! order is kept only within a conversation, so one that waits for its retry holds no other up.

mod desk;
mod effects;
mod fetch;
mod files;
pub mod gate;
mod pass_on;
pub mod retry;
mod settle;
mod turns;
mod whatsapp;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use arc_swap::ArcSwap;
use patchbay_model::task::Lane;
use patchbay_model::{Effect, Failure, Task};
use patchbay_store::Pace;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;

pub use self::effects::{Done, Effects, Failed, Fault, Targets};
use self::gate::{Gate, Pass, Verdict};
use super::owner::Owner;
use super::routing::Routing;

/// Sends to WhatsApp at once from one number: at 80 a second and half a second each, forty are on their way.
const SENDS_AT_ONCE: usize = 64;
/// Files fetched at once for one number: each can be 100 MB.
const FETCHES_AT_ONCE: usize = 8;

/// Events passed on to other conversations at once: each is one append.
const PASSED_ON_AT_ONCE: usize = 64;

/// The ways to all targets.
#[derive(Debug)]
pub struct Lanes {
    lanes: ArcSwap<HashMap<Lane, Arc<LaneState>>>,
    /// Is notified when lanes have come or gone.
    changed: Notify,
}

#[derive(Debug)]
struct LaneState {
    gate: Arc<Gate>,
    pace: Option<Pace>,
    at_once: usize,
    calls: Arc<Semaphore>,
}

impl LaneState {
    fn new(at_once: usize, pace: Option<Pace>) -> Self {
        let at_once = at_once.max(1);
        Self { gate: Arc::default(), pace, at_once, calls: Arc::new(Semaphore::new(at_once)) }
    }

    /// As this one, with what is wanted now. Calls that are on their way hold no place in a new number of them: for a
    /// moment there may be more.
    fn adapted(&self, wanted: Self) -> Self {
        let same = self.at_once == wanted.at_once;
        let calls = if same { Arc::clone(&self.calls) } else { wanted.calls };
        Self { gate: Arc::clone(&self.gate), calls, ..wanted }
    }
}

/// The lanes toward every number and desk.
fn wanted(routing: &Routing) -> HashMap<Lane, LaneState> {
    let mut lanes = HashMap::new();
    lanes.insert(Lane::Conversations, LaneState::new(PASSED_ON_AT_ONCE, None));
    for (name, line) in &routing.channels {
        let pace = turns::per_second(line.rate_per_second);
        lanes.insert(Lane::Whatsapp(name.clone()), LaneState::new(SENDS_AT_ONCE, pace));
        lanes.insert(Lane::Media(name.clone()), LaneState::new(FETCHES_AT_ONCE, None));
    }
    for (name, line) in &routing.desks {
        let pace = line.rate_per_minute.and_then(turns::per_minute);
        lanes.insert(Lane::Desk(name.clone()), LaneState::new(line.concurrency, pace));
    }
    lanes
}

impl Lanes {
    /// The lanes toward every number and desk.
    #[must_use]
    pub fn new(routing: &Routing) -> Self {
        let lanes = wanted(routing).into_iter().map(|(lane, state)| (lane, Arc::new(state))).collect();
        Self { lanes: ArcSwap::from_pointee(lanes), changed: Notify::new() }
    }

    /// Brings the lanes up to another routing. Those that go on keep their gates; one that is shut is tried at once, since
    /// what was wrong may have been put right.
    pub(super) fn adapt(&self, routing: &Routing) {
        let before = self.lanes.load();
        let mut lanes = HashMap::new();
        for (lane, wanted) in wanted(routing) {
            let state = match before.get(&lane) {
                Some(known) => known.adapted(wanted),
                None => wanted,
            };
            state.gate.try_now();
            lanes.insert(lane, Arc::new(state));
        }
        self.lanes.store(Arc::new(lanes));
    }

    /// Wakes the tasks that wait for a lane.
    pub(super) fn tell(&self) {
        self.changed.notify_waiters();
    }

    fn get(&self, lane: &Lane) -> Option<Arc<LaneState>> {
        self.lanes.load().get(lane).cloned()
    }

    /// The lane of a task, as soon as there is one. None: nothing more is to be begun.
    async fn lane_of(&self, owner: &Owner, task: &Task) -> Option<Arc<LaneState>> {
        let mut told = false;
        loop {
            let changed = self.changed.notified();
            if let Some(lane) = self.get(&task.lane) {
                return Some(lane);
            }
            if !std::mem::replace(&mut told, true) {
                tracing::warn!(lane = %task.lane, task = %task.id, "no such lane is configured; the task is kept until there is");
            }
            tokio::select! {
                biased;
                () = owner.gone() => return None,
                () = changed => {}
            }
        }
    }

    /// Lanes whose target is in trouble: which, why, and whether it is the credential.
    #[must_use]
    pub fn trouble(&self) -> Vec<(String, String, bool)> {
        let lanes = self.lanes.load();
        let mut found: Vec<_> = lanes
            .iter()
            .filter_map(|(lane, state)| state.gate.trouble().map(|(why, refused)| (lane.to_string(), why, refused)))
            .collect();
        found.sort();
        found
    }
}

impl LaneState {
    /// Waits for the task's turns, the gate and a free call. None: nothing more is to be begun.
    async fn admit(&self, owner: &Owner, task: &Task) -> Option<(SemaphorePermit<'_>, Pass<'_>)> {
        // Before it takes a place among the calls: others may go meanwhile.
        tokio::select! {
            biased;
            () = owner.gone() => return None,
            () = turns::of_customer(owner, task) => {}
        }
        loop {
            tokio::select! {
                biased;
                () = owner.gone() => return None,
                () = self.gate.opened() => {}
            }
            let turn = async {
                let permit = self.calls.acquire().await.ok()?;
                if let Some(pace) = self.pace {
                    turns::of_lane(owner, &task.lane, pace).await;
                }
                Some(permit)
            };
            let permit = tokio::select! {
                biased;
                () = owner.gone() => return None,
                permit = turn => permit?,
            };
            // It may have been shut while others were waited for.
            if let Some(pass) = self.gate.try_pass() {
                return Some((permit, pass));
            }
        }
    }
}

/// What the end of a task says of those behind it in its conversation's lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// They may have been begun before, if they were read from the store.
    MayHaveBegun,
    /// None of them was ever begun: see [`Done::asked_in_vain`].
    NotBegun,
}

/// Carries a task out, with all its tries. `recovered`: it was read from the store, and may have been begun before.
/// Breaks off when nothing more is to be begun; the task is still in the store then.
pub async fn run(owner: &Arc<Owner>, mut task: Task, recovered: bool) -> ControlFlow<(), Behind> {
    let mut begun = recovered || task.attempts > 0;
    let mut refused_after = None;
    loop {
        // Anew for each try: a reload may have taken it away, or changed it.
        let Some(lane) = owner.shared().lanes.lane_of(owner, &task).await else { return ControlFlow::Break(()) };
        wait_until_due(owner, &task).await?;
        if prepare(owner, &mut task).await? == Prepared::HasHappened {
            settle::done(owner, task, Done::default()).await?;
            return ControlFlow::Continue(Behind::MayHaveBegun);
        }
        let Some((permit, pass)) = lane.admit(owner, &task).await else { return ControlFlow::Break(()) };
        // A node that was paused finds out here that its lease is past, before anything leaves it.
        if owner.is_gone() {
            return ControlFlow::Break(());
        }
        let started = Instant::now();
        let mut result = execute(owner, &mut task, std::mem::replace(&mut begun, true)).await;
        drop(permit);
        if let Err(failed) = &mut result {
            own_refusal(&lane, &mut refused_after, failed);
        }
        let verdict = verdict(&result);
        observe(&task, verdict.as_ref(), result.is_ok(), started);
        if let Some(verdict) = verdict
            && pass.record(verdict)
        {
            let (reason, refused) = lane.gate.trouble().unwrap_or_default();
            tracing::error!(lane = %task.lane, reason, refused, "the lane is paused; its tasks are kept");
        }
        match result {
            Ok(done) => {
                let behind = if done.asked_in_vain { Behind::NotBegun } else { Behind::MayHaveBegun };
                settle::done(owner, task, done).await?;
                return ControlFlow::Continue(behind);
            }
            Err(failed) => match settle::failed(owner, task, failed).await? {
                Some(again) => task = again,
                None => return ControlFlow::Continue(Behind::MayHaveBegun),
            },
        }
    }
}

/// A refusal of one task while others of its lane succeed is about the task and not about the credential: it is tried
/// again at its own pace, and given up in time, so that it does not shut the lane for the others again and again.
fn own_refusal(lane: &LaneState, refused_after: &mut Option<u64>, failed: &mut Failed) {
    let Failure::Credential { reason } = &failed.failure else { return };
    let worked = lane.gate.worked();
    if refused_after.is_some_and(|before| worked > before) {
        failed.failure = Failure::retry(reason.clone());
    }
    *refused_after = Some(worked);
}

async fn wait_until_due(owner: &Owner, task: &Task) -> ControlFlow<()> {
    let pause = task.due_at.since(owner.shared().store.now());
    if pause.is_zero() {
        return ControlFlow::Continue(());
    }
    tokio::select! {
        biased;
        () = owner.gone() => ControlFlow::Break(()),
        () = tokio::time::sleep(pause) => ControlFlow::Continue(()),
    }
}

/// Whether a task still has to be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prepared {
    Ready,
    HasHappened,
}

/// Waits for what the task needs, before it takes a place among the calls: files, or word of an earlier try.
async fn prepare(owner: &Arc<Owner>, task: &mut Task) -> ControlFlow<(), Prepared> {
    match &task.effect {
        Effect::CreateTicket { .. } | Effect::AddEntry { .. } => files::wait(owner, task).await?,
        Effect::Send { .. } if whatsapp::was_sent(owner, task).await? => {
            return ControlFlow::Continue(Prepared::HasHappened);
        }
        _ => {}
    }
    ControlFlow::Continue(Prepared::Ready)
}

async fn execute(owner: &Arc<Owner>, task: &mut Task, repeated: bool) -> Result<Done, Failed> {
    if matches!(task.effect, Effect::Send { .. }) {
        whatsapp::begin(owner, task).await?;
    }
    owner.shared().effects.execute(owner, task, repeated).await
}

/// What a result says about the target, if anything. A wait that the other side asked for is no sign of its being down.
fn verdict(result: &Result<Done, Failed>) -> Option<Verdict> {
    let failed = match result {
        Ok(_) => return Some(Verdict::Works),
        Err(failed) if failed.fault == Fault::Target => failed,
        Err(_) => return None,
    };
    Some(match &failed.failure {
        Failure::Permanent { .. } | Failure::Retry { after: Some(_), .. } => Verdict::Works,
        Failure::Retry { reason, .. } => Verdict::Down(reason.clone()),
        Failure::Credential { reason } => Verdict::Refused(reason.clone()),
    })
}

fn observe(task: &Task, verdict: Option<&Verdict>, ok: bool, started: Instant) {
    let outcome = match verdict {
        _ if ok => "done",
        Some(Verdict::Works) => "failed",
        Some(Verdict::Down(_)) => "unavailable",
        Some(Verdict::Refused(_)) => "refused",
        None => "broken",
    };
    let labels = [("lane", task.lane.to_string()), ("effect", task.effect.kind().to_owned())];
    metrics::histogram!("patchbay_effect_seconds", &labels).record(started.elapsed().as_secs_f64());
    let [lane, effect] = labels;
    metrics::counter!("patchbay_effects_total", &[lane, effect, ("outcome", outcome.to_owned())]).increment(1);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::engine::routing::DeskLine;
    use crate::engine::slot::tests::Scripted;
    use crate::engine::slot::{Running, Slot};

    fn desk(concurrency: usize, rate_per_minute: Option<u32>) -> Routing {
        let slot = Slot::new("zendesk", Running::only(Arc::new(Scripted::generation(1))));
        let (timeout, media_wait) = (Duration::from_secs(1), Duration::ZERO);
        let line = DeskLine { slot: Arc::new(slot), concurrency, rate_per_minute, timeout, media_wait };
        Routing { desks: BTreeMap::from([("zendesk".into(), line)]), ..Routing::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_that_goes_on_keeps_its_gate_and_its_places() {
        let zendesk = Lane::Desk("zendesk".into());
        let lanes = Lanes::new(&desk(4, None));
        let before = lanes.get(&zendesk).unwrap();
        before.gate.try_pass().unwrap().record(Verdict::Refused("401".into()));
        lanes.adapt(&desk(4, Some(60)));
        let same = lanes.get(&zendesk).unwrap();
        assert!(Arc::ptr_eq(&before.gate, &same.gate) && Arc::ptr_eq(&before.calls, &same.calls));
        assert_eq!(same.pace, turns::per_minute(60));
        assert!(same.gate.try_pass().is_some(), "what was wrong may have been put right");
        lanes.adapt(&desk(8, Some(60)));
        let wider = lanes.get(&zendesk).unwrap();
        assert!(Arc::ptr_eq(&before.gate, &wider.gate));
        assert_eq!(wider.calls.available_permits(), 8);
        lanes.adapt(&Routing::default());
        assert!(lanes.get(&zendesk).is_none() && lanes.get(&Lane::Conversations).is_some());
    }

    #[test]
    fn a_task_that_is_refused_while_others_work_no_longer_speaks_for_the_credential() {
        let lane = LaneState::new(1, None);
        let mut refused_after = None;
        let refusal = |refused_after: &mut Option<u64>| {
            let mut failed = Failed::from(Failure::Credential { reason: "403".into() });
            own_refusal(&lane, refused_after, &mut failed);
            failed.failure
        };
        let credential = Failure::Credential { reason: "403".into() };
        assert_eq!(refusal(&mut refused_after), credential);
        assert_eq!(refusal(&mut refused_after), credential, "nothing has worked in between");
        lane.gate.try_pass().expect("a pass").record(Verdict::Works);
        assert_eq!(refusal(&mut refused_after), Failure::retry("403"));
    }
}
