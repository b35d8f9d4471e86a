//! What became of messages that we sent.

use serde::{Deserialize, Serialize};

use crate::{Private, TaskId};

/// What became of a message that we sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The platform's id of the message.
    pub message: Private<String>,
    /// How far it got.
    pub state: DeliveryState,
    /// Why it failed: the first of the platform's reasons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<DeliveryError>,
    /// The task that sent it, where it was ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<TaskId>,
    /// What the platform charges for it, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pricing: Option<Pricing>,
    /// In a group: the participant that this is about, as the platform calls them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub participant: Option<Private<String>>,
}

/// What the platform charges for a message, in its own words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pricing {
    /// Whether it is charged for, where the platform says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billable: Option<bool>,
    /// `PMP`: per message …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// `regular`, `free_customer_service`, `free_entry_point` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `marketing`, `utility`, `service`, `authentication` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// What opened the free window, where there is one: `referral_conversion` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

/// How far a message got. The order is the rank: it never goes down, and `Failed` is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// The platform took it, and said under which id.
    Accepted,
    /// The platform has passed it on.
    Sent,
    /// It is on the customer's device.
    Delivered,
    /// It was shown.
    Read,
    /// A voice message was played.
    Played,
    /// It will never arrive.
    Failed,
}

impl DeliveryState {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Played => "played",
            Self::Failed => "failed",
        }
    }
}

/// The platform's own code and words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryError {
    /// The platform's error code.
    pub code: i64,
    /// Its title.
    pub title: String,
    /// Its details; empty where there are none.
    pub detail: String,
}
