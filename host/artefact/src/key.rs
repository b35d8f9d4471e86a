//! Keys: PEM files as OpenSSL and cosign write them, Ed25519 or ECDSA on the curve P-256.

mod pem;

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

/// How an Ed25519 public key begins as SubjectPublicKeyInfo (RFC 8410); 32 bytes follow.
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// How a public key on P-256 begins as SubjectPublicKeyInfo (RFC 5480); 65 bytes follow, an uncompressed point.
const P256_SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The bytes of an Ed25519 public key.
const ED25519_BYTES: usize = 32;
/// The bytes of an uncompressed point on P-256.
const P256_BYTES: usize = 65;

const PRIVATE: &str = "PRIVATE KEY";
const PUBLIC: &str = "PUBLIC KEY";

/// How something is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Ed25519 over the bytes themselves.
    Ed25519,
    /// ECDSA on the curve P-256 over the bytes' SHA-256, in ASN.1: what cosign makes by default.
    EcdsaP256,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "ecdsa-p256",
        })
    }
}

/// Why a text is no key, and what to do about it. It never shows any of the text.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is none in it.
    #[error("there is no {0} in it: it has to begin with -----BEGIN {0}-----; `patchbay plugin keygen` makes a pair")]
    Absent(&'static str),
    /// A private key where a public one belongs.
    #[error(
        "this is a private key: nobody else may have it. Name the public one, the file that ends with .pub, or make it: openssl \
         pkey -in KEY -pubout"
    )]
    Private,
    /// A public key where a private one belongs.
    #[error("this is a public key, and signing needs the private one: name the file that ends with .key")]
    Public,
    /// A private key that is encrypted.
    #[error(
        "this private key is encrypted with a password, which cannot be read here; for one of OpenSSL: openssl pkcs8 -in OLD \
         -topk8 -nocrypt -out NEW; one of cosign stays with cosign: sign with `cosign sign`, or make a key of your own \
         with `patchbay plugin keygen`"
    )]
    Encrypted,
    /// An older form of a private key.
    #[error("this private key has an older form; convert it: openssl pkcs8 -topk8 -nocrypt -in OLD -out NEW")]
    Old,
    /// Neither Ed25519 nor P-256.
    #[error("this is neither an Ed25519 key nor an ECDSA key on P-256; `patchbay plugin keygen` makes one")]
    Other,
    /// It is not base64, or there is no key in that.
    #[error("this key is damaged: take it from where it was made again")]
    Damaged,
    /// The system gives no randomness.
    #[error("no key could be made: the system gives no random numbers")]
    Random,
}

/// A private key. It is wiped from memory when it is dropped.
pub struct SigningKey {
    pair: Pair,
    public: VerifyingKey,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    EcdsaP256(EcdsaKeyPair),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public.id())
    }
}

impl SigningKey {
    /// Makes a new one.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let pair = match algorithm {
            Algorithm::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate().map_err(|_| KeyError::Random)?),
            Algorithm::EcdsaP256 => {
                Pair::EcdsaP256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| KeyError::Random)?)
            }
        };
        Ok(Self::of(pair))
    }

    /// Reads a private key (PKCS#8, not encrypted).
    ///
    /// # Errors
    /// When the text is none.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let Some(der) = pem::decode(text, PRIVATE)? else {
            return Err(if text.contains("ENCRYPTED") {
                KeyError::Encrypted
            } else if text.contains("-----BEGIN EC PRIVATE KEY-----") {
                KeyError::Old
            } else if pem::decode(text, PUBLIC)?.is_some() {
                KeyError::Public
            } else {
                KeyError::Absent(PRIVATE)
            });
        };
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8(&der) {
            return Ok(Self::of(Pair::Ed25519(pair)));
        }
        match EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der) {
            Ok(pair) => Ok(Self::of(Pair::EcdsaP256(pair))),
            Err(_) => Err(KeyError::Other),
        }
    }

    fn of(pair: Pair) -> Self {
        let public = match &pair {
            Pair::Ed25519(pair) => VerifyingKey::of(Algorithm::Ed25519, pair.public_key().as_ref()),
            Pair::EcdsaP256(pair) => VerifyingKey::of(Algorithm::EcdsaP256, pair.public_key().as_ref()),
        };
        Self { pair, public }
    }

    /// As a file holds it (PKCS#8).
    ///
    /// # Errors
    /// Never for a key that was made or read here.
    pub fn to_pem(&self) -> Result<SecretString, KeyError> {
        let document = match &self.pair {
            Pair::Ed25519(pair) => pair.to_pkcs8v1(),
            Pair::EcdsaP256(pair) => pair.to_pkcs8v1(),
        };
        Ok(pem::encode_secret(document.map_err(|_| KeyError::Damaged)?.as_ref(), PRIVATE))
    }

    /// The public key that goes with it.
    #[must_use]
    pub fn public(&self) -> &VerifyingKey {
        &self.public
    }

    /// Signs some bytes.
    ///
    /// # Errors
    /// When the system gives no randomness, which ECDSA needs.
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, KeyError> {
        match &self.pair {
            Pair::Ed25519(pair) => Ok(pair.sign(bytes).as_ref().to_vec()),
            Pair::EcdsaP256(pair) => match pair.sign(&SystemRandom::new(), bytes) {
                Ok(signature) => Ok(signature.as_ref().to_vec()),
                Err(_) => Err(KeyError::Random),
            },
        }
    }
}

