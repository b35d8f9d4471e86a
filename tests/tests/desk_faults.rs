//! A desk that misbehaves: the ticket appears once, in order, and other conversations are not held up.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use anyhow::Result;
use patchbay_tests::House;
use patchbay_tests::config::Options;
use serde_json::{Value, json};

const ADA: &str = "447700900001";
const GRACE: &str = "447700900002";

/// Ada writes into the fault, Grace after her; Grace's ticket is there before the fault ends.
async fn survives(fault: Value) -> Result<()> {
    let house = House::with(Options { desk_timeout: "2s".into(), ..Options::default() }).await?;
    house.fault(fault).await?;
    for text in ["one", "two", "three"] {
        house.text(ADA, text).await?;
    }
    house.text(GRACE, "hello").await?;
    house.expect_entries(GRACE, &["hello"]).await?;
    house.expect_entries(ADA, &["one", "two", "three"]).await?;
    assert_eq!(house.tickets().await?.len(), 2, "{:?}", house.tickets().await?);
    assert_eq!(house.api("/v1/dead-letters").await?, json!([]));
    Ok(())
}

#[tokio::test]
async fn it_answers_429() -> Result<()> {
    survives(
        json!({ "target": "zendesk", "route": "POST /api/v2/tickets", "next": 3, "answer": 429, "retry_after": 1 }),
    )
    .await
}

#[tokio::test]
async fn it_answers_500() -> Result<()> {
    survives(json!({ "target": "zendesk", "route": "POST /api/v2/tickets", "next": 3, "answer": 500 })).await
}

#[tokio::test]
async fn it_hangs() -> Result<()> {
    survives(json!({ "target": "zendesk", "route": "POST /api/v2/tickets", "next": 2, "hang": true })).await
}

#[tokio::test]
async fn it_commits_a_ticket_and_drops_the_connection() -> Result<()> {
    survives(json!({ "target": "zendesk", "route": "POST /api/v2/tickets", "next": 2, "drop_after_commit": true }))
        .await
}

#[tokio::test]
async fn it_commits_an_entry_and_drops_the_connection() -> Result<()> {
    survives(json!({ "target": "zendesk", "route": "PUT /api/v2/tickets", "next": 2, "drop_after_commit": true })).await
}

#[tokio::test]
async fn it_commits_a_ticket_that_cannot_be_found_yet() -> Result<()> {
    let house = House::with(Options { desk_timeout: "2s".into(), ..Options::default() }).await?;
    house.fault(json!({ "target": "zendesk", "lag_search_ms": 3000 })).await?;
    house
        .fault(json!({ "target": "zendesk", "route": "POST /api/v2/tickets", "next": 1, "drop_after_commit": true }))
        .await?;
    house.text(ADA, "one").await?;
    house.text(ADA, "two").await?;
    house.expect_entries(ADA, &["one", "two"]).await?;
    assert_eq!(house.tickets().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn it_refuses_a_ticket_and_the_message_is_a_dead_letter_that_can_be_tried_again() -> Result<()> {
    let house = House::open().await?;
    house.fault(json!({ "target": "zendesk", "route": "POST /api/v2/tickets", "next": 1, "answer": 422 })).await?;
    house.text(ADA, "one").await?;
    let letter = patchbay_tests::eventually("a dead letter", || async {
        let letters = house.api("/v1/dead-letters").await?;
        Ok(letters.get(0).cloned().ok_or_else(|| "none".to_owned()))
    })
    .await?;
    assert_eq!(letter["effect"], "create-ticket", "{letter}");
    house.text(ADA, "two").await?;
    house.expect_entries(ADA, &["two"]).await?;
    house.api_post(&format!("/v1/dead-letters/{}/retry", letter["task"].as_str().unwrap())).await?;
    house.expect_entries(ADA, &["two", "one"]).await?;
    assert_eq!(house.tickets().await?.len(), 1, "what is tried again goes into the ticket that is there by now");
    assert_eq!(house.api("/v1/dead-letters").await?, json!([]));
    Ok(())
}

#[tokio::test]
async fn a_refused_credential_pauses_the_lane_and_keeps_the_work() -> Result<()> {
    let house = House::open().await?;
    house
        .fault(json!({ "target": "zendesk", "route": "POST /api/v2/users/create_or_update", "next": 1, "answer": 401 }))
        .await?;
    house.text(ADA, "one").await?;
    let client = reqwest::Client::new();
    let url = format!("{}/readyz", house.gateway()?.url());
    patchbay_tests::eventually("the lane's trouble in /readyz", || async {
        let ready: Value = client.get(&url).send().await?.json().await?;
        let told = ready["lanes_in_trouble"][0]["credential"] == true && ready["ready"] == true;
        Ok(if told { Ok(()) } else { Err(ready.to_string()) })
    })
    .await?;
    house.expect_entries(ADA, &["one"]).await?;
    Ok(())
}
