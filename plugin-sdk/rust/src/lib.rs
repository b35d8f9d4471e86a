//! Write a Patchbay plugin in Rust.
//!
//! A plugin is one WebAssembly component with one or more roles: a [`Handler`] decides what should happen, a [`Desk`]
//! speaks one ticket system's API, an [`Inspector`] looks at media. Implement the role's trait, put the attribute of the
//! same name on it, and build the crate as a `cdylib` for `wasm32-wasip2`. This is a whole plugin:
//!
//! ```
//! use patchbay_plugin::{Assignment, Context, Event, Failure, Handler, Outcome, Priority, handler};
//!
//! #[derive(serde::Deserialize)]
//! struct Settings {
//!     word: String,
//!     queue: String,
//! }
//!
//! struct Router;
//!
//! #[handler]
//! impl Handler for Router {
//!     type Settings = Settings;
//!
//!     fn handle(settings: &Settings, event: &Event, _cx: &Context) -> Result<Outcome, Failure> {
//!         if !event.text().is_some_and(|text| text.contains(&settings.word)) {
//!             return Ok(Outcome::next());
//!         }
//!         let assignment = Assignment::to(&settings.queue).priority(Priority::High).reason("the word was there");
//!         Ok(Outcome::next().assign(assignment).send_text("We are on it."))
//!     }
//! }
//!
//! // Its logic is tested natively, with a fake host.
//! use patchbay_plugin::testing::{FakeHost, text_event};
//! use serde_json::json;
//!
//! let host = FakeHost::new();
//! let settings = json!({ "word": "invoice", "queue": "billing" });
//! let outcome = host.handle::<Router>(&settings, &text_event("Where is my invoice?")).unwrap();
//! assert_eq!(outcome.assignment().unwrap().queue, "billing");
//! ```
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib", "rlib"]
//!
//! [profile.release]
//! opt-level = "s"
//! lto = true
//! codegen-units = 1
//! strip = true
//! panic = "abort"
//! ```
//!
//! ```toml
//! # .cargo/config.toml: a small stack makes a fresh sandbox quicker to start.
//! [target.wasm32-wasip2]
//! rustflags = ["-Clink-arg=-zstack-size=65536"]
//! ```
//!
//! # What is where
//! - The data of the contract ([`Event`], [`Conversation`], [`Outcome`], [`Draft`], …) is plain records; see [`types`]
//!   for all of it. Builders hang on [`Outcome`], [`Assignment`] and [`Failure`].
//! - [`Context`] is what a call may ask the host for: HTTP, media, storage, signatures, time, its log.
//! - [`Http`] is an HTTP client over `wasi:http` that waits for its answer; [`Response::ok`] turns statuses into the
//!   [`Failure`] that the gateway should act on. [`Context::upload`] sends stored media without touching its bytes.
//! - [`Store`] is what a plugin remembers beyond a call: keys and values, kept when the call has answered.
//! - [`testing`] runs a plugin's logic natively against a scripted host.
//!
//! # What a component imports
//! Only what its code can reach: a handler that never calls [`Context::http`] has no import of `wasi:http`, and the
//! operator is not asked to grant it.
//!
//! # Memory
//! The gateway runs every call in a fresh sandbox, so what counts is how much memory a call touches. The feature
//! `fast-allocator` (on by default) brings an allocator for that: a bump pointer in memory that is there already, lists
//! for what is given back, growth only when that is not enough.

#[cfg(any(target_arch = "wasm32", test))]
mod alloc;
#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unsafe_code,
    clippy::allow_attributes_without_reason,
    clippy::missing_safety_doc,
    reason = "generated from the contract, which documents its items itself"
)]
mod bindings;
mod context;
mod failure;
mod host;
mod http;
mod media;
mod outcome;
mod roles;
pub mod settings;
mod store;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod time;
pub mod types;
mod upload;

pub use context::{Context, Level};
pub use http::{Http, Request, Response};
pub use media::MediaReader;
pub use patchbay_plugin_macros::{desk, handler, inspector};
pub use roles::{Desk, Handler, Inspector};
pub use settings::NoSettings;
pub use store::Store;
pub use time::{Period, Timestamp};
pub use types::*;
pub use upload::Upload;

/// For the attribute macros only; no promise of stability.
#[doc(hidden)]
pub mod __private {
    pub use crate::bindings::{desk, handler, inspector};
    pub use crate::roles::{DeskRole, HandlerRole, InspectorRole};
}

/// The examples of the repository's front page.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct FrontPage;

/// The examples of the guide for vendors.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/vendors.md")]
struct GuideForVendors;