/// A public key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct VerifyingKey {
    algorithm: Algorithm,
    /// As it is in the SubjectPublicKeyInfo.
    point: Vec<u8>,
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", self.id())
    }
}

impl VerifyingKey {
    fn of(algorithm: Algorithm, point: &[u8]) -> Self {
        Self { algorithm, point: point.to_vec() }
    }

    /// Reads a public key (SubjectPublicKeyInfo).
    ///
    /// # Errors
    /// When the text is none.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        if text.contains("PRIVATE KEY-----") {
            return Err(KeyError::Private);
        }
        let der = pem::decode(text, PUBLIC)?.ok_or(KeyError::Absent(PUBLIC))?;
        let key = match (der.strip_prefix(&ED25519_SPKI), der.strip_prefix(&P256_SPKI)) {
            (Some(point), _) if point.len() == ED25519_BYTES => Self::of(Algorithm::Ed25519, point),
            (_, Some(point)) if point.len() == P256_BYTES => Self::of(Algorithm::EcdsaP256, point),
            _ => return Err(KeyError::Other),
        };
        // Of any 65 bytes few are a point of the curve.
        key.unparsed().parse().map_err(|_| KeyError::Damaged)?;
        Ok(key)
    }

    /// As a file holds it (SubjectPublicKeyInfo).
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem::encode(&self.spki(), PUBLIC)
    }

    fn spki(&self) -> Vec<u8> {
        match self.algorithm {
            Algorithm::Ed25519 => [ED25519_SPKI.as_slice(), &self.point].concat(),
            Algorithm::EcdsaP256 => [P256_SPKI.as_slice(), &self.point].concat(),
        }
    }

    /// What it is called.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId(Sha256::digest(self.spki()).into())
    }

    /// How it signs.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether this is its signature over these bytes.
    #[must_use]
    pub fn verify(&self, bytes: &[u8], signature: &[u8]) -> bool {
        self.unparsed().verify(bytes, signature).is_ok()
    }

    fn unparsed(&self) -> UnparsedPublicKey<&[u8]> {
        match self.algorithm {
            Algorithm::Ed25519 => UnparsedPublicKey::new(&ED25519, self.point.as_slice()),
            Algorithm::EcdsaP256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, self.point.as_slice()),
        }
    }
}

/// What a key is called: the SHA-256 of its SubjectPublicKeyInfo, shown by its first 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 32]);

impl KeyId {
    /// All 64 hexadecimal digits: what `openssl pkey -pubin -outform DER | sha256sum` prints.
    #[must_use]
    pub fn full(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let full = self.full();
        f.write_str(full.get(..16).unwrap_or(&full))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Algorithm {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        [Self::Ed25519, Self::EcdsaP256].into_iter().find(|known| known.to_string() == text).ok_or(KeyError::Other)
    }
}
