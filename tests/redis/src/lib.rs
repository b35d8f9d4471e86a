//! Real Redis processes for tests: one server, a Sentinel group, a Cluster.
//!
//! Everything lives on loopback, on free ports and in temporary folders, and ends with the test that started it, also
//! when the test panics or its process is killed. Needs `redis-server`, `redis-sentinel` and `redis-cli` 7 on the path.
//! All calls block, for as long as a process takes to answer.
//!
//! # Layout
//! - `process`: a process that ends with us
//! - `server`: one server
//! - `sentinel`: a master, replicas, Sentinels
//! - `cluster`: three masters and more
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tools for tests: they stop at the first surprise"
)]

mod cluster;
mod process;
mod sentinel;
mod server;

pub use cluster::Cluster;
pub use redis::Value;
pub use sentinel::{SentinelGroup, SentinelOptions};
pub use server::{Options, Redis, Tls};
