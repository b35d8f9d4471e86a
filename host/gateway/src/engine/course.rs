//! What an event goes on with from its first attempt to its commit: one routing, and one generation of each deployment.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use patchbay_model::ConversationId;
use patchbay_store::Report;
use tokio::time::Instant;

use super::routing::Routing;
use super::slot::{Pinned, Slot};

/// The generations that an event is asked with: whoever was asked first about it is asked again.
#[derive(Debug, Default)]
pub struct Pins(Mutex<BTreeMap<String, Pinned>>);

impl Pins {
    /// What the event is asked with in this slot.
    pub fn of(&self, slot: &Slot, conversation: &ConversationId) -> Pinned {
        let mut pins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pinned) = pins.get(slot.name()) {
            return pinned.clone();
        }
        let pinned = slot.pin(conversation);
        pins.insert(slot.name().to_owned(), pinned.clone());
        pinned
    }
}

/// What lasts over all attempts at an event.
#[derive(Debug)]
pub struct Course {
    /// What the event is decided by.
    pub routing: Arc<Routing>,
    /// Who it is asked of.
    pub pins: Pins,
    /// When the first attempt began.
    pub begun: Instant,
    /// How often a chain was begun; 1 for the first time.
    pub attempt: u32,
    /// What is to be reported of the attempts that failed.
    pub reports: Vec<Report>,
}

impl Course {
    /// The beginning, by what counts now.
    #[must_use]
    pub fn begin(routing: Arc<Routing>) -> Self {
        Self { routing, pins: Pins::default(), begun: Instant::now(), attempt: 1, reports: Vec::new() }
    }
}
