//! What a call sees besides its event: time, randomness, settings, and nothing else.

use patchbay_model::Timestamp;
use patchbay_runtime::{Call, Credential, HostPattern, HttpGrant};

use super::common::*;

#[tokio::test]
async fn clock_and_randomness_follow_the_event() {
    let engine = engine();
    let plugin = handler(&engine).await;
    let ask = async |call: Call| attributes(&plugin.handle(&text("clock"), &call).await.unwrap());
    let one = ask(call("ev_1")).await;
    assert_eq!(one["wall"], "1700000001000");
    assert_eq!(one["monotonic"], "0 1000");
    assert_eq!(ask(Call { attempt: 2, ..call("ev_1") }).await, one, "a retry");

    let later = Call { now: Timestamp::from_millis(1_700_000_002_000), ..call("ev_1") };
    assert_eq!(ask(later).await["wall"], "1700000002000");

    let other = ask(call("ev_2")).await;
    for key in ["random", "insecure", "seed", "hash"] {
        assert_ne!(other[key], one[key], "{key}");
    }
    let namesake = handler_with(&engine, |spec| spec.name = "other".into()).await;
    let theirs = attributes(&namesake.handle(&text("clock"), &call("ev_1")).await.unwrap());
    assert_ne!(theirs["random"], one["random"], "another plugin");

    let real = Call { deterministic: false, ..call("ev_1") };
    let (first, second) = (ask(real.clone()).await, ask(real).await);
    assert_ne!(first["random"], second["random"]);
    assert!(first["wall"].parse::<u64>().unwrap() > 1_700_000_002_000);
}

#[tokio::test]
async fn nothing_is_kept_between_calls() {
    let engine = engine();
    let plugin = handler(&engine).await;
    for _ in 0..20 {
        assert_well(&plugin).await;
    }
}

#[tokio::test]
async fn the_call_knows_its_attempt() {
    let engine = engine();
    let plugin = handler(&engine).await;
    let outcome = plugin.handle(&text("attempt"), &Call { attempt: 7, ..call("ev_1") }).await.unwrap();
    assert_eq!(attributes(&outcome)["attempt"], "7");
}

#[tokio::test]
async fn settings_arrive_as_text_and_as_a_whole() {
    let engine = engine();
    let plugin = handler_with(&engine, |spec| {
        let settings = serde_json::json!({ "greeting": "hello", "groups": { "billing": 1 }, "on": true });
        spec.settings = settings.as_object().unwrap().clone();
    })
    .await;
    let ask =
        async |words: &str| attributes(&plugin.handle(&text(words), &call("ev_1")).await.unwrap())["setting"].clone();
    assert_eq!(ask("setting greeting").await, "Ok(Some(\"hello\"))");
    assert_eq!(ask("setting groups").await, "Ok(Some(\"{\\\"billing\\\":1}\"))");
    assert_eq!(ask("setting on").await, "Ok(Some(\"true\"))");
    assert_eq!(ask("setting missing").await, "Ok(None)");
    assert!(ask("setting settings").await.contains("greeting"));
}

#[tokio::test]
async fn the_sandbox_is_empty() {
    let engine = engine();
    let plugin = handler_with(&engine, |spec| {
        let grant = HttpGrant::https(HostPattern::parse("acme.com").unwrap());
        let credential = Some(Credential::Bearer("the-token".to_owned().into()));
        spec.grants.http.push(HttpGrant { credential, ..grant });
        spec.secrets.insert("webhook".into(), vec!["the-secret".to_owned().into()]);
    })
    .await;
    let outcome = plugin.handle(&text("environment"), &call("ev_1")).await.unwrap();
    let environment = &attributes(&outcome)["environment"];
    assert!(!environment.contains("the-token") && !environment.contains("the-secret"), "{environment}");
    assert!(environment.starts_with("args [] vars [] root Err("), "{environment}");
    assert!(environment.contains("stdin Ok(0)"), "{environment}");
}
