//! What a plugin finds of its credentials: nothing, in its memory, in what it prints, and in what servers tell it.

use std::io::Write;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use patchbay_runtime::{CallError, Credential, HttpGrant, Plugin};
use tracing_subscriber::fmt::MakeWriter;

use super::common::*;
use super::server::Server;

/// Letters that look different in headers, in JSON and in URLs.
const HEADER: &str = "key-\"quoted\"/and+plus-0001";
const PASSWORD: &str = "pass word&0002/\\";
const BEARER: &str = "bearer.token~0003";
const WEBHOOK: &str = "webhook-secret-0004";

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

/// Every form in which these secrets could stand somewhere.
fn forms() -> Vec<Vec<u8>> {
    let base64 = base64::engine::general_purpose::STANDARD;
    let pair = base64.encode(format!("agent:{PASSWORD}"));
    let mut all = Vec::new();
    for secret in [HEADER, PASSWORD, BEARER, WEBHOOK, &pair] {
        all.push(secret.to_owned());
        all.push(serde_json::to_string(secret).unwrap().trim_matches('"').to_owned());
        all.push(format!("{secret:?}").trim_matches('"').to_owned());
        all.push(base64.encode(secret));
        all.push(url::form_urlencoded::byte_serialize(secret.as_bytes()).collect());
        all.push(secret.chars().rev().collect());
    }
    let mut all: Vec<Vec<u8>> = all.into_iter().map(String::into_bytes).collect();
    let wide: Vec<_> = all.iter().map(|text| text.iter().flat_map(|byte| [*byte, 0]).collect()).collect();
    all.extend(wide);
    all.dedup();
    all
}

#[track_caller]
fn assert_clean(what: &str, bytes: &[u8]) {
    for form in forms() {
        let found = bytes.windows(form.len()).position(|window| window == form);
        assert_eq!(found, None, "{what} holds `{}`", String::from_utf8_lossy(&form));
    }
}

async fn snoop(server: &Server, credential: Credential) -> Plugin {
    let engine = engine_with(|options| options.concurrent_calls = 2);
    let mut spec = spec("snoop", "snoop");
    spec.settings = serde_json::json!({ "marker": "a-marker-in-the-settings" }).as_object().unwrap().clone();
    spec.grants.http.push(HttpGrant { credential: Some(credential), ..server.grant() });
    spec.secrets.insert("webhook".into(), vec![WEBHOOK.to_owned().into()]);
    spec.limits.cpu = std::time::Duration::from_secs(30);
    engine.load(spec).await.unwrap()
}

#[tokio::test]
async fn a_plugin_that_searches_everything_finds_no_secret() {
    let lines = Lines::default();
    let subscriber =
        tracing_subscriber::fmt().with_writer(lines.clone()).with_max_level(tracing::Level::TRACE).finish();
    // The guests' threads log too: for the whole process.
    tracing::subscriber::set_global_default(subscriber).unwrap();

    for (credential, sent) in [
        (Credential::Header { name: "x-api-key".into(), value: HEADER.to_owned().into() }, HEADER.to_owned()),
        (Credential::Bearer(BEARER.to_owned().into()), format!("Bearer {BEARER}")),
        (
            Credential::Basic { username: "agent".into(), password: PASSWORD.to_owned().into() },
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("agent:{PASSWORD}"))),
        ),
    ] {
        let server = Server::start().await;
        let plugin = snoop(&server, credential).await;
        let base = server.url("");
        let outcome = plugin.handle(&text(&format!("snoop {base}")), &call("ev_1")).await.unwrap();
        let said = format!("{:?}", attributes(&outcome));
        // It saw what the server sent back, and the server had the credential.
        assert!(said.contains("x-seen-user-agent") || said.contains("x-seen-host"), "{said}");
        assert!(said.contains("******"), "{said}");
        assert_clean("the outcome", said.as_bytes());

        let got = server.got();
        let memory = got.iter().find(|got| got.path == "/collect").unwrap();
        let credential = memory.headers.values().any(|value| value.to_str().unwrap() == sent);
        assert!(credential, "the server did not get the credential: {:?}", memory.headers);
        assert!(memory.body.len() > 1 << 20, "only {} bytes", memory.body.len());
        let marker = b"a-marker-in-the-settings";
        assert!(memory.body.windows(marker.len()).any(|window| window == marker), "the search finds nothing at all");
        assert_clean("the sandbox's memory", &memory.body);

        match plugin.handle(&text(&format!("shout {base}")), &call("ev_2")).await {
            Err(CallError::Broken(report)) => {
                assert!(report.stderr.len() > 4000, "{report:?}");
                assert_clean("the report", format!("{report:?} {report}").as_bytes());
            }
            other => panic!("{other:?}"),
        }
        let debug = format!("{plugin:?}");
        assert_clean("the plugin's Debug", debug.as_bytes());
    }
    let log = lines.0.lock().unwrap().clone();
    assert!(String::from_utf8_lossy(&log).contains("what is my name"), "the plugin's lines are not in the log");
    assert_clean("the log", &log);
}
