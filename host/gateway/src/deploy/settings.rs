//! A plugin's settings against the schema in its manifest.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::section::Section;

/// Problems that are said at once; more of them are the same one seen often.
const MOST: usize = 5;

/// Checks a section's settings and the names of its secrets against a schema (JSON Schema, draft 2020-12). A property with
/// `"writeOnly": true` is a secret: it stands in `[plugins.NAME.secrets]` and never in the settings.
///
/// # Errors
/// Everything that is wrong, in sentences that say what to write.
pub(super) fn check(plugin: &str, section: &Section, schema: &Value) -> Result<(), String> {
    let secret = secret_properties(schema);
    let mut problems = Vec::new();
    for name in secret.iter().filter(|name| section.settings.contains_key(*name)) {
        problems.push(format!(
            "`{name}` is a secret and no plain setting: take it out of [plugins.{plugin}.settings], and write {name} = \
             \"env:…\" under [plugins.{plugin}.secrets]"
        ));
    }
    for name in required(schema).filter(|name| secret.contains(*name) && !section.secrets.contains(*name)) {
        problems
            .push(format!("the secret `{name}` is missing: write {name} = \"env:…\" under [plugins.{plugin}.secrets]"));
    }
    let settings: Map<String, Value> = section
        .settings
        .iter()
        .filter(|(key, _)| !secret.contains(*key))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    let settings = Value::Object(settings);
    match jsonschema::draft202012::new(&without(schema, &secret)) {
        Ok(validator) => {
            for error in validator.iter_errors(&settings).take(MOST) {
                let path = error.instance_path().to_string();
                let place = path.trim_start_matches('/').replace('/', ".");
                let key = if place.is_empty() { String::new() } else { format!("{place}: ") };
                // What stands in a setting is the operator's own, and is shown to nobody else.
                problems.push(format!("{key}{error} (under [plugins.{plugin}.settings])"));
            }
        }
        Err(error) => problems.push(format!("the plugin's schema of settings is none: {error}")),
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(format!("the settings of `{plugin}` do not fit this version: {}", problems.join("; ")))
}

/// The properties at the top that are secrets.
fn secret_properties(schema: &Value) -> BTreeSet<String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let secret = |value: &Value| value.get("writeOnly") == Some(&Value::Bool(true));
    let found = properties.into_iter().flatten().filter(|(_, value)| secret(value));
    found.map(|(name, _)| name.clone()).collect()
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// The schema of what is left when the secrets are looked at apart.
fn without(schema: &Value, secret: &BTreeSet<String>) -> Value {
    let mut schema = schema.clone();
    if let Some(list) = schema.get_mut("required").and_then(Value::as_array_mut) {
        list.retain(|name| name.as_str().is_none_or(|name| !secret.contains(name)));
    }
    schema
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "queue": { "type": "string" },
                "limit": { "type": "integer", "minimum": 1 },
                "token": { "type": "string", "writeOnly": true },
            },
            "required": ["queue", "token"],
            "additionalProperties": false,
        })
    }

    fn said(settings: Value, secrets: &[&str]) -> String {
        let section = Section {
            settings: settings.as_object().unwrap().clone(),
            secrets: secrets.iter().map(|&name| name.to_owned()).collect(),
            ..Section::default()
        };
        check("router", &section, &schema()).err().unwrap_or_default()
    }

    #[test]
    fn settings_that_fit_are_taken() {
        assert_eq!(said(json!({ "queue": "a", "limit": 3 }), &["token"]), "");
    }

    #[test]
    fn what_does_not_fit_is_said_with_its_place() {
        let said = said(json!({ "queue": 7, "limit": 0, "lmit": 1 }), &["token"]);
        assert!(said.contains("queue: 7 is not of type \"string\"") && said.contains("limit: 0"), "{said}");
        assert!(said.contains("lmit") && said.contains("[plugins.router.settings]"), "{said}");
    }

    #[test]
    fn a_secret_is_no_setting() {
        let plain = said(json!({ "queue": "a", "token": "hunter2" }), &["token"]);
        assert!(plain.contains("token = \"env:…\" under [plugins.router.secrets]"), "{plain}");
        assert!(!plain.contains("hunter2"), "{plain}");
        let absent = said(json!({ "queue": "a" }), &[]);
        assert!(absent.contains("the secret `token` is missing"), "{absent}");
    }
}
