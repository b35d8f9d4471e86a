//! The whole gateway under load, on loopback: what it accepts, and how long a message takes to become a ticket.
//!
//! The load generator, the simulated WhatsApp and Zendesk and the gateway share the machine's processors; the figures are
//! those of the machine that runs them, to be compared with each other and not with another machine's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use patchbay_model::Timestamp;
use patchbay_model::conversation::Channel;
use patchbay_store::intake::{Intake, IntakeOptions};
use patchbay_store::{EmbeddedOptions, EmbeddedStore, RedisStore};
use patchbay_test_redis::{Options as RedisOptions, Redis};
use patchbay_tests::House;
use patchbay_tests::config::PHONE_NUMBER_ID;
use patchbay_tests::house::text_webhook;
use patchbay_tests::load::{CONNECTIONS, pour};
use patchbay_tests::wait::eventually_within;
use patchbay_whatsapp::normalise::{Channels, normalise};
use patchbay_whatsapp::signature::AppSecrets;
use serde_json::{Value, json};
use tokio::task::block_in_place;

/// Messages a second in the latency run, and how long it lasts.
const RATE: u64 = 100;
const LATENCY_RUN: Duration = Duration::from_secs(15);
/// Customers that the messages come from.
const CUSTOMERS: u64 = 50;

fn main() -> Result<()> {
    if std::env::args().any(|argument| argument == "--list") {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        println!("accepting, {CONNECTIONS} connections, one text message a body");
        let row = |what: &str, rate: f64, how: &str| println!("  {what:<28}{rate:>8.0} webhooks/s ({how})");
        row("a bare handler", bare(Extent::Signature).await?, "it checks the signature and answers 200");
        row("without the durable write", bare(Extent::Normalising).await?, "signature and normalising");
        let folder = tempfile::tempdir()?;
        let store = EmbeddedStore::open(&folder.path().join("patchbay.redb"), EmbeddedOptions::default())?;
        let intake = Intake::open(Arc::new(store), &kept(folder.path()))?;
        row("the embedded store", bare(Extent::Appending(intake)).await?, "the same, and the durable append");
        for appendfsync in ["everysec", "always"] {
            let redis = block_in_place(|| Redis::start(RedisOptions { appendfsync, ..RedisOptions::default() }));
            let (store, _warnings) = RedisStore::connect(patchbay_store::RedisOptions {
                addresses: vec![redis.addr()],
                ..patchbay_store::RedisOptions::default()
            })
            .await?;
            let folder = tempfile::tempdir()?;
            let intake = Intake::open(Arc::new(store), &kept(folder.path()))?;
            let rate = bare(Extent::Appending(intake)).await?;
            row(&format!("Redis, {appendfsync}"), rate, "the same, on loopback, and the node's own log");
        }
        row("the whole gateway", gateway().await?, "embedded store; deciding and filing beside it");
        latency().await
    })
}

/// As the gateway has it by default.
fn kept(folder: &std::path::Path) -> IntakeOptions {
    let keep = Duration::from_secs(60);
    IntakeOptions { folder: Some(folder.join("spool")), accept_while_away: false, max_bytes: 1 << 30, keep }
}

/// What a webhook meets on its way to being accepted.
struct Accepting {
    app_secrets: AppSecrets,
    channels: Channels,
    extent: Extent,
}

/// How far accepting goes.
enum Extent {
    Signature,
    Normalising,
    Appending(Intake),
}

/// Accepts as the gateway does, so far, and nothing else happens.
async fn bare(extent: Extent) -> Result<f64> {
    let channel = Channel {
        id: "support".into(),
        platform: "whatsapp".into(),
        account: String::new(),
        address: PHONE_NUMBER_ID.into(),
    };
    let app_secrets = AppSecrets::new(vec!["the-app-secret".into()]);
    let accepting = Arc::new(Accepting { app_secrets, channels: Channels::new([channel]), extent });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/webhooks/whatsapp", listener.local_addr()?);
    let router = Router::new().route("/webhooks/whatsapp", post(accept)).with_state(accepting);
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let rate = pour(&[url]).await;
    server.abort();
    rate
}

async fn accept(State(accepting): State<Arc<Accepting>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let signature = headers.get("x-hub-signature-256").map(|value| value.as_bytes());
    if accepting.app_secrets.verify(signature, &body).is_err() {
        return StatusCode::UNAUTHORIZED;
    }
    if matches!(accepting.extent, Extent::Signature) {
        return StatusCode::OK;
    }
    let arrivals = normalise(&body, &accepting.channels, Timestamp::now()).arrivals;
    if arrivals.is_empty() {
        return StatusCode::BAD_REQUEST;
    }
    let Extent::Appending(intake) = &accepting.extent else { return StatusCode::OK };
    match intake.accept(arrivals).await {
        Ok(_) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn gateway() -> Result<f64> {
    let house = House::open().await?;
    pour(&[format!("{}/webhooks/whatsapp", house.gateway()?.url())]).await
}

/// Messages at a steady rate: the time from the webhook's leaving to the entry's standing in the ticket.
async fn latency() -> Result<()> {
    let house = House::open().await?;
    let started = Instant::now();
    let mut left = Vec::new();
    let mut ticks = tokio::time::interval(Duration::from_micros(1_000_000 / RATE));
    while started.elapsed() < LATENCY_RUN {
        ticks.tick().await;
        let number = left.len() as u64;
        let from = format!("44770091{:04}", number % CUSTOMERS);
        let body = text_webhook(&format!("wamid.latency.{number}"), &from, &format!("message {number}"), &Value::Null);
        left.push(Timestamp::now().as_millis());
        anyhow::ensure!(house.deliver_signed(body).await? == 200, "a body was not taken");
    }
    let mut took = eventually_within(Duration::from_secs(120), "every message in its ticket", || async {
        let took = filed(&house.tickets().await?, &left)?;
        Ok(if took.len() == left.len() { Ok(took) } else { Err(format!("{} of {}", took.len(), left.len())) })
    })
    .await?;
    took.sort_unstable();
    let at = |share: usize| took.get((took.len() * share / 100).min(took.len() - 1)).copied().unwrap_or_default();
    println!("\nfrom webhook to ticket, {RATE} messages/s of {CUSTOMERS} customers, {} messages", took.len());
    println!("  p50 {} ms   p90 {} ms   p99 {} ms   slowest {} ms", at(50), at(90), at(99), at(100));
    let decided = house.decide_seconds().await?;
    println!(
        "  decide time in the gateway, two handlers with fresh sandboxes and the commit: mean {:.2} ms",
        decided * 1e3
    );
    anyhow::ensure!(house.api("/v1/dead-letters").await? == json!([]), "something was given up");
    Ok(())
}

/// How long each message that stands in a ticket took to get there, milliseconds. What we have said to the customer
/// stands there, too, and does not count.
fn filed(tickets: &[Value], left: &[u64]) -> Result<Vec<u64>> {
    let entries = tickets.iter().filter_map(|ticket| ticket.get("entries")?.as_array()).flatten();
    let mut took = Vec::with_capacity(left.len());
    for entry in entries {
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        let Some(number) = text("text").and_then(|text| text.strip_prefix("message ")) else { continue };
        let began = left.get(number.parse::<usize>()?).context("a message of ours")?;
        let at: jiff::Timestamp = text("at").context("an entry's time")?.parse()?;
        took.push(u64::try_from(at.as_millisecond())?.saturating_sub(*began));
    }
    Ok(took)
}
