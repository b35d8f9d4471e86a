//! The templates of desks, in each language: their components keep a ticket system up to date in a running gateway, and
//! what fails there becomes what the contract says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use patchbay_tests::command::text;
use patchbay_tests::config::Options;
use patchbay_tests::tickets::{Fault, File, TicketSystem};
use patchbay_tests::vendor::{JAVASCRIPT, Language, PYTHON, RUST, begin, component, golden, own_tests, patchbay};
use patchbay_tests::{House, eventually};
use reqwest::StatusCode;
use serde_json::{Value, json};

const ADA: &str = "447700900001";
/// What the gateway has in the variable `PB_ZENDESK_WEBHOOK`.
const WEBHOOK_KEY: &str = "the-zendesk-webhook-secret";
const PHOTO: &[u8] = b"\x89PNG\r\n\x1a\nnot much of a picture";

/// A house whose messages go to the ticket system by the desk plugin of this file.
async fn house(component: &Path, system: &TicketSystem) -> Result<House> {
    let port = system.port();
    let more = format!(
        r#"
[plugins.mine]
source = "builtin:keyword-router"
[plugins.mine.settings]
desk = "acme"
default_queue = "general"

[plugins.acme]
source = "file:{component}"
[plugins.acme.settings]
base_url = "http://127.0.0.1:{port}/api"
[plugins.acme.grants]
media = true
[[plugins.acme.grants.http]]
host = "127.0.0.1"
ports = [{port}]
paths = ["/api"]
plain_http = true
private_network = true
credential = "acme"
[plugins.acme.secrets]
webhook = "env:PB_ZENDESK_WEBHOOK"

[credentials.acme]
type = "bearer"
token = "env:PB_ZENDESK_TOKEN"

[desks.acme]
plugin = "acme"
timeout = "10s"
"#,
        component = component.display()
    );
    let steps = vec![("mine".to_owned(), "retry".to_owned())];
    House::with(Options { steps, more, ..Options::default() }).await
}

/// Waits until the only ticket has these comments, and gives the ticket.
async fn comments(system: &TicketSystem, house: &House, expected: &[&str]) -> Result<Value> {
    eventually("the ticket's comments", || async {
        let [ticket] = &system.tickets()[..] else { return Ok(Err(format!("{:?}", system.tickets()))) };
        let texts: Vec<_> =
            ticket["comments"].as_array().unwrap().iter().map(|row| row["text"].as_str().unwrap()).collect();
        Ok(if texts == expected { Ok(ticket.clone()) } else { Err(format!("{texts:?}; {}", house.gateway()?.log())) })
    })
    .await
}

/// The vendor's webhook, with this key.
async fn webhook(house: &House, key: &str, text: &str) -> Result<StatusCode> {
    let comment = json!({ "id": format!("agent-{text}"), "public": true, "author": "Sam", "text": text });
    let body =
        json!({ "id": format!("happened-{text}"), "ticket": "1", "at": 1_795_255_200_000_u64, "comment": comment });
    let request = reqwest::Client::new().post(format!("{}/webhooks/desk/acme", house.gateway()?.url()));
    Ok(request.header("x-webhook-key", key).json(&body).send().await?.status())
}

