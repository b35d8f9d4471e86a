//! The configuration: one TOML file, checked as a whole before anything starts.
//!
//! # Layout
//! - [`gateway`], [`store`], [`whatsapp`], [`plugin`], [`routing`]: the sections, as plain checked data
//! - [`outgoing`]: which servers a plugin may call, read by itself
//! - [`rules`]: which events a chain is for; [`share`]: a share of the conversations
//! - [`secret`], [`units`]: secrets by reference, durations and sizes
//! - [`schema`]: the JSON Schema; a file's shape is checked against the same schema that is printed
//! - [`problem`]: what is wrong with a file, where, and what to write
//!
//! Checking has three stages, and each one goes on where the one before found something wrong: the text becomes a tree
//! with places (`tree`), the tree is held against the schema (`shape`, `forms`), and what is left of it becomes a
//! [`Config`] whose parts are held against each other and against the world (`checks`), the plugins' components among it
//! where that is asked for. So one run shows everything.

mod checks;
pub mod deployments;
mod forms;
pub mod gateway;
pub mod outgoing;
pub mod plugin;
pub mod problem;
mod render;
pub mod routing;
pub mod rules;
pub mod schema;
pub mod secret;
mod shape;
pub mod share;
pub mod store;
mod tree;
pub mod units;
pub mod whatsapp;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

pub use deployments::{Deployments, Rules, Watch};
pub use gateway::{Admin, Gateway, LogFormat, Retry, Telemetry};
pub use outgoing::Outgoing;
pub use plugin::{ClientAuth, Credential, Grants, HttpGrant, Limits, Plugin, SigningAlgorithm, Source};
pub use problem::{Problem, Problems, Severity};
pub use routing::{Chain, Desk, Fallback, OnFailure, Step};
pub use rules::{Facts, Match};
pub use secret::{SecretError, SecretRef, SecretRefs};
pub use share::Share;
pub use store::{Redis, RedisMode, Retention, Spool, Store, StoreKind};
pub use units::{Period, Size};
pub use whatsapp::{Number, Whatsapp};

/// The configuration of a gateway.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Patchbay configuration")]
pub struct Config {
    /// Where the gateway listens and keeps its files.
    #[serde(default)]
    pub gateway: Gateway,
    /// Where durable state is kept.
    #[serde(default)]
    pub store: Store,
    /// How long things are kept.
    #[serde(default)]
    pub retention: Retention,
    /// What a node keeps by itself while a shared store is away.
    #[serde(default)]
    pub spool: Spool,
    /// Meta's side: the app that signs the webhooks, and the numbers behind it.
    pub whatsapp: Whatsapp,
    /// The plugins, by the name that the rest of the file calls them.
    #[serde(default)]
    #[schemars(extend("x-names" = "name"))]
    pub plugins: BTreeMap<String, Plugin>,
    /// Whose components are taken, and when a new generation goes back by itself.
    #[serde(default)]
    pub deployments: Deployments,
    /// Credentials that the host adds to plugins' requests, by the name that grants call them.
    #[serde(default)]
    #[schemars(extend("x-names" = "name"))]
    pub credentials: BTreeMap<String, Credential>,
    /// The ticket systems, by the name that handlers call them. A desk's webhook is `/webhooks/desk/NAME`.
    #[serde(default)]
    #[schemars(extend("x-names" = "name"))]
    pub desks: BTreeMap<String, Desk>,
    /// The chains. The first one that matches an event decides about it; an event without a chain is only kept.
    #[serde(default)]
    pub chains: Vec<Chain>,
    /// How often, and for how long, something that failed is tried again.
    #[serde(default)]
    pub retry: Retry,
    /// The admin and sending API under `/v1`.
    #[serde(default)]
    pub admin: Admin,
    /// What the gateway writes to standard error.
    #[serde(default)]
    pub telemetry: Telemetry,
}

/// What checking a file found.
#[derive(Debug)]
pub struct Checked {
    /// The configuration, unless there was an error.
    pub config: Option<Config>,
    /// Errors and warnings, in the order of the file.
    pub problems: Problems,
}

/// Whether checking looks at the secrets behind the references.
#[derive(Clone, Copy)]
pub enum Secrets<'a> {
    /// Each one has to be there; variables are looked up here.
    Required(secret::Lookup<'a>),
    /// Only the references are checked: on a machine that has no business knowing the secrets.
    Unseen,
}

/// Whether checking reads the components that the file names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Components {
    /// Settings, secrets, grants and roles are held against them.
    Read,
    /// They are left to whoever loads them: a gateway may run another component than its file names, one that was deployed.
    Unread,
}

/// This process's environment.
#[must_use]
pub fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// Whether a text is a log filter, as `telemetry.log` takes one.
pub(crate) fn log_filter(text: &str) -> Result<(), String> {
    forms::filter(text, "").map_err(|refusal| format!("{}; {}", refusal.message, refusal.fix))
}

