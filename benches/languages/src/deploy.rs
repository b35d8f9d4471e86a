//! What deploying takes: from bytes to a plugin that can be asked.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;
use tokio::runtime::Runtime;

use crate::guests::{Guest, Language};
use crate::measure::{Plan, Times};
use crate::table::{self, Table};
use crate::{extism, patchbay, workload};

/// Deployments of what was compiled before.
const AGAIN: u64 = 20;

/// One plugin.
#[derive(Serialize)]
pub(crate) struct Row {
    /// The language.
    who: &'static str,
    /// The component's file, or Extism's module, bytes.
    component: usize,
    /// What is kept of it between runs, bytes.
    compiled: u64,
    /// Nothing was compiled before. Patchbay compiles in a process of its own, and keeps and maps what that leaves; Extism
    /// compiles in this process.
    cold: Times,
    /// The same was compiled before.
    again: Times,
    /// The first event after that.
    first: Times,
}

/// Where a language's compiled code is kept, among all of them.
pub(crate) fn cache(caches: &Path, language: Language) -> PathBuf {
    caches.join(language.word())
}

/// Deploys all of them.
///
/// # Errors
/// When one cannot be loaded, or decides otherwise than it should.
pub(crate) fn rows(plan: Plan, runtime: &Runtime, guests: &[Guest], caches: &Path) -> Result<Vec<Row>> {
    let row = |guest: &Guest| {
        eprintln!("  {} …", guest.language.title());
        match guest.language {
            Language::Extism => extism(plan, guest, caches),
            _ => ours(plan, runtime, guest, caches),
        }
    };
    guests.iter().map(row).collect()
}

fn ours(plan: Plan, runtime: &Runtime, guest: &Guest, caches: &Path) -> Result<Row> {
    let kept = cache(caches, guest.language);
    let mut cold = Vec::new();
    for at in 0..plan.cold {
        // The last one's is kept for what is measured later.
        let folder = if at + 1 == plan.cold { kept.clone() } else { caches.join(format!("cold-{at}")) };
        let engine = patchbay::engine(&folder)?;
        let spec = patchbay::spec(&guest.bytes, 0);
        cold.push(timed(|| Ok(runtime.block_on(engine.load(spec))?))?.0);
        if folder != kept {
            drop(engine);
            fs::remove_dir_all(&folder)?;
        }
    }
    let engine = patchbay::engine(&kept)?;
    let input = workload::event();
    let (mut again, mut first) = (Vec::new(), Vec::new());
    for generation in 1..=AGAIN {
        let spec = patchbay::spec(&guest.bytes, generation);
        let (time, plugin) = timed(|| Ok(runtime.block_on(engine.load(spec))?))?;
        again.push(time);
        let (time, outcome) = timed(|| runtime.block_on(patchbay::handle(&plugin, &input)))?;
        first.push(time);
        workload::check(guest.language.title(), &outcome)?;
    }
    finish(guest, &kept, cold, again, first)
}

fn extism(plan: Plan, guest: &Guest, caches: &Path) -> Result<Row> {
    let settings = serde_json::to_string(&workload::settings())?;
    // Callable is what has an instance's functions looked up, which a `Plugin` has; no event is part of it.
    let deploy = |cache: Option<&Path>| {
        timed(|| {
            let compiled = extism::compile(&guest.bytes, &settings, cache)?;
            let plugin = extism::sandbox(&compiled)?;
            Ok((compiled, plugin))
        })
    };
    let cold = (0..plan.cold).map(|_| Ok(deploy(None)?.0)).collect::<Result<_>>()?;
    let kept = cache(caches, guest.language);
    let config = extism::cache(&kept)?;
    drop(deploy(Some(&config))?);
    let input = workload::event();
    let (mut again, mut first) = (Vec::new(), Vec::new());
    for _ in 0..AGAIN {
        let (time, (_compiled, mut plugin)) = deploy(Some(&config))?;
        again.push(time);
        let (time, outcome) = timed(|| extism::handle(&mut plugin, &input))?;
        first.push(time);
        workload::check(guest.language.title(), &outcome)?;
    }
    finish(guest, &kept, cold, again, first)
}

fn finish(guest: &Guest, kept: &Path, cold: Vec<Duration>, again: Vec<Duration>, first: Vec<Duration>) -> Result<Row> {
    Ok(Row {
        who: guest.language.title(),
        component: guest.bytes.len(),
        compiled: size(kept)?,
        cold: Times::of(cold)?,
        again: Times::of(again)?,
        first: Times::of(first)?,
    })
}

fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(Duration, T)> {
    let start = Instant::now();
    let done = work()?;
    Ok((start.elapsed(), done))
}

/// All files in a folder, bytes.
fn size(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        sum += if about.is_dir() { size(&entry.path())? } else { about.len() };
    }
    Ok(sum)
}

/// Prints the table.
pub(crate) fn print(rows: &[Row]) {
    let title = "deploying: with nothing compiled before (Patchbay: in a process of its own), and once it was; p50";
    let heads = ["file", "compiled", "cold", "again", "first event"];
    let mut table = Table::new(title, &["plugin"], &heads);
    for row in rows {
        table.row([
            row.who.to_owned(),
            table::size(row.component as f64),
            table::size(row.compiled as f64),
            table::time(row.cold.p50),
            table::time(row.again.p50),
            table::time(row.first.p50),
        ]);
    }
    table.print();
}
