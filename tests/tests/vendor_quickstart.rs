//! The vendors' quick start, followed literally in each language: every command of the guide is typed as it stands there,
//! every file is written as it is shown, and what the guide says happens. The registry is a real one on loopback.
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
use patchbay_tests::dev::Dev;
use patchbay_tests::registry::ContainerRegistry;
use patchbay_tests::{binary, eventually};
use serde_json::{Value, json};
use tokio::process::Command;

/// The guide's own registry.
const REGISTRY: &str = "registry.example.com";
/// What is tried by a test of its own, since it does not end: `watch`, in `vendor_languages`.
const ELSEWHERE: &str = "patchbay plugin watch";
/// What the language's SDK installs for itself is shared by all tests.
const INSTALLED: [(&str, &str, &str); 2] =
    [("javascript", "plugin-sdk/javascript", "node_modules"), ("python", "plugin-sdk/python", ".venv")];

/// A part of the guide that a reader does something with.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// A line to type.
    Command(String),
    /// A file to write; it is named in the text before it.
    File(String, String),
}

/// The guide's parts, in order.
fn guide() -> Vec<Part> {
    let text = std::fs::read_to_string(binary::root().join("docs/vendors/quickstart.md")).unwrap();
    let mut parts = Vec::new();
    let mut prose = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(kind) = line.strip_prefix("```").filter(|kind| !kind.is_empty()) else {
            prose.push_str(line);
            prose.push('\n');
            continue;
        };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if kind == "console" {
            parts.extend(block.iter().filter_map(|line| Some(Part::Command(line.strip_prefix("$ ")?.to_owned()))));
        } else {
            let name = prose.rsplit('`').nth(1).expect("the guide names each file before it shows it");
            parts.push(Part::File(name.to_owned(), block.join("\n") + "\n"));
        }
        prose.clear();
    }
    parts
}

/// A reader in a folder, with one gateway at a time.
struct Reader {
    language: &'static str,
    folder: PathBuf,
    registry: ContainerRegistry,
    dev: Option<Dev>,
    _home: tempfile::TempDir,
}

impl Reader {
    fn new(language: &'static str) -> Result<Self> {
        let home = tempfile::tempdir()?;
        let folder = home.path().to_owned();
        Ok(Self { language, folder, registry: ContainerRegistry::open()?, dev: None, _home: home })
    }

