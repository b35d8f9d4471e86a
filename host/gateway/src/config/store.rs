//! The sections about durable state: where it is kept, for how long, and what a node keeps by itself meanwhile.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::SecretRef;
use super::units::{Period, Size};

/// Where durable state is kept.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// Which store.
    pub kind: StoreKind,
    /// The embedded store's file; without it `patchbay.redb` in the data folder. A relative path counts from the
    /// configuration file.
    #[schemars(extend("x-form" = "path"))]
    pub path: Option<PathBuf>,
    /// Into how many slices the conversations are cut. Fixed once the store has data. Many nodes share them: have several
    /// for each node.
    #[schemars(range(min = 1, max = 1024))]
    pub partitions: u16,
    /// Make opening the embedded store's file quick after a crash, for a fifth to a half of the writes a second. Without it
    /// opening takes some 2 s for each gigabyte then.
    pub quick_repair: bool,
    /// The Redis that several nodes share, where `kind` is `redis`.
    pub redis: Option<Redis>,
}

/// Which store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StoreKind {
    /// One file, no server, one node.
    #[default]
    Embedded,
    /// Redis 7 or Valkey, shared by several nodes.
    Redis,
}

impl Default for Store {
    fn default() -> Self {
        Self { kind: StoreKind::Embedded, path: None, partitions: 16, quick_repair: false, redis: None }
    }
}

/// A Redis: one server, a Sentinel group or a Cluster.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// Whether `addresses` are a server's, Sentinels' or a Cluster's.
    #[serde(default)]
    pub mode: RedisMode,
    /// `host:port` of the server, of the Sentinels, or of some of the Cluster's nodes.
    #[schemars(length(min = 1), extend("x-items" = "address"))]
    pub addresses: Vec<String>,
    /// The name of the master that the Sentinels watch.
    #[serde(default = "default_master")]
    pub master: String,
    /// The database's number; 0 in a Cluster.
    #[serde(default)]
    #[schemars(range(min = 0, max = 15))]
    pub database: u8,
    /// The ACL user.
    #[serde(default)]
    pub username: Option<String>,
    /// The user's password, or the server's `requirepass`.
    #[serde(default)]
    pub password: Option<SecretRef>,
    /// The Sentinels' own password, where they have one.
    #[serde(default)]
    pub sentinel_password: Option<SecretRef>,
    /// Talk TLS.
    #[serde(default)]
    pub tls: bool,
    /// A PEM file with the authorities to trust instead of the system's.
    #[serde(default)]
    #[schemars(extend("x-form" = "path"))]
    pub tls_ca: Option<PathBuf>,
    /// What every key begins with: several gateways can share a server.
    #[serde(default = "default_prefix")]
    #[schemars(extend("x-form" = "name"))]
    pub prefix: String,
    /// How many replicas must have a commit before its effects begin. 1 where there are replicas: a failover then loses no
    /// effect's cause.
    #[serde(default)]
    #[schemars(range(min = 0, max = 5))]
    pub replicas: u8,
    /// How long a node that is silent keeps its partitions. Shorter: others take over sooner; longer: pauses hurt less.
    #[serde(default = "default_lease")]
    pub lease: Period,
}

/// How a Redis is deployed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RedisMode {
    /// One server, or an address behind which there is always the master.
    #[default]
    Standalone,
    /// Sentinels that know the master.
    Sentinel,
    /// A Redis Cluster.
    Cluster,
}

fn default_master() -> String {
    "mymaster".into()
}

fn default_prefix() -> String {
    "pb".into()
}

const fn default_lease() -> Period {
    Period::seconds(10)
}

/// How long things are kept once nothing waits for them any more.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// WhatsApp's own JSON of an event, after it was handled. The event itself stays.
    pub raw: Period,
    /// An event, after it was handled.
    pub events: Period,
    /// A conversation in which nothing has happened for so long. Who writes again later begins a new one.
    pub conversations: Period,
    /// A dead letter.
    pub dead_letters: Period,
    /// A report about a plugin.
    pub reports: Period,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            raw: Period::days(30),
            events: Period::days(90),
            conversations: Period::days(365),
            dead_letters: Period::days(90),
            reports: Period::days(30),
        }
    }
}

/// What a node keeps on its own disk while a shared store is away or may still lose it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Spool {
    /// Accept webhooks while the shared store is away, into this node's data folder, and hand them on in their order when it
    /// is back. Without it they are answered 503, and WhatsApp delivers them again.
    pub accept: bool,
    /// The most bytes that may lie there; beyond it webhooks are answered 503.
    pub max: Size,
}

impl Default for Spool {
    fn default() -> Self {
        Self { accept: false, max: Size::mebibytes(1024) }
    }
}
