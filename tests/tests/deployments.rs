//! Deployments of one gateway: a new version takes its place, what asks for more is held, what is wrong is refused, and what
//! is worse goes back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeSet;

use anyhow::Result;
use patchbay_model::golden::Golden;
use patchbay_tests::command::text;
use patchbay_tests::components::Version;
use patchbay_tests::config::Options;
use patchbay_tests::{ContainerRegistry, House, Patchbay, binary, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;

const ADA: &str = "447700900001";
const BOB: &str = "447700900002";
const UNSIGNED: &str = "\n[deployments]\nunsigned = true\n";

/// A house that takes components that nobody signed, the command line of it, and a folder for components.
async fn open(more: &str) -> Result<(House, Patchbay, TempDir)> {
    let house = House::with(Options { more: format!("{UNSIGNED}{more}"), ..Options::default() }).await?;
    let patchbay = Patchbay::of(house.gateway()?).await?;
    Ok((house, patchbay, tempfile::tempdir()?))
}

/// The deployment's row.
async fn router(patchbay: &Patchbay) -> Result<Value> {
    let rows = patchbay.rows(&["plugin", "list", "--json"]).await?;
    Ok(rows.into_iter().find(|row| row["deployment"] == "router").unwrap())
}

/// Writes as a customer, and gives the generation of the router that decided.
async fn decided_by(house: &House, from: &str, words: &str) -> Result<Value> {
    house.text(from, words).await?;
    eventually("a decision", || async {
        for event in house.events("kind=message").await? {
            if event["body"]["content"]["value"] != words {
                continue;
            }
            let id = event["id"].as_str().unwrap();
            if let Ok(decision) = house.api(&format!("/v1/events/{id}/decision")).await {
                let steps = decision["steps"].as_array().cloned().unwrap_or_default();
                if let Some(step) = steps.iter().find(|step| step["plugin"] == "router") {
                    return Ok(Ok(step["generation"].clone()));
                }
            }
        }
        Ok(Err("none yet".to_owned()))
    })
    .await
}

#[tokio::test]
async fn a_new_version_takes_the_place_of_the_old_one_and_goes_back() -> Result<()> {
    let (mut house, patchbay, folder) = open("").await?;
    let row = router(&patchbay).await?;
    assert_eq!((&row["active"], &row["previous"]), (&json!(1), &Value::Null), "{row}");
    assert_eq!(decided_by(&house, ADA, "one").await?, 1);

    let second = Version::of("2.0.0").of_router(folder.path())?;
    let done = patchbay.rows(&["plugin", "deploy", "router", text(&second), "--wait", "--json"]).await?;
    assert_eq!((&done[0]["generation"], &done[0]["state"]), (&json!(2), &json!("active")), "{done:?}");
    let stages: Vec<&str> =
        done[0]["stages"].as_array().unwrap().iter().map(|s| s["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["verified", "compiled"]);
    assert_eq!(decided_by(&house, ADA, "two").await?, 2);

    // A restart keeps what an operator deployed, although the configuration names another component.
    house.gateway.take().unwrap().terminate().await?;
    house.start().await?;
    let patchbay = Patchbay::of(house.gateway()?).await?;
    let row = router(&patchbay).await?;
    assert_eq!((&row["active"], &row["version"]), (&json!(2), &json!("2.0.0")), "{row}");
    assert_eq!(decided_by(&house, ADA, "three").await?, 2);

    let back = patchbay.rows(&["plugin", "rollback", "router", "--reason", "wrong queue", "--wait", "--json"]).await?;
    assert_eq!(back[0]["active"], 1, "{back:?}");
    assert_eq!(decided_by(&house, ADA, "four").await?, 1);
    let history = patchbay.rows(&["plugin", "history", "router", "--json"]).await?;
    let what: Vec<String> =
        history.iter().map(|row| format!("{} {} {}", row["generation"], row["what"], row["who"])).collect();
    assert_eq!(
        what,
        [
            r#"1 "deployed" "the configuration""#,
            r#"2 "deployed" "operator""#,
            r#"2 "rolled-back" "operator""#,
            r#"1 "active" "operator""#
        ]
    );
    assert_eq!(history[2]["why"], "wrong queue");
    let diff = patchbay.rows(&["plugin", "diff", "router", "1", "2", "--json"]).await?;
    assert!(diff.iter().any(|row| row["key"] == "version" && row["after"] == "2.0.0"), "{diff:?}");
    assert!(diff.iter().any(|row| row["key"] == "digest"), "{diff:?}");
    // Tables are for people: they have what the objects have.
    let table = patchbay.done(&["plugin", "list"]).await?;
    assert!(table.contains("router") && table.contains("active") && table.contains("GENERATION"), "{table}");
    Ok(())
}

#[tokio::test]
async fn what_asks_for_more_is_held_until_it_is_approved() -> Result<()> {
    let (house, patchbay, folder) = open("").await?;
    let greedy = Version { hosts: vec!["api.example.com".into()], ..Version::of("2.0.0") }.of_router(folder.path())?;
    let held = patchbay.run(&["plugin", "deploy", "router", text(&greedy), "--canary", "100%", "--wait"]).await?;
    assert_eq!(held.code, 3, "{held:?}");
    assert!(held.out.contains("generation 2 is held") && held.out.contains("GET https://api.example.com"), "{held:?}");
    assert!(held.out.contains("patchbay plugin approve router --generation 2"), "{held:?}");
    assert_eq!(decided_by(&house, ADA, "one").await?, 1, "the old one goes on");
    let promoted = patchbay.run(&["plugin", "promote", "router", "--generation", "2"]).await?;
    assert_eq!(promoted.code, 3, "{promoted:?}");

    let approved = patchbay.rows(&["plugin", "approve", "router", "--wait", "--json"]).await?;
    assert_eq!((&approved[0]["state"], &approved[0]["active"]), (&json!("canary"), &json!(1)), "{approved:?}");
    assert_eq!(decided_by(&house, ADA, "two").await?, 2, "every conversation is in a share of 100%");
    let promoted = patchbay.rows(&["plugin", "promote", "router", "--wait", "--json"]).await?;
    assert_eq!(promoted[0]["active"], 2);
    // What it was granted once, the next version need not ask for again.
    let next = Version { hosts: vec!["api.example.com".into()], ..Version::of("2.1.0") }.of_router(folder.path())?;
    let done = patchbay.rows(&["plugin", "deploy", "router", text(&next), "--wait", "--json"]).await?;
    assert_eq!(done[0]["state"], "active", "{done:?}");
    let whole = house.api("/v1/deployments/router").await?;
    assert_eq!(whole["generations"][2]["approved"][0], "GET https://api.example.com: to look things up", "{whole}");
    Ok(())
}

/// A golden event that the router does not come up to.
fn impossible() -> Golden {
    serde_json::from_value(json!({
        "name": "an invoice goes to the moon",
        "settings": { "desk": "zendesk", "default_queue": "general" },
        "event": {
            "id": "ev_aaaaaaaaaaaaaaaaaaaaaaaa", "conversation": "co_aaaaaaaaaaaaaaaaaaaaaaaa",
            "occurred_at": 1_764_000_000_000_u64, "received_at": 1_764_000_000_000_u64,
            "body": { "type": "message", "value": { "id": "wamid.1", "content": { "type": "text", "value": "hello" } } },
        },
        "conversation": {
            "id": "co_aaaaaaaaaaaaaaaaaaaaaaaa",
            "channel": { "id": "main", "platform": "whatsapp", "account": "100", "address": "200" },
            "customer": { "id": "cu_aaaaaaaaaaaaaaaaaaaaaaaa", "phone": "447700900001", "name": "Ada" },
        },
        "expect": { "outcome": { "actions": [{ "type": "note", "value": "to the moon" }] } },
    }))
    .unwrap()
}

#[tokio::test]
async fn what_does_not_pass_a_stage_changes_nothing() -> Result<()> {
    let (house, patchbay, folder) = open("").await?;
    let deploy = async |version: &Version| -> Result<patchbay_tests::command::Ran> {
        let file = version.of_router(folder.path())?;
        patchbay.run(&["plugin", "deploy", "router", text(&file), "--wait"]).await
    };
    let golden = deploy(&Version { golden: vec![impossible()], ..Version::of("2.0.0") }).await?;
    assert_eq!(golden.code, 3, "{golden:?}");
    assert!(golden.err.contains("an invoice goes to the moon") && golden.err.contains("/actions/0"), "{golden:?}");
    let schema = json!({ "type": "object", "properties": { "default_queue": { "type": "integer" } } });
    let settings = deploy(&Version { schema: Some(schema), ..Version::of("2.0.1") }).await?;
    assert_eq!(settings.code, 3, "{settings:?}");
    assert!(
        settings.err.contains("plugins.router.settings.default_queue: `default_queue` takes a whole number, not text"),
        "{settings:?}"
    );
    let nothing = folder.path().join("nothing.wasm");
    std::fs::write(&nothing, b"this is not WebAssembly")?;
    let foreign = patchbay.run(&["plugin", "deploy", "router", text(&nothing)]).await?;
    assert!(foreign.code == 3 && foreign.err.contains("no WebAssembly component"), "{foreign:?}");
    let unknown = patchbay.run(&["plugin", "deploy", "nobody", text(&nothing)]).await?;
    assert!(unknown.err.contains("no [plugins.nobody]"), "{unknown:?}");
    // What ships with the gateway has a schema as well.
    let desk = patchbay.run(&["plugin", "deploy", "acknowledge", "builtin:zendesk"]).await?;
    assert!(desk.code == 3 && desk.err.contains("`base_url` is missing"), "{desk:?}");

    let row = router(&patchbay).await?;
    assert_eq!((&row["active"], &row["canary"]), (&json!(1), &Value::Null), "{row}");
    assert_eq!(decided_by(&house, ADA, "one").await?, 1);
    let history = patchbay.rows(&["plugin", "history", "router", "--json"]).await?;
    let failed: Vec<&Value> = history.iter().filter(|row| row["what"] == "failed").collect();
    assert_eq!(failed.len(), 1, "{history:?}");
    assert!(failed[0]["why"].as_str().unwrap().contains("golden"), "{history:?}");
    // What was refused before it became a generation stands there too, with the reason.
    let refused: Vec<&str> =
        history.iter().filter(|row| row["what"] == "refused").map(|row| row["why"].as_str().unwrap()).collect();
    assert_eq!(refused.len(), 2, "{history:?}");
    assert!(refused[0].starts_with("upload of sha256:") && refused[0].contains("default_queue"), "{refused:?}");
    assert!(refused[1].contains("no WebAssembly component"), "{refused:?}");
    let table = patchbay.done(&["plugin", "history", "router"]).await?;
    assert!(table.contains("refused") && table.contains("operator"), "{table}");
    let gateway = house.gateway()?;
    for (outcome, count) in [("failed", 1.0), ("refused", 2.0)] {
        let metric = format!("patchbay_deployments_total{{deployment=\"router\",outcome=\"{outcome}\"}}");
        assert_eq!(gateway.metric(&metric).await?, count, "{outcome}");
    }
    Ok(())
}

#[tokio::test]
async fn without_a_policy_nobody_deploys_what_the_configuration_does_not_name() -> Result<()> {
    let house = House::open().await?;
    let patchbay = Patchbay::of(house.gateway()?).await?;
    let folder = tempfile::tempdir()?;
    let second = Version::of("2.0.0").of_router(folder.path())?;
    let refused = patchbay.run(&["plugin", "deploy", "router", text(&second)]).await?;
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.err.contains("policy = \"policy.toml\" under [deployments]"), "{refused:?}");
    // What ships with the gateway is signed with it.
    patchbay.done(&["plugin", "deploy", "router", "builtin:keyword-router", "--wait"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_signature_by_a_key_of_the_policy_is_asked_for() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let offline = Patchbay::offline();
    let (key, other) = (folder.path().join("acme"), folder.path().join("other"));
    for key in [&key, &other] {
        offline.done(&["plugin", "keygen", text(key)]).await?;
    }
    let policy = folder.path().join("policy.toml");
    std::fs::write(&policy, "[[allow]]\nnames = [\"acme-*\"]\nkeys = [\"acme.pub\"]\n")?;
    let more = format!("\n[deployments]\npolicy = \"{}\"\n", policy.display());
    let house = House::with(Options { more, ..Options::default() }).await?;
    let patchbay = Patchbay::of(house.gateway()?).await?;

    let file = Version::of("2.0.0").of_router(folder.path())?;
    let unsigned = patchbay.run(&["plugin", "deploy", "router", text(&file)]).await?;
    assert!(unsigned.code == 3 && unsigned.err.contains("it is not signed"), "{unsigned:?}");
    let private = |key: &std::path::Path| key.with_extension("key");
    offline.done(&["plugin", "sign", text(&file), "--key", text(&private(&other))]).await?;
    let foreign = patchbay.run(&["plugin", "deploy", "router", text(&file)]).await?;
    assert!(foreign.code == 3 && foreign.err.contains("none fits a key"), "{foreign:?}");
    offline.done(&["plugin", "sign", text(&file), "--key", text(&private(&key))]).await?;
    let done = patchbay.done(&["plugin", "deploy", "router", text(&file), "--wait"]).await?;
    assert!(done.contains("signed by") && done.contains("generation 2 is active"), "{done}");
    Ok(())
}

#[tokio::test]
async fn a_generation_that_fails_more_than_the_one_before_goes_back_by_itself() -> Result<()> {
    let rules = "[plugins.router.rollout]\nmin_calls = 3\nwindow = \"10s\"\nmax_failure_rate = \"50%\"\n";
    let (house, patchbay, folder) = open(rules).await?;
    assert_eq!(decided_by(&house, ADA, "panic before").await?, 1, "it means nothing to the shipped one");
    // A handler that does what the text says.
    let guest = std::fs::read(binary::hostile_guest()?)?;
    let file = Version::of("6.6.6").write(&guest, folder.path())?;
    let first = patchbay.run(&["plugin", "deploy", "router", text(&file)]).await?;
    if first.code == 3 {
        patchbay.done(&["plugin", "approve", "router", "--wait"]).await?;
    }
    for number in 0..6 {
        house.text(&format!("44770090010{number}"), "permanent as it was told").await?;
    }
    let row = eventually("the old generation", || async {
        let row = router(&patchbay).await?;
        Ok(if row["active"] == 1 { Ok(row) } else { Err(row.to_string()) })
    })
    .await?;
    assert_eq!(row["previous"], Value::Null, "{row}");
    let history = patchbay.rows(&["plugin", "history", "router", "--json"]).await?;
    let back = history.iter().find(|row| row["what"] == "rolled-back").unwrap();
    assert!(back["who"].as_str().unwrap().starts_with("node ") && back["generation"] == 2, "{back}");
    assert!(back["why"].as_str().unwrap().contains("calls failed"), "{back}");
    assert_eq!(decided_by(&house, ADA, "afterwards").await?, 1);
    // Every customer reached a person all the same.
    for number in 0..6 {
        house.expect_entries(&format!("44770090010{number}"), &["permanent as it was told"]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_changed_section_is_a_generation_and_keeps_what_was_deployed() -> Result<()> {
    let (mut house, patchbay, folder) = open("").await?;
    let second = Version::of("2.0.0").of_router(folder.path())?;
    patchbay.done(&["plugin", "deploy", "router", text(&second), "--wait"]).await?;
    house.gateway.take().unwrap().terminate().await?;
    let toml = std::fs::read_to_string(house.config())?;
    std::fs::write(house.config(), toml.replace("default_queue = \"general\"", "default_queue = \"front\""))?;
    house.start().await?;
    let patchbay = Patchbay::of(house.gateway()?).await?;
    let row = router(&patchbay).await?;
    assert_eq!((&row["active"], &row["version"]), (&json!(3), &json!("2.0.0")), "{row}");
    let diff = patchbay.rows(&["plugin", "diff", "router", "--json"]).await?;
    let queue = diff.iter().find(|row| row["key"] == "settings.default_queue").unwrap();
    assert_eq!((&queue["before"], &queue["after"]), (&json!("general"), &json!("front")), "{diff:?}");
    assert_eq!(decided_by(&house, BOB, "hello before it").await?, 3);
    // A rollback brings back how it was set.
    patchbay.done(&["plugin", "rollback", "router", "--wait"]).await?;
    assert_eq!(decided_by(&house, ADA, "hello after it").await?, 2);
    let queues = eventually("two tickets", || async {
        let tickets = house.tickets().await?;
        let queues: Vec<String> = tickets.iter().map(|ticket| ticket["queue"].as_str().unwrap().to_owned()).collect();
        Ok(if queues.len() == 2 { Ok(queues) } else { Err(format!("{queues:?}")) })
    })
    .await?;
    assert_eq!(BTreeSet::from_iter(queues), BTreeSet::from(["front".to_owned(), "general".to_owned()]));
    Ok(())
}

#[tokio::test]
async fn a_shadow_is_asked_beside_and_compared() -> Result<()> {
    let (house, patchbay, folder) = open("").await?;
    let guest = std::fs::read(binary::hostile_guest()?)?;
    let file = Version::of("6.6.6").write(&guest, folder.path())?;
    let first = patchbay.run(&["plugin", "deploy", "router", text(&file), "--shadow"]).await?;
    if first.code == 3 {
        patchbay.done(&["plugin", "approve", "router", "--wait"]).await?;
    }
    // The shipped router answers all of these; the other one fails, to nobody's harm.
    for number in 0..3 {
        let from = format!("44770090020{number}");
        assert_eq!(decided_by(&house, &from, &format!("permanent failure {number}")).await?, 1);
        house.expect_entries(&from, &[&format!("permanent failure {number}")]).await?;
    }
    let comparison = eventually("the comparison", || async {
        let row = router(&patchbay).await?;
        let comparison = row["nodes"][0]["comparison"].clone();
        let seen = comparison["different"].as_u64().unwrap_or_default()
            + comparison["passed_over"].as_u64().unwrap_or_default();
        Ok(if seen == 3 { Ok(comparison) } else { Err(row.to_string()) })
    })
    .await?;
    assert!(comparison["different"].as_u64().unwrap() > 0, "{comparison}");
    let table = patchbay.done(&["plugin", "list"]).await?;
    assert!(table.contains("shadow") && table.contains("different"), "{table}");
    // Back to the active one: the shadow ends.
    patchbay.done(&["plugin", "rollback", "router", "--to", "1", "--wait"]).await?;
    assert_eq!(router(&patchbay).await?["shadow"], Value::Null);
    assert_eq!(house.api("/v1/dead-letters").await?, json!([]));
    Ok(())
}

#[tokio::test]
async fn a_component_is_deployed_from_a_registry() -> Result<()> {
    let registry = ContainerRegistry::open()?;
    let (house, patchbay, folder) = open("").await?;
    let file = Version::of("2.0.0").of_router(folder.path())?;
    let name = registry.name("acme/router:2.0.0");
    Patchbay::offline().done(&["plugin", "push", text(&file), &name]).await?;
    let source = format!("oci:{name}");
    let done = patchbay.rows(&["plugin", "deploy", "router", &source, "--wait", "--json"]).await?;
    assert_eq!((&done[0]["generation"], &done[0]["state"]), (&json!(2), &json!("active")), "{done:?}");
    let whole = house.api("/v1/deployments/router").await?;
    let from = whole["generations"][1]["source"].as_str().unwrap();
    assert!(from.contains("acme/router@sha256:"), "what ran is to be found when the tag has moved: {from}");
    let nothing =
        patchbay.run(&["plugin", "deploy", "router", &format!("oci:{}", registry.name("acme/none:1"))]).await?;
    assert!(nothing.code == 3 && nothing.err.contains("acme/none:1"), "{nothing:?}");
    assert_eq!(decided_by(&house, ADA, "one").await?, 2);
    Ok(())
}
