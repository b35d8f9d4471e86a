//! The configuration's sections become plugins, chains, desks and numbers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use bytes::Bytes;
use patchbay_model::conversation::Channel;
use patchbay_runtime::{Credential, Grants, HostPattern, HttpGrant, Limits, PluginSpec, Role};
use patchbay_store::embedded::EmbeddedOptions;
use patchbay_store::intake::{Intake, IntakeOptions};
use patchbay_store::{EmbeddedStore, RedisMode, RedisOptions, RedisStore, RedisTls, Retention, Store, StoreError};
use patchbay_whatsapp::graph::{Graph, GraphOptions};
use patchbay_whatsapp::normalise::Channels;
use patchbay_whatsapp::signature::AppSecrets;
use secrecy::SecretString;

use crate::config::{self, Config, SecretRef, Source, StoreKind};
use crate::engine::chain::{Chain, Step};
use crate::engine::slot::Slot;
use crate::engine::{ChannelLine, DeskLine, NodeName, Routing};
use crate::http::Live;
use crate::token::TokenVerifier;

use super::deploy::Ready;
use super::lazy::{LazyStore, Open};

/// How long a node keeps what a shared store has settled: much longer than a failover takes to be noticed.
const SETTLED_KEPT: std::time::Duration = std::time::Duration::from_secs(60);

/// How long one request to the Graph API may take. Meta answers sends within seconds; a hung connection is uncertain.
const GRAPH_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(20);

/// The store that the configuration names.
pub(crate) async fn store(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    match config.store.kind {
        StoreKind::Embedded => {
            let path = config.store_path();
            let options = EmbeddedOptions {
                partitions: config.store.partitions,
                quick_repair: config.store.quick_repair,
                ..EmbeddedOptions::default()
            };
            let store = EmbeddedStore::open(&path, options);
            Ok(Arc::new(store.with_context(|| format!("cannot open the store {}", path.display()))?))
        }
        StoreKind::Redis => redis(config).await,
    }
}

/// The Redis that nodes share. One that does not answer is waited for in the background.
async fn redis(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    let Some(redis) = &config.store.redis else {
        bail!("kind = \"redis\" under [store] needs a section [store.redis]")
    };
    let options = redis_options(redis, config.store.partitions)?;
    let (partitions, lease) = (options.partitions, options.lease);
    let open: Open = Box::new(move || Box::pin(connect(options.clone())));
    match open().await {
        Ok(store) => Ok(store),
        Err(error @ StoreError::Unavailable(_)) => {
            tracing::error!(%error, "the Redis under [store.redis] cannot be used yet; trying again");
            Ok(Arc::new(LazyStore::new(open, &error, partitions, lease)))
        }
        Err(error) => Err(error).context("cannot use the Redis under [store.redis]"),
    }
}

async fn connect(options: RedisOptions) -> Result<Arc<dyn Store>, StoreError> {
    let (store, warnings) = RedisStore::connect(options).await?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok(Arc::new(store))
}

fn redis_options(redis: &config::Redis, partitions: u16) -> anyhow::Result<RedisOptions> {
    let secret = |reference: &Option<SecretRef>| reference.as_ref().map(SecretRef::resolve).transpose();
    let authorities = |path: &PathBuf| {
        std::fs::read(path).with_context(|| format!("cannot read {} (`tls_ca` under [store.redis])", path.display()))
    };
    Ok(RedisOptions {
        mode: match redis.mode {
            config::RedisMode::Standalone => RedisMode::Standalone,
            config::RedisMode::Sentinel => RedisMode::Sentinel,
            config::RedisMode::Cluster => RedisMode::Cluster,
        },
        addresses: redis.addresses.clone(),
        master: redis.master.clone(),
        database: redis.database,
        username: redis.username.clone(),
        password: secret(&redis.password)?,
        sentinel_password: secret(&redis.sentinel_password)?,
        tls: if redis.tls { Some(RedisTls { ca: redis.tls_ca.as_ref().map(authorities).transpose()? }) } else { None },
        prefix: redis.prefix.clone(),
        partitions,
        replicas: redis.replicas,
        lease: redis.lease.get(),
    })
}

/// What takes in what the webhooks bring, with a log of its own in the data folder if the store is elsewhere.
pub(super) async fn intake(config: &Config, store: &Arc<dyn Store>, data: &std::path::Path) -> anyhow::Result<Intake> {
    let options = IntakeOptions {
        folder: Some(data.join("spool")),
        accept_while_away: config.spool.accept,
        max_bytes: config.spool.max.get(),
        keep: SETTLED_KEPT,
    };
    let store = Arc::clone(store);
    let opened = tokio::task::spawn_blocking(move || Intake::open(store, &options)).await;
    opened.context("the spool was not opened")?.context("cannot open the spool")
}

