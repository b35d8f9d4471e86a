//! What an operator sees of a plugin: log lines and metrics. One test, because both are kept for the whole process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod common;

use std::io::Write;
use std::sync::{Arc, Mutex};

use common::*;
use patchbay_runtime::{HostPattern, HttpGrant};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn log_lines_and_metrics() {
    let lines = Lines::default();
    let writer = lines.clone();
    tracing_subscriber::fmt().json().with_writer(move || writer.clone()).init();
    let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder().unwrap();

    let engine = engine();
    let plugin = handler_with(&engine, |spec| {
        spec.limits.cpu = std::time::Duration::from_secs(20);
        spec.secrets.insert("webhook".into(), vec!["the-secret".to_owned().into()]);
    })
    .await;
    plugin.handle(&text("log from 447700900001 with the-secret"), &call("ev_7")).await.unwrap();
    let text_of_log = lines.text();
    let written: Vec<_> = text_of_log.lines().filter(|line| line.contains("from [number] with [secret]")).collect();
    assert_eq!(written.len(), 64, "{text_of_log}");
    assert!(
        written[0].contains("\"plugin\":\"triage\"") && written[0].contains("\"subject\":\"ev_7\""),
        "{}",
        written[0]
    );
    assert!(text_of_log.contains("the rest is dropped"));
    assert!(!text_of_log.contains("447700900001") && !text_of_log.contains("the-secret"));

    plugin.handle(&text("huge-log"), &call("ev_7")).await.unwrap();
    assert!(lines.text().len() < text_of_log.len() + 4096, "a long line is cut");

    let mut desk = spec("zen", "desk");
    desk.grants.media = true;
    desk.grants.http.push(HttpGrant::https(HostPattern::parse("acme.com").unwrap()));
    let desk = engine.load(desk).await.unwrap();
    desk.read_ticket("http GET https://other.example/users/447700900001?key=hidden", &desk_call()).await.unwrap();
    let line = lines.text().lines().find(|line| line.contains("other.example")).unwrap().to_owned();
    for word in [
        "\"plugin\":\"zen\"",
        "\"subject\":\"ta_1\"",
        "/users/[number]",
        "\"reason\":\"host\"",
        "plugins.zen.grants.http",
    ] {
        assert!(line.contains(word), "no {word} in {line}");
    }
    assert!(!line.contains("hidden"), "{line}");

    drop(plugin.handle(&text("permanent no"), &call("ev_8")).await);
    drop(plugin.handle(&text("panic"), &call("ev_9")).await);
    engine.record_metrics();
    let page = metrics.render();
    for (outcome, count) in [("ok", 2), ("permanent", 1), ("trap", 1)] {
        let found = page.lines().any(|line| {
            line.starts_with("patchbay_plugin_calls_total{")
                && ["plugin=\"triage\"", "role_fn=\"handler.handle\"", &format!("outcome=\"{outcome}\"")]
                    .iter()
                    .all(|label| line.contains(label))
                && line.ends_with(&format!(" {count}"))
        });
        assert!(found, "{outcome}: {page}");
    }
    assert!(page.contains("patchbay_plugin_call_seconds"), "{page}");
    assert!(page.contains("patchbay_plugin_slots 32"), "{page}");
}
