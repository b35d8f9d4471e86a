//! What all versions of the contract do alike: one linker each, a fresh instance for each question.
//!
//! The records of two versions are different types, even where they look the same, so each version turns questions and
//! answers by itself ([`Version`]). It does so with plain functions that name every field: a field that is forgotten
//! does not compile.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use patchbay_model::{Failure, MediaId};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentNamedList, Instance, InstancePre, Lift, Linker, Lower, Resource};
use wasmtime::error::Context as _;
use wasmtime::{Store, bail, format_err};

use super::{Answer, Ask, Bound, Contract, Start};
use crate::capabilities::blobs::Blob;
use crate::plugin::Role;
use crate::report::Cause;
use crate::state::State;
use crate::stop::Stop;
use crate::wasi;

/// What a call comes to.
pub(super) type Answered = wasmtime::Result<Result<Answer, Failure>>;

/// What differs from version to version. A value is a component's roles, with their functions looked up.
pub(super) trait Version: Sized + Send + Sync + 'static {
    /// As it stands in the names of its interfaces.
    const NUMBER: &'static str;

    /// A question in this version's records.
    type Question: Send + 'static;

    /// Adds what this version lets a plugin import of ours.
    fn link(linker: &mut Linker<State>) -> wasmtime::Result<()>;

    /// Looks up the roles' functions; one that is missing or of another type is the error.
    fn roles(pre: &InstancePre<State>, roles: &[Role]) -> wasmtime::Result<Self>;

    /// A question in this version's records.
    fn question(ask: Ask<'_>) -> Self::Question;

    /// Asks a fresh instance. `desk` is the desk's name in the configuration, for what comes back.
    fn ask(
        &self,
        question: Self::Question,
        instance: &Instance,
        store: &mut Store<State>,
        desk: Option<&str>,
    ) -> impl Future<Output = Answered> + Send;
}

/// One version: its linker.
pub(super) struct Adapter<V> {
    linker: Linker<State>,
    version: std::marker::PhantomData<fn() -> V>,
}

impl<V: Version> Adapter<V> {
    pub(super) fn new(engine: &wasmtime::Engine) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(engine);
        wasi::link(&mut linker)?;
        V::link(&mut linker)?;
        Ok(Self { linker, version: std::marker::PhantomData })
    }
}

impl<V: Version> Contract for Adapter<V> {
    fn version(&self) -> &'static str {
        V::NUMBER
    }

    fn bind(&self, component: &Component, roles: &[Role]) -> wasmtime::Result<Box<dyn Bound>> {
        let pre = self.linker.instantiate_pre(component)?;
        let roles = Arc::new(V::roles(&pre, roles)?);
        Ok(Box::new(Linked { pre, roles }))
    }
}

/// A component that is linked.
struct Linked<V> {
    pre: InstancePre<State>,
    roles: Arc<V>,
}

impl<V: Version> Bound for Linked<V> {
    fn start(&self, ask: Ask<'_>, desk: Option<&str>) -> Start {
        let (pre, roles) = (self.pre.clone(), self.roles.clone());
        let (question, desk) = (V::question(ask), desk.map(ToOwned::to_owned));
        boxed(move |store| {
            async move {
                let instance = pre.instantiate_async(&mut *store).await?;
                roles.ask(question, &instance, store, desk.as_deref()).await
            }
            .boxed()
        })
    }
}

/// Boxes a call so that it can be started in a store that does not exist yet.
fn boxed<F>(run: F) -> Start
where
    F: for<'a> FnOnce(&'a mut Store<State>) -> BoxFuture<'a, Answered> + Send + 'static,
{
    Box::new(run)
}

/// Holds an exported function against the types that it will be called with: the generated lookups go by names only, and
/// would find out at the first call.
pub(super) fn fits<Params, Return>(pre: &InstancePre<State>, interface: &str, function: &str) -> wasmtime::Result<()>
where
    Params: ComponentNamedList + Lower,
    Return: ComponentNamedList + Lift,
{
    let component = pre.component();
    let (_, instance) =
        component.get_export(None, interface).ok_or_else(|| format_err!("it does not export {interface}"))?;
    let Some((item, _)) = component.get_export(Some(&instance), function) else {
        bail!("{interface} is without `{function}`");
    };
    let ComponentItem::ComponentFunc(found) = item else { bail!("`{function}` of {interface} is no function") };
    // What the generated bindings check the functions of a world with.
    let checked = found.typecheck::<Params, Return>(&pre.instance_type());
    checked.with_context(|| format!("`{function}` of {interface} has another type"))
}

/// Hands stored media to a call: the handle lives as long as the call's store.
pub(super) async fn lend(store: &mut Store<State>, media: &MediaId) -> wasmtime::Result<Resource<Blob>> {
    let facts = store.data().facts.clone();
    let opened = Blob::open(&facts, media.as_str()).await;
    let blob = opened.map_err(|why| Stop::new(Cause::Host, format!("the media cannot be opened: {why}")))?;
    Ok(store.data_mut().table.push(blob)?)
}

/// The functions of a role, or the reason that there are none.
pub(super) fn of_role<T>(found: Option<&T>, role: Role) -> Result<&T, Stop> {
    found.ok_or_else(|| Stop::new(Cause::Role, format!("it is not a {}", role.as_str())))
}
