//! Patchbay's words as data: events, conversations, actions, tasks and their ids.
//!
//! Nothing here does I/O, reads a clock or knows another room. Everything can be written to a store and read back by a
//! later version: enums that Meta or a vendor grows have an `Other` or `Unknown` case, and new fields have defaults.
//!
//! # Layout
//! - [`ids`]: names that are the same however often a thing is delivered
//! - [`private`]: values about a person, redacted wherever they could be printed
//! - [`time`]: milliseconds since the epoch
//! - [`event`], [`message`]: what happened
//! - [`arrival`]: what happened, before the store has said whose conversation it belongs to
//! - [`conversation`]: who it happened with, and how things stand
//! - [`action`]: what a handler wants done
//! - [`decision`]: why an event went where it went
//! - [`desk`]: what passes between the gateway and a desk plugin
//! - [`golden`]: questions to a plugin and the answers that it has to give
//! - [`verdict`]: what an inspector found
//! - [`task`]: one effect in a lane
//! - [`failure`]: why a call did not succeed

pub mod action;
pub mod arrival;
pub mod conversation;
pub mod decision;
pub mod desk;
pub mod event;
pub mod failure;
pub mod golden;
pub mod ids;
pub mod message;
pub mod private;
pub mod task;
pub mod time;
pub mod verdict;

use std::collections::BTreeMap;

pub use action::{Action, Flow, Outcome, Outgoing, OutgoingContent};
pub use arrival::{Arrival, Raw, Route};
pub use conversation::{Assignment, Channel, Conversation, Customer, Identity, Priority, Ticket};
pub use event::{Body, Event, Notice};
pub use failure::Failure;
pub use ids::{ConversationId, CustomerId, EventId, MediaId, TaskId};
pub use message::{Content, Media, Message};
pub use private::Private;
pub use task::{Effect, Task};
pub use time::Timestamp;
pub use verdict::Verdict;

/// Key and value; keys are unique, order means nothing.
pub type Attributes = BTreeMap<String, String>;
