//! A small ticket system, with the API that the templates of desks speak: see the README that `patchbay plugin new` writes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::Result;
use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

/// What it answers instead of doing what it is asked, once.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The request that it is about, by its beginning: `POST /api/tickets`.
    pub request: &'static str,
    /// The status.
    pub status: u16,
    /// Seconds, for the header `Retry-After`.
    pub retry_after: Option<u32>,
    /// The body.
    pub body: Value,
}

impl Fault {
    /// This request is answered with this status, and an empty object.
    #[must_use]
    pub fn of(request: &'static str, status: u16) -> Self {
        Self { request, status, retry_after: None, body: json!({}) }
    }
}

/// A request that was made.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `POST /api/tickets`, with the query.
    pub request: String,
    /// The header `Authorization`; empty without one.
    pub authorization: String,
    /// When it came.
    pub at: Instant,
}

/// A file that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub mime: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

#[derive(Debug, Default)]
struct World {
    tickets: Vec<Value>,
    files: Vec<File>,
    faults: Vec<Fault>,
    asked: Vec<Asked>,
}

/// The ticket system; it serves on loopback as long as the test runs.
#[derive(Clone, Debug)]
pub struct TicketSystem {
    port: u16,
    world: Arc<Mutex<World>>,
}

impl TicketSystem {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start() -> Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let system = Self { port: listener.local_addr()?.port(), world: Arc::default() };
        let router = Router::new()
            .route("/api/files", post(send_file))
            .route("/api/tickets", get(find).post(create))
            .route("/api/tickets/{id}", get(read).put(update))
            .route("/api/tickets/{id}/comments", get(comments).post(comment))
            .layer(from_fn_with_state(system.clone(), watch))
            .with_state(system.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(system)
    }

    /// Where it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The tickets: `id`, `external_id`, `subject`, `status`, `comments` with `id`, `text`, `files` …
    #[must_use]
    pub fn tickets(&self) -> Vec<Value> {
        self.world().tickets.clone()
    }

    /// The files that were sent; the first one's id is `f0`.
    #[must_use]
    pub fn files(&self) -> Vec<File> {
        self.world().files.clone()
    }

    /// What it was asked whose request begins so, in order.
    #[must_use]
    pub fn asked(&self, begins: &str) -> Vec<Asked> {
        self.world().asked.iter().filter(|asked| asked.request.starts_with(begins)).cloned().collect()
    }

    /// Answers the next requests of these kinds so, each once.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.world().faults.extend(faults);
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes each request down, and answers it with a fault where there is one for it.
async fn watch(State(system): State<TicketSystem>, request: Request, next: Next) -> Response {
    let line = format!("{} {}", request.method(), request.uri());
    let authorization = text(request.headers(), AUTHORIZATION.as_str());
    let fault = {
        let mut world = system.world();
        world.asked.push(Asked { request: line.clone(), authorization, at: Instant::now() });
        let at = world.faults.iter().position(|fault| line.starts_with(fault.request));
        at.map(|at| world.faults.remove(at))
    };
    let Some(Fault { status, retry_after, body, .. }) = fault else { return next.run(request).await };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match retry_after {
        Some(seconds) => (status, [(RETRY_AFTER, seconds.to_string())], Json(body)).into_response(),
        None => (status, Json(body)).into_response(),
    }
}

async fn send_file(
    State(system): State<TicketSystem>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let name = query.into_iter().find(|(key, _)| key == "name").map(|(_, name)| name).unwrap_or_default();
    let mut world = system.world();
    let id = format!("f{}", world.files.len());
    world.files.push(File { name, mime: text(&headers, CONTENT_TYPE.as_str()), bytes: body.to_vec() });
    (StatusCode::CREATED, Json(json!({ "id": id }))).into_response()
}

async fn find(State(system): State<TicketSystem>, Query(query): Query<Vec<(String, String)>>) -> Json<Value> {
    let key = query.into_iter().find(|(key, _)| key == "external_id").map(|(_, key)| key);
    let found: Vec<Value> =
        system.world().tickets.iter().filter(|ticket| of(ticket, "external_id") == key).map(shown).collect();
    Json(json!({ "tickets": found }))
}

async fn create(State(system): State<TicketSystem>, Json(mut ticket): Json<Value>) -> Response {
    let mut world = system.world();
    let id = (world.tickets.len() + 1).to_string();
    set(&mut ticket, "url", json!(format!("https://desk.example.com/tickets/{id}")));
    set(&mut ticket, "id", json!(id));
    set(&mut ticket, "status", json!("new"));
    set(&mut ticket, "comments", json!([]));
    world.tickets.push(ticket.clone());
    (StatusCode::CREATED, Json(shown(&ticket))).into_response()
}

async fn read(State(system): State<TicketSystem>, Path(id): Path<String>) -> Response {
    let found = system.world().tickets.iter().find(|ticket| of(ticket, "id").as_ref() == Some(&id)).map(shown);
    found.map_or_else(|| StatusCode::NOT_FOUND.into_response(), |ticket| Json(ticket).into_response())
}

async fn update(State(system): State<TicketSystem>, Path(id): Path<String>, Json(fields): Json<Value>) -> Response {
    change(&system, &id, |ticket| {
        for (key, value) in fields.as_object().into_iter().flatten() {
            set(ticket, key, value.clone());
        }
        Json(shown(ticket)).into_response()
    })
}

async fn comments(State(system): State<TicketSystem>, Path(id): Path<String>) -> Response {
    change(&system, &id, |ticket| Json(json!({ "comments": ticket.get("comments") })).into_response())
}

async fn comment(
    State(system): State<TicketSystem>,
    Path(id): Path<String>,
    Json(mut comment): Json<Value>,
) -> Response {
    change(&system, &id, |ticket| {
        let Some(comments) = ticket.get_mut("comments").and_then(Value::as_array_mut) else {
            return StatusCode::CONFLICT.into_response();
        };
        let written = format!("{id}-{}", comments.len() + 1);
        set(&mut comment, "id", json!(written));
        comments.push(comment);
        (StatusCode::CREATED, Json(json!({ "id": written }))).into_response()
    })
}

fn change(system: &TicketSystem, id: &str, work: impl FnOnce(&mut Value) -> Response) -> Response {
    let mut world = system.world();
    let found = world.tickets.iter_mut().find(|ticket| of(ticket, "id").as_deref() == Some(id));
    found.map_or_else(|| StatusCode::NOT_FOUND.into_response(), work)
}

/// A ticket as the API shows it.
fn shown(ticket: &Value) -> Value {
    json!({ "id": ticket.get("id"), "url": ticket.get("url"), "status": ticket.get("status") })
}

fn set(object: &mut Value, key: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(key.to_owned(), value);
    }
}

fn of(object: &Value, key: &str) -> Option<String> {
    object.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}
