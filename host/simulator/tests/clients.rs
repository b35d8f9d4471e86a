//! Clients that are not ours: pywa for the WhatsApp Cloud API, zenpy for Zendesk.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use patchbay_simulator::{Simulator, SimulatorOptions};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

/// Ends a script that waits for something that never comes.
const LIMIT: Duration = Duration::from_secs(120);

/// The interpreter with the pinned clients of `tests/python/requirements.txt`.
fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target));
    let python = target.join("test-venv/bin/python");
    assert!(
        python.exists(),
        "{} is missing: it holds the Python clients of tests/python/requirements.txt. `cargo xtask test` makes it",
        python.display()
    );
    python
}

fn script(name: &str, simulator: &Simulator) -> Command {
    let mut command = Command::new(python());
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(name))
        .arg(simulator.url())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn start() -> Simulator {
    let spec = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/specs/whatsapp-business-messaging-v23.yaml");
    let mut options = SimulatorOptions { graph_spec: Some(spec.into()), ..SimulatorOptions::default() };
    options.whatsapp.status_pause = Duration::from_millis(5);
    options.whatsapp.retry_base = Duration::from_millis(50);
    Simulator::start(options).await.unwrap()
}

#[tokio::test]
async fn pywa_takes_our_webhooks_and_sends_through_our_graph() {
    let simulator = start().await;
    let mut child = script("pywa_client.py", &simulator).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = tokio::time::timeout(LIMIT, lines.next_line()).await.unwrap().unwrap();
    if let Some(port) = port {
        let receiver = format!("http://127.0.0.1:{port}/");
        simulator.set_webhooks(receiver.clone(), receiver);
        child.stdin.take().unwrap().write_all(b"go\n").await.unwrap();
    }
    let outcome = tokio::time::timeout(LIMIT, child.wait_with_output()).await.unwrap().unwrap();
    assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
    // A text beyond the limit is refused by the simulator; the description itself knows no such limit.
    assert_eq!(simulator.state().violations(), Vec::<serde_json::Value>::new());
}

#[tokio::test]
async fn zenpy_works_with_our_zendesk() {
    let simulator = start().await;
    let child = script("zenpy_client.py", &simulator).spawn().unwrap();
    let outcome = tokio::time::timeout(LIMIT, child.wait_with_output()).await.unwrap().unwrap();
    assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
}
