//! A server on this machine that shows what it was sent, and servers that misbehave.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get};
use futures::StreamExt as _;
use patchbay_runtime::{Credential, Engine, HostPattern, HttpGrant, Plugin};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::common::*;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Got {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

type Log = Arc<Mutex<Vec<Got>>>;

pub(super) struct Server {
    pub(super) port: u16,
    log: Log,
}

impl Server {
    pub(super) async fn start() -> Self {
        let log = Log::default();
        let app = Router::new()
            .route("/echo", any(echo))
            .route("/refuse", any(|request: Request| async { (StatusCode::UNAUTHORIZED, echo(request).await) }))
            .route("/drip", get(drip))
            .route("/to/{*url}", get(redirect))
            .fallback(any(collect))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(log.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { port, log }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }

    /// What came to the fallback, in order.
    pub(super) fn got(&self) -> Vec<Got> {
        self.log.lock().unwrap().clone()
    }

    /// This server, as a grant names it.
    pub(super) fn grant(&self) -> HttpGrant {
        local(self.port)
    }
}

/// A port of this machine, as a grant names it.
pub(super) fn local(port: u16) -> HttpGrant {
    HttpGrant {
        ports: vec![port],
        plain_http: true,
        private_network: true,
        ..HttpGrant::https(HostPattern::parse("localhost").unwrap())
    }
}

/// A desk that makes the requests that it is told to.
pub(super) async fn desk(engine: &Engine, grants: Vec<HttpGrant>) -> Plugin {
    let mut spec = spec("zen", "desk");
    spec.grants.media = true;
    spec.grants.http = grants;
    spec.limits.cpu = std::time::Duration::from_secs(5);
    engine.load(spec).await.unwrap()
}

pub(super) fn bearer(token: &str) -> Option<Credential> {
    Some(Credential::Bearer(token.to_owned().into()))
}

/// Everything that it was sent, in headers and in the body.
async fn echo(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let mut lines = format!("{} {}\n", parts.method, parts.uri);
    let mut headers = HeaderMap::new();
    for (name, value) in &parts.headers {
        lines.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
        headers.insert(HeaderName::try_from(format!("x-seen-{name}")).unwrap(), value.clone());
    }
    lines.push_str(&String::from_utf8_lossy(&body));
    let json = serde_json::json!({ "sent": lines }).to_string();
    let all = format!("{lines}\n{json}");
    let query = parts.uri.query().unwrap_or_default();
    if let Some(status) = query.strip_prefix("status=") {
        return (StatusCode::from_u16(status.parse().unwrap()).unwrap(), headers, all).into_response();
    }
    if query == "slowly" {
        // Three bytes at a time: no secret comes in one piece.
        let pieces: Vec<_> =
            all.as_bytes().chunks(3).map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece))).collect();
        return (headers, Body::from_stream(futures::stream::iter(pieces))).into_response();
    }
    (headers, all).into_response()
}

async fn collect(State(log): State<Log>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let got = Got { path: parts.uri.to_string(), headers: parts.headers, body };
    log.lock().unwrap().push(got);
    (StatusCode::CREATED, "taken").into_response()
}

/// A byte every 50 ms, without an end.
async fn drip() -> Body {
    let drops = futures::stream::unfold((), |()| async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        Some((Ok::<_, std::io::Error>(Bytes::from_static(b".")), ()))
    });
    Body::from_stream(drops.boxed())
}

async fn redirect(axum::extract::Path(url): axum::extract::Path<String>) -> Response {
    let mut response = Redirect::temporary("/").into_response();
    response.headers_mut().insert(header::LOCATION, HeaderValue::try_from(url).unwrap());
    response
}

/// A server that answers every connection with these bytes and then holds it open: for answers that no library writes.
/// What it was sent is kept.
pub(super) async fn raw(answer: impl Into<Vec<u8>>) -> (u16, Arc<Mutex<Vec<u8>>>) {
    let (answer, seen) = (answer.into(), Arc::new(Mutex::new(Vec::new())));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let kept = seen.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (answer, kept) = (answer.clone(), kept.clone());
            tokio::spawn(async move {
                let mut piece = vec![0; 65_536];
                let mut answered = false;
                while let Ok(size @ 1..) = stream.read(&mut piece).await {
                    kept.lock().unwrap().extend_from_slice(&piece[..size]);
                    if !answered {
                        answered = true;
                        drop(stream.write_all(&answer).await);
                    }
                }
            });
        }
    });
    (port, seen)
}

/// What the plugin says about a request: pairs of status, headers and body.
pub(super) async fn ask(plugin: &Plugin, command: &str) -> std::collections::BTreeMap<String, String> {
    let snapshot = plugin.read_ticket(command, &desk_call()).await.unwrap();
    snapshot.entries.into_iter().map(|(key, value)| (key, value.into_inner())).collect()
}

/// The sentence of a request that the plugin says went wrong.
pub(super) async fn fails(plugin: &Plugin, command: &str) -> String {
    match plugin.read_ticket(command, &desk_call()).await {
        Err(patchbay_runtime::CallError::Failed(failure)) => failure.reason().to_owned(),
        other => panic!("{command}: {other:?}"),
    }
}
