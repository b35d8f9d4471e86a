//! What an inspector found in a piece of media.

use serde::{Deserialize, Serialize};

use crate::Private;

/// What an inspector found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// What should become of the media.
    pub decision: Decision,
    /// Words and their confidence, 0 to 1.
    #[serde(default)]
    pub labels: Vec<(String, f32)>,
    /// Text found in it.
    #[serde(default)]
    pub text: Option<Private<String>>,
    /// Numbers by name: sharpness, brightness, width …
    #[serde(default)]
    pub measures: Vec<(String, f64)>,
    /// What is to be said about it.
    #[serde(default)]
    pub findings: Vec<Finding>,
}

/// What should become of a piece of media.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Nothing stands against it.
    Pass,
    /// People should know something before they open it.
    Warn,
    /// It is kept away from people.
    Quarantine,
}

impl Decision {
    /// The contract's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Quarantine => "quarantine",
        }
    }
}

/// One thing that an inspector found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// For machines.
    pub code: String,
    /// For people.
    pub detail: Private<String>,
    /// The confidence, 0 to 1.
    pub score: f32,
}
