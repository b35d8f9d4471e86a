//! What vendors ship and operators take: one WebAssembly component with a manifest in it, signed, from a file or from a
//! registry.
//!
//! The feature `registry` (on by default) is everything from [`key`] on: without it this crate is what a build script needs to
//! pack a component, and asks for no cryptography and no network.
//!
//! Nothing here runs a component. What arrives from outside, a file as well as a registry's answer, is bounded in size and
//! taken for what its digest says.
//!
//! # Layout
//! - [`manifest`]: what a plugin says about itself
//! - [`component`]: manifest and golden events inside of a component, and digests
//! - [`settings`]: whether settings fit the schema in a manifest
//! - [`project`]: `plugin.toml`, from which manifest and golden events are made
//! - [`key`], [`signature`]: who says that it is theirs
//! - [`policy`]: whom the operator believes
//! - [`source`]: names of files and of registries' content
//! - [`registry`]: pushing and pulling
//! - [`lock`]: what was pulled
//! - `files`: reading TOML, and writing all or nothing

pub mod component;
mod digest;
mod files;
#[cfg(feature = "registry")]
pub mod key;
#[cfg(feature = "registry")]
pub mod lock;
pub mod manifest;
#[cfg(feature = "registry")]
pub mod policy;
pub mod project;
#[cfg(feature = "registry")]
pub mod registry;
pub mod settings;
#[cfg(feature = "registry")]
pub mod signature;
#[cfg(feature = "registry")]
pub mod source;

pub use component::{ArtefactError, Digest};
#[cfg(feature = "registry")]
pub use files::write as write_file;
#[cfg(feature = "registry")]
pub use key::{Algorithm, KeyId, SigningKey, VerifyingKey};
#[cfg(feature = "registry")]
pub use lock::Lock;
pub use manifest::Manifest;
#[cfg(feature = "registry")]
pub use policy::{Candidate, Policy, Refusal, Verdict};
pub use project::Project;
#[cfg(feature = "registry")]
pub use registry::Registry;
#[cfg(feature = "registry")]
pub use signature::Signature;
#[cfg(feature = "registry")]
pub use source::{Reference, Source};
