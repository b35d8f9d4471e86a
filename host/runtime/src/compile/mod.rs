//! From a component to code that can be run.
//!
//! Compiling is the one thing that a plugin's bytes make the host do before any sandbox is around them, and it takes as
//! long and as much memory as whoever wrote them likes. So it happens in a process of its own, which limits itself before
//! it reads a byte ([`compile_stdin`]); the gateway maps what that leaves, once it has made sure that nobody else wrote
//! it. What is compiled is kept by the component's digest and the engine's hash. Compiled code is never taken from
//! outside.
//!
//! # Layout
//! - here: what is compiled where, and once
//! - `gate`: how many at once
//! - `process`, `child`: the process, from both of its sides
//! - `cache`: compiled code on disk
//! - `map`: the one place with `unsafe`

mod cache;
mod child;
mod gate;
mod map;
mod process;

use std::hash::{Hash, Hasher};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio::runtime::Handle;
use wasmtime::component::Component;

use self::cache::Cache;
pub(crate) use self::cache::CacheError;
pub use self::child::{Order, compile_stdin};
use self::gate::Gate;
use self::process::Helper;
use crate::limits::CompileLimits;

/// Who compiles plugins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Compiler {
    /// This process itself, without any limit: for tools and tests, with components that are trusted.
    #[default]
    InProcess,
    /// A process for each component.
    Process {
        /// The program; the same one as this, so that it compiles for the same engine.
        program: PathBuf,
        /// What stands first on its command line. `--engine`, `--cpu`, `--memory` and `--artefact` follow, each with a
        /// value: the fields of an [`Order`], which the program hands to [`compile_stdin`].
        args: Vec<String>,
    },
}

/// Why there is no code.
#[derive(Debug, Error)]
pub(crate) enum CompileError {
    /// The compiler does not take the component.
    #[error("{0}")]
    Refused(String),
    /// It took more than it may.
    #[error("{0}")]
    Limit(String),
    /// A fault of the host.
    #[error("{0}")]
    Host(String),
}

/// Everything that compiling takes.
pub(crate) struct Workshop {
    compiler: Compiler,
    /// In place of those for the component's size.
    limits: Option<CompileLimits>,
    cache: Option<Cache>,
    engine: String,
    gate: Gate,
}

impl Workshop {
    /// `folder`: where compiled code is kept.
    pub(crate) fn open(
        wasmtime: &wasmtime::Engine,
        compiler: Compiler,
        limits: Option<CompileLimits>,
        folder: Option<PathBuf>,
    ) -> Result<Self, CacheError> {
        let engine = hash(wasmtime);
        let cache = folder.map(|folder| Cache::open(&folder, engine.clone())).transpose()?;
        Ok(Self { compiler, limits, cache, engine, gate: Gate::default() })
    }

    /// The component with these bytes, ready to be linked. Takes seconds for a large one that is not in the cache: not
    /// for an async thread. `runtime` looks after the compiling process.
    pub(crate) fn component(
        &self,
        wasmtime: &wasmtime::Engine,
        runtime: &Handle,
        bytes: &[u8],
    ) -> Result<Component, CompileError> {
        let Some(cache) = &self.cache else {
            return Component::from_binary(wasmtime, bytes)
                .map_err(|error| CompileError::Refused(format!("{error:#}")));
        };
        let digest = hex(&Sha256::digest(bytes));
        if let Some(component) = mapped(cache, wasmtime, &digest) {
            count("cached");
            return Ok(component);
        }
        let _pass = self.gate.enter(&digest);
        // Whoever was before us at the gate may have had the same one.
        if let Some(component) = mapped(cache, wasmtime, &digest) {
            count("cached");
            return Ok(component);
        }
        let begun = Instant::now();
        let compiled = self.compile(cache, wasmtime, runtime, bytes, &digest);
        metrics::histogram!("patchbay_plugin_compile_seconds").record(begun.elapsed().as_secs_f64());
        count(if compiled.is_ok() { "compiled" } else { "failed" });
        compiled?;
        mapped(cache, wasmtime, &digest)
            .ok_or_else(|| CompileError::Host("what was compiled cannot be used; the log says why".to_owned()))
    }

    /// Puts the component's artefact into the cache.
    fn compile(
        &self,
        cache: &Cache,
        wasmtime: &wasmtime::Engine,
        runtime: &Handle,
        bytes: &[u8],
        digest: &str,
    ) -> Result<(), CompileError> {
        let fault =
            |error: std::io::Error| CompileError::Host(format!("the compiled plugin cannot be written: {error}"));
        let mut draft = cache.draft().map_err(fault)?;
        match &self.compiler {
            Compiler::InProcess => {
                let artefact = wasmtime.precompile_component(bytes);
                let artefact = artefact.map_err(|error| CompileError::Refused(format!("{error:#}")))?;
                draft.file.write_all(&artefact).map_err(fault)?;
            }
            Compiler::Process { program, args } => {
                let limits = self.limits.unwrap_or_else(|| CompileLimits::of(bytes.len()));
                let helper = Helper { program, args, engine: &self.engine };
                runtime.block_on(helper.compile(bytes, &draft.file, limits))?;
            }
        }
        cache.keep(draft, digest).map_err(fault)
    }
}

/// From the cache, if it is there and can be used.
fn mapped(cache: &Cache, wasmtime: &wasmtime::Engine, digest: &str) -> Option<Component> {
    let artefact = cache.find(digest)?;
    match map::component(wasmtime, &artefact) {
        Ok(component) => Some(component),
        Err(error) => {
            cache.discard(&artefact.path, &format!("it cannot be mapped ({error:#})"));
            None
        }
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("patchbay_plugin_compilations_total", "outcome" => outcome).increment(1);
}

/// Names what an engine's code depends on: wasmtime's version, the target, the compiler's settings.
pub(crate) fn hash(wasmtime: &wasmtime::Engine) -> String {
    /// Hashes into SHA-256: the standard library's hashers are not the same in each run, or not in each release.
    #[derive(Default)]
    struct Collector(Sha256);

    impl Hasher for Collector {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        fn finish(&self) -> u64 {
            0
        }
    }

    let mut collector = Collector::default();
    wasmtime.precompile_compatibility_hash().hash(&mut collector);
    hex(&collector.0.finalize())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
