//! A token, and why there may be none.

use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use http::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;

use super::oauth::Granted;
use crate::limits;

/// Why a request cannot have its token. The texts are the host's own, and say nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum NoToken {
    /// The server does not take the credential: somebody has to look at it.
    #[error("the token endpoint refused it: {0}")]
    Refused(String),
    /// There is no answer now.
    #[error("there is no token now: {0}")]
    Unavailable(String),
}

/// An access token.
pub(crate) struct Token {
    /// The whole `Authorization` header.
    pub(crate) header: HeaderValue,
    pub(super) access: SecretString,
    /// The next one is asked for from here on.
    pub(super) renew: Instant,
    /// Which one it is of its source's.
    pub(super) number: u64,
}

/// An access token, as it was got.
pub(super) struct Fresh {
    pub(super) access: SecretString,
    /// The next one is asked for after so long.
    pub(super) good_for: Duration,
}

/// The secrets that were got at run time, for whoever has to mask them. The last few: what was replaced may still be
/// in an answer that is on its way.
#[derive(Default)]
pub(crate) struct Known(RwLock<VecDeque<SecretString>>);

impl Known {
    pub(super) fn add(&self, secret: &SecretString) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|known| known.expose_secret() != secret.expose_secret());
        known.push_front(secret.clone());
        known.truncate(limits::KNOWN_TOKENS);
    }

    /// All of them.
    pub(crate) fn secrets(&self) -> Vec<SecretString> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl Fresh {
    /// To be renewed before it ends: what is sent takes its time.
    pub(super) fn of(granted: &Granted) -> Self {
        // A server may say a hundred years, which is more than the clock can hold.
        let lifetime = granted.lifetime.min(limits::TOKEN_LIFETIME_MOST);
        let early = limits::TOKEN_EARLY.min(lifetime / 4);
        Self { access: granted.access.clone(), good_for: lifetime.saturating_sub(early) }
    }

    /// As it is sent.
    pub(super) fn token(&self, scheme: &str, number: u64) -> Result<Token, NoToken> {
        let header = HeaderValue::try_from(format!("{scheme} {}", self.access.expose_secret()));
        let mut header = header.map_err(|_| NoToken::Unavailable("its token cannot be sent".into()))?;
        header.set_sensitive(true);
        let renew = Instant::now() + self.good_for.min(limits::TOKEN_LIFETIME_MOST);
        Ok(Token { header, access: self.access.clone(), renew, number })
    }
}
