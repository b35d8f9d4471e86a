//! Components from where they lie, and whether the operator's policy allows them.

use std::path::{Path, PathBuf};

use anyhow::Context;
use bytes::Bytes;
use patchbay_artefact::registry::Login;
use patchbay_artefact::{Candidate, Digest, Lock, Policy, Reference, Signature, signature};

pub(super) use super::record::Trust;
use super::refused::Refused;
use crate::config::{self, Config};
use crate::pulling::Puller;

/// A component, and what is known of where it comes from.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) component: Bytes,
    pub(super) digest: Digest,
    /// For people.
    pub(super) source: String,
    /// The registry that it comes from.
    pub(super) reference: Option<Reference>,
    pub(super) signatures: Vec<Signature>,
    pub(super) trust: Trust,
}

impl Fetched {
    /// One that came with a request, with the signatures that came along.
    pub(super) fn uploaded(component: Bytes, signatures: Vec<Signature>) -> Self {
        let digest = Digest::of(&component);
        let source = format!("upload of {}", digest.short());
        Self { component, digest, source, reference: None, signatures, trust: Trust::Sent }
    }
}

/// Reads what a source names.
///
/// # Errors
/// A sentence that says what cannot be read.
pub(super) async fn fetch(
    config: &Config,
    name: &str,
    source: &config::Source,
    trust: Trust,
) -> anyhow::Result<Fetched> {
    match source {
        config::Source::Builtin(builtin) => {
            let component = crate::serve::build::component(name, source)?;
            let digest = Digest::of(&component);
            let source = format!("builtin:{builtin}");
            Ok(Fetched { component, digest, source, reference: None, signatures: Vec::new(), trust: Trust::Builtin })
        }
        config::Source::File(path) => file(name, path, trust).await,
        config::Source::Registry(reference) => pull(config, name, reference, trust).await,
    }
}

async fn file(name: &str, path: &Path, trust: Trust) -> anyhow::Result<Fetched> {
    let path = path.to_owned();
    let shown = format!("file:{}", path.display());
    let read = tokio::task::spawn_blocking(move || read_file(&path)).await.context("the file was not read")?;
    let (component, signatures) = read.with_context(|| format!("plugin `{name}`"))?;
    let digest = Digest::of(&component);
    Ok(Fetched { component, digest, source: shown, reference: None, signatures, trust })
}

fn read_file(path: &Path) -> anyhow::Result<(Bytes, Vec<Signature>)> {
    let component = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let signatures = signature::read(&signature::file_of(path))?;
    Ok((component.into(), signatures))
}

/// Pulls from a registry: by the digest in the lock file, where it has one for a source of the configuration.
async fn pull(config: &Config, name: &str, reference: &Reference, trust: Trust) -> anyhow::Result<Fetched> {
    let mut wanted = reference.clone();
    if trust == Trust::Configured
        && let Some(entry) = Lock::read(&config.deployments.lock)?.get(reference)
    {
        wanted = reference.at(entry.digest);
    }
    let login = Login::find(wanted.host())?;
    let pulled = Puller::default().pull(&wanted, login.as_ref()).await;
    let pulled = pulled.with_context(|| format!("plugin `{name}`: cannot pull oci:{wanted}"))?;
    // What ran is to be seen later, when the tag may have been moved.
    let source = format!("oci:{}", reference.at(pulled.digest));
    let (component, digest) = (Bytes::from(pulled.bytes), pulled.component);
    Ok(Fetched { component, digest, source, reference: Some(wanted), signatures: pulled.signatures, trust })
}

/// Asks the policy. Gives what it says, for people.
///
/// # Errors
/// It does not allow the component, or there is none and the component needs a signature.
pub(super) fn judge(config: &Config, name: &str, fetched: &Fetched) -> Result<String, Refused> {
    if fetched.trust == Trust::Builtin {
        return Ok("ships with the gateway".into());
    }
    let Some(file) = &config.deployments.policy else {
        if config.deployments.unsigned || fetched.trust == Trust::Configured {
            return Ok("no signature is asked for".into());
        }
        return Err(Refused::Forbidden(
            "no policy says whose components may be deployed here: write policy = \"policy.toml\" under [deployments] and \
             name the vendors' keys in that file, or name the component in the configuration"
                .into(),
        ));
    };
    let policy = policy(file)?;
    let named = patchbay_artefact::component::manifest(&fetched.component).ok().flatten();
    let called = named.map_or_else(|| name.to_owned(), |manifest| manifest.name);
    let candidate = Candidate {
        name: &called,
        reference: fetched.reference.as_ref(),
        digest: &fetched.digest,
        bytes: &fetched.component,
        signatures: &fetched.signatures,
    };
    match policy.judge(&candidate) {
        Ok(verdict) => Ok(match (verdict.by, verdict.key) {
            (Some(id), Some(key)) => format!("signed by {} ({id})", key.display()),
            _ => "the policy asks for no signature".into(),
        }),
        Err(refusal) => Err(Refused::Forbidden(refusal.to_string())),
    }
}

/// Read anew each time: a key that was taken out counts no more.
fn policy(file: &PathBuf) -> Result<Policy, Refused> {
    Policy::read(file).map_err(|error| Refused::Invalid(format!("the policy under [deployments]: {error}")))
}
