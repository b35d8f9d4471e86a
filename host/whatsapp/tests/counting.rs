//! Nothing is lost and nothing doubled: as many items come out of a webhook as went in, whatever they look like.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod common;

use std::sync::LazyLock;

use common::{NUMBER, RECEIVED_AT, channel, channels};
use patchbay_model::{Body, EventId};
use patchbay_whatsapp::normalise::{NOTICES, Normalised, normalise};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Items that Meta sends: what all fixtures hold.
static KNOWN: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let of = |body: Vec<u8>| normalise(&body, &channels(), RECEIVED_AT).arrivals;
    let arrivals = common::fixtures().into_iter().flat_map(|(_, body)| of(body));
    arrivals.filter_map(|arrival| serde_json::from_str(arrival.raw?.json.reveal()).ok()).collect()
});

/// The lists of each field; those behind a dot stand in an object or a list of that name.
const LISTS: [(&str, &[&str]); 13] = [
    ("messages", &["messages", "statuses", "errors", "calls"]),
    ("calls", &["calls", "statuses", "errors"]),
    ("call_recording_available", &["calls"]),
    ("smb_message_echoes", &["message_echoes"]),
    ("message_echoes", &["message_echoes"]),
    ("smb_app_state_sync", &["state_sync"]),
    ("standby", &["standby.messages", "standby.message_echoes", "standby.statuses", "messages"]),
    ("history", &["history.threads", "history.errors", "messages"]),
    ("user_preferences", &["user_preferences"]),
    ("user_id_update", &["user_id_update"]),
    ("group_lifecycle_update", &["groups"]),
    ("group_participants_update", &["groups"]),
    ("group_settings_update", &["groups"]),
];

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((".{0,4}", inner), 0..4)
                .prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// One of Meta's items in which some values are others, or missing; or anything.
fn item() -> impl Strategy<Value = Value> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(anything())), 0..3);
    let spoiled = (prop::sample::select(KNOWN.clone()), changes).prop_map(|(mut item, changes)| {
        changes.into_iter().for_each(|(place, new)| spoil(&mut item, place, new));
        item
    });
    prop_oneof![4 => spoiled, 1 => anything()]
}

/// Replaces one of the values in an item, however deep, or takes it out.
fn spoil(item: &mut Value, place: prop::sample::Index, new: Option<Value>) {
    let mut paths = Vec::new();
    walk(item, String::new(), &mut paths);
    if paths.is_empty() {
        return;
    }
    let path = place.get(&paths).clone();
    match new {
        Some(new) => *item.pointer_mut(&path).unwrap() = new,
        None => {
            let (parent, name) = path.rsplit_once('/').unwrap();
            if let Some(Value::Object(members)) = item.pointer_mut(parent) {
                members.remove(&name.replace("~1", "/").replace("~0", "~"));
            }
        }
    }
}

fn walk(value: &Value, path: String, into: &mut Vec<String>) {
    let mut child = |name: &str, value: &Value| {
        let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
        into.push(path.clone());
        walk(value, path, into);
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| child(name, value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(at, value)| child(&at.to_string(), value)),
        _ => {}
    }
}

/// Something in an envelope, and how many items it is: ours and foreign.
#[derive(Clone, Debug)]
struct Counted {
    json: Value,
    ours: usize,
    foreign: usize,
}

/// A change with items for our number or for another one, or one without a number.
fn change() -> impl Strategy<Value = Counted> {
    let lists = prop::sample::select(LISTS.to_vec()).prop_flat_map(|(field, lists)| {
        let items = lists.iter().map(|_| prop::collection::vec(item(), 0..4)).collect::<Vec<_>>();
        (Just((field, lists)), items, prop::bool::weighted(0.8), prop::bool::weighted(0.2))
    });
    let listed = lists.prop_map(|((field, names), lists, ours, novelty)| {
        let mut value = json!({ "metadata": { "phone_number_id": if ours { NUMBER } else { "999" } } });
        let mut count = 0;
        for (name, items) in names.iter().zip(lists) {
            count += items.len();
            put(&mut value, name, items);
        }
        if novelty {
            value["a novelty"] = json!([1, 2, 3]);
            count += 1;
        }
        let count = count.max(1);
        let json = json!({ "field": field, "value": value });
        Counted { json, ours: if ours { count } else { 0 }, foreign: if ours { 0 } else { count } }
    });
    let notices: Vec<_> = NOTICES.iter().map(|(field, _)| (*field).to_owned()).collect();
    let field = prop_oneof![prop::sample::select(notices), "[a-z_]{1,12}"];
    let whole = (field, anything()).prop_map(|(field, value)| {
        // `null` is as absent.
        let value = if value.is_null() { json!({}) } else { value };
        Counted { json: json!({ "field": field, "value": value }), ours: 1, foreign: 0 }
    });
    let odd = anything().prop_map(|json| Counted { json, ours: 1, foreign: 0 });
    prop_oneof![6 => listed, 2 => whole, 1 => odd]
}

