//! Zendesk Support: what is served under `/zendesk`.

pub(crate) mod change;
pub(crate) mod error;
mod page;
mod query;
mod users;
pub(crate) mod world;

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use subtle::ConstantTimeEq as _;

use crate::faults::FaultTarget;
use crate::ids;
use crate::shared::{Shared, lock, seconds};
use change::announce;
use error::ZendeskError;
use page::page;
use query::{Query, search};
use world::{API_AGENT, Ticket, Upload, World};

/// Zendesk takes attachments of up to 50 MB.
const BODY_LIMIT: usize = 50 * 1024 * 1024;
/// The limit that the headers show when none is set: the high-volume add-on.
const SHOWN_LIMIT: u32 = 2500;
const KEY_LIMIT: usize = 255;

/// Answers one request under `/zendesk`; `path` has that prefix removed.
pub(crate) async fn serve(shared: &Arc<Shared>, path: &str, request: Request) -> Response {
    if let Some(rest) = path.strip_prefix("/attachments/token/") {
        return download(shared, rest.split('/').next().unwrap_or_default());
    }
    let (used, left) = lock(&shared.zendesk).count_request();
    let limit = shared.options.zendesk.requests_per_minute;
    let mut response = if limit.is_some_and(|limit| used > limit) {
        let mut response = ZendeskError::too_many().into_response();
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(left));
        response
    } else {
        route(shared, path, request).await.unwrap_or_else(|error| {
            tracing::debug!(status = error.status.as_u16(), path, "the simulated Zendesk refuses");
            error.into_response()
        })
    };
    let limit = limit.unwrap_or(SHOWN_LIMIT);
    let headers = response.headers_mut();
    for (name, value) in [
        ("x-rate-limit", limit),
        ("x-rate-limit-remaining", limit.saturating_sub(used)),
        ("ratelimit-limit", limit),
        ("ratelimit-remaining", limit.saturating_sub(used)),
        ("ratelimit-reset", u32::try_from(left).unwrap_or(60)),
    ] {
        headers.insert(name, HeaderValue::from(value));
    }
    headers.insert("x-zendesk-api-version", HeaderValue::from_static("v2"));
    response
}

fn authenticate(shared: &Shared, headers: &HeaderMap) -> Result<(), ZendeskError> {
    let options = &shared.options.zendesk;
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Basic "))
        .and_then(|text| STANDARD.decode(text.trim()).ok())
        .unwrap_or_default();
    let wanted = format!("{}/token:{}", options.agent_email, options.token);
    if bool::from(given.as_slice().ct_eq(wanted.as_bytes())) { Ok(()) } else { Err(ZendeskError::unauthenticated()) }
}

/// One request, taken apart.
struct Asked {
    method: String,
    path: String,
    query: Query,
    headers: HeaderMap,
    body: Bytes,
}

