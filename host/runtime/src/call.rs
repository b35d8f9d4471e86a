//! One call of a plugin.

use std::time::Duration;

use patchbay_model::{Conversation, Event, Ticket, Timestamp};

/// What a handler decides about.
#[derive(Clone, Debug, PartialEq)]
pub struct HandlerInput {
    /// What happened.
    pub event: Event,
    /// How the conversation stands, as the handlers before this one left it.
    pub conversation: Conversation,
    /// The tickets that it is linked to.
    pub tickets: Vec<Ticket>,
}

/// Whether what a plugin does outside of its sandbox counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    #[default]
    Live,
    /// A shadow run, a replay or a test: what it keeps is thrown away after the call, and HTTP is refused unless a grant
    /// allows it for rehearsals too.
    Rehearsal,
}

/// What a call is made for, and what it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The id of the event or task, for reports. With [`Call::deterministic`] it seeds the plugin's randomness.
    pub subject: String,
    /// 1 for the first try.
    pub attempt: u32,
    /// Handlers: when the event was accepted, which is the time that the plugin's clock shows. Desks: the real time.
    pub now: Timestamp,
    /// The plugin's wall clock stands at `now`, its monotonic clock begins at zero and its randomness is seeded by the
    /// subject and its name, so that the same input gives the same answer. Otherwise they are the system's.
    pub deterministic: bool,
    /// How long the whole call may take, waiting included; at the most [`limits::WALL_MOST`](crate::limits::WALL_MOST).
    pub timeout: Duration,
    /// Whether what the plugin does outside counts.
    pub mode: Mode,
    /// The desk's name in the configuration, for desk calls; it goes into tickets and activities that come back.
    pub desk: Option<String>,
}
