//! Sockets: Python's standard library imports them whether it uses them or not. A component with them is loaded, and a
//! call that touches one ends there.

use wasmtime::bail;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, ResourceType};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable};

use crate::state::State;

/// What stands for a socket, and whatever else is made of them. There never is one.
struct Closed;

/// Whether an import is one of those.
pub(crate) fn is_closed(import: &str) -> bool {
    import.starts_with("wasi:sockets/")
}

/// A linker with the sockets that this component imports; none if it imports none.
///
/// # Errors
/// If the linker has them already.
pub(crate) fn link(linker: &Linker<State>, component: &Component) -> wasmtime::Result<Option<Linker<State>>> {
    let outside = component.component_type();
    let engine = component.engine();
    let mut with: Option<Linker<State>> = None;
    for (name, import) in outside.imports(engine).filter(|(name, _)| is_closed(name)) {
        let ComponentItem::ComponentInstance(interface) = import.ty else { continue };
        let mut instance = with.get_or_insert_with(|| linker.clone()).instance(name)?;
        for (item, export) in interface.exports(engine) {
            match export.ty {
                ComponentItem::ComponentFunc(_) => {
                    let name = format!("{name}#{item}");
                    instance.func_new(item, move |_, _, _, _| {
                        bail!("no plugin may open sockets: {name} was called; HTTP goes through wasi:http")
                    })?;
                }
                ComponentItem::Resource(_) => {
                    // Those that sockets share with the rest of WASI are of its own types.
                    let resource = match item {
                        "pollable" => ResourceType::host::<DynPollable>(),
                        "input-stream" => ResourceType::host::<DynInputStream>(),
                        "output-stream" => ResourceType::host::<DynOutputStream>(),
                        _ => ResourceType::host::<Closed>(),
                    };
                    instance.resource(item, resource, |_, _| Ok(()))?;
                }
                _ => {}
            }
        }
    }
    Ok(with)
}
