//! Speaks Zendesk Support: tickets, comments and uploads one way, event webhooks the other. See the README for the
//! settings, the grant and the webhook's subscriptions.
//!
//! - `settings`: what the operator sets, and what our words are in Zendesk;
//! - `api`: requests, and what is read from their answers;
//! - `compose`: what a comment says, and its files;
//! - `tickets`: the verbs that write; `lookup`: those that read;
//! - `webhook`: what Zendesk tells us.

mod api;
mod compose;
mod lookup;
mod settings;
mod tickets;
mod webhook;

use patchbay_plugin::{Added, Context, Desk, DeskActivity, Draft, Entry, Failure, Snapshot, Ticket, Webhook, desk};

pub use crate::settings::Settings;

/// The desk.
#[derive(Debug)]
pub struct Zendesk;

#[desk]
impl Desk for Zendesk {
    type Settings = Settings;

    fn find_ticket(settings: &Settings, key: &str, cx: &Context) -> Result<Option<Added>, Failure> {
        lookup::ticket_by_key(settings, key, "", cx)
    }

    fn create_ticket(settings: &Settings, key: &str, draft: &Draft, cx: &Context) -> Result<Added, Failure> {
        tickets::create(settings, key, draft, cx)
    }

    fn find_entry(settings: &Settings, key: &str, ticket: &Ticket, cx: &Context) -> Result<Option<Added>, Failure> {
        lookup::entry_by_key(settings, key, ticket, cx)
    }

    fn add_entry(
        settings: &Settings,
        key: &str,
        ticket: &Ticket,
        entry: &Entry,
        cx: &Context,
    ) -> Result<Added, Failure> {
        tickets::add_entry(settings, key, ticket, entry, cx)
    }

    fn update_ticket(
        settings: &Settings,
        _key: &str,
        ticket: &Ticket,
        fields: &[(String, String)],
        cx: &Context,
    ) -> Result<Ticket, Failure> {
        tickets::update(settings, ticket, fields, cx)
    }

    fn read_ticket(settings: &Settings, id: &str, cx: &Context) -> Result<Snapshot, Failure> {
        lookup::snapshot(settings, id, cx)
    }

    fn receive(settings: &Settings, request: &Webhook, cx: &Context) -> Result<Vec<DeskActivity>, Failure> {
        webhook::receive(settings, request, cx)
    }
}

#[cfg(test)]
mod tests;
