//! The sections about plugins: what they are, what they may do, and the credentials that the host adds for them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use patchbay_artefact::Reference;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::deployments::Rules;
use super::secret::{SecretRef, SecretRefs};
use super::units::{Period, Size};

/// One plugin: where it comes from, how it is set, and what it may do.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plugin {
    /// `builtin:NAME` for one that ships with the gateway, `file:PATH` for a component of your own,
    /// `oci:HOST/REPOSITORY:TAG` for one in a registry. A relative path counts from the configuration file.
    pub source: Source,
    /// The plugin's own settings: whatever it documents.
    #[serde(default)]
    pub settings: Map<String, Value>,
    /// What the plugin may do. Nothing, unless it stands here.
    #[serde(default)]
    pub grants: Grants,
    /// Secrets that the host checks webhooks with, by the name that the plugin asks for (desks ask for `webhook`).
    /// Several for one name, so that one can be replaced. They never enter the plugin.
    #[serde(default)]
    #[schemars(extend("x-names" = "secret-name"))]
    pub secrets: BTreeMap<String, SecretRefs>,
    /// What one call may use.
    #[serde(default)]
    pub limits: Limits,
    /// When a new generation of it goes back by itself; what stands here counts before `[deployments.rollout]`.
    #[serde(default)]
    pub rollout: Rules,
}

/// Where a plugin comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// One that ships with the gateway, by name.
    Builtin(String),
    /// A component in a file.
    File(PathBuf),
    /// What a registry has under a tag or a digest.
    Registry(Reference),
}

/// What a plugin may do.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Grants {
    /// The hosts that it may call.
    pub http: Vec<HttpGrant>,
    /// It may read stored media by its id, and send it on to the hosts that it may call.
    pub media: bool,
    /// It may keep so much of keys and values, across conversations; without it, none.
    pub keyvalue: Option<Size>,
}

/// One host that a plugin may call, and how.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpGrant {
    /// A host name without scheme or port: `api.example.com`, or `*.example.com` for every name below it.
    #[schemars(extend("x-form" = "host"))]
    pub host: String,
    /// The ports; without them the scheme's own (443, or 80 with `plain_http`).
    #[serde(default)]
    #[schemars(inner(range(min = 1, max = 65535)))]
    pub ports: Vec<u16>,
    /// The methods; without them all.
    #[serde(default)]
    #[schemars(extend("x-items" = "method"))]
    pub methods: Vec<String>,
    /// What a path has to begin with; without them every path.
    #[serde(default)]
    #[schemars(extend("x-items" = "path-prefix"))]
    pub paths: Vec<String>,
    /// Allow `http://` too: what is sent can be read on the way.
    #[serde(default)]
    pub plain_http: bool,
    /// Allow addresses of private networks and of this machine.
    #[serde(default)]
    pub private_network: bool,
    /// Send requests in rehearsals too (shadow runs, replays): for what only reads.
    #[serde(default)]
    pub rehearsal: bool,
    /// The entry of `[credentials]` that the host adds to each request.
    #[serde(default)]
    #[schemars(extend("x-form" = "name"))]
    pub credential: Option<String>,
}

/// What one call of a plugin may use. Without a value the gateway's own limit counts.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Memory, at most 256MiB.
    pub memory: Option<Size>,
    /// Time on a processor; waiting does not count.
    pub cpu: Option<Period>,
}

