//! `patchbay plugin test`: golden events in the real sandbox.

mod stale;
mod subject;
mod update;

use std::num::NonZero;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::StreamExt;
use owo_colors::{OwoColorize, Style};
use patchbay_runtime::{GoldenResult, Plugin, rehearse};
use serde_json::json;

use self::subject::{Case, Subject};
use crate::cli::failure::{DONE, FAILED, failed};
use crate::cli::output::{self, print};

/// What its help says.
pub const ABOUT: &str = "Asks the plugin each of its golden events and compares what it answers, in the sandbox that a gateway \
                  runs it in. Golden events are `tests/golden/*.json` in the project's folder, or those that are packed \
                  into the component. Nothing leaves the sandbox: requests are answered by what the golden event says \
                  under `http`.";

/// What its help shows.
pub const EXAMPLES: &str = "Examples:\n  \
                       patchbay plugin test\n  \
                       patchbay plugin test vip                      those with `vip` in their names\n  \
                       patchbay plugin test --update                 what it answers now is right\n  \
                       patchbay plugin test --component acme.wasm    of somebody else's component";

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
    /// Write one JSON object for each golden event: name, file, passed, differences, took_ms, updated.
    #[arg(long)]
    pub json: bool,
}

/// One golden event, and what became of it.
struct Told {
    case: Case,
    result: GoldenResult,
    /// Its file was changed.
    updated: bool,
}

/// Does it, and gives the exit code.
///
/// # Errors
/// When it does not work; the error says what to type next.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let begun = Instant::now();
    let subject = Subject::find(&args.folder, args.component.as_deref())?;
    let cases = subject.cases(args.filter.as_deref())?;
    if args.update && cases.iter().any(|case| case.file.is_none()) {
        return Err(failed("the golden events are in the component, and not in files: there is nothing to update"));
    }
    let (plugin, notes) = subject.load().await?;
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
    let mut told = rehearse_all(&plugin, cases).await;
    if args.update {
        for told in &mut told {
            told.update(&plugin).await?;
        }
    }
    if args.json {
        let rows: Vec<_> = told.iter().map(Told::json).collect();
        output::json_lines(&rows)?;
    } else {
        show(&told, begun.elapsed(), args.update)?;
    }
    Ok(if told.iter().all(Told::fine) { DONE } else { FAILED })
}

/// All of them, a few at once, in their order.
async fn rehearse_all(plugin: &Plugin, cases: Vec<Case>) -> Vec<Told> {
    let side_by_side = std::thread::available_parallelism().map_or(1, NonZero::get);
    futures::stream::iter(cases)
        .map(|case| async move {
            let result = rehearse(plugin, &case.golden).await;
            Told { case, result, updated: false }
        })
        .buffered(side_by_side)
        .collect()
        .await
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
        })
    }
}

fn show(told: &[Told], took: Duration, update: bool) -> anyhow::Result<()> {
    let widest = told.iter().map(|told| told.case.golden.name.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for Told { case, result, updated } in told {
        let (sign, style) = if result.passed { ("✓", Style::new().green()) } else { ("✗", Style::new().red()) };
        let name = &case.golden.name;
        let missing = widest.saturating_sub(name.chars().count());
        let millis = result.took.as_secs_f64() * 1000.0;
        let note = if *updated { "  updated" } else { "" };
        text.push_str(&format!("{} {name}{:missing$}  {millis:.1} ms{note}\n", sign.style(style.bold()), ""));
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
    if wrong > 0 && !update && told.iter().any(|told| told.case.file.is_some()) {
        text.push_str("If the plugin is right and a file is wrong: patchbay plugin test --update\n");
    }
    print(&text)
}
