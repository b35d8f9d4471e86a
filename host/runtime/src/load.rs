//! From bytes to a generation: every reason not to load a plugin, before it is compiled where that can be known.

use std::sync::Arc;

use secrecy::SecretString;
use thiserror::Error;

use crate::capabilities::config;
use crate::capabilities::policy::Policy;
use crate::capabilities::redact::Redactor;
use crate::compile::CompileError;
use crate::contract::{Contract, PACKAGE};
use crate::credentials::{Attached, Credential, Known};
use crate::engine::Inner;
use crate::imports;
use crate::inspect;
use crate::limits;
use crate::plugin::{Generation, Plugin, PluginSpec, Role};
use crate::state::Facts;

/// Why a plugin was not loaded; each one says what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file is too large.
    #[error("plugin `{plugin}` has {size} MiB; {} MiB are the most: build it in release mode and without debug information", limits::COMPONENT >> 20)]
    Size {
        /// The plugin.
        plugin: String,
        /// Its file, MiB.
        size: usize,
    },
    /// The bytes are no component.
    #[error("plugin `{plugin}` is no WebAssembly component: {why}")]
    NoComponent {
        /// The plugin.
        plugin: String,
        /// What it is instead, and the remedy.
        why: String,
    },
    /// It exports nothing that the gateway could call.
    #[error("plugin `{plugin}` has no role: it must export handler, desk or inspector of {PACKAGE}")]
    NoRole {
        /// The plugin.
        plugin: String,
    },
    /// It was built for a version of the contract that this host does not know.
    #[error(
        "plugin `{plugin}` was built for version {version} of the plugin contract ({PACKAGE}/{interface}), and this \
         gateway knows {known}: build the plugin for one of those, or run a gateway that knows {version}"
    )]
    Contract {
        /// The plugin.
        plugin: String,
        /// The interface that told.
        interface: String,
        /// The plugin's version.
        version: String,
        /// What this host knows, separated by commas.
        known: String,
    },
    /// It imports what it may not have.
    #[error("plugin `{plugin}` imports {import}, but {why}; {remedy}")]
    Import {
        /// The plugin.
        plugin: String,
        /// The import.
        import: String,
        /// Why it may not have it.
        why: String,
        /// The lines to add to the configuration, or another way.
        remedy: String,
    },
    /// It starts with more memory than it may have.
    #[error(
        "plugin `{plugin}` starts with {needed} MiB of memory and may have {allowed} MiB: allow it at least {needed} \
         MiB{}", if *needed > limits::MEMORY_MOST >> 20 { ", which is more than any plugin gets" } else { "" }
    )]
    Memory {
        /// The plugin.
        plugin: String,
        /// What it starts with, MiB.
        needed: usize,
        /// What it may have, MiB.
        allowed: usize,
    },
    /// One of its tables is too large from the start.
    #[error(
        "plugin `{plugin}` starts with a table of {needed} elements; {} are the most: build it with fewer functions",
        limits::TABLE_ELEMENTS
    )]
    Table {
        /// The plugin.
        plugin: String,
        /// What it starts with.
        needed: u64,
    },
    /// A limit is set beyond what the host can give.
    #[error("plugin `{plugin}`: the limit `{limit}` can be {most} at the most")]
    Limit {
        /// The plugin.
        plugin: String,
        /// Which limit.
        limit: &'static str,
        /// The most, with its unit.
        most: String,
    },
    /// A credential cannot be sent.
    #[error("{0}")]
    Credential(String),
    /// The compiler refused it.
    #[error("plugin `{plugin}` cannot be compiled: {why}")]
    Compile {
        /// The plugin.
        plugin: String,
        /// What the compiler said.
        why: String,
    },
    /// Compiling it takes more than it may.
    #[error(
        "plugin `{plugin}` is not compiled: {why}, which is the most for a component of its size. Ordinary code takes \
         far less: build it in release mode, and look for generated functions with tens of thousands of lines"
    )]
    CompileLimit {
        /// The plugin.
        plugin: String,
        /// Which limit, and its number.
        why: String,
    },
    /// Its functions have not the types of the contract.
    #[error(
        "plugin `{plugin}` does not fit version {version} of the plugin contract: {why}; build it with the contract as \
         released"
    )]
    Link {
        /// The plugin.
        plugin: String,
        /// The version that it says it is for.
        version: &'static str,
        /// What does not fit.
        why: String,
    },
    /// A fault of the host itself.
    #[error("the plugin was not loaded: {0}")]
    Host(String),
}

