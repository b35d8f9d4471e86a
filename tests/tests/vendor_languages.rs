//! The three languages that vendors write plugins in: from `patchbay plugin new` to a plugin that acts in a running
//! gateway, and the examples of the repository beside it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};
use axum::Json;
use axum::extract::Path as Segment;
use axum::http::StatusCode;
use axum::routing::get;
use patchbay_tests::command::text;
use patchbay_tests::config::Options;
use patchbay_tests::dev::Dev;
use patchbay_tests::vendor::{JAVASCRIPT, Language, PYTHON, RUST, begin, build, golden, own_tests, patchbay};
use patchbay_tests::{House, binary, eventually};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// The templates of a language; gives the handler's component. The desks have tests of their own, in `vendor_desks`.
async fn templates(language: Language, folder: &Path) -> Result<PathBuf> {
    let mut component = PathBuf::new();
    for role in ["inspector", "handler"] {
        let project = begin(language, role, "acme-second", folder).await?;
        let built = build(&project).await?;
        component = PathBuf::from(built["component"].as_str().context("no component")?);
        assert_eq!((built["name"].as_str(), component.is_file()), (Some("acme-second"), true), "{built}");
        own_tests(language, &project).await?;
        let seen = patchbay().done(&["plugin", "inspect", text(&component)]).await?;
        assert!(seen.contains(role) && seen.contains("acme-second"), "{seen}");
        golden(&project, 2).await?;
    }
    Ok(component)
}

/// A house in which plugins decide before the shipped router does. A large component is compiled first.
async fn house(plugins: &str, steps: &[&str]) -> Result<House> {
    let step = |name: &&str| ((*name).to_owned(), "retry".to_owned());
    let steps = steps.iter().chain(["router"].iter()).map(step).collect();
    House::with(Options { steps, more: plugins.to_owned(), ..Options::default() }).await
}

/// The template's handler, as a section of the configuration.
fn section(component: &Path) -> String {
    format!(
        "\n[plugins.first]\nsource = \"file:{}\"\n[plugins.first.settings]\nword = \"parcel\"\nqueue = \"parcels\"\n",
        component.display()
    )
}

/// A grant for a server on loopback.
fn grant(plugin: &str, port: u16) -> String {
    format!(
        "\n[[plugins.{plugin}.grants.http]]\nhost = \"127.0.0.1\"\nports = [{port}]\nplain_http = true\n\
         private_network = true\n"
    )
}

/// A customer writes, and these texts are what they are answered, in this order.
async fn answered(house: &House, from: &str, says: &str, expected: &[&str]) -> Result<()> {
    house.text(from, says).await?;
    eventually("the answers", || async {
        let sent = house.sent().await?;
        let texts: Vec<_> =
            sent.iter().filter(|row| row["to"] == from).filter_map(|row| row["text"].as_str()).collect();
        Ok(if texts == expected { Ok(()) } else { Err(format!("{texts:?}; {}", house.gateway()?.log())) })
    })
    .await
}

/// Serves on a free port of loopback as long as the test runs.
async fn serve(router: axum::Router) -> Result<u16> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(port)
}

#[tokio::test]
async fn rust_from_nothing_to_a_plugin_that_acts() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let component = templates(RUST, folder.path()).await?;
    let example = binary::root().join("examples/vip-router");
    build(&example).await?;
    golden(&example, 2).await?;
    let house = house(&section(&component), &["first"]).await?;
    answered(&house, "447700900001", "Where is my Parcel?", &["We are on it."]).await?;
    answered(&house, "447700900002", "Good morning", &[]).await
}

#[tokio::test]
async fn javascript_from_nothing_to_a_plugin_that_acts() -> Result<()> {
    let example = binary::root().join("examples/order-status-js");
    let built = build(&example).await?;
    golden(&example, 4).await?;
    own_tests(JAVASCRIPT, &example).await?;
    let folder = tempfile::tempdir()?;
    let component = templates(JAVASCRIPT, folder.path()).await?;

    let order = |Segment(number): Segment<String>| async move {
        if number == "SO-1042" {
            Ok(Json(json!({ "state": "sent", "carrier": "Blue Van", "tracking": "BV77" })))
        } else {
            Err(StatusCode::NOT_FOUND)
        }
    };
    let shop = serve(axum::Router::new().route("/api/orders/{number}", get(order))).await?;
    let orders = format!(
        "{}\n[plugins.orders]\nsource = \"file:{}\"\n[plugins.orders.settings]\nshop = \"http://127.0.0.1:{shop}\"\n{}",
        section(&component),
        built["component"].as_str().context("no component")?,
        grant("orders", shop)
    );
    let house = house(&orders, &["first", "orders"]).await?;
    let way = "Your order SO-1042 is on its way with Blue Van (BV77).";
    answered(&house, "447700900001", "Where is so-1042?", &[way]).await?;
    let unknown = "I cannot find an order SO-7777. Is the number right?";
    answered(&house, "447700900002", "SO-7777, my parcel", &["We are on it.", unknown]).await
}

