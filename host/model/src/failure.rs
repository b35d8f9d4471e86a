//! Why a call did not succeed.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why a call to a plugin or another system did not succeed; what happens next follows from the case alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Failure {
    /// Worth another try.
    Retry {
        /// No sooner than this, if the other side said so.
        after: Option<Duration>,
        /// Why, for people.
        reason: String,
        /// It may have had its effect: only the answer is missing.
        uncertain: bool,
    },
    /// Never worth another try.
    Permanent {
        /// Why, for people.
        reason: String,
    },
    /// The credential does not work: pause, tell the operator, keep the work.
    Credential {
        /// Why, for people.
        reason: String,
    },
}

impl Failure {
    /// Worth another try at our own pace; the effect did not happen.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry { after: None, reason: reason.into(), uncertain: false }
    }

    /// Worth another try; the effect may have happened.
    pub fn uncertain(reason: impl Into<String>) -> Self {
        Self::Retry { after: None, reason: reason.into(), uncertain: true }
    }

    /// Never worth another try.
    pub fn permanent(reason: impl Into<String>) -> Self {
        Self::Permanent { reason: reason.into() }
    }

    /// Why, for people.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Retry { reason, .. } | Self::Permanent { reason } | Self::Credential { reason } => reason,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}
