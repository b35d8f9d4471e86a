//! Golden events: a plugin's vendor writes down what it has to answer, and the real sandbox asks it.
//!
//! A rehearsal is a call like any other, with things of the golden event's in place of the real world: its settings,
//! secrets and files, its script for the network, and no keys and values. The plugin's clock and randomness come from the
//! golden event, so that the same plugin answers the same thing each time, and answers are compared whole.
//!
//! # Layout
//! - here: asking
//! - `stage`: what stands in the real world's place
//! - `answered`, `diff`: the answer beside what was expected

mod answered;
pub(crate) mod diff;
mod stage;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use patchbay_model::desk::Webhook;
use patchbay_model::golden::{Asked, Exchange, Expected, FileBytes, Golden, Inspect, Received, Verb};
use patchbay_model::{Media, Private};
use serde_json::Value;

use crate::call::{Call, HandlerInput, Mode};
use crate::capabilities::recorder::Recorder;
use crate::capabilities::script::Script;
use crate::contract::{Answer, Ask};
use crate::limits;
use crate::plugin::{Plugin, Role};
use crate::report::{CallError, PluginReport};
use crate::run::run;
use crate::state::{Requests, Stage};

/// Lines of a plugin's standard error in a difference: a panic's message takes two or three.
const LINES: usize = 5;

/// What became of one golden event.
#[derive(Clone, Debug, PartialEq)]
pub struct GoldenResult {
    /// As the golden event names itself.
    pub name: String,
    /// The plugin answered what it has to answer.
    pub passed: bool,
    /// Each as `/actions/0/value: expected …, got …`, with a JSON pointer into what stands under `expect`, or into the
    /// golden event.
    pub differences: Vec<String>,
    /// What the plugin answered, in the form of `expect`; none where it broke off.
    pub answered: Option<Expected>,
    /// How long the plugin took.
    pub took: Duration,
}

/// What a plugin asked of real servers, and what they answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// In the form of `http`, without what is secret.
    pub http: Vec<Exchange>,
    /// Requests that were refused or that nobody answered, each in a sentence: they cannot be written down, and what the
    /// plugin answered rests on them.
    pub problems: Vec<String>,
    /// Headers of answers that were left out because their values may be secret, by name.
    pub left_out: BTreeSet<String>,
    /// What the plugin answered, beside what it has to answer.
    pub result: GoldenResult,
}

/// Asks the plugin what the golden event asks, and compares.
///
/// The plugin's grants do not count: nothing leaves the sandbox, and each request is answered by the script or refused.
pub async fn rehearse(plugin: &Plugin, golden: &Golden) -> GoldenResult {
    let script = Arc::new(Script::new(&golden.http));
    let mut result = ask(plugin, golden, Requests::Scripted(Arc::clone(&script))).await;
    if asks(golden, plugin) {
        result.differences.extend(script.differences());
    }
    result.passed = result.differences.is_empty();
    result
}

/// Asks the plugin what the golden event asks, lets its requests leave, and writes down what they are answered. What the
/// golden event has under `http` does not count.
///
/// Here the plugin's grants count, with their credentials, as in every call.
pub async fn record(plugin: &Plugin, golden: &Golden) -> Recording {
    let recorder = Arc::new(Recorder::default());
    let result = ask(plugin, golden, Requests::Recorded(Arc::clone(&recorder))).await;
    let kept = recorder.take();
    let http = kept.exchanges.into_iter().flatten().collect();
    Recording { http, problems: kept.problems, left_out: kept.left_out, result }
}

/// The role that a golden event asks.
const fn role(asked: &Asked) -> Role {
    match asked {
        Asked::Handle { .. } => Role::Handler,
        Asked::Desk { .. } => Role::Desk,
        Asked::Inspect { .. } => Role::Inspector,
    }
}

fn asks(golden: &Golden, plugin: &Plugin) -> bool {
    plugin.roles().contains(&role(&golden.asked))
}