/// A credential that the host adds to a plugin's requests. It never enters the plugin.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Credential {
    /// `Authorization: Basic …`
    Basic {
        /// The user's name. Zendesk: `agent@example.com/token`.
        username: String,
        /// The password or API token.
        password: SecretRef,
    },
    /// `Authorization: Bearer …`
    Bearer {
        /// The token.
        token: SecretRef,
    },
    /// A header of any name.
    Header {
        /// The header's name.
        #[schemars(extend("x-form" = "header-name"))]
        name: String,
        /// The header's value.
        value: SecretRef,
    },
    /// A bearer token that the host asks for with the client's id and secret.
    #[serde(rename = "oauth2-client-credentials")]
    OAuth2ClientCredentials {
        /// The token endpoint.
        #[schemars(extend("x-form" = "url"))]
        token_url: String,
        /// The client's id.
        client_id: String,
        /// The client's secret.
        client_secret: SecretRef,
        /// Where the two stand in the request.
        #[serde(default)]
        client_auth: ClientAuth,
        /// The scopes, separated by spaces.
        scope: Option<String>,
        /// More parameters of the request, such as `audience`.
        #[serde(default)]
        parameters: BTreeMap<String, String>,
        /// What stands before the token in `Authorization`; without it `Bearer`. Zoho: `Zoho-oauthtoken`.
        scheme: Option<String>,
        /// Allow a token endpoint in a private network or on this machine, and `http://`.
        #[serde(default)]
        private_network: bool,
    },
    /// A bearer token that the host asks for with a refresh token. A new refresh token that comes with an answer takes
    /// the place of the one here.
    #[serde(rename = "oauth2-refresh-token")]
    OAuth2RefreshToken {
        /// The token endpoint.
        #[schemars(extend("x-form" = "url"))]
        token_url: String,
        /// The refresh token to begin with.
        refresh_token: SecretRef,
        /// The client's id.
        client_id: Option<String>,
        /// The client's secret.
        client_secret: Option<SecretRef>,
        /// Where the two stand in the request.
        #[serde(default)]
        client_auth: ClientAuth,
        /// The scopes, separated by spaces.
        scope: Option<String>,
        /// More parameters of the request.
        #[serde(default)]
        parameters: BTreeMap<String, String>,
        /// What stands before the token in `Authorization`; without it `Bearer`. Zoho: `Zoho-oauthtoken`.
        scheme: Option<String>,
        /// Allow a token endpoint in a private network or on this machine, and `http://`.
        #[serde(default)]
        private_network: bool,
    },
    /// A bearer token that the host asks for with a statement that it signs (RFC 7523).
    #[serde(rename = "oauth2-jwt-bearer")]
    OAuth2JwtBearer {
        /// The token endpoint.
        #[schemars(extend("x-form" = "url"))]
        token_url: String,
        /// How the statement is signed.
        algorithm: SigningAlgorithm,
        /// The private key in PEM, of several lines.
        private_key: SecretRef,
        /// `kid` in the statement's header.
        key_id: Option<String>,
        /// `iss`; without it `client_id`.
        issuer: Option<String>,
        /// `sub`; without it the issuer. Empty: no `sub` at all.
        subject: Option<String>,
        /// `aud`; without it `token_url`.
        audience: Option<String>,
        /// More claims of the statement.
        #[serde(default)]
        claims: Map<String, Value>,
        /// The client's id, for servers that want it beside the statement.
        client_id: Option<String>,
        /// The client's secret, for the same servers.
        client_secret: Option<SecretRef>,
        /// Where the two stand in the request.
        #[serde(default)]
        client_auth: ClientAuth,
        /// The scopes, separated by spaces.
        scope: Option<String>,
        /// More parameters of the request.
        #[serde(default)]
        parameters: BTreeMap<String, String>,
        /// What stands before the token in `Authorization`; without it `Bearer`. Zoho: `Zoho-oauthtoken`.
        scheme: Option<String>,
        /// Allow a token endpoint in a private network or on this machine, and `http://`.
        #[serde(default)]
        private_network: bool,
    },
    /// AWS Signature Version 4, made for each request.
    #[serde(rename = "aws-sigv4")]
    AwsSigV4 {
        /// The access key's id.
        access_key_id: String,
        /// The secret access key.
        secret_access_key: SecretRef,
        /// With temporary keys.
        session_token: Option<SecretRef>,
        /// As in `eu-central-1`.
        region: String,
        /// The service's signing name, as in `s3` or `rekognition`.
        service: String,
    },
}

/// Where a client's id and secret stand in a token request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAuth {
    /// In `Authorization: Basic …`
    #[default]
    Basic,
    /// In the form.
    Body,
}

/// How a statement is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum SigningAlgorithm {
    /// RSA with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Credential {
    /// The references to secrets in it, by the last part of their key.
    pub(super) fn secrets_mut(&mut self) -> Vec<(&'static str, &mut SecretRef)> {
        let with = |name, secret: Option<_>| secret.map(|secret| (name, secret));
        let found = match self {
            Self::Basic { password, .. } => [Some(("password", password)), None],
            Self::Bearer { token } => [Some(("token", token)), None],
            Self::Header { value, .. } => [Some(("value", value)), None],
            Self::OAuth2ClientCredentials { client_secret, .. } => [Some(("client_secret", client_secret)), None],
            Self::OAuth2RefreshToken { refresh_token, client_secret, .. } => {
                [Some(("refresh_token", refresh_token)), with("client_secret", client_secret.as_mut())]
            }
            Self::OAuth2JwtBearer { private_key, client_secret, .. } => {
                [Some((PRIVATE_KEY, private_key)), with("client_secret", client_secret.as_mut())]
            }
            Self::AwsSigV4 { secret_access_key, session_token, .. } => {
                [Some(("secret_access_key", secret_access_key)), with("session_token", session_token.as_mut())]
            }
        };
        found.into_iter().flatten().collect()
    }

    /// Where its tokens come from, and whether that may be in a private network.
    #[must_use]
    pub fn token_endpoint(&self) -> Option<(&str, bool)> {
        match self {
            Self::OAuth2ClientCredentials { token_url, private_network, .. }
            | Self::OAuth2RefreshToken { token_url, private_network, .. }
            | Self::OAuth2JwtBearer { token_url, private_network, .. } => Some((token_url, *private_network)),
            Self::Basic { .. } | Self::Bearer { .. } | Self::Header { .. } | Self::AwsSigV4 { .. } => None,
        }
    }
}

/// The key of the one secret that has several lines.
pub(super) const PRIVATE_KEY: &str = "private_key";
