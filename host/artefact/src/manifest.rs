//! What a plugin says about itself: the custom section [`SECTION`] of its component, as JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The name of the component's custom section that holds the manifest.
pub const SECTION: &str = "patchbay:manifest";

/// The name of the component's custom section that holds the golden events: a JSON array of
/// [`Golden`](patchbay_model::golden::Golden).
pub const GOLDEN_SECTION: &str = "patchbay:golden";

/// What a plugin says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The plugin's name: lower-case letters, digits and hyphens.
    pub name: String,
    /// Its version, by the rules of semantic versioning.
    pub version: String,
    /// One sentence about what it does.
    #[serde(default)]
    pub description: String,
    /// What it wants to be granted.
    #[serde(default)]
    pub wants: Wants,
    /// The JSON Schema (draft 2020-12) of its settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Value>,
    /// Secrets that it verifies signatures with. They never enter it: the operator names where they are.
    #[serde(default)]
    pub secrets: Vec<WantedSecret>,
}

/// What a plugin wants to be granted. The operator decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wants {
    /// The hosts that it calls.
    pub http: Vec<WantedHost>,
    /// It reads stored media, and sends it on.
    pub media: bool,
    /// It keeps so many bytes of keys and values.
    pub keyvalue: Option<u64>,
}

/// A host that a plugin calls.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedHost {
    /// `api.example.com` or `*.example.com`. Where each customer of the vendor has another one, what they have in common.
    pub host: String,
    /// Methods in upper case; empty: all.
    #[serde(default)]
    pub methods: Vec<String>,
    /// What the path begins with; empty: all.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Why, for the operator who decides.
    #[serde(default)]
    pub about: String,
}

/// A secret that a plugin verifies signatures with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedSecret {
    /// The name that the plugin asks for it by.
    pub name: String,
    /// What it is, and where the operator finds it.
    #[serde(default)]
    pub about: String,
}

/// The longest name, letters: what fits into a key of the configuration, a file's name and a line of a table.
const NAME_MOST: usize = 63;
/// The longest host name, by the rules of DNS.
const HOST_MOST: usize = 253;

/// What a manifest says and cannot be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct ManifestError {
    /// The place: `wants.http[0].host`.
    pub key: String,
    /// What is wrong, and what to write.
    pub problem: String,
}

impl ManifestError {
    fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { key: key.into(), problem: problem.into() }
    }
}

impl Manifest {
    /// Checks what its types do not say: names, version, hosts, paths, the schema.
    ///
    /// # Errors
    /// The first thing that is wrong, and what to write.
    pub fn check(&self) -> Result<(), ManifestError> {
        if self.name.is_empty() || self.name.len() > NAME_MOST || !is_name(&self.name) {
            let problem = format!(
                "`{}` is no name of a plugin; write lower-case letters, digits and single hyphens, beginning with a letter, at \
                 most {NAME_MOST}: `acme-router`",
                self.name
            );
            return Err(ManifestError::new("name", problem));
        }
        if let Err(error) = semver::Version::parse(&self.version) {
            let problem = format!("`{}` is no version ({error}); write three numbers: `1.2.0`", self.version);
            return Err(ManifestError::new("version", problem));
        }
        if self.description.lines().count() > 1 {
            return Err(ManifestError::new("description", "write one sentence in one line"));
        }
        if self.wants.keyvalue == Some(0) {
            return Err(ManifestError::new(
                "wants.keyvalue",
                "nothing fits into 0 bytes; write how much it keeps, `1MiB`, or leave it out",
            ));
        }
        for (place, wanted) in self.wants.http.iter().enumerate() {
            wanted.check(&format!("wants.http[{place}]"))?;
        }
        for (place, secret) in self.secrets.iter().enumerate() {
            let key = format!("secrets[{place}].name");
            if !is_name(&secret.name.replace('_', "-")) {
                let problem = format!("`{}` is no name; write lower-case letters, digits, `-` and `_`", secret.name);
                return Err(ManifestError::new(key, problem));
            }
            if self.secrets.iter().take(place).any(|other| other.name == secret.name) {
                return Err(ManifestError::new(
                    key,
                    format!("`{}` is there already; give each secret a name of its own", secret.name),
                ));
            }
        }
        self.settings.as_ref().map_or(Ok(()), check_schema)
    }
}

impl WantedHost {
    fn check(&self, key: &str) -> Result<(), ManifestError> {
        if let Some(problem) = problem_of_host(&self.host) {
            return Err(ManifestError::new(format!("{key}.host"), problem));
        }
        for (place, method) in self.methods.iter().enumerate() {
            if method.is_empty() || !method.bytes().all(|letter| letter.is_ascii_uppercase()) {
                let problem = format!("`{method}` is no method; write it in upper case: `GET`");
                return Err(ManifestError::new(format!("{key}.methods[{place}]"), problem));
            }
        }
        for (place, path) in self.paths.iter().enumerate() {
            if !path.starts_with('/') || path.contains(['?', '#']) {
                let problem =
                    format!("`{path}` is no beginning of a path; write it with its first slash: `/api/orders`");
                return Err(ManifestError::new(format!("{key}.paths[{place}]"), problem));
            }
        }
        Ok(())
    }
}

/// Lower-case words of letters and digits with single hyphens between them, a letter first.
fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.split('-').all(|word| {
            !word.is_empty() && word.bytes().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit())
        })
}

