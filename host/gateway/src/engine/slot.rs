//! A deployment as the loop sees it: which generation is asked, for which conversation.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use patchbay_model::ConversationId;
use patchbay_runtime::Plugin;

use super::chain::Handler;

/// A share of the conversations, in hundredths of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u16);

impl Share {
    /// All of them.
    pub const ALL: Self = Self(10_000);

    /// So many percent, to two places; 0 to 100.
    #[must_use]
    pub fn percent(percent: f64) -> Option<Self> {
        let hundredths = (percent * 100.0).round();
        // In range, and whole: nothing is lost.
        (0.0..=10_000.0).contains(&hundredths).then_some(Self(hundredths as u16))
    }

    /// Whether a conversation belongs to it. Always the same ones for the same `of`; a larger share has those of a smaller
    /// one and more.
    #[must_use]
    pub fn has(self, of: &str, conversation: &ConversationId) -> bool {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in of.bytes().chain([0]).chain(conversation.as_str().bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        // The low bits of FNV depend on the low bits of the text only; the high ones on all of it.
        (hash >> 32) % 10_000 < u64::from(self.0)
    }
}

/// What runs in a slot.
#[derive(Clone, Debug)]
pub struct Running {
    /// Who is asked.
    pub active: Arc<dyn Handler>,
    /// Who is asked instead for a share of the conversations.
    pub canary: Option<(Arc<dyn Handler>, Share)>,
    /// Who is asked beside, without effect.
    pub shadow: Option<Arc<dyn Handler>>,
}

/// A deployment's place in the loop: what runs there can be exchanged at any time.
#[derive(Debug)]
pub struct Slot {
    name: String,
    running: ArcSwap<Running>,
}

/// What an event goes on with, for all of its attempts, whatever is swapped meanwhile.
#[derive(Clone, Debug)]
pub struct Pinned {
    /// Who is asked.
    pub handler: Arc<dyn Handler>,
    /// It is the canary.
    pub canary: bool,
    /// Who is asked beside, without effect.
    pub shadow: Option<Arc<dyn Handler>>,
}

impl Slot {
    /// A slot in which this runs.
    #[must_use]
    pub fn new(name: impl Into<String>, running: Running) -> Self {
        Self { name: name.into(), running: ArcSwap::from_pointee(running) }
    }

    /// The deployment's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What runs now.
    #[must_use]
    pub fn running(&self) -> Arc<Running> {
        self.running.load_full()
    }

    /// Exchanges what runs. Events that have begun go on with what they began with.
    pub fn swap(&self, running: Running) {
        self.running.store(Arc::new(running));
    }

    /// What an event of this conversation is asked with.
    #[must_use]
    pub fn pin(&self, conversation: &ConversationId) -> Pinned {
        let running = self.running.load();
        let canary = running.canary.as_ref().filter(|(_, share)| share.has(&self.name, conversation));
        let handler = canary.map_or(&running.active, |(handler, _)| handler);
        Pinned { handler: Arc::clone(handler), canary: canary.is_some(), shadow: running.shadow.clone() }
    }

    /// The plugin that is active now, for desks and their webhooks; none in a slot of the tests.
    #[must_use]
    pub fn plugin(&self) -> Option<Plugin> {
        self.running.load().active.plugin().cloned()
    }

    /// Takes note of how a call of a generation ended.
    pub fn observe(&self, generation: u64, failed: bool, took: Duration) {
        let _ = (generation, failed, took);
    }
}
