//! What is looked at before a Redis is trusted with anything.

use std::collections::BTreeMap;

use super::codec::answer;
use super::options::{RedisMode, RedisOptions, Warning};
use super::scripts::META;
use super::server::{Server, Trouble, field, text};
use super::servers::{Servers, invoke};
use super::watch::Clock;
use crate::StoreError;

/// The version of this layout of keys.
const FORMAT: u64 = 1;

/// The oldest Redis: 7.0 is the first with `SET NX GET` and scripts that may publish in a Cluster.
const OLDEST: u64 = 7;

/// How far the clocks of a node and of the Redis may be apart unmentioned, in milliseconds: times in the two logs are still
/// compared by eye.
const SKEW: i64 = 500;

/// When what is written is on the server's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flush {
    /// Before the answer.
    Each,
    /// Some time later, at most [`FLUSHED_AFTER`](super::options::FLUSHED_AFTER).
    Later,
    /// At no time that could be waited for.
    Never,
}

/// A Redis that will do.
pub(super) struct Checked {
    pub(super) servers: Servers,
    pub(super) partitions: u16,
    pub(super) store: String,
    pub(super) kind: String,
    pub(super) flush: Flush,
    pub(super) clock: Clock,
    pub(super) warnings: Vec<Warning>,
}

/// Looks at the servers, and makes the store where there is none.
pub(super) async fn check(servers: Servers) -> Result<Checked, StoreError> {
    sane(&servers.options)?;
    let map = servers.map().await?;
    let first = map.servers.first().ok_or_else(|| StoreError::Unavailable("the Cluster has no servers".into()))?;
    let mut warnings = Vec::new();
    let mut flush = Flush::Each;
    let mut version = String::new();
    for server in &map.servers {
        let facts = Facts::of(server).await.map_err(|trouble| at(server, trouble))?;
        version = facts.refuse(server, &servers.options.mode)?;
        facts.warn(server, &servers.options, &mut warnings);
        flush = match (flush, facts.flush()) {
            (Flush::Never, _) | (_, Flush::Never) => Flush::Never,
            (Flush::Later, _) | (_, Flush::Later) => Flush::Later,
            (Flush::Each, Flush::Each) => Flush::Each,
        };
    }
    let (clock, ahead) = Clock::read(first).await.map_err(|trouble| at(first, trouble))?;
    if ahead.abs() > SKEW {
        let side = if ahead > 0 { "ahead of" } else { "behind" };
        warnings.push(Warning(format!(
            "this machine's clock is {} ms {side} that of Redis at {}: synchronise both (chrony, systemd-timesyncd). \
             What is due is due by the Redis's clock, but times in logs will not match",
            ahead.abs(),
            first.address
        )));
    }
    let (partitions, store) = meta(&servers).await?;
    let kind = format!("{version}, {}", servers.options.mode);
    Ok(Checked { servers, partitions, store, kind, flush, clock, warnings })
}

fn sane(options: &RedisOptions) -> Result<(), StoreError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if options.prefix.is_empty() || !options.prefix.bytes().all(plain) {
        return Err(StoreError::Unsuitable(format!(
            "\"{}\" cannot begin the names of keys: use letters, digits, - and _",
            options.prefix
        )));
    }
    if options.partitions == 0 {
        return Err(StoreError::Unsuitable("a store has one partition at least".into()));
    }
    if options.mode == RedisMode::Cluster && options.database != 0 {
        return Err(StoreError::Unsuitable("a Redis Cluster has database 0 only: leave `database` out".into()));
    }
    Ok(())
}

fn at(server: &Server, trouble: Trouble) -> StoreError {
    let reason = super::servers::reason(trouble.into_error());
    StoreError::Unavailable(format!("Redis at {}: {reason}", server.address))
}

/// What a server says of itself.
struct Facts {
    info: String,
    /// `None`: the server does not let us ask.
    config: Option<BTreeMap<String, String>>,
}

impl Facts {
    async fn of(server: &Server) -> Result<Self, Trouble> {
        let mut info = String::new();
        for section in ["server", "memory", "persistence", "replication", "cluster"] {
            info.push_str(&text(server.send(::redis::cmd("INFO").arg(section)).await?));
        }
        let mut config = BTreeMap::new();
        for name in ["appendfsync", "min-replicas-to-write", "cluster-require-full-coverage"] {
            match server.send(::redis::cmd("CONFIG").arg("GET").arg(name)).await {
                Ok(value) => {
                    config.extend(::redis::from_redis_value::<BTreeMap<String, String>>(value).unwrap_or_default())
                }
                // Managed servers forbid it, or do not know it.
                Err(Trouble::Refused(_)) => return Ok(Self { info, config: None }),
                Err(trouble) => return Err(trouble),
            }
        }
        Ok(Self { info, config: Some(config) })
    }

    fn info(&self, name: &str) -> &str {
        field(&self.info, name).unwrap_or_default()
    }

    fn config(&self, name: &str) -> Option<&str> {
        self.config.as_ref()?.get(name).map(String::as_str)
    }

