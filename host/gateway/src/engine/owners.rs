//! The partitions that this node works on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use patchbay_model::Timestamp;
use patchbay_store::{Lease, Partition};

use super::owner::Owner;

/// The partitions that this node works on.
#[derive(Debug, Default)]
pub struct Owners {
    here: Mutex<BTreeMap<Partition, Arc<Owner>>>,
}

/// A partition's place among the others. Dropped, it is taken out.
#[derive(Debug)]
pub struct Entered<'a> {
    owners: &'a Owners,
    partition: Partition,
}

impl Owners {
    /// Adds a partition, for as long as what this gives lives.
    pub fn enter(&self, owner: &Arc<Owner>) -> Entered<'_> {
        let partition = owner.lease().partition;
        self.lock().insert(partition, Arc::clone(owner));
        Entered { owners: self, partition }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// The rights to write them, by partition.
    #[must_use]
    pub fn leases(&self) -> Vec<Lease> {
        self.lock().values().map(|owner| owner.lease().clone()).collect()
    }

    /// Sets the gauges of how long the oldest event of each has waited.
    pub fn record_lag(&self, now: Timestamp) {
        for (partition, owner) in &*self.lock() {
            let waited = owner.oldest_waiting().map_or(0.0, |accepted| now.since(accepted).as_secs_f64());
            lag(*partition, waited);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Partition, Arc<Owner>>> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.owners.lock().remove(&self.partition);
        // The node that has it now tells how long its events wait.
        lag(self.partition, 0.0);
    }
}

fn lag(partition: Partition, seconds: f64) {
    metrics::gauge!("patchbay_journal_lag_seconds", "partition" => partition.to_string()).set(seconds);
}
