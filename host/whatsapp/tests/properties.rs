//! What holds for every body, however it looks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod common;

use std::time::{Duration, Instant};

use common::{NUMBER, RECEIVED_AT, channels};
use patchbay_model::{Arrival, Body, Content, Route};
use patchbay_whatsapp::normalise::{Normalised, normalise};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn read(body: &[u8]) -> Normalised {
    normalise(body, &channels(), RECEIVED_AT)
}

/// Names that mean something here, so that odd values stand in places where they are looked at.
const NAMES: [&str; 44] = [
    "id",
    "from",
    "from_user_id",
    "to",
    "timestamp",
    "time",
    "type",
    "text",
    "body",
    "image",
    "audio",
    "document",
    "mime_type",
    "sha256",
    "location",
    "latitude",
    "longitude",
    "contacts",
    "interactive",
    "button_reply",
    "nfm_reply",
    "response_json",
    "button",
    "payload",
    "reaction",
    "message_id",
    "order",
    "product_items",
    "edit",
    "system",
    "context",
    "referral",
    "group_id",
    "errors",
    "error_data",
    "status",
    "recipient_id",
    "biz_opaque_callback_data",
    "profile",
    "name",
    "username",
    "user_id",
    "wa_id",
    "event",
];

/// Text, some of it with a meaning.
fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        prop::sample::select(NAMES.to_vec()).prop_map(str::to_owned),
        prop::sample::select(vec![
            "",
            "sent",
            "failed",
            "group",
            "call",
            "payment",
            "1764000000",
            "GB.1",
            "447700900001"
        ])
        .prop_map(str::to_owned),
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        words().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        let name = prop_oneof![3 => prop::sample::select(NAMES.to_vec()).prop_map(str::to_owned), 1 => any::<String>()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..8)
                .prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Something instead of what is expected, here and there.
