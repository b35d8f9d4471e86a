//! What the tests of this room share.
#![allow(dead_code, reason = "each test file is a program of its own and uses a part of this")]

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
