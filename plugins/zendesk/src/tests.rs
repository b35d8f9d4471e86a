//! The plugin against a scripted Zendesk.

mod reading;
mod webhooks;
mod writing;

use patchbay_plugin::Ticket;
use patchbay_plugin::testing::{settings, ticket};
use serde_json::{Value, json};

use crate::Settings;

fn given() -> Settings {
    settings(&json!({
        "base_url": "https://acme.example",
        "groups": { "billing": 11 },
        "tags": ["whatsapp"],
        "integration_user": 900,
    }))
    .unwrap()
}

/// A ticket of requester 50's that the gateway knows.
fn known(status: &str) -> Ticket {
    Ticket {
        url: Some("https://acme.example/agent/tickets/7".into()),
        status: status.into(),
        data: vec![("user".into(), "50".into())],
        ..ticket("zd", "7")
    }
}

/// What Zendesk answers to a write.
fn written(ticket: u64, status: &str, comment: u64) -> Value {
    json!({
        "ticket": { "id": ticket, "status": status, "requester_id": 50 },
        "audit": { "id": 1, "events": [{ "id": comment - 1, "type": "Create" }, { "id": comment, "type": "Comment" }] },
    })
}
