//! The JSON Schema of the configuration.
//!
//! The types describe themselves (`schemars`), and a file is checked against that description. Text that has a form is
//! marked with `x-form`, a list of such texts with `x-items`, the names of a table's entries with `x-names`; for other
//! readers they become patterns.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::{Config, forms};

/// The schema that `patchbay schema` prints: JSON Schema, draft 2020-12.
#[must_use]
pub fn published() -> Value {
    let mut schema = described();
    publish(&mut schema);
    schema
}

/// The schema with our own marks in it.
pub(super) fn described() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Config>().to_value();
    tidy(&mut schema);
    schema
}

/// TOML has no null: an optional key is left out. And a mark of a list belongs to its items.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(object) => {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".into(), only);
                }
            }
            // Lines of a doc comment are wrapped for the source, not for an editor's hint.
            if let Some(Value::String(text)) = object.get_mut("description") {
                *text = text.replace('\n', " ");
            }
            if let Some(form) = object.remove("x-items")
                && let Some(Value::Object(items)) = object.get_mut("items")
            {
                items.insert("x-form".into(), form);
            }
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
            if let Some(Value::Array(mut choices)) = object.remove("anyOf") {
                choices.retain(|choice| *choice != json!({"type": "null"}));
                match <[Value; 1]>::try_from(choices) {
                    Ok([Value::Object(only)]) => {
                        // What is said at the place wins over what the type says.
                        for (key, value) in only {
                            object.entry(key).or_insert(value);
                        }
                    }
                    Ok([other]) => drop(object.insert("anyOf".into(), json!([other]))),
                    Err(choices) => drop(object.insert("anyOf".into(), Value::Array(choices))),
                }
            }
            object.values_mut().for_each(tidy);
        }
        _ => {}
    }
}

/// Marks become patterns.
fn publish(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(publish),
        Value::Object(object) => {
            if let Some(pattern) = pattern_of(object, "x-form") {
                object.insert("pattern".into(), pattern);
            }
            if let Some(pattern) = pattern_of(object, "x-names") {
                object.insert("propertyNames".into(), json!({ "pattern": pattern }));
            }
            object.values_mut().for_each(publish);
        }
        _ => {}
    }
}

fn pattern_of(object: &mut Map<String, Value>, mark: &str) -> Option<Value> {
    let name = object.remove(mark)?;
    Some(forms::form(name.as_str()?)?.pattern.into())
}
