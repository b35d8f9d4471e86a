//! Stored media: blobs by their content, verified as they arrive.
//!
//! # Layout
//! - `blobs`: putting and reading
//! - `incoming`: one blob on its way to the disk
//! - `digest`: SHA-256 in the spellings that are met
//! - `error`: why it did not work

mod blobs;
mod digest;
mod error;
mod incoming;

pub use blobs::{Blobs, StoredBlob};
pub use error::BlobError;
