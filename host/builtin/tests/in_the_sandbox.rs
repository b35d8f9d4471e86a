//! The shipped components in the real sandbox: what they decide, and what reaches a server over HTTP.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use patchbay_model::conversation::{Channel, Conversation, Customer, Priority};
use patchbay_model::desk::{Author, Draft, Entry, Webhook};
use patchbay_model::event::Activity;
use patchbay_model::message::MediaKind;
use patchbay_model::{
    Action, Body, Content, ConversationId, CustomerId, Event, EventId, Failure, Media, MediaId, Message, Ticket,
    Timestamp,
};
use patchbay_runtime::{
    Call, CallError, Engine, EngineOptions, Grants, HandlerInput, HostPattern, HttpGrant, Limits, MediaHandle,
    MediaSource, Mode, Plugin, PluginSpec, Role,
};
use secrecy::SecretString;
use serde_json::{Value, json};

fn engine() -> Engine {
    let mut options = EngineOptions::new(Arc::new(Shelf));
    options.concurrent_calls = 8;
    Engine::new(options).unwrap()
}

async fn load(engine: &Engine, name: &str, settings: Value, grants: Grants) -> Plugin {
    load_with(engine, name, settings, grants, BTreeMap::new()).await
}

async fn load_with(
    engine: &Engine,
    name: &str,
    settings: Value,
    grants: Grants,
    secrets: BTreeMap<String, Vec<SecretString>>,
) -> Plugin {
    let Value::Object(settings) = settings else { panic!("settings are a table") };
    let spec = PluginSpec {
        name: name.to_owned(),
        generation: 1,
        component: Bytes::from_static(patchbay_builtin::component(name).unwrap()),
        settings,
        grants,
        secrets,
        limits: Limits::default(),
    };
    engine.load(spec).await.unwrap()
}

fn call(deterministic: bool) -> Call {
    Call {
        subject: "ev_1".into(),
        attempt: 1,
        now: now(),
        deterministic,
        mode: Mode::Live,
        timeout: Duration::from_secs(60),
        desk: (!deterministic).then(|| "zd".to_owned()),
    }
}

/// 2026-11-21T10:00:00Z
fn now() -> Timestamp {
    Timestamp::from_millis(1_795_255_200_000)
}

fn conversation() -> Conversation {
    let channel =
        Channel { id: "main".into(), platform: "whatsapp".into(), account: "100".into(), address: "200".into() };
    let customer = Customer {
        id: CustomerId::derive(&[b"ada"]),
        phone: Some("4915112345678".into()),
        user_id: None,
        group: None,
        username: None,
        name: Some("Ada".into()),
        locale: None,
    };
    Conversation::new(ConversationId::derive(&[b"ada"]), channel, customer)
}

fn wrote(text: &str) -> HandlerInput {
    let conversation = conversation();
    let message = Message {
        id: "wamid.1".into(),
        content: Content::Text(text.into()),
        reply_to: None,
        forwarded: false,
        referral: None,
        author: None,
    };
    let event = Event {
        id: EventId::derive(&[b"one"]),
        conversation: conversation.id.clone(),
        occurred_at: now(),
        received_at: now(),
        body: Body::Message(message),
    };
    HandlerInput { event, conversation, tickets: Vec::new() }
}

fn customer_said(text: &str) -> Entry {
    Entry {
        author: Author::Customer(conversation().customer),
        text: text.into(),
        media: Vec::new(),
        public: true,
        at: now(),
    }
}

