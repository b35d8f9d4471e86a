//! Lines that a plugin writes into the operator's log.

use crate::limits;
use crate::state::Facts;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// The log of one call.
#[derive(Debug)]
pub(crate) struct Log {
    subject: String,
    lines: u32,
}

impl Log {
    pub(crate) const fn new(subject: String) -> Self {
        Self { subject, lines: 0 }
    }

    /// Writes a line, redacted and cut; after [`limits::LOG_LINES`] nothing is written any more.
    pub(crate) fn line(&mut self, facts: &Facts, level: Level, message: &str) {
        self.lines = self.lines.saturating_add(1);
        let (plugin, generation, subject) = (facts.name.as_str(), facts.generation, self.subject.as_str());
        if self.lines > limits::LOG_LINES {
            if self.lines == limits::LOG_LINES + 1 {
                tracing::warn!(target: "patchbay::plugin", plugin, generation, subject,
                    "the plugin logs more than {} lines in one call; the rest is dropped", limits::LOG_LINES);
            }
            return;
        }
        let line = shorten(message, limits::LOG_LINE);
        let line = facts.redactor.clean(line);
        match level {
            Level::Debug => tracing::debug!(target: "patchbay::plugin", plugin, generation, subject, "{line}"),
            Level::Info => tracing::info!(target: "patchbay::plugin", plugin, generation, subject, "{line}"),
            Level::Warn => tracing::warn!(target: "patchbay::plugin", plugin, generation, subject, "{line}"),
            Level::Error => tracing::error!(target: "patchbay::plugin", plugin, generation, subject, "{line}"),
        }
    }
}

/// The first `most` bytes, as far as they are whole characters.
pub(crate) fn shorten(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}
