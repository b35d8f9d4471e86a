//! The guide for operators, held against the gateway: its configuration is in order, its requests are answered, the
//! metrics are the ones that it lists, and the lines of the log that it explains exist.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use patchbay_tests::{House, binary, eventually};
use serde_json::json;

fn guide() -> String {
    std::fs::read_to_string(binary::root().join("docs/operators.md")).unwrap()
}

/// The guide's code blocks in this language.
fn blocks(language: &str) -> Vec<String> {
    let guide = guide();
    let opening = format!("\n```{language}\n");
    let begun = guide.split(&opening).skip(1);
    begun.map(|rest| rest.split("\n```").next().unwrap_or_default().to_owned()).collect()
}

/// Everything that the host's crates are written in.
fn sources(folder: &Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "tests") {
            sources(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            into.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

/// The names of metrics in a text, a histogram's without what is added to it.
fn metrics(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let names = words.filter(|word| {
        word.starts_with("patchbay_")
            && ["_total", "_seconds", "_free", "_bucket", "_sum", "_count"].iter().any(|end| word.ends_with(end))
    });
    names
        .map(|name| ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name))
        .collect()
}

#[test]
fn the_sections_of_the_configuration_are_one_whole_file() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("patchbay.toml");
    let sections: Vec<String> = blocks("toml").into_iter().filter(|block| !block.starts_with("#:schema")).collect();
    assert!(sections.len() > 5);
    std::fs::write(&file, sections.join("\n\n"))?;
    let output = Command::new(binary::patchbay()?)
        .args(["check", "--strict", "--config"])
        .arg(&file)
        .env_clear()
        .envs(["WHATSAPP_APP_SECRET", "WHATSAPP_VERIFY_TOKEN", "WHATSAPP_ACCESS_TOKEN"].map(|name| (name, "a")))
        .envs(["ZENDESK_API_TOKEN", "ZENDESK_WEBHOOK_SECRET"].map(|name| (name, "b")))
        .env("PATCHBAY_ADMIN_SECRET", "0123456789abcdef0123456789abcdef")
        .output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn the_lines_of_the_log_that_it_explains_exist() {
    let mut written = String::new();
    sources(&binary::root().join("host"), &mut written);
    let written = written.replace('`', "");
    let guide = guide();
    let section = guide.split("\n## What to do when").nth(1).unwrap().split("\n## ").next().unwrap();
    let prose: String = section.split("\n```").step_by(2).collect();
    let quoted: Vec<&str> = prose.split('`').skip(1).step_by(2).filter(|span| span.split(' ').count() > 3).collect();
    assert!(quoted.len() > 8, "{quoted:?}");
    for line in quoted {
        assert!(written.contains(line), "nothing in host/ says “{line}”");
    }
}

#[tokio::test]
async fn its_requests_are_answered_and_its_metrics_are_there() -> Result<()> {
    let house = House::open().await?;
    house.text("447700900001", "hello").await?;
    eventually("the ticket", || async {
        let tickets = house.tickets().await?;
        Ok(if tickets.is_empty() { Err("none".into()) } else { Ok(()) })
    })
    .await?;
    let closed = json!({ "error": { "code": 131_047, "message": "(#131047) Re-engagement message" } });
    house
        .fault(json!({ "target": "whatsapp", "route": "POST /*/messages", "next": 1, "answer": 400, "body": closed }))
        .await?;
    house.agent(json!({ "ticket": "1", "public": true, "text": "Good morning" })).await?;
    let letter = eventually("the dead letter of an answer behind a closed window", || async {
        let letters = house.api("/v1/dead-letters").await?;
        Ok(letters.get(0).cloned().ok_or_else(|| letters.to_string()))
    })
    .await?;
    assert!(letter["reason"].as_str().unwrap_or_default().contains("131047"), "{letter}");
    eventually("the note in the ticket", || async {
        let entries = house.entries_of("447700900001").await?;
        let told = entries.iter().any(|entry| entry.contains("could not be sent") && entry.contains("131047"));
        Ok(if told { Ok(()) } else { Err(format!("{entries:?}")) })
    })
    .await?;

    let word = |key: &str| letter[key].as_str().unwrap_or_default().to_owned();
    let asked = blocks("sh").join("\n");
    let asked: Vec<&str> = asked
        .lines()
        .filter(|line| line.starts_with("curl -") && line.contains("$PATCHBAY_URL") && line.ends_with('"'))
        .collect();
    assert_eq!(asked.len(), 7, "{asked:?}");
    for line in asked {
        let path = line.split("$PATCHBAY_URL").nth(1).and_then(|rest| rest.strip_suffix('"')).context("no path")?;
        let path = path.replace("$CONVERSATION", &word("conversation"));
        let path = path.replace("$EVENT", &word("event")).replace("$TASK", &word("task"));
        if line.contains("-X POST") {
            house.api_post(&path).await.with_context(|| line.to_owned())?;
        } else {
            house.api(&path).await.with_context(|| line.to_owned())?;
        }
    }

    let url = format!("{}/metrics", house.gateway()?.url());
    let shown = reqwest::Client::new().get(url).send().await?.text().await?;
    let guide = guide();
    let told = metrics(&guide);
    let found = metrics(&shown);
    assert!(found.len() > 8, "{found:?}");
    assert!(found.is_subset(&told), "not in the guide: {:?}", found.difference(&told));
    let mut written = String::new();
    sources(&binary::root().join("host"), &mut written);
    for name in told {
        assert!(written.contains(&format!("!(\"{name}\"")) || written.contains(&format!("\"{name}\",")), "{name}");
    }
    Ok(())
}
