//! `patchbay journal`, on both stores.

use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use patchbay_model::conversation::Channel;
use patchbay_model::event::Unparsed;
use patchbay_model::{Arrival, Body, EventId, Private, Route, Timestamp};
use patchbay_store::embedded::EmbeddedOptions;
use patchbay_store::{EmbeddedStore, Store};
use patchbay_tests::house::text_webhook;
use patchbay_tests::{House, eventually};
use serde_json::{Value, json};

use crate::store::data;
use crate::{ADA, ANSWER, BOB, Kept, On, on_both_stores, operator, sent};

const SECRET_WORDS: &str = "my account is 4711-0815";

on_both_stores!(
    the_journal_is_listed_without_what_customers_wrote,
    a_replay_changes_nothing_that_was_handled_unless_told_to,
    a_journal_is_read_while_no_gateway_runs
);

async fn the_journal_is_listed_without_what_customers_wrote(on: On) -> Result<()> {
    let house = Kept::open(on).await?;
    let patchbay = operator(&house).await?;
    house.text(ADA, SECRET_WORDS).await?;
    house.expect_entries(ADA, &[SECRET_WORDS]).await?;

    let list = patchbay.done(&["journal", "list", "--kind", "message", "--since", "1h"]).await?;
    assert!(list.starts_with("ACCEPTED AT") && list.contains("message.text"), "{list}");
    assert!(!list.contains(SECRET_WORDS) && !list.contains(ADA), "{list}");
    let rows = patchbay.rows(&["journal", "list", "--kind", "message", "--json"]).await?;
    let keys: Vec<&String> = rows[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["conversation", "id", "kind", "occurred_at", "received_at"]);
    let rows = patchbay.rows(&["journal", "list", "--kind", "message", "--json", "--bodies"]).await?;
    assert_eq!(rows[0]["customer"]["phone"], ADA);
    let (id, conversation) = (rows[0]["id"].as_str().unwrap(), rows[0]["conversation"].as_str().unwrap());
    let of_her = patchbay.rows(&["journal", "list", "--conversation", conversation, "--json"]).await?;
    assert!(of_her.iter().any(|row| row["id"] == id), "{of_her:?}");
    eventually("nothing is pending", || async {
        let pending = patchbay.rows(&["journal", "list", "--pending", "--json"]).await?;
        Ok(if pending.is_empty() { Ok(()) } else { Err(format!("{pending:?}")) })
    })
    .await?;

    let shown = patchbay.done(&["journal", "show", id]).await?;
    assert!(shown.contains(SECRET_WORDS) && shown.contains("\"raw\""), "{shown}");
    let raw: Value = serde_json::from_str(&patchbay.done(&["journal", "show", id, "--raw"]).await?)?;
    assert_eq!(raw["text"]["body"], SECRET_WORDS);
    let absent = patchbay.run(&["journal", "show", "ev_aaaaaaaaaaaaaaaaaaaaaaaa"]).await?;
    assert_eq!(absent.code, 1);
    assert!(absent.err.contains("patchbay journal list"), "{}", absent.err);
    let odd = patchbay.run(&["journal", "list", "--since", "yesterday"]).await?;
    assert!(odd.code == 2 && odd.err.contains("is no time"), "{odd:?}");
    Ok(())
}

