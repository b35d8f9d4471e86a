//! What the commands that ship plugins share: reading components, keys and policies, and reaching registries.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use indicatif::ProgressBar;
use patchbay_artefact::component::{self, COMPONENT_MOST};
use patchbay_artefact::lock::LockError;
use patchbay_artefact::registry::{Login, Progress, RegistryError};
use patchbay_artefact::signature::{self, Signature};
use patchbay_artefact::{Candidate, Digest, KeyId, Policy, Reference, Registry, SigningKey, VerifyingKey};
use secrecy::{ExposeSecret, SecretString};

use crate::cli::failure::{failed, refused, wrong};
use crate::cli::output::bytes;

/// How a registry is reached.
#[derive(Clone, Debug, clap::Args)]
pub struct RegistryArgs {
    /// The user's name at the registry; by default what `docker login` has kept.
    #[arg(long, value_name = "NAME", env = "PATCHBAY_REGISTRY_USER")]
    pub user: Option<String>,
    /// The user's password or token. In the environment nobody else on the machine sees it.
    #[arg(long, value_name = "WORD", env = "PATCHBAY_REGISTRY_PASSWORD", hide_env_values = true, value_parser = secret)]
    pub password: Option<SecretString>,
    /// Speak plain HTTP to a registry on another machine. One on this machine is spoken to so anyway.
    #[arg(long)]
    pub plain_http: bool,
}

#[allow(clippy::unnecessary_wraps, reason = "clap asks for a result")]
fn secret(text: &str) -> Result<SecretString, String> {
    Ok(SecretString::from(text))
}

impl RegistryArgs {
    /// The repository of this reference.
    ///
    /// # Errors
    /// When only half of a login is given, or docker's file is damaged.
    pub fn repository(&self, reference: &Reference) -> anyhow::Result<Registry> {
        let login = match (&self.user, &self.password) {
            (Some(user), Some(password)) => Some(Login::new(user, password.clone())),
            (None, None) => Login::of_docker(reference.host()).map_err(|error| wrong(error.to_string()))?,
            _ => {
                return Err(wrong(
                    "a login has a name and a password: set PATCHBAY_REGISTRY_USER and PATCHBAY_REGISTRY_PASSWORD",
                ));
            }
        };
        Registry::of(reference, login, self.plain_http).map_err(from_registry)
    }
}

/// Whom to believe.
#[derive(Clone, Debug, clap::Args)]
pub struct TrustArgs {
    /// The policy that says who may sign what.
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    pub policy: Option<PathBuf>,
    /// The public key (PEM) of the only signer that is believed.
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

impl TrustArgs {
    /// What was asked for; none when nothing was.
    ///
    /// # Errors
    /// When the policy or a key cannot be used.
    pub fn policy(&self) -> anyhow::Result<Option<Policy>> {
        match (&self.policy, &self.key) {
            (Some(file), _) => Policy::read(file).map(Some).map_err(|error| wrong(error.to_string())),
            (None, Some(file)) => Ok(Some(Policy::of_key(file, verifying_key(file)?))),
            (None, None) => Ok(None),
        }
    }
}

/// A component in hand, from a file or a registry.
#[derive(Debug)]
pub struct Held {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Their digest.
    pub digest: Digest,
    /// The name in its manifest; of one without, what its file or its repository is called.
    pub name: String,
    /// Its version, if it says one.
    pub version: Option<String>,
    /// The signatures over it, good or not.
    pub signatures: Vec<Signature>,
}

impl Held {
    /// Takes bytes in hand.
    ///
    /// # Errors
    /// When they are no component.
    pub fn new(bytes: Vec<u8>, called: &str, signatures: Vec<Signature>) -> anyhow::Result<Self> {
        let manifest = component::manifest(&bytes).map_err(|error| failed(format!("{called}: {error}")))?;
        component::outside(&bytes).map_err(|error| failed(format!("{called}: {error}")))?;
        let digest = Digest::of(&bytes);
        let (name, version) = match manifest {
            Some(manifest) => (manifest.name, Some(manifest.version)),
            None => (called.to_owned(), None),
        };
        Ok(Self { bytes, digest, name, version, signatures })
    }

    /// A component's file, with the signatures beside it.
    ///
    /// # Errors
    /// When it cannot be read, or is no component.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let bytes = read_component(file)?;
        let signatures = signature::read(&signature::file_of(file)).map_err(|error| failed(error.to_string()))?;
        let called = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self::new(bytes, &called, signatures)
    }

