//! Exit codes, and failures that have one.

/// Everything is as it was meant.
pub const DONE: u8 = 0;
/// It did not work.
pub const FAILED: u8 = 1;
/// The command line or the configuration is wrong.
pub const WRONG: u8 = 2;
/// A rule refuses it.
pub const REFUSED: u8 = 3;

/// Why a command did not work, as its user reads it.
#[derive(Debug, thiserror::Error)]
#[error("{sentence}")]
pub struct Failure {
    /// What the process exits with.
    pub code: u8,
    /// What happened, and what to type next.
    pub sentence: String,
    /// What was asked for is not there.
    pub absent: bool,
}

impl Failure {
    /// With this exit code.
    pub fn new(code: u8, sentence: impl Into<String>) -> Self {
        Self { code, sentence: sentence.into(), absent: false }
    }

    /// A gateway said that there is no such event or letter; that it has no API is another thing.
    #[must_use]
    pub fn is_no_such(&self) -> bool {
        self.absent && self.sentence.starts_with("no such")
    }
}

/// For a command line that makes no sense, or data that is wrong.
pub fn wrong(sentence: impl Into<String>) -> anyhow::Error {
    Failure::new(WRONG, sentence).into()
}

/// For what a rule refuses.
pub fn refused(sentence: impl Into<String>) -> anyhow::Error {
    Failure::new(REFUSED, sentence).into()
}

/// For what did not work.
pub fn failed(sentence: impl Into<String>) -> anyhow::Error {
    Failure::new(FAILED, sentence).into()
}