/// Checks and compiles a plugin. Takes seconds for a large one: not for an async thread.
pub(crate) fn load(engine: &Arc<Inner>, spec: PluginSpec) -> Result<Plugin, LoadError> {
    let plugin = || spec.name.clone();
    let bytes = spec.component.as_ref();
    if bytes.len() > limits::COMPONENT {
        return Err(LoadError::Size { plugin: plugin(), size: bytes.len() >> 20 });
    }
    if bytes.len() > limits::COMPONENT_LARGE {
        tracing::warn!(plugin = spec.name, mib = bytes.len() >> 20, "a large component takes long to compile");
    }
    check_limits(&spec)?;
    let outside = inspect::outside(bytes)
        .map_err(|no| LoadError::NoComponent { plugin: plugin(), why: no.sentence(bytes.len()) })?;
    let (contract, roles) = contract(engine, &spec.name, &outside)?;
    imports::check(&spec.name, &outside.imports, &spec.grants).map_err(|refused| LoadError::Import {
        plugin: plugin(),
        import: refused.import,
        why: refused.why,
        remedy: refused.remedy,
    })?;
    if outside.memory > spec.limits.memory as u64 {
        let needed = usize::try_from(outside.memory.div_ceil(1 << 20)).unwrap_or(usize::MAX);
        return Err(LoadError::Memory { plugin: plugin(), needed, allowed: spec.limits.memory >> 20 });
    }
    if outside.table > limits::TABLE_ELEMENTS as u64 {
        return Err(LoadError::Table { plugin: plugin(), needed: outside.table });
    }
    let attach = |credential: &Credential| Attached::new(credential, &engine.credentials);
    let policy = Policy::new(&spec.name, &spec.grants.http, attach).map_err(LoadError::Credential)?;

    let runtime = engine.handle().map_err(|stop| LoadError::Host(stop.to_string()))?;
    let component = engine.workshop.component(&engine.wasmtime, runtime, bytes).map_err(|error| match error {
        CompileError::Refused(why) => LoadError::Compile { plugin: plugin(), why },
        CompileError::Limit(why) => LoadError::CompileLimit { plugin: plugin(), why },
        CompileError::Host(why) => LoadError::Host(why),
    })?;
    let bound = contract.bind(&component, &roles).map_err(|error| LoadError::Link {
        plugin: plugin(),
        version: contract.version(),
        why: format!("{error:#}"),
    })?;
    let redactor = Redactor::new(secrets(&spec), tokens(&policy));
    let facts = Facts {
        settings: Arc::new(config::variables(&spec.settings)),
        policy: Arc::new(policy),
        media_granted: spec.grants.media,
        keyvalue: spec.grants.keyvalue,
        kept: engine.keyvalue.clone(),
        redactor: Arc::new(redactor),
        name: spec.name,
        generation: spec.generation,
        secrets: spec.secrets,
        limits: spec.limits,
        media: engine.media.clone(),
        egress: engine.egress.clone(),
    };
    Ok(Plugin {
        generation: Arc::new(Generation {
            engine: engine.clone(),
            facts: Arc::new(facts),
            roles,
            contract: contract.version(),
            bound: Some(bound),
        }),
    })
}

fn check_limits(spec: &PluginSpec) -> Result<(), LoadError> {
    let refuse = |limit, most: String| Err(LoadError::Limit { plugin: spec.name.clone(), limit, most });
    let body = format!("{} MiB", limits::BODY_MOST >> 20);
    if spec.limits.memory > limits::MEMORY_MOST {
        return refuse("memory", format!("{} MiB", limits::MEMORY_MOST >> 20));
    }
    if spec.limits.cpu > limits::WALL_MOST {
        return refuse("cpu", format!("{} s", limits::WALL_MOST.as_secs()));
    }
    if spec.limits.request_body > limits::BODY_MOST {
        return refuse("request_body", body);
    }
    if spec.limits.response_body > limits::BODY_MOST {
        return refuse("response_body", body);
    }
    Ok(())
}

/// The version that a component was built for, and its roles in it.
fn contract<'a>(
    engine: &'a Inner,
    plugin: &str,
    outside: &inspect::Outside,
) -> Result<(&'a dyn Contract, Vec<Role>), LoadError> {
    let own = |name: &String| {
        let (interface, version) = name.strip_prefix(PACKAGE)?.strip_prefix('/')?.split_once('@')?;
        Some((interface.to_owned(), version.to_owned()))
    };
    let exports: Vec<_> = outside.exports.iter().filter_map(own).collect();
    let imports = outside.imports.iter().filter_map(own);
    let role = |role: &Role| exports.iter().find(|(interface, _)| interface == role.as_str());
    let roles: Vec<Role> = Role::ALL.into_iter().filter(|each| role(each).is_some()).collect();
    let Some((interface, version)) = roles.first().and_then(role) else {
        return Err(LoadError::NoRole { plugin: plugin.to_owned() });
    };
    let refuse = |interface: &str, version: &str| LoadError::Contract {
        plugin: plugin.to_owned(),
        interface: interface.to_owned(),
        version: version.to_owned(),
        known: engine.contracts.iter().map(|known| known.version()).collect::<Vec<_>>().join(", "),
    };
    let known = engine.contracts.iter().find(|known| known.version() == version);
    let known = known.ok_or_else(|| refuse(interface, version))?;
    // One component, one version: its types are one set.
    for (interface, version) in exports.iter().cloned().chain(imports) {
        if version != known.version() {
            return Err(refuse(&interface, &version));
        }
    }
    Ok((known.as_ref(), roles))
}

/// Everything that must never stand in a plugin's log: its secrets, and its credentials in the form that they travel in.
fn secrets(spec: &PluginSpec) -> Vec<SecretString> {
    let credentials = spec.grants.http.iter().filter_map(|grant| grant.credential.as_ref());
    spec.secrets.values().flatten().cloned().chain(credentials.flat_map(Credential::secrets)).collect()
}

/// The same of what its credentials get at run time.
fn tokens(policy: &Policy) -> Vec<Arc<Known>> {
    let known = policy.credentials().filter_map(|credential| match credential {
        Attached::OAuth2(source) => Some(source.known()),
        Attached::Header(..) | Attached::AwsSigV4(_) => None,
    });
    known.collect()
}
