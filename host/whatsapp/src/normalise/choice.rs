//! What a customer chose or filled in.

use patchbay_model::message::Choice;
use patchbay_model::{Content, Private};

use crate::wire::{self, Fields};

/// The quick reply of a template. Its payload may be empty or missing; then its text is all there is to know it by.
pub(super) fn button(body: &Fields<'_>) -> Option<Choice> {
    let (payload, text) = (body.text("payload"), body.text("text"));
    Some(Choice {
        id: payload.clone().or_else(|| text.clone())?,
        title: Private::new(text.or(payload)?),
        description: None,
    })
}

/// An answer to one of our questions, or to one that our model has no name for.
///
/// # Errors
/// The kind to keep it under.
pub(super) fn interactive(body: &Fields<'_>) -> Result<Content, String> {
    let kind = wire::word(body.text("type"), "interactive");
    let content = body.object(&kind).and_then(|answer| match kind.as_str() {
        "button_reply" | "list_reply" => reply(&answer).map(Content::Choice),
        "nfm_reply" => answer.get("response_json").map(form),
        _ => None,
    });
    content.ok_or(kind)
}

fn reply(answer: &Fields<'_>) -> Option<Choice> {
    let (id, title) = (answer.text("id"), answer.text("title"));
    Some(Choice {
        id: id.clone().or_else(|| title.clone())?,
        title: Private::new(title.or(id)?),
        description: answer.text("description").map(Private::new),
    })
}

/// The answers are JSON inside a string, which need not be valid; an object without a string around it is taken as well.
fn form(response: &serde_json::value::RawValue) -> Content {
    Content::Form(Private::new(wire::text(response).unwrap_or_else(|| response.get().to_owned())))
}
