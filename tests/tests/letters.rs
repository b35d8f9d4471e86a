//! Dead letters through the API: tried again, changed, dropped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use anyhow::Result;
use patchbay_tests::{House, eventually};
use reqwest::StatusCode;
use serde_json::{Value, json};

const ADA: &str = "447700900001";

/// A house with a ticket of Ada's, whose agent's answer has just been refused; and the letter of it.
async fn with_a_letter() -> Result<(House, Value)> {
    let house = House::open().await?;
    house.text(ADA, "hello").await?;
    house.expect_entries(ADA, &["hello"]).await?;
    let letter = refused(&house, "are you there?").await?;
    Ok((house, letter))
}

/// WhatsApp refuses an agent's answer; gives its letter.
async fn refused(house: &House, words: &str) -> Result<Value> {
    eventually("the acknowledgement", || async {
        let sent = house.sent().await?;
        Ok(if sent.is_empty() { Err("nothing is sent".to_owned()) } else { Ok(()) })
    })
    .await?;
    let error = json!({ "error": { "message": "(#100) Invalid parameter", "type": "OAuthException", "code": 100,
        "error_data": { "messaging_product": "whatsapp", "details": "It is too long" }, "fbtrace_id": "x" } });
    house
        .fault(json!({ "target": "whatsapp", "route": "POST /*/messages", "next": 1, "answer": 400, "body": error }))
        .await?;
    let id = house.tickets().await?[0]["id"].clone();
    house.agent(json!({ "ticket": id, "public": true, "text": words })).await?;
    let task = eventually("a dead letter", || async {
        let letters = house.api("/v1/dead-letters").await?;
        Ok(letters[0]["task"].as_str().map(str::to_owned).ok_or_else(|| letters.to_string()))
    })
    .await?;
    house.api(&format!("/v1/dead-letters/{task}")).await
}

async fn post(house: &House, letter: &Value, verb: &str, body: &Value) -> Result<StatusCode> {
    let task = letter["task"].as_str().or_else(|| letter["task"]["id"].as_str()).unwrap();
    let gateway = house.gateway()?;
    let url = format!("{}/v1/dead-letters/{task}/{verb}", gateway.url());
    let request = reqwest::Client::new().post(url).bearer_auth(gateway.token().await?).json(body);
    Ok(request.send().await?.status())
}

async fn letters_are_gone(house: &House) -> Result<()> {
    eventually("no dead letter", || async {
        let letters = house.api("/v1/dead-letters").await?;
        Ok(if letters == json!([]) { Ok(()) } else { Err(letters.to_string()) })
    })
    .await
}

async fn texts(house: &House) -> Result<Vec<String>> {
    Ok(house.sent().await?.iter().map(|row| row["text"].as_str().unwrap_or_default().to_owned()).collect())
}

#[tokio::test]
async fn a_letter_is_changed_and_then_sent_as_it_is_now() -> Result<()> {
    let (house, letter) = with_a_letter().await?;
    let mut effect = letter["effect"].clone();
    effect["message"]["content"]["value"] = json!("Are you there? Write to us any time.");
    assert_eq!(post(&house, &letter, "edit", &json!({ "effect": effect })).await?, StatusCode::ACCEPTED);
    let task = letter["task"].as_str().unwrap_or_default();
    eventually("the changed letter", || async {
        let now = house.api(&format!("/v1/dead-letters/{task}")).await?;
        Ok(if now["effect"] == effect { Ok(()) } else { Err(now.to_string()) })
    })
    .await?;
    let other = json!({ "effect": { "type": "update-ticket", "fields": {} } });
    assert_eq!(post(&house, &letter, "edit", &other).await?, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(post(&house, &letter, "retry", &Value::Null).await?, StatusCode::ACCEPTED);
    letters_are_gone(&house).await?;
    eventually("the message at the customer", || async {
        let texts = texts(&house).await?;
        let there = texts.last().is_some_and(|text| text == "Are you there? Write to us any time.");
        Ok(if there && texts.len() == 2 { Ok(()) } else { Err(format!("{texts:?}")) })
    })
    .await
}

#[tokio::test]
async fn a_letter_that_is_dropped_is_never_sent() -> Result<()> {
    let (house, letter) = with_a_letter().await?;
    assert_eq!(post(&house, &letter, "drop", &Value::Null).await?, StatusCode::ACCEPTED);
    letters_are_gone(&house).await?;
    assert_eq!(post(&house, &letter, "retry", &Value::Null).await?, StatusCode::NOT_FOUND);
    // Behind it in the same lane: when this one is there, the other would have been sent too.
    let id = house.tickets().await?[0]["id"].clone();
    house.agent(json!({ "ticket": id, "public": true, "text": "a second answer" })).await?;
    eventually("the second answer", || async {
        let texts = texts(&house).await?;
        Ok(if texts.len() == 2 && texts[1] == "a second answer" { Ok(()) } else { Err(format!("{texts:?}")) })
    })
    .await
}

#[tokio::test]
async fn a_letter_can_fail_again_and_be_tried_again_each_time() -> Result<()> {
    let (house, letter) = with_a_letter().await?;
    let error = json!({ "error": { "message": "(#100) Invalid parameter", "type": "OAuthException", "code": 100 } });
    house
        .fault(json!({ "target": "whatsapp", "route": "POST /*/messages", "next": 1, "answer": 400, "body": error }))
        .await?;
    assert_eq!(post(&house, &letter, "retry", &Value::Null).await?, StatusCode::ACCEPTED);
    eventually("the letter of the second death", || async {
        let failed = house.events("kind=effect.failed").await?;
        Ok(if failed.len() == 2 { Ok(()) } else { Err(format!("{failed:?}")) })
    })
    .await?;
    assert_eq!(post(&house, &letter, "retry", &Value::Null).await?, StatusCode::ACCEPTED);
    letters_are_gone(&house).await?;
    eventually("the message at the customer", || async {
        let texts = texts(&house).await?;
        Ok(if texts.iter().any(|text| text == "are you there?") { Ok(()) } else { Err(format!("{texts:?}")) })
    })
    .await?;
    assert_eq!(texts(&house).await?.len(), 2, "it is sent once");
    Ok(())
}
