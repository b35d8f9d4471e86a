//! Counting tests from what the runners print, while it passes through to the screen.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result};

use crate::run;

/// Tests by their outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// Marked in the source as not to be run.
    pub(crate) ignored: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }

    /// The counts in a runner's summary line: libtest's, nextest's or our browser runner's.
    fn parse(line: &str) -> Option<Self> {
        // nextest shows what a failed test printed, its own result among it, and indents it: that counts once, below.
        let result = line.starts_with("test result:");
        let line = line.trim();
        let ours = line.starts_with(|c: char| c.is_ascii_digit()) && line.ends_with(" failed");
        if !(result || line.starts_with("Summary [") || ours) {
            return None;
        }
        let mut tally = Self::default();
        let mut count: Option<u64> = None;
        for word in line.split([' ', ',', ';', '(', ')']).filter(|word| !word.is_empty()) {
            match (count.take(), word) {
                (Some(n), "passed") => tally.passed += n,
                // nextest counts tests that ran too long, or did not start, apart from those that failed.
                (Some(n), "failed" | "timed" | "exec") => tally.failed += n,
                (Some(n), "ignored") => tally.ignored += n,
                _ => count = word.parse().ok(),
            }
        }
        Some(tally)
    }
}

/// Runs a command, shows its output as it comes, and adds up the summary lines in it.
pub(crate) fn run(command: &mut Command) -> Result<(bool, Tally)> {
    let context = format!("cannot start `{}`", run::line(command));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context(context)?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let tally = thread::scope(|scope| {
        let errors = scope.spawn(move || err.map(|err| pass_on(err, std::io::stderr())));
        let mut tally = out.map(|out| pass_on(out, std::io::stdout())).unwrap_or_default();
        tally.add(errors.join().ok().flatten().unwrap_or_default());
        tally
    });
    Ok((child.wait()?.success(), tally))
}

/// Copies lines and counts. A screen that went away stops the copying, not the counting.
fn pass_on(from: impl Read, mut to: impl Write) -> Tally {
    let mut tally = Tally::default();
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        let _ = to.write_all(&line).and_then(|()| to.flush());
        if let Some(more) = Tally::parse(&plain(&line)) {
            tally.add(more);
        }
        line.clear();
    }
    tally
}

/// A line without its colours.
fn plain(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    anstream::adapter::strip_str(&text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: u64, failed: u64, ignored: u64) -> Option<Tally> {
        Some(Tally { passed, failed, ignored })
    }

    #[test]
    fn every_runner_is_counted() {
        let libtest =
            "test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 7 filtered out; finished in 0.1s";
        assert_eq!(Tally::parse(libtest), tally(3, 1, 2));
        let nextest = "     Summary [   0.506s] 12 tests run: 9 passed (1 slow), 2 failed, 1 timed out, 4 skipped";
        assert_eq!(Tally::parse(nextest), tally(9, 3, 0));
        assert_eq!(Tally::parse("7 passed, 0 failed"), tally(7, 0, 0));
        assert_eq!(Tally::parse("3 passed the line and more"), None);
        let within = format!("    {libtest}");
        assert_eq!(Tally::parse(&within), None, "a failed test's own output in nextest's");
    }

    #[test]
    fn colours_do_not_hide_a_summary() {
        let line =
            b"\x1b[32;1m     Summary\x1b[0m [   0.5s] \x1b[1m2\x1b[0m tests run: \x1b[1m2\x1b[0m passed, 0 skipped\n";
        assert_eq!(Tally::parse(&plain(line)), tally(2, 0, 0));
    }
}