async fn a_replay_changes_nothing_that_was_handled_unless_told_to(on: On) -> Result<()> {
    let house = Kept::open(on).await?;
    let patchbay = operator(&house).await?;
    house.text(ADA, "hello").await?;
    house.expect_entries(ADA, &["hello"]).await?;
    let rows = patchbay.rows(&["journal", "list", "--kind", "message", "--json"]).await?;
    let id = rows[0]["id"].as_str().unwrap();

    for arguments in [&["journal", "replay", id, "--json"][..], &["journal", "replay", "--kind", "message", "--json"]] {
        let replayed = patchbay.rows(arguments).await?;
        let expected = json!({ "replayed": id, "event": id, "kind": "message.text", "outcome": "already-handled" });
        assert_eq!(replayed, [expected]);
    }

    let anew = ["journal", "replay", id, "--as-new", "--json"];
    let unasked = patchbay.run(&anew).await?;
    assert!(unasked.code == 2 && unasked.err.contains("add --yes"), "{unasked:?}");
    let dry = patchbay.rows(&[&anew[..], &["--dry-run"]].concat()).await?;
    assert_eq!(dry[0]["outcome"], "would-be-new");
    let keyed = [&anew[..], &["--yes", "--key", "tuesday"]].concat();
    let first = patchbay.rows(&keyed).await?;
    assert_eq!(first[0]["outcome"], "new");
    assert_ne!(first[0]["event"], id);
    house.expect_entries(ADA, &["hello", "hello"]).await?;
    // The answer was lost, and the operator repeats it.
    let second = patchbay.rows(&keyed).await?;
    assert_eq!((&second[0]["event"], &second[0]["outcome"]), (&first[0]["event"], &json!("already-handled")));
    house.text(ADA, "and another").await?;
    house.expect_entries(ADA, &["hello", "hello", "and another"]).await?;

    let ticket = &house.tickets().await?[0]["id"];
    house.agent(json!({ "ticket": ticket, "public": true, "text": ANSWER })).await?;
    sent(&house, ANSWER).await?;
    let of_desk = patchbay.run(&["journal", "replay", "--kind", "desk.entry"]).await?;
    assert!(of_desk.code == 3 && of_desk.out.contains("did not come from WhatsApp"), "{of_desk:?}");
    Ok(())
}

/// A body that a version before this one could not read, as it would stand in the store.
fn once_unreadable(body: &[u8]) -> Arrival {
    let channel =
        Channel { id: "whatsapp".into(), platform: "whatsapp".into(), account: String::new(), address: String::new() };
    let now = Timestamp::now();
    let base64 = Private::new(BASE64_STANDARD.encode(body));
    Arrival {
        id: EventId::derive(&[b"unparsed", body]),
        route: Route::Account(channel),
        occurred_at: now,
        received_at: now,
        body: Body::Unparsed(Unparsed { reason: "an older version did not know it".into(), base64 }),
        raw: None,
    }
}

#[tokio::test]
async fn what_an_older_version_could_not_read_is_handled_by_a_replay() -> Result<()> {
    let mut house = House::open().await?;
    house.text(BOB, "before").await?;
    house.expect_entries(BOB, &["before"]).await?;
    house.gateway.take().unwrap().terminate().await?;
    let store = EmbeddedStore::open(&data(&house).join("patchbay.redb"), EmbeddedOptions::default())?;
    let body = String::from_utf8(text_webhook("wamid.old", BOB, "from an old body", &json!({})))?;
    let body = body.replace("1764000000", &(Timestamp::now().as_millis() / 1000).to_string());
    store.append(vec![once_unreadable(body.as_bytes())]).await?;
    store.close().await;
    drop(store);
    house.start().await?;
    let patchbay = operator(&house).await?;

    let replay = ["journal", "replay", "--kind", "unparsed", "--since", "1d", "--json"];
    let dry = patchbay.rows(&[&replay[..], &["--dry-run"]].concat()).await?;
    assert_eq!((&dry[0]["kind"], &dry[0]["outcome"]), (&json!("message.text"), &json!("would-be-new")));
    assert_eq!(house.entries_of(BOB).await?, ["before"]);
    assert_eq!(patchbay.rows(&replay).await?[0]["outcome"], "new");
    house.expect_entries(BOB, &["before", "from an old body"]).await?;
    assert_eq!(patchbay.rows(&replay).await?[0]["outcome"], "already-handled");
    house.text(BOB, "and a new one").await?;
    house.expect_entries(BOB, &["before", "from an old body", "and a new one"]).await
}

async fn a_journal_is_read_while_no_gateway_runs(on: On) -> Result<()> {
    let mut house = Kept::open(on).await?;
    house.text(ADA, SECRET_WORDS).await?;
    house.expect_entries(ADA, &[SECRET_WORDS]).await?;
    let patchbay = operator(&house).await?;
    house.gateway.take().unwrap().terminate().await?;
    let config = house.config().display().to_string();

    let rows = patchbay.rows(&["journal", "list", "--kind", "message", "--json", "--config", &config]).await?;
    let id = rows[0]["id"].as_str().unwrap();
    let shown = patchbay.done(&["journal", "show", id, "--config", &config]).await?;
    assert!(shown.contains(SECRET_WORDS), "{shown}");
    let none = patchbay.rows(&["dead-letters", "list", "--json", "--config", &config]).await?;
    assert!(none.is_empty(), "{none:?}");
    Ok(())
}
