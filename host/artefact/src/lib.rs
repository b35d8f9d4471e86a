//! What vendors ship and operators take: one WebAssembly component with a manifest in it, signed, from a file or from a
//! registry.
//!
//! Nothing here runs a component. What arrives from outside, a file as well as a registry's answer, is bounded in size and
//! taken for what its digest says.
//!
//! # Layout
//! - [`manifest`]: what a plugin says about itself
//! - [`component`]: manifest and golden events inside of a component, and digests
//! - [`project`]: `plugin.toml`, from which both are made
//! - [`key`], [`signature`]: who says that it is theirs
//! - [`policy`]: whom the operator believes
//! - [`source`]: names of files and of registries' content
//! - [`registry`]: pushing and pulling
//! - [`lock`]: what was pulled
//! - `files`: reading TOML, and writing all or nothing

pub mod component;
mod digest;
mod files;
pub mod key;
pub mod lock;
pub mod manifest;
pub mod policy;
pub mod project;
pub mod registry;
pub mod signature;
pub mod source;

pub use component::{ArtefactError, Digest};
pub use files::write as write_file;
pub use key::{Algorithm, KeyId, SigningKey, VerifyingKey};
pub use lock::Lock;
pub use manifest::Manifest;
pub use policy::{Candidate, Policy, Refusal, Verdict};
pub use project::Project;
pub use registry::Registry;
pub use signature::Signature;
pub use source::{Reference, Source};
