//! A plugin's settings: the table under `[plugins.NAME.settings]`, as a type of the plugin's own.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Failure;

/// The settings of a plugin that has none.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct NoSettings {}

/// The key of `wasi:config` under which the host gives the whole table as JSON.
#[cfg(target_arch = "wasm32")]
const KEY: &str = "settings";

/// Reads the settings from the host. A plugin without settings reads an empty table.
#[cfg(target_arch = "wasm32")]
pub(crate) fn read<S: DeserializeOwned>() -> Result<S, Failure> {
    use crate::bindings::handler::wasi::config::store;

    match store::get(KEY) {
        Ok(Some(text)) => parse(&text),
        Ok(None) => parse("{}"),
        Err(store::Error::Upstream(why) | store::Error::Io(why)) => {
            Err(Failure::retry(format!("the settings cannot be read: {why}")))
        }
    }
}

/// Parses settings from JSON.
///
/// # Errors
/// [`Failure::Permanent`] naming the setting: `settings: rules[2].queue: invalid type …`.
pub fn parse<S: DeserializeOwned>(text: &str) -> Result<S, Failure> {
    // The path costs time on every event and is only needed for the message: find it on a second reading.
    serde_json::from_str(text).or_else(|_| {
        let mut reader = serde_json::Deserializer::from_str(text);
        match serde_path_to_error::deserialize::<_, S>(&mut reader) {
            Ok(settings) => reader.end().map(|()| settings).map_err(|error| wrong(".", &error)),
            Err(error) => Err(wrong(&error.path().to_string(), error.inner())),
        }
    })
}

/// The position in the JSON means nothing to an operator who wrote TOML: only the path and the reason stay.
fn wrong(path: &str, error: &serde_json::Error) -> Failure {
    let text = error.to_string();
    let reason = text.rfind(" at line ").and_then(|end| text.get(..end)).unwrap_or(&text);
    match path {
        "." => Failure::permanent(format!("settings: {reason}")),
        path => Failure::permanent(format!("settings: {path}: {reason}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Rule {
        #[expect(dead_code, reason = "only parsed")]
        queue: String,
    }

    #[derive(Debug, Deserialize)]
    struct Settings {
        #[serde(default)]
        rules: Vec<Rule>,
    }

    #[test]
    fn an_error_names_the_field() {
        for (text, reason) in [
            (r#"{"rules":[{"queue":"a"},{}]}"#, "settings: rules[1]: missing field `queue`"),
            (r#"{"rules":[{"queue":7}]}"#, "settings: rules[0].queue: invalid type: integer `7`, expected a string"),
            ("[]x", "settings: trailing characters"),
        ] {
            assert_eq!(parse::<Settings>(text).unwrap_err(), Failure::permanent(reason), "{text}");
        }
    }

    #[test]
    fn no_settings_are_an_empty_table() {
        assert!(parse::<Settings>("{}").unwrap().rules.is_empty());
        parse::<NoSettings>("{}").unwrap();
    }
}
