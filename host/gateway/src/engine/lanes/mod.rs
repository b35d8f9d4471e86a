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

use patchbay_model::task::Lane;
use patchbay_model::{Effect, Failure, Task};
use patchbay_store::Pace;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

pub use self::effects::{Done, Effects, Failed, Fault, Targets};
use self::gate::{Gate, Pass, Verdict};
use super::EngineOptions;
use super::owner::Owner;

/// Sends to WhatsApp at once from one number: at 80 a second and half a second each, forty are on their way.
const SENDS_AT_ONCE: usize = 64;
/// Files fetched at once for one number: each can be 100 MB.
const FETCHES_AT_ONCE: usize = 8;

/// Events passed on to other conversations at once: each is one append.
const PASSED_ON_AT_ONCE: usize = 64;

/// The ways to all targets.
#[derive(Debug)]
pub struct Lanes {
    lanes: HashMap<Lane, LaneState>,
}

#[derive(Debug)]
struct LaneState {
    gate: Gate,
    pace: Option<Pace>,
    calls: Semaphore,
}

impl LaneState {
    fn new(at_once: usize, pace: Option<Pace>) -> Self {
        Self { gate: Gate::default(), pace, calls: Semaphore::new(at_once.max(1)) }
    }
}

impl Lanes {
    /// The lanes toward every number and desk of the configuration.
    #[must_use]
    pub fn new(options: &EngineOptions) -> Self {
        let mut lanes = HashMap::new();
        lanes.insert(Lane::Conversations, LaneState::new(PASSED_ON_AT_ONCE, None));
        for (name, line) in &options.channels {
            let pace = turns::per_second(line.rate_per_second);
            lanes.insert(Lane::Whatsapp(name.clone()), LaneState::new(SENDS_AT_ONCE, pace));
            lanes.insert(Lane::Media(name.clone()), LaneState::new(FETCHES_AT_ONCE, None));
        }
        for (name, line) in &options.desks {
            let pace = line.rate_per_minute.and_then(turns::per_minute);
            lanes.insert(Lane::Desk(name.clone()), LaneState::new(line.concurrency, pace));
        }
        Self { lanes }
    }

    /// Lanes whose target is in trouble: which, why, and whether it is the credential.
    #[must_use]
    pub fn trouble(&self) -> Vec<(String, String, bool)> {
        let mut found: Vec<_> = self
            .lanes
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
    let lanes = &owner.shared().lanes;
    let Some(lane) = lanes.lanes.get(&task.lane) else {
        tracing::warn!(lane = %task.lane, task = %task.id, "no such lane is configured; the task is kept until there is");
        return ControlFlow::Continue(Behind::MayHaveBegun);
    };
    let mut begun = recovered || task.attempts > 0;
    let mut refused_after = None;
    loop {
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
            own_refusal(lane, &mut refused_after, failed);
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
    owner.shared().options.effects.execute(owner, task, repeated).await
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
    use super::*;

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
