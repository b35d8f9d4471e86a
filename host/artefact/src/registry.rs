//! Registries: pushing and pulling components in the layout that `wkg` reads and writes, with cosign's signatures beside them.
//!
//! # Layout
//! - here: what is pushed and pulled
//! - [`login`]: who we are to a registry
//! - `layout`: the documents that it keeps
//! - `transport`: requests, by `oci-client`
//! - `error`: why it did not work
//!
//! A registry can make the process that asks it take memory, or stop: the gateway has a process of its own for this.

mod error;
mod layout;
pub mod login;
mod transport;

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;

pub use self::error::RegistryError;
use self::layout::{Descriptor, ImageManifest};
pub use self::login::Login;
use self::transport::{Access, Transport};
use crate::component::{self, COMPONENT_MOST};
use crate::digest::Digest;
use crate::key::SigningKey;
use crate::signature::{self, ImageSignature, SIGNATURES_MOST, Signature};
use crate::source::Reference;

/// The largest payload of a signature. Ours have some 250 bytes; cosign's may carry annotations.
const PAYLOAD_MOST: u64 = 64 << 10;

/// Is told how many more bytes have gone or come.
pub type Progress = Arc<dyn Fn(u64) + Send + Sync>;

/// For those who show no progress.
#[must_use]
pub fn silent() -> Progress {
    Arc::new(|_| ())
}

/// A repository of a registry.
pub struct Registry {
    transport: Transport,
    reference: Reference,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Registry({})", self.reference)
    }
}

/// What was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The digest of the image's manifest, by which it can be pulled.
    pub digest: Digest,
    /// The digest of the component.
    pub component: Digest,
}

/// What was pulled. Nobody has looked at the signatures yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// The component.
    pub bytes: Vec<u8>,
    /// The digest of the image's manifest.
    pub digest: Digest,
    /// The digest of the component.
    pub component: Digest,
    /// The signatures over it, good or not.
    pub signatures: Vec<Signature>,
}

/// An image's manifest, as it came.
struct Fetched {
    bytes: Vec<u8>,
    digest: Digest,
    manifest: ImageManifest,
}

