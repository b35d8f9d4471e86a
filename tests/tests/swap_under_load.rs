//! The router is swapped a hundred times while customers write: every event is handled exactly once, by exactly one
//! generation, and the time that it takes is printed for both: while swaps go on, and without them.
//!
//! `PATCHBAY_SWAPS` says how many swaps, `PATCHBAY_RATE` how many messages a second, `PATCHBAY_CALM` how many without swaps.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;
use futures::stream::{StreamExt, TryStreamExt};
use patchbay_tests::House;
use patchbay_tests::components::Version;
use patchbay_tests::config::Options;
use patchbay_tests::house::text_webhook;
use patchbay_tests::wait::eventually_within;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Swaps.
const SWAPS: u64 = 100;
/// Messages a second: what a debug build on two cores carries beside compiling.
const RATE: u64 = 50;
/// Customers who write in turn.
const CUSTOMERS: u64 = 40;
/// Connections that they write over, each its own ones: a customer's messages come one after the other.
const WRITERS: u64 = 8;
/// How many messages the run without swaps has.
const CALM: u64 = 400;
/// How long a debug build may take for what is left.
const PATIENCE: Duration = Duration::from_secs(120);

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Customers write at a steady rate, until there are so many messages or until it is told to stop; gives how many.
async fn write(house: &House, phase: &str, most: u64, stop: CancellationToken) -> Result<u64> {
    let rate = setting("PATCHBAY_RATE", RATE);
    let writers = (0..WRITERS).map(|writer| {
        let stop = &stop;
        async move {
            // One after the other, so that messages come evenly.
            let first = tokio::time::Instant::now() + Duration::from_micros(1_000_000 * writer / rate);
            let mut ticks = tokio::time::interval_at(first, Duration::from_micros(1_000_000 * WRITERS / rate));
            let mut written = 0;
            let numbers = (writer..most).step_by(usize::try_from(WRITERS)?);
            for number in numbers {
                ticks.tick().await;
                if stop.is_cancelled() {
                    break;
                }
                let from = format!("44770091{:04}", number % CUSTOMERS);
                let text = format!("{phase} {number}");
                let body = text_webhook(&format!("wamid.{phase}.{number}"), &from, &text, &Value::Null);
                anyhow::ensure!(house.deliver_signed(body).await? == 200, "a message was not taken");
                written += 1;
            }
            anyhow::Ok(written)
        }
    });
    Ok(futures::future::try_join_all(writers).await?.into_iter().sum())
}

