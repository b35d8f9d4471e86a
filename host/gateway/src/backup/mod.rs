//! Backups: one tar file with the store and customers' files.
//!
//! | member | what |
//! | --- | --- |
//! | `store.redb` | the embedded store as of one moment |
//! | `media/…` | the files below `data_dir/media`, as they lie there; only complete ones |
//! | `SHA256SUMS` | a line for each member before it, as `sha256sum --check` reads them |
//! | `manifest.json` | a [`Manifest`]; it comes last, so that what breaks off has none |
//!
//! The store is copied before the files are listed: every file that the copy names is among them, unless it was removed
//! since because its time was over.
//!
//! # Layout
//! - [`mod@write`]: making one, into a file or a stream
//! - [`read`]: putting one back

pub mod read;
pub mod write;

use patchbay_store::Stats;
use serde::{Deserialize, Serialize};

pub use read::{Restore, RestoreError, Restored};
pub use write::{Contents, Prepared, prepare};

/// The version of the layout.
pub const FORMAT: u32 = 1;

/// The store's member.
const STORE: &str = "store.redb";
/// What every file's member begins with.
const MEDIA: &str = "media/";
/// The member with the hashes.
const SUMS: &str = "SHA256SUMS";
/// The last member.
const MANIFEST: &str = "manifest.json";

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The version of Patchbay that made it.
    pub version: String,
    /// When it was begun: RFC 3339.
    pub created_at: String,
    /// The store in numbers when it was copied; none: it holds files only.
    pub store: Option<Stats>,
    /// The files; none: they were left out.
    pub media: Option<Media>,
    /// SHA-256 of the member `SHA256SUMS`, lower-case hex.
    pub sums: String,
}

/// Customers' files in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// How many.
    pub files: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// A line of `SHA256SUMS`.
fn sum_line(name: &str, sha256: &[u8]) -> String {
    format!("{}  {name}\n", hex::encode(sha256))
}

#[cfg(test)]
mod tests;
