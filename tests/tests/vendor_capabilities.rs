//! Everything that a plugin may ask a gateway for, in TypeScript and in Python: settings, log, store, signatures, clocks and
//! randomness, HTTP, media, failures. The plugins are those of `tests/plugins`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use axum::Json;
use axum::routing::get;
use hmac::{Hmac, KeyInit, Mac};
use patchbay_tests::config::Options;
use patchbay_tests::vendor::{JAVASCRIPT, Language, PYTHON, begin, component};
use patchbay_tests::{House, binary, eventually};
use serde_json::{Value, json};
use tokio::process::Command;

const ADA: &str = "447700900001";
/// What the gateway has in the variable `PB_ZENDESK_WEBHOOK`, which the plugin's secret is bound to.
const SECRET: &str = "the-zendesk-webhook-secret";
const PHOTO: &[u8] = b"\x89PNG\r\n\x1a\nnot much of a picture";

/// The plugin of this folder of `tests/plugins`, in a project as a vendor begins one.
async fn project(language: Language, fixture: &str, folder: &Path) -> Result<PathBuf> {
    let project = begin(language, "handler", "acme-everything", folder).await?;
    std::fs::remove_dir_all(project.join("tests"))?;
    std::fs::remove_dir_all(project.join("src"))?;
    copy(&binary::root().join("tests/plugins").join(fixture), &project)?;
    // Each setting is tried as it is, whatever a schema would say.
    std::fs::remove_file(project.join("settings.schema.json"))?;
    let component = component(&project).await?;
    if language.name == JAVASCRIPT.name {
        let types = Command::new("npm").args(["run", "--silent", "types"]).current_dir(&project).output().await?;
        anyhow::ensure!(types.status.success(), "{}", String::from_utf8_lossy(&types.stdout));
    }
    Ok(component)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// A shop on loopback as long as the test runs.
async fn shop() -> Result<u16> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let orders = get(|| async { Json(json!({ "state": "sent" })) })
        .post(|body: String| async move { format!("{} bytes", body.len()) });
    let router = axum::Router::new().route("/api/orders", orders);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(port)
}

async fn house(component: &Path, shop: u16) -> Result<House> {
    let more = format!(
        r#"
[plugins.everything]
source = "file:{component}"
[plugins.everything.settings]
shop = "http://127.0.0.1:{shop}"
nested = {{ list = ["a", "ü"], number = 7, truth = true }}
[plugins.everything.grants]
media = true
keyvalue = "1MiB"
[[plugins.everything.grants.http]]
host = "127.0.0.1"
ports = [{shop}]
paths = ["/api"]
plain_http = true
private_network = true
[plugins.everything.secrets]
signing = "env:PB_ZENDESK_WEBHOOK"

[[chains]]
name = "files"
match = {{ kinds = ["media"] }}
steps = [{{ plugin = "everything", timeout = "5s" }}]
"#,
        component = component.display()
    );
    let steps = vec![("everything".to_owned(), "retry".to_owned())];
    House::with(Options { steps, more, ..Options::default() }).await
}

/// A customer writes, and this is the plugin's answer: JSON, and what the other package made of it.
async fn answer(house: &House, says: &str) -> Result<Value> {
    let before = house.sent().await?.len();
    house.text(ADA, says).await?;
    let text = eventually(says, || async {
        let sent = house.sent().await?;
        let text = sent.get(before).and_then(|row| row["text"].as_str()).map(str::to_owned);
        Ok(text.ok_or_else(|| house.gateway().map(patchbay_tests::Gateway::log).unwrap_or_default()))
    })
    .await?;
    let json = text.strip_suffix('!').context("the other package was not asked")?;
    serde_json::from_str(json).with_context(|| text.clone())
}

/// A customer writes, and this is the report that comes of it.
async fn report(house: &House, says: &str, cause: &str, contains: &str) -> Result<Value> {
    house.text(ADA, says).await?;
    eventually(says, || async {
        let reports = house.api("/v1/reports").await?;
        let found =
            reports.as_array().context("no list")?.iter().find(|row| {
                row["plugin"] == "everything" && row["cause"] == cause && row.to_string().contains(contains)
            });
        Ok(found.cloned().ok_or_else(|| reports.to_string()))
    })
    .await
}