    fn is_valkey(&self) -> bool {
        !self.info("valkey_version").is_empty()
    }

    fn flush(&self) -> Flush {
        match (self.info("aof_enabled"), self.config("appendfsync")) {
            ("1", Some("always")) => Flush::Each,
            ("1", Some("no")) => Flush::Never,
            // Every second, or it does not say: that is its default.
            ("1", _) => Flush::Later,
            _ => Flush::Never,
        }
    }

    /// Refuses what would lose data for certain; gives name and version.
    fn refuse(&self, server: &Server, mode: &RedisMode) -> Result<String, StoreError> {
        let (name, version) = match self.is_valkey() {
            true => ("valkey", self.info("valkey_version")),
            false => ("redis", self.info("redis_version")),
        };
        let major: u64 = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or_default();
        if major < OLDEST {
            return Err(StoreError::Unsuitable(format!(
                "Redis at {} is version {version}: version {OLDEST} or later is needed, or Valkey",
                server.address
            )));
        }
        let policy = self.info("maxmemory_policy");
        if !policy.is_empty() && policy != "noeviction" {
            return Err(StoreError::Unsuitable(format!(
                "Redis at {} throws keys away when its memory is full (maxmemory-policy {policy}): type `CONFIG SET \
                 maxmemory-policy noeviction` there, and write `maxmemory-policy noeviction` into its configuration",
                server.address
            )));
        }
        if *mode == RedisMode::Cluster && self.info("cluster_enabled") != "1" {
            return Err(StoreError::Unsuitable(format!(
                "Redis at {} is in no Cluster: write `mode = \"standalone\"`, or the addresses of a Cluster's nodes",
                server.address
            )));
        }
        if *mode != RedisMode::Cluster && self.info("cluster_enabled") == "1" {
            return Err(StoreError::Unsuitable(format!(
                "Redis at {} is a Cluster's node: write `mode = \"cluster\"`",
                server.address
            )));
        }
        Ok(format!("{name} {version}"))
    }

    fn warn(&self, server: &Server, options: &RedisOptions, warnings: &mut Vec<Warning>) {
        let mut warn = |sentence: String| warnings.push(Warning(format!("Redis at {} {sentence}", server.address)));
        if self.info("aof_enabled") != "1" {
            warn(
                "keeps no append-only file: a restart loses everything since its last snapshot. Set `appendonly yes`"
                    .into(),
            );
        } else if self.config("appendfsync") == Some("no") {
            warn(
                "does not flush its append-only file (appendfsync no): set `appendfsync everysec`, or `always`".into(),
            );
        }
        let replicas = self.info("connected_slaves").parse::<u64>().unwrap_or_default();
        if replicas < u64::from(options.replicas) {
            warn(format!(
                "has {replicas} replicas, and {} must confirm each commit (`replicas`): until they are there, no effect \
                 begins",
                options.replicas
            ));
        }
        if options.replicas == 0 && replicas > 0 {
            warn(
                "has replicas, but none has to confirm a commit: set `replicas = 1`, or a failover loses the last \
                  writes, effects that have begun among them"
                    .into(),
            );
        }
        if options.replicas == 0 && replicas == 0 && options.mode != RedisMode::Standalone {
            warn("has no replicas: nothing takes over when it is lost".into());
        }
        if replicas > 0 && self.config("min-replicas-to-write") == Some("0") {
            warn(
                "goes on writing when it has lost its replicas (min-replicas-to-write 0), also when they have chosen \
                  another master: set `min-replicas-to-write 1`"
                    .into(),
            );
        }
        if options.mode == RedisMode::Cluster && self.config("cluster-require-full-coverage") == Some("yes") {
            warn(
                "stops serving all slots when some have no server (cluster-require-full-coverage yes): with `no`, the \
                  partitions elsewhere go on"
                    .into(),
            );
        }
        if self.config.is_none() {
            warn("does not let CONFIG be asked: appendfsync, min-replicas-to-write and cluster-require-full-coverage could \
                  not be checked"
                .into());
        }
    }
}

/// Makes the store where there is none; gives its partitions and its id.
async fn meta(servers: &Servers) -> Result<(u16, String), StoreError> {
    let options = &servers.options;
    let key = format!("{}:meta", options.prefix);
    let mut request = invoke(&META, [&key]);
    request.arg(FORMAT).arg(options.partitions).arg(format!("{:032x}", rand::random::<u128>()));
    let (format, partitions, store): (Option<String>, Option<u16>, Option<String>) =
        answer(servers.call_key(&key, &request).await)?;
    let format = format.unwrap_or_default();
    if format != FORMAT.to_string() {
        return Err(StoreError::Unsuitable(format!(
            "the Redis holds a store of format {format} under {key}, and this version knows format {FORMAT}: run the \
             version that wrote it, or use another `prefix`"
        )));
    }
    match (partitions, store) {
        (Some(partitions), Some(store)) if partitions > 0 => Ok((partitions, store)),
        _ => Err(StoreError::Corrupt(format!("{key} does not say how many partitions there are"))),
    }
}
