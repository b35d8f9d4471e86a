//! WhatsApp and ticket systems on loopback, for `patchbay dev` and the tests.
//!
//! The vendors' interfaces are served as the vendors document them, under `/graph` (WhatsApp Cloud API) and `/zendesk`
//! (Zendesk Support), so that any client can be pointed there. Their other sides, the customers' phones and the
//! agents' desk, are under `/_sim` for programs, and under `/phone` and `/desk` for people. Nothing is kept on disk,
//! and nothing but loopback is ever listened on.
//!
//! Before the first webhook goes to a new address the simulator makes Meta's handshake with it; a receiver that does
//! not answer the handshake gets no webhooks, as in life.

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