async fn ask(plugin: &Plugin, golden: &Golden, requests: Requests) -> GoldenResult {
    let begun = Instant::now();
    let result = |answered, differences: Vec<String>| GoldenResult {
        name: golden.name.clone(),
        passed: differences.is_empty(),
        differences,
        answered,
        took: begun.elapsed(),
    };
    if !asks(golden, plugin) {
        let (role, key) = (role(&golden.asked).as_str(), golden.asked.key());
        let its: Vec<&str> = plugin.roles().iter().map(|role| role.as_str()).collect();
        let why = format!("`{key}` is for a plugin with the role {role}, and this one's are: {}", its.join(", "));
        return result(None, vec![why]);
    }
    let stage = match stage::facts(plugin, golden) {
        Ok(facts) => Stage { facts, requests },
        Err(why) => return result(None, vec![why]),
    };
    match put(plugin, &golden.asked, stage).await {
        Ok(answer) => {
            let answered = answered::written(answer);
            let differences = answered::against(&golden.expect, &answered);
            result(Some(answered), differences)
        }
        Err(CallError::Failed(failure)) => {
            let differences = answered::against_failure(&golden.expect, &failure);
            result(Some(Expected::Failure(answered::sort(&failure).to_owned())), differences)
        }
        Err(CallError::Broken(report)) => result(None, vec![broken(&report)]),
    }
}

/// Puts the question to the plugin.
async fn put(plugin: &Plugin, asked: &Asked, stage: Stage) -> Result<Answer, CallError> {
    let call = |subject: &str, now, desk: Option<&String>| Call {
        subject: subject.to_owned(),
        attempt: 1,
        now,
        deterministic: true,
        timeout: limits::WALL,
        mode: Mode::Rehearsal,
        desk: desk.cloned(),
    };
    let run = async |ask: Ask<'_>, call: Call| run(&plugin.generation, ask, &call, stage.into()).await;
    match asked {
        Asked::Handle { event, conversation, tickets } => {
            let input = HandlerInput {
                event: Box::as_ref(event).clone(),
                conversation: Box::as_ref(conversation).clone(),
                tickets: tickets.clone(),
            };
            run(Ask::Handle(&input), call(event.id.as_str(), event.received_at, None)).await
        }
        Asked::Desk { desk, now, verb } => {
            let call = |subject: &str| call(subject, *now, Some(desk));
            match &**verb {
                Verb::FindTicket(asked) => run(Ask::FindTicket(&asked.key), call(&asked.key)).await,
                Verb::CreateTicket(asked) => run(Ask::CreateTicket(&asked.key, &asked.draft), call(&asked.key)).await,
                Verb::FindEntry(asked) => run(Ask::FindEntry(&asked.key, &asked.ticket), call(&asked.key)).await,
                Verb::AddEntry(asked) => {
                    run(Ask::AddEntry(&asked.key, &asked.ticket, &asked.entry), call(&asked.key)).await
                }
                Verb::UpdateTicket(asked) => {
                    run(Ask::UpdateTicket(&asked.key, &asked.ticket, &asked.fields), call(&asked.key)).await
                }
                Verb::ReadTicket(asked) => run(Ask::ReadTicket(&asked.id), call(&asked.id)).await,
                Verb::Receive(asked) => run(Ask::Receive(&webhook(asked)), call(desk)).await,
            }
        }
        Asked::Inspect { now, inspect } => {
            run(Ask::Inspect(&media(inspect)), call(inspect.id.as_str(), *now, None)).await
        }
    }
}

fn webhook(asked: &Received) -> Webhook {
    let body = match asked.body.reveal() {
        Value::Null => Vec::new(),
        Value::String(text) => text.clone().into_bytes(),
        json => json.to_string().into_bytes(),
    };
    Webhook {
        method: asked.method.clone(),
        path: asked.path.clone(),
        query: asked.query.clone(),
        headers: asked.headers.clone(),
        body: Private::new(body),
    }
}

fn media(asked: &Inspect) -> Media {
    Media {
        id: asked.id.clone(),
        platform_id: String::new(),
        kind: asked.kind(),
        mime: asked.mime.clone(),
        size: match &asked.bytes {
            FileBytes::Base64(bytes) => Some(bytes.len() as u64),
            FileBytes::File(_) => None,
        },
        sha256: None,
        file_name: asked.file_name.clone(),
        caption: asked.caption.clone(),
    }
}

/// The report in a few lines, with what the plugin printed last: there the reason stands most often.
fn broken(report: &PluginReport) -> String {
    let mut text = format!("it broke off: {} [{}]", report.detail, report.cause);
    let said: Vec<&str> = report.stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    for line in said.iter().skip(said.len().saturating_sub(LINES)) {
        text.push_str("\n    ");
        text.push_str(line);
    }
    text
}
