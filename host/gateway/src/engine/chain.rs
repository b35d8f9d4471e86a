//! Which handlers are asked about an event, and what happens when one of them fails.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use patchbay_model::{Event, Flow, Outcome, Timestamp};
use patchbay_runtime::{Call, CallError, HandlerInput, Mode, Plugin, PluginReport};
use patchbay_store::Report;

use super::plan::{ChainEnd, Plan};
use crate::config::{Fallback, Match, OnFailure};

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

/// One handler in a chain.
#[derive(Debug)]
pub struct Step {
    /// Who is asked.
    pub plugin: Arc<dyn Handler>,
    /// How long it may take, host calls and waiting included.
    pub timeout: Duration,
    /// What happens when it fails.
    pub on_failure: OnFailure,
}

/// How often an event is tried whose chain asks for it: with a quarter of a second doubling each time, eight seconds in
/// all. Its conversation waits meanwhile, so it is not to be long.
pub const CHAIN_ATTEMPTS: u32 = 6;

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
pub async fn run(
    chain: &Chain,
    plan: &mut Plan<'_>,
    event: &Event,
    attempt: u32,
    now: Timestamp,
) -> Result<ChainEnd, AskAgain> {
    let mut end = ChainEnd { degraded: false, stopped: false };
    for step in &chain.steps {
        let input = HandlerInput {
            event: event.clone(),
            conversation: plan.conversation.clone(),
            tickets: plan.links.iter().map(|link| link.ticket.clone()).collect(),
        };
        let call = Call {
            subject: event.id.to_string(),
            attempt,
            now: event.received_at,
            deterministic: true,
            mode: Mode::Live,
            timeout: step.timeout,
            desk: None,
        };
        let error = match step.plugin.handle(&input, &call).await {
            Ok(outcome) => {
                plan.apply(step.plugin.name(), step.plugin.generation(), outcome.actions);
                if outcome.flow == Flow::Stop {
                    end.stopped = true;
                    break;
                }
                continue;
            }
            Err(error) => error,
        };
        let report = failed(&error, step, event, now);
        if step.on_failure == OnFailure::Retry && attempt < CHAIN_ATTEMPTS && worth_retrying(&error) {
            return Err(AskAgain { after: asked_for(&error), report: Some(report) });
        }
        plan.report(report);
        end.degraded = true;
        if step.on_failure == OnFailure::Stop {
            break;
        }
    }
    Ok(end)
}

fn worth_retrying(error: &CallError) -> bool {
    match error {
        CallError::Failed(failure) => !matches!(failure, patchbay_model::Failure::Permanent { .. }),
        CallError::Broken(_) => true,
    }
}

fn asked_for(error: &CallError) -> Option<Duration> {
    match error {
        CallError::Failed(patchbay_model::Failure::Retry { after, .. }) => *after,
        _ => None,
    }
}

fn failed(error: &CallError, step: &Step, event: &Event, now: Timestamp) -> Report {
    let report = match error {
        CallError::Broken(report) => to_report(report, now),
        CallError::Failed(failure) => Report {
            at: now,
            plugin: step.plugin.name().to_owned(),
            generation: step.plugin.generation(),
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
        policy = ?step.on_failure,
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
