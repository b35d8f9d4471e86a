//! The guide for vendors, followed: its files are the example's, the example's own tests pass, its component builds, and
//! `patchbay dev` with its configuration does what the guide says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use patchbay_tests::dev::Dev;
use patchbay_tests::{binary, eventually};
use serde_json::{Value, json};
use tokio::process::Command;

/// The files that the guide has the reader write.
const FILES: [&str; 4] = ["Cargo.toml", ".cargo/config.toml", "src/lib.rs", "vip.toml"];
/// Where the guide's configuration looks for the component, from its own folder.
const COMPONENT: &str = "wasm32-wasip2/release/vip_router.wasm";

fn example() -> PathBuf {
    binary::root().join("examples/vip-router")
}

/// The folder that the shipped plugins are built in, so that the SDK is not built a second time.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| binary::root().join("target"), PathBuf::from).join("plugins")
}

async fn cargo(arguments: &[&str]) -> Result<()> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(arguments)
        .args(["--locked", "--quiet", "--target-dir"])
        .arg(target())
        .current_dir(example())
        .stdin(Stdio::null())
        .output()
        .await?;
    if !output.status.success() {
        bail!("cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(output.stderr.is_empty(), "a reader would see this: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// `patchbay dev` in this folder.
async fn dev(folder: &Path) -> Result<Dev> {
    let mut command = Command::new(binary::patchbay()?);
    command.args(["dev", "--config", "vip.toml"]).current_dir(folder);
    Dev::start(command).await
}

#[test]
fn the_guide_shows_the_example_as_it_is() {
    let guide = std::fs::read_to_string(binary::root().join("docs/vendors.md")).unwrap();
    for file in FILES {
        let text = std::fs::read_to_string(example().join(file)).unwrap();
        assert!(guide.contains(&format!("\n{text}```\n")), "docs/vendors.md does not show {file} as it is");
    }
}

#[tokio::test]
async fn following_the_guide_leads_to_a_handler_that_decides() -> Result<()> {
    cargo(&["test"]).await?;
    cargo(&["build", "--release", "--target", "wasm32-wasip2"]).await?;
    let folder = tempfile::tempdir()?;
    let component = folder.path().join("target").join(COMPONENT);
    std::fs::create_dir_all(component.parent().context("a folder")?)?;
    std::fs::copy(target().join(COMPONENT), component)?;
    std::fs::copy(example().join("vip.toml"), folder.path().join("vip.toml"))?;

    let dev = dev(folder.path()).await?;
    let simulator = dev.address("simulator")?;
    let client = reqwest::Client::new();
    for (from, text) in [("447700900001", "Hello, this is VIP-42"), ("447700900002", "Hello")] {
        let message = json!({ "from": from, "type": "text", "text": { "body": text } });
        let written = client.post(format!("{simulator}/_sim/whatsapp/inbound?wait=1")).json(&message).send().await?;
        written.error_for_status()?;
    }
    eventually("both tickets in their queues", || async {
        let tickets = client.get(format!("{simulator}/_sim/desks/zendesk/tickets")).send().await?;
        let tickets: Vec<Value> = tickets.json().await?;
        let mut seen: Vec<_> = tickets
            .iter()
            .map(|ticket| {
                let part = |key: &str| ticket[key].as_str().unwrap_or_default().to_owned();
                (part("subject"), part("queue"), part("priority"))
            })
            .collect();
        seen.sort();
        let expected = [("Hello", "support", "normal"), ("Hello, this is VIP-42", "vip", "urgent")]
            .map(|(subject, queue, priority)| (subject.to_owned(), queue.to_owned(), priority.to_owned()));
        Ok(if seen == expected { Ok(()) } else { Err(format!("{seen:?}")) })
    })
    .await?;
    eventually("the answer to the one customer", || async {
        let sent: Vec<Value> = client.get(format!("{simulator}/_sim/whatsapp/sent")).send().await?.json().await?;
        let texts: Vec<_> = sent.iter().filter_map(|row| Some((row["to"].as_str()?, row["text"].as_str()?))).collect();
        let expected = [("447700900001", "Thank you! Your personal team has your message.")];
        Ok(if texts == expected { Ok(()) } else { Err(format!("{texts:?}")) })
    })
    .await
}
