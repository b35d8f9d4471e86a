//! The HTTP surface: webhooks in, probes and metrics, the admin API.
//!
//! # Layout
//! - [`whatsapp`]: Meta's handshake and webhooks
//! - [`desk`]: the ticket systems' webhooks
//! - [`probes`]: liveness, readiness, metrics
//! - [`api`]: `/v1`, behind a bearer token

pub mod api;
pub mod desk;
pub mod probes;
pub mod whatsapp;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{get, post};
use metrics_exporter_prometheus::PrometheusHandle;
use patchbay_whatsapp::normalise::Channels;
use patchbay_whatsapp::signature::AppSecrets;
use secrecy::SecretString;
use tower_http::catch_panic::CatchPanicLayer;

use crate::engine::Engine;
use crate::engine::Shared;
use crate::token::TokenVerifier;

/// What the HTTP surface works with.
#[derive(Debug)]
pub struct Surface {
    /// The running loop.
    pub engine: Engine,
    /// Signs Meta's webhooks.
    pub app_secrets: AppSecrets,
    /// Meta shows it in the handshake.
    pub verify_token: SecretString,
    /// The numbers that are ours.
    pub channels: Channels,
    /// The largest body that is accepted, bytes.
    pub max_body: usize,
    /// Checks bearer tokens. None: the API is off.
    pub tokens: Option<TokenVerifier>,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
}

impl Surface {
    /// What every part of the loop shares.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        self.engine.shared()
    }
}

/// The routes.
pub fn router(surface: Arc<Surface>) -> Router {
    Router::new()
        .route("/webhooks/whatsapp", get(whatsapp::handshake).post(whatsapp::webhook))
        .route("/webhooks/desk/{desk}", post(desk::webhook))
        .route("/webhooks/desk/{desk}/{*path}", post(desk::webhook_below))
        .route("/healthz", get(probes::healthz))
        .route("/readyz", get(probes::readyz))
        .route("/metrics", get(probes::metrics))
        .merge(api::router())
        .layer(CatchPanicLayer::new())
        .with_state(surface)
}

/// Reads a body up to `limit` bytes; a length that is announced to be larger is refused unread.
async fn read_body(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, StatusCode> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    to_bytes(body, limit).await.map_err(|error| {
        let too_large =
            std::error::Error::source(&error).is_some_and(|source| source.is::<http_body_util::LengthLimitError>());
        // A connection that broke before the end: nobody will read the answer.
        if too_large { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::SERVICE_UNAVAILABLE }
    })
}
