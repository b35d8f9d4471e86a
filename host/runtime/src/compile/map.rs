//! The one place with `unsafe` in the gateway: mapping compiled code.
#![allow(unsafe_code, reason = "what is mapped was made by this host, is authenticated, and cannot be changed")]

use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use wasmtime::component::Component;

use super::cache::Verified;

/// Maps an artefact. Its type says that its bytes were looked at: only [`Cache::find`](super::cache::Cache::find) makes
/// one.
pub(super) fn component(engine: &wasmtime::Engine, artefact: &Verified) -> wasmtime::Result<Component> {
    let path = open_file(artefact);
    // SAFETY: the function asks for two things of the file. That it is an artefact of wasmtime's: the tag at its end is
    // ours, over its very bytes, and we give one only to what our own compiler wrote. And that it does not change while
    // it is mapped: it is a regular file of ours that nobody may write, in a folder that nobody else may enter; it is the
    // one that was looked at, since it is opened through its descriptor and not by its name; and we ourselves only ever
    // remove such a file, which leaves the mapping as it is.
    unsafe { Component::deserialize_file(engine, path) }
}

/// The open file's own name where the system has one for it, so that nobody can put another file in its place between
/// looking at it and mapping it.
fn open_file(artefact: &Verified) -> PathBuf {
    let own = PathBuf::from(format!("/proc/self/fd/{}", artefact.file.as_raw_fd()));
    if cfg!(target_os = "linux") && own.exists() { own } else { artefact.path.clone() }
}
