//! From our model's values to plain ones and back, for every version's records.

use patchbay_model::{Attributes, Body, Private};

use crate::limits;

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

/// What a version has no case for: the event's kind, and the body as the gateway writes it.
pub(super) fn unnamed(body: &Body) -> (String, String) {
    if let Body::Unparsed(unparsed) = body {
        let data = serde_json::json!({ "reason": unparsed.reason, "base64": unparsed.base64.reveal() });
        return (body.kind(), data.to_string());
    }
    let value = serde_json::to_value(body).ok().and_then(|mut body| body.get_mut("value").map(serde_json::Value::take));
    (body.kind(), value.unwrap_or_default().to_string())
}
