//! The routing logic of the bench, as an Extism plugin: an event as JSON in, an outcome as JSON out.

use extism_pdk::{FnResult, Json, WithReturnCode, config, plugin_fn};
use routing::{ATTRIBUTE, Priority, Settings};
use serde::{Deserialize, Serialize};

/// An event, as far as it matters here: a text message. The bench has no others.
#[derive(Deserialize)]
pub struct Input {
    event: Event,
}

#[derive(Deserialize)]
struct Event {
    body: Tagged<Message>,
}

#[derive(Deserialize)]
struct Message {
    content: Tagged<String>,
}

/// What has a `type` beside its `value`.
#[derive(Deserialize)]
struct Tagged<T> {
    value: T,
}

/// What to do.
#[derive(Serialize)]
pub struct Outcome {
    actions: Vec<Action>,
    flow: &'static str,
}

#[derive(Serialize)]
#[serde(tag = "type", content = "value", rename_all = "kebab-case")]
enum Action {
    Assign { queue: String, tier: u8, priority: Priority, reason: String },
    SetAttribute(&'static str, Option<String>),
    Note(String),
}

/// The handler.
#[plugin_fn]
pub fn handle(Json(input): Json<Input>) -> FnResult<Json<Outcome>> {
    let settings = config::get("settings")?.unwrap_or_default();
    let settings: Settings = serde_json::from_str(&settings).map_err(|error| WithReturnCode::new(error.into(), 1))?;
    let decision = settings.decide(&input.event.body.value.content.value);
    let assignment = Action::Assign {
        queue: decision.queue.to_owned(),
        tier: decision.tier,
        priority: decision.priority,
        reason: decision.reason.clone(),
    };
    let word = Action::SetAttribute(ATTRIBUTE, Some(decision.word.to_owned()));
    Ok(Json(Outcome { actions: vec![assignment, word, Action::Note(decision.reason)], flow: "next" }))
}
