//! A receiver of webhooks that remembers everything and answers as it is told, and a simulator that sends there.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use patchbay_simulator::{Simulator, SimulatorOptions, SimulatorState};
use serde_json::{Value, json};

/// One webhook as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) path: &'static str,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) at: Instant,
}

impl Arrived {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[derive(Default)]
pub(crate) struct Receiver {
    pub(crate) arrived: Mutex<Vec<Arrived>>,
    /// What to answer next; 200 when there is nothing.
    pub(crate) answers: Mutex<VecDeque<u16>>,
    pub(crate) handshakes: Mutex<u32>,
}

impl Receiver {
    pub(crate) fn all(&self, path: &str) -> Vec<Arrived> {
        self.arrived.lock().unwrap().iter().filter(|arrived| arrived.path == path).cloned().collect()
    }

    /// The statuses that arrived, as `(wamid, status)`.
    pub(crate) fn statuses(&self) -> Vec<(String, String)> {
        self.all("whatsapp")
            .iter()
            .filter_map(|arrived| {
                let status = arrived.json().pointer("/entry/0/changes/0/value/statuses/0").cloned()?;
                Some((status["id"].as_str()?.to_owned(), status["status"].as_str()?.to_owned()))
            })
            .collect()
    }

    fn take(&self, path: &'static str, headers: HeaderMap, body: Bytes) -> StatusCode {
        self.arrived.lock().unwrap().push(Arrived { path, headers, body, at: Instant::now() });
        StatusCode::from_u16(self.answers.lock().unwrap().pop_front().unwrap_or(200)).unwrap()
    }
}

pub(crate) struct World {
    pub(crate) simulator: Simulator,
    pub(crate) state: SimulatorState,
    pub(crate) receiver: Arc<Receiver>,
    pub(crate) http: reqwest::Client,
    receiver_url: String,
}

pub(crate) const TOKEN: &str = "simulated-access-token";

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut SimulatorOptions)) -> Self {
        let receiver = Arc::new(Receiver::default());
        let app = Router::new()
            .route(
                "/webhooks/whatsapp",
                get(|State(receiver): State<Arc<Receiver>>, RawQuery(query): RawQuery| async move {
                    *receiver.handshakes.lock().unwrap() += 1;
                    let query = query.unwrap_or_default();
                    assert!(query.contains("hub.mode=subscribe"), "{query}");
                    assert!(query.contains("hub.verify_token=simulated-verify-token"), "{query}");
                    query.split('&').find_map(|pair| pair.strip_prefix("hub.challenge=")).unwrap().to_owned()
                })
                .post(
                    |State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes| async move {
                        receiver.take("whatsapp", headers, body)
                    },
                ),
            )
            .route(
                "/webhooks/desk/zendesk",
                post(|State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes| async move {
                    receiver.take("zendesk", headers, body)
                }),
            )
            .with_state(receiver.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let mut options = SimulatorOptions::default();
        options.whatsapp.retry_base = Duration::from_millis(20);
        options.whatsapp.status_pause = Duration::from_millis(1);
        options.zendesk.retry_base = Duration::from_millis(20);
        change(&mut options);
        let simulator = Simulator::start(options).await.unwrap();
        simulator.set_webhooks(format!("{base}/webhooks/whatsapp"), format!("{base}/webhooks/desk/zendesk"));
        let state = simulator.state();
        Self { simulator, state, receiver, http: reqwest::Client::new(), receiver_url: base }
    }

    pub(crate) fn receiver_url(&self) -> String {
        self.receiver_url.clone()
    }

    pub(crate) fn graph(&self, path: &str) -> String {
        format!("{}/graph/v24.0/{path}", self.simulator.url())
    }

    pub(crate) fn zendesk(&self, path: &str) -> String {
        format!("{}/zendesk/api/v2/{path}", self.simulator.url())
    }

    pub(crate) fn sim(&self, path: &str) -> String {
        format!("{}/_sim/{path}", self.simulator.url())
    }

    pub(crate) async fn send(&self, body: Value) -> reqwest::Response {
        self.http.post(self.graph("106540352242922/messages")).bearer_auth(TOKEN).json(&body).send().await.unwrap()
    }

    pub(crate) async fn send_text(&self, to: &str, text: &str) -> String {
        let body = json!({"messaging_product": "whatsapp", "recipient_type": "individual", "to": to, "type": "text",
            "text": {"body": text}, "biz_opaque_callback_data": "pb1:c:t"});
        let answer = self.send(body).await;
        assert_eq!(answer.status(), 200);
        let answer: Value = answer.json().await.unwrap();
        answer["messages"][0]["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> reqwest::Response {
        self.try_call(method, path, body, None).await.unwrap()
    }

    pub(crate) async fn try_call(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        key: Option<&str>,
    ) -> reqwest::Result<reqwest::Response> {
        let mut request = self
            .http
            .request(method.parse().unwrap(), self.zendesk(path))
            .basic_auth("agent@example.com/token", Some("simulated-zendesk-token"));
        if let Some(body) = body {
            request = request.json(&body);
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        request.send().await
    }

    pub(crate) async fn fault(&self, fault: Value) {
        let answer = self.http.post(self.sim("faults")).json(&fault).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    }
}

/// Waits until a condition holds; the limit is there to end a test that would never end.
pub(crate) async fn until<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "it never came to this: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
