//! The WhatsApp Cloud API: what is served under `/graph`, and the customers on the other side.

pub(crate) mod chat;
pub(crate) mod error;
pub(crate) mod inbound;
mod interactive;
pub(crate) mod media;
pub(crate) mod send;
pub(crate) mod spec;
mod validate;
pub(crate) mod wire;
pub(crate) mod world;

use std::sync::Arc;

use axum::Json;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use subtle::ConstantTimeEq as _;

use crate::shared::{Shared, lock};
use error::GraphError;

/// The largest body of a message request.
const BODY_LIMIT: usize = 1024 * 1024;

/// Answers one request under `/graph`; `path` has that prefix removed.
pub(crate) async fn graph(shared: &Arc<Shared>, path: &str, request: Request) -> Response {
    match route(shared, path, request).await {
        Ok(response) => response,
        Err(error) => {
            tracing::debug!(code = error.code, path, "the simulated Graph API refuses");
            error.into_response()
        }
    }
}

async fn route(shared: &Arc<Shared>, path: &str, request: Request) -> Result<Response, GraphError> {
    authenticate(shared, &request)?;
    let options = &shared.options.whatsapp;
    let method = request.method().as_str().to_owned();
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let (version, rest) = segments.split_first().ok_or_else(|| GraphError::unknown_object(&method, ""))?;
    if !version.strip_prefix('v').is_some_and(|number| {
        number.split_once('.').is_some_and(|(major, minor)| major.parse::<u8>().is_ok() && minor.parse::<u8>().is_ok())
    }) {
        return Err(GraphError {
            message: Some(format!("Unknown path components: {path}")),
            ..GraphError::new(2500, "")
        });
    }
    match (method.as_str(), rest) {
        ("POST", [number, "messages"]) if *number == options.phone_number_id => {
            let body = to_bytes(request.into_body(), BODY_LIMIT)
                .await
                .map_err(|error| GraphError::parameter(format!("The body could not be read: {error}.")))?;
            send::message(shared, path, &body)
        }
        ("POST", [number, "media"]) if *number == options.phone_number_id => media::upload(shared, request).await,
        ("GET", [number]) if *number == options.phone_number_id => Ok(Json(json!({
            "verified_name": "Patchbay Simulator", "code_verification_status": "VERIFIED",
            "display_phone_number": options.display_number, "quality_rating": "GREEN", "platform_type": "CLOUD_API",
            "throughput": {"level": "STANDARD"}, "id": options.phone_number_id,
        }))
        .into_response()),
        ("GET", [account, "message_templates"]) if *account == options.business_account => {
            Ok(Json(json!({"data": templates(), "paging": {"cursors": {"before": "MAZDZD", "after": "MgZDZD"}}}))
                .into_response())
        }
        ("GET", [account, "phone_numbers"]) if *account == options.business_account => Ok(Json(json!({"data": [{
            "verified_name": "Patchbay Simulator", "display_phone_number": options.display_number,
            "id": options.phone_number_id, "quality_rating": "GREEN",
        }]}))
        .into_response()),
        ("POST" | "DELETE", [account, "subscribed_apps"]) if *account == options.business_account => {
            Ok(Json(json!({"success": true})).into_response())
        }
        ("GET", [account, "subscribed_apps"]) if *account == options.business_account => Ok(Json(json!({"data": [
            {"whatsapp_business_api_data": {"id": "670843887433847", "name": "Patchbay Simulator"}},
        ]}))
        .into_response()),
        ("GET" | "DELETE", [id]) => {
            let found = lock(&shared.whatsapp).media.get(*id).cloned();
            let found = found.ok_or_else(|| GraphError::unknown_object(&method, id))?;
            if method == "DELETE" {
                lock(&shared.whatsapp).media.remove(*id);
                return Ok(Json(json!({"success": true})).into_response());
            }
            Ok(media::describe(shared, &found))
        }
        (_, rest) => Err(GraphError::unknown_object(&method, rest.first().copied().unwrap_or_default())),
    }
}

/// Answers a download address; the token is needed here too.
pub(crate) fn lookaside(shared: &Arc<Shared>, request: &Request) -> Response {
    if let Err(error) = authenticate(shared, request) {
        return error.into_response();
    }
    let hash = url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
        .find(|(key, _)| key == "hash")
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default();
    media::download(shared, &hash)
}

fn authenticate(shared: &Shared, request: &Request) -> Result<(), GraphError> {
    let header = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let token = match header {
        Some(header) => header.split_once(' ').map(|(_, token)| token.trim().to_owned()),
        None => url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
            .find(|(key, _)| key == "access_token")
            .map(|(_, value)| value.into_owned()),
    };
    let token = token.ok_or_else(|| GraphError::token(true))?;
    if bool::from(token.as_bytes().ct_eq(shared.options.whatsapp.access_token.as_bytes())) {
        Ok(())
    } else {
        Err(GraphError::token(false))
    }
}

/// The templates of the account.
fn templates() -> serde_json::Value {
    json!([
        {"name": "hello_world", "parameter_format": "POSITIONAL", "status": "APPROVED", "category": "UTILITY",
         "language": "en_US", "id": "594425479261596",
         "components": [
            {"type": "HEADER", "format": "TEXT", "text": "Hello World"},
            {"type": "BODY", "text": "Welcome. This message shows that the number can send templates."},
            {"type": "FOOTER", "text": "Simulated"}]},
        {"name": "we_are_back", "parameter_format": "POSITIONAL", "status": "APPROVED", "category": "UTILITY",
         "language": "en", "id": "594425479261597",
         "components": [
            {"type": "BODY", "text": "Hello {{1}}, there is news about your request {{2}}.",
             "example": {"body_text": [["Ada", "1042"]]}},
            {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Tell me"}]}]},
    ])
}
