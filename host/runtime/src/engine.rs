//! The engine that all plugins share.

use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Semaphore;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::capabilities::egress::Egress;
use crate::compile::{CacheError, Compiler, Workshop};
use crate::contract::{self, Contract};
use crate::credentials::{Credentials, MemoryTokens, TokenStore};
use crate::keyvalue::{KeyValue, NoKeyValue};
use crate::limits::{self, CompileLimits};
use crate::media::{MediaSource, NoMedia};
use crate::network::{Network, SystemNetwork};
use crate::plugin::{self, LoadError, Plugin, PluginSpec};
use crate::report::Cause;
use crate::stop::Stop;
use crate::ticker;

/// How the engine is built.
#[derive(Clone)]
pub struct EngineOptions {
    /// Calls at once; others wait. Each one is a slot of address space; memory is taken only while it is used.
    pub concurrent_calls: u32,
    /// Where stored media comes from.
    pub media: Arc<dyn MediaSource>,
    /// Where plugins keep what they want to remember.
    pub keyvalue: Arc<dyn KeyValue>,
    /// Where refresh tokens are kept that took the place of the configured ones; in memory, unless somebody gives more.
    pub tokens: Arc<dyn TokenStore>,
    /// How plugins' requests leave the machine.
    pub network: Arc<dyn Network>,
    /// Threads that guests run on, apart from the gateway's own: a guest that spins keeps one of these busy, never one
    /// of those.
    pub guest_threads: usize,
    /// Where compiled code is kept between runs; none: nowhere. The folder is made, with a key for what lies in it
    /// beside it (`compiled` and `compiled.key`); both are this user's alone.
    pub cache_dir: Option<PathBuf>,
    /// Who compiles plugins. A process of its own needs a `cache_dir`.
    pub compiler: Compiler,
    /// What compiling one component may take in a process of its own; none: what is usual for its size.
    pub compile_limits: Option<CompileLimits>,
}

impl EngineOptions {
    /// The usual options with this source of media, and nowhere to keep anything.
    #[must_use]
    pub fn new(media: Arc<dyn MediaSource>) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            concurrent_calls: limits::CONCURRENT_CALLS,
            media,
            keyvalue: Arc::new(NoKeyValue),
            tokens: Arc::new(MemoryTokens::default()),
            network: Arc::new(SystemNetwork),
            guest_threads: cores.max(2),
            cache_dir: None,
            compiler: Compiler::InProcess,
            compile_limits: None,
        }
    }
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self::new(Arc::new(NoMedia))
    }
}

/// Why the engine could not be built.
#[derive(Debug, Error)]
pub enum EngineError {
    /// Wasmtime refused the configuration.
    #[error("the WebAssembly engine cannot start: {0}")]
    Wasmtime(String),
    /// A thread could not be started.
    #[error("a thread for plugins cannot be started: {0}")]
    Thread(#[from] std::io::Error),
    /// The TLS client could not be built.
    #[error("the HTTPS client for plugins cannot start: {0}; install the system's certificates (`ca-certificates`)")]
    Tls(String),
    /// The folder for compiled plugins cannot be used, or there is none and a process of its own compiles.
    #[error("{0}")]
    Folder(String),
}

impl From<CacheError> for EngineError {
    fn from(error: CacheError) -> Self {
        Self::Folder(error.to_string())
    }
}

/// The engine that all plugins share. Cheap to clone; its threads end with the last clone and the last plugin.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

/// What the engine is made of.
pub(crate) struct Inner {
    pub(crate) wasmtime: wasmtime::Engine,
    pub(crate) contracts: Vec<Box<dyn Contract>>,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) concurrent_calls: u32,
    pub(crate) egress: Arc<Egress>,
    pub(crate) credentials: Credentials,
    pub(crate) media: Arc<dyn MediaSource>,
    pub(crate) keyvalue: Arc<dyn KeyValue>,
    pub(crate) workshop: Workshop,
    allocator: &'static str,
    guests: Option<Runtime>,
}

impl Inner {
    /// The threads that guests run on.
    pub(crate) fn handle(&self) -> Result<&Handle, Stop> {
        self.guests.as_ref().map(Runtime::handle).ok_or_else(|| Stop::new(Cause::Host, "the engine has ended"))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A runtime that is dropped in the ordinary way waits for its threads, which async code must not do.
        if let Some(guests) = self.guests.take() {
            guests.shutdown_background();
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("allocator", &self.allocator()).finish_non_exhaustive()
    }
}

impl Engine {
    /// Builds the engine, its ticker and its threads. May be called from async code.
    ///
    /// # Errors
    /// If a thread cannot be started, wasmtime refuses the machine or the folder for compiled code, or the system's
    /// certificates cannot be had.
    pub fn new(options: EngineOptions) -> Result<Self, EngineError> {
        let fault = |error: wasmtime::Error| EngineError::Wasmtime(format!("{error:#}"));
        if options.cache_dir.is_none() && options.compiler != Compiler::InProcess {
            let why = "a compiler in a process of its own needs a folder for what it compiles (`cache_dir`)";
            return Err(EngineError::Folder(why.to_owned()));
        }
        let slots = options.concurrent_calls.max(1);
        let (wasmtime, allocator) = allocate(slots).map_err(fault)?;
        let workshop = Workshop::open(&wasmtime, options.compiler, options.compile_limits, options.cache_dir)?;
        ticker::start(wasmtime.weak())?;
        let guests = Builder::new_multi_thread()
            .worker_threads(options.guest_threads.max(1))
            .thread_name("patchbay-guest")
            .enable_all()
            .build()?;
        let contracts = contract::all(&wasmtime).map_err(fault)?;
        let egress = Arc::new(Egress::new(&options.network).map_err(EngineError::Tls)?);
        Ok(Self {
            inner: Arc::new(Inner {
                wasmtime,
                contracts,
                slots: Arc::new(Semaphore::new(slots as usize)),
                concurrent_calls: slots,
                credentials: Credentials::new(egress.clone(), options.tokens),
                egress,
                media: options.media,
                keyvalue: options.keyvalue,
                workshop,
                allocator,
                guests: Some(guests),
            }),
        })
    }

