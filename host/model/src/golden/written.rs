//! The JSON of a golden event.
//!
//! All roles have one form, whose keys say what is asked: that of handlers is the oldest one, and is written as it always
//! was, so that a gateway that knows no other can read it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use super::asked::{
    AddEntry, Asked, CreateTicket, FindEntry, FindTicket, Inspect, ReadTicket, Received, UpdateTicket, Verb,
};
use super::{DESK, Exchange, Expected, FileBytes, Golden, NOW};
use crate::{Conversation, Event, MediaId, Private, Ticket, Timestamp};

/// A golden event as it stands in a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    #[serde(default)]
    name: String,
    #[serde(default)]
    settings: Map<String, Value>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    secrets: BTreeMap<String, Private<String>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    files: BTreeMap<MediaId, FileBytes>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    desk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    now: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<Box<Event>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    conversation: Option<Box<Conversation>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tickets: Option<Vec<Ticket>>,
    #[serde(rename = "find-ticket", default, skip_serializing_if = "Option::is_none")]
    find_ticket: Option<FindTicket>,
    #[serde(rename = "create-ticket", default, skip_serializing_if = "Option::is_none")]
    create_ticket: Option<CreateTicket>,
    #[serde(rename = "find-entry", default, skip_serializing_if = "Option::is_none")]
    find_entry: Option<FindEntry>,
    #[serde(rename = "add-entry", default, skip_serializing_if = "Option::is_none")]
    add_entry: Option<AddEntry>,
    #[serde(rename = "update-ticket", default, skip_serializing_if = "Option::is_none")]
    update_ticket: Option<UpdateTicket>,
    #[serde(rename = "read-ticket", default, skip_serializing_if = "Option::is_none")]
    read_ticket: Option<ReadTicket>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    receive: Option<Received>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inspect: Option<Inspect>,
    #[serde(default)]
    http: Vec<Exchange>,
    expect: Expected,
}

