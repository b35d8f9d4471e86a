//! The configuration is read again while the gateway runs: all of it or nothing, and no message is lost over it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use anyhow::Result;
use patchbay_tests::command::text;
use patchbay_tests::config::Options;
use patchbay_tests::{House, Patchbay, eventually};
use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::Value;

const ADA: &str = "447700900001";
const BOB: &str = "447700900002";

/// Replaces a text of the configuration file.
fn rewrite(house: &House, old: &str, new: &str) -> Result<()> {
    let file = std::fs::read_to_string(house.config())?;
    assert!(file.contains(old), "{old} is not in the file");
    std::fs::write(house.config(), file.replace(old, new))?;
    Ok(())
}

/// Waits for the decision about the newest message of a customer.
async fn explained(house: &House, patchbay: &Patchbay, words: &str) -> Result<Value> {
    eventually("the decision", || async {
        let events = house.events("kind=message&limit=20").await?;
        let event = events.iter().find(|event| event["body"]["content"]["value"] == words);
        let Some(id) = event.and_then(|event| event["id"].as_str()) else { return Ok(Err(format!("{events:?}"))) };
        let ran = patchbay.run(&["explain", id, "--json"]).await?;
        Ok(if ran.code == 0 { Ok(serde_json::from_str(&ran.out)?) } else { Err(ran.err) })
    })
    .await
}

