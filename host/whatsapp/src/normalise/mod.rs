//! Webhook bodies become arrivals.
//!
//! Pure: no I/O and no clock, so a body gives the same arrivals with the same ids on every node, in every redelivery and
//! in every replay. Total: whatever the bytes are, something comes out of them.
//!
//! Items keep to themselves. A body can hold a thousand messages and statuses, and one that cannot be read becomes
//! [`Body::Unknown`] with its own slice of the JSON while its neighbours go on. Nothing that is ours is dropped:
//!
//! | what comes | what it becomes | routed to |
//! | --- | --- | --- |
//! | `messages`: a message, of whatever type | [`Body::Message`], with [`Content::Other`](patchbay_model::Content::Other) at the worst | its sender |
//! | … in a group | [`Body::Message`] with its author | the group |
//! | … of which Meta shows only a username | [`Body::Message`] | the username |
//! | … of which Meta shows no sender | [`Body::Message`], with what there is as its author | the number's line |
//! | … of type `system`: a new number, user id or device | [`Body::IdentityChanged`] | the new identities, and the old ones as former |
//! | `statuses`: a status that we know | [`Body::Delivery`] | our reference, the group, the recipient |
//! | … of a payment | [`Body::Payment`] | as above |
//! | … of a word that we do not know | [`Body::Unknown`]: `status` | the number's line |
//! | `calls`, and statuses of calls | [`Body::Call`] | the customer |
//! | `smb_message_echoes`: written in the business's app | [`Body::Echo`] | whom it was written to |
//! | `history`: a message of a thread, or later with its file | [`Body::History`] | the customer of the thread |
//! | … declined, incomplete, or without messages | [`Body::AccountNotice`]: [`HISTORY_DECLINED`], [`HISTORY_ERROR`], [`HISTORY_PROGRESS`] | the number's line |
//! | `smb_app_state_sync`: the business's address book | [`Body::Contact`]: `added`, `removed` | the phone number in it |
//! | `standby`: said while the platform's agent has the conversation | [`Body::Standby`]; its statuses are [`Body::Delivery`] | the customer |
//! | `messaging_handovers` | [`Body::Handover`] | the customer |
//! | `user_preferences` | [`Body::Preference`] | the customer |
//! | `user_id_update` | [`Body::IdentityChanged`] | the new user id |
//! | `group_*` | [`Body::Group`]: `created`, `participants-added`, `settings` … | the group |
//! | a field of [`NOTICES`], an error of a number | [`Body::AccountNotice`] | the number's line, or the account's |
//! | any other field or member | [`Body::Unknown`] under its own name | as above |
//! | an entry or a change of another shape | [`Body::Unknown`]: `entry`, `change` | the account's line |
//! | a body that is no envelope, or holds nothing; what is encrypted | [`Body::Unparsed`], whole | WhatsApp's own line |
//! | anything for a number that is not ours | counted as foreign | |
//! | anything without a number, for an account that none of ours belongs to | counted as foreign | |
//!
//! The last row holds only where the account of every number is configured: otherwise any account may be ours. Account
//! `0` never is; the samples of Meta's dashboard have it.

mod again;
mod call;
mod channels;
mod choice;
mod content;
mod envelope;
mod group;
mod handover;
mod history;
mod identity;
mod items;
pub(crate) mod media;
mod message;
mod notice;
mod overheard;
mod person;
mod sealed;
mod source;
mod status;
mod system;
mod value;

use data_encoding::BASE64;
use patchbay_model::event::Unparsed;
use patchbay_model::{Arrival, Body, EventId, Notice, Private, Raw, Route, Timestamp};

pub use again::again;
pub use channels::Channels;
pub(crate) use identity::is_user_id;
pub use notice::{HISTORY_DECLINED, HISTORY_ERROR, HISTORY_PROGRESS, NOTICES, NUMBER_ERROR};

use envelope::Part;

/// The list of an entry that is kept because of its shape; of a change it is `changes`.
const ENTRY: &str = "entry";

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
            let reason = if sealed::is_body(body) { sealed::REASON.to_owned() } else { reason };
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
    let list = if expected == ENTRY { ENTRY } else { "changes" };
    Arrival {
        id: EventId::derive(&[b"odd", expected.as_bytes(), account.as_bytes(), raw.as_bytes()]),
        route: Route::Account(channels::of_account(account)),
        occurred_at: received_at,
        received_at,
        body: Body::Unknown(Notice { kind: expected.to_owned(), data: raw.into() }),
        raw: Some(Raw { field: String::new(), list: list.to_owned(), json: raw.into() }),
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