/// What is wrong with a wanted host; nothing with `api.example.com`, `*.example.com`, `192.0.2.1` and `[2001:db8::1]`.
fn problem_of_host(host: &str) -> Option<String> {
    let name = host.strip_prefix("*.").unwrap_or(host);
    if let Some((_, after)) = host.split_once("://") {
        let name = after.split('/').next().unwrap_or_default();
        return Some(format!("`{host}` is an address; write the host's name alone: `{name}`"));
    }
    if name.contains('*') {
        return Some(format!(
            "`{host}` has a star within it; one stands for whole names in front only: `*.example.com`"
        ));
    }
    if host.starts_with('[') && url::Host::parse(host).is_ok() {
        return None;
    }
    let labels = || name.split('.');
    let good = |label: &str| {
        let inner =
            label.bytes().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-');
        inner && !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-')
    };
    if name.len() > HOST_MOST || !labels().all(good) {
        return Some(format!(
            "`{host}` is no name of a host; write it in lower case, without port and path: `api.example.com`"
        ));
    }
    if name != host && labels().count() < 2 {
        return Some(format!("`{host}` would be every host below `{name}`; write at least `*.example.com`"));
    }
    None
}

fn check_schema(schema: &Value) -> Result<(), ManifestError> {
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err(ManifestError::new(
            "settings",
            "settings are a table; write \"type\": \"object\" into their schema",
        ));
    }
    match jsonschema::draft202012::new(schema) {
        Ok(_) => Ok(()),
        Err(error) => {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() { String::new() } else { format!(" at {place}") };
            Err(ManifestError::new("settings", format!("this is no JSON Schema (draft 2020-12){place}: {error}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            name: "acme-router".into(),
            version: "1.2.0".into(),
            description: "Routes.".into(),
            wants: Wants::default(),
            settings: None,
            secrets: Vec::new(),
        }
    }

    fn host(host: &str) -> WantedHost {
        WantedHost { host: host.into(), methods: Vec::new(), paths: Vec::new(), about: String::new() }
    }

    /// What is said about a manifest that was changed so.
    fn said(change: impl FnOnce(&mut Manifest)) -> String {
        let mut changed = manifest();
        change(&mut changed);
        changed.check().map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn names_and_versions_have_a_form() {
        assert_eq!(manifest().check(), Ok(()));
        for name in
            ["", "Acme", "acme_router", "acme--router", "-acme", "acme-", "4you", "acme.router", &"a".repeat(64)]
        {
            assert!(said(|manifest| manifest.name = name.into()).starts_with("name: "), "{name}");
        }
        for version in ["", "1", "1.2", "v1.2.3", "1.2.3.4", "01.2.3"] {
            let said = said(|manifest| manifest.version = version.into());
            assert!(said.starts_with("version: ") && said.contains("`1.2.0`"), "{said}");
        }
        assert_eq!(said(|manifest| manifest.version = "2.0.0-rc.1+7".into()), "");
    }

    #[test]
    fn hosts_are_names_alone() {
        for good in
            ["api.example.com", "*.example.com", "localhost", "192.0.2.1", "[2001:db8::1]", "xn--bcher-kva.example"]
        {
            assert_eq!(said(|manifest| manifest.wants.http = vec![host(good)]), "", "{good}");
        }
        for (wrong, what) in [
            ("https://api.example.com/v1", "write the host's name alone: `api.example.com`"),
            ("api.*.example.com", "has a star within it"),
            ("*", "has a star within it"),
            ("*.com", "would be every host below `com`"),
            ("API.example.com", "in lower case"),
            ("api.example.com:8443", "without port"),
            ("api..example.com", "is no name of a host"),
            ("", "is no name of a host"),
        ] {
            let said = said(|manifest| manifest.wants.http = vec![host("a.example"), host(wrong)]);
            assert!(said.starts_with("wants.http[1].host: ") && said.contains(what), "{wrong}: {said}");
        }
    }

    #[test]
    fn methods_paths_secrets_and_sizes_are_looked_at() {
        let with = |methods: &[&str], paths: &[&str]| WantedHost {
            methods: methods.iter().map(|&text| text.to_owned()).collect(),
            paths: paths.iter().map(|&text| text.to_owned()).collect(),
            ..host("a.example")
        };
        assert_eq!(said(|manifest| manifest.wants.http = vec![with(&["GET", "POST"], &["/", "/api/"])]), "");
        let wrong = said(|manifest| manifest.wants.http = vec![with(&["GET", "post"], &[])]);
        assert!(wrong.starts_with("wants.http[0].methods[1]: `post`"), "{wrong}");
        let wrong = said(|manifest| manifest.wants.http = vec![with(&[], &["api"])]);
        assert!(wrong.starts_with("wants.http[0].paths[0]: `api`"), "{wrong}");
        assert!(said(|manifest| manifest.wants.keyvalue = Some(0)).starts_with("wants.keyvalue: "));
        let secret = || WantedSecret { name: "webhook".into(), about: String::new() };
        assert!(said(|manifest| manifest.secrets = vec![secret(), secret()]).starts_with("secrets[1].name: `webhook`"));
    }

    #[test]
    fn a_schema_is_one_of_an_object() {
        let said_of = |schema: Value| said(|manifest| manifest.settings = Some(schema));
        assert_eq!(said_of(json!({ "type": "object", "properties": { "queue": { "type": "string" } } })), "");
        assert!(said_of(json!({ "properties": {} })).contains("\"type\": \"object\""));
        let wrong = said_of(json!({ "type": "object", "properties": { "queue": { "type": "strnig" } } }));
        assert!(wrong.contains("no JSON Schema") && wrong.contains("/properties/queue/type"), "{wrong}");
    }
}
