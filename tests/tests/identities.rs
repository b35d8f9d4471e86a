//! One customer, however they are called: numbers that change, and conversations that turn out to be one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeSet;

use anyhow::Result;
use patchbay_tests::config::PHONE_NUMBER_ID;
use patchbay_tests::{House, eventually};
use reqwest::StatusCode;
use serde_json::{Value, json};

const OLD: &str = "447700900001";
const NEW: &str = "447700900002";

/// Meta tells that a customer's number has changed.
async fn number_changes(house: &House, id: &str) -> Result<()> {
    let value = json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "15550783881", "phone_number_id": PHONE_NUMBER_ID },
        "messages": [{ "from": OLD, "id": id, "timestamp": "1795000000", "type": "system",
            "system": { "type": "user_changed_number", "wa_id": NEW, "body": "Ada changed from one number to another" } }],
    });
    let body = json!({ "object": "whatsapp_business_account",
        "entry": [{ "id": "102290129340398", "changes": [{ "field": "messages", "value": value }] }] });
    assert_eq!(house.deliver_signed(body.to_string().into_bytes()).await?, StatusCode::OK);
    Ok(())
}

/// The texts of each ticket's entries, oldest ticket first.
async fn tickets(house: &House) -> Result<Vec<(Value, Vec<String>)>> {
    let mut tickets = house.tickets().await?;
    tickets.sort_by_key(|ticket| ticket["id"].as_u64().or_else(|| ticket["id"].as_str()?.parse().ok()));
    let texts = |ticket: &Value| {
        let entries = ticket["entries"].as_array().cloned().unwrap_or_default();
        entries.iter().map(|entry| entry["text"].as_str().unwrap_or_default().to_owned()).collect()
    };
    Ok(tickets.iter().map(|ticket| (ticket["id"].clone(), texts(ticket))).collect())
}

/// Waits until the only ticket holds these texts.
async fn expect_one_ticket(house: &House, expected: &[&str]) -> Result<Value> {
    eventually("one ticket with all that was said", || async {
        let tickets = tickets(house).await?;
        Ok(match tickets.as_slice() {
            [(id, texts)] if texts == expected => Ok(id.clone()),
            _ => Err(format!("{tickets:?}")),
        })
    })
    .await
}

/// Waits until a text has been sent, and gives to whom.
async fn sent_to(house: &House, words: &str) -> Result<String> {
    eventually(words, || async {
        let sent = house.sent().await?;
        let row = sent.iter().find(|row| row["text"] == words);
        Ok(row.and_then(|row| row["to"].as_str().map(str::to_owned)).ok_or_else(|| format!("{sent:?}")))
    })
    .await
}

#[tokio::test]
async fn a_customer_who_writes_from_the_new_number_goes_on_in_the_same_ticket() -> Result<()> {
    let house = House::open().await?;
    house.text(OLD, "my invoice is wrong").await?;
    house.expect_entries(OLD, &["my invoice is wrong"]).await?;
    number_changes(&house, "wamid.change").await?;
    house.text(NEW, "it is me").await?;
    let note = "The customer's number has changed.";
    let id = expect_one_ticket(&house, &["my invoice is wrong", note, "it is me"]).await?;
    let conversations: BTreeSet<String> =
        house.events("kind=message&limit=50").await?.iter().map(|event| event["conversation"].to_string()).collect();
    assert_eq!(conversations.len(), 1, "{conversations:?}");
    house.agent(json!({ "ticket": id, "public": true, "text": "We mend it." })).await?;
    assert_eq!(sent_to(&house, "We mend it.").await?, NEW);
    // Told once more, it is known already.
    number_changes(&house, "wamid.change").await?;
    house.text(NEW, "thank you").await?;
    expect_one_ticket(&house, &["my invoice is wrong", note, "it is me", "We mend it.", "thank you"]).await?;
    Ok(())
}

#[tokio::test]
async fn a_change_that_is_told_after_the_new_number_wrote_joins_the_two_conversations() -> Result<()> {
    let house = House::open().await?;
    house.text(OLD, "my invoice is wrong").await?;
    house.text(NEW, "a new phone, a new number").await?;
    eventually("a ticket for each", || async {
        let tickets = tickets(&house).await?;
        let filed = tickets.len() == 2 && tickets.iter().all(|(_, texts)| texts.len() == 1);
        Ok(if filed { Ok(()) } else { Err(format!("{tickets:?}")) })
    })
    .await?;
    number_changes(&house, "wamid.change").await?;
    let ids: Vec<String> = tickets(&house).await?.iter().map(|(id, _)| plain(id)).collect();
    eventually("a note in each ticket that names the other", || async {
        let tickets = tickets(&house).await?;
        let names = |at: usize, other: &str| tickets[at].1.iter().any(|text| text.contains(&format!("ticket {other}")));
        Ok(if names(0, &ids[1]) && names(1, &ids[0]) { Ok(()) } else { Err(format!("{tickets:?}")) })
    })
    .await?;
    house.text(NEW, "from the new one").await?;
    house.text(OLD, "from the old one").await?;
    let current = eventually("both in the ticket that goes on", || async {
        let tickets = tickets(&house).await?;
        let later = |texts: &[String]| texts.iter().filter(|text| text.starts_with("from the ")).count();
        let found = tickets.iter().find(|(_, texts)| later(texts) == 2).map(|(id, _)| id.clone());
        Ok(found.ok_or_else(|| format!("{tickets:?}")))
    })
    .await?;
    assert_eq!(house.tickets().await?.len(), 2, "no third one is opened");
    let all = tickets(&house).await?;
    assert!(all.iter().any(|(_, texts)| texts.iter().any(|text| text.contains("number has changed"))), "{all:?}");
    // What is answered in either ticket reaches the customer, at the number that counts.
    let other = all.iter().map(|(id, _)| id).find(|id| **id != current).unwrap();
    house.agent(json!({ "ticket": current, "public": true, "text": "from the current ticket" })).await?;
    let to = sent_to(&house, "from the current ticket").await?;
    house.agent(json!({ "ticket": other, "public": true, "text": "from the other ticket" })).await?;
    assert_eq!(sent_to(&house, "from the other ticket").await?, to);
    Ok(())
}

fn plain(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

#[tokio::test]
async fn a_join_survives_kills() -> Result<()> {
    let mut house = House::open().await?;
    house.text(OLD, "one").await?;
    house.text(NEW, "two").await?;
    number_changes(&house, "wamid.change").await?;
    house.kill().await?;
    house.start().await?;
    house.text(NEW, "three").await?;
    house.kill().await?;
    house.start().await?;
    house.text(OLD, "four").await?;
    eventually("every message in a ticket, once", || async {
        let tickets = tickets(&house).await?;
        let mut texts: Vec<String> = tickets.into_iter().flat_map(|(_, texts)| texts).collect();
        texts.retain(|text| ["one", "two", "three", "four"].contains(&text.as_str()));
        texts.sort();
        Ok(if texts == ["four", "one", "three", "two"] { Ok(()) } else { Err(format!("{texts:?}")) })
    })
    .await?;
    assert!(house.tickets().await?.len() <= 2);
    assert_eq!(house.api("/v1/dead-letters").await?, json!([]));
    Ok(())
}