impl Config {
    /// Reads and checks a file, secrets included: what this gives can be served.
    ///
    /// # Errors
    /// Everything that is wrong with it; warnings alone are no error.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let checked = Self::check(path, Secrets::Required(&environment));
        checked.config.ok_or(checked.problems)
    }

    /// Reads and checks a file, and tells the warnings too.
    #[must_use]
    pub fn check(path: &Path, secrets: Secrets<'_>) -> Checked {
        Self::check_with(path, secrets, Components::Unread)
    }

    /// Reads and checks a file, with the components that it names or without.
    #[must_use]
    pub fn check_with(path: &Path, secrets: Secrets<'_>, components: Components) -> Checked {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                Self::from_toml_with(&name, text, folder, secrets, components)
            }
            Err(error) => {
                let problem = Problem::of_file(
                    format!("cannot read the configuration: {error}"),
                    "name the file with --config FILE; patchbay.example.toml is one to begin with".into(),
                );
                Checked { config: None, problems: Problems::new(name, String::new(), vec![problem], Vec::new()) }
            }
        }
    }

    /// Checks the text of a file. Relative paths in it count from `folder`; `name` stands in front of each problem.
    #[must_use]
    pub fn from_toml(name: &str, text: String, folder: &Path, secrets: Secrets<'_>) -> Checked {
        Self::from_toml_with(name, text, folder, secrets, Components::Unread)
    }

    fn from_toml_with(
        name: &str,
        text: String,
        folder: &Path,
        secrets: Secrets<'_>,
        components: Components,
    ) -> Checked {
        let mut findings = shape::Findings::default();
        let mut config = tree::parse(&text, &mut findings).and_then(|tree| {
            let value = shape::check(&tree, &mut findings);
            let mut config = match Self::deserialize(value) {
                Ok(config) => config,
                Err(error) => {
                    // The schema let something through that the types refuse: say it, if without a place.
                    findings.problems.push(Problem::of_file(error.to_string(), String::new()));
                    return None;
                }
            };
            config.anchor(folder);
            checks::check(&config, &tree, secrets, components, &mut findings);
            Some(config)
        });
        let problems = Problems::new(name.to_owned(), text, findings.problems, findings.hidden);
        if problems.errors() > 0 {
            config = None;
        }
        Checked { config, problems }
    }

    /// The secret that new tokens are signed with.
    ///
    /// # Errors
    /// A sentence that says what to write, when there is none or it is too short.
    pub fn signing_secret(&self) -> Result<SecretString, String> {
        let Some(reference) = self.admin.token_secrets.first() else {
            let fix = "write token_secrets = [\"env:PATCHBAY_ADMIN_SECRET\"] under [admin]";
            return Err(format!("the admin API is off: `admin.token_secrets` is empty; {fix}"));
        };
        let secret = reference.resolve().map_err(|error| format!("{error}; {}", error.fix()))?;
        if secret::length(&secret) < gateway::TOKEN_SECRET_LEAST {
            return Err(format!("{}; {}", gateway::short_secret(reference), gateway::SHORT_SECRET_FIX));
        }
        Ok(secret)
    }

    /// The embedded store's file.
    #[must_use]
    pub fn store_path(&self) -> PathBuf {
        self.store.path.clone().unwrap_or_else(|| self.gateway.data_dir.join("patchbay.redb"))
    }

    /// Makes every relative path count from `folder`.
    fn anchor(&mut self, folder: &Path) {
        self.gateway.data_dir = folder.join(&self.gateway.data_dir);
        if let Some(path) = &mut self.store.path {
            *path = folder.join(&*path);
        }
        if let Some(path) = self.store.redis.as_mut().and_then(|redis| redis.tls_ca.as_mut()) {
            *path = folder.join(&*path);
        }
        let deployments = &mut self.deployments;
        deployments.lock = folder.join(&deployments.lock);
        if let Some(policy) = &mut deployments.policy {
            *policy = folder.join(&*policy);
        }
        for plugin in self.plugins.values_mut() {
            if let Source::File(path) = &mut plugin.source {
                *path = folder.join(&*path);
            }
        }
        for (_, secret) in self.secrets_mut() {
            secret.anchor(folder);
        }
    }

    /// Every secret reference, with its key.
    #[must_use]
    pub fn secrets(&self) -> Vec<(String, SecretRef)> {
        let mut copy = self.clone();
        copy.secrets_mut().into_iter().map(|(key, secret)| (key, secret.clone())).collect()
    }

    /// Every secret reference, with its key.
    fn secrets_mut(&mut self) -> Vec<(String, &mut SecretRef)> {
        let mut found = Vec::new();
        for (index, secret) in self.whatsapp.app_secrets.iter_mut().enumerate() {
            found.push((format!("whatsapp.app_secrets[{index}]"), secret));
        }
        if let Some(redis) = &mut self.store.redis {
            found.extend(redis.password.as_mut().map(|secret| ("store.redis.password".to_owned(), secret)));
            let sentinel = redis.sentinel_password.as_mut();
            found.extend(sentinel.map(|secret| ("store.redis.sentinel_password".to_owned(), secret)));
        }
        found.push(("whatsapp.verify_token".to_owned(), &mut self.whatsapp.verify_token));
        for (index, number) in self.whatsapp.numbers.iter_mut().enumerate() {
            found.push((format!("whatsapp.numbers[{index}].access_token"), &mut number.access_token));
        }
        for (name, plugin) in &mut self.plugins {
            for (secret, several) in &mut plugin.secrets {
                let one = matches!(several, SecretRefs::One(_));
                for (index, reference) in several.as_mut_slice().iter_mut().enumerate() {
                    let index = if one { String::new() } else { format!("[{index}]") };
                    found.push((format!("plugins.{name}.secrets.{secret}{index}"), reference));
                }
            }
        }
        for (name, credential) in &mut self.credentials {
            let secrets = credential.secrets_mut().into_iter();
            found.extend(secrets.map(|(key, secret)| (format!("credentials.{name}.{key}"), secret)));
        }
        for (index, secret) in self.admin.token_secrets.iter_mut().enumerate() {
            found.push((format!("admin.token_secrets[{index}]"), secret));
        }
        found
    }
}

#[cfg(test)]
mod tests;
