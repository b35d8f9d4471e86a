//! Tokens at hand, and asking for the next one: once for all calls, plugins and generations that use the credential.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use http_body_util::{BodyExt as _, Full, Limited};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use tokio_util::task::TaskTracker;

use super::oauth::{self, Granted, With};
use super::refresh::{Next, Rotation};
use super::token::{Fresh, Known, NoToken, Token};
use super::{ClientAuth, Flow, OAuth2, TokenStore};
use crate::capabilities::egress::Egress;
use crate::limits;

/// Every credential of the engine that asks for tokens.
pub(crate) struct Credentials {
    egress: Arc<Egress>,
    store: Arc<dyn TokenStore>,
    sources: Mutex<HashMap<[u8; 32], Weak<Source>>>,
    /// What must not be broken off.
    tasks: TaskTracker,
}

impl Credentials {
    pub(crate) fn new(egress: Arc<Egress>, store: Arc<dyn TokenStore>) -> Self {
        Self { egress, store, sources: Mutex::default(), tasks: TaskTracker::new() }
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
        let rotation = match &config.flow {
            Flow::RefreshToken(configured) => Some(Rotation::new(config, configured)?),
            Flow::ClientCredentials | Flow::JwtBearer(_) => None,
        };
        let source = Arc::new(Source {
            config: config.clone(),
            rotation,
            egress: self.egress.clone(),
            store: self.store.clone(),
            tasks: self.tasks.clone(),
            state: Mutex::default(),
            known: Arc::default(),
        });
        sources.insert(digest, Arc::downgrade(&source));
        Ok(source)
    }

    /// Waits until no token is on its way any more, and what came is kept.
    pub(crate) async fn settled(&self) {
        self.tasks.close();
        self.tasks.wait().await;
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
        (auth, flow, &config.scope, &config.parameters, &config.scheme, config.private_network),
    );
    // Debug puts texts into quotes with escapes: no two configurations look the same.
    Sha256::digest(format!("{parts:?}")).into()
}

type Asking = Shared<BoxFuture<'static, Result<Arc<Token>, NoToken>>>;

/// Where one credential's tokens come from.
pub(crate) struct Source {
    config: OAuth2,
    /// With a refresh token: what becomes of it.
    rotation: Option<Rotation>,
    egress: Arc<Egress>,
    store: Arc<dyn TokenStore>,
    tasks: TaskTracker,
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
    /// How often there was none, one after the other.
    failures: u32,
    /// The last time that a server did not take a token that had not ended.
    rejected: Option<Instant>,
    /// That token: other nodes may not know yet.
    spent: Option<SecretString>,
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
                && at.elapsed() < pause(state.failures)
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
        state.spent = Some(token.access.clone());
        true
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks on a task of its own: a call that ends early must not take with it the refresh token that is on its way.
    async fn ask(self: Arc<Self>) -> Result<Arc<Token>, NoToken> {
        let task = self.tasks.spawn({
            let source = self.clone();
            async move { source.fetch().await }
        });
        let granted = task.await.unwrap_or_else(|_| Err(NoToken::Unavailable("the engine is ending".into())));
        let mut state = self.state();
        state.asking = None;
        match granted {
            Ok(fresh) => {
                state.count += 1;
                let scheme = self.config.scheme.as_deref().unwrap_or("Bearer");
                let token = Arc::new(fresh.token(scheme, state.count)?);
                state.token = Some(token.clone());
                (state.failed, state.failures) = (None, 0);
                Ok(token)
            }
            Err(why) => {
                state.failed = Some((Instant::now(), why.clone()));
                state.failures = state.failures.saturating_add(1);
                Err(why)
            }
        }
    }

    async fn fetch(self: &Arc<Self>) -> Result<Fresh, NoToken> {
        let granted = match (&self.rotation, &self.config.flow) {
            (Some(rotation), _) => self.refresh(rotation).await,
            (None, Flow::JwtBearer(statement)) => {
                self.exchange(&oauth::signed(statement)?).await.map(|it| Fresh::of(&it))
            }
            (None, _) => self.exchange(&With::Client).await.map(|it| Fresh::of(&it)),
        };
        if let Err(why) = &granted {
            let (credential, host) = (&self.config.name, self.config.token_url.host_str());
            match (why, &self.rotation) {
                (NoToken::Refused(_), Some(_)) => tracing::error!(
                    credential,
                    host,
                    "a credential has no token: {why}; if its refresh token is not good any more, get a new one from the \
                     server and put it where `refresh_token` under [credentials.{credential}] says"
                ),
                _ => tracing::error!(credential, host, "a credential has no token: {why}"),
            }
        }
        granted
    }

    /// With the refresh token that is good now, of which all nodes that share the store know.
    async fn refresh(self: &Arc<Self>, rotation: &Rotation) -> Result<Fresh, NoToken> {
        let spent = self.state().spent.clone();
        let store = &*self.store;
        let turn = match rotation.next(store, spent.as_ref(), |secret| self.known.add(secret)).await? {
            Next::Have(fresh) => return Ok(fresh),
            Next::Ask(turn) => turn,
        };
        let granted = match self.exchange(&With::Refresh(turn.refresh.clone())).await {
            Ok(granted) => granted,
            Err(why) => {
                rotation.give_up(store, turn).await;
                return Err(why);
            }
        };
        let fresh = Fresh::of(&granted);
        if let Err(error) = rotation.keep(store, turn, &granted, fresh.good_for).await {
            let credential = &self.config.name;
            tracing::error!(credential, %error, "a new refresh token is only in memory, until the store takes it");
            let source = self.clone();
            self.tasks.spawn(async move {
                if let Some(rotation) = &source.rotation {
                    while !rotation.save_unsaved(&*source.store).await.unwrap_or(false) {
                        tokio::time::sleep(limits::TOKEN_KEEP).await;
                    }
                }
            });
        }
        Ok(fresh)
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
            let mut secrets = self.config.secrets();
            secrets.extend(with.secret().cloned());
            oauth::answer(head.status, &body, &secrets)
        };
        let granted = tokio::time::timeout(limits::TOKEN, exchange).await;
        let granted = granted.unwrap_or_else(|_| Err(unavailable("its answer took too long".into())))?;
        // Before anything is done with them.
        granted.refresh.iter().chain([&granted.access]).for_each(|secret| self.known.add(secret));
        Ok(granted)
    }
}

/// How long nobody asks after so many failures.
fn pause(failures: u32) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    limits::TOKEN_FAILED.saturating_mul(doubled.max(1)).min(limits::TOKEN_FAILED_MOST)
}
