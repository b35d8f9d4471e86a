//! What changes about a customer.

use serde::{Deserialize, Serialize};

use crate::Private;

/// Who the customer is has changed. The route names the identities that count from now on first, and those of before as
/// former ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityChanged {
    /// What changed.
    pub what: IdentityChange,
    /// The platform's sentence about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Private<String>>,
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdentityChange {
    /// The phone number; the platform gives a new user id with it.
    Number,
    /// The user id alone.
    UserId,
    /// The device or the person behind the number: the platform's security code changed.
    Identity,
}

impl IdentityChange {
    /// The last word of the event's kind.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number-changed",
            Self::UserId => "user-id-changed",
            Self::Identity => "identity-changed",
        }
    }
}

/// What the customer wants to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preference {
    /// `marketing_messages`.
    pub category: String,
    /// `stop` or `resume`, in the platform's word.
    pub value: String,
    /// The platform's sentence about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Private<String>>,
}
