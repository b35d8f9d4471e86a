//! From our model's values to plain ones and back, for every version's records.

use patchbay_model::{Attributes, Body, Private};

use crate::limits;
use crate::report::Cause;
use crate::stop::Stop;

pub(super) fn text(value: &Private<String>) -> String {
    value.reveal().clone()
}

pub(super) fn maybe(value: Option<&Private<String>>) -> Option<String> {
    value.map(text)
}

pub(super) fn private(value: String) -> Private<String> {
    Private::new(value)
}

/// Keys and values as a list, in the order of the keys.
pub(super) fn pairs(attributes: &Attributes) -> Vec<(String, String)> {
    attributes.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Keys and values of a plugin's: of a key that it gives twice, the last value.
pub(super) fn attributes(pairs: Vec<(String, String)>) -> Attributes {
    pairs.into_iter().collect()
}

/// A reason is for people and for logs: a plugin that answers with a whole page is cut short.
pub(super) fn reason(mut text: String) -> String {
    if text.len() > limits::QUOTED {
        text.truncate(text.floor_char_boundary(limits::QUOTED));
        text.push('…');
    }
    text
}

/// A number that can be written down and compared. `of`: what it says something about.
pub(super) fn number(value: f64, of: &str) -> Result<f64, Stop> {
    if value.is_finite() { Ok(value) } else { Err(Stop::new(Cause::Answer, format!("the value of {of} is no number"))) }
}

/// How sure an inspector is of `of`.
pub(super) fn confidence(score: f32, of: &str) -> Result<f32, Stop> {
    let wrong = || Stop::new(Cause::Answer, format!("the confidence of {of} is not between 0 and 1"));
    // What is no number is not within a range either.
    (0.0..=1.0).contains(&score).then_some(score).ok_or_else(wrong)
}

/// What a version has no case for: the event's kind, and the body as the gateway writes it.
pub(super) fn unnamed(body: &Body) -> (String, String) {
    if let Body::Unparsed(unparsed) = body {
        let data = serde_json::json!({ "reason": unparsed.reason, "base64": unparsed.base64.reveal() });
        return (body.kind(), data.to_string());
    }
    let value = serde_json::to_value(body).ok().and_then(|mut body| body.get_mut("value").map(serde_json::Value::take));
    (body.kind(), value.unwrap_or_default().to_string())
}
