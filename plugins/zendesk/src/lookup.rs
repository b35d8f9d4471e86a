//! The verbs that read.

use patchbay_plugin::{Added, Context, Failure, Snapshot, Ticket};

use crate::api;
use crate::settings::Settings;

/// Pages of a hundred audits that are searched for a key, newest first: a key is looked for minutes after it was
/// written, and a ticket rarely has a hundred changes in that time.
const AUDIT_PAGES: usize = 3;

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
/// comment is the first one of a follow-up ticket, whose external id is the key.
pub(crate) fn entry_by_key(
    settings: &Settings,
    key: &str,
    ticket: &Ticket,
    cx: &Context,
) -> Result<Option<Added>, Failure> {
    let mut found = None;
    let newest = settings.api(&format!("tickets/{}/audits?sort_order=desc&per_page=100", ticket.id));
    api::each_page(settings, newest, AUDIT_PAGES, cx, &mut |page| {
        found = api::list_in(page, "audits").iter().find(|audit| api::has_key(audit, key)).map(api::comment_of);
        found.is_some()
    })?;
    match found {
        Some(entry) => Ok(Some(Added { entry, ticket: ticket.clone() })),
        None => ticket_by_key(settings, key, &ticket.desk, cx),
    }
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
