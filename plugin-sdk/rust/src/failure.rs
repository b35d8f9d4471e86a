//! Why a call did not succeed, and the words for it.

use crate::{Failure, Retry};

impl Failure {
    /// Worth another try, when the gateway thinks best.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry(Retry { after_ms: None, reason: reason.into() })
    }

    /// Worth another try, after so many milliseconds.
    pub fn retry_after(after_ms: u64, reason: impl Into<String>) -> Self {
        Self::Retry(Retry { after_ms: Some(after_ms), reason: reason.into() })
    }

    /// Never worth another try.
    pub fn permanent(reason: impl Into<String>) -> Self {
        Self::Permanent(reason.into())
    }

    /// The credential does not work; from [`Desk::receive`](crate::Desk::receive): the webhook's signature is wrong.
    pub fn credential(reason: impl Into<String>) -> Self {
        Self::Credential(reason.into())
    }

    /// Why, for people.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Retry(retry) => &retry.reason,
            Self::Permanent(reason) | Self::Credential(reason) => reason,
        }
    }
}
