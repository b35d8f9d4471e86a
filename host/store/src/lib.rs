//! The Store contract and its embedded implementation.
//!
//! One contract, several implementations, one conformance suite that each must pass. The embedded store is one file for
//! one node; the contract is shaped so that a store for many nodes fits behind it: state is cut into partitions, a node
//! writes a partition only under a lease with a fencing epoch, and everything that ends the handling of an event is one
//! atomic [`Commit`].
//!
//! # Layout
//! - [`contract`]: the trait and what passes through it
//! - [`embedded`]: one file, one node
//! - [`intake`]: what a node keeps on its own disk for a store that is elsewhere
//! - [`redis`]: one Redis, several nodes
//! - `memory`: the reference model of the contract, for tests (feature `memory`)

pub mod contract;
pub mod embedded;
pub mod intake;
#[cfg(feature = "memory")]
pub mod memory;
pub mod redis;

pub use contract::{
    Appended, ClearedTimer, Commit, DOCUMENT_KEY_MOST, DOCUMENT_MOST, Document, DocumentWrite, ENTRIES_KEPT,
    EventFilter, EventRecord, ExportPage, IDS_KEPT, Lease, Link, LinkChange, MediaRecord, MediaState, Node, Pace,
    Partition, Pending, Position, Record, Removed, Report, Retention, Shelf, Shelved, Shelving, Stats, Store,
    StoreError, Timer, Upkeep, Verification, Versioned,
};
pub use embedded::{BackupSummary, Compacted, EmbeddedOptions, EmbeddedStore};
pub use redis::{RedisMode, RedisOptions, RedisStore, RedisTls, Warning};
