//! Versions of the contract side by side: plugins for an old one go on running, and plugins for an unknown one are told so.
//!
//! `frozen/handler-0.1.0.wasm` was built once from `wit/0.1/guest` and is never built again for this: what runs here is
//! what runs at a customer who has not touched their plugin since.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use common::*;
use patchbay_model::desk::{Author, Draft, Entry, Webhook};
use patchbay_model::event::{Activity, Overheard, Speaker};
use patchbay_model::{Action, Body, Content, Failure, Message, Timestamp};
use patchbay_runtime::{CallError, Engine, HandlerInput, LoadError, Plugin, Role};

const FROZEN: &[u8] = include_bytes!("frozen/handler-0.1.0.wasm");

async fn load(engine: &Engine, name: &str, component: Bytes) -> Plugin {
    let mut spec = spec(name, "handler");
    spec.component = component;
    engine.load(spec).await.unwrap()
}

/// Builds the source of the frozen guest with the toolchain of today.
fn rebuilt() -> Bytes {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/0.1/guest");
    let target: PathBuf = target().join("test-guests");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--locked", "--release", "--target", "wasm32-wasip2"])
        .current_dir(source)
        .env("CARGO_TARGET_DIR", &target)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS")
        .status()
        .unwrap();
    assert!(built.success(), "the frozen guest cannot be built any more");
    std::fs::read(target.join("wasm32-wasip2/release/patchbay_frozen_guest.wasm")).unwrap().into()
}

fn echo() -> Body {
    let message = Message {
        id: "wamid.ECHO".into(),
        content: Content::Text("I called you back".into()),
        reply_to: None,
        forwarded: false,
        referral: None,
        author: None,
    };
    Body::Echo(Overheard { message, by: Speaker::Business, state: Some("delivered".into()) })
}

