//! The main job: a WhatsApp message becomes a ticket, and the agent's answer goes back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use anyhow::Result;
use patchbay_tests::config::ACKNOWLEDGEMENT;
use patchbay_tests::{House, eventually};
use serde_json::{Value, json};

const ADA: &str = "447700900001";
/// A PNG of one pixel.
const PHOTO: &[u8] = &[
    137, 80, 78, 71, 13, 10, 26, 10, 0, 0, 0, 13, 73, 72, 68, 82, 0, 0, 0, 1, 0, 0, 0, 1, 8, 6, 0, 0, 0, 31, 21, 196,
    137, 0, 0, 0, 13, 73, 68, 65, 84, 120, 156, 99, 100, 248, 207, 80, 15, 0, 3, 134, 1, 128, 90, 52, 125, 107, 0, 0,
    0, 0, 73, 69, 78, 68, 174, 66, 96, 130,
];

async fn ticket(house: &House) -> Result<Value> {
    eventually("a ticket", || async {
        let tickets = house.tickets().await?;
        Ok(tickets.first().cloned().ok_or_else(|| "no ticket".to_owned()))
    })
    .await
}

#[tokio::test]
async fn a_message_becomes_a_ticket_and_the_answer_goes_back() -> Result<()> {
    let house = House::open().await?;
    let message = house.text(ADA, "my invoice is wrong").await?;

    let ticket = ticket(&house).await?;
    assert_eq!(ticket["queue"], "billing", "{ticket}");
    assert_eq!(ticket["priority"], "high", "{ticket}");
    assert_eq!(ticket["subject"], "my invoice is wrong", "{ticket}");
    house.expect_entries(ADA, &["my invoice is wrong"]).await?;

    let sent = eventually("the acknowledgement being read", || async {
        let sent = house.sent().await?;
        let read = sent.first().is_some_and(|row| row["status"] == "read");
        Ok(if read { Ok(sent) } else { Err(format!("{sent:?}")) })
    })
    .await?;
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(sent[0]["to"], ADA);
    assert_eq!(sent[0]["text"], ACKNOWLEDGEMENT);

    let id = ticket["id"].clone();
    house.agent(json!({ "ticket": id, "public": false, "text": "he is right" })).await?;
    house
        .agent(json!({ "ticket": id, "public": true, "text": "You are right, we mend it.", "status": "solved" }))
        .await?;
    eventually("the answer at the customer", || async {
        let sent = house.sent().await?;
        let texts: Vec<_> = sent.iter().map(|row| row["text"].as_str().unwrap_or_default()).collect();
        Ok(if texts == [ACKNOWLEDGEMENT, "You are right, we mend it."] { Ok(()) } else { Err(format!("{texts:?}")) })
    })
    .await?;

    eventually("the statuses as events", || async {
        let read = house.events("kind=delivery.read").await?.len();
        Ok(if read == 2 { Ok(()) } else { Err(read.to_string()) })
    })
    .await?;
    let events = house.events("kind=message.text").await?;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["customer"]["phone"], ADA, "{}", events[0]);
    assert_eq!(events[0]["body"]["id"], message, "{}", events[0]);
    let conversation = events[0]["conversation"].as_str().unwrap();
    let all = house.events(&format!("conversation={conversation}&limit=50")).await?;
    let kinds: Vec<_> = all.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    for kind in ["message.text", "delivery.sent", "delivery.read", "desk.entry", "desk.note", "desk.status"] {
        assert!(kinds.contains(&kind), "{kind} is not among {kinds:?}");
    }
    let sent = house.sent().await?;
    assert_eq!(sent.len(), 2, "an internal note went to the customer: {sent:?}");

    house.text(ADA, "thank you").await?;
    house
        .expect_entries(ADA, &["my invoice is wrong", "he is right", "You are right, we mend it.", "thank you"])
        .await?;
    assert_eq!(house.tickets().await?.len(), 1);
    assert_eq!(house.sim_get("/_sim/violations").await?, json!([]), "a Graph request broke Meta's description");
    Ok(())
}

#[tokio::test]
async fn a_photo_stands_in_the_ticket_byte_for_byte() -> Result<()> {
    let house = House::open().await?;
    let media = house.upload("bill.png", "image/png", PHOTO).await?;
    house
        .inbound(json!({ "from": ADA, "type": "image", "image": { "id": media, "caption": "the refund slip" } }))
        .await?;
    let attachment = eventually("the photo in the ticket", || async {
        let tickets = house.tickets().await?;
        let found = tickets.first().map(|ticket| ticket["entries"][0].clone()).unwrap_or_default();
        Ok(match found["attachments"].get(0) {
            Some(attachment) if found["text"] == "the refund slip" => Ok(attachment.clone()),
            _ => Err(format!("{tickets:?}")),
        })
    })
    .await?;
    assert_eq!(attachment["size"], PHOTO.len(), "{attachment}");
    assert_eq!(attachment["mime"], "image/png", "{attachment}");
    let kinds: Vec<Value> = house.events("kind=media").await?.iter().map(|event| event["kind"].clone()).collect();
    assert_eq!(kinds, ["media.stored"]);
    assert_eq!(house.tickets().await?[0]["queue"], "billing", "a caption is routed like a text");
    Ok(())
}

#[tokio::test]
async fn two_customers_are_two_conversations_and_each_is_acknowledged_once() -> Result<()> {
    let house = House::open().await?;
    let grace = "447700900002";
    for turn in 0..3 {
        house.text(ADA, &format!("ada {turn}")).await?;
        house.text(grace, &format!("grace {turn}")).await?;
    }
    house.expect_entries(ADA, &["ada 0", "ada 1", "ada 2"]).await?;
    house.expect_entries(grace, &["grace 0", "grace 1", "grace 2"]).await?;
    assert_eq!(house.tickets().await?.len(), 2);
    let mut to: Vec<String> = house.sent().await?.iter().map(|row| row["to"].as_str().unwrap().to_owned()).collect();
    to.sort();
    assert_eq!(to, [ADA, grace]);
    Ok(())
}
