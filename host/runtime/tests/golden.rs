//! Golden events: the real sandbox, a script in the network's place, and readable differences.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod common;

use std::collections::BTreeMap;

use common::*;
use patchbay_model::golden::{Asked, Exchange, Expected, ExpectedRequest, Golden, ScriptedAnswer};
use patchbay_model::{Action, Flow, MediaId};
use patchbay_runtime::{Credential, GoldenResult, HostPattern, HttpGrant, Plugin, Role, record, rehearse};
use serde_json::{Value, json};

fn golden(words: &str, expect: Expected) -> Golden {
    let input = text(words);
    Golden {
        name: "a question".into(),
        settings: serde_json::Map::new(),
        secrets: BTreeMap::new(),
        files: BTreeMap::new(),
        asked: Asked::Handle {
            event: Box::new(input.event),
            conversation: Box::new(input.conversation),
            tickets: input.tickets,
        },
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
        answer: ScriptedAnswer { status, headers: Vec::new(), body: Value::Null, base64: None },
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

/// A golden event as its file has it.
fn read(golden: Value) -> Golden {
    serde_json::from_value(golden).unwrap()
}

async fn desk() -> Plugin {
    let mut spec = spec("zen", "desk");
    spec.grants.media = true;
    spec.grants.http.push(HttpGrant::https(HostPattern::parse("acme.com").unwrap()));
    engine().load(spec).await.unwrap()
}

#[tokio::test]
async fn only_its_roles_are_asked() {
    let desk = desk().await;
    assert_eq!(desk.roles(), [Role::Desk]);
    let result = rehearse(&desk, &golden("bench", outcome(&[]))).await;
    assert_eq!(result.differences, ["`event` is for a plugin with the role handler, and this one's are: desk"]);
    let handler = handler(&engine()).await;
    let asked = json!({ "inspect": { "mime": "a/b", "bytes": { "base64": "" } }, "expect": { "failure": "retry" } });
    let result = rehearse(&handler, &read(asked)).await;
    assert_eq!(result.differences, ["`inspect` is for a plugin with the role inspector, and this one's are: handler"]);
}

#[tokio::test]
async fn every_verb_of_a_desk_is_asked() {
    let plugin = desk().await;
    let before = json!({ "desk": "acme", "id": "7", "status": "new", "data": { "user": "9" } });
    let after = json!({ "desk": "acme", "id": "7", "url": "https://desk.example/7", "status": "open" });
    let with = |data: Value| {
        let mut ticket = after.clone();
        ticket["data"] = data;
        ticket
    };
    let asked = [
        json!({ "find-ticket": { "key": "nothing" }, "expect": { "found": null } }),
        json!({
            "find-ticket": { "key": "ta_1" },
            "expect": { "found": { "entry": null, "ticket": with(json!({ "key": "ta_1" })) } },
        }),
        json!({
            "find-entry": { "key": "ta_2", "ticket": before },
            "expect": { "found": { "entry": "ta_2", "ticket": before } },
        }),
        json!({
            "update-ticket": { "key": "ta_3", "ticket": before, "fields": { "priority": "high" } },
            "expect": { "ticket": { "desk": "acme", "id": "7", "status": "solved", "data": { "priority": "high" } } },
        }),
        json!({
            "read-ticket": { "id": "7" },
            "expect": { "snapshot": { "ticket": with(json!({})), "entries": [["unknown", "7"]] } },
        }),
    ];
    for mut golden in asked {
        golden["desk"] = "acme".into();
        assert_passed(&rehearse(&plugin, &read(golden)).await);
    }

    // The whole of what was given shows in what comes back, and what comes back is written down and passes again.
    let said = json!({ "author": { "type": "bot", "value": "triage" }, "text": "three", "public": true, "at": 9 });
    let made = json!({
        "create-ticket": {
            "key": "ta_1",
            "draft": { "subject": "Help", "conversation": conversation(), "fields": { "queue": "vip" }, "entries": [said] },
        },
        "expect": { "failure": "permanent" },
    });
    let added =
        json!({ "add-entry": { "key": "k", "ticket": before, "entry": said }, "expect": { "failure": "retry" } });
    for (golden, words) in [(made, ["Help", "vip", "three"]), (added, ["three", "triage", "Bot"])] {
        let mut golden = read(golden);
        let result = rehearse(&plugin, &golden).await;
        assert!(result.differences[0].starts_with("expected a failure of the sort"), "{result:#?}");
        let answered = result.answered.unwrap();
        let text = serde_json::to_string(&answered).unwrap();
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
        golden.expect = answered;
        assert_passed(&rehearse(&plugin, &golden).await);
    }
}

#[tokio::test]
async fn webhooks_are_verified_with_the_golden_events_own_secrets() {
    let plugin = desk().await;
    let received = |secret: &str, expect: Value| {
        read(json!({
            "secrets": { "webhook": secret },
            "receive": {
                "path": "/events",
                "query": "a=b",
                "headers": [["x-signature", "made-up"], ["x-algorithm", "equal"]],
                "body": "the body",
            },
            "expect": expect,
        }))
    };
    let mut golden = received("made-up", json!({ "activities": [] }));
    let result = rehearse(&plugin, &golden).await;
    assert_eq!(result.differences.len(), 5, "{result:#?}");
    assert!(result.differences[0].starts_with("/0: expected nothing, got {"), "{result:#?}");
    golden.expect = result.answered.unwrap();
    assert_passed(&rehearse(&plugin, &golden).await);
    assert_passed(&rehearse(&plugin, &received("another", json!({ "failure": "credential" }))).await);
}

#[tokio::test]
async fn media_is_the_golden_events_own() {
    // What the gateway has stored is nobody's golden event's.
    let engine = engine_with(|options| options.media = shelf(vec![1; 99]));
    let mut spec = spec("zen", "desk");
    spec.grants.media = true;
    spec.grants.http.push(HttpGrant::https(HostPattern::parse("acme.com").unwrap()));
    let plugin = engine.load(spec).await.unwrap();
    let asked = |files: Value| {
        read(json!({ "read-ticket": { "id": "blob photo" }, "files": files, "expect": { "failure": "permanent" } }))
    };
    assert_passed(&rehearse(&plugin, &asked(json!({}))).await);
    let result = rehearse(&plugin, &asked(json!({ "photo": { "base64": "AQID" } }))).await;
    let Some(Expected::Snapshot(snapshot)) = &result.answered else { panic!("{result:#?}") };
    let values: Vec<_> = snapshot.entries.iter().map(|(_, value)| value.as_deref()).collect();
    assert_eq!(values, ["3", "3", "6"]);
    let result = rehearse(&plugin, &asked(json!({ "photo": { "file": "a.jpg" } }))).await;
    assert!(result.differences[0].starts_with("the bytes of `a.jpg` are not here"), "{result:#?}");
}

#[tokio::test]
async fn inspectors_are_asked_and_their_numbers_are_readable() {
    let mut spec = spec("eyes", "inspector");
    spec.grants.media = true;
    let plugin = engine().load(spec).await.unwrap();
    let asked = |score: f32| {
        read(json!({
            "inspect": { "id": "me_1", "mime": "image/png", "file_name": "a.png", "bytes": { "base64": "AQID" } },
            "expect": { "verdict": {
                "decision": "warn",
                "labels": [["MediaKind::Image", score], ["image/png", 1]],
                "text": "a.png",
                "measures": [["size", 3], ["read", 3], ["sum", 6]],
                "findings": [{ "code": "id", "detail": "me_1", "score": 0.25 }],
            } },
        }))
    };
    assert_passed(&rehearse(&plugin, &asked(0.9)).await);
    let result = rehearse(&plugin, &asked(0.7)).await;
    assert_eq!(result.differences, ["/labels/0/1: expected 0.7, got 0.9"]);
}

/// A server on loopback that tells the caller's own credential; gives its address.
async fn server() -> String {
    let app = axum::Router::new().fallback(|headers: axum::http::HeaderMap| async move {
        let seen = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let head = [("set-cookie", "session=1"), ("x-page", "2")];
        (
            axum::http::StatusCode::CREATED,
            head,
            axum::Json(json!({ "seen": seen, "encoding": headers.get("accept-encoding").map(|_| "asked") })),
        )
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    format!("http://{address}")
}

#[tokio::test]
async fn what_servers_answer_is_recorded_without_secrets_and_played_again() {
    let server = server().await;
    let mut spec = spec("asks", "caller");
    spec.grants.http.push(HttpGrant {
        ports: vec![server.rsplit(':').next().unwrap().parse().unwrap()],
        plain_http: true,
        private_network: true,
        credential: Some(Credential::Bearer("the-made-up-token".to_owned().into())),
        ..HttpGrant::https(HostPattern::parse("127.0.0.1").unwrap())
    });
    let plugin = engine().load(spec).await.unwrap();
    let url = format!("{server}/orders?id=7");
    let mut asked = golden(&format!("call {url}"), outcome(&[("answer", "201")]));
    // What stands there does not count.
    asked.http = vec![get("https://elsewhere.example/", 200)];
    let recording = record(&plugin, &asked).await;
    assert!(recording.problems.is_empty() && recording.result.passed, "{recording:#?}");
    assert_eq!(recording.left_out.iter().collect::<Vec<_>>(), ["set-cookie"]);
    let [exchange] = recording.http.as_slice() else { panic!("{recording:#?}") };
    assert_eq!((exchange.request.method.as_str(), exchange.request.url.as_str()), ("GET", url.as_str()));
    assert_eq!((exchange.answer.status, &exchange.answer.body["encoding"]), (201, &json!("asked")));
    let headers = [("content-type".to_owned(), "application/json".to_owned()), ("x-page".into(), "2".into())];
    assert!(headers.iter().all(|header| exchange.answer.headers.contains(header)), "{exchange:?}");
    let written = serde_json::to_string(&recording.http).unwrap();
    assert!(written.contains("Bearer ") && !written.contains("the-made-up-token"), "{written}");

    asked.http = recording.http;
    assert_passed(&rehearse(&plugin, &asked).await);

    let other = golden("call https://elsewhere.example/x", outcome(&[("answer", "403")]));
    let refused = record(&plugin, &other).await;
    assert!(refused.http.is_empty() && refused.result.passed, "{refused:#?}");
    let why = "`GET https://elsewhere.example/x` was not sent: plugin `asks` is not granted the host elsewhere.example";
    assert!(refused.problems[0].starts_with(why), "{refused:#?}");
}
