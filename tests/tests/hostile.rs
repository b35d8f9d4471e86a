//! A plugin in the chain that takes what it can get: what the chain says happens, others are served meanwhile, and the
//! operator finds out what it was.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::convert::Infallible;
use std::path::Path;

use anyhow::Result;
use axum::Router;
use patchbay_tests::binary::{calling_guest, hostile_guest};
use patchbay_tests::config::{ACKNOWLEDGEMENT, Options};
use patchbay_tests::{House, eventually};
use serde_json::{Value, json};

/// What a customer writes, and the cause that the operator is told. The router sends the word `invoice` to the queue
/// `billing`, so that a ticket shows who chose its queue.
const CASES: [(&str, &str); 5] = [
    ("spin invoice", "cpu-time"),
    ("allocate invoice", "memory"),
    ("recurse invoice", "stack"),
    ("panic invoice", "trap"),
    ("flood invoice", "cpu-time"),
];
/// How often a chain is asked whose failed step says `retry`.
const CHAIN_ATTEMPTS: usize = 6;
/// Lines that one call may log.
const LOG_LINES: usize = 64;

/// A chain of hostile, acknowledge and router, the first with this policy.
fn chain(guest: &Path, on_failure: &str, more: &str) -> Options {
    let step = |name: &str, on_failure: &str| (name.to_owned(), on_failure.to_owned());
    let guest = guest.display();
    Options {
        steps: vec![step("hostile", on_failure), step("acknowledge", "retry"), step("router", "retry")],
        more: format!(
            "[plugins.hostile]\nsource = \"file:{guest}\"\n[plugins.hostile.limits]\ncpu = \"200ms\"\nmemory = \
             \"16MiB\"\n{more}"
        ),
        ..Options::default()
    }
}

async fn house(on_failure: &str) -> Result<House> {
    House::with(chain(&hostile_guest()?, on_failure, "")).await
}

/// A customer for each case.
fn phone(case: usize) -> String {
    format!("4477009001{case:02}")
}

/// The id of the event that a message became.
async fn event_of(house: &House, message: &str) -> Result<String> {
    eventually("the message as an event", || async {
        let events = house.events("kind=message.text&limit=1000").await?;
        let found = events.iter().find(|event| event["body"]["id"] == message);
        Ok(found.map(|event| event["id"].as_str().unwrap().to_owned()).ok_or_else(|| format!("{events:?}")))
    })
    .await
}

async fn reports_of(house: &House, event: &str) -> Result<Vec<Value>> {
    let reports = house.api("/v1/reports?limit=10000").await?;
    Ok(reports.as_array().unwrap().iter().filter(|report| report["event"] == event).cloned().collect())
}

async fn ticket_of(house: &House, phone: &str) -> Result<Value> {
    eventually("the customer's ticket", || async {
        let tickets = house.tickets().await?;
        let digits = |ticket: &Value| {
            ticket["requester"]["phone"].as_str().unwrap_or_default().trim_start_matches('+').to_owned()
        };
        Ok(tickets.iter().find(|ticket| digits(ticket) == phone).cloned().ok_or_else(|| format!("{tickets:?}")))
    })
    .await
}

/// Waits until a customer was sent something, and gives all of it.
async fn sent_to(house: &House, phone: &str) -> Result<Vec<String>> {
    eventually("something sent to the customer", || async {
        let sent = house.sent().await?;
        let texts: Vec<String> =
            sent.iter().filter(|row| row["to"] == phone).map(|row| row["text"].as_str().unwrap().to_owned()).collect();
        Ok(if texts.is_empty() { Err("nothing".to_owned()) } else { Ok(texts) })
    })
    .await
}

/// The event's reports say what it was, and so does a line of the log for each of them; nobody's number stands there.
async fn assert_told(house: &House, event: &str, cause: &str, times: usize) -> Result<()> {
    let reports = reports_of(house, event).await?;
    assert_eq!(reports.len(), times, "{cause}: {reports:?}");
    for report in &reports {
        assert_eq!((&report["plugin"], &report["cause"]), (&json!("hostile"), &json!(cause)), "{report}");
        assert_eq!(report["generation"], 1, "{report}");
        assert!(!report["detail"].as_str().unwrap().is_empty(), "{report}");
    }
    let log = house.gateway()?.log();
    let names =
        ["a handler failed", "plugin=\"hostile\"", &format!("event=\"{event}\""), &format!("cause=\"{cause}\"")];
    let lines = log.lines().filter(|line| names.iter().all(|name| line.contains(name))).count();
    assert_eq!(lines, times, "{names:?} in:\n{log}");
    assert!(!log.contains("44770090"), "a customer's number stands in the log:\n{log}");
    Ok(())
}

