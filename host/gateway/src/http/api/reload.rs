//! The configuration, read again.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{Bearer, Refusal};
use crate::http::Surface;
use crate::serve::reload::{NotReloaded, Reloaded};

/// `POST /v1/reload`: reads the file that the gateway was started with again. 200 with what has changed; 422 when the file is
/// wrong, with every problem; 409 when some of it needs a restart. With any error nothing has changed.
pub(super) async fn reload(Bearer(claims): Bearer, State(surface): State<Arc<Surface>>) -> Result<Response, Refusal> {
    tracing::info!(by = claims.sub, "the configuration is read again");
    // In a task of its own: a client that goes away must not leave it half done.
    let work = tokio::spawn(async move { surface.reloader.reload(&surface).await });
    let done = work.await.map_err(|_| {
        Refusal(StatusCode::INTERNAL_SERVER_ERROR, "reading the configuration again broke off: see the log".into())
    })?;
    Ok(match done {
        Ok(Reloaded { changes, warnings }) => {
            tracing::info!(?changes, "the configuration was read again");
            Json(json!({ "changes": changes, "warnings": warnings })).into_response()
        }
        Err(error) => {
            tracing::warn!("the configuration was not read again: {error}");
            refused(&error)
        }
    })
}

fn refused(error: &NotReloaded) -> Response {
    let sentence = error.to_string();
    match error {
        NotReloaded::Wrong(problems) => {
            let body = json!({ "error": sentence, "problems": problems.as_slice() });
            (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
        }
        NotReloaded::Restart(keys) => {
            (StatusCode::CONFLICT, Json(json!({ "error": sentence, "restart": keys }))).into_response()
        }
        NotReloaded::NoFile => (StatusCode::CONFLICT, Json(json!({ "error": sentence }))).into_response(),
        NotReloaded::Failed(_) => {
            (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "error": sentence }))).into_response()
        }
    }
}
