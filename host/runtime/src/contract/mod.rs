//! The contract's versions, side by side.
//!
//! A released version's folder under `wit/` is frozen; its folder here changes only where the model does. Each one turns
//! the same questions ([`Ask`]) into its own records and its own answers back into the same [`Answer`], so that nothing
//! outside of this folder knows which version a plugin was built for. What comes into the model later than a version was
//! frozen reaches its plugins as `unknown`, with all of it as JSON.
//!
//! # Layout
//! - `v0_1`, `v0_2`: one folder for each version
//! - `adapter`: what they do alike
//! - `words`: the values that their records are made of

mod adapter;
mod v0_1;
mod v0_2;
mod words;

use futures::future::BoxFuture;
use patchbay_model::desk::{Added, Draft, Entry, Snapshot, Webhook};
use patchbay_model::event::DeskActivity;
use patchbay_model::{Attributes, Failure, Media, Outcome, Ticket, Verdict};
use wasmtime::Store;
use wasmtime::component::Component;

use self::adapter::Adapter;
use crate::call::HandlerInput;
use crate::plugin::Role;
use crate::state::State;

/// The package that every version's interfaces are in.
pub(crate) const PACKAGE: &str = "patchbay:plugin";

/// One version of the contract.
pub(crate) trait Contract: Send + Sync {
    /// As it stands in the names of its interfaces.
    fn version(&self) -> &'static str;

    /// Links a component of this version, as far as it can be done before a call.
    fn bind(&self, component: &Component, roles: &[Role]) -> wasmtime::Result<Box<dyn Bound>>;
}

/// A component that is linked.
pub(crate) trait Bound: Send + Sync {
    /// Turns a question into the plugin's words. `desk` is the desk's name in the configuration.
    fn start(&self, ask: Ask<'_>, desk: Option<&str>) -> Start;
}

/// A call that is ready to run in a store of its own.
pub(crate) type Start =
    Box<dyn for<'a> FnOnce(&'a mut Store<State>) -> BoxFuture<'a, wasmtime::Result<Result<Answer, Failure>>> + Send>;

/// What is asked of a plugin.
#[derive(Clone, Copy)]
pub(crate) enum Ask<'a> {
    Handle(&'a HandlerInput),
    FindTicket(&'a str),
    CreateTicket(&'a str, &'a Draft),
    FindEntry(&'a str, &'a Ticket),
    AddEntry(&'a str, &'a Ticket, &'a Entry),
    UpdateTicket(&'a str, &'a Ticket, &'a Attributes),
    ReadTicket(&'a str),
    Receive(&'a Webhook),
    Inspect(&'a Media),
}

impl Ask<'_> {
    /// The role that answers it.
    pub(crate) const fn role(self) -> Role {
        match self {
            Self::Handle(_) => Role::Handler,
            Self::Inspect(_) => Role::Inspector,
            _ => Role::Desk,
        }
    }

    /// The role and the function, for metrics.
    pub(crate) const fn function(self) -> &'static str {
        match self {
            Self::Handle(_) => "handler.handle",
            Self::FindTicket(_) => "desk.find-ticket",
            Self::CreateTicket(..) => "desk.create-ticket",
            Self::FindEntry(..) => "desk.find-entry",
            Self::AddEntry(..) => "desk.add-entry",
            Self::UpdateTicket(..) => "desk.update-ticket",
            Self::ReadTicket(_) => "desk.read-ticket",
            Self::Receive(_) => "desk.receive",
            Self::Inspect(_) => "inspector.inspect",
        }
    }
}

/// What a plugin answers.
pub(crate) enum Answer {
    Outcome(Outcome),
    Found(Option<Added>),
    Added(Added),
    Ticket(Ticket),
    Snapshot(Snapshot),
    Activities(Vec<DeskActivity>),
    Verdict(Verdict),
}

/// Every version that this host knows, oldest first.
pub(crate) fn all(engine: &wasmtime::Engine) -> wasmtime::Result<Vec<Box<dyn Contract>>> {
    Ok(vec![Box::new(Adapter::<v0_1::V0_1>::new(engine)?), Box::new(Adapter::<v0_2::V0_2>::new(engine)?)])
}
