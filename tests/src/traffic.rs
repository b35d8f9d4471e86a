//! Customers who write while things break, and what must be true in the end.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::ACKNOWLEDGEMENT;
use crate::outside::Outside;
use crate::wait::eventually_within;

/// How long everything may take to come to rest once nothing breaks any more, on a busy machine. After a crash a desk is
/// asked about each entry that may have been written, which takes seconds in a ticket of a thousand.
const REST: Duration = Duration::from_secs(600);

/// Customers who each write one message after the other: the next one when WhatsApp has been told that the one before is
/// taken. So the order in which they were acknowledged is known.
#[derive(Debug)]
pub struct Traffic {
    stop: CancellationToken,
    writers: Vec<JoinHandle<Result<Vec<String>>>>,
}

/// What was written and acknowledged, by phone number.
pub type Said = BTreeMap<String, Vec<String>>;

impl Traffic {
    /// So many customers begin to write, each with this pause between two messages.
    #[must_use]
    pub fn start(outside: &Arc<Outside>, customers: usize, pause: Duration) -> Self {
        let stop = CancellationToken::new();
        let writer = |customer: usize| {
            let (outside, stop) = (Arc::clone(outside), stop.clone());
            tokio::spawn(async move {
                let phone = phone(customer);
                let mut said = Vec::new();
                while !stop.is_cancelled() {
                    let text = format!("customer {customer} message {}", said.len());
                    outside.text_until_taken(&phone, &text).await?;
                    said.push(text);
                    tokio::time::sleep(pause).await;
                }
                Ok(said)
            })
        };
        let writers = (0..customers).map(writer).collect();
        Self { stop, writers }
    }

    /// Lets everybody finish the message that they are at, and gives what was acknowledged.
    ///
    /// # Errors
    /// When the simulator broke.
    pub async fn stop(self) -> Result<Said> {
        self.stop.cancel();
        let mut said = Said::new();
        for (customer, writer) in self.writers.into_iter().enumerate() {
            said.insert(phone(customer), writer.await??);
        }
        Ok(said)
    }
}

/// A customer's phone number.
#[must_use]
pub fn phone(customer: usize) -> String {
    format!("4477009{customer:05}")
}

/// What is to be checked besides: nothing missing, nothing doubled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Each conversation is in the order in which it was acknowledged.
    Kept,
    /// What a failover had lost comes back from the nodes that had accepted it, behind what came meanwhile.
    MayChange,
}

/// Waits until everything is at rest, and checks it: every acknowledged message stands in the desk exactly once, each
/// customer has one ticket and was sent an acknowledgement; one and no more, where nothing was lost.
///
/// # Errors
/// With what is wrong.
pub async fn check(outside: &impl Deref<Target = Outside>, said: &Said, order: Order) -> Result<()> {
    // A doubled effect would still be on its way when the last message is there: let one more pass every lane.
    for phone in said.keys() {
        outside.text_until_taken(phone, "the last").await?;
    }
    for (phone, texts) in said {
        let mut entries = eventually_within(REST, &format!("all entries of {phone}"), || async {
            let entries = outside.entries_of(phone).await?;
            let missing: Vec<_> = texts.iter().filter(|text| !entries.contains(text)).collect();
            let there = missing.is_empty() && entries.iter().any(|text| text == "the last");
            Ok(if there { Ok(entries) } else { Err(format!("missing: {missing:?}")) })
        })
        .await?;
        let mut expected: Vec<_> = texts.iter().map(String::as_str).chain(["the last"]).collect();
        if order == Order::MayChange {
            entries.sort_unstable();
            expected.sort_unstable();
        }
        ensure!(entries == expected, "{phone}: twice, or out of order: {entries:?}");
    }
    let tickets = outside.tickets().await?.len();
    ensure!(tickets == said.len(), "{tickets} tickets of {} customers", said.len());
    let count = eventually_within(REST, "every acknowledgement", || async {
        let mut count: BTreeMap<String, usize> = BTreeMap::new();
        for row in outside.sent().await? {
            let text = |key: &str| row.get(key).and_then(serde_json::Value::as_str).unwrap_or_default();
            if text("text") == ACKNOWLEDGEMENT {
                *count.entry(text("to").to_owned()).or_default() += 1;
            }
        }
        Ok(if count.len() == said.len() { Ok(count) } else { Err(format!("{count:?}")) })
    })
    .await?;
    // WhatsApp has no idempotency key: when the note that a message was begun is lost, it is sent again.
    let once = order == Order::MayChange || count.values().all(|times| *times == 1);
    ensure!(once, "an acknowledgement was sent twice: {count:?}");
    Ok(())
}
