//! One routing logic in five shapes, measured in one process: a native function, a plugin in Rust, in JavaScript and in
//! Python, and an Extism plugin. What deciding about an event takes, what deploying takes, and what a plugin takes that
//! nobody asks.
//!
//! `cargo xtask bench languages` installs what the plugins are built with, and runs this in release. Tables go to standard
//! output, progress to standard error.
//!
//! # Layout
//! - [`guests`]: the plugins, built; [`workload`]: the event, the settings, and what has to come out
//! - [`native`], [`patchbay`], [`bare`], [`extism`]: the ways to ask
//! - [`decide`], [`deploy`], [`idle`]: the three measurements; [`measure`]: how they are taken; [`table`]: how they look

mod bare;
mod decide;
mod deploy;
mod extism;
mod guests;
mod idle;
mod measure;
mod native;
mod patchbay;
mod table;
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use patchbay_runtime::compile::{Order, compile_stdin};
use serde::Serialize;
use tokio::runtime::Runtime;

use crate::guests::Language;
use crate::measure::Plan;

/// What routing takes, by language.
#[derive(Parser)]
#[command(name = "bench-languages")]
struct Cli {
    /// A few calls of each case: a check that all of it works
    #[arg(long)]
    quick: bool,
    /// One JSON object instead of tables; times in seconds, sizes in bytes
    #[arg(long)]
    json: bool,
    /// How long each case is measured
    #[arg(long, value_name = "N", default_value_t = 3.0, value_parser = clap::value_parser!(f64))]
    seconds: f64,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What the bench starts itself anew for.
#[derive(Subcommand)]
enum Part {
    /// The process that a component is compiled in, as the gateway has one.
    #[command(hide = true)]
    CompileComponent {
        #[arg(long)]
        engine: String,
        #[arg(long)]
        cpu: u64,
        #[arg(long)]
        memory: u64,
        #[arg(long)]
        artefact: u64,
    },
    /// The process whose memory is looked at.
    #[command(hide = true)]
    Idle {
        language: Language,
        component: PathBuf,
        #[arg(long)]
        cache: PathBuf,
        #[arg(long)]
        plugins: usize,
    },
}

/// All figures of one run.
#[derive(Serialize)]
struct Report {
    decide: Vec<decide::Row>,
    deploy: Vec<deploy::Row>,
    idle: Vec<idle::Row>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.part {
        Some(Part::CompileComponent { engine, cpu, memory, artefact }) => {
            let order = Order { engine: engine.clone(), cpu: *cpu, memory: *memory, artefact: *artefact };
            return ExitCode::from(compile_stdin(&order));
        }
        Some(Part::Idle { language, component, cache, plugins }) => {
            idle::in_child(*language, component, cache, *plugins)
        }
        None => measure(&cli),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(cli: &Cli) -> Result<()> {
    let plan = if cli.quick { Plan::quick() } else { Plan::lasting(Duration::try_from_secs_f64(cli.seconds)?) };
    let guests = guests::build()?;
    let runtime = Runtime::new()?;
    // Beside the program, and so on a file system that code may be mapped from.
    let program = std::env::current_exe()?;
    let caches = tempfile::tempdir_in(program.parent().context("the program is nowhere")?)?;

    eprintln!("deploying …");
    let deploy = deploy::rows(plan, &runtime, &guests, caches.path())?;
    eprintln!("deciding …");
    let decide = decide::rows(plan, &runtime, &guests, caches.path())?;
    eprintln!("idle plugins …");
    let idle = idle::rows(plan, &guests, caches.path())?;

    if cli.json {
        println!("{}", serde_json::to_string_pretty(&Report { decide, deploy, idle })?);
    } else {
        decide::print(&decide);
        deploy::print(&deploy);
        idle::print(&idle);
    }
    Ok(())
}