fn or_odd(usual: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Value> {
    prop_oneof![8 => usual, 1 => any_json()]
}

/// An envelope of which every floor may be odd.
fn almost_an_envelope() -> impl Strategy<Value = Value> {
    let items = || or_odd(prop::collection::vec(any_json(), 0..6).prop_map(Value::from));
    let metadata = or_odd(Just(json!({ "phone_number_id": NUMBER })));
    let value = or_odd((metadata, items(), items(), items(), items()).prop_map(
        |(metadata, contacts, messages, statuses, calls)| {
            json!({ "metadata": metadata, "contacts": contacts, "messages": messages, "statuses": statuses, "calls": calls })
        },
    ));
    let field = or_odd(prop::sample::select(vec!["messages", "calls", "security", "history"]).prop_map(Value::from));
    let change = or_odd((field, value).prop_map(|(field, value)| json!({ "field": field, "value": value })));
    let changes = or_odd(prop::collection::vec(change, 0..3).prop_map(Value::from));
    let entry = or_odd((any_json(), changes).prop_map(|(id, changes)| json!({ "id": id, "changes": changes })));
    prop::collection::vec(entry, 0..3).prop_map(|entries| json!({ "entry": entries }))
}

fn message(id: &str, text: &str) -> Value {
    json!({ "from": "447700900001", "id": id, "timestamp": "1764000000", "type": "text", "text": { "body": text } })
}

fn envelope(messages: &[Value]) -> Vec<u8> {
    let value = json!({ "metadata": { "phone_number_id": NUMBER }, "messages": messages });
    serde_json::to_vec(&json!({ "entry": [{ "id": "1", "changes": [{ "field": "messages", "value": value }] }] }))
        .unwrap()
}

fn text_of(arrival: &Arrival) -> Option<&str> {
    match &arrival.body {
        Body::Message(message) => match &message.content {
            Content::Text(text) => Some(text.reveal()),
            _ => None,
        },
        _ => None,
    }
}

/// What every result must be like.
fn well_formed(result: &Normalised) {
    assert!(!result.arrivals.is_empty() || result.foreign > 0, "nothing vanishes");
    for arrival in &result.arrivals {
        let unparsed = matches!(arrival.body, Body::Unparsed(_));
        assert!(arrival.raw.is_some() || unparsed, "all but unparsed bodies carry their slice");
        if let Route::Customer { identities, .. } = &arrival.route {
            assert!(!identities.is_empty());
        }
        let kind = arrival.body.kind();
        assert!(kind.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_')), "{kind}");
    }
}

proptest! {
    #[test]
    fn bytes_that_are_nothing_are_kept(body: Vec<u8>) {
        let result = read(&body);
        well_formed(&result);
        prop_assert_eq!(&result, &read(&body));
    }

    #[test]
    fn json_of_any_shape_is_kept(body in any_json()) {
        let body = serde_json::to_vec(&body).unwrap();
        let result = read(&body);
        well_formed(&result);
        prop_assert_eq!(&result, &read(&body));
    }

    #[test]
    fn envelopes_with_anything_in_them_are_kept(body in almost_an_envelope()) {
        let body = serde_json::to_vec(&body).unwrap();
        let result = read(&body);
        well_formed(&result);
        prop_assert_eq!(&result, &read(&body));
    }

    #[test]
    fn a_body_that_breaks_off_is_one_unparsed_arrival(cut in 0.0..1.0_f64) {
        let whole = envelope(&[message("wamid.1", "one"), message("wamid.2", "two")]);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a short body")]
        let part = &whole[..(whole.len() as f64 * cut) as usize];
        let result = read(part);
        prop_assert_eq!(result.arrivals.len(), 1);
        prop_assert!(matches!(result.arrivals[0].body, Body::Unparsed(_)));
    }

    #[test]
    fn an_odd_item_costs_its_neighbours_nothing(odd in any_json(), place in 0_usize..3) {
        let good = [message("wamid.1", "one"), message("wamid.2", "two")];
        let mut items = good.to_vec();
        items.insert(place, odd);
        let alone = read(&envelope(&good)).arrivals;
        let mut among = read(&envelope(&items)).arrivals;
        prop_assert_eq!(among.len(), 3);
        among.remove(place);
        prop_assert_eq!(among, alone);
    }

    #[test]
    fn text_comes_through_as_it_is(text: String) {
        let result = read(&envelope(&[message("wamid.1", &text)]));
        prop_assert_eq!(result.arrivals.len(), 1);
        prop_assert_eq!(text_of(&result.arrivals[0]), Some(text.as_str()));
    }
}

#[test]
fn an_id_is_the_same_in_whatever_company_it_comes() {
    let (one, two) = (message("wamid.1", "one"), message("wamid.2", "two"));
    let both = read(&envelope(&[one.clone(), two.clone()])).arrivals;
    assert_ne!(both[0].id, both[1].id);
    assert_eq!(both[0], read(&envelope(&[one])).arrivals[0]);
    assert_eq!(both[1], read(&envelope(&[two])).arrivals[0]);
}

#[test]
fn deep_nesting_is_nothing_special() {
    let deep = format!("{{\"entry\":[{}{}]}}", "[".repeat(200_000), "]".repeat(200_000));
    let result = read(deep.as_bytes());
    assert!(matches!(result.arrivals.as_slice(), [Arrival { body: Body::Unknown(_), .. }]));
}

/// Every seventh of them is no message, or hardly one.
#[test]
fn a_thousand_messages_are_as_safe_as_one() {
    let odd = [json!(null), json!(7), json!("x"), json!([]), json!({}), json!({ "id": [], "type": {} })];
    let item = |at: usize| match at % 7 {
        0 => odd[at / 7 % odd.len()].clone(),
        _ => message(&format!("wamid.{at}"), &format!("text {at}")),
    };
    let many: Vec<_> = (0..1000).map(item).collect();
    let arrivals = read(&envelope(&many)).arrivals;
    assert_eq!(arrivals.len(), 1000);
    for (at, arrival) in arrivals.iter().enumerate().filter(|(at, _)| at % 7 != 0) {
        assert_eq!(text_of(arrival), Some(format!("text {at}").as_str()));
        assert_eq!(*arrival, read(&envelope(&many[at..=at])).arrivals[0], "its neighbours change nothing");
    }
}

/// Bodies that have a great many of something. A time that grew with the square of their number would be minutes.
#[test]
fn time_grows_with_the_size_and_no_faster() {
    let repeat = |part: &str| vec![part; (256 << 10) / (part.len() + 1)].join(",");
    let value = |inner: &str| {
        format!(
            r#"{{"entry":[{{"id":"1","changes":[{{"field":"messages","value":{{"metadata":{{"phone_number_id":"{NUMBER}"}},{inner}}}}}]}}]}}"#
        )
    };
    let long = "x".repeat(64 << 10);
    let start = Instant::now();
    for body in [
        format!(r#"{{"entry":[{}]}}"#, repeat("{}")),
        format!(r#"{{"entry":[{{"id":"{long}","changes":[{}]}}]}}"#, repeat("0")),
        format!(r#"{{"entry":[{{"changes":[{}]}}]}}"#, repeat(r#"{"field":"a","value":0}"#)),
        value(&repeat(r#""a":0"#)),
        value(&format!(r#""messages":[{}]"#, repeat("{}"))),
        value(&format!(r#""messages":[{{{}}}]"#, repeat(r#""a":0"#))),
        value(&format!(
            r#""contacts":[{{"wa_id":"1","profile":{{"name":"{long}"}}}},{}],"messages":[{}]"#,
            repeat(r#"{"wa_id":"1"}"#),
            repeat(r#"{"from":"1"}"#)
        )),
    ] {
        well_formed(&read(body.as_bytes()));
    }
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}
