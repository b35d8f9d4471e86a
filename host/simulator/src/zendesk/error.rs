//! Errors as Zendesk words them.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// An error answer.
#[derive(Debug, Clone)]
pub(crate) struct ZendeskError {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl ZendeskError {
    fn new(status: StatusCode, body: Value) -> Self {
        Self { status, body }
    }

    /// 422 with what is wrong in one field.
    pub(crate) fn invalid(field: &str, description: &str, error: &str) -> Self {
        let mut details = Map::new();
        details.insert(field.to_owned(), json!([{"description": description, "error": error}]));
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            json!({"error": "RecordInvalid", "description": "Record validation errors", "details": details}),
        )
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, json!({"error": "RecordNotFound", "description": "Not found"}))
    }

    pub(crate) fn endpoint() -> Self {
        Self::new(StatusCode::NOT_FOUND, json!({"error": {"title": "Invalid Endpoint", "message": "Not found"}}))
    }

    pub(crate) fn unauthenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, json!({"error": "Couldn't authenticate you"}))
    }

    pub(crate) fn bad_request(description: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, json!({"error": "BadRequest", "description": description}))
    }

    pub(crate) fn idempotency() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            json!({"error": "IdempotentRequestError", "description":
                "The parameters of this request are not those of the first request with this idempotency key."}),
        )
    }

    pub(crate) fn conflict() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            json!({"error": "UpdateConflict", "description":
                "Safe Update prevented the update due to outdated ticket data. Please fetch the latest ticket data and try again."}),
        )
    }

    pub(crate) fn too_many() -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            json!({"error": "APIRateLimitExceeded", "description": "Number of allowed API requests per minute exceeded"}),
        )
    }

    pub(crate) fn closed() -> Self {
        Self::invalid("status", "Status: closed prevents ticket update", "InvalidValue")
    }
}

/// The body that goes with a fault's bare HTTP status.
pub(crate) fn fault_body(status: u16) -> Option<Value> {
    Some(match status {
        401 => ZendeskError::unauthenticated().body,
        403 => json!({"error": {"title": "Forbidden", "message": "You do not have access to this page."}}),
        404 => ZendeskError::not_found().body,
        409 => ZendeskError::conflict().body,
        422 => ZendeskError::invalid("base", "The record is invalid", "InvalidValue").body,
        429 => ZendeskError::too_many().body,
        500..=599 => return None,
        _ => json!({"error": "BadRequest", "description": "The request could not be understood"}),
    })
}

impl IntoResponse for ZendeskError {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}
