//! Where things go, as one consistent whole that a reload exchanges.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use patchbay_model::conversation::Channel;
use patchbay_store::Retention;
use patchbay_whatsapp::graph::Graph;

use super::chain::Chain;
use super::slot::Slot;
use crate::config::Retry;

/// A business number and the way to write from it.
#[derive(Debug)]
pub struct ChannelLine {
    /// Who it is.
    pub channel: Channel,
    /// Meta's side of it.
    pub graph: Graph,
    /// The most messages a second that are sent from it.
    pub rate_per_second: u32,
}

/// A desk and its plugin.
#[derive(Debug)]
pub struct DeskLine {
    /// The deployment that speaks its API.
    pub slot: Arc<Slot>,
    /// Calls at once.
    pub concurrency: usize,
    /// The most calls a minute, where the vendor has such a limit.
    pub rate_per_minute: Option<u32>,
    /// How long one call may take.
    pub timeout: Duration,
    /// How long an entry waits for its files before it is written without them.
    pub media_wait: Duration,
}

/// Everything of the loop that a reload can change. An event is decided with one of these from beginning to end; a task
/// looks at the one that counts at each of its tries.
#[derive(Debug, Default)]
pub struct Routing {
    /// Numbers by channel name.
    pub channels: BTreeMap<String, ChannelLine>,
    /// Desks by name.
    pub desks: BTreeMap<String, DeskLine>,
    /// Chains, in the order in which they are tried.
    pub chains: Vec<Arc<Chain>>,
    /// Show the customer that a message was read, and that an answer is being written.
    pub read_receipts: bool,
    /// How lanes try again.
    pub retry: Retry,
    /// Templates that are no marketing, by name.
    pub utility_templates: BTreeSet<String>,
    /// How long a send whose answer was lost waits for a status before it is sent again.
    pub reconcile_wait: Duration,
    /// How long things are kept.
    pub retention: Retention,
}
