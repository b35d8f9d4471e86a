//! Extism: the event as JSON into a core module, the outcome as JSON out of it.

use std::fs;
use std::path::{Path, PathBuf};

use ::extism::{CompiledPlugin, Manifest, Plugin, PluginBuilder, Wasm};
use anyhow::{Context as _, Result};
use patchbay_model::{Conversation, Event, Outcome, Ticket};
use patchbay_runtime::HandlerInput;
use serde::Serialize;

/// The module's function.
const FUNCTION: &str = "handle";

/// What the module is given: the model as the gateway writes it.
#[derive(Serialize)]
struct Input<'a> {
    event: &'a Event,
    conversation: &'a Conversation,
    tickets: &'a [Ticket],
}

/// Compiles a module in this process, with Extism's own options. `cache`: the file that [`cache`] wrote; none: it is
/// compiled anew.
///
/// # Errors
/// When it is no module.
pub(crate) fn compile(module: &[u8], settings: &str, cache: Option<&Path>) -> Result<CompiledPlugin> {
    let manifest = Manifest::new([Wasm::data(module)]).with_config_key("settings", settings);
    let builder = PluginBuilder::new(manifest);
    let builder = match cache {
        Some(file) => builder.with_cache_config(file),
        None => builder.with_cache_disabled(),
    };
    builder.compile()
}

/// A file that has Extism keep compiled modules in `folder`, which is made.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn cache(folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let file = folder.join("extism.toml");
    let directory = folder.join("modules");
    let directory = directory.to_str().context("the folder's name is no text")?;
    fs::write(&file, format!("[cache]\ndirectory = {directory:?}\n"))?;
    Ok(file)
}

/// A sandbox that nothing was asked of yet.
///
/// # Errors
/// When the module does not start.
pub(crate) fn sandbox(compiled: &CompiledPlugin) -> Result<Plugin> {
    Plugin::new_from_compiled(compiled)
}

/// Asks a sandbox about an event.
///
/// # Errors
/// When it does not answer.
pub(crate) fn handle(plugin: &mut Plugin, input: &HandlerInput) -> Result<Outcome> {
    let HandlerInput { event, conversation, tickets } = input;
    let input = serde_json::to_string(&Input { event, conversation, tickets })?;
    let answer: &str = plugin.call(FUNCTION, input.as_str())?;
    Ok(serde_json::from_str(answer)?)
}
