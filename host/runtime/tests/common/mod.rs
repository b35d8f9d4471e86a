//! What the tests share: the guests, an engine, and calls to make.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use patchbay_model::conversation::{Channel, Conversation, Customer};
use patchbay_model::{
    Action, Body, Content, ConversationId, CustomerId, Event, EventId, Message, Outcome, Ticket, Timestamp,
};
use patchbay_runtime::{
    Call, CallError, Engine, EngineOptions, Grants, HandlerInput, Limits, Mode, Plugin, PluginSpec,
};

/// The workspace's target folder.
pub(crate) fn target() -> PathBuf {
    // The folder of the test's own binary is `target/<profile>/deps`.
    let exe = std::env::current_exe().unwrap();
    exe.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists()).unwrap().to_owned()
}

/// Builds the guests, once for all tests of a process; the folder's own lock keeps processes apart.
pub(crate) fn guest(name: &str) -> Bytes {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests");
        let target = target().join("test-guests");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--quiet", "--locked", "--release", "--target", "wasm32-wasip2", "--examples"])
            .current_dir(source)
            .env("CARGO_TARGET_DIR", &target)
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("RUSTFLAGS")
            .status()
            .unwrap();
        assert!(built.success(), "the guests cannot be built");
        target.join("wasm32-wasip2/release/examples")
    });
    std::fs::read(folder.join(format!("{name}.wasm"))).unwrap().into()
}

/// An engine that keeps compiled guests between runs.
pub(crate) fn engine_with(change: impl FnOnce(&mut EngineOptions)) -> Engine {
    let cache_dir = Some(target().join("test-guests/compiled"));
    let mut options = EngineOptions { concurrent_calls: 32, cache_dir, ..EngineOptions::default() };
    change(&mut options);
    Engine::new(options).unwrap()
}

pub(crate) fn engine() -> Engine {
    engine_with(|_| {})
}

/// Settings of the guest under test.
pub(crate) fn spec(name: &str, guest_name: &str) -> PluginSpec {
    PluginSpec {
        name: name.to_owned(),
        generation: 3,
        component: guest(guest_name),
        settings: serde_json::Map::new(),
        grants: Grants::default(),
        secrets: std::collections::BTreeMap::new(),
        limits: Limits::default(),
    }
}

/// The handler, with little time so that the hostile tests are quick.
pub(crate) async fn handler(engine: &Engine) -> Plugin {
    handler_with(engine, |_| {}).await
}

pub(crate) async fn handler_with(engine: &Engine, change: impl FnOnce(&mut PluginSpec)) -> Plugin {
    let mut spec = spec("triage", "handler");
    spec.limits.cpu = Duration::from_millis(300);
    change(&mut spec);
    engine.load(spec).await.unwrap()
}

pub(crate) fn conversation() -> Conversation {
    let channel =
        Channel { id: "main".into(), platform: "whatsapp".into(), account: "waba".into(), address: "10001".into() };
    let customer = Customer {
        id: CustomerId::derive(&[b"ann"]),
        phone: Some("447700900001".into()),
        user_id: Some("GB.1".into()),
        group: None,
        username: Some("ann".into()),
        name: Some("Ann Other".into()),
        locale: Some("en-GB".into()),
    };
    Conversation::new(ConversationId::derive(&[b"ann"]), channel, customer)
}

pub(crate) fn input(body: Body) -> HandlerInput {
    let conversation = conversation();
    let event = Event {
        id: EventId::derive(&[b"one"]),
        conversation: conversation.id.clone(),
        occurred_at: Timestamp::from_millis(1_700_000_000_000),
        received_at: Timestamp::from_millis(1_700_000_001_000),
        body,
    };
    let ticket = Ticket {
        desk: "zendesk".into(),
        id: "42".into(),
        url: None,
        status: "open".into(),
        data: [("user".to_owned(), "9".to_owned())].into(),
    };
    HandlerInput { event, conversation, tickets: vec![ticket] }
}

pub(crate) fn text(words: &str) -> HandlerInput {
    input(Body::Message(Message {
        id: "wamid.ANN".into(),
        content: Content::Text(words.into()),
        reply_to: None,
        forwarded: false,
        referral: None,
        author: None,
    }))
}

/// A handler's call for an event.
pub(crate) fn call(subject: &str) -> Call {
    Call {
        subject: subject.to_owned(),
        attempt: 1,
        now: Timestamp::from_millis(1_700_000_001_000),
        deterministic: true,
        mode: Mode::Live,
        timeout: Duration::from_secs(60),
        desk: None,
    }
}

/// A desk's call for a task.
pub(crate) fn desk_call() -> Call {
    Call { deterministic: false, desk: Some("zendesk".to_owned()), now: Timestamp::now(), ..call("ta_1") }
}

/// The attributes that a handler set.
pub(crate) fn attributes(outcome: &Outcome) -> std::collections::BTreeMap<String, String> {
    let pair = |action: &Action| match action {
        Action::SetAttribute(key, Some(value)) => Some((key.clone(), value.clone())),
        _ => None,
    };
    outcome.actions.iter().filter_map(pair).collect()
}

/// Asks the handler and takes the report of the call that broke off.
pub(crate) async fn broken(plugin: &Plugin, words: &str) -> patchbay_runtime::PluginReport {
    match plugin.handle(&text(words), &call("ev_1")).await {
        Err(CallError::Broken(report)) => report,
        other => panic!("{words}: {other:?}"),
    }
}

/// The plugin still answers.
pub(crate) async fn assert_well(plugin: &Plugin) {
    let outcome = plugin.handle(&text("state"), &call("ev_2")).await.unwrap();
    assert_eq!(attributes(&outcome)["seen"], "0");
}

/// Media in memory, given in pieces.
pub(crate) struct Shelf(String, Vec<u8>);

#[async_trait::async_trait]
impl patchbay_runtime::MediaSource for Shelf {
    async fn open(&self, media: &str) -> Result<patchbay_runtime::MediaHandle, String> {
        if media != self.0 {
            return Err(format!("there is no `{media}`"));
        }
        let size = self.1.len() as u64;
        Ok(patchbay_runtime::MediaHandle { key: media.into(), size, mime: "image/jpeg".into(), file_name: None })
    }

    async fn read(&self, _handle: &patchbay_runtime::MediaHandle, offset: u64, length: u32) -> Result<Bytes, String> {
        let begin = usize::try_from(offset).unwrap().min(self.1.len());
        let end = (begin + length as usize).min(self.1.len());
        Ok(Bytes::copy_from_slice(&self.1[begin..end]))
    }

    async fn stream(
        &self,
        _handle: &patchbay_runtime::MediaHandle,
    ) -> Result<futures::stream::BoxStream<'static, Result<Bytes, std::io::Error>>, String> {
        let pieces: Vec<_> = self.1.chunks(1001).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        Ok(Box::pin(futures::stream::iter(pieces)))
    }
}

pub(crate) fn shelf(bytes: Vec<u8>) -> Arc<Shelf> {
    shelf_with("photo", bytes)
}

/// The same under another id.
pub(crate) fn shelf_with(id: &str, bytes: Vec<u8>) -> Arc<Shelf> {
    Arc::new(Shelf(id.to_owned(), bytes))
}
