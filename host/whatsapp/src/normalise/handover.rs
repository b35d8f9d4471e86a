//! `messaging_handovers`: a conversation was passed to or from the platform's own agent.

use patchbay_model::event::Handover;
use patchbay_model::{Arrival, Body};
use serde_json::value::RawValue;

use super::identity;
use super::source::Source;
use crate::wire::Fields;

/// The field. Its value is one handover, and has no `metadata`: [`number`] says which number of ours it is about.
pub(super) const FIELD: &str = "messaging_handovers";

/// The phone number id.
pub(super) fn number(value: &Fields<'_>) -> Option<String> {
    value.object("recipient")?.text("phone_number_id")
}

/// The handover. None: it is of a shape that we do not know.
pub(super) fn arrival(source: &Source<'_>, value: &Fields<'_>, raw: &RawValue) -> Option<Arrival> {
    let kind = value.text("type").unwrap_or_else(|| "control_passed".to_owned());
    let passed = value.object(&kind)?;
    let sender = value.object("sender").unwrap_or_default();
    let names = [sender.text("user_id"), sender.text("phone_number").map(identity::dialled), sender.text("wa_id")];
    let route = identity::route(source.channel, &source.contacts, names).unwrap_or_else(|| source.line());
    let body = Body::Handover(Handover {
        from: passed.text("previous_owner_role").unwrap_or_default(),
        to: passed.text("new_owner_role").unwrap_or_default(),
        data: raw.get().into(),
    });
    Some(source.arrival(source.id(&["handover", raw.get()]), route, value.moment("timestamp"), body, raw))
}
