//! What other servers are asked and answer.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One request and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// What has to be asked.
    pub request: ExpectedRequest,
    /// What is answered.
    pub answer: ScriptedAnswer,
}

/// A request that a plugin has to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedRequest {
    /// In upper case.
    pub method: String,
    /// The whole address.
    pub url: String,
    /// The body, as JSON where it is JSON and as text otherwise; not looked at if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptedAnswer {
    /// The status.
    #[serde(default = "ok")]
    pub status: u16,
    /// Headers, lower case.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The body: a text as it is, anything else as JSON.
    #[serde(default)]
    pub body: Value,
    /// The body where it is no text: in standard base64 with padding, in place of `body`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}

const fn ok() -> u16 {
    200
}
