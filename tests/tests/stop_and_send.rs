//! A clean stop, and a number that cannot be written to.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use anyhow::Result;
use patchbay_tests::{House, eventually};
use serde_json::json;

const ADA: &str = "447700900001";

#[tokio::test]
async fn a_stop_under_load_ends_with_success_and_the_next_start_goes_on() -> Result<()> {
    let mut house = House::open().await?;
    house.fault(json!({ "target": "zendesk", "route": "POST /api/v2/tickets", "next": 20, "delay_ms": 300 })).await?;
    let texts: Vec<String> = (0..10).map(|turn| format!("line {turn}")).collect();
    for text in &texts {
        house.text(ADA, text).await?;
    }
    let status = house.gateway.take().unwrap().terminate().await?;
    assert!(status.success(), "{status:?}");
    house.start().await?;
    let expected: Vec<&str> = texts.iter().map(String::as_str).collect();
    house.expect_entries(ADA, &expected).await?;
    assert_eq!(house.tickets().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn whatsapp_answers_429_then_takes_it_and_drops_the_answer() -> Result<()> {
    let house = House::open().await?;
    house
        .fault(json!({ "target": "whatsapp", "route": "POST /*/messages", "next": 2, "answer": 429, "retry_after": 1 }))
        .await?;
    house.text(ADA, "hello").await?;
    eventually("the acknowledgement", || async {
        let sent = house.sent().await?;
        Ok(if sent.len() == 1 { Ok(()) } else { Err(format!("{sent:?}")) })
    })
    .await?;
    let id = eventually("the ticket", || async {
        let tickets = house.tickets().await?;
        Ok(tickets.first().map(|ticket| ticket["id"].clone()).ok_or_else(|| "none".to_owned()))
    })
    .await?;
    house
        .fault(json!({ "target": "whatsapp", "route": "POST /*/messages", "next": 1, "drop_after_commit": true }))
        .await?;
    house.agent(json!({ "ticket": id, "public": true, "text": "an answer" })).await?;
    let texts = async || -> Result<Vec<String>> {
        let sent = house.sent().await?;
        Ok(sent.iter().map(|row| row["text"].as_str().unwrap_or_default().to_owned()).collect())
    };
    let arrives = async |text: &str| {
        eventually(text, || async {
            let texts = texts().await?;
            Ok(if texts.iter().any(|one| one == text) { Ok(()) } else { Err(format!("{texts:?}")) })
        })
        .await
    };
    arrives("an answer").await?;
    // Behind it in the same lane: when this one is there, the other would have been sent again by now.
    house.agent(json!({ "ticket": id, "public": true, "text": "and another" })).await?;
    arrives("and another").await?;
    let texts = texts().await?;
    assert_eq!(texts.iter().filter(|text| *text == "an answer").count(), 1, "{texts:?}");
    Ok(())
}

#[tokio::test]
async fn an_agent_is_told_when_a_message_cannot_be_delivered() -> Result<()> {
    let house = House::open().await?;
    house.text(ADA, "hello").await?;
    house.expect_entries(ADA, &["hello"]).await?;
    let error = json!({ "error": { "message": "(#131047) Re-engagement message", "type": "OAuthException", "code": 131_047,
        "error_data": { "messaging_product": "whatsapp", "details": "More than 24 hours have passed" }, "fbtrace_id": "x" } });
    house
        .fault(json!({ "target": "whatsapp", "route": "POST /*/messages", "next": 1, "answer": 400, "body": error }))
        .await?;
    let id = house.tickets().await?[0]["id"].clone();
    house.agent(json!({ "ticket": id, "public": true, "text": "are you there?" })).await?;
    eventually("a note in the ticket", || async {
        let entries = house.entries_of(ADA).await?;
        Ok(if entries.iter().any(|text| text.contains("could not be sent")) {
            Ok(())
        } else {
            Err(format!("{entries:?}"))
        })
    })
    .await?;
    assert_eq!(house.api("/v1/dead-letters").await?[0]["effect"], "send");
    Ok(())
}

#[tokio::test]
async fn an_agent_who_is_quicker_than_the_answer_to_the_creation_is_heard() -> Result<()> {
    let house = House::open().await?;
    let fault = json!({ "target": "zendesk", "route": "POST /api/v2/tickets", "next": 1, "hang_after_commit": true });
    house.fault(fault).await?;
    house.text(ADA, "hello").await?;
    let id = eventually("the ticket", || async {
        let tickets = house.tickets().await?;
        Ok(tickets.first().map(|ticket| ticket["id"].clone()).ok_or_else(|| "none".to_owned()))
    })
    .await?;
    house.agent(json!({ "ticket": id, "public": true, "text": "a quick answer" })).await?;
    eventually("the answer at the customer", || async {
        let sent = house.sent().await?;
        Ok(if sent.iter().any(|row| row["text"] == "a quick answer") { Ok(()) } else { Err(format!("{sent:?}")) })
    })
    .await?;
    house.expect_entries(ADA, &["hello", "a quick answer"]).await
}