#[tokio::test]
async fn python_from_nothing_to_a_plugin_that_acts() -> Result<()> {
    let example = binary::root().join("examples/triage-python");
    let built = build(&example).await?;
    golden(&example, 4).await?;
    own_tests(PYTHON, &example).await?;
    let folder = tempfile::tempdir()?;
    let component = templates(PYTHON, folder.path()).await?;

    let incident = || async { Json(json!({ "open": true, "title": "logins are slow" })) };
    let status = serve(axum::Router::new().route("/api/incident", get(incident))).await?;
    let triage = format!(
        "{}\n[plugins.triage]\nsource = \"file:{}\"\n[plugins.triage.settings]\nstatus = \
         \"http://127.0.0.1:{status}/api/incident\"\n{}",
        section(&component),
        built["component"].as_str().context("no component")?,
        grant("triage", status)
    );
    let house = house(&triage, &["first", "triage"]).await?;
    answered(&house, "447700900001", "My parcel is late", &["We are on it."]).await?;
    let known = "We know about it and are working on it: logins are slow.";
    answered(&house, "447700900002", "Is everything down?", &[known]).await
}

#[tokio::test]
async fn watch_swaps_a_plugin_into_a_running_dev_at_each_change() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let project = begin(RUST, "handler", "acme-watched", folder.path()).await?;
    let component = build(&project).await?["component"].as_str().context("no component")?.to_owned();
    let guide = std::fs::read_to_string(binary::root().join("examples/vip-router/vip.toml"))?;
    let config = guide.replace("file:target/wasm32-wasip2/release/vip_router.wasm", &format!("file:{component}"));
    let config = config.replace("queue = \"vip\"\ndesk = \"zendesk\"", "word = \"parcel\"\nqueue = \"parcels\"");
    std::fs::write(folder.path().join("dev.toml"), config)?;
    let mut command = Command::new(binary::patchbay()?);
    command.args(["dev", "--config", "dev.toml"]).current_dir(folder.path());
    let dev = Dev::start(command).await?;

    let mut watch = Command::new(binary::patchbay()?)
        .args(["plugin", "watch", "--deployment", "vip", "--folder", text(&project)])
        .env("PATCHBAY_URL", dev.address("gateway")?)
        .env("PATCHBAY_TOKEN", dev.address("admin_token")?)
        // Where a vendor has all projects build into one folder, this one's component still lies where it says.
        .env("CARGO_TARGET_DIR", folder.path().join("elsewhere"))
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut said = BufReader::new(watch.stderr.take().context("no output")?).lines();
    let mut heard = Vec::new();
    while !heard.last().is_some_and(|line: &String| line.starts_with("waiting for changes")) {
        heard.push(said.next_line().await?.with_context(|| format!("watch ended: {heard:?}"))?);
    }
    // The code alone no longer answers as its golden event says: the generation before goes on.
    let source = project.join("src/lib.rs");
    let golden = project.join("tests/golden/the-word-is-there.json");
    for (file, expected) in [(source, "vip stays as it was: "), (golden, "vip: generation ")] {
        let text = std::fs::read_to_string(&file)?;
        std::fs::write(&file, text.replace("We are on it.", "Somebody runs."))?;
        let became = loop {
            let line = said.next_line().await?.with_context(|| format!("watch ended: {heard:?}"))?;
            if line.starts_with("vip") {
                break line;
            }
            heard.push(line);
        };
        assert!(became.starts_with(expected), "{became}: {heard:?}");
    }

    let client = reqwest::Client::new();
    let simulator = dev.address("simulator")?;
    let message = json!({ "from": "447700900001", "type": "text", "text": { "body": "my parcel" } });
    let url = format!("{simulator}/_sim/whatsapp/inbound?wait=1");
    client.post(url).json(&message).send().await?.error_for_status()?;
    eventually("the new words", || async {
        let sent: Vec<Value> = client.get(format!("{simulator}/_sim/whatsapp/sent")).send().await?.json().await?;
        let texts: Vec<_> = sent.iter().filter_map(|row| row["text"].as_str()).collect();
        Ok(if texts == ["Somebody runs."] { Ok(()) } else { Err(format!("{texts:?}; {heard:?}")) })
    })
    .await
}
