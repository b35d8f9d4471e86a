//! `patchbay plugin test`: golden events in the real sandbox.
//!
//! # Layout
//! - here: the flags, asking, and telling
//! - `subject`, `stale`: the component and its golden events
//! - `record`: real servers in place of what is written
//! - `update`, `layout`: writing into the files

mod layout;
mod record;
mod stale;
mod subject;
mod update;

use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::StreamExt;
use owo_colors::{OwoColorize, Style};
use patchbay_model::golden::Exchange;
use patchbay_runtime::{GoldenResult, Plugin, rehearse};
use serde_json::json;

use self::subject::{Case, Subject};
use crate::cli::failure::{DONE, FAILED, failed};
use crate::cli::output::{self, print};

/// What its help says.
pub const ABOUT: &str = "Asks the plugin each of its golden events and compares what it answers, in the sandbox that a gateway \
                  runs it in. Golden events are `tests/golden/*.json` in the project's folder, or those that are packed \
                  into the component. Nothing leaves the sandbox: requests are answered by what the golden event says \
                  under `http`. With `--record` they leave once, and what the servers answer is written there: what they \
                  change in the world is changed.";

/// What its help shows.
pub const EXAMPLES: &str = "Examples:\n  \
                       patchbay plugin test\n  \
                       patchbay plugin test vip                      those with `vip` in their names\n  \
                       patchbay plugin test --update                 what it answers now is right\n  \
                       patchbay plugin test --component acme.wasm    of somebody else's component\n  \
                       patchbay plugin test order --record --config servers.toml";

/// `patchbay plugin test`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Only those whose name or file has this in it.
    #[arg(value_name = "FILTER")]
    pub filter: Option<String>,
    /// The project's folder.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub folder: PathBuf,
    /// The component, instead of the one that `plugin.toml` names under `[build]`.
    #[arg(long, value_name = "FILE")]
    pub component: Option<PathBuf>,
    /// Write what the plugin answers into the files, as what it has to answer.
    #[arg(long)]
    pub update: bool,
    /// Let the plugin's requests leave, and write what servers answer into the files, under `http`.
    #[arg(long)]
    pub record: bool,
    /// What may be called while recording, and with which credentials: a gateway's configuration, or the part of it with
    /// `[plugins.NAME.grants]` and `[credentials]`. Without it: the hosts that the plugin wants, over https.
    #[arg(long, value_name = "FILE", requires = "record")]
    pub config: Option<PathBuf>,
    /// Write one JSON object for each golden event: name, file, passed, differences, took_ms, updated, recorded, left_out.
    #[arg(long)]
    pub json: bool,
}

/// One golden event, and what became of it.
struct Told {
    case: Case,
    result: GoldenResult,
    /// Its file was changed.
    updated: bool,
    /// What servers answered, where they were asked.
    recorded: Option<Vec<Exchange>>,
    /// Headers that were not recorded because they may be secret, by name.
    left_out: BTreeSet<String>,
}

/// Does it, and gives the exit code.
///
/// # Errors
/// When it does not work; the error says what to type next.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let begun = Instant::now();
    let subject = Subject::find(&args.folder, args.component.as_deref())?;
    let cases = subject.cases(args.filter.as_deref())?;
    if (args.update || args.record) && cases.iter().any(|case| case.file.is_none()) {
        return Err(failed("the golden events are in the component, and not in files: there is nothing to write into"));
    }
    let callable = args.record.then(|| subject.callable(args.config.as_deref())).transpose()?;
    let (plugin, notes) = subject.load(callable).await?;
    if !args.json {
        print(&format!(
            "{}, {}\n",
            subject.heading(),
            output::count(cases.len() as u64, "golden event", "golden events")
        ))?;
        for note in notes {
            anstream::eprintln!("{}: {note}", "note".style(Style::new().cyan().bold()));
        }
    }
    let mut told = if args.record { record_all(&plugin, cases).await? } else { rehearse_all(&plugin, cases).await };
    if args.update {
        for told in &mut told {
            told.update(&plugin).await?;
        }
    }
    for told in &mut told {
        let settings = subject.settings(&told.case.golden);
        told.result.passed &= settings.is_empty();
        told.result.differences.splice(0..0, settings);
    }
    if args.json {
        let rows: Vec<_> = told.iter().map(Told::json).collect();
        output::json_lines(&rows)?;
    } else {
        show(&told, begun.elapsed(), args.update || args.record)?;
    }
    Ok(if told.iter().all(Told::fine) { DONE } else { FAILED })
}

