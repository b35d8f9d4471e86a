//! A handler's round trip: what goes in, what comes out, and that it is the same every time.
//!
//! # Layout
//! - `events`: what goes in
//! - `answers`: what comes out
//! - `calls`: what a call sees besides, and what is left of it

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod answers;
mod calls;
#[path = "../common/mod.rs"]
mod common;
mod events;

use common::{guest, handler_with};
use patchbay_runtime::{Engine, Plugin};

/// The handler, built for version 0.1.
async fn old_handler(engine: &Engine) -> Plugin {
    handler_with(engine, |spec| spec.component = guest("handler_0_1")).await
}
