//! Golden events: the real sandbox, a script in the network's place, and readable differences.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod common;

use common::*;
use patchbay_model::golden::{Exchange, Expected, ExpectedRequest, Golden, ScriptedAnswer};
use patchbay_model::{Action, Flow, MediaId};
use patchbay_runtime::{GoldenResult, HostPattern, HttpGrant, Plugin, Role, rehearse};
use serde_json::{Value, json};

fn golden(words: &str, expect: Expected) -> Golden {
    let input = text(words);
    Golden {
        name: "a question".into(),
        settings: serde_json::Map::new(),
        event: input.event,
        conversation: input.conversation,
        tickets: input.tickets,
        http: Vec::new(),
        expect,
    }
}

fn outcome(pairs: &[(&str, &str)]) -> Expected {
    let action = |(key, value): &(&str, &str)| Action::SetAttribute((*key).to_owned(), Some((*value).to_owned()));
    Expected::Outcome { actions: pairs.iter().map(action).collect(), flow: Flow::Next }
}

fn get(url: &str, status: u16) -> Exchange {
    Exchange {
        request: ExpectedRequest { method: "GET".into(), url: url.into(), body: None },
        answer: ScriptedAnswer { status, headers: Vec::new(), body: Value::Null },
    }
}

/// What the plugin is granted does not count, but something has to be for it to be loaded.
async fn caller() -> Plugin {
    let engine = engine();
    let mut spec = spec("asks", "caller");
    spec.grants.http.push(HttpGrant::https(HostPattern::parse("elsewhere.example").unwrap()));
    engine.load(spec).await.unwrap()
}

fn assert_passed(result: &GoldenResult) {
    assert!(result.passed && result.differences.is_empty(), "{result:#?}");
}

#[tokio::test]
async fn the_same_answer_passes_and_another_one_is_shown() {
    let plugin = handler(&engine()).await;
    let right = rehearse(&plugin, &golden("bench", outcome(&[("route", "billing")]))).await;
    assert_passed(&right);
    assert_eq!(right.name, "a question");
    assert!(right.took.as_nanos() > 0);

    let wrong = rehearse(&plugin, &golden("bench", outcome(&[("route", "sales"), ("more", "yes")]))).await;
    assert!(!wrong.passed);
    assert_eq!(
        wrong.differences,
        [
            "/actions/0/value/1: expected \"sales\", got \"billing\"".to_owned(),
            format!("/actions/1: expected {}, got nothing", json!({"type": "set-attribute", "value": ["more", "yes"]})),
        ]
    );
    // What it answered can be written down, and passes then.
    let corrected = golden("bench", wrong.answered.unwrap());
    assert_passed(&rehearse(&plugin, &corrected).await);
}

#[tokio::test]
async fn clock_and_randomness_are_the_events() {
    let plugin = handler(&engine()).await;
    // `clock` shows every source of time and randomness there is, and `all` every action.
    for words in ["clock".to_owned(), format!("all {}", MediaId::derive(&[b"photo"]))] {
        let first = rehearse(&plugin, &golden(&words, outcome(&[]))).await;
        assert!(!first.passed, "{words}");
        let written = serde_json::to_string(&first.answered.unwrap()).unwrap();
        let again = rehearse(&plugin, &golden(&words, serde_json::from_str(&written).unwrap())).await;
        assert_passed(&again);
    }
}

#[tokio::test]
async fn settings_are_the_golden_events_own() {
    let plugin = handler_with(&engine(), |spec| {
        spec.settings.insert("queue".into(), "from the deployment".into());
    })
    .await;
    let mut asked = golden("setting queue", outcome(&[("setting", "Ok(Some(\"gold\"))")]));
    asked.settings.insert("queue".into(), "gold".into());
    assert_passed(&rehearse(&plugin, &asked).await);
    asked.settings.clear();
    asked.expect = outcome(&[("setting", "Ok(None)")]);
    assert_passed(&rehearse(&plugin, &asked).await);
}

#[tokio::test]
async fn failures_are_answers_too() {
    let plugin = handler(&engine()).await;
    for sort in ["retry", "permanent", "credential"] {
        assert_passed(&rehearse(&plugin, &golden(&format!("{sort} why"), Expected::Failure(sort.into()))).await);
    }
    let other = rehearse(&plugin, &golden("retry later", Expected::Failure("permanent".into()))).await;
    assert_eq!(other.differences, ["expected a failure of the sort `permanent`, got: later"]);
    assert_eq!(other.answered, Some(Expected::Failure("retry".into())));
    let none = rehearse(&plugin, &golden("bench", Expected::Failure("retry".into()))).await;
    assert!(none.differences[0].starts_with("expected a failure of the sort `retry`, got {\"actions\""), "{none:#?}");
    let broken = rehearse(&plugin, &golden("panic at the disco", outcome(&[]))).await;
    assert!(broken.answered.is_none());
    let why = &broken.differences[0];
    assert!(why.starts_with("it broke off: ") && why.contains("at the disco") && why.contains("[trap]"), "{why}");
}

#[tokio::test]
async fn requests_are_answered_by_the_script_and_by_nothing_else() {
    let plugin = caller().await;
    let url = "https://api.acme.example/orders?id=7";
    let mut asked = golden(&format!("call {url}"), outcome(&[("answer", "418")]));
    asked.http = vec![get(url, 418)];
    assert_passed(&rehearse(&plugin, &asked).await);

    // Not even what is granted leaves the sandbox.
    let mut other = golden("call https://elsewhere.example/x", outcome(&[("answer", "403")]));
    other.http = vec![get(url, 200)];
    let result = rehearse(&plugin, &other).await;
    assert_eq!(result.differences.len(), 2, "{result:#?}");
    assert!(result.differences[0].contains("`GET https://elsewhere.example/x` is not"), "{result:#?}");
    assert!(
        result.differences[1].contains("`GET https://api.acme.example/orders?id=7` was never asked"),
        "{result:#?}"
    );
}

#[tokio::test]
async fn a_plugin_that_is_no_handler_has_none() {
    let engine = engine();
    let mut spec = spec("zen", "desk");
    spec.grants.media = true;
    spec.grants.http.push(HttpGrant::https(HostPattern::parse("acme.com").unwrap()));
    let desk = engine.load(spec).await.unwrap();
    assert_eq!(desk.roles(), [Role::Desk]);
    let result = rehearse(&desk, &golden("bench", outcome(&[]))).await;
    assert!(!result.passed && result.differences[0].contains("this plugin is none"), "{result:#?}");
}