/// All of them, a few at once, in their order.
async fn rehearse_all(plugin: &Plugin, cases: Vec<Case>) -> Vec<Told> {
    let side_by_side = std::thread::available_parallelism().map_or(1, NonZero::get);
    futures::stream::iter(cases)
        .map(|case| async move {
            let result = rehearse(plugin, &case.golden).await;
            Told { case, result, updated: false, recorded: None, left_out: BTreeSet::new() }
        })
        .buffered(side_by_side)
        .collect()
        .await
}

/// One after the other: a server may be another one after each.
async fn record_all(plugin: &Plugin, cases: Vec<Case>) -> anyhow::Result<Vec<Told>> {
    let mut told = Vec::with_capacity(cases.len());
    for case in cases {
        told.push(record::record(plugin, case).await?);
    }
    Ok(told)
}

impl Told {
    fn fine(&self) -> bool {
        self.result.passed
    }

    /// Makes what the plugin answered what it has to answer, and asks again: what it asks of other servers stays as it is
    /// written, and may still differ.
    async fn update(&mut self, plugin: &Plugin) -> anyhow::Result<()> {
        let (Some(file), Some(answered)) = (&self.case.file, &self.result.answered) else { return Ok(()) };
        if *answered == self.case.golden.expect {
            return Ok(());
        }
        update::expect(file, answered)?;
        self.updated = true;
        self.case.golden.expect = answered.clone();
        self.result = rehearse(plugin, &self.case.golden).await;
        Ok(())
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "name": self.case.golden.name,
            "file": self.case.file,
            "passed": self.result.passed,
            "differences": self.result.differences,
            "took_ms": self.result.took.as_secs_f64() * 1000.0,
            "updated": self.updated,
            "recorded": self.recorded,
            "left_out": self.left_out,
        })
    }
}

fn show(told: &[Told], took: Duration, update: bool) -> anyhow::Result<()> {
    let widest = told.iter().map(|told| told.case.golden.name.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for Told { case, result, updated, recorded, .. } in told {
        let (sign, style) = if result.passed { ("✓", Style::new().green()) } else { ("✗", Style::new().red()) };
        let name = &case.golden.name;
        let missing = widest.saturating_sub(name.chars().count());
        let millis = result.took.as_secs_f64() * 1000.0;
        let note = match recorded {
            Some(recorded) => {
                format!("  recorded {}", output::count(recorded.len() as u64, "request", "requests"))
            }
            None if *updated => "  updated".to_owned(),
            None => String::new(),
        };
        text.push_str(&format!("{} {name}{:missing$}  {millis:.1} ms{note}\n", sign.style(style.bold()), ""));
        for exchange in recorded.iter().flatten() {
            text.push_str(&format!("    {}\n", record::line(exchange)));
        }
        for difference in &result.differences {
            text.push_str(&format!("    {}\n", difference.replace('\n', "\n    ")));
        }
    }
    let passed = told.iter().filter(|told| told.result.passed).count();
    let wrong = told.len() - passed;
    text.push_str(&format!("{passed} passed, {wrong} failed, in {:.1} s\n", took.as_secs_f64()));
    for file in told.iter().filter(|told| told.updated).filter_map(|told| told.case.file.as_ref()) {
        text.push_str(&format!("written: {}\n", file.display()));
    }
    let left_out: BTreeSet<&str> = told.iter().flat_map(|told| &told.left_out).map(String::as_str).collect();
    if !left_out.is_empty() {
        let names: Vec<&str> = left_out.into_iter().collect();
        text.push_str(&format!("headers that may be secret and were left out: {}\n", names.join(", ")));
    }
    if told.iter().any(|told| told.updated && told.recorded.as_ref().is_some_and(|recorded| !recorded.is_empty())) {
        text.push_str(
            "This is what the servers really said: read it, and take people out of it, before you keep it.\n",
        );
    }
    if wrong > 0 && !update && told.iter().any(|told| told.case.file.is_some()) {
        text.push_str("If the plugin is right and a file is wrong: patchbay plugin test --update\n");
    }
    print(&text)
}
