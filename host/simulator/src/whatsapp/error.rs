//! Errors as the Graph API words them.

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::ids;

/// An error answer of the Graph API.
#[derive(Debug, Clone)]
pub(crate) struct GraphError {
    pub(crate) status: StatusCode,
    pub(crate) code: i64,
    pub(crate) subcode: Option<i64>,
    /// Replaces the usual `(#code) title`.
    pub(crate) message: Option<String>,
    pub(crate) details: Option<String>,
    pub(crate) kind: &'static str,
}

impl GraphError {
    pub(crate) fn new(code: i64, details: impl Into<String>) -> Self {
        Self {
            status: default_status(code),
            code,
            subcode: None,
            message: None,
            details: Some(details.into()),
            kind: "OAuthException",
        }
    }

    /// A parameter that is wrong in itself (131009).
    pub(crate) fn value(details: impl Into<String>) -> Self {
        Self::new(131_009, details)
    }

    /// A parameter that is not there (131008).
    pub(crate) fn missing(parameter: &str) -> Self {
        Self::new(131_008, format!("Parameter '{parameter}' is mandatory."))
    }

    /// A parameter that the API does not know, or that is too long (100).
    pub(crate) fn parameter(details: impl Into<String>) -> Self {
        Self::new(100, details)
    }

    /// The token is missing or wrong.
    pub(crate) fn token(missing: bool) -> Self {
        let (code, message) = if missing {
            (0, "Authentication Error")
        } else {
            (190, "Invalid OAuth access token - Cannot parse access token")
        };
        Self {
            status: StatusCode::UNAUTHORIZED,
            code,
            subcode: None,
            message: Some(message.into()),
            details: None,
            kind: "OAuthException",
        }
    }

    /// There is no such object, or it belongs to somebody else.
    pub(crate) fn unknown_object(method: &str, id: &str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: 100,
            subcode: Some(33),
            message: Some(format!(
                "Unsupported {} request. Object with ID '{id}' does not exist, cannot be loaded due to missing \
                 permissions, or does not support this operation",
                method.to_ascii_lowercase()
            )),
            details: None,
            kind: "GraphMethodException",
        }
    }

    pub(crate) fn body(&self) -> Value {
        let message = self.message.clone().unwrap_or_else(|| format!("(#{}) {}", self.code, title(self.code)));
        let mut error = json!({"message": message, "type": self.kind, "code": self.code, "fbtrace_id": ids::trace()});
        if let Some(error) = error.as_object_mut() {
            if let Some(subcode) = self.subcode {
                error.insert("error_subcode".into(), json!(subcode));
            }
            if let Some(details) = &self.details {
                error.insert("error_data".into(), json!({"messaging_product": "whatsapp", "details": details}));
            }
            if matches!(self.code, 1 | 2) {
                error.insert("is_transient".into(), json!(self.code == 2));
            }
        }
        json!({"error": error})
    }

    /// The entry of `errors[]` in a status.
    pub(crate) fn in_status(&self) -> Value {
        json!({
            "code": self.code, "title": title(self.code), "message": title(self.code),
            "error_data": {"details": self.details},
            "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
        })
    }
}

impl IntoResponse for GraphError {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        if self.status == StatusCode::UNAUTHORIZED
            && let Ok(value) = format!("OAuth \"Facebook Platform\" \"invalid_token\" \"code {}\"", self.code).parse()
        {
            headers.insert("www-authenticate", value);
        }
        (self.status, headers, Json(self.body())).into_response()
    }
}

/// The HTTP status that goes with a code unless a fault says otherwise.
pub(crate) fn default_status(code: i64) -> StatusCode {
    match code {
        0 | 190 => StatusCode::UNAUTHORIZED,
        3 | 10 | 200..=299 | 368 | 131_005 | 131_031 => StatusCode::FORBIDDEN,
        1 | 131_000 | 133_004 => StatusCode::INTERNAL_SERVER_ERROR,
        2 | 131_016 | 131_057 => StatusCode::SERVICE_UNAVAILABLE,
        4 | 80_007 | 130_429 | 131_048 | 131_056 => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// The code that a fault's bare HTTP status stands for.
pub(crate) fn default_code(status: u16) -> i64 {
    match status {
        401 => 190,
        403 => 10,
        429 => 130_429,
        503 => 2,
        500..=599 => 131_000,
        _ => 100,
    }
}

/// Meta's title of a code.
pub(crate) fn title(code: i64) -> &'static str {
    match code {
        0 => "AuthException",
        1 => "API Unknown",
        2 => "API Service",
        4 => "API Too Many Calls",
        10 => "Permission Denied",
        33 => "Parameter value is not valid",
        100 => "Invalid parameter",
        190 => "Access token has expired",
        368 => "Temporarily blocked for policies violations",
        80_007 => "Rate limit issues",
        130_429 => "Rate limit hit",
        131_000 => "Something went wrong",
        131_005 => "Access denied",
        131_008 => "Required parameter is missing",
        131_009 => "Parameter value is not valid",
        131_016 => "Service unavailable",
        131_021 => "Recipient cannot be sender",
        131_026 => "Message undeliverable",
        131_031 => "Account has been locked",
        131_042 => "Business eligibility payment issue",
        131_047 => "Re-engagement message",
        131_048 => "Spam rate limit hit",
        131_049 => "This message was not delivered to maintain healthy ecosystem engagement.",
        131_051 => "Unsupported message type",
        131_052 => "Media download error",
        131_053 => "Media upload error",
        131_056 => "(Business Account, Consumer Account) pair rate limit hit",
        131_057 => "Account in maintenance mode",
        131_062 => "Recipient not allowed for this message",
        132_000 => "Template Param Count Mismatch",
        132_001 => "Template does not exist",
        133_010 => "Phone number Not Registered",
        135_000 => "Generic user error",
        _ => "Something went wrong",
    }
}