fn plugins(explanation: &Value) -> Vec<&str> {
    explanation["steps"].as_array().unwrap().iter().map(|step| step["plugin"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn chains_plugins_and_secrets_change_while_it_runs() -> Result<()> {
    let house = House::open().await?;
    let patchbay = Patchbay::of(house.gateway()?).await?;
    house.text(ADA, "hello").await?;
    let before = explained(&house, &patchbay, "hello").await?;
    assert_eq!(before["chain"], "messages");
    assert_eq!(plugins(&before), ["acknowledge", "router"]);

    let same = patchbay.done(&["reload"]).await?;
    assert_eq!(same, "the configuration was read again; it says the same as before\n");

    let chain =
        "[[chains]]\nname = \"parcels\"\nmatch.content.words = [\"parcel\"]\nsteps = [{ plugin = \"router\" }]\n\n";
    rewrite(&house, "[[chains]]\nname = \"messages\"", &format!("{chain}[[chains]]\nname = \"messages\""))?;
    rewrite(&house, "default_queue = \"general\"", "default_queue = \"parcels\"")?;
    let changed = patchbay.done(&["reload"]).await?;
    assert!(changed.contains("[chains] has changed") && changed.contains("router"), "{changed}");
    house.text(BOB, "where is my parcel?").await?;
    let after = explained(&house, &patchbay, "where is my parcel?").await?;
    assert_eq!((after["chain"].as_str(), plugins(&after)), (Some("parcels"), vec!["router"]));
    assert_eq!(after["steps"][0]["generation"], 2, "{after}");
    let actions = after["steps"][0]["result"]["actions"].to_string();
    assert!(actions.contains("parcels") && !after.to_string().contains("where is"), "{after}");

    // What webhooks are signed with is another secret now; the old one is refused.
    rewrite(&house, "env:PB_APP_SECRET", "env:PB_VERIFY_TOKEN")?;
    patchbay.done(&["reload"]).await?;
    let body = patchbay_tests::house::text_webhook("wamid.x", ADA, "signed as before", &Value::Null);
    assert_eq!(house.deliver_signed(body).await?, StatusCode::UNAUTHORIZED);
    Ok(())
}

#[tokio::test]
async fn with_anything_wrong_nothing_changes() -> Result<()> {
    let house = House::open().await?;
    let patchbay = Patchbay::of(house.gateway()?).await?;
    let good = std::fs::read_to_string(house.config())?;
    // A chain that would count, and two slips beside it.
    rewrite(&house, "name = \"messages\"", "name = \"renamed\"")?;
    rewrite(&house, "give_up_after = \"10m\"", "give_up_after = \"soon\"")?;
    rewrite(&house, "desk = \"zendesk\", queue", "desk = \"zendsk\", queue")?;
    let refused = patchbay.run(&["reload"]).await?;
    assert_eq!(refused.code, 2, "{refused:?}");
    for part in ["nothing was changed", "`soon` is not a duration", "there is no desk `zendsk`", "write \"zendesk\""] {
        assert!(refused.err.contains(part), "{part}: {}", refused.err);
    }
    // A file that is in order, and a plugin that cannot do what a chain wants of it: found out only when it is loaded.
    std::fs::write(house.config(), good.replace("name = \"messages\"", "name = \"renamed\""))?;
    rewrite(&house, "{ plugin = \"router\",", "{ plugin = \"zendesk\",")?;
    let refused = patchbay.run(&["reload"]).await?;
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.err.contains("the plugin `zendesk` is no handler"), "{}", refused.err);
    // What counts only from a start, beside what could be changed.
    std::fs::write(house.config(), good.replace("name = \"messages\"", "name = \"renamed\""))?;
    rewrite(&house, "data_dir = \"data\"", "data_dir = \"elsewhere\"\nnode_name = \"other\"")?;
    let refused = patchbay.run(&["reload"]).await?;
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(
        refused.err.contains("`gateway.data_dir`, `gateway.node_name` can only be changed by a restart"),
        "{}",
        refused.err
    );

    let gateway = house.gateway()?;
    let count =
        async |outcome: &str| gateway.metric(&format!("patchbay_config_reloads_total{{outcome=\"{outcome}\"}}")).await;
    assert_eq!((count("refused").await?, count("done").await?), (3.0, 0.0));
    let read = gateway.metric("patchbay_config_read_timestamp_seconds").await?;
    std::fs::write(house.config(), good)?;
    patchbay.done(&["reload"]).await?;
    assert_eq!(count("done").await?, 1.0);
    assert!(gateway.metric("patchbay_config_read_timestamp_seconds").await? > read);

    house.text(ADA, "hello").await?;
    assert_eq!(explained(&house, &patchbay, "hello").await?["chain"], "messages");
    Ok(())
}

#[tokio::test]
async fn a_hangup_reads_it_again() -> Result<()> {
    let house = House::open().await?;
    let patchbay = Patchbay::of(house.gateway()?).await?;
    rewrite(&house, "name = \"messages\"", "name = \"renamed\"")?;
    house.gateway()?.signal(Signal::HUP)?;
    eventually("the reload", || async {
        let log = house.gateway()?.log();
        Ok(if log.contains("the configuration was read again") { Ok(()) } else { Err(log) })
    })
    .await?;
    house.text(ADA, "hello").await?;
    assert_eq!(explained(&house, &patchbay, "hello").await?["chain"], "renamed");
    rewrite(&house, "name = \"renamed\"", "nam = \"renamed\"")?;
    house.gateway()?.signal(Signal::HUP)?;
    eventually("the refusal", || async {
        let log = house.gateway()?.log();
        Ok(if log.contains("write `name`") { Ok(()) } else { Err(log) })
    })
    .await
}

#[tokio::test]
async fn an_event_that_was_put_aside_is_decided_anew_when_the_plugin_is_put_right() -> Result<()> {
    let steps = vec![("acknowledge".into(), "park".into()), ("router".into(), "retry".into())];
    let options = Options { steps, ..Options::default() };
    let house = House::with(options).await?;
    let patchbay = Patchbay::of(house.gateway()?).await?;
    // Settings that fit the schema and that the plugin itself cannot use: it says so each time it is asked.
    rewrite(&house, "default_language = \"en\"", "default_language = \"fr\"")?;
    patchbay.done(&["reload"]).await?;
    house.text(ADA, "hello").await?;
    let letter = eventually("the dead letter", || async {
        let rows = patchbay.rows(&["dead-letters", "list", "--lane", "conversations", "--json"]).await?;
        Ok(rows.first().cloned().ok_or("none".to_owned()))
    })
    .await?;
    assert_eq!(letter["effect"], "decide");
    let (task, event) = (letter["task"].as_str().unwrap(), letter["event"].as_str().unwrap());
    let told = patchbay.done(&["explain", event]).await?;
    assert!(told.contains("the event was put aside") && told.contains(task), "{told}");
    let still = patchbay.run(&["dead-letters", "retry", task]).await?;
    assert_eq!(still.code, 1);
    assert!(still.out.contains("died again"), "{still:?}");
    assert!(house.tickets().await?.is_empty(), "neither the chain nor the fallback has opened one");

    rewrite(&house, "default_language = \"fr\"", "default_language = \"en\"")?;
    patchbay.done(&["reload"]).await?;
    patchbay.done(&["dead-letters", "retry", task]).await?;
    house.expect_entries(ADA, &["hello"]).await?;
    let told = patchbay.done(&["explain", event]).await?;
    assert!(told.contains("→ open a ticket in zendesk") && !told.contains("put aside"), "{told}");
    Ok(())
}

#[tokio::test]
async fn messages_are_handled_once_each_while_it_is_read_again_and_again() -> Result<()> {
    let house = House::open().await?;
    let patchbay = Patchbay::of(house.gateway()?).await?;
    for round in 0..12 {
        let queue = format!("queue-{round}");
        let file = std::fs::read_to_string(house.config())?;
        let line = file.lines().find(|line| line.starts_with("default_queue")).unwrap().to_owned();
        rewrite(&house, &line, &format!("default_queue = \"{queue}\""))?;
        let (first, second) = (format!("{ADA}{round}"), format!("{BOB}{round}"));
        let (said, read, said_too) =
            tokio::join!(house.text(&first, "one"), patchbay.done(&["reload"]), house.text(&second, "two"),);
        said?;
        read?;
        said_too?;
    }
    for round in 0..12 {
        house.expect_entries(&format!("{ADA}{round}"), &["one"]).await?;
        house.expect_entries(&format!("{BOB}{round}"), &["two"]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn explain_and_route_answer_offline_too_and_say_what_is_missing() -> Result<()> {
    let mut house = House::with(Options::default()).await?;
    let patchbay = Patchbay::of(house.gateway()?).await?;
    house.text(ADA, "my invoice 4711").await?;
    let explanation = explained(&house, &patchbay, "my invoice 4711").await?;
    let event = explanation["event"].as_str().unwrap().to_owned();
    let told = patchbay.done(&["explain", &event]).await?;
    for part in [
        "message.text",
        "✓ messages",
        "1. acknowledge",
        "2. router",
        "→ assign billing, high",
        "→ open a ticket in zendesk",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("4711") && !told.contains('\u{1b}'), "{told}");

    let unknown = patchbay.run(&["explain", "ev_aaaaaaaaaaaaaaaaaaaaaaaa"]).await?;
    assert_eq!(unknown.code, 1);
    assert!(unknown.err.contains("`patchbay journal list` shows those that are kept"), "{}", unknown.err);
    let accepted = eventually("a status", || async {
        let events = house.events("kind=delivery.accepted&limit=1").await?;
        Ok(events.first().map(|event| event["id"].as_str().unwrap().to_owned()).ok_or("none".to_owned()))
    })
    .await?;
    let undecided = patchbay.run(&["explain", &accepted]).await?;
    assert_eq!(undecided.code, 1);
    assert!(undecided.err.contains("no chain was held against it"), "{}", undecided.err);

    house.kill().await?;
    let config = house.config();
    let offline = Patchbay::offline().done(&["explain", &event, "--config", text(&config)]).await?;
    assert_eq!(offline, told);
    let route = Patchbay::offline().done(&["route", "hello", "--config", text(&config)]).await?;
    assert!(route.contains("✓ messages") && route.contains("acknowledge, then router"), "{route}");
    let none = Patchbay::offline().run(&["route", "-", "--kind", "desk.entry", "--config", text(&config)]).await?;
    assert_eq!(none.code, 1);
    assert!(none.out.contains("- messages: it is for `message`, and this is `desk.entry`"), "{}", none.out);
    Ok(())
}