/// Puts a list where it stands. A history's threads are of one message each, and one chunk holds both its lists.
fn put(value: &mut Value, name: &str, items: Vec<Value>) {
    match name.split_once('.') {
        None => value[name] = items.into(),
        Some(("history", _)) if items.is_empty() => {}
        Some(("history", name)) => {
            if value["history"].is_null() {
                value["history"] = json!([{ "metadata": { "phase": 1 } }]);
            }
            let in_thread = |item| json!({ "id": "447700900001", "messages": [item] });
            value["history"][0][name] =
                if name == "threads" { items.into_iter().map(in_thread).collect() } else { items.into() };
        }
        Some((outer, inner)) => value[outer][inner] = items.into(),
    }
}

/// An entry of our account or of another one: what has no number is then not ours.
fn entry() -> impl Strategy<Value = Counted> {
    let entry = (prop::collection::vec(change(), 0..4), prop::bool::weighted(0.8)).prop_map(|(changes, ours)| {
        let account = if ours { channel().account } else { "777".to_owned() };
        let mut counted = Counted { json: json!({ "id": account, "changes": [] }), ours: 0, foreign: 0 };
        for Counted { json, ours: mine, foreign } in changes {
            let of_the_account =
                json["field"].is_string() && !json["value"].is_null() && json["value"]["metadata"].is_null();
            counted.json["changes"].as_array_mut().unwrap().push(json);
            let lost = if of_the_account && !ours { mine } else { 0 };
            counted.ours += mine - lost;
            counted.foreign += foreign + lost;
        }
        counted
    });
    let odd = anything().prop_map(|json| Counted { json, ours: 1, foreign: 0 });
    prop_oneof![6 => entry, 1 => odd]
}

fn read(body: &str) -> Normalised {
    normalise(body.as_bytes(), &channels(), RECEIVED_AT)
}

/// The same JSON with its members the other way round and air between them.
fn turned(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members = members.iter().rev().map(|(name, value)| format!("{} :\t{}", json!(name), turned(value)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(" ,\n"))
        }
        Value::Array(items) => format!("[ {} ]", items.iter().map(turned).collect::<Vec<_>>().join(" , ")),
        other => other.to_string(),
    }
}

fn ids(result: &Normalised) -> Vec<&EventId> {
    result.arrivals.iter().map(|arrival| &arrival.id).collect()
}

/// An item that Meta has given an id, a state and a moment.
fn named(place: usize, mut item: Value, list: &str) -> Value {
    if !item.is_object() {
        item = json!({});
    }
    item["id"] = json!(format!("wamid.{place}"));
    item["timestamp"] = json!("1764000000");
    if list == "statuses" {
        item["status"] = json!("read");
        item["type"] = json!("message");
    }
    if list == "calls" {
        item["event"] = json!("connect");
    }
    item
}

proptest! {
    #[test]
    fn as_many_come_out_as_went_in(entries in prop::collection::vec(entry(), 1..4)) {
        let ours: usize = entries.iter().map(|entry| entry.ours).sum();
        let foreign: usize = entries.iter().map(|entry| entry.foreign).sum();
        let body = json!({ "entry": entries.into_iter().map(|entry| entry.json).collect::<Vec<_>>() }).to_string();
        let result = read(&body);
        if ours + foreign == 0 {
            // An envelope of empty entries holds nothing: it is kept whole.
            prop_assert!(matches!(result.arrivals.as_slice(), [only] if matches!(only.body, Body::Unparsed(_))));
        } else {
            prop_assert_eq!((result.arrivals.len(), result.foreign), (ours, foreign), "{}", body);
        }
        prop_assert_eq!(&result, &read(&body), "the same bytes give the same arrivals");
    }

    #[test]
    fn an_id_of_metas_is_enough_for_ours(
        list in prop::sample::select(vec!["messages", "statuses", "calls", "message_echoes", "standby", "history"]),
        items in prop::collection::vec(item(), 1..5),
    ) {
        let items: Vec<_> = items.into_iter().enumerate().map(|(place, item)| named(place, item, list)).collect();
        let mut value = json!({ "metadata": { "phone_number_id": NUMBER } });
        let field = match list {
            "message_echoes" => "smb_message_echoes",
            "standby" | "history" | "calls" => list,
            _ => "messages",
        };
        match list {
            "standby" => value["standby"] = json!({ "messages": items }),
            "history" => value["messages"] = items.into(),
            _ => value[list] = items.into(),
        }
        let body = json!({ "entry": [{ "id": channel().account, "changes": [{ "field": field, "value": value }] }] });
        let (plain, turned) = (read(&body.to_string()), read(&turned(&body)));
        prop_assert_eq!(ids(&plain), ids(&turned));
    }
}
