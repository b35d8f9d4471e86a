//! Components that are not taken, each with a sentence that says what to do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod common;

use common::*;
use patchbay_runtime::{Credential, HostPattern, HttpGrant, LoadError, Role};

async fn refusal(change: impl FnOnce(&mut patchbay_runtime::PluginSpec), guest: &str) -> LoadError {
    let engine = engine_with(|options| options.concurrent_calls = 2);
    let mut spec = spec("acme", guest);
    change(&mut spec);
    engine.load(spec).await.expect_err("it was loaded")
}

#[tokio::test]
async fn bytes_that_are_no_component() {
    let garbage = refusal(|spec| spec.component = vec![7; 1000].into(), "handler").await.to_string();
    assert!(garbage.contains("do not begin like WebAssembly"), "{garbage}");
    let module = refusal(|spec| spec.component = b"\0asm\x01\0\0\0".to_vec().into(), "handler").await.to_string();
    assert!(module.contains("core module") && module.contains("wasm32-wasip2"), "{module}");
    let half = refusal(|spec| spec.component.truncate(50_000), "handler").await;
    assert!(matches!(half, LoadError::NoComponent { .. }), "{half}");
    let empty = refusal(|spec| spec.component = b"\0asm\x0d\0\x01\0".to_vec().into(), "handler").await;
    assert!(matches!(empty, LoadError::NoRole { .. }), "{empty}");
    let large = refusal(|spec| spec.component = vec![0; (64 << 20) + 1].into(), "handler").await;
    assert!(matches!(large, LoadError::Size { .. }), "{large}");
}

#[tokio::test]
async fn code_that_does_not_compile() {
    let damage = |spec: &mut patchbay_runtime::PluginSpec| {
        let mut bytes = spec.component.to_vec();
        // Somewhere in the middle of the code of the first module.
        for byte in &mut bytes[60_000..60_200] {
            *byte = 0xff;
        }
        spec.component = bytes.into();
    };
    let error = refusal(damage, "handler").await;
    assert!(matches!(error, LoadError::Compile { .. } | LoadError::NoComponent { .. }), "{error}");
}

#[tokio::test]
async fn an_import_without_its_grant() {
    let nothing = refusal(|_| {}, "desk").await;
    let text = nothing.to_string();
    assert!(matches!(nothing, LoadError::Import { .. }), "{text}");
    assert!(text.contains("plugin `acme` imports "), "{text}");
    assert!(
        text.contains("[plugins.acme.grants]\nmedia = true") || text.contains("[[plugins.acme.grants.http]]"),
        "{text}"
    );

    let only_media = refusal(|spec| spec.grants.media = true, "desk").await.to_string();
    assert!(only_media.contains("[[plugins.acme.grants.http]]\nhost = "), "{only_media}");
    let http = HttpGrant::https(HostPattern::parse("acme.com").unwrap());
    let only_http = refusal(|spec| spec.grants.http.push(http), "desk").await.to_string();
    assert!(only_http.contains("[plugins.acme.grants]\nmedia = true"), "{only_http}");
}

#[tokio::test]
async fn what_is_granted_is_loaded() {
    let engine = engine();
    let mut spec = spec("acme", "desk");
    spec.grants.http.push(HttpGrant::https(HostPattern::parse("acme.com").unwrap()));
    spec.grants.media = true;
    let plugin = engine.load(spec).await.unwrap();
    assert_eq!(plugin.roles(), [Role::Desk]);
    assert!(["pooling", "on-demand"].contains(&engine.allocator()));
    engine.record_metrics();
}

#[tokio::test]
async fn too_little_memory_to_start_with() {
    let error = refusal(|spec| spec.limits.memory = 1 << 20, "handler").await;
    let text = error.to_string();
    assert!(matches!(error, LoadError::Memory { needed: 2.., allowed: 1, .. }), "{text}");
    assert!(text.contains("MiB"), "{text}");
}

#[tokio::test]
async fn limits_and_credentials_that_cannot_be() {
    let error = refusal(|spec| spec.limits.memory = 1 << 30, "handler").await;
    assert!(matches!(error, LoadError::Limit { limit: "memory", .. }), "{error}");
    let mut grant = HttpGrant::https(HostPattern::parse("acme.com").unwrap());
    grant.credential = Some(Credential::Bearer("line\nbreak".to_owned().into()));
    let error = refusal(|spec| spec.grants.http.push(grant), "handler").await;
    assert!(matches!(error, LoadError::Credential(_)) && !error.to_string().contains("line\n"), "{error}");
}

#[tokio::test]
async fn generations_come_and_go() {
    let engine = engine();
    for _ in 0..5 {
        let plugin = handler(&engine).await;
        assert_well(&plugin).await;
    }
    // The engine may end first: a plugin keeps what it needs.
    let plugin = handler(&engine).await;
    drop(engine);
    assert_well(&plugin).await;
}
