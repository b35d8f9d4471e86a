//! What the operator reads about a request that was refused: the lines to paste, once in a call.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod common;

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use common::*;
use patchbay_runtime::{Call, Engine, HostPattern, HttpGrant, LoadError, Mode, Plugin, PluginSpec};
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The lines about refusals of this subject, each with the lines to paste below it. Guests' threads log, so the
/// subscriber is the process's.
fn told(subject: &str) -> Vec<String> {
    let text = String::from_utf8(lines().0.lock().unwrap().clone()).unwrap();
    let mut told: Vec<String> = Vec::new();
    for line in text.lines() {
        if line.contains("a request of a plugin was refused") {
            told.push(line.to_owned());
        } else if let Some(last) = told.last_mut() {
            last.push('\n');
            last.push_str(line);
        }
    }
    told.into_iter().filter(|line| line.contains(&format!("subject=\"{subject}\""))).collect()
}

fn lines() -> &'static Lines {
    static LINES: OnceLock<Lines> = OnceLock::new();
    LINES.get_or_init(|| {
        let lines = Lines::default();
        let writer = tracing_subscriber::fmt().with_writer(lines.clone()).with_ansi(false);
        tracing::subscriber::set_global_default(writer.with_max_level(tracing::Level::INFO).finish()).unwrap();
        lines
    })
}

async fn load(engine: &Engine, name: &str, guest: &str, change: impl FnOnce(&mut PluginSpec)) -> Plugin {
    lines();
    let mut spec = spec(name, guest);
    spec.limits.cpu = Duration::from_millis(300);
    spec.grants.http.push(HttpGrant::https(HostPattern::parse("api.example.com").unwrap()));
    change(&mut spec);
    engine.load(spec).await.unwrap()
}

#[tokio::test]
async fn a_storm_of_requests_is_two_lines() {
    let engine = engine();
    let plugin = load(&engine, "caller", "caller", |_| {}).await;
    // It asks until its time is over.
    let stormy = plugin.handle(&text("storm http://other.example:8080/secret?key=1"), &call("ev_storm")).await;
    assert!(stormy.is_err(), "{stormy:?}");
    let told = told("ev_storm");
    assert_eq!(told.len(), 2, "{told:#?}");
    for part in [
        "WARN",
        "plugin `caller` is not granted the host other.example",
        "plugin=\"caller\"",
        "generation=3",
        "reason=\"host\"",
        "add=[[plugins.caller.grants.http]]\nhost = \"other.example\"\nplain_http = true\nports = [8080]",
    ] {
        assert!(told[0].contains(part), "no {part} in {}", told[0]);
    }
    assert!(!told[0].contains("key=1"), "{}", told[0]);
    assert!(told[1].contains("one call makes no more than 64 requests"), "{}", told[1]);
}

#[tokio::test]
async fn uploads_are_told_like_any_request() {
    let engine = engine_with(|options| options.media = shelf(vec![1; 100]));
    let plugin = load(&engine, "zen", "desk", |spec| spec.grants.media = true).await;
    let denied = Call { subject: "ta_upload".into(), ..desk_call() };
    plugin.read_ticket("upload https://api.example.com:8443/up photo", &denied).await.unwrap();
    let told = told("ta_upload");
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(
        told[0].contains("add=[[plugins.zen.grants.http]]\nhost = \"api.example.com\"\nports = [8443]"),
        "{told:#?}"
    );
}

#[tokio::test]
async fn a_rehearsal_is_told_with_its_own_word() {
    let engine = engine();
    let plugin = load(&engine, "zen", "desk", |spec| spec.grants.media = true).await;
    let rehearsal = Call { subject: "ta_rehearsal".into(), mode: Mode::Rehearsal, ..desk_call() };
    let snapshot = plugin.read_ticket("post 50000 https://api.example.com/x", &rehearsal).await.unwrap();
    let said = snapshot.entries.iter().find(|(name, _)| name == "x-patchbay-denied").unwrap();
    assert_eq!(said.1.reveal(), "rehearsal");
    let told = told("ta_rehearsal");
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].contains("INFO") && told[0].contains("host = \"api.example.com\"\nrehearsal = true"), "{told:#?}");
}

#[tokio::test]
async fn keys_and_values_beyond_the_quota_are_told_too() {
    let engine = engine();
    let plugin = load(&engine, "keeper", "keeper", |spec| {
        spec.grants.http.clear();
        spec.grants.keyvalue = Some(1000);
    })
    .await;
    drop(plugin.handle(&text("long 10 2000\nlong 11 2000\nlong 12 2000"), &call("ev_quota")).await);
    let told = told("ev_quota");
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].contains("plugin `keeper` keeps 0 bytes, would keep 2010, and is granted 1000"), "{told:#?}");
    assert!(told[0].contains("add=[plugins.keeper.grants]\nkeyvalue = \"1MiB\""), "{told:#?}");
}

#[tokio::test]
async fn what_is_refused_from_the_start_is_in_the_error() {
    let engine = engine();
    for (guest, expected) in [
        ("desk", "[plugins.acme.grants]\nmedia = true"),
        ("keeper", "[plugins.acme.grants]\nkeyvalue = "),
        ("caller", "[[plugins.acme.grants.http]]\nhost = "),
    ] {
        let mut spec = spec("acme", guest);
        if guest == "desk" {
            spec.grants.http.push(HttpGrant::https(HostPattern::parse("api.example.com").unwrap()));
        }
        let error = engine.load(spec).await.unwrap_err();
        assert!(matches!(error, LoadError::Import { .. }), "{guest}: {error}");
        assert!(error.to_string().contains(expected), "{guest}: {error}");
    }
}