    /// Judges it. Gives the key that signed it.
    ///
    /// # Errors
    /// Exit code 3 when the policy refuses it.
    pub fn judge(&self, policy: &Policy, reference: Option<&Reference>) -> anyhow::Result<Option<KeyId>> {
        let candidate = Candidate {
            name: &self.name,
            reference,
            digest: &self.digest,
            bytes: &self.bytes,
            signatures: &self.signatures,
        };
        policy.judge(&candidate).map(|verdict| verdict.by).map_err(|refusal| refused(refusal.to_string()))
    }

    /// `acme-router 1.2.0 (54.0 KiB)`
    #[must_use]
    pub fn title(&self) -> String {
        let version = self.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        format!("{}{version} ({})", self.name, bytes(self.bytes.len() as u64))
    }
}

/// A reference, with or without `oci:`.
///
/// # Errors
/// When it is none.
pub fn reference(text: &str) -> anyhow::Result<Reference> {
    text.parse::<Reference>().map_err(|error| wrong(error.to_string()))
}

/// The bytes of a component's file, if they are not too many.
///
/// # Errors
/// When it cannot be read.
pub fn read_component(file: &Path) -> anyhow::Result<Vec<u8>> {
    let unreadable = |error: std::io::Error| {
        failed(format!(
            "{} cannot be read ({error}); name the component's file, as `patchbay plugin pack` has written it",
            file.display()
        ))
    };
    let size = std::fs::metadata(file).map_err(unreadable)?.len();
    if size > COMPONENT_MOST as u64 {
        let most = bytes(COMPONENT_MOST as u64);
        return Err(failed(format!("{} has {}, and a component may have {most}", file.display(), bytes(size))));
    }
    std::fs::read(file).map_err(unreadable)
}

/// A private key from a file, or from a variable: `env:NAME`.
///
/// # Errors
/// When it cannot be read, or is none.
pub fn signing_key(text: &str) -> anyhow::Result<SigningKey> {
    let content = match text.strip_prefix("env:") {
        Some(name) => std::env::var(name)
            .map_err(|_| wrong(format!("the variable {name} is not set; put the private key (PEM) into it")))?,
        None => std::fs::read_to_string(text).map_err(|error| {
            wrong(format!("{text} cannot be read ({error}); `patchbay plugin keygen NAME` makes NAME.key and NAME.pub"))
        })?,
    };
    let content = SecretString::from(content);
    SigningKey::from_pem(content.expose_secret()).map_err(|error| wrong(format!("{text}: {error}")))
}

/// A public key from a file.
///
/// # Errors
/// When it cannot be read, or is none.
pub fn verifying_key(file: &Path) -> anyhow::Result<VerifyingKey> {
    let text =
        std::fs::read_to_string(file).map_err(|error| wrong(format!("{} cannot be read ({error})", file.display())))?;
    VerifyingKey::from_pem(&text).map_err(|error| wrong(format!("{}: {error}", file.display())))
}

/// Signs a component's file, unless this key has done so. The signatures are in `FILE.sig` then, which is named.
///
/// # Errors
/// When the file cannot be written.
pub fn sign_file(file: &Path, held: &mut Held, key: &SigningKey) -> anyhow::Result<PathBuf> {
    let beside = signature::file_of(file);
    let good = |signature: &Signature| signature.is_by(key.public(), &held.bytes, &held.digest);
    if !held.signatures.iter().any(good) {
        held.signatures.push(Signature::make(&held.bytes, key).context("the component could not be signed")?);
        signature::write(&beside, &held.signatures).map_err(|error| failed(error.to_string()))?;
    }
    Ok(beside)
}

/// A bar as a registry tells of its progress.
#[must_use]
pub fn progress(bar: &ProgressBar) -> Progress {
    let bar = bar.clone();
    Arc::new(move |bytes| bar.inc(bytes))
}

/// What went wrong with a registry.
#[must_use]
pub fn from_registry(error: RegistryError) -> anyhow::Error {
    match error {
        RegistryError::Tagless(_) | RegistryError::Login(_) => wrong(error.to_string()),
        error => failed(error.to_string()),
    }
}

/// What went wrong with a lock file.
#[must_use]
pub fn from_lock(error: LockError) -> anyhow::Error {
    match error {
        LockError::Moved { .. } => refused(error.to_string()),
        LockError::Damaged { .. } => wrong(error.to_string()),
        LockError::File { .. } => failed(error.to_string()),
    }
}
