//! Signatures over a component, in the two forms in which cosign writes them.
//!
//! Beside a **file** lies `FILE.sig`: each line is the base64 of a signature over the file's bytes
//! (`cosign sign-blob --key`, `openssl dgst -sha256 -sign`). In a **registry** a signature is over a payload that names the
//! digest of an image's manifest (`cosign sign --key`), and that manifest names the component's digest. Such a signature is
//! kept together with the two documents that lead from it to the component; as a line of `FILE.sig` it is one JSON object.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::files;
use crate::key::{KeyError, SigningKey, VerifyingKey};

/// The most signatures that are looked at for one component: each costs a check with every key.
pub const SIGNATURES_MOST: usize = 32;
/// The largest file of signatures, bytes.
const FILE_MOST: u64 = 4 << 20;
/// What a payload of cosign's says it is.
const PAYLOAD_TYPE: &str = "cosign container image signature";

/// A signature over a component.
#[derive(Clone, PartialEq, Eq)]
pub enum Signature {
    /// Over its bytes.
    Blob(Vec<u8>),
    /// Over a payload that names the manifest of the image that it is in.
    Image(Box<ImageSignature>),
}

/// A signature from a registry, with what leads from it to the component.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSignature {
    /// The signature over the payload.
    #[serde(with = "text")]
    pub signature: Vec<u8>,
    /// cosign's payload ("simple signing"), byte for byte.
    #[serde(with = "text")]
    pub payload: Vec<u8>,
    /// The image's manifest, byte for byte.
    #[serde(with = "text")]
    pub manifest: Vec<u8>,
}

/// Bytes as base64.
mod text {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64_STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Blob(_) => "Blob(…)",
            Self::Image(_) => "Image(…)",
        })
    }
}

/// Why signatures could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// The file cannot be read or written.
    #[error("{}: {error}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A line is no signature.
    #[error("{}, line {line}: this is no signature; write each as base64 in a line of its own, as `patchbay plugin sign` does", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// There are too many.
    #[error("{} holds more than {SIGNATURES_MOST} signatures: keep those that somebody checks", file.display())]
    Many {
        /// The file.
        file: PathBuf,
    },
    /// The key does not sign.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Signature {
    /// Signs a component's bytes.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn make(component: &[u8], key: &SigningKey) -> Result<Self, KeyError> {
        key.sign(component).map(Self::Blob)
    }

    /// Whether this key made it, over this component.
    #[must_use]
    pub fn is_by(&self, key: &VerifyingKey, component: &[u8], digest: &Digest) -> bool {
        match self {
            Self::Blob(signature) => key.verify(component, signature),
            Self::Image(image) => {
                key.verify(&image.payload, &image.signature)
                    && payload_names(&image.payload, &Digest::of(&image.manifest))
                    && manifest_names(&image.manifest, digest)
            }
        }
    }

    /// As one line of text, without its end.
    #[must_use]
    pub fn to_line(&self) -> String {
        match self {
            Self::Blob(signature) => BASE64_STANDARD.encode(signature),
            // Three texts cannot fail to be JSON.
            Self::Image(image) => serde_json::to_string(image).unwrap_or_default(),
        }
    }

    /// Reads one line of text.
    #[must_use]
    pub fn from_line(line: &str) -> Option<Self> {
        if line.starts_with('{') {
            return serde_json::from_str(line).ok().map(Box::new).map(Self::Image);
        }
        BASE64_STANDARD.decode(line).ok().filter(|bytes| !bytes.is_empty()).map(Self::Blob)
    }
}

/// cosign's payload about an image: what is signed in a registry.
#[derive(Serialize, Deserialize)]
struct Payload {
    critical: Critical,
    #[serde(default)]
    optional: serde_json::Value,
}

#[derive(Serialize, Deserialize)]
struct Critical {
    identity: Identity,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Serialize, Deserialize)]
struct Identity {
    #[serde(rename = "docker-reference")]
    reference: String,
}

#[derive(Serialize, Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    manifest: String,
}

/// The payload that says: this repository's image with this manifest is ours.
pub(crate) fn payload(place: &str, manifest: &Digest) -> Vec<u8> {
    let critical = Critical {
        identity: Identity { reference: place.to_owned() },
        image: Image { manifest: manifest.to_string() },
        kind: PAYLOAD_TYPE.to_owned(),
    };
    // Texts cannot fail to be JSON.
    serde_json::to_vec(&Payload { critical, optional: serde_json::Value::Null }).unwrap_or_default()
}

fn payload_names(payload: &[u8], manifest: &Digest) -> bool {
    serde_json::from_slice::<Payload>(payload).is_ok_and(|payload| {
        payload.critical.kind == PAYLOAD_TYPE && payload.critical.image.manifest == manifest.to_string()
    })
}

/// Whether the component is the image's only content.
fn manifest_names(manifest: &[u8], component: &Digest) -> bool {
    #[derive(Deserialize)]
    struct Manifest {
        layers: Vec<Layer>,
    }
    #[derive(Deserialize)]
    struct Layer {
        digest: String,
    }
    let manifest: Result<Manifest, _> = serde_json::from_slice(manifest);
    manifest.is_ok_and(|manifest| matches!(&*manifest.layers, [layer] if layer.digest == component.to_string()))
}

/// Where the signatures over a file are: `FILE.sig`.
#[must_use]
pub fn file_of(component: &Path) -> PathBuf {
    let mut name = component.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

/// The signatures in a file; none when it is not there.
///
/// # Errors
/// When it cannot be read, or a line is no signature.
pub fn read(file: &Path) -> Result<Vec<Signature>, SignatureError> {
    let failed = |error| SignatureError::File { file: file.to_owned(), error };
    match std::fs::metadata(file) {
        Ok(data) if data.len() > FILE_MOST => return Err(SignatureError::Many { file: file.to_owned() }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        _ => {}
    }
    let text = std::fs::read_to_string(file).map_err(failed)?;
    let mut signatures = Vec::new();
    for (place, line) in text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty()) {
        let unreadable = || SignatureError::Line { file: file.to_owned(), line: place + 1 };
        signatures.push(Signature::from_line(line).ok_or_else(unreadable)?);
    }
    if signatures.len() > SIGNATURES_MOST {
        return Err(SignatureError::Many { file: file.to_owned() });
    }
    Ok(signatures)
}

/// Writes signatures into a file, in the place of those that it had.
///
/// # Errors
/// When it cannot be written.
pub fn write(file: &Path, signatures: &[Signature]) -> Result<(), SignatureError> {
    let text: String = signatures.iter().map(|signature| format!("{}\n", signature.to_line())).collect();
    files::write(file, text.as_bytes()).map_err(|error| SignatureError::File { file: file.to_owned(), error })
}
