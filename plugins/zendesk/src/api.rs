//! Requests to Zendesk, and what is read from its answers.
//!
//! Answers are read member by member and not into types: little of each is needed, and every type more makes the
//! component larger by its parser.

use patchbay_plugin::{Added, Context, Failure, Request, Response, Ticket};
use serde_json::Value;

use crate::settings::{Settings, from_zendesk};

/// Under this name the gateway's key is in the metadata of every audit that we caused.
pub(crate) const KEY: &str = "patchbay_key";

/// Where the requester's id is kept with a ticket.
pub(crate) const USER: &str = "user";

/// What a status means, where Zendesk is not like everybody else.
pub(crate) fn checked(response: Response) -> Result<Response, Failure> {
    match response.status() {
        // Somebody changed the ticket at the same moment.
        409 => Err(Failure::retry(response.reason())),
        _ => response.ok(),
    }
}

/// Sends a request, whose answer has to be a success.
pub(crate) fn call(request: Request<'_>) -> Result<Value, Failure> {
    checked(request.send()?)?.json()
}

/// Follows the pages of a list, as many as `pages` at the most, until `look` has found what it wants. Gives whether the
/// list was seen to its end, or to what was wanted.
pub(crate) fn each_page(
    settings: &Settings,
    first: String,
    pages: usize,
    cx: &Context,
    look: &mut dyn FnMut(&Value) -> bool,
) -> Result<bool, Failure> {
    let mut url = first;
    for _ in 0..pages {
        let response = cx.http().get(url).send()?;
        if response.status() == 404 {
            // What was deleted has nothing on its lists.
            return Ok(true);
        }
        let page = checked(response)?.json()?;
        if look(&page) {
            return Ok(true);
        }
        match next_page(&page).filter(|next| settings.is_ours(next)) {
            Some(next) => url = next.to_owned(),
            None => return Ok(true),
        }
    }
    Ok(false)
}

/// Where a list goes on: lists with a cursor say it in one place, those with numbered pages in another. The last page of
/// a list with a cursor may have a link all the same, to a page with nothing on it.
fn next_page(page: &Value) -> Option<&str> {
    let more = page.get("meta").and_then(|meta| meta.get("has_more")).and_then(Value::as_bool);
    let link = match page.get("links") {
        Some(links) if more != Some(false) => links.get("next"),
        _ => page.get("next_page"),
    };
    link.and_then(Value::as_str)
}

/// An id, which Zendesk writes as a number here and as text there.
pub(crate) fn id(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The id under `key`.
pub(crate) fn id_in(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(id)
}

/// The text under `key`; empty if there is none.
pub(crate) fn text_in<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The list under `key`; empty if there is none.
pub(crate) fn list_in<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// What an answer lacks.
pub(crate) fn lacking(what: &str) -> Failure {
    Failure::retry(format!("unexpected answer: it has no {what}"))
}

/// The ticket under `ticket`, in the contract's words.
pub(crate) fn ticket_of(answer: &Value, settings: &Settings, desk: &str) -> Result<Ticket, Failure> {
    answer.get("ticket").and_then(|record| ticket(record, settings, desk)).ok_or_else(|| lacking("ticket"))
}

/// A ticket in the contract's words.
pub(crate) fn ticket(record: &Value, settings: &Settings, desk: &str) -> Option<Ticket> {
    let id = id_in(record, "id")?;
    Some(Ticket {
        desk: desk.to_owned(),
        url: Some(settings.ticket_url(&id)),
        id,
        status: from_zendesk(text_in(record, "status")),
        data: id_in(record, "requester_id").map(|user| (USER.to_owned(), user)).into_iter().collect(),
    })
}

/// The ticket, and the comment that the request wrote: the answer to a write has the audit of it.
pub(crate) fn added(answer: &Value, settings: &Settings, desk: &str) -> Result<Added, Failure> {
    let entry = answer.get("audit").and_then(comment_of);
    Ok(Added { entry, ticket: ticket_of(answer, settings, desk)? })
}

/// Whether an audit was caused by the call with this key.
pub(crate) fn has_key(audit: &Value, key: &str) -> bool {
    let custom = audit.get("metadata").and_then(|metadata| metadata.get("custom"));
    custom.is_some_and(|custom| text_in(custom, KEY) == key)
}

/// Whether Zendesk refuses a write for the sake of a user it names: one who was deleted, or merged into another.
pub(crate) fn is_about_user(response: &Response) -> bool {
    response.status() == 422 && ["author", "requester"].iter().any(|role| mentions(response, role))
}

/// Whether an answer has a word, in any case.
pub(crate) fn mentions(response: &Response, word: &str) -> bool {
    response.text().to_ascii_lowercase().contains(word)
}

/// The id of the comment that an audit is about.
pub(crate) fn comment_of(audit: &Value) -> Option<String> {
    list_in(audit, "events")
        .iter()
        .find(|event| text_in(event, "type") == "Comment")
        .and_then(|event| id_in(event, "id"))
}
