//! What a plugin takes that nobody asks: many of the same, loaded from what was compiled before, in a process of their own
//! so that nothing else is in its memory.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use crate::guests::{Guest, Language};
use crate::measure::{Memory, Plan};
use crate::table::{self, Table};
use crate::{deploy, extism, patchbay, workload};

/// What each plugin takes.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Taken {
    /// When it is loaded.
    loaded: Memory,
    /// When it has decided about one event, as well.
    asked: Memory,
}

/// One language.
#[derive(Serialize)]
pub(crate) struct Row {
    /// The language.
    who: &'static str,
    /// How many plugins there were.
    plugins: usize,
    /// What each of them takes.
    #[serde(flatten)]
    taken: Taken,
}

/// Looks at all of them. `caches`: where deploying left what it compiled.
///
/// # Errors
/// When a process ends without figures.
pub(crate) fn rows(plan: Plan, guests: &[Guest], caches: &Path) -> Result<Vec<Row>> {
    let row = |guest: &Guest| {
        eprintln!("  {} …", guest.language.title());
        let done = Command::new(std::env::current_exe()?)
            .args(["idle", guest.language.word()])
            .arg(&guest.path)
            .arg("--cache")
            .arg(deploy::cache(caches, guest.language))
            .args(["--plugins", &plan.plugins.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()?;
        ensure!(done.status.success(), "the process with idle plugins failed ({})", done.status);
        let taken = serde_json::from_slice(&done.stdout).context("the process with idle plugins")?;
        Ok(Row { who: guest.language.title(), plugins: plan.plugins, taken })
    };
    guests.iter().map(row).collect()
}

/// In the process whose memory is looked at: loads so many, and writes what each takes to standard output, as JSON.
///
/// # Errors
/// When one cannot be loaded or asked.
pub(crate) fn in_child(language: Language, component: &Path, cache: &Path, plugins: usize) -> Result<()> {
    let component = Bytes::from(std::fs::read(component)?);
    let taken = match language {
        Language::Extism => of_extism(&component, cache, plugins)?,
        _ => ours(&component, cache, plugins)?,
    };
    println!("{}", serde_json::to_string(&taken)?);
    Ok(())
}

fn ours(component: &Bytes, cache: &Path, plugins: usize) -> Result<Taken> {
    let runtime = Runtime::new()?;
    let engine = patchbay::engine(cache)?;
    let input = workload::event();
    let load = |generation| anyhow::Ok(runtime.block_on(engine.load(patchbay::spec(component, generation)))?);
    let ask = |plugin: &_| runtime.block_on(patchbay::handle(plugin, &input)).map(drop);
    // What comes with the first one is the engine's.
    let first = load(0)?;
    ask(&first)?;
    taken(plugins, load, ask)
}

fn of_extism(module: &[u8], cache: &Path, plugins: usize) -> Result<Taken> {
    let settings = serde_json::to_string(&workload::settings())?;
    let config = extism::cache(cache)?;
    let input = workload::event();
    let load = |_| extism::compile(module, &settings, Some(&config));
    // An event has a plugin of its own, as in Patchbay.
    let ask = |compiled: &_| extism::handle(&mut extism::sandbox(compiled)?, &input).map(drop);
    let first = load(0)?;
    ask(&first)?;
    taken(plugins, load, ask)
}

/// Loads so many, then asks each.
fn taken<P>(plugins: usize, load: impl Fn(u64) -> Result<P>, ask: impl Fn(&P) -> Result<()>) -> Result<Taken> {
    let number = i64::try_from(plugins)?;
    let before = Memory::now()?;
    let kept = (1..).take(plugins).map(load).collect::<Result<Vec<P>>>()?;
    let loaded = Memory::now()?.each_since(before, number);
    kept.iter().try_for_each(ask)?;
    let asked = Memory::now()?.each_since(before, number);
    drop(kept);
    Ok(Taken { loaded, asked })
}

/// Prints the table.
pub(crate) fn print(rows: &[Row]) {
    let plugins = rows.first().map_or(0, |row| row.plugins);
    let title = format!(
        "memory of an idle plugin, one of {plugins} alike from the cache: its own, and pages of the file of compiled code"
    );
    let heads = ["loaded: own", "of the file", "asked once: own", "of the file"];
    let mut table = Table::new(&title, &["plugin"], &heads);
    for Row { who, taken, .. } in rows {
        let Taken { loaded, asked } = taken;
        let figures = [loaded.anonymous, loaded.mapped, asked.anonymous, asked.mapped];
        table.row(std::iter::once((*who).to_owned()).chain(figures.map(|bytes| table::size(bytes as f64))));
    }
    table.print();
}
