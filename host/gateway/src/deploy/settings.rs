//! A plugin's settings against the schema in its manifest.

use patchbay_artefact::settings::{misfits, missing_secrets};
use serde_json::Value;

use super::section::Section;

/// Problems that are said at once; more of them are the same one seen often.
const MOST: usize = 5;

/// Checks a section's settings and the names of its secrets against a schema (JSON Schema, draft 2020-12).
///
/// # Errors
/// What is wrong, each with its place in the configuration and with what to write.
pub(super) fn check(plugin: &str, section: &Section, schema: &Value) -> Result<(), String> {
    let settings = misfits(schema, &section.settings).into_iter().map(|misfit| {
        let dot = if misfit.at.is_empty() { "" } else { "." };
        format!("plugins.{plugin}.settings{dot}{}: {}: {}", misfit.at, misfit.problem, misfit.fix)
    });
    let secrets = missing_secrets(schema, &section.secrets).into_iter().map(|name| {
        format!("plugins.{plugin}.secrets.{name}: the secret `{name}` is missing: write {name} = \"env:…\" there")
    });
    let mut problems: Vec<String> = settings.chain(secrets).collect();
    if problems.is_empty() {
        return Ok(());
    }
    let more = problems.len().saturating_sub(MOST);
    problems.truncate(MOST);
    if more > 0 {
        problems.push(format!("and {more} more"));
    }
    Err(format!("the settings of `{plugin}` do not fit this version: {}", problems.join("; ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "queue": { "type": "string", "examples": ["billing"] },
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
        assert_eq!(
            said(json!({ "queue": 7, "lmit": 1 }), &["token"]),
            "the settings of `router` do not fit this version: plugins.router.settings.queue: `queue` takes text, not a whole \
             number: write queue = \"billing\"; plugins.router.settings.lmit: there is no setting `lmit` here: write `limit`"
        );
        let many: serde_json::Map<String, Value> = (0..9).map(|at| (format!("colour{at}"), json!(1))).collect();
        let many = said(Value::Object(many), &["token"]);
        assert!(many.ends_with("; and 5 more"), "{many}");
    }

    #[test]
    fn a_secret_is_no_setting() {
        let plain = said(json!({ "queue": "a", "token": "hunter2" }), &["token"]);
        assert!(plain.contains("plugins.router.settings.token: `token` is a secret"), "{plain}");
        assert!(!plain.contains("hunter2"), "{plain}");
        let absent = said(json!({ "queue": "a" }), &[]);
        assert!(absent.contains("plugins.router.secrets.token: the secret `token` is missing"), "{absent}");
    }
}
