//! How a [`RedisStore`](super::RedisStore) is reached, and what it warns of.

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;

/// How a Redis is deployed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RedisMode {
    /// One server, or an address behind which there is always the master.
    #[default]
    Standalone,
    /// Sentinels that know the master.
    Sentinel,
    /// A Redis Cluster.
    Cluster,
}

impl fmt::Display for RedisMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standalone => "standalone",
            Self::Sentinel => "sentinel",
            Self::Cluster => "cluster",
        })
    }
}

/// Talk TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisTls {
    /// The authorities to trust instead of the system's, PEM.
    pub ca: Option<Vec<u8>>,
}

/// How a [`RedisStore`](super::RedisStore) is opened.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// Whether `addresses` are a server's, Sentinels' or a Cluster's.
    pub mode: RedisMode,
    /// `host:port` of the server, of the Sentinels, or of some of the Cluster's nodes.
    pub addresses: Vec<String>,
    /// The name of the master that the Sentinels watch.
    pub master: String,
    /// The database's number; 0 in a Cluster.
    pub database: u8,
    /// The ACL user; the default one where there is none.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<SecretString>,
    /// The Sentinels' own password.
    pub sentinel_password: Option<SecretString>,
    /// Talk TLS, with Sentinels too.
    pub tls: Option<RedisTls>,
    /// What every key begins with: letters, digits, `-` and `_`.
    pub prefix: String,
    /// How many partitions a new store gets; an existing one keeps the number that it was made with.
    pub partitions: u16,
    /// How many replicas must have what was written before it counts as settled, and before a commit that orders effects
    /// returns.
    pub replicas: u8,
    /// How long a lease lasts that is not renewed.
    pub lease: Duration,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            mode: RedisMode::Standalone,
            addresses: vec!["127.0.0.1:6379".into()],
            master: "mymaster".into(),
            database: 0,
            username: None,
            password: None,
            sentinel_password: None,
            tls: None,
            prefix: "pb".into(),
            partitions: 16,
            replicas: 0,
            lease: Duration::from_secs(10),
        }
    }
}

/// Something about the server that does not stop the store, and that an operator should know: what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(pub String);

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How long a lost server's flush can be behind, with `appendfsync everysec`: Redis flushes each second, and puts it off
/// by one more while the disk is busy.
pub(super) const FLUSHED_AFTER: Duration = Duration::from_secs(2);

/// How long a connection may take to be made.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// How long an answer may take.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_millis(1_000);
/// How long a call is tried again for, from its beginning.
pub(super) const PATIENCE: Duration = Duration::from_millis(1_000);
/// How long replicas may take to have what was written.
pub(super) const WAIT_TIMEOUT: Duration = Duration::from_millis(800);
