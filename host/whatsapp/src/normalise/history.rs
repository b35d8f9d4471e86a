//! `history`: what was said in the business's app before its number was connected, in chunks of threads; and, later, the
//! media of it as plain messages. A business may also decline to share it.

use patchbay_model::event::{Overheard, Speaker};
use patchbay_model::{Arrival, Body, Notice};
use serde_json::value::RawValue;

use super::source::{Source, Voice};
use super::{identity, message, notice};
use crate::wire::{self, Fields};

/// The code of the error that says that the business shares no history (Meta's error codes, coexistence).
const DECLINED: &str = "2593109";

/// The list of messages in a thread.
pub(super) const THREAD: &str = "history.threads.messages";

/// Finds the items of `history[]`: messages and errors; of a chunk that has neither, the chunk.
pub(super) fn walk<'a>(raw: &'a RawValue, visit: &mut impl FnMut(&str, Option<&str>, &'a RawValue)) {
    let Some(chunks) = wire::list(raw) else {
        return visit("=history", None, raw);
    };
    for chunk in chunks {
        let mut found = 0_usize;
        for (name, raw) in Fields::of(chunk).unwrap_or_default().iter() {
            if name == "metadata" || raw.get() == "null" {
                continue;
            }
            let mut visit = |list: &str, thread: Option<&str>, raw| {
                found += 1;
                visit(list, thread, raw);
            };
            match (name, wire::list(raw)) {
                ("threads", Some(threads)) => threads.into_iter().for_each(|raw| thread(raw, &mut visit)),
                ("errors", Some(errors)) => errors.into_iter().for_each(|raw| visit("history.errors", None, raw)),
                _ => visit(&format!("=history.{name}"), None, raw),
            }
        }
        if found == 0 {
            visit("history", None, chunk);
        }
    }
}

fn thread<'a>(raw: &'a RawValue, visit: &mut impl FnMut(&str, Option<&str>, &'a RawValue)) {
    let thread = Fields::of(raw).unwrap_or_default();
    match thread.get("messages").and_then(wire::list) {
        Some(messages) => {
            let id = thread.text("id").and_then(identity::short);
            messages.into_iter().for_each(|raw| visit(THREAD, id.as_deref(), raw));
        }
        None => visit("history.threads", None, raw),
    }
}

/// A chunk without messages and errors: all that it says is how far the history has come.
pub(super) fn progress(source: &Source<'_>, raw: &RawValue) -> Arrival {
    if Fields::of(raw).is_none() {
        return source.unknown("history", raw);
    }
    let body = Body::AccountNotice(Notice { kind: notice::HISTORY_PROGRESS.to_owned(), data: raw.get().into() });
    source.arrival(source.id(&["history-progress", raw.get()]), source.line(), None, body, raw)
}

/// Why there is no history, or not all of it.
pub(super) fn error(source: &Source<'_>, raw: &RawValue) -> Arrival {
    let declined = Fields::of(raw).and_then(|error| error.text("code")).as_deref() == Some(DECLINED);
    let kind = if declined { notice::HISTORY_DECLINED } else { notice::HISTORY_ERROR };
    let body = Body::AccountNotice(Notice { kind: kind.to_owned(), data: raw.get().into() });
    source.arrival(source.id(&["history-error", raw.get()]), source.line(), None, body, raw)
}

/// One message of long ago.
pub(super) fn message(source: &Source<'_>, raw: &RawValue) -> Arrival {
    let Some(message) = Fields::of(raw) else {
        return source.unknown("history-message", raw);
    };
    let wamid = message.text("id");
    // A file's message comes twice under one name: as a placeholder in its thread, then with the file.
    let kind = if source.list == THREAD { "history" } else { "history-message" };
    let id = source.id_of(kind, wamid.as_deref(), raw);
    let by = speaker(source, &message);
    let (user_id, phone) = match by {
        Speaker::Customer => ("from_user_id", "from"),
        Speaker::Business => ("to_user_id", "to"),
    };
    let names = [message.text(user_id), message.text(phone), source.thread.clone()];
    let route = identity::route(source.channel, &source.contacts, names).unwrap_or_else(|| source.line());
    let state = message.object("history_context").and_then(|context| context.text("status"));
    let said = message::read(source, wamid, &message, raw);
    let body = Body::History(Overheard { message: said, by, state });
    source.arrival(id, route, message.moment("timestamp"), body, raw)
}

/// Who wrote. What the business wrote says to whom; the customer's messages do not, or say our own number.
fn speaker(source: &Source<'_>, message: &Fields<'_>) -> Speaker {
    let ours = match &source.voice {
        Voice::Known(speaker) => return *speaker,
        Voice::Ours(digits) => digits.as_str(),
    };
    let is_ours = |name: &String| !ours.is_empty() && wire::digits(name) == ours;
    let to_customer = message.text("to_user_id").or_else(|| message.text("to")).is_some_and(|to| !is_ours(&to));
    if to_customer || message.text("from").as_ref().is_some_and(is_ours) {
        Speaker::Business
    } else {
        Speaker::Customer
    }
}
