//! Golden events: what a plugin has to answer, written down by its vendor and shipped with it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Action, Conversation, Event, Flow, Ticket};

/// One question to a handler, and the answer that it has to give.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// What it shows, for people; the file's name if it is not said.
    #[serde(default)]
    pub name: String,
    /// The plugin's settings.
    #[serde(default)]
    pub settings: Map<String, Value>,
    /// What happened.
    pub event: Event,
    /// How the conversation stands.
    pub conversation: Conversation,
    /// The tickets that it is linked to.
    #[serde(default)]
    pub tickets: Vec<Ticket>,
    /// What the plugin asks of other servers, in order, and what they answer.
    #[serde(default)]
    pub http: Vec<Exchange>,
    /// What it has to answer.
    pub expect: Expected,
}

/// What a plugin has to answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Expected {
    /// These actions, in this order, and no others.
    Outcome {
        /// What it wants done.
        actions: Vec<Action>,
        /// Whether the handlers after it are asked.
        #[serde(default = "next")]
        flow: Flow,
    },
    /// A failure of this sort: `retry`, `permanent` or `credential`.
    Failure(String),
}

const fn next() -> Flow {
    Flow::Next
}

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
}

const fn ok() -> u16 {
    200
}
