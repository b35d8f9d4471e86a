//! What an operator types, against a running gateway and against its store while it is stopped.
//!
//! # Layout
//! - here: the houses, and what the tests do first
//! - `letters`, `journal`: on both stores
//! - `store`: the embedded store counted, checked, backed up and moved

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod journal;
mod letters;
mod store;

use std::ops::{Deref, DerefMut};

use anyhow::Result;
use patchbay_test_redis::{Options as RedisOptions, Redis};
use patchbay_tests::config::Options;
use patchbay_tests::{House, Patchbay, eventually};
use serde_json::{Value, json};
use tokio::task::block_in_place;

const ADA: &str = "447700900001";
const BOB: &str = "447700900002";
const ANSWER: &str = "We have found your parcel.";

/// Which store a house is on.
#[derive(Clone, Copy, Debug)]
enum On {
    Embedded,
    Redis,
}

/// A house and the Redis that it is on, if it is.
struct Kept {
    house: House,
    _redis: Option<Redis>,
}

impl Kept {
    async fn open(on: On) -> Result<Self> {
        let On::Redis = on else { return Ok(Self { house: House::open().await?, _redis: None }) };
        let redis = block_in_place(|| Redis::start(RedisOptions::default()));
        let more =
            format!("[store]\nkind = \"redis\"\npartitions = 8\n[store.redis]\naddresses = [\"{}\"]\n", redis.addr());
        let house = House::with(Options { more, ..Options::default() }).await?;
        Ok(Self { house, _redis: Some(redis) })
    }
}

impl Deref for Kept {
    type Target = House;

    fn deref(&self) -> &House {
        &self.house
    }
}

impl DerefMut for Kept {
    fn deref_mut(&mut self) -> &mut House {
        &mut self.house
    }
}

/// The same test on both stores.
macro_rules! on_both_stores {
    ($($test:ident),+) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() -> anyhow::Result<()> {
                super::$test(crate::On::Embedded).await
            })+
        }

        mod redis {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() -> anyhow::Result<()> {
                super::$test(crate::On::Redis).await
            })+
        }
    };
}
pub(crate) use on_both_stores;

/// The commands of an operator of this house.
async fn operator(house: &House) -> Result<Patchbay> {
    Patchbay::of(house.gateway()?).await
}

/// WhatsApp refuses the next messages for good.
async fn refuse_messages(house: &House, count: u32) -> Result<()> {
    let error = json!({ "error": { "message": "(#131047) Re-engagement message", "type": "OAuthException", "code": 131_047,
        "error_data": { "messaging_product": "whatsapp", "details": "More than 24 hours have passed" }, "fbtrace_id": "x" } });
    let route = "POST /*/messages";
    house.fault(json!({ "target": "whatsapp", "route": route, "next": count, "answer": 400, "body": error })).await
}

/// An agent's answer to this customer becomes a dead letter.
async fn refuse_answer(house: &House, phone: &str) -> Result<()> {
    house.text(phone, "hello").await?;
    house.expect_entries(phone, &["hello"]).await?;
    // The receipt and the acknowledgement are out of the way then.
    eventually("the acknowledgement", || async {
        let sent = house.sent().await?;
        Ok(if sent.iter().any(|row| row["to"] == phone) { Ok(()) } else { Err(format!("{sent:?}")) })
    })
    .await?;
    let tickets = house.tickets().await?;
    let of_customer = |ticket: &&Value| {
        let number = ticket["requester"]["phone"].as_str().unwrap_or_default();
        number.chars().filter(char::is_ascii_digit).collect::<String>() == phone
    };
    let id = &tickets.iter().find(of_customer).unwrap()["id"];
    refuse_messages(house, 1).await?;
    house.agent(json!({ "ticket": id, "public": true, "text": ANSWER })).await?;
    Ok(())
}

/// Waits for so many dead letters, and gives their tasks.
async fn letters(patchbay: &Patchbay, count: usize) -> Result<Vec<String>> {
    eventually("the dead letters", || async {
        let rows = patchbay.rows(&["dead-letters", "list", "--json"]).await?;
        let tasks: Vec<String> = rows.iter().map(|row| row["task"].as_str().unwrap().to_owned()).collect();
        Ok(if tasks.len() == count { Ok(tasks) } else { Err(format!("{rows:?}")) })
    })
    .await
}

async fn sent(house: &House, text: &str) -> Result<()> {
    eventually(text, || async {
        let sent = house.sent().await?;
        Ok(if sent.iter().any(|row| row["text"] == text) { Ok(()) } else { Err(format!("{sent:?}")) })
    })
    .await
}
