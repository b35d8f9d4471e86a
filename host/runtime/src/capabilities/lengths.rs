//! Lengths that `wasi:http` leaves open: a method and an authority may be as long as one call hands over, and each of a
//! thousand requests that were never sent may hold such a one. They are refused as what cannot be one.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::p2::bindings::http::types::{HostOutgoingRequest as _, Method, OutgoingRequest};

use crate::limits;
use crate::state::State;

/// The interface as the linker has it from wasmtime.
const TYPES: &str = "wasi:http/types@0.2.12";

type Set = (Result<(), ()>,);

/// Puts the checks in front of the functions that are linked already.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance(TYPES)?;
    types.func_wrap(
        "[method]outgoing-request.set-method",
        |mut store: StoreContextMut<'_, State>, (request, method): (Resource<OutgoingRequest>, Method)| {
            if matches!(&method, Method::Other(word) if word.len() > limits::METHOD) {
                return wasmtime::Result::<Set>::Ok((Err(()),));
            }
            Ok((store.data_mut().http().set_method(request, method)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-authority",
        |mut store: StoreContextMut<'_, State>, (request, authority): (Resource<OutgoingRequest>, Option<String>)| {
            if authority.as_ref().is_some_and(|authority| authority.len() > limits::AUTHORITY) {
                return wasmtime::Result::<Set>::Ok((Err(()),));
            }
            Ok((store.data_mut().http().set_authority(request, authority)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-path-with-query",
        |mut store: StoreContextMut<'_, State>, (request, path): (Resource<OutgoingRequest>, Option<String>)| {
            if path.as_ref().is_some_and(|path| path.len() > limits::PATH) {
                return wasmtime::Result::<Set>::Ok((Err(()),));
            }
            Ok((store.data_mut().http().set_path_with_query(request, path)?,))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}
