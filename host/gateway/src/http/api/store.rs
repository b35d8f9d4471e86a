//! The store in numbers, checked, and as a backup.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use patchbay_store::{Stats, Verification};
use serde::Deserialize;

use super::{Asked, Bearer, Refusal};
use crate::backup;
use crate::http::Surface;

/// `GET /v1/store/stats`.
pub(super) async fn stats(_: Bearer, State(surface): State<Arc<Surface>>) -> Result<Json<Stats>, Refusal> {
    Ok(Json(surface.shared().store.stats().await?))
}

/// `POST /v1/store/verify`: reads everything.
pub(super) async fn verify(_: Bearer, State(surface): State<Arc<Surface>>) -> Result<Json<Verification>, Refusal> {
    Ok(Json(surface.shared().store.verify().await?))
}

/// What a backup is to hold.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct BackupQuery {
    /// Customers' files too.
    media: bool,
    /// The store; without it only the files.
    store: bool,
}

impl Default for BackupQuery {
    fn default() -> Self {
        Self { media: true, store: true }
    }
}

/// `GET /v1/store/backup?media=&store=`: a tar file. One that breaks off has no `manifest.json` at its end.
pub(super) async fn backup(
    Bearer(claims): Bearer,
    State(surface): State<Arc<Surface>>,
    Asked(query): Asked<BackupQuery>,
) -> Result<Response, Refusal> {
    tracing::info!(media = query.media, store = query.store, by = claims.sub, "a backup was asked for");
    let contents = backup::Contents {
        store: query.store.then(|| Arc::clone(&surface.shared().store)),
        media: query.media.then(|| surface.data.join("media")),
        scratch: surface.data.clone(),
    };
    let prepared = backup::prepare(contents).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/x-tar"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"patchbay-backup.tar\""),
    ];
    Ok((headers, Body::from_stream(prepared.stream())).into_response())
}
