//! `cargo xtask test`: every test there is, and their counts.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anstream::eprintln;
use anyhow::{Result, bail};
use clap::ValueEnum;
use owo_colors::OwoColorize as _;

use crate::tally::{self, Tally};
use crate::{checks, needs, run, screen};

/// What can be run alone.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// The format of all workspaces
    Fmt,
    /// Clippy on all workspaces
    Clippy,
    /// The documentation
    Docs,
    /// The host's crates, with the examples in their documentation
    Unit,
    /// The shipped plugins, natively
    Plugins,
    /// The real binary with real clients
    E2e,
    /// The pages in a browser
    Browser,
}

/// What `cargo xtask test` runs when nothing is named.
const TESTS: [Step; 4] = [Step::Unit, Step::Plugins, Step::E2e, Step::Browser];

/// The crate whose tests are the step `e2e`.
const E2E: &str = "patchbay-tests";

/// The result of one suite.
struct Row {
    name: &'static str,
    tally: Tally,
    /// Whether the runner was content.
    content: bool,
    time: Duration,
}

/// Runs the steps asked for. All suites are run even when one fails.
pub(crate) fn test(only: &[Step], filters: &[String]) -> Result<()> {
    let wanted = |step| if only.is_empty() { TESTS.contains(&step) } else { only.contains(&step) };
    if wanted(Step::Fmt) {
        checks::fmt(false)?;
    }
    if wanted(Step::Clippy) {
        checks::clippy()?;
    }
    if wanted(Step::Docs) {
        checks::docs()?;
    }
    if !TESTS.into_iter().any(wanted) {
        return Ok(());
    }
    let suites = Suites::prepare(wanted(Step::Unit), wanted(Step::E2e), wanted(Step::Browser), filters)?;
    let mut rows = Vec::new();
    if wanted(Step::Unit) {
        rows.push(suite("unit", || suites.unit())?);
        rows.push(suite("documentation examples", || suites.examples())?);
    }
    if wanted(Step::Plugins) {
        rows.push(suite("plugins", || suites.plugins())?);
    }
    if wanted(Step::E2e) {
        rows.push(suite("end to end", || suites.end_to_end())?);
    }
    if wanted(Step::Browser) {
        rows.push(suite("browser", || suites.browser())?);
    }
    conclude(&rows)
}

/// What the suites share.
struct Suites<'a> {
    nextest: bool,
    filters: &'a [String],
    python: Option<PathBuf>,
    servers: Option<PathBuf>,
    chromium: Option<PathBuf>,
}

impl<'a> Suites<'a> {
    /// Installs what is missing and builds the host workspace once. Everything is built as its tests need it, so that
    /// no suite builds it again with other features of a shared dependency.
    fn prepare(unit: bool, e2e: bool, browser: bool, filters: &'a [String]) -> Result<Self> {
        needs::wasm_target()?;
        if unit || e2e {
            needs::redis()?;
            needs::openssl()?;
        }
        if e2e {
            needs::registry()?;
            needs::foreign_clients()?;
            needs::plugin_tools()?;
        }
        let chromium = if browser { Some(needs::chromium()?) } else { None };
        if browser {
            needs::browser_packages()?;
        }
        let python = if e2e { Some(needs::python()?) } else { None };
        let servers = if e2e { Some(needs::python_servers()?) } else { None };
        screen::step("build", || {
            run::succeed(&mut run::cargo(["build", "--workspace", "--lib", "--bins", "--tests"]))
        })?;
        Ok(Self { nextest: run::exists("cargo-nextest"), filters, python, servers, chromium })
    }

    fn unit(&self) -> Result<(bool, Tally)> {
        if self.nextest {
            let mut command = run::cargo(["nextest", "run", "--workspace", "-E"]);
            return self.nextest(command.arg(format!("not package({E2E})")));
        }
        self.libtest(run::cargo(["test", "--workspace", "--exclude", E2E, "--lib", "--bins", "--tests"]))
    }

