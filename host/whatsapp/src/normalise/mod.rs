//! Webhook bodies become arrivals.
//!
//! Pure: no I/O and no clock, so a body gives the same arrivals with the same ids on every node, in every redelivery and
//! in every replay. Total: whatever the bytes are, something comes out of them.
//!
//! Items keep to themselves. A body can hold a thousand messages and statuses, and one that cannot be read becomes
//! [`Body::Unknown`] with its own slice of the JSON while its neighbours go on. Nothing that is ours is dropped:
//!
//! | what comes | what it becomes |
//! | --- | --- |
//! | a message, of whatever type | [`Body::Message`], with [`Content::Other`](patchbay_model::Content::Other) at the worst |
//! | a message without a sender, or in a group | [`Body::Unknown`]: `message`, `group-message` |
//! | a status that we know | [`Body::Delivery`] |
//! | another status, of a payment or in a group | [`Body::Unknown`]: `status`, `payment-status`, `group-status` |
//! | a call, or a call's status | [`Body::Call`] |
//! | a field of [`NOTICES`], an error of a number | [`Body::AccountNotice`] |
//! | any other field or member | [`Body::Unknown`] under its own name |
//! | an entry or a change of another shape | [`Body::Unknown`]: `entry`, `change` |
//! | a body that is no envelope, or holds nothing | [`Body::Unparsed`], whole |
//! | anything for a number that is not ours | counted as foreign |

mod call;
mod channels;
mod choice;
mod content;
mod envelope;
mod identity;
pub(crate) mod media;
mod message;
mod notice;
mod source;
mod status;
mod value;

use data_encoding::BASE64;
use patchbay_model::event::Unparsed;
use patchbay_model::{Arrival, Body, EventId, Notice, Private, Route, Timestamp};

pub use channels::Channels;
pub(crate) use identity::is_user_id;
pub use notice::{NOTICES, NUMBER_ERROR};

use envelope::Part;

/// What a webhook's body held.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Normalised {
    /// In the order in which they stood in the body.
    pub arrivals: Vec<Arrival>,
    /// Items for numbers that are not ours: they are counted, not kept.
    pub foreign: usize,
}

/// Reads a body. Never fails: bytes that are no JSON object of the envelope's shape become one arrival with
/// [`Body::Unparsed`], on the account route of a channel called `whatsapp`.
#[must_use]
pub fn normalise(body: &[u8], channels: &Channels, received_at: Timestamp) -> Normalised {
    let mut normalised = Normalised::default();
    let parts = match envelope::parts(body) {
        Ok(parts) => parts,
        Err(reason) => {
            normalised.arrivals.push(unparsed(body, reason, received_at));
            return normalised;
        }
    };
    for part in parts {
        match part {
            Part::Change(change) => value::read(&change, channels, received_at, &mut normalised),
            Part::Odd { expected, account, raw } => {
                normalised.arrivals.push(odd(expected, &account, raw.get(), received_at));
            }
        }
    }
    if normalised.arrivals.is_empty() && normalised.foreign == 0 {
        normalised.arrivals.push(unparsed(body, "there is nothing in it".to_owned(), received_at));
    }
    normalised
}

fn odd(expected: &str, account: &str, raw: &str, received_at: Timestamp) -> Arrival {
    Arrival {
        id: EventId::derive(&[b"odd", expected.as_bytes(), account.as_bytes(), raw.as_bytes()]),
        route: Route::Account(channels::of_account(account)),
        occurred_at: received_at,
        received_at,
        body: Body::Unknown(Notice { kind: expected.to_owned(), data: raw.into() }),
        raw: Some(raw.into()),
    }
}

fn unparsed(body: &[u8], reason: String, received_at: Timestamp) -> Arrival {
    Arrival {
        id: EventId::derive(&[b"unparsed", body]),
        route: Route::Account(channels::of_account("")),
        occurred_at: received_at,
        received_at,
        body: Body::Unparsed(Unparsed { reason, base64: Private::new(BASE64.encode(body)) }),
        raw: None,
    }
}
