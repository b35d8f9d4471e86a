//! What belongs to one call, and what its generation shares with all of its calls.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::SecretString;
use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_config::WasiConfigVariables;
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::call::Call;
use crate::capabilities::egress::Egress;
use crate::capabilities::http::{Hooks, Outgoing};
use crate::capabilities::keyvalue::Overlay;
use crate::capabilities::logging::Log;
use crate::capabilities::policy::Policy;
use crate::capabilities::recorder::Recorder;
use crate::capabilities::redact::Redactor;
use crate::capabilities::script::Script;
use crate::capabilities::stdio::Capture;
use crate::keyvalue::KeyValue;
use crate::limits::{self, Limits};
use crate::media::MediaSource;
use crate::report::Cause;
use crate::stop::Stop;
use crate::wasi;

/// What a generation is, apart from its code.
#[derive(Clone)]
pub(crate) struct Facts {
    pub(crate) name: String,
    pub(crate) generation: u64,
    pub(crate) settings: Arc<WasiConfigVariables>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) media_granted: bool,
    /// What it may keep, bytes of keys and values.
    pub(crate) keyvalue: Option<u64>,
    /// Where it keeps it.
    pub(crate) kept: Arc<dyn KeyValue>,
    pub(crate) secrets: BTreeMap<String, Vec<SecretString>>,
    pub(crate) redactor: Arc<Redactor>,
    pub(crate) limits: Limits,
    pub(crate) media: Arc<dyn MediaSource>,
    pub(crate) egress: Arc<Egress>,
}

/// What a call has in place of the real world, in a rehearsal of a golden event.
#[derive(Clone)]
pub(crate) struct Stage {
    /// In place of the generation's: the golden event's settings, secrets and media, and nothing that was kept.
    pub(crate) facts: Arc<Facts>,
    /// What becomes of requests.
    pub(crate) requests: Requests,
}

/// What a call has in place of what its generation has.
#[derive(Clone, Default)]
pub(crate) struct Instead {
    pub(crate) stage: Option<Stage>,
    /// Where it keeps what it remembers.
    pub(crate) kept: Option<Arc<dyn KeyValue>>,
}

impl From<Stage> for Instead {
    fn from(stage: Stage) -> Self {
        Self { stage: Some(stage), kept: None }
    }
}

/// What becomes of the requests of a call that is not like any other.
#[derive(Clone)]
pub(crate) enum Requests {
    /// They are answered by the script, and nothing leaves.
    Scripted(Arc<Script>),
    /// They leave, and it is written down what they were answered.
    Recorded(Arc<Recorder>),
}

/// What a store holds beside its sandbox.
pub(crate) struct State {
    pub(crate) facts: Arc<Facts>,
    pub(crate) attempt: u32,
    pub(crate) log: Log,
    pub(crate) table: ResourceTable,
    pub(crate) hooks: Hooks,
    pub(crate) limiter: Limiter,
    /// What the plugin has written in this call.
    pub(crate) overlay: Overlay,
    wasi: WasiCtx,
    http: WasiHttpCtx,
}

