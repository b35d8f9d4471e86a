//! A Graph API on loopback that answers everything in one way and keeps what it was asked.
#![allow(dead_code, reason = "each test file is a program of its own and uses a part of this")]

use std::future::pending;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::request::Parts;
use axum::response::Response;
use patchbay_whatsapp::graph::{Graph, GraphOptions};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

/// How it answers.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Status, headers and body.
    Http(u16, Vec<(String, String)>, Bytes),
    /// The first bytes of a longer body, and then nothing.
    Stall(Bytes),
    /// The request is read and never answered.
    Hang,
    /// The request is read and the connection dropped.
    Drop,
}

impl Answer {
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self::Http(status, vec![("content-type".into(), "application/json".into())], body.to_string().into())
    }

    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self::Http(status, Vec::new(), Bytes::copy_from_slice(body.as_bytes()))
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        if let Self::Http(_, headers, _) = &mut self {
            headers.push((name.into(), value.into()));
        }
        self
    }

    pub(crate) fn retry_after(self, value: &str) -> Self {
        self.header("retry-after", value)
    }
}

/// What it was asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) authorization: Option<String>,
    pub(crate) user_agent: String,
    pub(crate) body: Value,
}

/// A server.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
}

struct Seen {
    answer: Answer,
    requests: Mutex<Vec<Request>>,
    connections: AtomicUsize,
}

impl Fake {
    pub(crate) async fn answering(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen { answer, requests: Mutex::default(), connections: AtomicUsize::new(0) });
        if matches!(seen.answer, Answer::Drop) {
            tokio::spawn(drop_all(listener, Arc::clone(&seen)));
        } else {
            let app = Router::new().fallback(answer_one).with_state(Arc::clone(&seen));
            tokio::spawn(async move { axum::serve(listener, app).await });
        }
        Self { address, seen }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.seen.requests.lock().unwrap().clone()
    }

    pub(crate) fn only_request(&self) -> Request {
        let requests = self.requests();
        assert_eq!(requests.len(), 1);
        requests[0].clone()
    }

    /// Requests, or connections where they are dropped.
    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }
}

async fn drop_all(listener: TcpListener, seen: Arc<Seen>) {
    while let Ok((mut connection, _)) = listener.accept().await {
        seen.connections.fetch_add(1, Ordering::SeqCst);
        let mut request = [0; 16];
        connection.read_exact(&mut request).await.unwrap();
    }
}

async fn answer_one(State(seen): State<Arc<Seen>>, parts: Parts, body: Bytes) -> Response {
    seen.connections.fetch_add(1, Ordering::SeqCst);
    let header = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    seen.requests.lock().unwrap().push(Request {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        authorization: header("authorization"),
        user_agent: header("user-agent").unwrap_or_default(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    });
    match &seen.answer {
        Answer::Http(status, headers, body) => {
            let response = headers.iter().fold(Response::builder().status(*status), |response, (name, value)| {
                response.header(name.as_str(), value.as_str())
            });
            response.body(Body::from(body.clone())).unwrap()
        }
        Answer::Stall(first) => {
            let first = futures::stream::iter([Ok::<_, std::io::Error>(first.clone())]);
            Response::new(Body::from_stream(futures::StreamExt::chain(first, futures::stream::pending())))
        }
        Answer::Hang | Answer::Drop => pending().await,
    }
}

/// The time that a client waits for what never comes: tests that wait for it take as long.
const SHORT: Duration = Duration::from_millis(300);

pub(crate) fn options(base_url: &str, timeout: Duration) -> GraphOptions {
    GraphOptions {
        base_url: base_url.parse().unwrap(),
        version: "v24.0".into(),
        phone_number_id: "106540352242922".into(),
        access_token: "EAAG".into(),
        timeout,
    }
}

/// A client of a fake; it waits long for what comes and not for what never does.
pub(crate) fn graph(fake: &Fake) -> Graph {
    let waits = matches!(fake.seen.answer, Answer::Hang | Answer::Stall(_));
    let timeout = if waits { SHORT } else { Duration::from_secs(60) };
    Graph::new(options(&fake.url("/base/"), timeout)).unwrap()
}