impl Asked {
    /// The object under `name` in a JSON body.
    fn object(&self, name: &str) -> Result<Map<String, Value>, ZendeskError> {
        let body: Value =
            serde_json::from_slice(&self.body).map_err(|_| ZendeskError::bad_request("The body is not valid JSON"))?;
        match body.get(name) {
            Some(Value::Object(object)) => Ok(object.clone()),
            _ => Err(ZendeskError::bad_request(&format!("Parameter {name} is required"))),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

async fn route(shared: &Arc<Shared>, path: &str, request: Request) -> Result<Response, ZendeskError> {
    let rest = path.strip_prefix("/api/v2/").ok_or_else(ZendeskError::endpoint)?;
    authenticate(shared, request.headers())?;
    let rest = rest.trim_end_matches('/');
    let rest = rest.strip_suffix(".json").unwrap_or(rest).to_owned();
    let asked = Asked {
        method: request.method().as_str().to_owned(),
        path: path.to_owned(),
        query: Query::parse(request.uri().query().unwrap_or_default()),
        headers: request.headers().clone(),
        body: to_bytes(request.into_body(), BODY_LIMIT)
            .await
            .map_err(|_| ZendeskError::bad_request("The body could not be read"))?,
    };
    let base = shared.url();
    let segments: Vec<&str> = rest.split('/').collect();
    let id = |text: &str| text.parse::<u64>().map_err(|_| ZendeskError::not_found());
    let url = format!("{base}/zendesk/api/v2/{rest}.json");
    match (asked.method.as_str(), segments.as_slice()) {
        ("POST", ["users"]) => {
            let mut world = lock(&shared.zendesk);
            let id = world.create_user(&asked.object("user")?)?;
            Ok(user_answer(&world, id, StatusCode::CREATED, &base))
        }
        ("POST", ["users", "create_or_update"]) => {
            let mut world = lock(&shared.zendesk);
            let (id, new) = world.create_or_update_user(&asked.object("user")?)?;
            Ok(user_answer(&world, id, if new { StatusCode::CREATED } else { StatusCode::OK }, &base))
        }
        ("GET", ["users", "me"]) => Ok(user_answer(&lock(&shared.zendesk), API_AGENT, StatusCode::OK, &base)),
        ("GET", ["users"]) => {
            let users = lock(&shared.zendesk).users.values().map(|user| user.json(&base)).collect();
            Ok(Json(page("users", users, &asked.query, &url)).into_response())
        }
        ("GET", ["users", "search"]) => {
            let external = asked.query.get("external_id").map(|id| format!("external_id:\"{id}\""));
            let query = external.or_else(|| asked.query.get("query").map(str::to_owned)).unwrap_or_default();
            let users = search(&lock(&shared.zendesk), &format!("type:user {query}"), &base, |_| false);
            Ok(Json(page("users", users, &asked.query, &url)).into_response())
        }
        ("GET", ["users", user]) => {
            let (user, world) = (id(user)?, lock(&shared.zendesk));
            world.users.get(&user).ok_or_else(ZendeskError::not_found)?;
            Ok(user_answer(&world, user, StatusCode::OK, &base))
        }
        ("PUT", ["users", user]) => {
            let (user, mut world) = (id(user)?, lock(&shared.zendesk));
            world.update_user(user, &asked.object("user")?)?;
            Ok(user_answer(&world, user, StatusCode::OK, &base))
        }
        ("GET", ["groups"]) => {
            let world = lock(&shared.zendesk);
            let groups = world.groups.iter().map(|group| {
                json!({"id": group.id, "name": group.name, "deleted": false, "default": false, "is_public": true,
                       "url": format!("{base}/zendesk/api/v2/groups/{}.json", group.id)})
            });
            Ok(Json(page("groups", groups.collect(), &asked.query, &url)).into_response())
        }
        ("POST", ["tickets"]) => create(shared, &asked),
        ("GET", ["tickets"]) => {
            let lag = lag(shared, &asked);
            let world = lock(&shared.zendesk);
            let wanted = asked.query.get("external_id");
            let tickets = world
                .tickets
                .values()
                .filter(|ticket| visible(ticket, lag))
                .filter(|ticket| wanted.is_none_or(|wanted| ticket.external_id.as_deref() == Some(wanted)));
            let tickets = tickets.map(|ticket| ticket.json(&base)).collect();
            Ok(Json(page("tickets", tickets, &asked.query, &url)).into_response())
        }
        ("GET", ["search"]) => {
            let lag = lag(shared, &asked);
            let query = asked.query.get("query").unwrap_or_default();
            let results = search(&lock(&shared.zendesk), query, &base, |ticket| visible(ticket, lag));
            Ok(Json(page("results", results, &asked.query, &url)).into_response())
        }
        ("GET", ["tickets", ticket]) => {
            let (ticket, world) = (id(ticket)?, lock(&shared.zendesk));
            let ticket = world.tickets.get(&ticket).ok_or_else(ZendeskError::not_found)?;
            Ok(Json(json!({"ticket": ticket.json(&base)})).into_response())
        }
        ("PUT", ["tickets", ticket]) => {
            let changes = asked.object("ticket")?;
            let (answer, done) = {
                let mut world = lock(&shared.zendesk);
                let done = world.update(id(ticket)?, &changes, API_AGENT, "api")?;
                (ticket_answer(&world, done.ticket, &base), done)
            };
            announce(shared, done);
            Ok(Json(answer).into_response())
        }
        ("PUT" | "POST" | "DELETE", ["tickets", ticket, "tags"]) => tags(shared, &asked, id(ticket)?),
        ("GET", ["tickets", ticket, "comments"]) => {
            let (ticket, world) = (id(ticket)?, lock(&shared.zendesk));
            let ticket = world.tickets.get(&ticket).ok_or_else(ZendeskError::not_found)?;
            let comments = ticket.comments.iter().map(|comment| comment.json(&world, &base)).collect();
            Ok(Json(page("comments", comments, &asked.query, &url)).into_response())
        }
        ("GET", ["tickets", ticket, "audits"]) => {
            let (ticket, world) = (id(ticket)?, lock(&shared.zendesk));
            let ticket = world.tickets.get(&ticket).ok_or_else(ZendeskError::not_found)?;
            let audits = ticket.audits.iter().map(|audit| ticket.audit_json(audit, &world, &base)).collect();
            Ok(Json(page("audits", audits, &asked.query, &url)).into_response())
        }
        ("POST", ["uploads"]) => upload(shared, &asked, &base),
        ("DELETE", ["uploads", token]) => {
            let removed = lock(&shared.zendesk).uploads.remove(*token);
            removed.map(|_| StatusCode::NO_CONTENT.into_response()).ok_or_else(ZendeskError::not_found)
        }
        ("GET", ["attachments", attachment]) => {
            let (attachment, world) = (id(attachment)?, lock(&shared.zendesk));
            let attachment = world.attachments.get(&attachment).ok_or_else(ZendeskError::not_found)?;
            Ok(Json(json!({"attachment": attachment.json(&base)})).into_response())
        }
        _ => Err(ZendeskError::endpoint()),
    }
}

fn user_answer(world: &World, id: u64, status: StatusCode, base: &str) -> Response {
    (status, Json(json!({"user": world.users.get(&id).map(|user| user.json(base))}))).into_response()
}

/// The ticket and its last audit.
fn ticket_answer(world: &World, id: u64, base: &str) -> Value {
    let Some(ticket) = world.tickets.get(&id) else { return Value::Null };
    let audit = ticket.audits.last().map(|audit| ticket.audit_json(audit, world, base));
    json!({"ticket": ticket.json(base), "audit": audit})
}

fn create(shared: &Arc<Shared>, asked: &Asked) -> Result<Response, ZendeskError> {
    let ticket = asked.object("ticket")?;
    let base = shared.url();
    let key = asked.header("idempotency-key").map(str::to_owned);
    if key.as_ref().is_some_and(|key| key.is_empty() || key.len() > KEY_LIMIT) {
        return Err(ZendeskError::bad_request("Idempotency-Key must have 1 to 255 characters"));
    }
    let request = Value::Object(ticket.clone());
    let (answer, done) = {
        let mut world = lock(&shared.zendesk);
        if let Some(key) = &key
            && let Some(kept) = world.kept(key, &request).map_err(|()| ZendeskError::idempotency())?
        {
            return Ok(created(&kept, Some("hit")));
        }
        let done = world.create(&ticket)?;
        let answer = ticket_answer(&world, done.ticket, &base);
        if let Some(key) = &key {
            world.keep(key.clone(), request, answer.clone());
        }
        (answer, done)
    };
    announce(shared, done);
    Ok(created(&answer, key.map(|_| "miss")))
}

fn created(answer: &Value, lookup: Option<&'static str>) -> Response {
    let mut response = (StatusCode::CREATED, Json(answer)).into_response();
    if let Some(location) = answer.pointer("/ticket/url").and_then(Value::as_str).and_then(|url| url.parse().ok()) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if let Some(lookup) = lookup {
        response.headers_mut().insert("x-idempotency-lookup", HeaderValue::from_static(lookup));
    }
    response
}

fn tags(shared: &Arc<Shared>, asked: &Asked, id: u64) -> Result<Response, ZendeskError> {
    let body: Value =
        serde_json::from_slice(&asked.body).map_err(|_| ZendeskError::bad_request("The body is not valid JSON"))?;
    let given: Vec<Value> = body.get("tags").and_then(Value::as_array).cloned().unwrap_or_default();
    let (tags, done) = {
        let mut world = lock(&shared.zendesk);
        let current = &world.tickets.get(&id).ok_or_else(ZendeskError::not_found)?.tags;
        let current = current.iter().map(|tag| json!(tag));
        let tags: Vec<Value> = match asked.method.as_str() {
            "PUT" => current.chain(given).collect(),
            "DELETE" => current.filter(|tag| !given.contains(tag)).collect(),
            _ => given,
        };
        let mut change = Map::new();
        change.insert("tags".into(), Value::Array(tags));
        let done = world.update(id, &change, API_AGENT, "api")?;
        (json!(world.tickets.get(&id).map(|ticket| ticket.tags.clone())), done)
    };
    announce(shared, done);
    let status = if asked.method == "POST" { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(json!({"tags": tags}))).into_response())
}

fn upload(shared: &Shared, asked: &Asked, base: &str) -> Result<Response, ZendeskError> {
    let name = asked.query.get("filename").filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| ZendeskError::bad_request("Parameter filename is required"))?.to_owned();
    let mime = asked.header("content-type").unwrap_or("application/binary").to_owned();
    let mut world = lock(&shared.zendesk);
    let token = match asked.query.get("token") {
        None => ids::secret_text(),
        Some(token) if world.upload(token).is_some() => token.to_owned(),
        Some(_) => return Err(ZendeskError::invalid("token", "Token: is invalid or has expired", "InvalidValue")),
    };
    let id = world.attach(name, mime, asked.body.clone());
    let upload = world.uploads.entry(token.clone()).or_insert(Upload { attachments: Vec::new(), at: Timestamp::now() });
    upload.attachments.push(id);
    let all = upload.attachments.clone();
    let show = |id: &u64| world.attachments.get(id).map(|file| file.json(base));
    let attachments: Vec<Value> = all.iter().filter_map(show).collect();
    let answer = json!({"upload": {
        "token": token, "expires_at": seconds(World::upload_expiry()), "attachment": show(&id),
        "attachments": attachments,
    }});
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

fn download(shared: &Shared, token: &str) -> Response {
    let world = lock(&shared.zendesk);
    let Some(file) = world.attachments.values().find(|file| file.token == token) else {
        return ZendeskError::not_found().into_response();
    };
    Response::builder()
        .header(header::CONTENT_TYPE, &file.mime)
        .header(header::CONTENT_LENGTH, file.content.len())
        .body(Body::from(file.content.clone()))
        .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// How far behind the search index is.
fn lag(shared: &Shared, asked: &Asked) -> Option<SignedDuration> {
    shared
        .faults
        .strike(FaultTarget::Zendesk, &asked.method, &asked.path, |fault| fault.lag_search_ms.is_some())
        .and_then(|fault| fault.lag_search_ms)
        .map(|ms| SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX)))
}

fn visible(ticket: &Ticket, lag: Option<SignedDuration>) -> bool {
    lag.is_none_or(|lag| Timestamp::now().duration_since(ticket.created_at) >= lag)
}
