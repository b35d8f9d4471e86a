//! The gateway: the loop, the HTTP surface, the configuration and the command line.
//!
//! # Layout
//! - [`backup`]: a store and customers' files in one tar file
//! - [`config`]: one TOML file, checked as a whole before anything starts
//! - [`cli`]: the commands
//! - [`deploy`]: deployments: which generation of each plugin runs
//! - [`engine`]: the loop
//! - [`http`]: webhooks, probes, the admin API
//! - [`pulling`]: components from registries, in a process of its own
//! - [`serve`]: a gateway from its configuration
//! - [`dev`]: a gateway and simulators on loopback
//! - [`telemetry`]: what is written to standard error
//! - [`token`]: bearer tokens of the admin API
//! - `watching`: files that change

pub mod backup;
pub mod cli;
pub mod config;
pub mod deploy;
pub mod dev;
pub mod engine;
pub mod http;
pub mod pulling;
pub mod serve;
pub mod telemetry;
pub mod token;
mod watching;
