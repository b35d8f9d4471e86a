//! Meta's side of the gateway: what comes in from the WhatsApp Cloud API, and what goes out to it.
//!
//! Accepting is pure: [`signature`] judges the raw bytes, [`handshake`] answers the registration of a webhook, and
//! [`mod@normalise`] turns a body into arrivals without I/O and without a clock of its own, so that the same bytes give the
//! same arrivals on every node and in every replay. Sending is [`graph`]; [`mod@reference`] is the thread that leads from a
//! status back to the task that it reports on.
//!
//! # Layout
//! - [`signature`]: is this from Meta?
//! - [`handshake`]: the `GET` by which Meta asks whether the webhook is ours
//! - [`mod@normalise`]: webhook bodies become arrivals
//! - [`mod@reference`]: what we write into a message to know its statuses by
//! - [`graph`]: messages, receipts and media over the Graph API
//! - `digest`: SHA-256 in the spellings that Meta uses
//! - `wire`: reading JSON of which only the outline is certain

mod digest;
pub mod graph;
pub mod handshake;
pub mod normalise;
pub mod reference;
pub mod signature;
mod wire;