/// Why it makes no sense as a whole.
#[derive(Debug, Error)]
pub(super) enum Senseless {
    #[error(
        "it asks nothing: write `event` and `conversation` for a handler; `create-ticket`, `find-ticket`, `add-entry`, \
         `find-entry`, `update-ticket`, `read-ticket` or `receive` for a desk; `inspect` for an inspector"
    )]
    Nothing,
    #[error("it asks both `{0}` and `{1}`: write a golden event for each")]
    Both(&'static str, &'static str),
    #[error("missing field `{0}`: a handler is asked with `event` and `conversation`")]
    Half(&'static str),
    #[error("`{0}` says nothing to {1}")]
    Stray(&'static str, &'static str),
    #[error("expect: `{asked}` is answered with `{answer}` or `failure`, and not with `{expected}`")]
    Answer { asked: &'static str, answer: &'static str, expected: &'static str },
}

impl TryFrom<Written> for Golden {
    type Error = Senseless;

    fn try_from(written: Written) -> Result<Self, Senseless> {
        let Written { name, settings, secrets, files, desk, now, event, conversation, tickets, http, expect, .. } =
            written;
        let verbs = [
            written.find_ticket.map(Verb::FindTicket),
            written.create_ticket.map(Verb::CreateTicket),
            written.find_entry.map(Verb::FindEntry),
            written.add_entry.map(Verb::AddEntry),
            written.update_ticket.map(Verb::UpdateTicket),
            written.read_ticket.map(Verb::ReadTicket),
            written.receive.map(Verb::Receive),
        ];
        let (desk_name, clock) = (desk.is_some(), now.is_some());
        let (desk, now) = (desk.unwrap_or_else(|| DESK.to_owned()), now.unwrap_or(NOW));
        let mut questions = Vec::new();
        match (event, conversation, tickets) {
            (Some(event), Some(conversation), tickets) => {
                questions.push(Asked::Handle { event, conversation, tickets: tickets.unwrap_or_default() });
            }
            (None, None, None) => {}
            (Some(_), None, _) => return Err(Senseless::Half("conversation")),
            (None, ..) => return Err(Senseless::Half("event")),
        }
        let verbs = verbs.into_iter().flatten();
        questions.extend(verbs.map(|verb| Asked::Desk { desk: desk.clone(), now, verb: Box::new(verb) }));
        questions.extend(written.inspect.map(|inspect| Asked::Inspect { now, inspect }));

        let mut questions = questions.into_iter();
        let asked = questions.next().ok_or(Senseless::Nothing)?;
        if let Some(other) = questions.next() {
            return Err(Senseless::Both(asked.key(), other.key()));
        }
        match &asked {
            Asked::Handle { .. } if clock => {
                return Err(Senseless::Stray("now", "a handler: its clock shows the event's `received_at`"));
            }
            Asked::Handle { .. } if desk_name => return Err(Senseless::Stray("desk", "a handler")),
            Asked::Inspect { .. } if desk_name => return Err(Senseless::Stray("desk", "an inspector")),
            _ => {}
        }
        if !matches!(expect, Expected::Failure(_)) && expect.key() != asked.answer() {
            let (answer, expected) = (asked.answer(), expect.key());
            return Err(Senseless::Answer { asked: asked.key(), answer, expected });
        }
        Ok(Self { name, settings, secrets, files, asked, http, expect })
    }
}

impl From<Golden> for Written {
    fn from(golden: Golden) -> Self {
        let Golden { name, settings, secrets, files, asked, http, expect } = golden;
        let mut written = Self {
            name,
            settings,
            secrets,
            files,
            desk: None,
            now: None,
            event: None,
            conversation: None,
            tickets: None,
            find_ticket: None,
            create_ticket: None,
            find_entry: None,
            add_entry: None,
            update_ticket: None,
            read_ticket: None,
            receive: None,
            inspect: None,
            http,
            expect,
        };
        match asked {
            Asked::Handle { event, conversation, tickets } => {
                written.event = Some(event);
                written.conversation = Some(conversation);
                written.tickets = Some(tickets);
            }
            Asked::Desk { desk, now, verb } => {
                written.desk = Some(desk);
                written.now = Some(now);
                match *verb {
                    Verb::FindTicket(asked) => written.find_ticket = Some(asked),
                    Verb::CreateTicket(asked) => written.create_ticket = Some(asked),
                    Verb::FindEntry(asked) => written.find_entry = Some(asked),
                    Verb::AddEntry(asked) => written.add_entry = Some(asked),
                    Verb::UpdateTicket(asked) => written.update_ticket = Some(asked),
                    Verb::ReadTicket(asked) => written.read_ticket = Some(asked),
                    Verb::Receive(asked) => written.receive = Some(asked),
                }
            }
            Asked::Inspect { now, inspect } => {
                written.now = Some(now);
                written.inspect = Some(inspect);
            }
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn handler() -> Value {
        json!({
            "event": {
                "id": "ev_a", "conversation": "co_a", "occurred_at": 1, "received_at": 2,
                "body": { "type": "timer", "value": { "name": "remind", "data": "{}" } },
            },
            "conversation": {
                "id": "co_a",
                "channel": { "id": "main", "platform": "whatsapp", "account": "100", "address": "200" },
                "customer": { "id": "cu_a" },
            },
            "expect": { "outcome": { "actions": [], "flow": "next" } },
        })
    }

    fn told(golden: Value) -> String {
        serde_json::from_value::<Golden>(golden).unwrap_err().to_string()
    }

    /// Gateways of before know these keys and no others.
    #[test]
    fn a_handlers_golden_event_is_written_as_it_always_was() {
        let golden: Golden = serde_json::from_value(handler()).unwrap();
        assert!(matches!(&golden.asked, Asked::Handle { event, .. } if event.received_at.as_millis() == 2));
        let written = serde_json::to_value(&golden).unwrap();
        let keys: Vec<&String> = written.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["conversation", "event", "expect", "http", "name", "settings", "tickets"]);
        assert_eq!(serde_json::from_value::<Golden>(written).unwrap(), golden);
    }

    #[test]
    fn each_role_is_asked_and_comes_back_as_it_was() {
        let ticket = json!({ "desk": "acme", "id": "7", "status": "open" });
        let added = json!({ "entry": "1", "ticket": ticket });
        let entry = json!({ "author": { "type": "gateway" }, "text": "hello", "public": true, "at": 5 });
        let draft = json!({ "subject": "s", "conversation": handler()["conversation"], "entries": [entry] });
        let asked = [
            ("find-ticket", json!({ "key": "k" }), json!({ "found": null })),
            ("create-ticket", json!({ "key": "k", "draft": draft }), json!({ "added": added })),
            ("find-entry", json!({ "key": "k", "ticket": ticket }), json!({ "found": added })),
            ("add-entry", json!({ "key": "k", "ticket": ticket, "entry": entry }), json!({ "added": added })),
            ("update-ticket", json!({ "key": "k", "ticket": ticket, "fields": {} }), json!({ "ticket": ticket })),
            ("read-ticket", json!({ "id": "7" }), json!({ "snapshot": { "ticket": ticket, "entries": [["1", "a"]] } })),
            ("receive", json!({ "headers": [["x", "y"]], "body": { "a": 1 } }), json!({ "activities": [] })),
            (
                "inspect",
                json!({ "mime": "image/png", "bytes": { "base64": "AAEC" } }),
                json!({ "verdict": { "decision": "pass" } }),
            ),
        ];
        for (key, question, expect) in asked {
            for expect in [expect, json!({ "failure": "retry" })] {
                let golden = json!({ key: question, "expect": expect });
                let golden: Golden = serde_json::from_value(golden).unwrap_or_else(|error| panic!("{key}: {error}"));
                assert_eq!(golden.asked.key(), key);
                let packed = serde_json::to_string(&golden).unwrap();
                assert_eq!(serde_json::from_str::<Golden>(&packed).unwrap(), golden, "{packed}");
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        let with = |key: &str, value: Value| {
            let mut golden = handler();
            golden[key] = value;
            golden
        };
        let without = |key: &str| {
            let mut golden = handler();
            golden.as_object_mut().unwrap().remove(key);
            golden
        };
        assert!(told(json!({ "expect": { "failure": "retry" } })).contains("it asks nothing: write `event`"));
        assert_eq!(
            told(with("read-ticket", json!({ "id": "7" }))),
            "it asks both `event` and `read-ticket`: write a golden event for each"
        );
        assert!(told(without("conversation")).starts_with("missing field `conversation`"));
        assert!(told(without("event")).starts_with("missing field `event`"));
        assert!(told(with("now", json!(1))).starts_with("`now` says nothing to a handler"));
        assert_eq!(told(with("desk", json!("acme"))), "`desk` says nothing to a handler");
        assert_eq!(
            told(with("expect", json!({ "found": null }))),
            "expect: `event` is answered with `outcome` or `failure`, and not with `found`"
        );
        let inspect = |bytes: &str| json!({ "inspect": { "mime": "a/b", "bytes": { "base64": bytes } }, "expect": { "failure": "retry" } });
        assert!(told(inspect("AAE")).starts_with("this is no base64 with padding"));
        assert!(told(inspect(&"A".repeat(800 << 10))).starts_with("a file has no more than 524288 bytes"));
        assert!(told(json!({ "recieve": {} })).starts_with("unknown field `recieve`, expected one of"));
    }
}
