//! Whether settings fit the schema in a manifest (JSON Schema, draft 2020-12), and what to write where they do not.
//!
//! A property at the top of the schema with `"writeOnly": true` is a secret: the operator names where it is, beside the
//! settings, and its value never stands in them.

mod schema;
pub mod toml;
mod words;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// A setting that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Where, from the settings: `rules[0].queue`. Empty: all of them.
    pub at: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to write.
    pub fix: String,
    /// What stands there is never to be shown: it is a secret, or may be one behind a mistyped name.
    pub hidden: bool,
}

/// What of these settings does not fit the schema; nothing when they do. Of values, none is in it but a short one where the
/// schema has a choice among a few.
#[must_use]
pub fn misfits(schema: &Value, settings: &Map<String, Value>) -> Vec<Misfit> {
    let secrets = secrets(schema);
    let in_the_open = settings.keys().filter(|name| secrets.contains(*name)).map(|name| Misfit {
        at: name.clone(),
        problem: format!("`{name}` is a secret, and settings reach the plugin"),
        fix: format!("take it out, and write {name} = \"env:…\" among the plugin's secrets"),
        hidden: true,
    });
    let mut found: Vec<Misfit> = in_the_open.collect();
    match jsonschema::draft202012::new(&without(schema, &secrets)) {
        Ok(validator) => {
            let plain = settings.iter().filter(|(name, _)| !secrets.contains(*name));
            let plain = Value::Object(plain.map(|(name, value)| (name.clone(), value.clone())).collect());
            found.extend(validator.iter_errors(&plain).flat_map(|error| words::told(schema, &plain, &error)));
        }
        Err(error) => found.push(Misfit {
            at: String::new(),
            problem: format!("the plugin's schema of settings is none: {error}"),
            fix: "take another version of the plugin".into(),
            hidden: false,
        }),
    }
    found
}

/// The settings of a schema that are secrets.
#[must_use]
pub fn secrets(schema: &Value) -> BTreeSet<String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let secret = |value: &Value| value.get("writeOnly") == Some(&Value::Bool(true));
    let found = properties.into_iter().flatten().filter(|(_, value)| secret(value));
    found.map(|(name, _)| name.clone()).collect()
}

/// The secrets that a schema requires, and that are not among these.
#[must_use]
pub fn missing_secrets(schema: &Value, given: &BTreeSet<String>) -> Vec<String> {
    let secrets = secrets(schema);
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    required.filter(|name| secrets.contains(*name) && !given.contains(*name)).map(str::to_owned).collect()
}

/// The candidate that was probably meant: at most a third of the letters differ.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase().replace('-', "_");
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.replace('-', "_")), candidate))
        .filter(|(distance, candidate)| *distance <= (word.len().max(candidate.len()) / 3).max(1))
        .min()
        .map(|(_, candidate)| candidate)
}

