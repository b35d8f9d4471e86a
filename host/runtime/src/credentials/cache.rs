//! Tokens at hand, and asking for the next one: once for all calls, plugins and generations that use the credential.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Instant;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use http::HeaderValue;
use http_body_util::{BodyExt as _, Full, Limited};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::oauth::{self, Granted, With};
use super::{ClientAuth, Flow, OAuth2, TokenStore};
use crate::capabilities::egress::Egress;
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
    /// The next one is asked for from here on.
    renew: Instant,
    number: u64,
}

/// The secrets that were got at run time, for whoever has to mask them. The last few: what was replaced may still be
/// in an answer that is on its way.
#[derive(Default)]
pub(crate) struct Known(RwLock<VecDeque<SecretString>>);

impl Known {
    fn add(&self, secret: &SecretString) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.push_front(secret.clone());
        known.truncate(limits::KNOWN_TOKENS);
    }

    /// All of them.
    pub(crate) fn secrets(&self) -> Vec<SecretString> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// Every credential of the engine that asks for tokens.
pub(crate) struct Credentials {
    egress: Arc<Egress>,
    store: Arc<dyn TokenStore>,
    sources: Mutex<HashMap<[u8; 32], Weak<Source>>>,
}

impl Credentials {
    pub(crate) fn new(egress: Arc<Egress>, store: Arc<dyn TokenStore>) -> Self {
        Self { egress, store, sources: Mutex::default() }
    }

    /// The source of this credential's tokens: the same one for all who have it, as long as one of them is there.
    pub(crate) fn source(&self, config: &OAuth2) -> Result<Arc<Source>, String> {
        oauth::check(config)?;
        let digest = digest(config);
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.retain(|_, source| source.strong_count() > 0);
        if let Some(source) = sources.get(&digest).and_then(Weak::upgrade) {
            return Ok(source);
        }
        let short: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let source = Arc::new(Source {
            key: format!("{}-{short}", config.name),
            config: config.clone(),
            egress: self.egress.clone(),
            store: self.store.clone(),
            unsaved: Mutex::default(),
            state: Mutex::default(),
            known: Arc::default(),
        });
        sources.insert(digest, Arc::downgrade(&source));
        Ok(source)
    }
}

/// The same for the same configuration only: a credential that is changed begins anew.
fn digest(config: &OAuth2) -> [u8; 32] {
    let secret = |secret: &Option<SecretString>| secret.as_ref().map(|text| text.expose_secret().to_owned());
    let flow = match &config.flow {
        Flow::ClientCredentials => "client".to_owned(),
        Flow::RefreshToken(token) => format!("refresh {}", token.expose_secret()),
        // Debug shows every field but the key.
        Flow::JwtBearer(statement) => format!("jwt {statement:?} {}", statement.private_key.expose_secret()),
    };
    let auth = if config.client_auth == ClientAuth::Body { "body" } else { "basic" };
    let parts = (
        (&config.name, config.token_url.as_str(), &config.client_id, secret(&config.client_secret)),
        (auth, flow, &config.scope, &config.parameters, config.private_network),
    );
    // Debug puts texts into quotes with escapes: no two configurations look the same.
    Sha256::digest(format!("{parts:?}")).into()
}

type Asking = Shared<BoxFuture<'static, Result<Arc<Token>, NoToken>>>;

/// Where one credential's tokens come from.
pub(crate) struct Source {
    config: OAuth2,
    /// Of the refresh token in the store.
    key: String,
    egress: Arc<Egress>,
    store: Arc<dyn TokenStore>,
    /// A refresh token that the store did not take.
    unsaved: Mutex<Option<SecretString>>,
    state: Mutex<State>,
    known: Arc<Known>,
}

#[derive(Default)]
struct State {
    token: Option<Arc<Token>>,
    /// Somebody asks already: whoever needs a token waits for this one.
    asking: Option<Asking>,
    /// The last time that there was none, and why.
    failed: Option<(Instant, NoToken)>,
    /// The last time that a server did not take a token that had not ended.
    rejected: Option<Instant>,
    /// Tokens so far.
    count: u64,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("credential", &self.config.name).finish_non_exhaustive()
    }
}

impl Source {
    /// The credential's name in the configuration.
    pub(crate) fn name(&self) -> &str {
        &self.config.name
    }

    /// What came in at run time and must not be shown.
    pub(crate) fn known(&self) -> Arc<Known> {
        self.known.clone()
    }

    /// A token that is good for a while, from memory or from the server.
    pub(crate) async fn token(self: &Arc<Self>) -> Result<Arc<Token>, NoToken> {
        let asking = {
            let mut state = self.state();
            if let Some(token) = state.token.as_ref().filter(|token| Instant::now() < token.renew) {
                return Ok(token.clone());
            }
            if let Some((at, why)) = &state.failed
                && at.elapsed() < limits::TOKEN_FAILED
            {
                return Err(why.clone());
            }
            state.asking.get_or_insert_with(|| self.clone().ask().boxed().shared()).clone()
        };
        asking.await
    }

