//! Which handlers are asked about an event, and what happens when one of them fails.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use patchbay_model::decision::{StepResult, StepTaken};
use patchbay_model::{Event, Failure, Flow, Outcome, Timestamp};
use patchbay_runtime::{Call, CallError, HandlerInput, KeyValue, Mode, Plugin, PluginReport};
use patchbay_store::Report;
use tokio::time::Instant;

use super::course::Pins;
use super::kept::Kept;
use super::plan::{ChainEnd, Plan};
use super::slot::{Pinned, Slot};
use super::summary;
use crate::config::{Fallback, Match, OnFailure, Share};

/// Who decides about events.
#[async_trait]
pub trait Handler: fmt::Debug + Send + Sync {
    /// Its name in the configuration.
    fn name(&self) -> &str;

    /// Which of the versions that ran under this name it is.
    fn generation(&self) -> u64;

    /// The plugin that it is, if it is one.
    fn plugin(&self) -> Option<&Plugin> {
        None
    }

    /// Decides about one event.
    ///
    /// # Errors
    /// When it could not.
    async fn handle(&self, input: &HandlerInput, call: &Call) -> Result<Outcome, CallError>;

    /// As [`handle`](Self::handle); what the handler keeps, it reads and writes there. One that is no plugin keeps nothing.
    ///
    /// # Errors
    /// When it could not.
    async fn handle_keeping(
        &self,
        input: &HandlerInput,
        call: &Call,
        kept: Arc<dyn KeyValue>,
    ) -> Result<Outcome, CallError> {
        drop(kept);
        self.handle(input, call).await
    }
}

#[async_trait]
impl Handler for Plugin {
    fn name(&self) -> &str {
        Self::name(self)
    }

    fn generation(&self) -> u64 {
        Self::generation(self)
    }

    fn plugin(&self) -> Option<&Plugin> {
        Some(self)
    }

    async fn handle(&self, input: &HandlerInput, call: &Call) -> Result<Outcome, CallError> {
        Self::handle(self, input, call).await
    }

    async fn handle_keeping(
        &self,
        input: &HandlerInput,
        call: &Call,
        kept: Arc<dyn KeyValue>,
    ) -> Result<Outcome, CallError> {
        Self::handle_keeping(self, input, call, kept).await
    }
}

/// The ordered handlers that decide about an event.
#[derive(Debug)]
pub struct Chain {
    /// Its name, for people.
    pub name: String,
    /// Which events it is for.
    pub matches: Match,
    /// Who is asked, in order.
    pub steps: Vec<Step>,
    /// Where a message goes when a step failed and nobody has opened a ticket: it must reach a person all the same.
    pub fallback: Option<Fallback>,
}

impl Chain {
    /// Whether one of its steps may put an event aside.
    #[must_use]
    pub fn parks(&self) -> bool {
        self.steps.iter().any(|step| step.on_failure == OnFailure::Park)
    }
}

/// One handler in a chain.
#[derive(Debug)]
pub struct Step {
    /// The deployment that is asked.
    pub slot: Arc<Slot>,
    /// How long it may take, host calls and waiting included.
    pub timeout: Duration,
    /// What happens when it fails.
    pub on_failure: OnFailure,
    /// The conversations that it is asked about; none: all.
    pub share: Option<Share>,
}

/// How often an event is tried whose chain asks for it: with a quarter of a second doubling each time, eight seconds in
/// all. Its conversation waits meanwhile, so it is not to be long.
pub const CHAIN_ATTEMPTS: u32 = 6;

/// What a chain is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What happened.
    pub event: &'a Event,
    /// 1 for the first try.
    pub attempt: u32,
    /// The time, for reports.
    pub now: Timestamp,
    /// What the handlers keep, in this attempt.
    pub kept: &'a Arc<Kept>,
}

/// How the steps of a chain were taken.
#[derive(Debug)]
pub struct Taken {
    /// Each of them, in order.
    pub steps: Vec<StepTaken>,
    /// How the chain ended.
    pub end: ChainEnd,
    /// The event is to be put aside, since this step failed: nothing that the plan has from the chain is worth anything.
    pub parked: Option<Report>,
}

/// The chain has to be asked again after a while.
#[derive(Debug)]
pub struct AskAgain {
    /// No sooner than this, if the handler said so.
    pub after: Option<Duration>,
    /// What the failed step is to be reported with.
    pub report: Option<Report>,
}

