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

use common::{RECEIVED_AT, channels};
use patchbay_whatsapp::normalise::{Normalised, normalise};
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
    let mut names: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".json") && !name.ends_with(".expected.json"));
    names.sort();
    assert!(!names.is_empty());
    let mut wrong = BTreeSet::new();
    for name in &names {
        let body = fs::read(folder.join(name)).unwrap();
        let normalised = normalise(&body, &channels(), RECEIVED_AT);
        let found = serde_json::to_string_pretty(&shown(&normalised)).unwrap() + "\n";
        let expected = folder.join(name.replace(".json", ".expected.json"));
        if update {
            fs::write(expected, found).unwrap();
        } else if fs::read_to_string(expected).unwrap_or_default() != found {
            println!("{name} became {found}");
            wrong.insert(name);
        }
        let text = String::from_utf8(body).unwrap();
        for arrival in &normalised.arrivals {
            let raw = arrival.raw.as_ref().expect("an envelope's items have their slice");
            assert!(text.contains(raw.reveal()), "{name}: the raw JSON is a slice of the body");
            assert_eq!(arrival.received_at, RECEIVED_AT);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
