//! Released versions of the contract are as they were when plugins were built from them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::path::Path;

#[path = "../../../xtask/src/frozen.rs"]
mod frozen;

#[test]
fn no_frozen_file_has_changed() {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    frozen::check(&wit).unwrap_or_else(|wrong| panic!("{wrong}"));
}
