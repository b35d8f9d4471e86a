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

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::StreamExt;
use metrics_exporter_prometheus::PrometheusHandle;
use patchbay_store::intake::Intake;
use patchbay_whatsapp::normalise::Channels;
use patchbay_whatsapp::signature::AppSecrets;
use secrecy::SecretString;
use tower_http::catch_panic::CatchPanicLayer;

use crate::deploy::Deployments;
use crate::engine::Engine;
use crate::engine::Shared;
use crate::serve::reload::Reloader;
use crate::token::TokenVerifier;

/// Bytes of a body that is too large that are read and dropped before it is answered.
const DRAINED_BYTES: usize = 64 * 1024 * 1024;
/// How long a body may take to come: 4 MiB over a line of 2 Mbit/s.
const BODY_TIME: Duration = Duration::from_secs(17);
/// How long such a body is read at the most.
const DRAINED_TIME: Duration = Duration::from_secs(5);

/// What the HTTP surface works with.
#[derive(Debug)]
pub struct Surface {
    /// The running loop.
    pub engine: Engine,
    /// Takes in what the webhooks bring.
    pub intake: Intake,
    /// Which generation of each plugin runs.
    pub deployments: Arc<Deployments>,
    /// The plugins' sandbox, for its gauges.
    pub runtime: patchbay_runtime::Engine,
    /// The folder for everything that is kept.
    pub data: PathBuf,
    /// What a reload can change.
    pub live: ArcSwap<Live>,
    /// Reads the configuration again.
    pub reloader: Reloader,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
}

/// What the HTTP surface takes from the configuration, as one whole that a reload exchanges.
#[derive(Debug)]
pub struct Live {
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
    /// How long running work may take to finish after the signal to stop.
    pub grace: Duration,
}

impl Surface {
    /// What counts now. A request keeps what this gives.
    #[must_use]
    pub fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

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
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(surface)
}

/// A fault of our own is no answer that Meta or a vendor may take for the end of it: they deliver again.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a request panicked; it is answered 503");
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}

/// Reads a body up to `limit` bytes.
///
/// What is beyond the limit is read and dropped for a while: a connection that is closed on a client that still writes
/// takes the answer with it, and the client would see a broken connection instead of 413.
async fn read_body(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, StatusCode> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let mut chunks = body.into_data_stream();
    let mut read = Vec::with_capacity(announced.filter(|length| *length <= limit).unwrap_or_default());
    let mut too_large = announced.is_some_and(|length| length > limit);
    let until = tokio::time::Instant::now() + BODY_TIME;
    while !too_large {
        let next = tokio::time::timeout_at(until, chunks.next()).await;
        match next.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)? {
            Some(Ok(chunk)) if read.len() + chunk.len() > limit => too_large = true,
            Some(Ok(chunk)) => read.extend_from_slice(&chunk),
            // The connection broke before the end: nobody will read the answer.
            Some(Err(_)) => return Err(StatusCode::SERVICE_UNAVAILABLE),
            None => return Ok(read.into()),
        }
    }
    drop(read);
    let drain = async {
        let mut left = DRAINED_BYTES;
        while let Some(Ok(chunk)) = chunks.next().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                break;
            }
        }
    };
    let _in_time = tokio::time::timeout(DRAINED_TIME, drain).await;
    Err(StatusCode::PAYLOAD_TOO_LARGE)
}
