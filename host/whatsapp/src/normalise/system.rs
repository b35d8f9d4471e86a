//! Messages of type `system`, and `user_id_update[]`: who a customer is has changed.

use patchbay_model::event::{IdentityChange, IdentityChanged};
use patchbay_model::{Arrival, Body, Identity, Private, Route};
use serde_json::value::RawValue;

use super::identity;
use super::source::Source;
use crate::wire::Fields;

/// A message that says so; none: it is another message.
pub(super) fn arrival(source: &Source<'_>, message: &Fields<'_>, raw: &RawValue) -> Option<Arrival> {
    if message.get("type").is_none_or(|kind| kind.get() != "\"system\"") {
        return None;
    }
    let system = message.object("system")?;
    let what = change(&system.text("type")?)?;
    let named = |names: &[&str]| names.iter().filter_map(|name| system.text(name)).collect::<Vec<_>>();
    let sender = ["from_user_id", "from"].into_iter().filter_map(|name| message.text(name));

    let mut now = named(&["user_id", "wa_id", "new_wa_id"]);
    let mut before = named(&["previous_user_id", "customer", "previous_wa_id"]);
    // Another device or another person behind the number leaves the number and the user id as they are.
    let kept = if what == IdentityChange::Identity { &mut now } else { &mut before };
    kept.extend(sender);
    let id = source.id_of("message", message.text("id").as_deref(), raw);
    let note = system.text("body");
    Some(changed(source, Change { what, now, before, note }, |route, body| {
        source.arrival(id, route, message.moment("timestamp"), body, raw)
    }))
}

/// One item of `user_id_update[]`: no field of Meta's own any more, but still in what partners pass on.
pub(super) fn update(source: &Source<'_>, raw: &RawValue) -> Arrival {
    let (update, ids) = match Fields::of(raw).map(|update| (update.object("user_id"), update)) {
        Some((Some(ids), update)) => (update, ids),
        _ => return source.unknown("user_id_update", raw),
    };
    let change = Change {
        what: IdentityChange::UserId,
        now: [ids.text("current"), update.text("wa_id")].into_iter().flatten().collect(),
        before: ids.text("previous").into_iter().collect(),
        note: update.text("detail"),
    };
    let id = source.id(&["user-id-update", raw.get()]);
    changed(source, change, |route, body| source.arrival(id, route, update.moment("timestamp"), body, raw))
}

struct Change {
    what: IdentityChange,
    now: Vec<String>,
    before: Vec<String>,
    note: Option<String>,
}

fn changed(source: &Source<'_>, change: Change, arrival: impl FnOnce(Route, Body) -> Arrival) -> Arrival {
    let Change { what, now, before, note } = change;
    let old = identity::identities(before.iter().map(String::as_str));
    let mut person = identity::person(&source.contacts, now.into_iter().map(Some));
    let former: Vec<Identity> = if person.identities.is_empty() {
        // It names nothing new: the old names are all there is.
        person.identities = old;
        Vec::new()
    } else {
        old.into_iter().filter(|identity| !person.identities.contains(identity)).collect()
    };
    let route = match identity::customer(source.channel, person) {
        Ok(Route::Customer { channel, identities, profile, .. }) => {
            Route::Customer { channel, identities, former, profile }
        }
        _ => source.line(),
    };
    arrival(route, Body::IdentityChanged(IdentityChanged { what, note: note.map(Private::new) }))
}

fn change(kind: &str) -> Option<IdentityChange> {
    Some(match kind {
        "user_changed_number" | "customer_changed_number" => IdentityChange::Number,
        "user_changed_user_id" => IdentityChange::UserId,
        "customer_identity_changed" => IdentityChange::Identity,
        _ => return None,
    })
}
