//! Webhooks of every kind and what becomes of them. `UPDATE_FIXTURES=1` writes the expectations anew, for a person to read.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use common::{RECEIVED_AT, channel, channels};
use patchbay_model::{Arrival, Body, Channel, ConversationId, Event, EventId, Notice, Raw, Route};
use patchbay_whatsapp::normalise::{Channels, Normalised, again, normalise};
use serde_json::{Value, json};

fn shown(normalised: &Normalised) -> Value {
    let arrivals = normalised.arrivals.iter().map(|arrival| {
        let mut shown = json!({
            "id": arrival.id,
            "kind": arrival.body.kind(),
            "occurred_at": arrival.occurred_at,
            "route": arrival.route,
            "body": arrival.body,
        });
        // Our one channel is not worth its lines.
        if let Some(channel) = shown.pointer_mut("/route/customer/channel") {
            *channel = channel["id"].clone();
        }
        shown
    });
    json!({ "foreign": normalised.foreign, "arrivals": arrivals.collect::<Vec<_>>() })
}

#[test]
fn every_fixture_becomes_what_is_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let update = std::env::var_os("UPDATE_FIXTURES").is_some();
    let mut wrong = BTreeSet::new();
    for (name, body) in common::fixtures() {
        let normalised = normalise(&body, &channels(), RECEIVED_AT);
        let found = serde_json::to_string_pretty(&shown(&normalised)).unwrap() + "\n";
        let expected = folder.join(name.replace(".json", ".expected.json"));
        if update {
            fs::write(expected, found).unwrap();
        } else if fs::read_to_string(expected).unwrap_or_default() != found {
            println!("{name} became {found}");
            wrong.insert(name.clone());
        }
        let text = String::from_utf8(body).unwrap();
        for arrival in &normalised.arrivals {
            match &arrival.raw {
                Some(raw) => assert!(text.contains(raw.json.reveal()), "{name}: the raw JSON is a slice of the body"),
                None => assert!(matches!(arrival.body, Body::Unparsed(_)), "{name}: an item has its slice"),
            }
            assert_eq!(arrival.received_at, RECEIVED_AT);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// What the store adds to an arrival.
fn event(arrival: &Arrival) -> Event {
    let Arrival { id, route, occurred_at, received_at, body, .. } = arrival.clone();
    let conversation = route.new_conversation().unwrap_or_else(|| ConversationId::derive(&[b"any"]));
    Event { id, conversation, occurred_at, received_at, body }
}

#[test]
fn what_was_kept_of_each_arrival_is_read_again_as_the_same() {
    let other = Channel { id: "sales".into(), address: "999".into(), ..channel() };
    let several = Channels::new([other, channel()]);
    for (name, body) in common::fixtures() {
        for arrival in normalise(&body, &channels(), RECEIVED_AT).arrivals {
            for known in [&channels(), &several] {
                let result = again(&event(&arrival), &arrival.route, arrival.raw.as_ref(), known).expect(&name);
                assert_eq!(result.foreign, 0, "{name}");
                let [same] = result.arrivals.as_slice() else { panic!("{name}: {:?}", result.arrivals) };
                assert_eq!(*same, arrival, "{name}");
            }
        }
    }
}

#[test]
fn what_an_older_normaliser_kept_whole_is_taken_apart() {
    for (name, field, count) in [("history-threads", "history", 5), ("echo-of-each-kind", "smb_message_echoes", 6)] {
        let body = common::fixtures().into_iter().find(|(fixture, _)| fixture == &format!("{name}.json")).unwrap().1;
        let webhook: Value = serde_json::from_slice(&body).unwrap();
        let value = webhook["entry"][0]["changes"][0]["value"].to_string();
        let older = Arrival {
            id: EventId::derive(&[b"older"]),
            route: Route::Account(channel()),
            occurred_at: RECEIVED_AT,
            received_at: RECEIVED_AT,
            body: Body::Unknown(Notice { kind: field.into(), data: value.as_str().into() }),
            raw: Some(Raw { field: field.into(), list: String::new(), json: value.as_str().into() }),
        };
        let result = again(&event(&older), &older.route, older.raw.as_ref(), &channels()).unwrap();
        assert_eq!(result.arrivals.len(), count, "{name}");
        let kinds: Vec<_> = result.arrivals.iter().map(|arrival| arrival.body.kind()).collect();
        assert!(!kinds.contains(&"unknown".to_owned()) || name != "history-threads", "{kinds:?}");
    }
}

#[test]
fn nothing_is_read_again_of_what_is_not_from_the_platform() {
    let event = Event {
        id: EventId::derive(&[b"ours"]),
        conversation: ConversationId::derive(&[b"any"]),
        occurred_at: RECEIVED_AT,
        received_at: RECEIVED_AT,
        body: Body::Custom(Notice { kind: "note".into(), data: "{}".into() }),
    };
    assert_eq!(again(&event, &Route::Conversation(event.conversation.clone()), None, &channels()), None);
}
