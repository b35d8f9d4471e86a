//! `kill -9` at random moments under load: nothing acknowledged is lost, nothing is done twice.
//!
//! What is guaranteed: every message that was answered with 200 is one entry in one ticket, in its conversation's order.
//! A message to the customer whose answer was lost in a crash is known by the status that WhatsApp sends for it, since the
//! request carried our reference: it is sent again only if no status comes within `reconcile_wait`. WhatsApp has no
//! idempotency key, so a status that is later than that would mean a second message; within it there is exactly one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use patchbay_tests::House;
use patchbay_tests::config::ACKNOWLEDGEMENT;
use patchbay_tests::wait::eventually_within;
use rand::RngExt;

const KILLS: usize = 50;
const CUSTOMERS: usize = 12;
/// Between two messages: about forty a second, which a debug build on two cores carries beside the kills.
const PAUSE: Duration = Duration::from_millis(25);

fn phone(customer: usize) -> String {
    format!("4477009{customer:05}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_kills_lose_nothing_and_double_nothing() -> Result<()> {
    let mut house = House::open().await?;
    let mut said: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    let mut kills = 0;
    let mut turn = 0_usize;
    while kills < KILLS {
        let moment = Duration::from_millis(rand::rng().random_range(20..700));
        let until = tokio::time::Instant::now() + moment;
        while tokio::time::Instant::now() < until {
            let customer = turn % CUSTOMERS;
            let words = said.entry(customer).or_default();
            let text = format!("customer {customer} message {}", words.len());
            house.leave(&phone(customer), &text).await?;
            words.push(text);
            turn += 1;
            tokio::time::sleep(PAUSE).await;
        }
        house.kill().await?;
        kills += 1;
        house.start().await?;
    }
    eprintln!("{kills} kills, {turn} messages of {CUSTOMERS} customers");

    for (customer, words) in &said {
        let number = phone(*customer);
        eventually_within(Duration::from_secs(180), &format!("all entries of {number}"), || async {
            let entries = house.entries_of(&number).await?;
            Ok(if entries.len() >= words.len() { Ok(()) } else { Err(format!("{} of {}", entries.len(), words.len())) })
        })
        .await?;
    }
    // Everything is there; a doubled effect would still be on its way, so let one more message pass every lane.
    for customer in said.keys() {
        house.text(&phone(*customer), "the last").await?;
    }
    for (customer, words) in &said {
        let number = phone(*customer);
        let expected = words.len() + 1;
        let entries = eventually_within(Duration::from_secs(60), &format!("the last entry of {number}"), || async {
            let entries = house.entries_of(&number).await?;
            Ok(if entries.last().is_some_and(|text| text == "the last") {
                Ok(entries)
            } else {
                Err(entries.len().to_string())
            })
        })
        .await?;
        let mut sorted = entries.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), expected, "{number}: something is missing");
        assert_eq!(entries.len(), expected, "{number}: something is there twice");
    }
    assert_eq!(house.tickets().await?.len(), said.len(), "one ticket for each customer");

    let acknowledged = |sent: &[serde_json::Value]| {
        let mut count: BTreeMap<String, usize> = BTreeMap::new();
        for row in sent.iter().filter(|row| row["text"] == ACKNOWLEDGEMENT) {
            *count.entry(row["to"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
        count
    };
    let sent = eventually_within(Duration::from_secs(60), "every acknowledgement", || async {
        let sent = house.sent().await?;
        let count = acknowledged(&sent);
        Ok(if count.len() == said.len() { Ok(sent) } else { Err(format!("{count:?}")) })
    })
    .await?;
    let count = acknowledged(&sent);
    assert!(count.values().all(|times| *times == 1), "an acknowledgement was sent twice: {count:?}");
    assert_eq!(house.api("/v1/dead-letters").await?, serde_json::json!([]));
    Ok(())
}

#[tokio::test]
async fn a_message_that_the_customer_sends_in_order_stays_in_order() -> Result<()> {
    let mut house = House::open().await?;
    let ada = phone(1);
    let texts: Vec<String> = (0..20).map(|turn| format!("line {turn}")).collect();
    for (turn, text) in texts.iter().enumerate() {
        house.text(&ada, text).await?;
        if turn % 5 == 4 {
            house.kill().await?;
            house.start().await?;
        }
    }
    let expected: Vec<&str> = texts.iter().map(String::as_str).collect();
    house.expect_entries(&ada, &expected).await
}