fn signature<M: Mac + KeyInit>() -> String {
    let mut mac = <M as KeyInit>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(b"hello");
    hex::encode(mac.finalize().into_bytes())
}

async fn works(language: Language, fixture: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let component = project(language, fixture, folder.path()).await?;
    let shop = shop().await?;
    let house = house(&component, shop).await?;

    let settings = json!({ "shop": format!("http://127.0.0.1:{shop}"), "nested": { "list": ["a", "ü"], "number": 7, "truth": true } });
    assert_eq!(answer(&house, "settings").await?, settings);

    // A line in the log, under the plugin's name and without a number that may be somebody's.
    assert_eq!(answer(&house, "log").await?, Value::Null);
    let log = house.gateway()?.log();
    let line = log.lines().find(|line| line.contains("a line of the plugin")).context("no line")?;
    assert!(line.contains("everything") && line.contains("WARN") && !line.contains(ADA), "{line}");

    // What one call writes, another one reads.
    answer(&house, "remember grüezi").await?;
    assert_eq!(answer(&house, "recall").await?, json!(["grüezi", true, false, ["word"]]));
    assert_eq!(answer(&house, "forget").await?, json!([null, null, []]));

    let (sha256, sha1) = (signature::<Hmac<sha2::Sha256>>(), signature::<Hmac<sha1::Sha1>>());
    let checked = answer(&house, &format!("verify {sha256} {sha1} {SECRET}")).await?;
    assert_eq!(checked, json!([true, true, false, true]));
    let unknown = report(&house, "secret", "failure", "no-such-secret").await?;
    assert!(!unknown.to_string().contains(SECRET), "{unknown}");

    // The clock is the event's, and what is drawn is drawn again when the event is tried again.
    assert_eq!(answer(&house, "clock").await?, json!([true, true]));
    let drawn = answer(&house, "again").await?;
    let log = house.gateway()?.log();
    let first = log.lines().find_map(|line| line.split("drawn: ").nth(1)).context("nothing was drawn")?;
    assert_eq!(first.split_whitespace().next(), drawn.as_str(), "{log}");
    assert_ne!(answer(&house, "again").await?, drawn, "another event draws the same");

    assert_eq!(answer(&house, "get").await?, json!({ "state": "sent" }));
    assert_eq!(answer(&house, "post").await?, json!("100000 bytes"));
    // A request that is not granted: the plugin sees which part, and the operator what to write.
    assert_eq!(answer(&house, "look").await?, json!("path"));
    report(&house, "denied", "failure", "not granted this path").await?;
    let log = house.gateway()?.log();
    assert!(log.contains("[[plugins.everything.grants.http]]") && log.contains("/admin"), "{log}");

    let media = house.upload("slip.png", "image/png", PHOTO).await?;
    let before = house.sent().await?.len();
    house.inbound(json!({ "from": ADA, "type": "image", "image": { "id": media, "caption": "a slip" } })).await?;
    let expected = format!("{}!", json!([PHOTO.len(), [0x50, 0x4e, 0x47], PHOTO.len()]));
    eventually("the photo", || async {
        let sent = house.sent().await?;
        let text = sent.get(before).and_then(|row| row["text"].as_str()).unwrap_or_default().to_owned();
        Ok(if text == expected { Ok(()) } else { Err(format!("{text}; {}", house.gateway()?.log())) })
    })
    .await?;

    report(&house, "permanent", "failure", "this will never do").await?;
    let broken =
        report(&house, "throw", "trap", if language.name == PYTHON.name { "KeyError" } else { "TypeError" }).await?;
    let trace = broken["stderr"].as_str().unwrap_or_default();
    let place = if language.name == PYTHON.name { "throw_" } else { "throw" };
    assert!(trace.contains(place), "{broken}");
    Ok(())
}

#[tokio::test]
async fn a_plugin_in_typescript_can_do_all_of_it() -> Result<()> {
    works(JAVASCRIPT, "everything-ts").await
}

#[tokio::test]
async fn a_plugin_in_python_can_do_all_of_it() -> Result<()> {
    works(PYTHON, "everything-python").await
}