/// The schema of what is left when the secrets are looked at apart.
fn without(schema: &Value, secrets: &BTreeSet<String>) -> Value {
    let mut schema = schema.clone();
    if let Some(list) = schema.get_mut("required").and_then(Value::as_array_mut) {
        list.retain(|name| name.as_str().is_none_or(|name| !secrets.contains(name)));
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
            "additionalProperties": false,
            "required": ["queue", "token"],
            "properties": {
                "queue": { "type": "string", "minLength": 1, "examples": ["billing"] },
                "limit": { "type": "integer", "minimum": 1, "maximum": 9 },
                "wait": { "type": "string", "pattern": "^[0-9]+[smh]$", "default": "12h" },
                "rules": { "type": "array", "items": { "$ref": "#/$defs/rule" } },
                "texts": {
                    "type": "object",
                    "description": "What is said. In each language.",
                    "minProperties": 2,
                    "propertyNames": { "pattern": "^[a-z]{2}$", "examples": ["de"] },
                    "additionalProperties": { "type": "string" },
                },
                "backup": { "$ref": "#/$defs/queue", "examples": ["later"] },
                "either": { "anyOf": [{ "type": "string" }, { "type": "integer" }] },
                "token": { "type": "string", "writeOnly": true },
            },
            "$defs": {
                "queue": { "type": "string", "minLength": 1, "examples": ["any"] },
                "rule": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["words"],
                    "properties": {
                        "queue": { "$ref": "#/$defs/queue" },
                        "words": { "type": "array", "minItems": 1, "items": { "type": "string", "examples": ["refund"] } },
                        "priority": { "enum": ["low", "high"] },
                    },
                },
            },
        })
    }

    /// `at | problem | fix` of each.
    fn said(settings: Value) -> Vec<String> {
        let found = misfits(&schema(), settings.as_object().unwrap());
        found.into_iter().map(|Misfit { at, problem, fix, .. }| format!("{at} | {problem} | {fix}")).collect()
    }

    #[test]
    fn settings_that_fit_are_taken() {
        let rule = json!({ "words": ["a"], "priority": "low" });
        assert_eq!(said(json!({ "queue": "a", "limit": 3, "wait": "1h", "rules": [rule] })), [""; 0]);
    }

    #[test]
    fn each_misfit_says_where_and_what_to_write() {
        let with = |key: &str, value: Value| {
            let mut settings = json!({ "queue": "a" });
            settings[key] = value;
            said(settings).join("\n")
        };
        assert_eq!(said(json!({})), ["queue | `queue` is missing | write queue = \"billing\""]);
        for (key, value, expected) in [
            ("queue", json!(7), "queue | `queue` takes text, not a whole number | write queue = \"billing\""),
            ("queue", json!(""), "queue | `queue` is empty | write queue = \"billing\""),
            ("limit", json!(10), "limit | `limit` is out of range | write a number from 1 to 9"),
            ("limit", json!(1.5), "limit | `limit` takes a whole number, not a fraction | write a number from 1 to 9"),
            ("wait", json!("soon"), "wait | `wait` has not the form that it needs | write wait = \"12h\""),
            ("limt", json!(1), "limt | there is no setting `limt` here | write `limit`"),
            (
                "colour",
                json!(1),
                "colour | there is no setting `colour` here | take it out; the settings here are backup, either, limit, queue, rules, \
                 texts, token, wait",
            ),
            ("rules", json!([{}]), "rules[0].words | `words` is missing | write words = [\"refund\"]"),
            (
                "rules",
                json!([{ "words": ["a"] }, { "words": ["b", 7] }]),
                "rules[1].words[1] | `words[1]` takes text, not a whole number | write \"refund\"",
            ),
            (
                "rules",
                json!([{ "words": ["a"], "priority": "hihg" }]),
                "rules[0].priority | `priority` does not take `hihg` | write one of \"low\", \"high\"",
            ),
            ("rules", json!([{ "words": [] }]), "rules[0].words | `words` is empty | write words = [\"refund\"]"),
            (
                "texts",
                json!({ "de": "x", "English": "y" }),
                "texts.English | `English` is no name that may stand here | write one such as \"de\"",
            ),
            ("backup", json!(""), "backup | `backup` is empty | write backup = \"later\""),
            (
                "rules",
                json!([{ "words": ["a"], "queue": 7 }]),
                "rules[0].queue | `queue` takes text, not a whole number | write queue = \"any\"",
            ),
            ("texts", json!({ "de": "x" }), "texts | `texts` has too few in it | write at least 2"),
            (
                "texts",
                json!({ "de": "x", "49": 7 }),
                "texts.49 | `49` takes text, not a whole number | write 49 = …, as the plugin's documentation says\ntexts.49 | \
                 `49` is no name that may stand here | write one such as \"de\"",
            ),
            ("texts", json!("x"), "texts | `texts` takes a table, not text | write texts = …: What is said"),
            (
                "either",
                json!(true),
                "either | `either` has none of the forms that it may have | write either = …, as the plugin's documentation \
                 says",
            ),
        ] {
            assert_eq!(with(key, value), expected);
        }
    }

    #[test]
    fn a_secret_is_no_setting() {
        let settings = json!({ "queue": "a", "token": "hunter2", "tokn": "hunter2" });
        let found = misfits(&schema(), settings.as_object().unwrap());
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|misfit| misfit.hidden) && !format!("{found:?}").contains("hunter2"), "{found:?}");
        assert!(found[0].fix.contains("token = \"env:…\""), "{found:?}");
        assert_eq!(missing_secrets(&schema(), &BTreeSet::new()), ["token"]);
        assert!(missing_secrets(&schema(), &BTreeSet::from(["token".to_owned()])).is_empty());
    }

    #[test]
    fn a_schema_that_is_none_is_said() {
        let found = misfits(&json!({ "type": "objekt" }), &Map::new());
        assert!(found[0].problem.starts_with("the plugin's schema of settings is none"), "{found:?}");
    }
}
