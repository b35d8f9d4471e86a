//! Nodes that share a store, and what they share of pace.

use std::time::Duration;

use patchbay_model::Timestamp;
use serde::{Deserialize, Serialize};

/// A node as the others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Drawn at random when the process starts: a node that was restarted is another one.
    pub id: String,
    /// The operator's name for it, or the machine's.
    pub name: String,
    /// When it started, by the store's clock.
    pub since: Timestamp,
    /// How many partitions it has.
    pub owned: u16,
    /// How far its own clock is before the store's (negative: behind), in milliseconds.
    pub skew_ms: i64,
    /// It is stopping, and wants no partitions.
    #[serde(default)]
    pub leaving: bool,
}

/// How often something may be done, by the generic cell rate algorithm (GCRA, ITU-T I.371): once in each interval, and
/// `burst` times at once after a rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The time between two turns in the long run.
    pub interval: Duration,
    /// Turns that may be taken at once; at least one is assumed.
    pub burst: u32,
}
