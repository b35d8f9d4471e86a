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

pub mod contract;
pub mod embedded;

pub use contract::{
    Appended, ClearedTimer, Commit, ENTRIES_KEPT, EventFilter, EventRecord, Lease, Link, LinkChange, MediaRecord,
    MediaState, Partition, Pending, Position, Report, Store, StoreError, Timer, Versioned,
};
pub use embedded::{EmbeddedOptions, EmbeddedStore};