/// A desk from its template, from the customer's first message to a credential that is refused.
async fn works(language: Language) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let project = begin(language, "desk", "acme-desk", folder.path()).await?;
    let component = component(&project).await?;
    own_tests(language, &project).await?;
    golden(&project, 5).await?;
    let seen = patchbay().done(&["plugin", "inspect", text(&component)]).await?;
    assert!(seen.contains("desk") && seen.contains("acme-desk"), "{seen}");
    let system = TicketSystem::start().await?;
    let house = house(&component, &system).await?;

    // Two failures that are worth another try; the first says how long to wait.
    system.fail([
        Fault { retry_after: Some(1), ..Fault::of("POST /api/tickets", 429) },
        Fault::of("POST /api/tickets", 500),
    ]);
    house.text(ADA, "one").await?;
    let ticket = comments(&system, &house, &[]).await?;
    assert_eq!((&ticket["text"], &ticket["queue"]), (&json!("one"), &json!("general")), "{ticket}");
    let tried = system.asked("POST /api/tickets");
    assert_eq!(tried.len(), 3, "{tried:?}");
    assert!(tried[1].at - tried[0].at >= Duration::from_secs(1), "Retry-After was not kept: {tried:?}");
    let looked = system.asked("GET /api/tickets?external_id=").len();
    assert!(looked >= 2, "it is looked for before it is made again: {looked}");
    assert!(tried.iter().all(|asked| asked.authorization == "Bearer the-zendesk-token"), "{tried:?}");

    house.text(ADA, "two").await?;
    comments(&system, &house, &["two"]).await?;

    // A photo: the host sends its bytes.
    let media = house.upload("slip.png", "image/png", PHOTO).await?;
    house.inbound(json!({ "from": ADA, "type": "image", "image": { "id": media, "caption": "the slip" } })).await?;
    let ticket = comments(&system, &house, &["two", "the slip"]).await?;
    assert_eq!(ticket["comments"][1]["files"], json!(["f0"]), "{ticket}");
    let file = File { name: "image.png".into(), mime: "image/png".into(), bytes: PHOTO.to_vec() };
    assert_eq!(system.files(), [file]);

    // An agent's answer goes to the customer, once, and only with the right key.
    assert_eq!(webhook(&house, "a guess", "Nobody wrote this").await?, StatusCode::UNAUTHORIZED);
    for _ in 0..2 {
        assert_eq!(webhook(&house, WEBHOOK_KEY, "It is paid back").await?, StatusCode::OK);
    }
    eventually("the agent's answer", || async {
        let sent = house.sent().await?;
        let texts: Vec<_> = sent.iter().filter_map(|row| row["text"].as_str()).collect();
        Ok(if texts == ["It is paid back"] { Ok(()) } else { Err(format!("{texts:?}; {}", house.gateway()?.log())) })
    })
    .await?;

    fails_as_it_should(language, &house, &system).await
}

/// What is not worth another try, what the program did not foresee, and a credential that is refused.
async fn fails_as_it_should(language: Language, house: &House, system: &TicketSystem) -> Result<()> {
    system.fail([Fault::of("POST /api/tickets/1/comments", 422)]);
    house.text(ADA, "three").await?;
    let letter = eventually("a dead letter", || async {
        let letters = house.api("/v1/dead-letters").await?;
        Ok(letters.get(0).cloned().ok_or_else(|| "none".to_owned()))
    })
    .await?;
    let (server, reason) = (format!("127.0.0.1:{}", system.port()), letter["reason"].to_string());
    assert!(reason.contains(&server) && reason.contains("422"), "{letter}");

    // An answer that no program expects. Rust's SDK has a failure for it; the others throw.
    if language.name != RUST.name {
        system.fail([Fault { body: Value::Null, ..Fault::of("POST /api/tickets/1/comments", 200) }]);
        house.text(ADA, "four").await?;
        let report = eventually("a report", || async {
            let reports = house.api("/v1/reports").await?;
            let reports = reports.as_array().context("no list")?;
            Ok(reports.iter().find(|row| row["cause"] == "trap").cloned().ok_or_else(|| format!("{reports:?}")))
        })
        .await?;
        let trace = report["stderr"].as_str().context("no trace")?;
        let place = if language.name == PYTHON.name { "add_entry" } else { "addEntry" };
        assert!(trace.contains("TypeError") && trace.contains(place), "{trace}");
        comments(system, house, &["two", "the slip", "four"]).await?;
    }

    system.fail([Fault::of("POST /api/tickets/1/comments", 401)]);
    house.text(ADA, "five").await?;
    let client = reqwest::Client::new();
    let url = format!("{}/readyz", house.gateway()?.url());
    eventually("the lane's trouble in /readyz", || async {
        let ready: Value = client.get(&url).send().await?.json().await?;
        let told = ready["lanes_in_trouble"][0]["credential"] == true && ready["ready"] == true;
        Ok(if told { Ok(()) } else { Err(ready.to_string()) })
    })
    .await?;
    eventually("the entry, once the credential works", || async {
        let tickets = system.tickets();
        let last = tickets[0]["comments"].as_array().unwrap().last().unwrap()["text"].clone();
        Ok(if last == "five" { Ok(()) } else { Err(format!("{tickets:?}")) })
    })
    .await?;
    // Nothing of what went wrong on the way is there twice.
    assert_eq!(system.tickets().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_desk_in_rust_keeps_a_ticket_system_up_to_date() -> Result<()> {
    works(RUST).await
}

#[tokio::test]
async fn a_desk_in_javascript_keeps_a_ticket_system_up_to_date() -> Result<()> {
    works(JAVASCRIPT).await
}

#[tokio::test]
async fn a_desk_in_python_keeps_a_ticket_system_up_to_date() -> Result<()> {
    works(PYTHON).await
}