    /// Types a line of the guide.
    async fn types(&mut self, line: &str) -> Result<String> {
        let line =
            line.replace("--lang rust", &format!("--lang {}", self.language)).replace(REGISTRY, self.registry.host());
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["cd", folder] => {
                self.folder.push(folder);
                self.install()?;
            }
            ["patchbay", "dev", arguments @ ..] => self.dev = Some(self.dev(arguments).await?),
            ["patchbay", arguments @ ..] => return self.patchbay(arguments).await,
            _ => panic!("the guide has a line that this test does not know: {line}"),
        }
        Ok(String::new())
    }

    /// Nothing is downloaded or compiled once more that other tests have.
    fn install(&self) -> Result<()> {
        if let Some((_, sdk, installed)) = INSTALLED.iter().find(|(language, ..)| *language == self.language) {
            let from = binary::root().join(sdk).join(installed);
            std::os::unix::fs::symlink(from, self.folder.join("sdk").join(installed))?;
        } else {
            let target = std::env::var_os("CARGO_TARGET_DIR");
            let target = target.map_or_else(|| binary::root().join("target"), PathBuf::from).join("vendor-rust");
            std::fs::create_dir_all(&target)?;
            std::os::unix::fs::symlink(target, self.folder.join("target"))?;
        }
        Ok(())
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(binary::patchbay()?);
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null()).kill_on_drop(true);
        if let Some(dev) = &self.dev {
            command.env("PATCHBAY_URL", dev.address("gateway")?).env("PATCHBAY_TOKEN", dev.address("admin_token")?);
        }
        Ok(command)
    }

    async fn patchbay(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command(arguments)?.output().await?;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        anyhow::ensure!(output.status.success(), "patchbay {arguments:?}: {}\n{out}\n{err}", output.status);
        Ok(out.into_owned())
    }

    /// `patchbay dev` as the guide has it, on free ports and without a browser.
    async fn dev(&mut self, arguments: &[&str]) -> Result<Dev> {
        if let Some(before) = self.dev.take() {
            before.kill().await?;
        }
        Dev::start(self.command(&[&["dev"], arguments].concat())?).await
    }

    /// Writes on the phone page what the guide says, and sees what it says.
    async fn sees_it_act(&self, from: &str) -> Result<()> {
        let simulator = self.dev.as_ref().context("no gateway runs")?.address("simulator")?;
        let client = reqwest::Client::new();
        let message = json!({ "from": from, "type": "text", "text": { "body": "Where is my invoice?" } });
        let url = format!("{simulator}/_sim/whatsapp/inbound?wait=1");
        client.post(url).json(&message).send().await?.error_for_status()?;
        eventually("the answer, and the ticket in the queue", || async {
            let sent: Vec<Value> = client.get(format!("{simulator}/_sim/whatsapp/sent")).send().await?.json().await?;
            let tickets: Vec<Value> =
                client.get(format!("{simulator}/_sim/desks/zendesk/tickets")).send().await?.json().await?;
            let answered = sent.iter().any(|row| row["to"] == from && row["text"] == "We are on it.");
            let filed = tickets.iter().any(|ticket| ticket["queue"] == "billing");
            Ok(if answered && filed { Ok(()) } else { Err(format!("{sent:?} {tickets:?}")) })
        })
        .await
    }

    fn writes(&self, name: &str, text: &str) -> Result<()> {
        let file = self.folder.join(name);
        let before = if file.is_file() { std::fs::read_to_string(&file)? + "\n" } else { String::new() };
        Ok(std::fs::write(file, before + text)?)
    }
}

async fn follows(language: &'static str) -> Result<()> {
    let mut reader = Reader::new(language)?;
    let mut acted = 0;
    for part in guide() {
        match part {
            Part::File(name, text) => reader.writes(&name, &text)?,
            Part::Command(line) if line.starts_with(ELSEWHERE) => {}
            Part::Command(line) => {
                let said = reader.types(&line).await.with_context(|| line.clone())?;
                if line.starts_with("patchbay dev") || line.contains(" deploy ") {
                    acted += 1;
                    reader.sees_it_act(&format!("44770090000{acted}")).await.with_context(|| line.clone())?;
                }
                if line.ends_with(" list") {
                    let row = said.lines().find(|row| row.starts_with("acme-first")).with_context(|| said.clone())?;
                    let words: Vec<&str> = row.split_whitespace().collect();
                    assert!(words.windows(2).any(|pair| pair == ["2", "active"]), "{said}");
                }
            }
        }
    }
    assert_eq!(acted, 3, "before it is shipped, signed, and from the registry");
    assert!(Path::new(&reader.folder).join("acme.pub").is_file());
    Ok(())
}

#[test]
fn the_guide_has_the_whole_way() {
    let parts = guide();
    let commands: Vec<&str> = parts
        .iter()
        .filter_map(|part| if let Part::Command(line) = part { Some(line.as_str()) } else { None })
        .collect();
    for step in ["new", "build", "test", "inspect", "watch", "keygen", "sign", "push", "deploy", "list"] {
        let begins = format!("patchbay plugin {step}");
        assert!(commands.iter().any(|line| line.starts_with(&begins)), "the guide has no `{begins}`");
    }
}

#[tokio::test]
async fn a_vendor_follows_the_guide_in_rust() -> Result<()> {
    follows("rust").await
}

#[tokio::test]
async fn a_vendor_follows_the_guide_in_javascript() -> Result<()> {
    follows("javascript").await
}

#[tokio::test]
async fn a_vendor_follows_the_guide_in_python() -> Result<()> {
    follows("python").await
}