/// The process is the one that was started, and it is ready.
async fn assert_up(house: &House) -> Result<()> {
    house.gateway()?.resident()?;
    let ready = reqwest::Client::new().get(format!("{}/readyz", house.gateway()?.url())).send().await?;
    assert!(ready.status().is_success(), "{}", ready.text().await?);
    Ok(())
}

/// One customer writes every case; gives the events.
async fn write_cases(house: &House) -> Result<Vec<String>> {
    let mut events = Vec::new();
    for (case, (text, _)) in CASES.iter().enumerate() {
        let message = house.text(&phone(case), text).await?;
        events.push(event_of(house, &message).await?);
    }
    Ok(events)
}

/// A customer who writes this again and again, as soon as what was written before has reached the ticket.
async fn keep_writing(house: &House, phone: String, text: &str) -> Result<Infallible> {
    let mut said = vec![text];
    loop {
        house.expect_entries(&phone, &said).await?;
        said.push(text);
        house.text(&phone, text).await?;
    }
}

/// While customers write every case, without a pause, others are acknowledged and get their tickets.
async fn assert_others_are_served(on_failure: &str) -> Result<()> {
    let house = house(on_failure).await?;
    write_cases(&house).await?;
    let hostile = CASES.iter().enumerate().map(|(case, (text, _))| keep_writing(&house, phone(case), text));
    let others = async {
        for other in 50..54 {
            let phone = phone(other);
            house.text(&phone, "bench").await?;
            house.expect_entries(&phone, &["bench"]).await?;
            assert_eq!(sent_to(&house, &phone).await?, [ACKNOWLEDGEMENT]);
        }
        anyhow::Ok(())
    };
    tokio::select! {
        ended = futures::future::try_join_all(hostile) => panic!("a customer no longer writes: {ended:?}"),
        served = others => served?,
    }
    let log = house.gateway()?.log();
    assert!(log.contains("a handler failed"), "nothing went wrong meanwhile:\n{log}");
    assert_up(&house).await
}

#[tokio::test]
async fn skip_goes_on_with_the_next_handlers() -> Result<()> {
    let house = house("skip").await?;
    let events = write_cases(&house).await?;
    for (case, ((text, cause), event)) in CASES.iter().zip(&events).enumerate() {
        let ticket = ticket_of(&house, &phone(case)).await?;
        assert_eq!((&ticket["queue"], &ticket["priority"]), (&json!("billing"), &json!("high")), "{text}: {ticket}");
        house.expect_entries(&phone(case), &[text]).await?;
        assert_eq!(sent_to(&house, &phone(case)).await?, [ACKNOWLEDGEMENT], "{text}");
        assert_told(&house, event, cause, 1).await?;
    }
    let panic = &reports_of(&house, &events[3]).await?[0];
    assert!(panic["stderr"].as_str().unwrap().contains("answers.rs"), "the place is not told: {panic}");
    assert!(panic["frames"].to_string().contains("panic"), "{panic}");
    let memory = &reports_of(&house, &events[1]).await?[0];
    assert!(memory["detail"].as_str().unwrap().contains("16 MiB"), "the limit is not told: {memory}");
    assert_eq!(house.tickets().await?.len(), CASES.len());
    assert_up(&house).await
}

#[tokio::test]
async fn stop_ends_the_chain_and_the_fallback_brings_the_message_to_a_desk() -> Result<()> {
    let house = house("stop").await?;
    let events = write_cases(&house).await?;
    for (case, ((text, cause), event)) in CASES.iter().zip(&events).enumerate() {
        let ticket = ticket_of(&house, &phone(case)).await?;
        assert_eq!(ticket["queue"], "general", "the router was asked for {text}: {ticket}");
        house.expect_entries(&phone(case), &[text]).await?;
        // What goes to one customer goes in order: an acknowledgement would stand before the agent's answer.
        house.agent(json!({ "ticket": ticket["id"], "public": true, "text": "We are on it." })).await?;
        assert_eq!(sent_to(&house, &phone(case)).await?, ["We are on it."], "{text}");
        assert_told(&house, event, cause, 1).await?;
    }
    assert_eq!(house.tickets().await?.len(), CASES.len());
    // The next message that does no harm is decided as ever.
    house.text(&phone(50), "bench invoice").await?;
    assert_eq!(ticket_of(&house, &phone(50)).await?["queue"], "billing");
    assert_eq!(sent_to(&house, &phone(50)).await?, [ACKNOWLEDGEMENT]);
    assert_up(&house).await
}

