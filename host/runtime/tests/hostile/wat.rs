//! Guests by hand: a core module as text becomes a handler of version 0.1 of the contract.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::path::Path;

use bytes::Bytes;
use patchbay_runtime::{Engine, Plugin};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{PackageId, Resolve};

/// The name of the one function.
const HANDLE: &str = "patchbay:plugin/handler@0.1.0#handle";

/// What a module needs to be called: memory, room for the event, and its answer.
///
/// `$answer` is where a `result<outcome, failure>` lies: 0 is `ok`, with the list of actions at 8 and 12 and the flow at
/// 16; 1 is `err`, with the case at 8 and, for `permanent`, a text at 16 and 20.
pub(super) struct Module<'a> {
    /// In pages of 64 KiB. The first two are the module's own.
    pub(super) pages: u32,
    /// What `handle` does before it returns the address 1024.
    pub(super) handle: &'a str,
    /// More of the module: globals, tables, functions, a start.
    pub(super) more: &'a str,
    /// In the place of the usual way to get memory, which gives what is left of the second page.
    pub(super) realloc: Option<&'a str>,
}

impl Default for Module<'_> {
    fn default() -> Self {
        Self { pages: 2, handle: "", more: "", realloc: None }
    }
}

impl Module<'_> {
    fn text(&self) -> String {
        let Self { pages, handle, more, realloc } = self;
        let realloc = realloc.unwrap_or(
            "(local $at i32)
             (local.set $at (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
             (global.set $next (i32.add (local.get $at) (local.get 3)))
             (local.get $at)",
        );
        format!(
            "(module
               (import \"patchbay:plugin/context@0.1.0\" \"log\" (func $log (param i32 i32 i32)))
               (memory (export \"memory\") {pages})
               (global $next (mut i32) (i32.const 65536))
               (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) {realloc})
               (func (export \"{HANDLE}\") (param $event i32) (result i32)
                 (local $at i32) (local $end i32)
                 {handle}
                 (i32.const 1024))
               {more})"
        )
    }

    pub(super) fn component(&self, encoding: StringEncoding) -> Bytes {
        let mut resolve = Resolve::default();
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/0.1");
        let (package, _) = resolve.push_dir(wit).unwrap();
        encode(&resolve, package, "handler-plugin", &self.text(), encoding)
    }

    pub(super) async fn load_as(&self, engine: &Engine, name: &str, encoding: StringEncoding) -> Plugin {
        let mut spec = bare_spec(name, self.component(encoding));
        spec.limits.cpu = std::time::Duration::from_millis(300);
        engine.load(spec).await.unwrap()
    }
}

/// A component of this world, with a core module of this text.
pub(super) fn encode(
    resolve: &Resolve,
    package: PackageId,
    world: &str,
    text: &str,
    encoding: StringEncoding,
) -> Bytes {
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = ::wat::parse_str(text).unwrap();
    embed_component_metadata(&mut module, resolve, world, encoding).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap().into()
}

/// Settings of a component that is no guest of the folder.
pub(super) fn bare_spec(name: &str, component: Bytes) -> patchbay_runtime::PluginSpec {
    patchbay_runtime::PluginSpec {
        name: name.to_owned(),
        generation: 3,
        component,
        settings: serde_json::Map::new(),
        grants: patchbay_runtime::Grants::default(),
        secrets: std::collections::BTreeMap::new(),
        limits: patchbay_runtime::Limits::default(),
    }
}

/// The smallest handler that there is: it wants nothing done.
pub(super) fn tiny() -> Bytes {
    Module::default().component(StringEncoding::UTF8)
}
