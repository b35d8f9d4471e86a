//! What the host adds to a plugin's requests on their way out. It never enters the plugin.
//!
//! A credential belongs to the grants that name it, and so to their hosts: it is added when a grant has let a request
//! through, after everything else was decided. Tokens are asked for by the host itself, once for all plugins and calls
//! that use the same credential, and are known to the redactor of each of these plugins from the moment they arrive.
//!
//! # Layout
//! - here: what an operator configures
//! - `attach`: a credential that is ready to go onto requests
//! - `oauth`, `assertion`: how a token is asked for (RFC 6749, RFC 7523), as plain data
//! - `cache`: tokens at hand, and asking for the next one; `token`: one of them
//! - `refresh`: following a refresh token that changes, together with other nodes
//! - `tokens`, `sealed`: where what became of it is kept, and in which form
//! - `sigv4`: AWS's signatures

mod assertion;
mod attach;
mod cache;
mod oauth;
mod refresh;
mod sealed;
mod sigv4;
mod token;
mod tokens;

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use url::Url;

pub(crate) use attach::Attached;
pub(crate) use cache::{Credentials, Source};
pub(crate) use sigv4::{Payload, Signer};
pub(crate) use token::{Known, NoToken};
pub use tokens::{Kept, MemoryTokens, TokenStore, TokenStoreError};

/// What the host adds to a request on its way out.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A header as it is.
    Header {
        /// The header's name.
        name: String,
        /// The header's value.
        value: SecretString,
    },
    /// `Authorization: Basic …` (RFC 7617).
    Basic {
        /// The user name.
        username: String,
        /// The password or API token.
        password: SecretString,
    },
    /// `Authorization: Bearer …` (RFC 6750) with a token that does not change.
    Bearer(SecretString),
    /// `Authorization: Bearer …` with a token that the host asks for (RFC 6749).
    OAuth2(Box<OAuth2>),
    /// AWS Signature Version 4, made anew for each request.
    AwsSigV4(AwsSigV4),
}

/// Where access tokens come from.
#[derive(Clone, Debug)]
pub struct OAuth2 {
    /// The credential's name in the configuration, for logs.
    pub name: String,
    /// The token endpoint. `https://`, unless `private_network` is set.
    pub token_url: Url,
    /// Who asks; some servers want none with an assertion.
    pub client_id: Option<String>,
    /// What proves it.
    pub client_secret: Option<SecretString>,
    /// Where the two of them stand in the request.
    pub client_auth: ClientAuth,
    /// What is asked with.
    pub flow: Flow,
    /// The scopes, separated by spaces.
    pub scope: Option<String>,
    /// More parameters of the request: `audience`, `resource` …
    pub parameters: BTreeMap<String, String>,
    /// What stands before the token in `Authorization`; none: `Bearer`, whatever the server calls it.
    pub scheme: Option<String>,
    /// The token endpoint may be in a private network or on this machine, and speak `http://`.
    pub private_network: bool,
}

/// Where the client's id and secret stand in a token request (RFC 6749, section 2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// In `Authorization: Basic …`, which every server has to know.
    #[default]
    Basic,
    /// In the form, which some servers want.
    Body,
}

/// What an access token is asked for with.
#[derive(Clone, Debug)]
pub enum Flow {
    /// The client's id and secret (RFC 6749, section 4.4).
    ClientCredentials,
    /// A refresh token (RFC 6749, section 6). Where the server gives a new one with each answer, the new one counts.
    RefreshToken(SecretString),
    /// A signed statement (RFC 7523).
    JwtBearer(Box<Assertion>),
}

/// A statement that the host signs to get a token.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// How it is signed.
    pub algorithm: SigningAlgorithm,
    /// The key in PEM (PKCS#8; for RSA PKCS#1 too).
    pub private_key: SecretString,
    /// `kid` in the header.
    pub key_id: Option<String>,
    /// `iss`.
    pub issuer: String,
    /// `sub`; empty: none.
    pub subject: String,
    /// `aud`.
    pub audience: String,
    /// More claims, as Google wants `scope` there.
    pub claims: Map<String, Value>,
}

/// How an assertion is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// RSA with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

/// A key of AWS, and what it signs for.
#[derive(Clone, Debug)]
pub struct AwsSigV4 {
    /// The access key's id.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: SecretString,
    /// With temporary keys.
    pub session_token: Option<SecretString>,
    /// As in `eu-central-1`.
    pub region: String,
    /// The service's signing name, as in `s3` or `rekognition`.
    pub service: String,
}

impl Credential {
    /// Everything in it that nobody may read, in the forms that it travels in.
    pub(crate) fn secrets(&self) -> Vec<SecretString> {
        match self {
            Self::Header { value, .. } | Self::Bearer(value) => vec![value.clone()],
            Self::Basic { username, password } => {
                vec![attach::basic(username, password.expose_secret()).into(), password.clone()]
            }
            Self::OAuth2(oauth) => oauth.secrets(),
            Self::AwsSigV4(key) => {
                [Some(&key.secret_access_key), key.session_token.as_ref()].into_iter().flatten().cloned().collect()
            }
        }
    }
}

impl OAuth2 {
    fn secrets(&self) -> Vec<SecretString> {
        let mut all: Vec<SecretString> = self.client_secret.iter().cloned().collect();
        match &self.flow {
            Flow::ClientCredentials => {}
            Flow::RefreshToken(token) => all.push(token.clone()),
            Flow::JwtBearer(assertion) => all.push(assertion.private_key.clone()),
        }
        all
    }
}