#[tokio::test]
async fn handlers_decide() {
    let engine = engine();
    let settings = json!({
        "texts": { "en": "Thanks, {name}!", "de": "Danke, {name}!" },
        "default_language": "en",
        "countries": { "49": "de" },
    });
    let acknowledge = load(&engine, "acknowledge", settings, Grants::default()).await;
    assert_eq!(acknowledge.roles(), [Role::Handler]);
    let outcome = acknowledge.handle(&wrote("Hallo"), &call(true)).await.unwrap();
    assert_eq!(
        outcome.actions,
        [
            Action::Send(patchbay_model::Outgoing::text("Danke, Ada!")),
            // The clock is the event's.
            Action::SetAttribute("acknowledge.at".into(), Some("2026-11-21T10:00:00.000Z".into())),
        ]
    );

    let settings = json!({
        "rules": [{ "words": ["Störung", "退款"], "queue": "support", "priority": "urgent" }],
        "desk": "zd",
    });
    let router = load(&engine, "keyword-router", settings, Grants::default()).await;
    for text in ["Eine STÖRUNG!", "我要退款"] {
        let outcome = router.handle(&wrote(text), &call(true)).await.unwrap();
        let Action::Assign(assignment) = &outcome.actions[0] else { panic!("{:?}", outcome.actions) };
        assert_eq!((assignment.queue.as_str(), assignment.priority), ("support", Priority::Urgent));
        assert_eq!(outcome.actions[1].kind(), "open-ticket");
    }
    assert_eq!(router.handle(&wrote("hello"), &call(true)).await.unwrap().actions, []);

    // A text far larger than the allocator's arena.
    let long = format!("{} Störung", "word ".repeat(100_000));
    assert_eq!(router.handle(&wrote(&long), &call(true)).await.unwrap().actions.len(), 2);

    let wrong = load(&engine, "keyword-router", json!({ "rules": [{ "words": [7] }] }), Grants::default()).await;
    match wrong.handle(&wrote("hello"), &call(true)).await {
        Err(CallError::Failed(Failure::Permanent { reason })) => {
            assert_eq!(reason, "settings: rules[0].words[0]: invalid type: integer `7`, expected a string");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_desk_reaches_its_server() {
    let (address, requests) = zendesk().await;
    let engine = engine();
    let grants = grants(address);
    let settings = json!({ "base_url": format!("http://{address}"), "groups": { "billing": 11 } });
    let desk = load(&engine, "zendesk", settings, grants).await;
    assert_eq!(desk.roles(), [Role::Desk]);

    let picture = Media {
        id: MediaId::derive(&[b"one"]),
        platform_id: String::new(),
        kind: MediaKind::Image,
        mime: "image/jpeg".into(),
        size: None,
        sha256: None,
        file_name: None,
        caption: None,
    };
    let draft = Draft {
        subject: "Invoice".into(),
        conversation: conversation(),
        tickets: Vec::new(),
        fields: [("queue".to_owned(), "billing".to_owned())].into(),
        entries: vec![Entry { media: vec![picture], ..customer_said("Invoice") }],
    };
    let added = desk.create_ticket("key-1", &draft, &call(false)).await.unwrap();
    assert_eq!((added.ticket.id.as_str(), added.entry.as_deref()), ("7", Some("31")));
    let url = format!("http://{address}/agent/tickets/7");
    assert_eq!((added.ticket.desk.as_str(), added.ticket.url), ("zd", Some(url)));

    // More than any buffer between plugin and server holds at once.
    let long = "word ".repeat(60_000);
    let ticket =
        Ticket { desk: "zd".into(), id: "7".into(), url: None, status: "open".into(), data: added.ticket.data };
    desk.add_entry("key-2", &ticket, &customer_said(&long), &call(false)).await.unwrap();

    // A verb whose answer says to wait.
    match desk.find_ticket("busy", &call(false)).await {
        Err(CallError::Failed(Failure::Retry { after, .. })) => assert_eq!(after, Some(Duration::from_secs(3))),
        other => panic!("{other:?}"),
    }

    // An answer nested as deep as the parser goes, and deeper, fits the small stack.
    for key in ["deep120", "deep500"] {
        match desk.find_ticket(key, &call(false)).await {
            Ok(None) | Err(CallError::Failed(Failure::Retry { .. })) => {}
            other => panic!("{other:?}"),
        }
    }

    let requests = requests.lock().unwrap();
    let lines: Vec<&str> = requests.iter().map(|(line, _)| line.as_str()).collect();
    assert_eq!(
        lines,
        [
            "POST /api/v2/users/create_or_update",
            "POST /api/v2/uploads?filename=image.jpg",
            "POST /api/v2/tickets",
            "PUT /api/v2/tickets/7",
            "GET /api/v2/tickets?external_id=busy",
            "GET /api/v2/tickets?external_id=deep120",
            "GET /api/v2/tickets?external_id=deep500",
        ]
    );
    assert_eq!(requests[1].1, PICTURE);
    let body = |at: usize| serde_json::from_slice::<Value>(&requests[at].1).unwrap();
    assert_eq!(body(0)["user"]["phone"], "+4915112345678");
    assert_eq!(body(2)["ticket"]["comment"]["uploads"], json!(["t1"]));
    assert_eq!(body(2)["ticket"]["group_id"], 11);
    assert_eq!(body(3)["ticket"]["comment"]["body"], long);
}

/// A webhook about an agent's comment, signed with `secret` at the time of [`now`].
fn commented() -> Webhook {
    let body = concat!(
        r#"{"id":"e-1","type":"zen:event-type:ticket.comment_added","time":"2026-11-21T10:00:00Z","#,
        r#""detail":{"id":"7","requester_id":"50"},"event":{"comment":{"id":"61","body":"We are on it","#,
        r#""is_public":true,"author":{"id":"60","is_staff":true,"name":"Grace"}}}}"#,
    );
    let header = |name: &str, value: &str| (name.to_owned(), value.into());
    Webhook {
        method: "POST".into(),
        path: String::new(),
        query: String::new(),
        headers: vec![
            header("x-zendesk-webhook-signature-timestamp", "2026-11-21T10:00:00Z"),
            header("x-zendesk-webhook-signature", "km3xzvhTC2n7d3LcdJwN2e5QdVxG29TFRTae/E/AUkg="),
        ],
        body: body.as_bytes().to_vec().into(),
    }
}

#[tokio::test]
async fn a_webhook_does_not_wait_for_files() {
    // Comments that never come, and comments that begin and never end.
    for begins in [false, true] {
        let app = Router::new().fallback(move || async move {
            if !begins {
                std::future::pending::<()>().await;
            }
            let start = futures::stream::iter([Ok::<_, Infallible>(Bytes::from_static(br#"{"comments":["#))]);
            axum::body::Body::from_stream(start.chain(futures::stream::pending()))
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        let settings = json!({ "base_url": format!("http://{address}") });
        let secrets = BTreeMap::from([("webhook".to_owned(), vec![SecretString::from("secret")])]);
        let desk = load_with(&engine(), "zendesk", settings, grants(address), secrets).await;
        // Less than what the host gives an answer: here the plugin's own bound has to do. The signature has a time, so
        // that the clock stands still.
        let call = Call { timeout: Duration::from_secs(15), desk: Some("zd".into()), ..call(true) };
        let activities = desk.receive(&commented(), &call).await.unwrap();
        let [activity] = activities.as_slice() else { panic!("{activities:?}") };
        let Activity::Entry(entry) = &activity.what else { panic!("{activity:?}") };
        assert_eq!((entry.text.reveal().as_str(), entry.attachments.len()), ("We are on it", 0));
    }
}

/// What an operator would grant for a server on loopback.
fn grants(address: SocketAddr) -> Grants {
    let mut grant = HttpGrant::https(HostPattern::parse("127.0.0.1").unwrap());
    grant.ports = vec![address.port()];
    grant.plain_http = true;
    grant.private_network = true;
    Grants { http: vec![grant], media: true, keyvalue: None }
}

type Requests = Arc<Mutex<Vec<(String, Bytes)>>>;

/// A server that answers as Zendesk does, and what it was asked.
async fn zendesk() -> (SocketAddr, Requests) {
    let requests = Requests::default();
    let app = Router::new().fallback(answer).with_state(requests.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, requests)
}

async fn answer(
    State(requests): State<Requests>,
    request: Request,
) -> (StatusCode, [(&'static str, String); 1], String) {
    let line = format!("{} {}", request.method(), request.uri());
    let body = to_bytes(request.into_body(), usize::MAX).await.unwrap();
    let written = |comment: u64| {
        json!({
            "ticket": { "id": 7, "status": "new", "requester_id": 50 },
            "audit": { "events": [{ "id": comment, "type": "Comment" }] },
        })
    };
    if let Some(depth) = line.split_once("deep").and_then(|(_, depth)| depth.parse().ok()) {
        requests.lock().unwrap().push((line, body));
        let nested = format!("{}{}", r#"{"a":"#.repeat(depth) + "1", "}".repeat(depth));
        return (StatusCode::OK, [("x-nested", depth.to_string())], nested);
    }
    let (status, answer) = match line.as_str() {
        line if line.contains("users") => (201, json!({ "user": { "id": 50 } })),
        line if line.contains("uploads") => (201, json!({ "upload": { "token": "t1" } })),
        line if line.starts_with("POST") => (201, written(31)),
        line if line.starts_with("PUT") => (200, written(32)),
        _ => (429, json!({ "error": "APIRateLimitExceeded" })),
    };
    requests.lock().unwrap().push((line, body));
    (StatusCode::from_u16(status).unwrap(), [("retry-after", "3".to_owned())], answer.to_string())
}

const PICTURE: &[u8] = b"not really a picture";

/// One piece of media.
struct Shelf;

#[async_trait::async_trait]
impl MediaSource for Shelf {
    async fn open(&self, media: &str) -> Result<MediaHandle, String> {
        let size = PICTURE.len() as u64;
        Ok(MediaHandle { key: media.to_owned(), size, mime: "image/jpeg".into(), file_name: None })
    }

    async fn read(&self, _: &MediaHandle, offset: u64, length: u32) -> Result<Bytes, String> {
        let from = (offset as usize).min(PICTURE.len());
        let to = from.saturating_add(length as usize).min(PICTURE.len());
        Ok(Bytes::from_static(&PICTURE[from..to]))
    }

    async fn stream(&self, _: &MediaHandle) -> Result<BoxStream<'static, Result<Bytes, std::io::Error>>, String> {
        Ok(futures::stream::iter([Ok(Bytes::from_static(PICTURE))]).boxed())
    }
}
