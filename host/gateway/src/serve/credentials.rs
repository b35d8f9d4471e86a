//! The configuration's credentials become the runtime's, with their secrets.

use anyhow::Context as _;
use patchbay_runtime::Credential;
use patchbay_runtime::credentials::{Assertion, AwsSigV4, ClientAuth, Flow, OAuth2, SigningAlgorithm};

use crate::config::{self, SecretRef};

/// A credential, with its secrets looked up. `name`: as the grants call it.
pub(super) fn resolve(name: &str, credential: &config::Credential) -> anyhow::Result<Credential> {
    let optional = |secret: &Option<SecretRef>| secret.as_ref().map(SecretRef::resolve).transpose();
    let auth = |auth: config::ClientAuth| match auth {
        config::ClientAuth::Basic => ClientAuth::Basic,
        config::ClientAuth::Body => ClientAuth::Body,
    };
    let oauth = match credential {
        config::Credential::Basic { username, password } => {
            return Ok(Credential::Basic { username: username.clone(), password: password.resolve()? });
        }
        config::Credential::Bearer { token } => return Ok(Credential::Bearer(token.resolve()?)),
        config::Credential::Header { name, value } => {
            return Ok(Credential::Header { name: name.clone(), value: value.resolve()? });
        }
        config::Credential::AwsSigV4 { access_key_id, secret_access_key, session_token, region, service } => {
            return Ok(Credential::AwsSigV4(AwsSigV4 {
                access_key_id: access_key_id.clone(),
                secret_access_key: secret_access_key.resolve()?,
                session_token: optional(session_token)?,
                region: region.clone(),
                service: service.clone(),
            }));
        }
        config::Credential::OAuth2ClientCredentials {
            token_url,
            client_id,
            client_secret,
            client_auth,
            scope,
            parameters,
            scheme,
            private_network,
        } => OAuth2 {
            name: name.to_owned(),
            token_url: token_url.parse().context("token_url")?,
            client_id: Some(client_id.clone()),
            client_secret: Some(client_secret.resolve()?),
            client_auth: auth(*client_auth),
            flow: Flow::ClientCredentials,
            scope: scope.clone(),
            parameters: parameters.clone(),
            scheme: scheme.clone(),
            private_network: *private_network,
        },
        config::Credential::OAuth2RefreshToken {
            token_url,
            refresh_token,
            client_id,
            client_secret,
            client_auth,
            scope,
            parameters,
            scheme,
            private_network,
        } => OAuth2 {
            name: name.to_owned(),
            token_url: token_url.parse().context("token_url")?,
            client_id: client_id.clone(),
            client_secret: optional(client_secret)?,
            client_auth: auth(*client_auth),
            flow: Flow::RefreshToken(refresh_token.resolve()?),
            scope: scope.clone(),
            parameters: parameters.clone(),
            scheme: scheme.clone(),
            private_network: *private_network,
        },
        config::Credential::OAuth2JwtBearer {
            token_url,
            algorithm,
            private_key,
            key_id,
            issuer,
            subject,
            audience,
            claims,
            client_id,
            client_secret,
            client_auth,
            scope,
            parameters,
            scheme,
            private_network,
        } => {
            let issuer = issuer.as_ref().or(client_id.as_ref()).context("it needs an issuer or a client_id")?;
            let assertion = Assertion {
                algorithm: match algorithm {
                    config::SigningAlgorithm::Rs256 => SigningAlgorithm::Rs256,
                    config::SigningAlgorithm::Es256 => SigningAlgorithm::Es256,
                    config::SigningAlgorithm::EdDsa => SigningAlgorithm::EdDsa,
                },
                private_key: private_key.resolve_lines()?,
                key_id: key_id.clone(),
                issuer: issuer.clone(),
                subject: subject.as_ref().unwrap_or(issuer).clone(),
                audience: audience.as_ref().unwrap_or(token_url).clone(),
                claims: claims.clone(),
            };
            OAuth2 {
                name: name.to_owned(),
                token_url: token_url.parse().context("token_url")?,
                client_id: client_id.clone(),
                client_secret: optional(client_secret)?,
                client_auth: auth(*client_auth),
                flow: Flow::JwtBearer(Box::new(assertion)),
                scope: scope.clone(),
                parameters: parameters.clone(),
                scheme: scheme.clone(),
                private_network: *private_network,
            }
        }
    };
    Ok(Credential::OAuth2(Box::new(oauth)))
}