    /// Checks and compiles a plugin, away from the async workers. Takes about a second for each MiB of component that is
    /// not in the cache. Two components are compiled at once; others wait.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the component or its grants, and what to do.
    pub async fn load(&self, spec: PluginSpec) -> Result<Plugin, LoadError> {
        let engine = self.inner.clone();
        let handle = self.inner.handle().map_err(|stop| LoadError::Host(stop.to_string()))?;
        let loading = handle.spawn_blocking(move || plugin::load(&engine, spec));
        loading.await.map_err(|error| LoadError::Host(error.to_string()))?
    }

    /// Waits until no token is on its way any more, and those that came are kept: a refresh token that is lost between its
    /// server and us cannot be had again. To be called before the process ends, with a time limit.
    pub async fn settle(&self) {
        self.inner.credentials.settled().await;
    }

    /// `pooling`, or `on-demand` where the machine does not have the address space.
    #[must_use]
    pub fn allocator(&self) -> &'static str {
        self.inner.allocator
    }

    /// Sets the gauges of the pool; to be called whenever metrics are read.
    pub fn record_metrics(&self) {
        let free = self.inner.slots.available_permits();
        metrics::gauge!("patchbay_plugin_slots").set(f64::from(self.inner.concurrent_calls));
        metrics::gauge!("patchbay_plugin_slots_free").set(free as f64);
        if let Some(pool) = self.inner.wasmtime.pooling_allocator_metrics() {
            metrics::gauge!("patchbay_plugin_pool_instances").set(pool.core_instances() as f64);
            metrics::gauge!("patchbay_plugin_pool_memories").set(pool.memories() as f64);
            metrics::gauge!("patchbay_plugin_pool_tables").set(pool.tables() as f64);
        }
    }
}

/// An engine with a pool, or without one where the machine does not have the room.
///
/// The pool takes all of its address space at once when the engine is built, so building one is the probe.
fn allocate(slots: u32) -> wasmtime::Result<(wasmtime::Engine, &'static str)> {
    let mut config = configuration();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(slots)));
    match wasmtime::Engine::new(&config) {
        Ok(engine) => Ok((engine, "pooling")),
        Err(error) => {
            tracing::warn!(
                slots,
                error = format!("{error:#}"),
                "there is not enough address space for a pool of sandboxes: each call allocates its own, which is \
                 slower; raise `ulimit -v`, or allow fewer calls at once"
            );
            config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
            Ok((wasmtime::Engine::new(&config)?, "on-demand"))
        }
    }
}

/// All that code depends on: the engine that runs it and the one that compiles it have the same. How sandboxes are
/// allocated is no part of it.
pub(crate) fn configuration() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(limits::WASM_STACK)
        .async_stack_size(limits::ASYNC_STACK)
        // The next call in a slot may be another plugin's.
        .async_stack_zeroing(true)
        // Registering unwind information grows quadratically with the modules that come and go; nobody debugs these.
        .native_unwind_info(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false);
    config
}

fn pool(slots: u32) -> PoolingAllocationConfig {
    let few = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(8))
        .total_memories(slots.saturating_mul(2))
        .total_tables(slots.saturating_mul(4))
        .total_stacks(slots)
        .max_component_instance_size(limits::INSTANCE)
        .max_core_instance_size(limits::INSTANCE)
        .max_core_instances_per_component(few(limits::CORE_INSTANCES))
        .max_memories_per_component(few(limits::MEMORIES))
        .max_tables_per_component(few(limits::TABLES))
        .max_memory_size(limits::MEMORY_MOST)
        .table_elements(limits::TABLE_ELEMENTS)
        .linear_memory_keep_resident(limits::KEEP_RESIDENT)
        .table_keep_resident(limits::TABLE_KEEP_RESIDENT)
        .async_stack_keep_resident(limits::STACK_KEEP_RESIDENT)
        .decommit_batch_size(limits::DECOMMIT_BATCH)
        // Resets only the pages that were touched, where the kernel (6.7 and later) can tell which.
        .pagemap_scan(Enabled::Auto);
    pool
}
