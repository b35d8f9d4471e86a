//! Plugins that take what they can get, each of which ends in a clear outcome.
//!
//! # Layout
//! - `budgets`: time, memory, stack, handles, bytes: what one call may use
//! - `hoards`: what the host holds for a plugin outside of its memory
//! - `abi`: answers that are no answers, by hand-made modules (`wat`)
//! - `files`: bytes that are no plugin
//! - `types`: functions of the right name and another type
//! - `network`: names, addresses and redirects that lead where they must not
//! - `sockets`: the network past HTTP
//! - `smuggling`: requests that are two, or another one than they say
//! - `secrets`: what a plugin finds of its credentials
//! - `tenants`: what is left of one call in the next, and one plugin's keys in another
//!
//! What the neighbours notice is measured in `hostile_neighbours`, what is left behind in `hostile_events`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod abi;
mod budgets;
#[path = "../common/mod.rs"]
mod common;
mod files;
mod hoards;
mod network;
mod secrets;
mod server;
mod smuggling;
mod sockets;
mod tenants;
mod types;
mod wat;
