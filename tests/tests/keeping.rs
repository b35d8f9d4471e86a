//! What plugins keep: a handler counts the messages of each customer and of all together, while its chain is asked again and
//! gateways that share a Redis are killed. No message is counted twice, and none is left out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use patchbay_test_redis::{Options as RedisOptions, Redis};
use patchbay_tests::binary::{counting_guest, hostile_guest};
use patchbay_tests::config::Options;
use patchbay_tests::outside::Outside;
use patchbay_tests::traffic::phone;
use patchbay_tests::wait::eventually_within;
use patchbay_tests::{Fleet, House};
use serde_json::Value;
use tokio::task::block_in_place;

const CUSTOMERS: usize = 5;
const MESSAGES: usize = 16;
/// A killed node's partitions are taken over after its lease, and every second event is asked about three times.
const PATIENCE: Duration = Duration::from_secs(120);

/// The counter, and behind it a step that fails when a message says so: the whole chain is asked again then.
fn options(more: &str) -> Result<Options> {
    let (counter, unsure) = (counting_guest()?, hostile_guest()?);
    let plugins = format!(
        "[plugins.counter]\nsource = \"file:{}\"\n[plugins.counter.grants]\nkeyvalue = \"64KiB\"\n\
         [plugins.unsure]\nsource = \"file:{}\"\n{more}",
        counter.display(),
        unsure.display()
    );
    let steps = ["counter", "unsure"].map(|plugin| (plugin.to_owned(), "retry".to_owned()));
    Ok(Options { steps: steps.into(), more: plugins, ..Options::default() })
}

/// A customer's messages, each when the one before was taken. Every second one is decided at the third attempt.
async fn write(outside: &Outside, customer: usize) -> Result<()> {
    for message in 0..MESSAGES {
        let good = if message % 2 == 0 { 1 } else { 3 };
        outside.text_until_taken(&phone(customer), &format!("until {good} message {message}")).await?;
    }
    Ok(())
}

/// The counter's answers: to whom, how many of theirs, how many of all. One that was sent again, since nobody knew what had
/// become of it, is one.
async fn answers(outside: &Outside) -> Result<BTreeSet<(String, usize, usize)>> {
    let answer = |row: &Value| {
        let (own, all) = row["text"].as_str()?.split_once(" of ")?;
        Some((row["to"].as_str()?.to_owned(), own.parse().ok()?, all.parse().ok()?))
    };
    Ok(outside.sent().await?.iter().filter_map(answer).collect())
}

async fn check(outside: &impl Deref<Target = Outside>) -> Result<()> {
    let answers = eventually_within(PATIENCE, "an answer to each message", || async {
        let answers = answers(outside).await?;
        Ok(if answers.len() >= CUSTOMERS * MESSAGES { Ok(answers) } else { Err(format!("{} of them", answers.len())) })
    })
    .await?;
    let mut of_each: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (to, own, _) in &answers {
        of_each.entry(to).or_default().push(*own);
    }
    ensure!(of_each.len() == CUSTOMERS, "{of_each:?}");
    for (to, counts) in of_each {
        ensure!(counts == (1..=MESSAGES).collect::<Vec<_>>(), "the messages of {to} were counted {counts:?}");
    }
    let mut all: Vec<usize> = answers.iter().map(|(.., all)| *all).collect();
    all.sort_unstable();
    ensure!(all == (1..=CUSTOMERS * MESSAGES).collect::<Vec<_>>(), "all messages were counted {all:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_one_node_that_is_killed() -> Result<()> {
    let mut house = House::with(options("")?).await?;
    let outside = Arc::clone(house.outside());
    let writers = (0..CUSTOMERS).map(|customer| {
        let outside = Arc::clone(&outside);
        tokio::spawn(async move { write(&outside, customer).await })
    });
    let writers: Vec<_> = writers.collect();
    for answered in [10, 30, 50] {
        at_least(&outside, answered).await?;
        house.kill().await?;
        house.start().await?;
    }
    for writer in try_join_all(writers).await? {
        writer?;
    }
    check(&house).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_two_nodes_with_one_redis_that_are_killed() -> Result<()> {
    let redis = block_in_place(|| Redis::start(RedisOptions { appendfsync: "always", ..RedisOptions::default() }));
    let store = format!(
        "[store]\nkind = \"redis\"\npartitions = 8\n[store.redis]\naddresses = [\"{}\"]\nlease = \"3s\"\n",
        redis.addr()
    );
    let mut fleet = Fleet::open(2, &options(&store)?).await?;
    let outside = Arc::clone(fleet.outside());
    let writers = (0..CUSTOMERS).map(|customer| {
        let outside = Arc::clone(&outside);
        tokio::spawn(async move { write(&outside, customer).await })
    });
    let writers: Vec<_> = writers.collect();
    for (answered, node) in [(10, 0), (30, 1), (50, 0)] {
        at_least(&outside, answered).await?;
        fleet.kill(node).await.context("the first kill")?;
        fleet.start(node).await?;
    }
    for writer in try_join_all(writers).await? {
        writer?;
    }
    check(&fleet).await
}

/// Waits until so many answers have been sent, so that there is something to count on with.
async fn at_least(outside: &Outside, count: usize) -> Result<()> {
    eventually_within(PATIENCE, "answers", || async {
        let answers = answers(outside).await?.len();
        Ok(if answers >= count { Ok(()) } else { Err(format!("{answers} of {count}")) })
    })
    .await
}
