//! Version 0.1 of the contract.

mod bindings;
mod from_guest;
mod host;
mod to_guest;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use patchbay_model::Failure;
use wasmtime::Store;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};

use self::bindings::exports::patchbay::plugin::{desk, handler};
use self::bindings::patchbay::plugin::{blobs, context, types, uploads};
use super::{Answer, Ask, Bound, Contract, Start};
use crate::plugin::Role;
use crate::report::Cause;
use crate::state::State;
use crate::stop::Stop;
use crate::wasi;

/// Version 0.1: its linker.
pub(super) struct V0_1 {
    linker: Linker<State>,
}

impl V0_1 {
    pub(super) fn new(engine: &wasmtime::Engine) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(engine);
        wasi::link(&mut linker)?;
        types::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
        context::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
        blobs::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
        uploads::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
        Ok(Self { linker })
    }
}

impl Contract for V0_1 {
    fn version(&self) -> &'static str {
        "0.1.0"
    }

    fn bind(&self, component: &Component, roles: &[Role]) -> wasmtime::Result<Box<dyn Bound>> {
        let pre = self.linker.instantiate_pre(component)?;
        // Looked up once; a role with a function that is missing or of another type is refused here.
        let handler = roles.contains(&Role::Handler).then(|| handler::GuestIndices::new(&pre)).transpose()?;
        let desk = roles.contains(&Role::Desk).then(|| desk::GuestIndices::new(&pre)).transpose()?;
        if roles.contains(&Role::Inspector) {
            bindings::exports::patchbay::plugin::inspector::GuestIndices::new(&pre)?;
        }
        Ok(Box::new(Linked { pre, handler, desk }))
    }
}

/// A component of version 0.1.
struct Linked {
    pre: InstancePre<State>,
    handler: Option<handler::GuestIndices>,
    desk: Option<desk::GuestIndices>,
}

type Answered = wasmtime::Result<Result<Answer, Failure>>;

/// Boxes a call so that it can be started in a store that does not exist yet.
fn start<F>(run: F) -> Start
where
    F: for<'a> FnOnce(&'a mut Store<State>) -> BoxFuture<'a, Answered> + Send + 'static,
{
    Box::new(run)
}

impl Linked {
    /// A sandbox of this component's own, and its handler.
    async fn handler(
        pre: &InstancePre<State>,
        indices: Option<&handler::GuestIndices>,
        store: &mut Store<State>,
    ) -> wasmtime::Result<handler::Guest> {
        let indices = indices.ok_or_else(|| Stop::new(Cause::Role, "it is not a handler"))?;
        let instance = pre.instantiate_async(&mut *store).await?;
        indices.load(store, &instance)
    }

    /// A sandbox of this component's own, and its desk.
    async fn desk(
        pre: &InstancePre<State>,
        indices: Option<&desk::GuestIndices>,
        store: &mut Store<State>,
    ) -> wasmtime::Result<desk::Guest> {
        let indices = indices.ok_or_else(|| Stop::new(Cause::Role, "it is not a desk"))?;
        let instance = pre.instantiate_async(&mut *store).await?;
        indices.load(store, &instance)
    }
}

/// A desk's verb: its arguments are turned into the contract's records now, the call is made later.
macro_rules! desk_call {
    ($linked:ident, $name:ident, |$guest:ident, $store:ident| $call:expr, |$value:ident, $desk:ident| $answer:expr) => {{
        let (pre, indices) = ($linked.pre.clone(), $linked.desk.clone());
        let name = $name.map(ToOwned::to_owned);
        start(move |$store| {
            async move {
                let $guest = Linked::desk(&pre, indices.as_ref(), $store).await?;
                let $desk = name.as_deref();
                Ok($call.await?.map_err(from_guest::failure).map(|$value| $answer))
            }
            .boxed()
        })
    }};
}

impl Bound for Linked {
    fn start(&self, ask: Ask<'_>, desk: Option<&str>) -> Start {
        match ask {
            Ask::Handle(input) => {
                let (pre, indices) = (self.pre.clone(), self.handler.clone());
                let event = to_guest::event(input);
                start(move |store| {
                    async move {
                        let guest = Self::handler(&pre, indices.as_ref(), store).await?;
                        match guest.call_handle(store, &event).await? {
                            Ok(outcome) => Ok(Ok(Answer::Outcome(from_guest::outcome(outcome)?))),
                            Err(failure) => Ok(Err(from_guest::failure(failure))),
                        }
                    }
                    .boxed()
                })
            }
            Ask::FindTicket(key) => {
                let key = key.to_owned();
                desk_call!(self, desk, |guest, store| guest.call_find_ticket(store, &key), |found, name| {
                    Answer::Found(found.map(|added| from_guest::added(added, name)))
                })
            }
            Ask::CreateTicket(key, draft) => {
                let (key, draft) = (key.to_owned(), to_guest::draft(draft));
                desk_call!(self, desk, |guest, store| guest.call_create_ticket(store, &key, &draft), |added, name| {
                    Answer::Added(from_guest::added(added, name))
                })
            }
            Ask::FindEntry(key, ticket) => {
                let (key, ticket) = (key.to_owned(), to_guest::ticket(ticket));
                desk_call!(self, desk, |guest, store| guest.call_find_entry(store, &key, &ticket), |found, name| {
                    Answer::Found(found.map(|added| from_guest::added(added, name)))
                })
            }
            Ask::AddEntry(key, ticket, entry) => {
                let (key, ticket, entry) = (key.to_owned(), to_guest::ticket(ticket), to_guest::entry(entry));
                desk_call!(
                    self,
                    desk,
                    |guest, store| guest.call_add_entry(store, &key, &ticket, &entry),
                    |added, name| Answer::Added(from_guest::added(added, name))
                )
            }
            Ask::UpdateTicket(key, ticket, fields) => {
                let (key, ticket, fields) = (key.to_owned(), to_guest::ticket(ticket), to_guest::attributes(fields));
                desk_call!(
                    self,
                    desk,
                    |guest, store| guest.call_update_ticket(store, &key, &ticket, &fields),
                    |ticket, name| Answer::Ticket(from_guest::ticket(ticket, name))
                )
            }
            Ask::ReadTicket(id) => {
                let id = id.to_owned();
                desk_call!(self, desk, |guest, store| guest.call_read_ticket(store, &id), |snapshot, name| {
                    Answer::Snapshot(from_guest::snapshot(snapshot, name))
                })
            }
            Ask::Receive(webhook) => {
                let webhook = to_guest::webhook(webhook);
                desk_call!(self, desk, |guest, store| guest.call_receive(store, &webhook), |activities, name| {
                    Answer::Activities(
                        activities.into_iter().map(|activity| from_guest::activity(activity, name)).collect(),
                    )
                })
            }
        }
    }
}
