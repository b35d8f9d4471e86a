//! The host behind a [`Context`](crate::Context): the gateway in a component, a scripted one natively.

#[cfg(target_arch = "wasm32")]
mod wasm;
#[cfg(target_arch = "wasm32")]
pub(crate) use wasm::Host;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::testing::Host;
