//! The verbs that read.

use patchbay_plugin::{Added, Context, Failure, Level, Snapshot, Ticket};
use serde_json::Value;

use crate::api;
use crate::settings::Settings;

/// Pages of a hundred audits, the most that Zendesk gives at once, that are searched for a key. The contract does not say
/// when the key was written, so that the age of an audit ends nothing: a thousand changes of one ticket since then do.
const AUDIT_PAGES: usize = 10;

/// Pages of a hundred comments that are read of one ticket. A ticket holds 5,000 comments at the most.
const COMMENT_PAGES: usize = 50;

/// The ticket that was created with this key: it is the ticket's external id.
pub(crate) fn ticket_by_key(
    settings: &Settings,
    key: &str,
    desk: &str,
    cx: &Context,
) -> Result<Option<Added>, Failure> {
    let found = api::call(cx.http().get(settings.api("tickets")).query("external_id", key))?;
    // External ids are not unique at Zendesk, but nobody else uses our keys.
    let ticket = api::list_in(&found, "tickets").first().and_then(|record| api::ticket(record, settings, desk));
    Ok(ticket.map(|ticket| Added { entry: None, ticket }))
}

/// The comment that was written with this key: the key is in the metadata of its audit. If the ticket was closed, the
/// comment is the first one of a follow-up ticket, whose external id is the key; if it was deleted, of a fresh one.
pub(crate) fn entry_by_key(
    settings: &Settings,
    key: &str,
    ticket: &Ticket,
    cx: &Context,
) -> Result<Option<Added>, Failure> {
    match audit_by_key(settings, key, ticket, cx)? {
        Some(entry) => Ok(Some(Added { entry, ticket: ticket.clone() })),
        None => ticket_by_key(settings, key, &ticket.desk, cx),
    }
}

/// The comment of the ticket's audit that has the key, if there is such an audit.
fn audit_by_key(
    settings: &Settings,
    key: &str,
    ticket: &Ticket,
    cx: &Context,
) -> Result<Option<Option<String>>, Failure> {
    let mut found = None;
    let mut look = |page: &Value| {
        found = api::list_in(page, "audits").iter().find(|audit| api::has_key(audit, key)).map(api::comment_of);
        found.is_some()
    };
    // By cursor, as Zendesk recommends: pages that are counted move when the ticket changes in between. Newest first is a
    // wish: every page is looked at, in whatever order they come. An archived ticket has one page.
    let path = format!("tickets/{}/audits?page%5Bsize%5D=100&sort=-created_at", ticket.id);
    if !api::each_page(settings, settings.api(&path), AUDIT_PAGES, cx, &mut look)? {
        cx.log(Level::Warn, &format!("ticket {}: key {key} is not in {AUDIT_PAGES}00 of its audits", ticket.id));
    }
    Ok(found)
}

/// The ticket and all its comments.
pub(crate) fn snapshot(settings: &Settings, id: &str, cx: &Context) -> Result<Snapshot, Failure> {
    let answer = api::call(cx.http().get(settings.api(&format!("tickets/{id}"))))?;
    let mut entries = Vec::new();
    let oldest = settings.api(&format!("tickets/{id}/comments?per_page=100"));
    api::each_page(settings, oldest, COMMENT_PAGES, cx, &mut |page| {
        let comments = api::list_in(page, "comments").iter();
        entries.extend(comments.filter_map(|one| Some((api::id_in(one, "id")?, api::text_in(one, "body").to_owned()))));
        false
    })?;
    Ok(Snapshot { ticket: api::ticket_of(&answer, settings, "")?, entries })
}
