//! Effects: tasks with their pace, their retries and, in the end, their dead letters.
//!
//! A lane is the way to one target. Its gate, its rate and its number of calls at once are shared by all conversations;
//! order is kept only within a conversation, so one that waits for its retry holds no other up.

mod desk;
mod fetch;
pub mod gate;
pub mod retry;
mod settle;
mod whatsapp;

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::sync::Arc;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use patchbay_model::task::Lane;
use patchbay_model::{Arrival, Effect, Failure, Task, Timestamp};
use patchbay_store::{Link, MediaRecord, Report};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use self::gate::{Gate, Verdict};
use super::EngineOptions;
use super::owner::Owner;

/// Sends to WhatsApp at once from one number: at 80 a second and half a second each, forty are on their way.
const SENDS_AT_ONCE: usize = 64;
/// Files fetched at once for one number: each can be 100 MB.
const FETCHES_AT_ONCE: usize = 8;

/// What an effect has led to.
#[derive(Debug, Default)]
struct Done {
    links: Vec<Link>,
    media: Vec<MediaRecord>,
    append: Vec<Arrival>,
    /// Tasks that follow from it.
    tasks: Vec<Task>,
}

/// Why an effect did not happen.
#[derive(Debug)]
struct Failed {
    failure: Failure,
    /// What the plugin did, if it broke.
    report: Option<Report>,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self { failure, report: None }
    }
}

/// The ways to all targets.
#[derive(Debug)]
pub struct Lanes {
    lanes: HashMap<Lane, LaneState>,
    stop: CancellationToken,
}

#[derive(Debug)]
struct LaneState {
    gate: Gate,
    rate: Option<DefaultDirectRateLimiter>,
    calls: Semaphore,
}

impl LaneState {
    fn new(at_once: usize, quota: Option<Quota>) -> Self {
        Self { gate: Gate::default(), rate: quota.map(RateLimiter::direct), calls: Semaphore::new(at_once.max(1)) }
    }
}

impl Lanes {
    /// The lanes toward every number and desk of the configuration.
    #[must_use]
    pub fn new(options: &EngineOptions, stop: CancellationToken) -> Self {
        let mut lanes = HashMap::new();
        for (name, line) in &options.channels {
            let quota = NonZeroU32::new(line.rate_per_second).map(Quota::per_second);
            lanes.insert(Lane::Whatsapp(name.clone()), LaneState::new(SENDS_AT_ONCE, quota));
            lanes.insert(Lane::Media(name.clone()), LaneState::new(FETCHES_AT_ONCE, None));
        }
        for (name, line) in &options.desks {
            let quota = line.rate_per_minute.and_then(NonZeroU32::new).map(Quota::per_minute);
            lanes.insert(Lane::Desk(name.clone()), LaneState::new(line.concurrency, quota));
        }
        Self { lanes, stop }
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
    /// Waits for the gate, the rate and a free call. None: nothing more is to be begun.
    async fn admit(&self, stop: &CancellationToken) -> Option<SemaphorePermit<'_>> {
        let admitted = async {
            let permit = self.calls.acquire().await.ok()?;
            if let Some(rate) = &self.rate {
                rate.until_ready().await;
            }
            Some(permit)
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            () = self.gate.pass() => {}
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => {
                self.gate.give_back();
                None
            }
            permit = admitted => permit,
        }
    }
}

/// Carries a task out, with all its tries. `recovered`: it was read from the store, and may have been begun before.
/// Breaks off when nothing more is to be begun; the task is still in the store then.
pub async fn run(owner: &Arc<Owner>, mut task: Task, recovered: bool) -> ControlFlow<()> {
    let lanes = &owner.shared().lanes;
    let Some(lane) = lanes.lanes.get(&task.lane) else {
        tracing::warn!(lane = %task.lane, task = %task.id, "no such lane is configured; the task is kept until there is");
        return ControlFlow::Continue(());
    };
    loop {
        wait_until_due(owner, &task).await?;
        let ordered = task.effect.clone();
        let held_back = prepare(owner, &mut task).await?;
        let Some(permit) = lane.admit(&lanes.stop).await else { return ControlFlow::Break(()) };
        if owner.is_gone() {
            lane.gate.give_back();
            return ControlFlow::Break(());
        }
        let repeated = recovered || task.attempts > 0;
        let started = std::time::Instant::now();
        let result = execute(owner, &mut task, repeated).await;
        drop(permit);
        let verdict = verdict(&result);
        observe(&task, &verdict, result.is_ok(), started);
        if lane.gate.record(verdict) {
            let (reason, refused) = lane.gate.trouble().unwrap_or_default();
            tracing::error!(lane = %task.lane, reason, refused, "the lane is paused; its tasks are kept");
        }
        match result {
            Ok(mut done) => {
                done.tasks.extend(held_back);
                return settle::done(owner, task, done).await;
            }
            Err(failed) => {
                // Whole again: files that were late for this try may be there at the next one.
                task.effect = ordered;
                match settle::failed(owner, task, failed).await? {
                    Some(again) => task = again,
                    None => return ControlFlow::Continue(()),
                }
            }
        }
    }
}

async fn wait_until_due(owner: &Owner, task: &Task) -> ControlFlow<()> {
    let pause = task.due_at.since(Timestamp::now());
    if pause.is_zero() {
        return ControlFlow::Continue(());
    }
    tokio::select! {
        () = tokio::time::sleep(pause) => ControlFlow::Continue(()),
        () = owner.gone() => ControlFlow::Break(()),
    }
}

/// Waits for what the task needs. Gives a task of its own for files that are not there in time.
async fn prepare(owner: &Owner, task: &mut Task) -> ControlFlow<(), Option<Task>> {
    match &task.effect {
        Effect::CreateTicket { .. } | Effect::AddEntry { .. } => desk::await_media(owner, task).await,
        _ => ControlFlow::Continue(None),
    }
}

async fn execute(owner: &Arc<Owner>, task: &mut Task, repeated: bool) -> Result<Done, Failed> {
    match &task.lane {
        Lane::Whatsapp(channel) => whatsapp::execute(owner, &channel.clone(), task).await,
        Lane::Desk(desk) => desk::execute(owner, &desk.clone(), task, repeated).await,
        Lane::Media(channel) => fetch::execute(owner, &channel.clone(), task).await,
    }
}

/// What a result says about the target. A wait that the other side asked for is no sign of its being down.
fn verdict(result: &Result<Done, Failed>) -> Verdict {
    match result.as_ref().map_err(|failed| &failed.failure) {
        Ok(_) | Err(Failure::Permanent { .. } | Failure::Retry { after: Some(_), .. }) => Verdict::Works,
        Err(Failure::Retry { reason, .. }) => Verdict::Down(reason.clone()),
        Err(Failure::Credential { reason }) => Verdict::Refused(reason.clone()),
    }
}

fn observe(task: &Task, verdict: &Verdict, ok: bool, started: std::time::Instant) {
    let outcome = match verdict {
        _ if ok => "done",
        Verdict::Works => "failed",
        Verdict::Down(_) => "unavailable",
        Verdict::Refused(_) => "refused",
    };
    let labels = [("lane", task.lane.to_string()), ("effect", task.effect.kind().to_owned())];
    metrics::histogram!("patchbay_effect_seconds", &labels).record(started.elapsed().as_secs_f64());
    let [lane, effect] = labels;
    metrics::counter!("patchbay_effects_total", &[lane, effect, ("outcome", outcome.to_owned())]).increment(1);
}
