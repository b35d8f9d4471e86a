//! A plugin's section of the configuration, as a generation keeps it: everything but secrets.

use std::collections::{BTreeMap, BTreeSet};

use patchbay_artefact::Digest;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::asks::Asks;
use crate::config::{Grants, HttpGrant, Limits, Plugin};

/// How a plugin is set, and what it may do. Secrets and credentials are in it by name alone: each node resolves them with
/// its own configuration.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Section {
    /// The plugin's own settings.
    pub settings: Map<String, Value>,
    /// What the configuration grants it.
    pub grants: Grants,
    /// What one call of it may use.
    pub limits: Limits,
    /// The names of its secrets.
    pub secrets: BTreeSet<String>,
}

impl Section {
    /// The section of a plugin.
    #[must_use]
    pub fn of(plugin: &Plugin) -> Self {
        Self {
            settings: plugin.settings.clone(),
            grants: plugin.grants.clone(),
            limits: plugin.limits.clone(),
            secrets: plugin.secrets.keys().cloned().collect(),
        }
    }

    /// A hash of all of it.
    #[must_use]
    pub fn hash(&self) -> String {
        Digest::of(&serde_json::to_vec(&self.canonical()).unwrap_or_default()).hex()
    }

    /// As JSON with every object's keys in one order, whatever order a file has them in.
    #[must_use]
    pub fn canonical(&self) -> Value {
        sorted(serde_json::to_value(self).unwrap_or_default())
    }

    /// The grants, and what was approved beyond them: hosts over HTTPS, without credentials.
    #[must_use]
    pub fn grants_with(&self, approved: &Asks) -> Grants {
        let mut grants = self.grants.clone();
        grants.http.extend(approved.http.iter().map(|wanted| HttpGrant {
            host: wanted.host.clone(),
            methods: wanted.methods.clone(),
            paths: wanted.paths.clone(),
            ..HttpGrant::default()
        }));
        grants.media |= approved.media;
        if let Some(bytes) = approved.keyvalue {
            let granted = grants.keyvalue.map_or(0, crate::config::Size::get);
            grants.keyvalue = Some(crate::config::Size::bytes(bytes.max(granted)));
        }
        grants
    }
}

/// Two sections are the same when they come to the same JSON.
impl PartialEq for Section {
    fn eq(&self, other: &Self) -> bool {
        self.canonical() == other.canonical()
    }
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let by_key: BTreeMap<String, Value> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(by_key.into_iter().collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(sorted).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plugin(more: &str) -> Plugin {
        toml::from_str(&format!("source = \"builtin:zendesk\"\n{more}")).unwrap()
    }

    #[test]
    fn a_hash_is_of_everything_and_of_no_secret() {
        let plain = Section::of(&plugin("")).hash();
        let with = |more: &str| Section::of(&plugin(more)).hash();
        assert_eq!(with(""), plain);
        let one = with("[secrets]\nwebhook = \"env:A\"");
        assert_ne!(one, plain);
        assert_eq!(with("[secrets]\nwebhook = \"env:B\""), one, "where a secret is does not matter");
        assert_ne!(with("[settings]\nqueue = \"a\""), with("[settings]\nqueue = \"b\""));
        assert_ne!(with("[limits]\ncpu = \"1s\""), plain);
        assert_ne!(with("[[grants.http]]\nhost = \"a.com\""), plain);
        let ordered = with("[settings]\na = 1\nb = { c = 1, d = 2 }");
        assert_eq!(with("[settings]\nb = { d = 2, c = 1 }\na = 1"), ordered);
    }

    #[test]
    fn it_comes_back_from_the_shelf_as_it_was() {
        let section = Section::of(&plugin(
            "[settings]\na = 1\n[limits]\nmemory = \"8MiB\"\n[[grants.http]]\nhost = \"a.com\"\ncredential = \"x\"",
        ));
        let text = serde_json::to_string(&section).unwrap();
        let back: Section = serde_json::from_str(&text).unwrap();
        assert_eq!(back, section);
        assert_eq!(back.settings.get("a"), Some(&json!(1)));
    }

    #[test]
    fn what_was_approved_is_granted_without_credentials() {
        let section = Section::of(&plugin("[[grants.http]]\nhost = \"a.com\"\ncredential = \"x\""));
        let asks: Asks = serde_json::from_value(json!({
            "http": [{ "host": "b.com", "methods": ["GET"], "paths": ["/v1"] }], "media": true, "keyvalue": 4096,
        }))
        .unwrap();
        let grants = section.grants_with(&asks);
        let hosts: Vec<_> = grants.http.iter().map(|grant| (grant.host.as_str(), grant.credential.is_some())).collect();
        assert_eq!(hosts, [("a.com", true), ("b.com", false)]);
        assert!(grants.media && !grants.http.last().unwrap().plain_http);
        assert_eq!(grants.keyvalue.map(crate::config::Size::get), Some(4096));
    }
}