    /// nextest does not run these, and plain `cargo test` would mix them with the rest.
    fn examples(&self) -> Result<(bool, Tally)> {
        self.libtest(run::cargo(["test", "--workspace", "--doc"]))
    }

    fn plugins(&self) -> Result<(bool, Tally)> {
        if self.nextest {
            return self.nextest(&mut run::cargo_plugins(["nextest", "run", "--workspace"]));
        }
        self.libtest(run::cargo_plugins(["test", "--workspace"]))
    }

    fn end_to_end(&self) -> Result<(bool, Tally)> {
        let mut command = if self.nextest {
            let mut command = run::cargo(["nextest", "run", "--workspace", "-E"]);
            command.arg(format!("package({E2E})"));
            command
        } else {
            run::cargo(["test", "--package", E2E])
        };
        command.env("PATCHBAY_BIN", run::patchbay("debug"));
        if let Some(python) = &self.python {
            command.env("PATCHBAY_TEST_PYTHON", python);
        }
        if let Some(servers) = &self.servers {
            command.env("PATCHBAY_TEST_SERVERS", servers);
        }
        if self.nextest { self.nextest(&mut command) } else { self.libtest(command) }
    }

    fn browser(&self) -> Result<(bool, Tally)> {
        let mut command = run::program("node");
        command.arg("tests/browser/run.mjs").args(self.filters);
        command.env("PATCHBAY_BIN", run::patchbay("debug"));
        command.env("PATCHBAY_SCREENSHOTS", run::target().join("screenshots"));
        if let Some(chromium) = &self.chromium {
            command.env("PATCHBAY_CHROMIUM", chromium);
        }
        tally::run(&mut command)
    }

    /// A filter may match in one suite only: none here is no failure, [`conclude`] looks at all of them.
    fn nextest(&self, command: &mut Command) -> Result<(bool, Tally)> {
        let colours = if std::io::stderr().is_terminal() { "always" } else { "never" };
        let none = if self.filters.is_empty() { "fail" } else { "pass" };
        command.args(["--no-fail-fast", "--color", colours, "--no-tests", none]).args(self.filters);
        tally::run(command)
    }

    fn libtest(&self, mut command: Command) -> Result<(bool, Tally)> {
        tally::run(command.args(["--no-fail-fast", "--"]).args(self.filters))
    }
}

fn suite(name: &'static str, work: impl FnOnce() -> Result<(bool, Tally)>) -> Result<Row> {
    eprintln!("{} {}", "▸".cyan(), name.bold());
    let start = Instant::now();
    let (content, tally) = work()?;
    Ok(Row { name, tally, content, time: start.elapsed() })
}

/// Prints the counts; the last line is the sum.
fn conclude(rows: &[Row]) -> Result<()> {
    let mut sum = Tally::default();
    let mut time = Duration::ZERO;
    eprintln!();
    for row in rows {
        sum.add(row.tally);
        time += row.time;
        print(row.name, row.tally, row.time, row.content && row.tally.failed == 0);
    }
    let content = rows.iter().all(|row| row.content) && sum.failed == 0;
    print("all tests", sum, time, content && sum.passed > 0);
    if !content {
        let failed: Vec<_> =
            rows.iter().filter(|row| !row.content || row.tally.failed > 0).map(|row| row.name).collect();
        bail!("failed: {}", failed.join(", "));
    }
    if sum.passed == 0 {
        bail!("no test was run: the filter matches nothing");
    }
    Ok(())
}

fn print(name: &str, tally: Tally, time: Duration, good: bool) {
    let Tally { passed, failed, ignored } = tally;
    let mark = if good { "✓".green().to_string() } else { "✗".red().to_string() };
    let counts = format!("{passed:>5} passed  {failed:>3} failed  {ignored:>3} ignored");
    eprintln!("{mark} {name:<24}{counts}  {:>10}", screen::duration(time).dimmed());
}