/// This process among those that share the store.
pub(super) fn node(config: &Config) -> NodeName {
    let machine = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name = config.gateway.node_name.clone().unwrap_or_else(machine);
    NodeName { id: format!("{:016x}", rand::random::<u64>()), name }
}

fn retention(config: &config::Retention) -> Retention {
    Retention {
        raw: Some(config.raw.get()),
        events: Some(config.events.get()),
        conversations: Some(config.conversations.get()),
        dead_letters: Some(config.dead_letters.get()),
        reports: Some(config.reports.get()),
    }
}

/// What a plugin of the configuration is loaded from, as this generation of it.
///
/// # Errors
/// When its file, a secret or a credential cannot be read.
pub(crate) fn spec(config: &Config, name: &str, generation: u64, component: Bytes) -> anyhow::Result<PluginSpec> {
    let Some(plugin) = config.plugins.get(name) else { bail!("there is no [plugins.{name}]") };
    Ok(PluginSpec {
        name: name.to_owned(),
        generation,
        component,
        settings: plugin.settings.clone(),
        grants: grants(&config.credentials, name, &plugin.grants)?,
        secrets: secrets(plugin)?,
        limits: limits(&plugin.limits),
    })
}

/// The bytes of a plugin of the configuration.
///
/// # Errors
/// When they cannot be read.
pub(crate) fn component(name: &str, source: &Source) -> anyhow::Result<Bytes> {
    match source {
        Source::Builtin(builtin) => match patchbay_builtin::component(builtin) {
            Some(bytes) => Ok(Bytes::from_static(bytes)),
            None => bail!(
                "plugin `{name}`: no plugin called `{builtin}` ships with this gateway; there are {}",
                patchbay_builtin::names().join(", ")
            ),
        },
        Source::File(path) => {
            let bytes =
                std::fs::read(path).with_context(|| format!("plugin `{name}`: cannot read {}", path.display()))?;
            Ok(Bytes::from(bytes))
        }
        Source::Registry(reference) => bail!("plugin `{name}`: oci:{reference} is not fetched here"),
    }
}

/// What a plugin is granted, with the secrets of the credentials looked up.
///
/// # Errors
/// When a host is none, or a credential is not there or cannot be read.
pub(crate) fn grants(
    credentials: &BTreeMap<String, config::Credential>,
    plugin: &str,
    grants: &config::Grants,
) -> anyhow::Result<Grants> {
    let mut http = Vec::with_capacity(grants.http.len());
    for grant in &grants.http {
        let credential = grant.credential.as_ref().map(|name| credential(credentials, plugin, name)).transpose()?;
        http.push(HttpGrant {
            host: HostPattern::parse(&grant.host).with_context(|| format!("plugin `{plugin}`: a grant's host"))?,
            ports: grant.ports.clone(),
            methods: grant.methods.iter().map(|method| method.to_ascii_uppercase()).collect(),
            paths: grant.paths.clone(),
            plain_http: grant.plain_http,
            private_network: grant.private_network,
            rehearsal: grant.rehearsal,
            credential,
        });
    }
    Ok(Grants { http, media: grants.media, keyvalue: grants.keyvalue.map(config::Size::get) })
}

fn credential(
    credentials: &BTreeMap<String, config::Credential>,
    plugin: &str,
    name: &str,
) -> anyhow::Result<Credential> {
    let Some(credential) = credentials.get(name) else {
        bail!("plugin `{plugin}`: there is no [credentials.{name}]");
    };
    super::credentials::resolve(name, credential).with_context(|| format!("[credentials.{name}]"))
}

fn secrets(plugin: &config::Plugin) -> anyhow::Result<BTreeMap<String, Vec<SecretString>>> {
    let mut resolved = BTreeMap::new();
    for (name, references) in &plugin.secrets {
        let secrets: Result<Vec<_>, _> = references.as_slice().iter().map(|reference| reference.resolve()).collect();
        resolved.insert(name.clone(), secrets?);
    }
    Ok(resolved)
}

fn limits(limits: &config::Limits) -> Limits {
    let mut effective = Limits::default();
    if let Some(memory) = limits.memory {
        effective.memory = usize::try_from(memory.get()).unwrap_or(usize::MAX);
    }
    if let Some(cpu) = limits.cpu {
        effective.cpu = cpu.get();
    }
    effective
}

/// Where things go.
pub(super) fn routing(config: &Config, plugins: &dyn Ready) -> anyhow::Result<Routing> {
    Ok(Routing {
        channels: numbers(config)?,
        desks: desks(config, plugins)?,
        chains: chains(config, plugins)?,
        read_receipts: config.whatsapp.read_receipts,
        retry: config.retry.clone(),
        utility_templates: config.whatsapp.utility_templates.iter().cloned().collect(),
        reconcile_wait: config.whatsapp.reconcile_wait.get(),
        retention: retention(&config.retention),
    })
}

