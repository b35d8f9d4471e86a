//! HTTP of a plugin, to a real server on this machine.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get};
use common::*;
use futures::StreamExt as _;
use patchbay_runtime::{Call, CallError, Cause, Credential, Engine, HostPattern, HttpGrant, Plugin, PluginSpec};

/// What the server was sent.
#[derive(Clone, Debug)]
struct Got {
    method: String,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

type Log = Arc<Mutex<Vec<Got>>>;

struct Server {
    port: u16,
    log: Log,
}

impl Server {
    async fn start() -> Self {
        let log = Log::default();
        let app = Router::new()
            .route("/redirect", get(|| async { Redirect::temporary("/landed") }))
            .route("/drip", get(drip))
            .route("/large", get(|| async { vec![b'x'; 6 << 20] }))
            .route("/headers", get(many_headers))
            .route("/hang", get(std::future::pending::<()>))
            .fallback(any(echo))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(log.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { port, log }
    }

    fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }

    fn got(&self) -> Vec<Got> {
        self.log.lock().unwrap().clone()
    }
}

async fn echo(State(log): State<Log>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let got = Got { method: parts.method.to_string(), path: parts.uri.to_string(), headers: parts.headers, body };
    let text = format!("{} {} with {} bytes", got.method, got.path, got.body.len());
    log.lock().unwrap().push(got);
    (StatusCode::CREATED, [("x-served-by", "test")], text).into_response()
}

async fn drip() -> Body {
    let drops = futures::stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Some((Ok::<_, std::io::Error>(Bytes::from_static(b".")), ()))
    });
    Body::from_stream(drops.boxed())
}

async fn many_headers() -> Response {
    let mut response = Response::new(Body::empty());
    for number in 0..90 {
        let name = header::HeaderName::try_from(format!("x-{number}")).unwrap();
        response.headers_mut().insert(name, "v".repeat(400).parse().unwrap());
    }
    response
}

/// The local server, as a grant would name it.
fn grant(server: &Server) -> HttpGrant {
    HttpGrant {
        ports: vec![server.port],
        plain_http: true,
        private_network: true,
        ..HttpGrant::https(HostPattern::parse("localhost").unwrap())
    }
}

async fn desk_with(engine: &Engine, change: impl FnOnce(&mut PluginSpec)) -> Plugin {
    let mut spec = spec("zen", "desk");
    spec.grants.media = true;
    change(&mut spec);
    engine.load(spec).await.unwrap()
}

/// What the plugin says about its request: pairs of status, headers and body.
async fn ask(plugin: &Plugin, command: &str) -> std::collections::BTreeMap<String, String> {
    let snapshot = plugin.read_ticket(command, &desk_call()).await.unwrap();
    snapshot.entries.into_iter().map(|(key, value)| (key, value.into_inner())).collect()
}

