//! The sections about where things go: chains of handlers, and desks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::Match;
use super::share::Share;
use super::units::Period;

/// A ticket system behind a desk plugin.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Desk {
    /// The plugin that speaks to it, by its name in `[plugins]`.
    #[schemars(extend("x-form" = "name"))]
    pub plugin: String,
    /// Calls at the same time, over all conversations.
    #[serde(default = "default_concurrency")]
    #[schemars(range(min = 1, max = 256))]
    pub concurrency: u32,
    /// Calls a minute. Without it only the ticket system itself sets the pace.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100_000))]
    pub rate_per_minute: Option<u32>,
    /// How long one call may take.
    #[serde(default = "default_desk_timeout")]
    pub timeout: Period,
    /// How long an entry waits for its files; after that it is written without them, and they follow.
    #[serde(default = "default_media_wait")]
    pub media_wait: Period,
}

const fn default_concurrency() -> u32 {
    16
}

const fn default_desk_timeout() -> Period {
    Period::seconds(30)
}

const fn default_media_wait() -> Period {
    Period::seconds(60)
}

/// The ordered handlers that decide about an event. The first chain that matches is the one.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// The chain's name in logs and the console.
    #[schemars(extend("x-form" = "name"))]
    pub name: String,
    /// Which events it decides about.
    #[serde(default, rename = "match")]
    pub matches: Match,
    /// The handlers, in order.
    #[schemars(length(min = 1))]
    pub steps: Vec<Step>,
    /// Where a message goes when a step failed and no handler has opened a ticket: it reaches a person all the same.
    #[serde(default)]
    pub fallback: Option<Fallback>,
}

/// Where a message goes that the handlers could not place.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// The desk that gets a ticket, by its name in `[desks]`.
    #[schemars(extend("x-form" = "name"))]
    pub desk: String,
    /// The queue, in the words of your desk plugin.
    pub queue: String,
}

/// One handler of a chain.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The handler, by its name in `[plugins]`.
    #[schemars(extend("x-form" = "name"))]
    pub plugin: String,
    /// How long it may take, waiting included.
    #[serde(default = "default_step_timeout")]
    pub timeout: Period,
    /// What happens to the event when the handler fails.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Only for this share of the conversations, always the same ones; for the others the next handler is asked at once.
    #[serde(default)]
    pub share: Option<Share>,
}

const fn default_step_timeout() -> Period {
    Period::seconds(1)
}

/// What happens to an event whose handler failed, took too long or was ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// Go on with the next handler, as if this one had wanted nothing.
    Skip,
    /// Ask again a few times within seconds, while the conversation waits; after that go on as with `skip`.
    #[default]
    Retry,
    /// End the chain here; what the handlers before wanted is carried out.
    Stop,
    /// Ask again as with `retry`; after that put the event aside: nothing that the chain wanted is carried out, and the event
    /// waits among the dead letters until an operator has it decided anew.
    Park,
}

impl OnFailure {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Retry => "retry",
            Self::Stop => "stop",
            Self::Park => "park",
        }
    }

    /// Whether the handler is asked again a few times first.
    #[must_use]
    pub const fn asks_again(self) -> bool {
        matches!(self, Self::Retry | Self::Park)
    }
}