impl Registry {
    /// The repository of this reference. Plain HTTP is spoken to a registry on this machine, and to another one only when
    /// it is asked for. Nothing is asked of it yet.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn of(reference: &Reference, login: Option<Login>, plain_http: bool) -> Result<Self, RegistryError> {
        Ok(Self { transport: Transport::new(reference, login, plain_http)?, reference: reference.clone() })
    }

    /// Pushes a component to the reference's tag, with what is in its `FILE.sig`. Pushing the same again changes nothing.
    ///
    /// # Errors
    /// When it is no component, the reference has no tag, or the registry does not take it.
    pub async fn push(
        &self,
        component: &Bytes,
        signatures: &[Signature],
        progress: &Progress,
    ) -> Result<Pushed, RegistryError> {
        let tag = match (self.reference.tag(), self.reference.digest()) {
            (Some(tag), None) => tag,
            _ => return Err(RegistryError::Tagless(self.reference.to_string())),
        };
        let (about, outside) = (component::manifest(component)?, component::outside(component)?);
        let blobs = signatures.iter().filter(|signature| matches!(signature, Signature::Blob(_)));
        let lines: Vec<String> = blobs.map(Signature::to_line).collect();
        let (config, manifest) = layout::image(component, &outside, about.as_ref(), &lines)?;
        self.introduce(&[Access::Pull, Access::Push]).await?;
        self.transport.put_blob(component.clone(), progress).await?;
        self.transport.put_blob(config.into(), &silent()).await?;
        let digest = self.transport.put_manifest(tag, serde_json::to_vec(&manifest)?).await?;
        Ok(Pushed { digest, component: Digest::of(component) })
    }

    /// Signs what the reference leads to, as `cosign sign --key` does. Gives the digest that was signed.
    ///
    /// # Errors
    /// When it is not there, or the registry does not take the signature.
    pub async fn sign(&self, key: &SigningKey) -> Result<Digest, RegistryError> {
        self.introduce(&[Access::Pull, Access::Push]).await?;
        let image = self.fetch().await?;
        let component = component_of(&self.reference, &image.manifest)?;
        let tag = layout::signature_tag(&image.digest);
        let mut layers = self.signature_layers(&tag).await?;
        let there = self.image_signatures(&layers, &image.bytes).await?;
        if there.iter().any(|signature| signature.is_by(key.public(), &[], &component)) {
            return Ok(image.digest);
        }
        let payload = signature::payload(&self.reference.place(), &image.digest);
        let signature = BASE64_STANDARD.encode(key.sign(&payload)?);
        layers.push(layout::signature_layer(&payload, &signature));
        self.transport.put_blob(payload.into(), &silent()).await?;
        let (config, manifest) = layout::signatures_image(layers)?;
        self.transport.put_blob(config.into(), &silent()).await?;
        self.transport.put_manifest(&tag, serde_json::to_vec(&manifest)?).await?;
        Ok(image.digest)
    }

    /// The digest of the manifest that the reference leads to now.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn resolve(&self) -> Result<Digest, RegistryError> {
        self.introduce(&[Access::Pull]).await?;
        Ok(self.fetch().await?.digest)
    }

    /// Pulls a component and the signatures over it. `begun` is told how many bytes it has.
    ///
    /// # Errors
    /// When it is not there, is no component, is larger than [`COMPONENT_MOST`], or is not what its digest says.
    pub async fn pull(&self, begun: impl FnOnce(u64) + Send, progress: &Progress) -> Result<Pulled, RegistryError> {
        self.introduce(&[Access::Pull]).await?;
        let image = self.fetch().await?;
        let digest = component_of(&self.reference, &image.manifest)?;
        let layer = image.manifest.layers.first();
        let layer = layer.ok_or_else(|| other(&self.reference, "its manifest names nothing"))?;
        let most = COMPONENT_MOST as u64;
        if layer.size > most {
            return Err(RegistryError::Large { host: self.transport.host.clone(), what: "a component", most });
        }
        begun(layer.size);
        let bytes = self.transport.blob(&digest, layer.size, "a component", progress).await?;
        let lines = layer.annotations.get(layout::FILE_SIGNATURES).map(String::as_str).unwrap_or_default();
        let mut signatures: Vec<Signature> = lines.split(',').filter_map(Signature::from_line).collect();
        let layers = self.signature_layers(&layout::signature_tag(&image.digest)).await?;
        signatures.extend(self.image_signatures(&layers, &image.bytes).await?);
        signatures.truncate(SIGNATURES_MOST);
        Ok(Pulled { bytes, digest: image.digest, component: digest, signatures })
    }

    async fn introduce(&self, accesses: &[Access]) -> Result<(), RegistryError> {
        for access in accesses {
            self.transport.introduce(*access).await?;
        }
        Ok(())
    }

    /// The image that the reference leads to.
    async fn fetch(&self) -> Result<Fetched, RegistryError> {
        let digest = self.reference.digest().map(Digest::to_string);
        let name = digest.as_deref().or(self.reference.tag()).unwrap_or_default();
        let bytes =
            self.transport.manifest(name).await?.ok_or_else(|| RegistryError::Absent(self.reference.to_string()))?;
        let found = Digest::of(&bytes);
        if let Some(wanted) = self.reference.digest() {
            self.check(wanted, &found)?;
        }
        let manifest = serde_json::from_slice(&bytes);
        let manifest =
            manifest.map_err(|_| other(&self.reference, "an index of several images, or another kind of thing"))?;
        Ok(Fetched { bytes, digest: found, manifest })
    }

    fn check(&self, wanted: &Digest, found: &Digest) -> Result<(), RegistryError> {
        if wanted == found {
            return Ok(());
        }
        Err(RegistryError::Changed { host: self.transport.host.clone(), wanted: *wanted, found: *found })
    }

    /// The layers of the image of signatures; none when there is no such image.
    async fn signature_layers(&self, tag: &str) -> Result<Vec<Descriptor>, RegistryError> {
        let Some(bytes) = self.transport.manifest(tag).await? else { return Ok(Vec::new()) };
        let manifest: Result<ImageManifest, _> = serde_json::from_slice(&bytes);
        Ok(manifest.map(|manifest| manifest.layers).unwrap_or_default())
    }

    /// The signatures in such layers, those that can be read.
    async fn image_signatures(&self, layers: &[Descriptor], image: &[u8]) -> Result<Vec<Signature>, RegistryError> {
        let mut signatures = Vec::new();
        let payloads = layers.iter().filter(|layer| layer.is_payload() && layer.size <= PAYLOAD_MOST);
        for layer in payloads.take(SIGNATURES_MOST) {
            let text = layer.annotations.get(layout::COSIGN_SIGNATURE);
            let signature = text.and_then(|text| BASE64_STANDARD.decode(text).ok());
            let (Some(signature), Ok(digest)) = (signature, layer.digest.parse()) else { continue };
            let payload = self.transport.blob(&digest, layer.size, "a signature", &silent()).await?;
            let image = ImageSignature { signature, payload, manifest: image.to_vec() };
            signatures.push(Signature::Image(Box::new(image)));
        }
        Ok(signatures)
    }
}

/// The digest of the component that an image consists of.
fn component_of(reference: &Reference, manifest: &ImageManifest) -> Result<Digest, RegistryError> {
    match &*manifest.layers {
        [layer] if layer.is_component() => {
            layer.digest.parse().map_err(|_| other(reference, "its component's digest is no SHA-256"))
        }
        [layer] => Err(other(reference, &format!("its content is `{}`", clean(&layer.media_type)))),
        layers => Err(other(reference, &format!("it has {} layers", layers.len()))),
    }
}

fn other(reference: &Reference, found: &str) -> RegistryError {
    RegistryError::Other { reference: reference.to_string(), found: found.to_owned() }
}

/// A registry's word, fit for a terminal.
fn clean(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(100).collect()
}
