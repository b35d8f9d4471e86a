//! The same components on wasmtime alone: what is left when everything is taken away that Patchbay puts around a call.
//!
//! No limits, no clock that stops a call, no thread of its own, no report, no turning of the model into records and back;
//! the engine is configured alike, so that it runs the same code. It also has what Patchbay does not offer: a sandbox that
//! is kept and asked again and again ("warm"), one customer after the other.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use patchbay_model as model;
use patchbay_runtime::{HandlerInput, limits};
use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_config::{WasiConfig, WasiConfigVariables};

use self::bindings::exports::patchbay::plugin::handler;
use self::bindings::patchbay::plugin::{context, types};
use self::bindings::{OneHandler, OneHandlerPre};
use crate::workload;

mod bindings {
    #![allow(missing_docs, unreachable_pub, reason = "generated; the contract documents itself")]
    #![allow(clippy::all, clippy::indexing_slicing, clippy::unwrap_used, clippy::panic, reason = "generated")]

    wasmtime::component::bindgen!({
        path: "../../wit/0.2",
        inline: "
            package patchbay:bench;

            world one-handler {
                import patchbay:plugin/context@0.2.0;
                export patchbay:plugin/handler@0.2.0;
            }
        ",
        world: "patchbay:bench/one-handler",
        exports: { default: async },
    });
}

/// Sandboxes at once: one for each thread of the bench, and room.
const SLOTS: u32 = 64;

/// An engine like Patchbay's.
///
/// # Errors
/// When the machine has not the address space.
pub(crate) fn engine() -> Result<Engine> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(SLOTS)
        .total_core_instances(SLOTS * 8)
        .total_memories(SLOTS * 2)
        .total_tables(SLOTS * 4)
        .total_stacks(SLOTS)
        .max_component_instance_size(limits::INSTANCE)
        .max_core_instance_size(limits::INSTANCE)
        .max_memory_size(limits::MEMORY_MOST)
        .table_elements(limits::TABLE_ELEMENTS)
        .linear_memory_keep_resident(limits::KEEP_RESIDENT)
        .table_keep_resident(limits::TABLE_KEEP_RESIDENT)
        .async_stack_keep_resident(limits::STACK_KEEP_RESIDENT)
        .decommit_batch_size(limits::DECOMMIT_BATCH)
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(limits::WASM_STACK)
        .async_stack_size(limits::ASYNC_STACK)
        .async_stack_zeroing(true)
        .native_unwind_info(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config).map_err(any)
}

/// A component that is compiled and linked, and the event in its records.
pub(crate) struct Bare {
    engine: Engine,
    pre: OneHandlerPre<State>,
    settings: Arc<WasiConfigVariables>,
    event: types::Event,
}

impl Bare {
    /// Compiles and links a component.
    ///
    /// # Errors
    /// When it is no handler of the contract.
    pub(crate) fn new(engine: &Engine, component: &[u8], settings: &str, input: &HandlerInput) -> Result<Self> {
        let pre = link(engine, component).map_err(any)?;
        let mut variables = WasiConfigVariables::new();
        variables.insert("settings", settings);
        Ok(Self { engine: engine.clone(), pre, settings: Arc::new(variables), event: event(input)? })
    }

    /// A sandbox that nothing was asked of yet.
    ///
    /// # Errors
    /// When the component does not start.
    pub(crate) async fn sandbox(&self) -> Result<Sandbox> {
        let state = State {
            settings: self.settings.clone(),
            table: ResourceTable::new(),
            wasi: WasiCtxBuilder::new().allow_ip_name_lookup(false).allow_tcp(false).allow_udp(false).build(),
        };
        let mut store = Store::new(&self.engine, state);
        // Nobody moves the clock on: it never strikes.
        store.set_epoch_deadline(1);
        let handler = self.pre.instantiate_async(&mut store).await.map_err(any)?;
        Ok(Sandbox { store, handler })
    }

    /// Asks a sandbox about the event.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) async fn handle(&self, Sandbox { store, handler }: &mut Sandbox) -> Result<handler::Outcome> {
        let answer = handler.patchbay_plugin_handler().call_handle(store, &self.event).await.map_err(any)?;
        answer.map_err(|failure| anyhow::anyhow!("{failure:?}"))
    }
}