async fn fails(plugin: &Plugin, command: &str) -> String {
    match plugin.read_ticket(command, &desk_call()).await {
        Err(CallError::Failed(failure)) => failure.reason().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_allowed_request_gets_its_credential_and_keeps_nothing_of_the_plugins_own() {
    let server = Server::start().await;
    let engine = engine();
    let plugin = desk_with(&engine, |spec| {
        let password = "the-token".to_owned().into();
        let credential = Some(Credential::Basic { username: "agent@example.com/token".into(), password });
        spec.grants.http.push(HttpGrant { credential, ..grant(&server) });
    })
    .await;
    let url = server.url("/api?q=1");
    let answer = ask(&plugin, &format!("http PUT {url} authorization=mine te=trailers accept=text/plain")).await;
    assert_eq!((answer["status"].as_str(), answer["x-served-by"].as_str()), ("201", "test"));
    assert_eq!(answer["body"], "PUT /api?q=1 with 0 bytes");
    assert!(!format!("{answer:?}").contains("token"), "{answer:?}");

    let got = &server.got()[0];
    let header = |name: &str| got.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    // base64 of `agent@example.com/token:the-token`
    let basic = "Basic YWdlbnRAZXhhbXBsZS5jb20vdG9rZW46dGhlLXRva2Vu";
    assert_eq!(header("authorization").as_deref(), Some(basic));
    assert_eq!(got.headers.get_all("authorization").iter().count(), 1);
    assert_eq!(header("host"), Some(format!("localhost:{}", server.port)));
    assert_eq!((header("te"), header("accept").as_deref()), (None, Some("text/plain")));

    let refused = fails(&plugin, &format!("http GET {url} host=evil.example")).await;
    assert!(refused.contains("header host"), "{refused}");
}

#[tokio::test]
async fn other_kinds_of_credentials() {
    let server = Server::start().await;
    let engine = engine();
    let header = Credential::Header { name: "X-Api-Key".into(), value: "key-1".to_owned().into() };
    for (credential, name, value) in
        [(header, "x-api-key", "key-1"), (Credential::Bearer("tok".to_owned().into()), "authorization", "Bearer tok")]
    {
        let plugin = desk_with(&engine, |spec| {
            spec.grants.http.push(HttpGrant { credential: Some(credential), ..grant(&server) });
        })
        .await;
        ask(&plugin, &format!("http GET {} {name}=mine", server.url("/"))).await;
        let got = server.got().pop().unwrap();
        let values: Vec<_> = got.headers.get_all(name).iter().collect();
        assert_eq!(values, [value]);
    }
}

#[tokio::test]
async fn a_body_arrives_and_one_that_is_too_large_does_not() {
    let server = Server::start().await;
    let engine = engine();
    let plugin = desk_with(&engine, |spec| {
        spec.limits.request_body = 100_000;
        spec.grants.http.push(grant(&server));
    })
    .await;
    let answer = ask(&plugin, &format!("post 90000 {}", server.url("/in"))).await;
    assert_eq!(answer["body"], "POST /in with 90000 bytes");
    let why = fails(&plugin, &format!("post 200000 {}", server.url("/in"))).await;
    assert!(why.contains("while writing") || why.contains("no answer"), "{why}");
}

#[tokio::test]
async fn a_host_that_is_not_granted_is_answered_with_the_line_to_add() {
    let server = Server::start().await;
    let engine = engine();
    let plugin = desk_with(&engine, |spec| {
        spec.grants.http.push(HttpGrant { methods: vec!["GET".into()], paths: vec!["/api".into()], ..grant(&server) });
    })
    .await;
    // The body is written before the answer is read, as clients do.
    let answer = ask(&plugin, "post 50000 http://other.example:8080/x?secret=1").await;
    assert_eq!((answer["status"].as_str(), answer["x-patchbay-denied"].as_str()), ("403", "host"));
    assert!(
        answer["body"]
            .contains("[[plugins.zen.grants.http]]\nhost = \"other.example\"\nplain_http = true\nports = [8080]"),
        "{answer:?}"
    );
    for (command, reason) in [
        (format!("http DELETE {}", server.url("/api")), "method"),
        (format!("http GET {}", server.url("/admin")), "path"),
        (format!("http GET {}", server.url("/api/../admin")), "path"),
        ("http GET http://localhost:1/api".to_owned(), "port"),
    ] {
        assert_eq!(ask(&plugin, &command).await["x-patchbay-denied"], reason, "{command}");
    }
    assert!(server.got().is_empty());
}

#[tokio::test]
async fn a_private_address_needs_its_own_word() {
    let server = Server::start().await;
    let engine = engine_with(|options| options.media = shelf(vec![1; 10_000]));
    let literal = HttpGrant { host: HostPattern::parse("127.0.0.1").unwrap(), ..grant(&server) };
    let plugin = desk_with(&engine, |spec| {
        for allowed in [grant(&server), literal] {
            spec.grants.http.push(HttpGrant { private_network: false, ..allowed });
        }
    })
    .await;
    for host in ["localhost", "127.0.0.1"] {
        let answer = ask(&plugin, &format!("post 50000 http://{host}:{}/", server.port)).await;
        assert_eq!(answer["x-patchbay-denied"], "private-address", "{answer:?}");
        assert!(answer["body"].contains("private_network = true"), "{answer:?}");
    }
    let upload = ask(&plugin, &format!("upload {} photo", server.url("/"))).await;
    assert_eq!(upload["x-patchbay-denied"], "private-address", "{upload:?}");
    assert!(server.got().is_empty());
}

#[tokio::test]
async fn a_connection_for_one_plugin_opens_nothing_for_another() {
    let server = Server::start().await;
    let engine = engine();
    let trusted = desk_with(&engine, |spec| spec.grants.http.push(grant(&server))).await;
    let command = format!("http GET {}", server.url("/"));
    assert_eq!(ask(&trusted, &command).await["status"], "201");
    // The connection is still open; the name is the same.
    let other = desk_with(&engine, |spec| {
        spec.grants.http.push(HttpGrant { private_network: false, ..grant(&server) });
    })
    .await;
    assert_eq!(ask(&other, &command).await["x-patchbay-denied"], "private-address");
}

#[tokio::test]
async fn a_redirect_is_the_plugins_business() {
    let server = Server::start().await;
    let engine = engine();
    let plugin = desk_with(&engine, |spec| spec.grants.http.push(grant(&server))).await;
    let answer = ask(&plugin, &format!("http GET {}", server.url("/redirect"))).await;
    assert_eq!((answer["status"].as_str(), answer["location"].as_str()), ("307", "/landed"));
    assert!(server.got().is_empty());
}

#[tokio::test]
async fn a_dripping_or_silent_server_meets_the_deadline() {
    let server = Server::start().await;
    let engine = engine();
    let plugin = desk_with(&engine, |spec| spec.grants.http.push(grant(&server))).await;
    for path in ["/drip", "/hang"] {
        let short = Call { timeout: Duration::from_millis(500), ..desk_call() };
        match plugin.read_ticket(&format!("http GET {}", server.url(path)), &short).await {
            Err(CallError::Broken(report)) => assert_eq!(report.cause, Cause::Deadline, "{path}: {report:?}"),
            other => panic!("{path}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_answer_beyond_its_cap_is_an_error_that_the_plugin_sees() {
    let server = Server::start().await;
    let engine = engine();
    let plugin = desk_with(&engine, |spec| spec.grants.http.push(grant(&server))).await;
    let why = fails(&plugin, &format!("http GET {}", server.url("/large"))).await;
    assert!(why.contains("after 4") || why.contains("after 3"), "not about 4 MiB: {why}");
    let why = fails(&plugin, &format!("http GET {}", server.url("/headers"))).await;
    assert!(why.contains("no answer"), "{why}");
}

#[tokio::test]
async fn a_server_that_is_not_there() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let engine = engine();
    let server = Server { port, log: Log::default() };
    let plugin = desk_with(&engine, |spec| spec.grants.http.push(grant(&server))).await;
    let why = fails(&plugin, &format!("http GET {}", server.url("/"))).await;
    assert!(why.contains("ConnectionRefused"), "{why}");
}

#[tokio::test]
async fn an_upload_carries_stored_media_byte_for_byte() {
    let bytes: Vec<u8> = (0..=255).rev().cycle().take(70_001).collect();
    let server = Server::start().await;
    let engine = engine_with(|options| options.media = shelf(bytes.clone()));
    let plugin = desk_with(&engine, |spec| {
        let credential = Some(Credential::Bearer("tok".to_owned().into()));
        spec.grants.http.push(HttpGrant { credential, ..grant(&server) });
    })
    .await;
    let answer = ask(&plugin, &format!("upload {} photo", server.url("/up?name=ü#part"))).await;
    assert_eq!(answer["status"], "201", "{answer:?}");

    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(&bytes);
    let expected = [b"head|".as_slice(), &bytes, b"|", encoded.as_bytes(), b"|tail"].concat();
    let got = &server.got()[0];
    assert!(got.body == expected, "{} bytes arrived, {} were sent", got.body.len(), expected.len());
    assert_eq!(got.headers[header::CONTENT_LENGTH], expected.len().to_string());
    assert_eq!(got.headers[header::AUTHORIZATION], "Bearer tok");
    assert_eq!(got.path, "/up?name=%C3%BC");
    assert!(!got.headers.contains_key(header::TRANSFER_ENCODING));

    let unknown = fails(&plugin, &format!("upload {} other", server.url("/up"))).await;
    assert!(unknown.contains("there is no `other`"), "{unknown}");
    let denied = ask(&plugin, "upload https://other.example/up photo").await;
    assert_eq!(denied["x-patchbay-denied"], "host");
}
