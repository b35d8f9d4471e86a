//! A credential that is ready to go onto requests.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use secrecy::ExposeSecret as _;

use super::{Credential, Credentials, Signer, Source};

/// What goes onto each request that a grant covers.
#[derive(Clone, Debug)]
pub(crate) enum Attached {
    /// The same header each time.
    Header(HeaderName, HeaderValue),
    /// The token that is good now.
    OAuth2(Arc<Source>),
    /// A signature of the request.
    AwsSigV4(Arc<Signer>),
}

impl Attached {
    /// Makes a credential ready; the error is a sentence without a subject, and says nothing secret.
    pub(crate) fn new(credential: &Credential, shared: &Credentials) -> Result<Self, String> {
        match credential {
            Credential::OAuth2(config) => shared.source(config).map(Self::OAuth2),
            Credential::AwsSigV4(config) => Signer::new(config).map(|signer| Self::AwsSigV4(Arc::new(signer))),
            fixed => header(fixed).map(|(name, value)| Self::Header(name, value)).map_err(ToOwned::to_owned),
        }
    }
}

/// What `Authorization: Basic` has after its first word.
pub(super) fn basic(username: &str, password: &str) -> String {
    BASE64.encode(format!("{username}:{password}"))
}

/// The header that a credential is.
fn header(credential: &Credential) -> Result<(HeaderName, HeaderValue), &'static str> {
    let (name, text) = match credential {
        Credential::Header { name, value } => {
            let name = HeaderName::try_from(name.as_str()).map_err(|_| "has a header name with letters not allowed")?;
            (name, value.expose_secret().to_owned())
        }
        Credential::Basic { username, password } => {
            if username.contains(':') {
                return Err("has a user name with a colon in it");
            }
            (AUTHORIZATION, format!("Basic {}", basic(username, password.expose_secret())))
        }
        Credential::Bearer(token) => (AUTHORIZATION, format!("Bearer {}", token.expose_secret())),
        Credential::OAuth2(_) | Credential::AwsSigV4(_) => return Err("is not the same for every request"),
    };
    let mut value =
        HeaderValue::try_from(text).map_err(|_| "has a line break or another letter that no header can have")?;
    value.set_sensitive(true);
    Ok((name, value))
}
