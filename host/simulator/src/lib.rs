//! WhatsApp and ticket systems on loopback, for `patchbay dev` and the tests.
//!
//! The vendors' interfaces are served as the vendors document them, under `/graph` (WhatsApp Cloud API) and `/zendesk`
//! (Zendesk Support), so that any client can be pointed there. Their other sides, the customers' phones and the
//! agents' desk, are under `/_sim` for programs, and under `/phone` and `/desk` for people. Nothing is kept on disk,
//! and nothing but loopback is ever listened on.
//!
//! # `/_sim`
//!
//! | path | what |
//! | --- | --- |
//! | `POST whatsapp/inbound` | a customer writes: Meta's shape of a message, an array of them for one webhook, or a form with `from` and `file` (`caption`, `voice`, `type`, `reply_to`, `name`); gives `{id, ids, delivery, status}`; with `?wait=1` it answers after the first attempt, with `?wait=taken` when the webhook was taken, and `status` is the receiver's |
//! | `POST whatsapp/media` | stores a file for such a message: a form with `file`, or the bytes; gives `{id}` |
//! | `POST whatsapp/webhook` | signs and delivers any body |
//! | `POST whatsapp/customers` | `{phone, name, username, hide_phone, reachable, receipts, window_open}` |
//! | `GET whatsapp/sent` | what the gateway sent: `id`, `to`, `type`, `text`, `body`, `reference`, `at`, `status`, `error` |
//! | `GET whatsapp/chats` | customers with their chats, both directions |
//! | `GET whatsapp/deliveries`, `GET desks/{desk}/deliveries` | webhooks with their attempts and the last status |
//! | `GET desks/{desk}/tickets` | tickets with entries and attachments |
//! | `POST desks/{desk}/reply` | an agent acts: `{ticket, public, text, status, priority, tags, attachments: [{name, mime, base64}]}` |
//! | `GET`, `POST`, `DELETE faults` | see [`Fault`]; `?id=` clears one |
//! | `GET violations` | requests that broke Meta's description |
//! | `GET events` | server-sent events for the pages |
//! | `POST reset` | forget everything |
//!
//! Faults, by example: `{"target":"zendesk","route":"POST /api/v2/tickets","next":3,"answer":429,"retry_after":2}`,
//! `{"target":"whatsapp","code":131056,"next":1}`, `{"target":"zendesk","drop_after_commit":true,"next":1}`,
//! `{"target":"zendesk","lag_search_ms":5000}`, `{"target":"webhooks","kind":"statuses","duplicate":2}`,
//! `{"target":"webhooks","order":"reversed"}`, `{"target":"whatsapp","media_url_lifetime_ms":0}`.
//!
//! # What is like life, and surprises
//!
//! Before the first webhook goes to a new address the simulator makes Meta's handshake with it; a receiver that does
//! not answer the handshake gets none. A message to somebody who has not written for a day is taken and fails later
//! with 131047; a user id in `to` is taken and vanishes. Zendesk tells about every comment, also those made through
//! its API, and gives a webhook up after any answer but 409, or 429 and 503 with `Retry-After`.

mod control;
mod delivery;
mod faults;
mod ids;
mod options;
mod serve;
mod shared;
mod simulator;
mod state;
mod whatsapp;
mod zendesk;

pub use faults::{Fault, FaultTarget, StatusOrder};
pub use options::{SimulatorOptions, WhatsappOptions, ZendeskGroup, ZendeskOptions};
pub use simulator::Simulator;
pub use state::SimulatorState;