#[tokio::test]
async fn retry_tries_again_and_then_goes_on() -> Result<()> {
    let house = house("retry").await?;
    let events = write_cases(&house).await?;
    for (case, ((text, cause), event)) in CASES.iter().zip(&events).enumerate() {
        assert_eq!(ticket_of(&house, &phone(case)).await?["queue"], "billing", "{text}");
        house.expect_entries(&phone(case), &[text]).await?;
        assert_eq!(sent_to(&house, &phone(case)).await?, [ACKNOWLEDGEMENT], "{text}");
        assert_told(&house, event, cause, CHAIN_ATTEMPTS).await?;
    }
    // One that recovers at its third attempt.
    let message = house.text(&phone(50), "until 3 invoice").await?;
    let event = event_of(&house, &message).await?;
    assert_eq!(ticket_of(&house, &phone(50)).await?["queue"], "billing");
    assert_told(&house, &event, "trap", 2).await?;
    assert_eq!(house.tickets().await?.len(), CASES.len() + 1);
    assert_up(&house).await
}

#[tokio::test]
async fn others_are_served_while_steps_are_skipped() -> Result<()> {
    assert_others_are_served("skip").await
}

#[tokio::test]
async fn others_are_served_while_chains_are_asked_again() -> Result<()> {
    assert_others_are_served("retry").await
}

/// Lines of the log that are about an event and contain this.
fn lines(house: &House, event: &str, part: &str) -> Result<usize> {
    let subject = format!("subject=\"{event}\"");
    Ok(house.gateway()?.log().lines().filter(|line| line.contains(&subject) && line.contains(part)).count())
}

#[tokio::test]
async fn a_flood_of_log_lines_is_cut_and_no_error() -> Result<()> {
    // Ten thousand lines are more work than the little that the others are allowed.
    let options = chain(&hostile_guest()?, "stop", "");
    let house = House::with(Options { more: options.more.replace("200ms", "20s"), ..options }).await?;
    let long = house.text(&phone(0), "log invoice").await?;
    let wide = house.text(&phone(1), "huge-log invoice").await?;
    for (case, message) in [&long, &wide].into_iter().enumerate() {
        assert_eq!(ticket_of(&house, &phone(case)).await?["queue"], "billing", "the chain did not go on");
        assert_eq!(reports_of(&house, &event_of(&house, message).await?).await?, Vec::<Value>::new());
    }
    let event = event_of(&house, &long).await?;
    assert_eq!(lines(&house, &event, "INFO patchbay::plugin: line ")?, LOG_LINES, "{}", house.gateway()?.log());
    assert_eq!(lines(&house, &event, "the rest is dropped")?, 1);
    let log = house.gateway()?.log();
    assert!(log.len() < 64 << 10, "{} bytes of log for two messages", log.len());
    assert_up(&house).await
}

#[tokio::test]
async fn an_endless_flood_is_cut_in_every_call() -> Result<()> {
    let house = house("skip").await?;
    let message = house.text(&phone(0), "flood invoice").await?;
    let event = event_of(&house, &message).await?;
    house.expect_entries(&phone(0), &["flood invoice"]).await?;
    assert_eq!(lines(&house, &event, "INFO patchbay::plugin: invoice")?, LOG_LINES, "{}", house.gateway()?.log());
    assert_eq!(lines(&house, &event, "the rest is dropped")?, 1);
    Ok(())
}

/// A server that answers everything, on a port of its own.
async fn server() -> Result<u16> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let app = Router::new().fallback(|| async { "well met" });
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(port)
}

const GRANT: &str = "[[plugins.hostile.grants.http]]\nhost = \"api.example.com\"\n";

