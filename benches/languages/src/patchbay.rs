//! Patchbay itself: the engine with the gateway's own options, and [`Plugin::handle`].

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use patchbay_model::{Outcome, Timestamp};
use patchbay_runtime::{Call, Compiler, Engine, EngineOptions, Grants, HandlerInput, Limits, Mode, Plugin, PluginSpec};

use crate::measure::Plan;
use crate::workload::{self, NOW};

/// Events that are decided about at once when their throughput is measured.
pub(crate) const TOGETHER: usize = 64;

/// An engine that keeps what it compiles in `cache`, and compiles in a process of its own.
///
/// # Errors
/// When the machine does not let it.
pub(crate) fn engine(cache: &Path) -> Result<Engine> {
    let program = std::env::current_exe()?;
    let options = EngineOptions {
        cache_dir: Some(cache.to_owned()),
        compiler: Compiler::Process { program, args: vec!["compile-component".to_owned()] },
        ..EngineOptions::default()
    };
    Ok(Engine::new(options)?)
}

/// A plugin to load.
pub(crate) fn spec(component: &Bytes, generation: u64) -> PluginSpec {
    PluginSpec {
        name: format!("routing-{generation}"),
        generation,
        component: component.clone(),
        settings: workload::settings(),
        grants: Grants::default(),
        secrets: BTreeMap::new(),
        limits: Limits::default(),
    }
}

/// Asks a plugin about an event, as a chain does.
///
/// # Errors
/// When it does not answer.
pub(crate) async fn handle(plugin: &Plugin, input: &HandlerInput) -> Result<Outcome> {
    let call = Call {
        subject: "ev_1".into(),
        attempt: 1,
        now: Timestamp::from_millis(NOW),
        deterministic: true,
        mode: Mode::Live,
        timeout: Duration::from_secs(60),
        desk: None,
    };
    plugin.handle(input, &call).await.map_err(|error| anyhow::anyhow!("{}: {error:?}", plugin.name()))
}

/// How many events a second, with [`TOGETHER`] of them on their way all the time.
///
/// # Errors
/// When one is not answered.
pub(crate) async fn together(plan: Plan, plugin: &Plugin, input: &HandlerInput) -> Result<f64> {
    let begun = Instant::now();
    let tasks = (0..TOGETHER).map(|_| {
        let (plugin, input) = (plugin.clone(), input.clone());
        tokio::spawn(async move {
            let mut calls = 0_u64;
            while calls == 0 || begun.elapsed() < plan.time {
                handle(&plugin, &input).await?;
                calls += 1;
            }
            anyhow::Ok(calls)
        })
    });
    let mut calls = 0;
    for task in tasks.collect::<Vec<_>>() {
        calls += task.await.context("a task is lost")??;
    }
    Ok(calls as f64 / begun.elapsed().as_secs_f64())
}
