//! The sandbox that plugins run in.
//!
//! A plugin is a WebAssembly component from somebody we need not trust. This crate loads it, asks it, and takes its
//! answer, and makes three promises to the rest of the gateway:
//!
//! - **It cannot take more than it is given.** Every call has a fresh sandbox with caps on memory, processor time,
//!   waiting time, handles, and bytes in every direction ([`limits`]). A cap that is reached, a trap, a panic: each is a
//!   value with a report ([`CallError::Broken`]), and the next call does not notice.
//! - **It cannot reach more than it is granted.** What a component imports is checked when it is loaded, with a sentence
//!   and the line to add to the configuration. HTTP goes through our own client, which decides on the address that it
//!   connects to, and adds credentials that the plugin never sees ([`grants`]).
//! - **It answers the same way twice.** A handler's clock shows when its event was accepted, and its randomness is
//!   seeded by the event, so that a retry, a shadow run and a replay agree.
//!
//! Guests run on threads of their own: one that spins keeps a guest's thread busy until its budget is spent, and gives
//! way to other guests every few milliseconds; the gateway's own threads never run a plugin's code.
//!
//! The contract between host and plugin has versions, and each version has an adapter. The rest of the crate, and the
//! gateway, only know the model's types.
//!
//! # Layout
//! - [`engine`]: what all plugins share; `ticker` is its clock
//! - [`limits`]: every cap, with its reason
//! - [`credentials`]: what the host adds to requests; [`network`]: how they leave
//! - [`grants`], `imports`: what a plugin is allowed, and the check of what it wants
//! - [`inspect`](mod@inspect), `load`: from bytes to a generation
//! - [`compile`]: from a component to code, in a process of its own; [`helper`]: such processes
//! - [`plugin`]: a loaded generation; [`call`], `run`, `meter`, `state`: one call of it
//! - `contract`: the adapter of each version
//! - `wasi`, `capabilities`: what the host does for a plugin
//! - [`golden`]: what a plugin's vendor says that it answers
//! - [`report`], `stop`: how a call ends that gives no answer
//! - [`keyvalue`]: where plugins keep what they remember
//! - [`media`]: where stored media comes from

pub mod call;
mod capabilities;
pub mod compile;
mod contract;
pub mod credentials;
pub mod engine;
pub mod golden;
pub mod grants;
pub mod helper;
mod imports;
pub mod inspect;
pub mod keyvalue;
pub mod limits;
mod load;
pub mod media;
mod meter;
pub mod network;
pub mod plugin;
pub mod report;
mod run;
mod state;
mod stop;
mod ticker;
mod wasi;

pub use call::{Call, HandlerInput, Mode};
pub use compile::Compiler;
pub use credentials::{Credential, TokenStore};
pub use engine::{Engine, EngineError, EngineOptions};
pub use golden::{GoldenResult, Recording, record, rehearse};
pub use grants::{Grants, HostPattern, HostPatternError, HttpGrant};
pub use inspect::{Import, Inspection, Need, inspect};
pub use keyvalue::{KeyValue, KeyValueError, NoKeyValue};
pub use limits::{CompileLimits, Limits};
pub use media::{MediaHandle, MediaSource, NoMedia};
pub use network::{Network, SystemNetwork};
pub use plugin::{LoadError, Plugin, PluginSpec, Role};
pub use report::{CallError, Cause, PluginReport};
