//! All deployments of a node.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Slot;

/// The slots of a node, by the deployments' names.
#[derive(Debug, Default)]
pub struct Slots {
    slots: Mutex<BTreeMap<String, Arc<Slot>>>,
}

impl Slots {
    /// The slot of this name.
    #[must_use]
    pub fn slot(&self, name: &str) -> Option<Arc<Slot>> {
        self.lock().get(name).cloned()
    }

    /// All of them, by name.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, Arc<Slot>> {
        self.lock().clone()
    }

    /// Adds a slot, in the place of one of the same name.
    pub fn insert(&self, slot: Arc<Slot>) {
        self.lock().insert(slot.name().to_owned(), slot);
    }

    /// Takes a slot out. Events and routings that have it go on with it.
    pub fn remove(&self, name: &str) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
