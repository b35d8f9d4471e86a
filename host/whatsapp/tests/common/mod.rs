//! What the tests of this room share.
#![allow(dead_code, reason = "each test file is a program of its own and uses a part of this")]

use std::fs;
use std::path::Path;

use patchbay_model::{Channel, Timestamp};
use patchbay_whatsapp::normalise::Channels;

/// The phone number id of our number.
pub(crate) const NUMBER: &str = "106540352242922";

/// When every webhook of these tests is received.
pub(crate) const RECEIVED_AT: Timestamp = Timestamp::from_millis(1_764_000_999_000);

/// One number.
pub(crate) fn channel() -> Channel {
    Channel {
        id: "support".into(),
        platform: "whatsapp".into(),
        account: "102290129340398".into(),
        address: NUMBER.into(),
    }
}

/// One number.
pub(crate) fn channels() -> Channels {
    Channels::new([channel()])
}

/// The fixtures' names and bodies, in order.
pub(crate) fn fixtures() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut names: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".json") && !name.ends_with(".expected.json"));
    names.sort();
    assert!(!names.is_empty());
    names.into_iter().map(|name| (name.clone(), fs::read(folder.join(name)).unwrap())).collect()
}
