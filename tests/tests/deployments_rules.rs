//! A generation that is worse goes back by itself: one that is slow, and a canary that fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use anyhow::Result;
use patchbay_tests::command::text;
use patchbay_tests::components::Version;
use patchbay_tests::config::Options;
use patchbay_tests::{House, Patchbay, binary, eventually};
use serde_json::{Value, json};

/// A house in which a handler that does what the text says was deployed as generation 2, in this way.
async fn with_an_obedient_handler(rules: &str, how: &[&str]) -> Result<(House, Patchbay)> {
    let more = format!("\n[deployments]\nunsigned = true\n[plugins.router.rollout]\n{rules}");
    let house = House::with(Options { more, ..Options::default() }).await?;
    let patchbay = Patchbay::of(house.gateway()?).await?;
    let folder = tempfile::tempdir()?;
    let file = Version::of("6.6.6").write(&std::fs::read(binary::hostile_guest()?)?, folder.path())?;
    let deployed = patchbay.run(&[&["plugin", "deploy", "router", text(&file), "--wait"], how].concat()).await?;
    if deployed.code == 3 {
        patchbay.done(&["plugin", "approve", "router", "--wait"]).await?;
    }
    Ok((house, patchbay))
}

async fn router(patchbay: &Patchbay) -> Result<Value> {
    let rows = patchbay.rows(&["plugin", "list", "--json"]).await?;
    Ok(rows.into_iter().find(|row| row["deployment"] == "router").unwrap())
}

/// Six customers.
fn customers() -> Vec<String> {
    (0..6).map(|number| format!("44770090040{number}")).collect()
}

/// They write this; the generation goes back, for this reason.
async fn goes_back(house: &House, patchbay: &Patchbay, words: &str, reason: &str) -> Result<()> {
    for customer in customers() {
        house.text(&customer, words).await?;
    }
    let back = eventually("its going back", || async {
        let history = patchbay.rows(&["plugin", "history", "router", "--json"]).await?;
        let back = history.iter().find(|row| row["what"] == "rolled-back").cloned();
        Ok(back.ok_or_else(|| format!("{history:?}")))
    })
    .await?;
    assert!(back["who"].as_str().unwrap().starts_with("node ") && back["generation"] == 2, "{back}");
    assert!(back["why"].as_str().unwrap().contains(reason), "{back}");
    let row = router(patchbay).await?;
    assert_eq!((&row["active"], &row["canary"]), (&json!(1), &Value::Null), "{row}");
    let gateway = house.gateway()?;
    assert_eq!(gateway.metric("patchbay_automatic_rollbacks_total").await?, 1.0);
    let counted = "patchbay_deployments_total{deployment=\"router\",outcome=\"rolled-back\"}";
    assert_eq!(gateway.metric(counted).await?, 1.0);
    assert_eq!(gateway.metric("patchbay_active_generation{deployment=\"router\"}").await?, 1.0);
    Ok(())
}

#[tokio::test]
async fn one_that_is_slow() -> Result<()> {
    let rules = "min_calls = 3\nwindow = \"10s\"\nmax_failure_rate = \"100%\"\nmax_p99 = \"250ms\"\n";
    let (house, patchbay) = with_an_obedient_handler(rules, &[]).await?;
    assert_eq!(router(&patchbay).await?["active"], 2);
    goes_back(&house, &patchbay, "pause 600", "calls took longer than 250ms, and 1 of 100 may").await
}

#[tokio::test]
async fn a_canary_that_fails_while_the_one_beside_it_does_not() -> Result<()> {
    let rules = "min_calls = 3\nwindow = \"10s\"\nmax_failure_rate = \"50%\"\n";
    let (house, patchbay) = with_an_obedient_handler(rules, &["--canary", "100%"]).await?;
    let row = router(&patchbay).await?;
    assert_eq!((&row["active"], &row["canary"]["generation"]), (&json!(1), &json!(2)), "{row}");
    goes_back(&house, &patchbay, "permanent as it was told", "generation 1 beside it").await?;
    // Every customer reached a person all the same.
    for customer in customers() {
        house.expect_entries(&customer, &["permanent as it was told"]).await?;
    }
    Ok(())
}
