//! What deciding about one event takes.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;
use tokio::runtime::{Builder, Runtime};

use crate::bare::{self, Bare};
use crate::guests::{Guest, Language};
use crate::measure::{self, Plan, Times};
use crate::patchbay::TOGETHER;
use crate::table::{self, Table};
use crate::{deploy, extism, native, patchbay, workload};

/// Calls of a sandbox that is kept. Then there is a new one: interpreters take more memory with each call, and have no more
/// than a slot of the pool.
const KEPT: usize = 4096;

/// One way to ask.
#[derive(Serialize)]
pub(crate) struct Row {
    /// The language.
    who: &'static str,
    /// What is around it.
    how: &'static str,
    /// One event at a time.
    times: Times,
    /// Events a second with all cores at it; none: not for a sandbox that is kept.
    rate: Option<f64>,
}

/// Measures all of them. `caches`: where deploying left what it compiled.
///
/// # Errors
/// When one decides otherwise than the others, or not at all.
pub(crate) fn rows(plan: Plan, runtime: &Runtime, guests: &[Guest], caches: &Path) -> Result<Vec<Row>> {
    let settings = serde_json::to_string(&workload::settings())?;
    let mut rows = vec![native(plan, runtime, &settings)?];
    let engine = bare::engine()?;
    for guest in guests {
        eprintln!("  {} …", guest.language.title());
        if guest.language == Language::Extism {
            rows.extend(extism(plan, runtime, guest, &settings)?);
            continue;
        }
        rows.push(product(plan, runtime, guest, caches)?);
        let input = workload::event();
        let bare = Bare::new(&engine, &guest.bytes, &settings, &input)?;
        rows.extend(bare_rows(plan, runtime, guest, &bare)?);
    }
    Ok(rows)
}

fn native(plan: Plan, runtime: &Runtime, settings: &str) -> Result<Row> {
    let input = workload::event();
    workload::check("the native function", &native::handle(settings, &input)?)?;
    let call = || native::handle(settings, &input).map(|outcome| drop(std::hint::black_box(outcome)));
    let times = runtime.block_on(measure::one_by_one(plan, async || call()))?;
    let rate = measure::on_all_cores(plan, || Ok(call))?;
    Ok(Row { who: "native function", how: "", times, rate: Some(rate) })
}

/// The plugin as a gateway asks it.
fn product(plan: Plan, runtime: &Runtime, guest: &Guest, caches: &Path) -> Result<Row> {
    let who = guest.language.title();
    let engine = patchbay::engine(&deploy::cache(caches, guest.language))?;
    let plugin = runtime.block_on(engine.load(patchbay::spec(&guest.bytes, 1)))?;
    let input = workload::event();
    workload::check(who, &runtime.block_on(patchbay::handle(&plugin, &input))?)?;
    let times =
        runtime.block_on(measure::one_by_one(plan, async || patchbay::handle(&plugin, &input).await.map(drop)))?;
    let rate = runtime.block_on(patchbay::together(plan, &plugin, &input))?;
    Ok(Row { who, how: "fresh sandbox, Patchbay", times, rate: Some(rate) })
}

/// The same component on wasmtime alone: fresh for each event, and kept.
fn bare_rows(plan: Plan, runtime: &Runtime, guest: &Guest, bare: &Bare) -> Result<[Row; 2]> {
    let who = guest.language.title();
    let fresh = async || {
        let mut sandbox = bare.sandbox().await?;
        bare.handle(&mut sandbox).await
    };
    workload::check(who, &bare::outcome(runtime.block_on(fresh())?)?)?;
    let times = runtime.block_on(measure::one_by_one(plan, async || fresh().await.map(drop)))?;
    let each = &fresh;
    let rate = measure::on_all_cores(plan, || {
        let runtime = Builder::new_current_thread().build()?;
        Ok(move || runtime.block_on(each()).map(drop))
    })?;
    let fresh = Row { who, how: "fresh sandbox, wasmtime alone", times, rate: Some(rate) };

    let mut sandbox = runtime.block_on(bare.sandbox())?;
    // Not only the first answer has to be right.
    for _ in 0..3 {
        workload::check(who, &bare::outcome(runtime.block_on(bare.handle(&mut sandbox))?)?)?;
    }
    let mut calls = 0_usize;
    let times = runtime.block_on(measure::one_by_one(plan, async || {
        calls += 1;
        if calls.is_multiple_of(KEPT) {
            sandbox = bare.sandbox().await?;
        }
        bare.handle(&mut sandbox).await.map(drop)
    }))?;
    Ok([fresh, Row { who, how: "warm, wasmtime alone", times, rate: None }])
}

fn extism(plan: Plan, runtime: &Runtime, guest: &Guest, settings: &str) -> Result<[Row; 2]> {
    let who = guest.language.title();
    let compiled = extism::compile(&guest.bytes, settings, None)?;
    let input = workload::event();
    let fresh = || extism::handle(&mut extism::sandbox(&compiled)?, &input);
    workload::check(who, &fresh()?)?;
    let times = runtime.block_on(measure::one_by_one(plan, async || fresh().map(drop)))?;
    let each = &fresh;
    let rate = measure::on_all_cores(plan, || Ok(move || each().map(drop)))?;
    let first = Row { who, how: "fresh plugin", times, rate: Some(rate) };

    let mut plugin = extism::sandbox(&compiled)?;
    for _ in 0..3 {
        workload::check(who, &extism::handle(&mut plugin, &input)?)?;
    }
    let times = runtime
        .block_on(measure::one_by_one(plan, async || extism::handle(&mut plugin, &input).map(drop)))
        .context("Extism, warm")?;
    Ok([first, Row { who, how: "warm plugin", times, rate: None }])
}

/// Prints the table.
pub(crate) fn print(rows: &[Row]) {
    let title = format!(
        "deciding about one event; events a second: {TOGETHER} at once in Patchbay, elsewhere a thread for each core"
    );
    let mut table = Table::new(&title, &["plugin", "how"], &["p50", "p99", "mean", "calls", "events/s"]);
    for Row { who, how, times, rate } in rows {
        table.row([
            (*who).to_owned(),
            (*how).to_owned(),
            table::time(times.p50),
            table::time(times.p99),
            table::time(times.mean),
            times.calls.to_string(),
            rate.map_or_else(|| "–".to_owned(), |rate| format!("{rate:.0}")),
        ]);
    }
    table.print();
}