fn numbers(config: &Config) -> anyhow::Result<BTreeMap<String, ChannelLine>> {
    let client = patchbay_whatsapp::graph::client().context("cannot build the client for the Graph API")?;
    let mut lines = BTreeMap::new();
    for number in &config.whatsapp.numbers {
        let options = GraphOptions {
            base_url: config.whatsapp.graph_url.clone(),
            version: config.whatsapp.graph_version.clone(),
            phone_number_id: number.phone_number_id.clone(),
            access_token: number.access_token.resolve()?,
            timeout: GRAPH_TIMEOUT,
        };
        let graph = Graph::with_client(options, client.clone())
            .with_context(|| format!("cannot build the Graph client of the number `{}`", number.name))?;
        let line = ChannelLine { channel: channel(number), graph, rate_per_second: config.whatsapp.rate_per_second };
        lines.insert(number.name.clone(), line);
    }
    Ok(lines)
}

fn channel(number: &config::Number) -> Channel {
    Channel {
        id: number.name.clone(),
        platform: "whatsapp".into(),
        account: number.business_account.clone().unwrap_or_default(),
        address: number.phone_number_id.clone(),
    }
}

fn desks(config: &Config, plugins: &dyn Ready) -> anyhow::Result<BTreeMap<String, DeskLine>> {
    let mut lines = BTreeMap::new();
    for (name, desk) in &config.desks {
        let slot = with_role(plugins, &desk.plugin, Role::Desk).with_context(|| format!("desk `{name}`"))?;
        let line = DeskLine {
            slot,
            concurrency: usize::try_from(desk.concurrency).unwrap_or(usize::MAX),
            rate_per_minute: desk.rate_per_minute,
            timeout: desk.timeout.get(),
            media_wait: desk.media_wait.get(),
        };
        lines.insert(name.clone(), line);
    }
    Ok(lines)
}

fn chains(config: &Config, plugins: &dyn Ready) -> anyhow::Result<Vec<Arc<Chain>>> {
    let mut chains = Vec::with_capacity(config.chains.len());
    for chain in &config.chains {
        let mut steps = Vec::with_capacity(chain.steps.len());
        for step in &chain.steps {
            let slot = with_role(plugins, &step.plugin, Role::Handler);
            let slot = slot.with_context(|| format!("chain `{}`", chain.name))?;
            steps.push(Step { slot, timeout: step.timeout.get(), on_failure: step.on_failure, share: step.share });
        }
        let fallback = chain.fallback.clone();
        chains.push(Arc::new(Chain { name: chain.name.clone(), matches: chain.matches.clone(), steps, fallback }));
    }
    Ok(chains)
}

fn with_role(plugins: &dyn Ready, name: &str, role: Role) -> anyhow::Result<Arc<Slot>> {
    let found = plugins.slots().get(name).zip(plugins.roles(name));
    let Some((slot, roles)) = found else { bail!("there is no [plugins.{name}]") };
    if !roles.contains(&role) {
        let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
        bail!("the plugin `{name}` is no {}: its roles are {}", role.as_str(), roles.join(", "));
    }
    Ok(Arc::clone(slot))
}

/// What the HTTP surface takes from the configuration.
pub(super) fn live(config: &Config) -> anyhow::Result<Live> {
    Ok(Live {
        app_secrets: app_secrets(config)?,
        verify_token: config.whatsapp.verify_token.resolve()?,
        // By Meta's id, the numbers that are ours.
        channels: Channels::new(config.whatsapp.numbers.iter().map(channel)),
        max_body: usize::try_from(config.gateway.max_body.get()).unwrap_or(usize::MAX),
        tokens: tokens(config)?,
        grace: config.gateway.shutdown_grace.get(),
    })
}

/// What Meta's webhooks are signed with.
fn app_secrets(config: &Config) -> anyhow::Result<AppSecrets> {
    let secrets: Result<Vec<_>, _> = config.whatsapp.app_secrets.iter().map(|secret| secret.resolve()).collect();
    Ok(AppSecrets::new(secrets?))
}

/// What bearer tokens are checked with.
fn tokens(config: &Config) -> anyhow::Result<Option<TokenVerifier>> {
    if config.admin.token_secrets.is_empty() {
        return Ok(None);
    }
    let secrets: Result<Vec<_>, _> = config.admin.token_secrets.iter().map(|secret| secret.resolve()).collect();
    Ok(Some(TokenVerifier::new(secrets?)))
}