/// What a handler said that it saw.
async fn seen(plugin: &Plugin, input: &HandlerInput) -> String {
    let outcome = plugin.handle(input, &call("ev_1")).await.unwrap();
    match outcome.actions.as_slice() {
        [.., Action::Emit(name, seen)] if name == "seen" => seen.reveal().clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_old_plugin_runs_beside_a_new_one() {
    let engine = engine();
    let old = load(&engine, "old", Bytes::from_static(FROZEN)).await;
    let new = load(&engine, "new", guest("handler")).await;
    assert_eq!((old.contract(), new.contract()), ("0.1.0", "0.2.0"));
    assert_eq!((old.roles(), new.roles()), ([Role::Handler, Role::Desk].as_slice(), [Role::Handler].as_slice()));

    // One event after the other through both of them, as a chain has it: the second sees what the first one set.
    for words in ["hello", "and again"] {
        let mut input = text(words);
        let outcome = old.handle(&input, &call("ev_1")).await.unwrap();
        assert_eq!(attributes(&outcome)["old.words"], words.split(' ').count().to_string());
        input.conversation.attributes.extend(attributes(&outcome));
        let seen = seen(&new, &input).await;
        assert!(seen.contains("old.words") && seen.contains(words), "{seen}");
    }

    // What 0.1 had no name for.
    let mut input = input(echo());
    input.conversation.standby = true;
    input.conversation.customer.group = Some("group-1".into());
    let (then, now) = (seen(&old, &input).await, seen(&new, &input).await);
    assert!(then.starts_with("unknown echo.text {"), "{then}");
    for word in ["wamid.ECHO", "I called you back", "business", "delivered"] {
        assert!(then.contains(word), "no {word} in {then}");
    }
    for word in ["Echo(", "wamid.ECHO", "I called you back", "Speaker::Business", "standby: true", "group-1"] {
        assert!(now.contains(word), "no {word} in {now}");
    }
}

#[tokio::test]
async fn an_old_desk_does_what_it_did() {
    let engine = engine();
    let old = load(&engine, "old", Bytes::from_static(FROZEN)).await;
    let call = desk_call();
    let input = text("hello");
    let entry =
        |author| Entry { author, text: "hello".into(), media: Vec::new(), public: true, at: Timestamp::from_millis(9) };
    let customer = Author::Customer(input.conversation.customer.clone());
    let draft = Draft {
        subject: "Help".into(),
        conversation: input.conversation.clone(),
        tickets: input.tickets.clone(),
        fields: [("queue".to_owned(), "billing".to_owned())].into(),
        entries: vec![entry(customer), entry(Author::Bot("triage".into())), entry(Author::Gateway)],
    };
    let made = old.create_ticket("ta_1", &draft, &call).await.unwrap();
    assert_eq!(
        (made.ticket.id.as_str(), made.ticket.desk.as_str(), made.entry.as_deref()),
        ("t-ta_1", "zendesk", Some("3"))
    );
    assert_eq!(made.ticket.data["subject"], "Help");
    assert_eq!(made.ticket.data["queue"], "billing");
    assert_eq!(old.find_ticket("ta_1", &call).await.unwrap().unwrap().ticket.id, "t-ta_1");
    assert_eq!(old.find_ticket("", &call).await.unwrap(), None);
    assert_eq!(old.find_entry("", &made.ticket, &call).await.unwrap(), None);
    assert_eq!(old.find_entry("ta_2", &made.ticket, &call).await.unwrap().unwrap().entry.as_deref(), Some("ta_2"));
    let agent = entry(Author::Agent("Bea".into()));
    let added = old.add_entry("ta_2", &made.ticket, &agent, &call).await.unwrap();
    assert_eq!((added.entry.as_deref(), added.ticket.data["last"].as_str()), (Some("ta_2"), "Bea: hello"));
    let fields = [("status".to_owned(), "solved".to_owned())].into();
    assert_eq!(old.update_ticket("ta_3", &made.ticket, &fields, &call).await.unwrap().status, "solved");
    assert_eq!(old.read_ticket("t-1", &call).await.unwrap().entries, [("1".to_owned(), "hello".into())]);

    let webhook = |body: &str| Webhook {
        method: "POST".into(),
        path: "/events".into(),
        query: String::new(),
        headers: vec![("x-key".into(), "s3cret".into())],
        body: body.as_bytes().to_vec().into(),
    };
    match old.receive(&webhook("t-1 solved"), &call).await {
        Err(CallError::Failed(Failure::Permanent { reason })) => assert!(reason.contains("webhook"), "{reason}"),
        other => panic!("a secret that was not bound: {other:?}"),
    }
    let mut spec = spec("old", "handler");
    spec.component = Bytes::from_static(FROZEN);
    spec.secrets.insert("webhook".into(), vec!["s3cret".to_owned().into()]);
    let bound = engine.load(spec).await.unwrap();
    let activities = bound.receive(&webhook("t-1 solved"), &call).await.unwrap();
    assert_eq!((activities[0].ticket.as_str(), activities[0].desk.as_str()), ("t-1", "zendesk"));
    assert!(matches!(&activities[0].what, Activity::Status(status) if status == "solved"));
}

#[tokio::test]
async fn the_source_of_the_old_plugin_still_builds() {
    let engine = engine();
    let built = rebuilt();
    assert!(built.len() < 100 * 1024, "{} bytes", built.len());
    let (built, kept) = (load(&engine, "old", built).await, load(&engine, "old", Bytes::from_static(FROZEN)).await);
    for body in [text("one two").event.body, echo()] {
        let input = input(body);
        let ask = async |plugin: &Plugin| plugin.handle(&input, &call("ev_1")).await.unwrap();
        assert_eq!(ask(&built).await, ask(&kept).await);
    }
}

/// The same component, as if it had been built for another version of the contract.
fn of_version(bytes: &[u8], from: &[u8], version: &[u8]) -> Bytes {
    let mut bytes = bytes.to_vec();
    for at in 0..bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + from.len()].copy_from_slice(version);
        }
    }
    bytes.into()
}

#[tokio::test]
async fn a_version_that_is_not_known_is_named_with_the_remedy() {
    let engine = engine();
    for (component, from) in [(Bytes::from_static(FROZEN), b"@0.1.0"), (guest("handler"), b"@0.2.0")] {
        let mut spec = spec("acme", "handler");
        // Only the contract's own names: WASI has versions as well.
        spec.component = of_version(&component, from, b"@0.9.0");
        let error = engine.load(spec).await.unwrap_err();
        assert!(matches!(error, LoadError::Contract { .. }), "{error}");
        assert_eq!(
            error.to_string(),
            "plugin `acme` was built for version 0.9.0 of the plugin contract (patchbay:plugin/handler), and this gateway \
             knows 0.1.0, 0.2.0: build the plugin for one of those, or run a gateway that knows 0.9.0"
        );
    }
}
