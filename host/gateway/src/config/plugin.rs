//! The sections about plugins: what they are, what they may do, and the credentials that the host adds for them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::secret::{SecretRef, SecretRefs};
use super::units::{Period, Size};

/// One plugin: where it comes from, how it is set, and what it may do.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plugin {
    /// `builtin:NAME` for one that ships with the gateway, `file:PATH` for a component of your own. A relative path
    /// counts from the configuration file.
    pub source: Source,
    /// The plugin's own settings: whatever it documents.
    #[serde(default)]
    pub settings: Map<String, Value>,
    /// What the plugin may do. Nothing, unless it stands here.
    #[serde(default)]
    pub grants: Grants,
    /// Secrets that the host checks webhooks with, by the name that the plugin asks for (desks ask for `webhook`).
    /// Several for one name, so that one can be replaced. They never enter the plugin.
    #[serde(default)]
    #[schemars(extend("x-names" = "secret-name"))]
    pub secrets: BTreeMap<String, SecretRefs>,
    /// What one call may use.
    #[serde(default)]
    pub limits: Limits,
}

/// Where a plugin comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// One that ships with the gateway, by name.
    Builtin(String),
    /// A component in a file.
    File(PathBuf),
}

/// What a plugin may do.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Grants {
    /// The hosts that it may call.
    pub http: Vec<HttpGrant>,
    /// It may read stored media by its id, and send it on to the hosts that it may call.
    pub media: bool,
}

/// One host that a plugin may call, and how.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpGrant {
    /// A host name without scheme or port: `api.example.com`, or `*.example.com` for every name below it.
    #[schemars(extend("x-form" = "host"))]
    pub host: String,
    /// The ports; without them the scheme's own (443, or 80 with `plain_http`).
    #[serde(default)]
    #[schemars(inner(range(min = 1, max = 65535)))]
    pub ports: Vec<u16>,
    /// The methods; without them all.
    #[serde(default)]
    #[schemars(extend("x-items" = "method"))]
    pub methods: Vec<String>,
    /// What a path has to begin with; without them every path.
    #[serde(default)]
    #[schemars(extend("x-items" = "path-prefix"))]
    pub paths: Vec<String>,
    /// Allow `http://` too: what is sent can be read on the way.
    #[serde(default)]
    pub plain_http: bool,
    /// Allow addresses of private networks and of this machine.
    #[serde(default)]
    pub private_network: bool,
    /// The entry of `[credentials]` that the host adds to each request.
    #[serde(default)]
    #[schemars(extend("x-form" = "name"))]
    pub credential: Option<String>,
}

/// What one call of a plugin may use. Without a value the gateway's own limit counts.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Memory, at most 256MiB.
    pub memory: Option<Size>,
    /// Time on a processor; waiting does not count.
    pub cpu: Option<Period>,
}

/// A credential that the host adds to a plugin's requests. It never enters the plugin.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Credential {
    /// `Authorization: Basic …`
    Basic {
        /// The user's name. Zendesk: `agent@example.com/token`.
        username: String,
        /// The password or API token.
        password: SecretRef,
    },
    /// `Authorization: Bearer …`
    Bearer {
        /// The token.
        token: SecretRef,
    },
    /// A header of any name.
    Header {
        /// The header's name.
        #[schemars(extend("x-form" = "header-name"))]
        name: String,
        /// The header's value.
        value: SecretRef,
    },
}