/// Asks the handlers one after the other and applies what they want to the plan.
///
/// # Errors
/// [`AskAgain`] when a step failed whose policy says so and tries are left; the plan is worth nothing then.
pub async fn run(chain: &Chain, pins: &Pins, plan: &mut Plan<'_>, question: Question<'_>) -> Result<Taken, AskAgain> {
    let Question { event, attempt, now, kept } = question;
    let mut taken = Taken { steps: Vec::new(), end: ChainEnd { degraded: false, stopped: false }, parked: None };
    for step in &chain.steps {
        let pinned = pins.of(&step.slot, &plan.conversation.id);
        let mut note = StepTaken {
            plugin: step.slot.name().to_owned(),
            generation: pinned.handler.generation(),
            canary: pinned.canary,
            result: StepResult::NotInShare,
            took: Duration::ZERO,
        };
        if !step.is_for(&chain.name, plan) {
            taken.steps.push(note);
            continue;
        }
        let (input, call) = (input(plan, event), call(step, question));
        let begun = Instant::now();
        let answer = pinned.handler.handle_keeping(&input, &call, Arc::<Kept>::clone(kept)).await;
        note.took = begun.elapsed();
        pinned.observe(answer.as_ref().err(), note.took);
        let again = answer
            .as_ref()
            .err()
            .filter(|error| step.on_failure.asks_again() && attempt < CHAIN_ATTEMPTS && worth_retrying(error));
        if let Some(error) = again {
            let report = failed(error, step, &pinned, event, now);
            return Err(AskAgain { after: asked_for(error), report: Some(report) });
        }
        step.slot.compare(&pinned, &input, &call, &answer);
        let error = match answer {
            Ok(outcome) => {
                let stopped = outcome.flow == Flow::Stop;
                note.result = StepResult::Decided { actions: summary::actions(&outcome), stopped };
                taken.steps.push(note);
                plan.apply(step.slot.name(), pinned.handler.generation(), outcome.actions);
                if stopped {
                    taken.end.stopped = true;
                    break;
                }
                continue;
            }
            Err(error) => error,
        };
        let report = failed(&error, step, &pinned, event, now);
        note.result = StepResult::Failed {
            cause: report.cause.clone(),
            detail: report.detail.clone(),
            policy: step.on_failure.as_str().to_owned(),
        };
        taken.steps.push(note);
        if step.on_failure == OnFailure::Park {
            taken.parked = Some(report);
            break;
        }
        plan.report(report);
        taken.end.degraded = true;
        if step.on_failure == OnFailure::Stop {
            break;
        }
    }
    Ok(taken)
}

impl Step {
    /// Whether the conversation is in its share. Each step of each chain has a share of its own.
    fn is_for(&self, chain: &str, plan: &Plan<'_>) -> bool {
        let of = || format!("{chain}/{}", self.slot.name());
        self.share.is_none_or(|share| share.has(&of(), &plan.conversation.id))
    }
}

fn input(plan: &Plan<'_>, event: &Event) -> HandlerInput {
    HandlerInput {
        event: event.clone(),
        conversation: plan.conversation.clone(),
        tickets: plan.links.iter().map(|link| link.ticket.clone()).collect(),
    }
}

fn call(step: &Step, question: Question<'_>) -> Call {
    Call {
        subject: question.event.id.to_string(),
        attempt: question.attempt,
        now: question.event.received_at,
        deterministic: true,
        mode: Mode::Live,
        timeout: step.timeout,
        desk: None,
    }
}

fn worth_retrying(error: &CallError) -> bool {
    match error {
        CallError::Failed(failure) => !matches!(failure, Failure::Permanent { .. }),
        CallError::Broken(_) => true,
    }
}

fn asked_for(error: &CallError) -> Option<Duration> {
    match error {
        CallError::Failed(Failure::Retry { after, .. }) => *after,
        _ => None,
    }
}

fn failed(error: &CallError, step: &Step, pinned: &Pinned, event: &Event, now: Timestamp) -> Report {
    let report = match error {
        CallError::Broken(report) => to_report(report, now),
        CallError::Failed(failure) => Report {
            at: now,
            plugin: step.slot.name().to_owned(),
            generation: pinned.handler.generation(),
            event: event.id.to_string(),
            cause: "failure".into(),
            detail: failure.reason().to_owned(),
            frames: Vec::new(),
            stderr: String::new(),
        },
    };
    tracing::warn!(
        plugin = report.plugin,
        generation = report.generation,
        event = report.event,
        cause = report.cause,
        detail = report.detail,
        policy = step.on_failure.as_str(),
        "a handler failed"
    );
    report
}

/// A runtime's report as the store keeps it.
#[must_use]
pub fn to_report(report: &PluginReport, now: Timestamp) -> Report {
    Report {
        at: now,
        plugin: report.plugin.clone(),
        generation: report.generation,
        event: report.subject.clone(),
        cause: report.cause.as_str().to_owned(),
        detail: report.detail.clone(),
        frames: report.frames.clone(),
        stderr: report.stderr.clone(),
    }
}
