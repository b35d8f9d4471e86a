//! `groups[]`: a group was made, changed, joined or left.

use patchbay_model::{Arrival, Body, Notice};
use serde_json::value::RawValue;

use super::identity;
use super::source::Source;
use crate::wire::Fields;

/// What Meta calls it, and what we do; the last one is for what was tried in vain.
const KINDS: [(&str, &str, &str); 6] = [
    ("group_create", "created", "create-failed"),
    ("group_delete", "deleted", "delete-failed"),
    ("group_participants_add", "participants-added", "participants-add-failed"),
    ("group_participants_remove", "participants-removed", "participants-remove-failed"),
    ("group_join_request_created", "join-requested", "join-requested"),
    ("group_join_request_revoked", "join-revoked", "join-revoked"),
];

/// One item.
pub(super) fn arrival(source: &Source<'_>, raw: &RawValue) -> Arrival {
    let Some(group) = Fields::of(raw) else {
        return source.unknown("group", raw);
    };
    let failed = !group.list("errors").is_empty();
    let kind = kind(source.field, group.text("type").as_deref(), failed && nobody_moved(&group));
    let route = match group.text("group_id") {
        Some(id) => identity::group(source.channel, id, subject(&group).filter(|_| !failed)),
        None => source.line(),
    };
    let body = Body::Group(Notice { kind: kind.to_owned(), data: raw.get().into() });
    source.arrival(source.id(&["group", raw.get()]), route, group.moment("timestamp"), body, raw)
}

/// A type that we have no word for is at least about what its field is about.
fn kind(field: &str, what: Option<&str>, failed: bool) -> &'static str {
    if let Some((_, done, in_vain)) = KINDS.iter().find(|(name, ..)| what == Some(*name)) {
        return if failed { in_vain } else { done };
    }
    match field {
        "group_lifecycle_update" => "lifecycle",
        "group_participants_update" => "participants",
        "group_settings_update" => "settings",
        "group_status_update" => "status",
        _ => "other",
    }
}

/// Of several participants some may have been added or removed, and others not.
fn nobody_moved(group: &Fields<'_>) -> bool {
    ["added_participants", "removed_participants"].iter().all(|list| group.list(list).is_empty())
}

fn subject(group: &Fields<'_>) -> Option<String> {
    group.text("subject").or_else(|| {
        let subject = group.object("group_subject")?;
        let refused = subject.get("update_successful").is_some_and(|done| done.get() == "false");
        subject.text("text").filter(|_| !refused)
    })
}
