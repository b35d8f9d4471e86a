//! A plugin's settings, as `wasi:config/store` shows them.

use serde_json::{Map, Value};
use wasmtime_wasi_config::WasiConfigVariables;

/// The key under which all settings are found as one JSON document.
const ALL: &str = "settings";

/// Every setting as text: strings as they are, anything else as JSON; and all of them as JSON under [`ALL`], unless a
/// setting has that name itself.
pub(crate) fn variables(settings: &Map<String, Value>) -> WasiConfigVariables {
    let mut variables = WasiConfigVariables::new();
    if let Ok(all) = serde_json::to_string(settings) {
        variables.insert(ALL, all);
    }
    for (key, value) in settings {
        let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        variables.insert(key.clone(), text);
    }
    variables
}