impl State {
    pub(crate) fn new(facts: Arc<Facts>, call: &Call, instead: Instead, stdout: &Capture, stderr: &Capture) -> Self {
        let (facts, requests) = match instead.stage {
            Some(Stage { facts, requests }) => (facts, Some(requests)),
            None => (facts, None),
        };
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits::HANDLES);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(limits::FIELDS);
        let outgoing = Outgoing::new(facts.clone(), call, requests);
        Self {
            attempt: call.attempt,
            log: Log::new(call.subject.clone()),
            table,
            limiter: Limiter::new(facts.limits.memory),
            overlay: Overlay::new(
                instead.kept.unwrap_or_else(|| facts.kept.clone()),
                call.mode,
                outgoing.denials().clone(),
            ),
            hooks: Hooks { outgoing },
            wasi: wasi::context(&facts.name, call, stdout, stderr),
            http,
            facts,
        }
    }

    /// The settings that the plugin sees.
    pub(crate) fn settings(&self) -> &WasiConfigVariables {
        &self.facts.settings
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

/// Counts what a sandbox takes, over all of its memories and tables.
///
/// A guest that asks for too much is told that there is no more, as the specification has it, and may find a way to live
/// with that. Most do not, and trap: [`Limiter::refused`] then says what the trap was about.
pub(crate) struct Limiter {
    most: usize,
    memory: usize,
    /// The last thing that was refused.
    pub(crate) refused: Option<Stop>,
}

impl Limiter {
    const fn new(most: usize) -> Self {
        Self { most, memory: 0, refused: None }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory.saturating_sub(current).saturating_add(desired);
        if total > self.most {
            let (asked, most) = (total.div_ceil(1 << 20), self.most >> 20);
            self.refused =
                Some(Stop::new(Cause::Memory, format!("it asked for {asked} MiB of memory; its limit is {most} MiB")));
            return Ok(false);
        }
        self.memory = total;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > limits::TABLE_ELEMENTS {
            let most = limits::TABLE_ELEMENTS;
            let detail = format!("it asked for a table of {desired} elements; {most} are the most");
            self.refused = Some(Stop::new(Cause::Table, detail));
            return Ok(false);
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        limits::CORE_INSTANCES
    }

    fn tables(&self) -> usize {
        limits::TABLES
    }

    fn memories(&self) -> usize {
        limits::MEMORIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::{Config, Engine, Instance, Module, Store};

    /// A module with a memory and a table, and functions `m` and `t` that grow them by their argument:
    /// `(memory 1) (table 1 funcref) (func (export "m") (param i32) (result i32) local.get 0 memory.grow)
    /// (func (export "t") (param i32) (result i32) ref.null func local.get 0 table.grow 0)`.
    const GROWER: &[u8] = &[
        0, b'a', b's', b'm', 1, 0, 0, 0, // module
        1, 6, 1, 0x60, 1, 0x7f, 1, 0x7f, // types: i32 -> i32
        3, 3, 2, 0, 0, // two functions
        4, 4, 1, 0x70, 0, 1, // one table of one funcref
        5, 3, 1, 0, 1, // one memory of one page
        7, 9, 2, 1, b'm', 0, 0, 1, b't', 0, 1, // exports
        10, 18, 2, // code
        6, 0, 0x20, 0, 0x40, 0, 0x0b, // memory.grow
        9, 0, 0xd0, 0x70, 0x20, 0, 0xfc, 15, 0, 0x0b, // table.grow
    ];

    #[test]
    fn growth_ends_at_the_limits_and_is_remembered() {
        let engine = Engine::new(&Config::new()).unwrap();
        let module = Module::new(&engine, GROWER).unwrap();
        let mut store = Store::new(&engine, Limiter::new(4 << 20));
        store.limiter(|limiter| limiter);
        // Two instances share one budget: 4 MiB are 64 pages.
        let grow = |store: &mut Store<Limiter>, name| {
            let instance = Instance::new(&mut *store, &module, &[]).unwrap();
            instance.get_typed_func::<i32, i32>(&mut *store, name).unwrap()
        };
        let (first, second) = (grow(&mut store, "m"), grow(&mut store, "m"));
        assert_eq!(first.call(&mut store, 40).unwrap(), 1);
        assert_eq!(second.call(&mut store, 20).unwrap(), 1);
        assert!(store.data().refused.is_none());
        assert_eq!(second.call(&mut store, 20).unwrap(), -1);
        assert_eq!(store.data_mut().refused.take().map(|stop| stop.cause), Some(Cause::Memory));

        let table = grow(&mut store, "t");
        assert_eq!(table.call(&mut store, 10_000).unwrap(), 1);
        assert_eq!(table.call(&mut store, 10_000).unwrap(), -1);
        assert_eq!(store.data_mut().refused.take().map(|stop| stop.cause), Some(Cause::Table));
    }
}