    /// A server did not take this token. Whether it is worth asking for another one: the first to notice throws it away,
    /// and a server that takes none does not make us ask for ever.
    pub(crate) fn reject(&self, token: &Token) -> bool {
        let mut state = self.state();
        if state.token.as_ref().is_some_and(|current| current.number != token.number) {
            return true;
        }
        if state.rejected.is_some_and(|at| at.elapsed() < limits::TOKEN_REJECTED) {
            return false;
        }
        state.rejected = Some(Instant::now());
        state.token = None;
        true
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks on a task of its own: a call that ends early must not take with it the refresh token that is on its way.
    async fn ask(self: Arc<Self>) -> Result<Arc<Token>, NoToken> {
        let task = tokio::spawn({
            let source = self.clone();
            async move { source.fetch().await }
        });
        let granted = task.await.unwrap_or_else(|_| Err(NoToken::Unavailable("the engine is ending".into())));
        let mut state = self.state();
        state.asking = None;
        match granted {
            Ok(granted) => {
                state.count += 1;
                let token = Arc::new(token(&granted, state.count)?);
                state.token = Some(token.clone());
                state.failed = None;
                Ok(token)
            }
            Err(why) => {
                state.failed = Some((Instant::now(), why.clone()));
                Err(why)
            }
        }
    }

    async fn fetch(&self) -> Result<Granted, NoToken> {
        let granted = match &self.config.flow {
            Flow::ClientCredentials => self.exchange(&With::Client).await,
            Flow::JwtBearer(statement) => self.exchange(&oauth::signed(statement)?).await,
            Flow::RefreshToken(configured) => self.refresh(configured).await,
        };
        if let Err(why) = &granted {
            let host = self.config.token_url.host_str();
            tracing::error!(credential = self.config.name, host, "a credential has no token: {why}");
        }
        granted
    }

    async fn refresh(&self, configured: &SecretString) -> Result<Granted, NoToken> {
        let used = self.latest(configured).await?;
        let granted = match self.exchange(&With::Refresh(used.clone())).await {
            Err(NoToken::Refused(why)) => {
                // Another node may have used it a moment ago, and kept the one that followed.
                let latest = self.latest(configured).await?;
                if latest.expose_secret() == used.expose_secret() {
                    return Err(NoToken::Refused(why));
                }
                self.exchange(&With::Refresh(latest)).await?
            }
            other => other?,
        };
        if let Some(next) = granted.refresh.as_ref().filter(|next| next.expose_secret() != used.expose_secret()) {
            let kept = self.store.save(&self.key, next).await;
            if let Err(error) = &kept {
                let credential = &self.config.name;
                tracing::error!(credential, %error, "a new refresh token is only kept until the gateway ends");
            }
            *self.unsaved.lock().unwrap_or_else(PoisonError::into_inner) = kept.is_err().then(|| next.clone());
        }
        Ok(granted)
    }

    /// The refresh token that is good now, as far as is known.
    async fn latest(&self, configured: &SecretString) -> Result<SecretString, NoToken> {
        let unsaved = self.unsaved.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(unsaved) = unsaved {
            return Ok(unsaved);
        }
        let stored = self.store.load(&self.key).await;
        let stored = stored.map_err(|error| NoToken::Unavailable(error.to_string()))?;
        if let Some(stored) = &stored {
            self.known.add(stored);
        }
        Ok(stored.unwrap_or_else(|| configured.clone()))
    }

    /// One request to the token endpoint.
    async fn exchange(&self, with: &With) -> Result<Granted, NoToken> {
        let request = oauth::request(&self.config, with).map_err(NoToken::Refused)?;
        let request = request.map(|body: Bytes| Full::new(body).map_err(|never| match never {}).boxed_unsync());
        let unavailable = |why: String| NoToken::Unavailable(why);
        let exchange = async {
            let response = self.egress.exchange(request, self.config.private_network, limits::TOKEN);
            let (head, body) = response.await.map_err(|trouble| unavailable(trouble.to_string()))?.into_parts();
            let body = Limited::new(body, limits::TOKEN_ANSWER).collect().await;
            let body = body.map_err(|_| unavailable("its answer broke off or is too long".into()))?.to_bytes();
            oauth::answer(head.status, &body)
        };
        let granted = tokio::time::timeout(limits::TOKEN, exchange).await;
        let granted = granted.unwrap_or_else(|_| Err(unavailable("its answer took too long".into())))?;
        // Before anything is done with them.
        granted.refresh.iter().chain([&granted.access]).for_each(|secret| self.known.add(secret));
        Ok(granted)
    }
}

/// The token as a header, to be renewed before it ends: what is sent takes its time.
fn token(granted: &Granted, number: u64) -> Result<Token, NoToken> {
    let header = HeaderValue::try_from(format!("Bearer {}", granted.access.expose_secret()));
    let mut header = header.map_err(|_| NoToken::Unavailable("its token cannot be sent".into()))?;
    header.set_sensitive(true);
    // A server may say a hundred years, which is more than the clock can hold.
    let lifetime = granted.lifetime.min(limits::TOKEN_LIFETIME_MOST);
    let early = limits::TOKEN_EARLY.min(lifetime / 4);
    Ok(Token { header, renew: Instant::now() + (lifetime - early), number })
}
