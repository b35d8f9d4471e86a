//! Why something was not done to a deployment.

use patchbay_store::StoreError;

use super::shelf::ShelfError;
use super::state::NotNow;

/// Why something was not done; each one is a sentence for people.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// There is no such deployment, or generation.
    #[error("{0}")]
    Absent(String),
    /// What was given is wrong: no component, settings that do not fit, a golden event that differs.
    #[error("{0}")]
    Invalid(String),
    /// The policy does not allow it.
    #[error("{0}")]
    Forbidden(String),
    /// The deployment is not in the state for it.
    #[error("{0}")]
    Conflict(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<NotNow> for Refused {
    fn from(NotNow(sentence): NotNow) -> Self {
        Self::Conflict(sentence)
    }
}

impl From<ShelfError> for Refused {
    fn from(error: ShelfError) -> Self {
        match error {
            ShelfError::Store(error) => Self::Store(error),
            other => Self::Conflict(other.to_string()),
        }
    }
}
