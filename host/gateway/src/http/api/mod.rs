//! `/v1`: what happened, what went wrong, and what an operator does about it, behind a bearer token.
//!
//! # Layout
//! - here: who may ask, and how a refusal looks
//! - [`deployments`]: which generation of each plugin runs, and orders about it
//! - [`events`]: what happened; [`decisions`]: why it went where it went
//! - [`journal`]: events once more
//! - [`letters`]: dead letters, and orders about them
//! - [`reload`]: the configuration, read again
//! - [`reports`]: what plugins did that they should not have done
//! - [`store`]: the store in numbers, checked, backed up

pub mod decisions;
pub mod deployments;
pub mod events;
pub mod journal;
pub mod letters;
pub mod reload;
pub mod reports;
pub mod store;

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use patchbay_store::StoreError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::Surface;
use crate::token::Claims;

/// Rows of a listing when nothing is said.
pub const DEFAULT_LIMIT: usize = 100;
/// The most rows of a listing.
pub const LARGEST_LIMIT: usize = 10_000;

/// The routes below `/v1`.
pub fn router() -> Router<Arc<Surface>> {
    Router::new()
        .route("/v1/events", get(events::list))
        .route("/v1/events/{id}", get(events::show))
        .route("/v1/events/{id}/replay", post(journal::replay))
        .route("/v1/events/{id}/decision", get(decisions::show))
        .route("/v1/dead-letters", get(letters::list))
        .route("/v1/dead-letters/{task}", get(letters::show))
        .route("/v1/dead-letters/{task}/retry", post(letters::retry))
        .route("/v1/dead-letters/{task}/edit", post(letters::edit))
        .route("/v1/dead-letters/{task}/drop", post(letters::drop))
        .route("/v1/deployments", get(deployments::list))
        .route("/v1/deployments/{name}", get(deployments::show))
        .route("/v1/deployments/{name}/generations", post(deployments::deploy))
        .route("/v1/deployments/{name}/approve", post(deployments::approve))
        .route("/v1/deployments/{name}/promote", post(deployments::promote))
        .route("/v1/deployments/{name}/rollback", post(deployments::rollback))
        .route("/v1/reports", get(reports::list))
        .route("/v1/reload", post(reload::reload))
        .route("/v1/store/stats", get(store::stats))
        .route("/v1/store/verify", post(store::verify))
        .route("/v1/store/backup", get(store::backup))
}

/// Someone who showed a good token.
pub struct Bearer(pub Claims);

/// Why a request to the API was not answered.
#[derive(Debug)]
pub struct Refusal(StatusCode, String);

impl Refusal {
    fn bad(sentence: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, sentence.into())
    }

    fn absent(sentence: impl Into<String>) -> Self {
        Self(StatusCode::NOT_FOUND, sentence.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.0, Json(json!({ "error": self.1 }))).into_response();
        if self.0 == StatusCode::UNAUTHORIZED {
            let challenge = header::HeaderValue::from_static("Bearer realm=\"patchbay\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        if let StoreError::Unsuitable(reason) = error {
            return Self(StatusCode::CONFLICT, reason);
        }
        tracing::error!(%error, "the store did not do what the API asked of it");
        Self(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl FromRequestParts<Arc<Surface>> for Bearer {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, surface: &Arc<Surface>) -> Result<Self, Self::Rejection> {
        let live = surface.live();
        let Some(tokens) = &live.tokens else {
            return Err(Refusal::absent("the API is off: set `token_secrets` under `[admin]` in the configuration"));
        };
        let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some(token) = header.and_then(|value| value.strip_prefix("Bearer ")) else {
            let say = "send `Authorization: Bearer TOKEN`; `patchbay token issue` makes one";
            return Err(Refusal(StatusCode::UNAUTHORIZED, say.into()));
        };
        tokens.verify(token.trim()).map(Self).map_err(|error| Refusal(StatusCode::UNAUTHORIZED, error.to_string()))
    }
}

/// The query of a request, or a sentence about it.
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let query: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        query.map(|Query(query)| Self(query)).map_err(|error| Refusal::bad(error.body_text()))
    }
}

/// The JSON body of a request, or a sentence about it.
pub struct Given<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Given<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let body: Result<Json<T>, JsonRejection> = Json::from_request(request, state).await;
        body.map(|Json(body)| Self(body)).map_err(|error| Refusal::bad(error.body_text()))
    }
}

/// How long a listing may be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    limit: Option<usize>,
}

impl Limit {
    fn get(&self) -> usize {
        rows(self.limit)
    }
}

/// So many rows are given when this many are asked for.
fn rows(asked: Option<usize>) -> usize {
    asked.unwrap_or(DEFAULT_LIMIT).min(LARGEST_LIMIT)
}