/// Compiles a component, and links it as far as it can be done before a call.
fn link(engine: &Engine, component: &[u8]) -> wasmtime::Result<OneHandlerPre<State>> {
    let component = Component::from_binary(engine, component)?;
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_config::add_to_linker(&mut linker, |state: &mut State| WasiConfig::from(&*state.settings))?;
    types::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    context::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    OneHandlerPre::new(linker.instantiate_pre(&component)?)
}

/// Wasmtime's errors are of a kind of their own.
fn any(error: wasmtime::Error) -> anyhow::Error {
    anyhow::Error::from_boxed(error.into())
}

/// One instance, in a store of its own.
pub(crate) struct Sandbox {
    store: Store<State>,
    handler: OneHandler,
}

struct State {
    settings: Arc<WasiConfigVariables>,
    table: ResourceTable,
    wasi: WasiCtx,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl types::Host for State {}

impl context::Host for State {
    fn attempt(&mut self) -> u32 {
        1
    }

    fn verify(&mut self, _: String, _: String, _: Vec<u8>, _: Vec<u8>) -> Result<bool, String> {
        Err("there are no secrets here".to_owned())
    }

    fn log(&mut self, _: context::Level, _: String) {}
}

/// The event in the contract's records.
fn event(input: &HandlerInput) -> Result<types::Event> {
    let HandlerInput { event, conversation, .. } = input;
    let reveal = |value: &Option<model::Private<String>>| value.as_ref().map(|value| value.reveal().clone());
    let customer = &conversation.customer;
    let model::Body::Message(message) = &event.body else { return None.context("the event is no message") };
    Ok(types::Event {
        id: event.id.to_string(),
        occurred_at: event.occurred_at.as_millis(),
        received_at: event.received_at.as_millis(),
        conversation: types::Conversation {
            id: conversation.id.to_string(),
            channel: types::Channel {
                id: conversation.channel.id.clone(),
                platform: conversation.channel.platform.clone(),
                account: conversation.channel.account.clone(),
                address: conversation.channel.address.clone(),
            },
            customer: types::Customer {
                id: customer.id.to_string(),
                phone: reveal(&customer.phone),
                user_id: reveal(&customer.user_id),
                group: reveal(&customer.group),
                username: reveal(&customer.username),
                name: reveal(&customer.name),
                locale: customer.locale.clone(),
            },
            attributes: Vec::new(),
            assignment: None,
            tickets: Vec::new(),
            window_until: None,
            human: false,
            no_marketing: false,
            standby: false,
        },
        body: types::Body::Message(types::Message {
            id: message.id.reveal().clone(),
            content: types::Content::Text(workload::text(input)?.to_owned()),
            reply_to: None,
            forwarded: false,
            referral: None,
            author: None,
        }),
    })
}

/// An outcome in the model's words, as far as the routing logic goes.
///
/// # Errors
/// When there is another action in it.
pub(crate) fn outcome(outcome: handler::Outcome) -> Result<model::Outcome> {
    let action = |action| match action {
        handler::Action::Assign(to) => Ok(model::Action::Assign(model::Assignment {
            queue: to.queue,
            tier: to.tier,
            priority: match to.priority {
                types::Priority::Low => model::Priority::Low,
                types::Priority::Normal => model::Priority::Normal,
                types::Priority::High => model::Priority::High,
                types::Priority::Urgent => model::Priority::Urgent,
            },
            reason: to.reason,
        })),
        handler::Action::SetAttribute((key, value)) => Ok(model::Action::SetAttribute(key, value)),
        handler::Action::Note(text) => Ok(model::Action::Note(text.into())),
        other => Err(anyhow::anyhow!("an action that routing has no use for: {other:?}")),
    };
    let flow = match outcome.flow {
        handler::Flow::Next => model::Flow::Next,
        handler::Flow::Stop => model::Flow::Stop,
    };
    Ok(model::Outcome { actions: outcome.actions.into_iter().map(action).collect::<Result<_>>()?, flow })
}
