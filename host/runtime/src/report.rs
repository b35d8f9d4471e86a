//! Why a call gave no answer, with everything that helps to find out.

use std::fmt;

use patchbay_model::Failure;
use thiserror::Error;

/// Why a call to a plugin did not give an outcome.
#[derive(Clone, Debug, Error)]
pub enum CallError {
    /// The plugin ran to its end and said so itself.
    #[error("the plugin answered: {0}")]
    Failed(Failure),
    /// The plugin did not run to its end.
    #[error(transparent)]
    Broken(PluginReport),
}

/// What is known about a call that broke off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginReport {
    /// The plugin's name in the configuration.
    pub plugin: String,
    /// Its generation.
    pub generation: u64,
    /// The event or task that it was called for.
    pub subject: String,
    /// What ended the call.
    pub cause: Cause,
    /// The cause in a sentence, with the number of the limit where there is one.
    pub detail: String,
    /// The wasm frames, innermost first: function names, or indices where the component has no names.
    pub frames: Vec<String>,
    /// The last lines that the plugin wrote to its standard error, redacted.
    pub stderr: String,
}

/// What ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The code did something that WebAssembly does not allow; a panic of the guest's language ends here too.
    Trap,
    /// The CPU budget was spent.
    CpuTime,
    /// The wall-clock deadline passed.
    Deadline,
    /// The memory limit was reached.
    Memory,
    /// A table would have grown beyond its limit.
    Table,
    /// The call stack was exhausted.
    Stack,
    /// More bytes were handed to the host in one call than allowed.
    HostBytes,
    /// More handles were open at once than allowed.
    Handles,
    /// No sandbox became free in time; the plugin did not run.
    Busy,
    /// The plugin does not have the role that was called.
    Role,
    /// Its answer cannot be used: a value out of range, an attribute given twice …
    Answer,
    /// A fault of the host itself.
    Host,
}

impl Cause {
    /// The word for it in metrics, logs and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::CpuTime => "cpu-time",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::Table => "table",
            Self::Stack => "stack",
            Self::HostBytes => "host-bytes",
            Self::Handles => "handles",
            Self::Busy => "busy",
            Self::Role => "role",
            Self::Answer => "answer",
            Self::Host => "host",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for PluginReport {}

impl fmt::Display for PluginReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plugin, generation, subject, cause, detail, .. } = self;
        write!(f, "plugin `{plugin}` (generation {generation}) broke off at {subject}: {detail} [{cause}]")?;
        if let Some(frame) = self.frames.first() {
            write!(f, ", in {frame}")?;
        }
        Ok(())
    }
}