/// How every message of a phase was decided: by its text the generations, and the time from its arrival, milliseconds.
async fn decisions(house: &House, phase: &str, messages: u64) -> Result<BTreeMap<String, (Vec<u64>, u64)>> {
    let events = eventually_within(PATIENCE, "every message decided", || async {
        let waiting = house.events("kind=message&pending=true&limit=10000").await?.len();
        Ok(if waiting == 0 { Ok(()) } else { Err(format!("{waiting} wait")) })
    });
    events.await?;
    let mut ours = BTreeMap::new();
    for event in house.events("kind=message&limit=10000").await? {
        let words = event["body"]["content"]["value"].as_str().unwrap_or_default().to_owned();
        if words.starts_with(phase) {
            let again = ours.insert(words.clone(), event["id"].as_str().unwrap().to_owned());
            assert!(again.is_none(), "{words} is there twice");
        }
    }
    assert_eq!(ours.len() as u64, messages, "every message is there once");
    let gateway = house.gateway()?;
    let token = gateway.token().await?;
    let client = reqwest::Client::new();
    let (client, token, base) = (&client, &token, gateway.url());
    futures::stream::iter(ours)
        .map(|(words, id)| async move {
            let url = format!("{base}/v1/events/{id}/decision");
            let decision: Value = client.get(url).bearer_auth(token).send().await?.error_for_status()?.json().await?;
            let steps = decision["steps"].as_array().unwrap();
            let routers = steps.iter().filter(|step| step["plugin"] == "router");
            let generations = routers.map(|step| step["generation"].as_u64().unwrap()).collect();
            assert_eq!(decision["attempts"], 1, "no swap makes anybody try again: {decision}");
            let moment =
                |key: &str| decision[key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond();
            let took = moment("decided_at") - moment("received_at");
            anyhow::Ok((words, (generations, u64::try_from(took).unwrap_or_default())))
        })
        .buffer_unordered(16)
        .try_collect()
        .await
}

fn print(phase: &str, decisions: &BTreeMap<String, (Vec<u64>, u64)>) {
    let mut took: Vec<u64> = decisions.values().map(|(_, took)| *took).collect();
    took.sort_unstable();
    let at = |share: usize| took[(took.len() * share / 100).min(took.len() - 1)];
    let count = took.len();
    println!("{phase}: {count} messages, p50 {} ms, p99 {} ms, slowest {} ms", at(50), at(99), at(100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_swaps_lose_nothing_and_double_nothing() -> Result<()> {
    let swaps = setting("PATCHBAY_SWAPS", SWAPS);
    let unsigned = "\n[deployments]\nunsigned = true\n".to_owned();
    let house = House::with(Options { more: unsigned, ..Options::default() }).await?;
    let folder = tempfile::tempdir()?;
    let components = [
        std::fs::read(Version::of("2.0.0").of_router(folder.path())?)?,
        std::fs::read(Version::of("3.0.0").of_router(folder.path())?)?,
    ];

    let calm = write(&house, "calm", setting("PATCHBAY_CALM", CALM), CancellationToken::new()).await?;
    let before = decisions(&house, "calm", calm).await?;

    let (stop, gateway) = (CancellationToken::new(), house.gateway()?);
    let token = gateway.token().await?;
    let url = format!("{}/v1/deployments/router/generations", gateway.url());
    let client = reqwest::Client::new();
    let swapping = async {
        for swap in 0..swaps {
            let component = components[usize::try_from(swap % 2)?].clone();
            let request = client.post(&url).bearer_auth(&token).header("content-type", "application/wasm");
            let answer = request.body(component).send().await?;
            let status = answer.status();
            let said: Value = answer.json().await?;
            anyhow::ensure!(status == 201 && said["state"] == "active", "{status}: {said}");
        }
        stop.cancel();
        anyhow::Ok(())
    };
    let (stormy, swapped) = tokio::join!(write(&house, "stormy", u64::MAX, stop.clone()), swapping);
    swapped?;
    let during = decisions(&house, "stormy", stormy?).await?;

    print("without swaps", &before);
    print(&format!("during {swaps} swaps"), &during);
    let mut generations: BTreeSet<u64> = BTreeSet::new();
    for (words, (by, _)) in before.iter().chain(&during) {
        assert_eq!(by.len(), 1, "{words} was handled by {by:?}");
        generations.extend(by);
    }
    println!("{} of {} generations have handled events", generations.len(), swaps + 1);
    assert!(generations.len() as u64 > swaps / 4, "swaps and events took turns: {generations:?}");
    // Each one once in its ticket, in the order in which its customer wrote.
    let tickets = eventually_within(PATIENCE, "every message in its ticket", || async {
        let tickets = house.tickets().await?;
        let filed = entries(&tickets).len();
        let all = before.len() + during.len();
        Ok(if filed == all { Ok(tickets) } else { Err(format!("{filed} of {all}")) })
    })
    .await?;
    let unique: BTreeSet<String> = entries(&tickets).into_iter().collect();
    assert_eq!(unique.len(), before.len() + during.len());
    for ticket in &tickets {
        let filed = entries(std::slice::from_ref(ticket));
        let numbers = filed.iter().filter_map(|text| text.strip_prefix("stormy ")?.parse::<u64>().ok());
        assert!(numbers.is_sorted(), "a customer's messages stand in order: {filed:?}");
    }
    assert_eq!(house.api("/v1/dead-letters").await?, serde_json::json!([]));
    Ok(())
}

/// What customers wrote, in all tickets.
fn entries(tickets: &[Value]) -> Vec<String> {
    let all = tickets.iter().filter_map(|ticket| ticket["entries"].as_array()).flatten();
    let texts = all.filter_map(|entry| entry["text"].as_str());
    texts.filter(|text| text.starts_with("calm ") || text.starts_with("stormy ")).map(str::to_owned).collect()
}