#[tokio::test]
async fn a_call_that_was_not_granted_is_refused_with_the_lines_that_would_allow_it() -> Result<()> {
    let url = format!("http://127.0.0.1:{}/secret", server().await?);
    let mut house = House::with(chain(&calling_guest()?, "stop", GRANT)).await?;
    let text = format!("call {url}?invoice");
    let refused = event_of(&house, &house.text(&phone(0), &text).await?).await?;
    // The plugin is answered 403 and may live with that: nothing failed, the chain goes on.
    assert_eq!(ticket_of(&house, &phone(0)).await?["queue"], "billing");
    assert_eq!(sent_to(&house, &phone(0)).await?, [ACKNOWLEDGEMENT]);
    assert_eq!(reports_of(&house, &refused).await?, Vec::<Value>::new());
    assert_eq!(lines(&house, &refused, "the server answered 403")?, 1, "{}", house.gateway()?.log());
    assert_eq!(lines(&house, &refused, "a request of a plugin was refused")?, 1, "{}", house.gateway()?.log());

    // The operator pastes the lines from the log, and starts again.
    let log = house.gateway()?.log();
    let from = log.find("add=").expect(&log) + "add=".len();
    let block: Vec<&str> =
        log[from..].lines().take_while(|line| line.starts_with("[[") || line.contains(" = ")).collect();
    let block = block.join("\n");
    assert!(block.starts_with("[[plugins.hostile.grants.http]]\nhost = \"127.0.0.1\""), "{log}");
    let config = std::fs::read_to_string(house.config())?;
    std::fs::write(house.config(), format!("{config}{block}\n"))?;
    house.kill().await?;
    house.start().await?;
    let allowed = event_of(&house, &house.text(&phone(0), &text).await?).await?;
    house.expect_entries(&phone(0), &[&text, &text]).await?;
    assert_eq!(lines(&house, &allowed, "the server answered 200")?, 1, "{block}\n{}", house.gateway()?.log());
    Ok(())
}

#[tokio::test]
async fn a_storm_of_refused_calls_does_not_flood_the_log() -> Result<()> {
    let house = House::with(chain(&calling_guest()?, "skip", GRANT)).await?;
    let event = event_of(&house, &house.text(&phone(0), "storm http://127.0.0.1:9/invoice").await?).await?;
    assert_eq!(ticket_of(&house, &phone(0)).await?["queue"], "billing");
    assert_eq!(sent_to(&house, &phone(0)).await?, [ACKNOWLEDGEMENT]);
    assert_told(&house, &event, "cpu-time", 1).await?;
    // One line for all requests that the same grant would allow, and one that says that these are too many.
    let refused = lines(&house, &event, "a request of a plugin was refused")?;
    assert_eq!(refused, 2, "{}", house.gateway()?.log());
    assert_up(&house).await
}

#[tokio::test]
async fn a_plugin_that_wants_the_network_without_a_grant_is_not_loaded() -> Result<()> {
    let refused = House::with(chain(&calling_guest()?, "skip", "")).await.expect_err("the gateway started");
    let refused = format!("{refused:#}");
    for part in ["plugin `hostile` imports wasi:http/", "not granted any host", "[[plugins.hostile.grants.http]]"] {
        assert!(refused.contains(part), "no {part} in {refused}");
    }
    Ok(())
}

/// What customers write in the measured part; ten customers, one of these each, again and again.
const ROUND: [&str; 10] =
    ["spin", "allocate", "recurse", "panic", "flood", "allocate", "recurse", "panic", "allocate", "recurse"];
/// Hostile events before the first measurement: every customer's sandbox has run side by side with the others'.
const WARM_UP: usize = 20;
/// Hostile events between the two measurements.
const MEASURED: usize = 200;
/// A sandbox that is not given back keeps at least the first pages of its memory and its stack, more than 1 MiB, and
/// each of the 60 that allocate keeps 16 MiB: 200 of them would be 200 MiB at the least, and over 1 GiB as they are
/// here. What may grow is far below: some hundred events, tasks and reports of a few KiB each in the store's cache, and
/// what the allocator keeps of the busiest moment.
const GROWTH: u64 = 64 << 20;

#[tokio::test]
async fn two_hundred_hostile_events_leave_no_trace_in_memory() -> Result<()> {
    let house = house("skip").await?;
    let write = async |from: usize, count: usize| {
        for turn in from..from + count {
            house.text(&phone(turn % ROUND.len()), ROUND[turn % ROUND.len()]).await?;
        }
        eventually("a report for each of them", || async {
            let reports = house.api("/v1/reports?limit=10000").await?.as_array().unwrap().len();
            Ok(if reports == from + count { Ok(()) } else { Err(format!("{reports} reports")) })
        })
        .await
    };
    write(0, WARM_UP).await?;
    let before = house.gateway()?.resident()?;
    write(WARM_UP, MEASURED).await?;
    let grown = house.gateway()?.resident()?.saturating_sub(before);
    assert!(grown < GROWTH, "{} KiB more than the {} KiB before", grown >> 10, before >> 10);
    for (customer, text) in ROUND.iter().enumerate() {
        house.expect_entries(&phone(customer), &[*text; (WARM_UP + MEASURED) / ROUND.len()]).await?;
    }
    assert_up(&house).await
}
