//! Following a refresh token that changes with each use, together with every node that has the same store.
//!
//! Many servers take a token from everybody when it is used a second time. So whoever wants to use it writes into the
//! record that it does, and the others wait for what comes of it. A node that ends in between leaves that note behind, which
//! counts for nothing after [`limits::TOKEN_LEASE`]: not by anybody's clock, but by having looked at it for so long.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::oauth::Granted;
use super::sealed::{Access, Record, Seal};
use super::token::{Fresh, NoToken};
use super::tokens::TokenStoreError;
use super::{OAuth2, TokenStore};
use crate::limits;

/// One refresh token of the configuration, and what became of it.
pub(super) struct Rotation {
    configured: SecretString,
    seal: Seal,
    /// What the access tokens are for: two credentials may share the refresh token and want other scopes.
    purpose: String,
    /// The note of a node that asks, by its revision, and since when it is known.
    seen: Mutex<Option<(u64, Instant)>>,
    /// What the store did not take.
    unsaved: Mutex<Option<Unsaved>>,
}

#[derive(Clone)]
struct Unsaved {
    /// The refresh token that was used for it.
    used: SecretString,
    record: Record,
}

/// The right to use the refresh token, until it is written what came of it.
pub(super) struct Turn {
    revision: u64,
    asker: Option<String>,
    /// The refresh token to use.
    pub(super) refresh: SecretString,
}

/// What there is to do for a token.
pub(super) enum Next {
    /// Nothing: somebody has got one.
    Have(Fresh),
    /// To ask for it, and to say what came of it.
    Ask(Turn),
}

impl Rotation {
    pub(super) fn new(config: &OAuth2, configured: &SecretString) -> Result<Self, String> {
        let purpose = format!("{:?}", (&config.scope, &config.parameters));
        let purpose = Sha256::digest(purpose).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let seal = Seal::new(config, configured)?;
        let (seen, unsaved) = (Mutex::default(), Mutex::default());
        Ok(Self { configured: configured.clone(), seal, purpose, seen, unsaved })
    }

    /// Waits until somebody has a token that is not `spent`, or it is our turn to ask.
    pub(super) async fn next(
        &self,
        store: &dyn TokenStore,
        spent: Option<&SecretString>,
        learn: impl Fn(&SecretString),
    ) -> Result<Next, NoToken> {
        let until = Instant::now() + limits::TOKEN;
        loop {
            // A token that only this process has must get out of it before it is used up.
            if self.unsaved().is_some() && !self.save_unsaved(store).await.map_err(unavailable)? {
                continue;
            }
            let (revision, record) = self.read(store).await?;
            learn(&record.refresh);
            if let Some(access) = record.access.as_ref().filter(|access| access.purpose == self.purpose) {
                learn(&access.token);
                let left = access.renew.duration_since(SystemTime::now()).unwrap_or_default();
                let spent = spent.is_some_and(|spent| spent.expose_secret() == access.token.expose_secret());
                if !left.is_zero() && !spent {
                    return Ok(Next::Have(Fresh { access: access.token.clone(), good_for: left }));
                }
            }
            if record.asker.is_some() && !self.left_behind(revision) {
                if Instant::now() >= until {
                    return Err(NoToken::Unavailable("another node asks for it, and has no answer yet".into()));
                }
                tokio::time::sleep(limits::TOKEN_LOOK).await;
                continue;
            }
            let asker = Some(format!("{:032x}", rand::random::<u128>()));
            let refresh = record.refresh.clone();
            let noted = Record { asker: asker.clone(), ..record };
            if let Some(revision) = self.write(store, &noted, revision).await.map_err(unavailable)? {
                return Ok(Next::Ask(Turn { revision, asker, refresh }));
            }
        }
    }

    /// There was no token: the next one may ask at once.
    pub(super) async fn give_up(&self, store: &dyn TokenStore, turn: Turn) {
        let Ok((revision, record)) = self.read(store).await else { return };
        if revision == turn.revision && record.asker == turn.asker {
            // Who cannot be told waits a little longer.
            let _told = self.write(store, &Record { asker: None, ..record }, revision).await;
        }
    }

    /// Keeps what came. `false`: the store did not take it, and [`Rotation::save_unsaved`] has to be tried again.
    pub(super) async fn keep(
        &self,
        store: &dyn TokenStore,
        turn: Turn,
        granted: &Granted,
        good_for: Duration,
    ) -> Result<(), TokenStoreError> {
        let renew = SystemTime::now().checked_add(good_for);
        let access = renew.map(|renew| Access { token: granted.access.clone(), purpose: self.purpose.clone(), renew });
        let refresh = granted.refresh.clone().unwrap_or_else(|| turn.refresh.clone());
        let record = Record { refresh, access, asker: None };
        if self.write(store, &record, turn.revision).await.is_ok_and(|written| written.is_some()) {
            return Ok(());
        }
        // Perhaps it was written and not said, or somebody lost patience with us: that has to be looked at.
        *self.unsaved() = Some(Unsaved { used: turn.refresh, record });
        while !self.save_unsaved(store).await? {}
        Ok(())
    }

    /// Tries to keep what was not kept. `false`: somebody wrote in between, so try again.
    pub(super) async fn save_unsaved(&self, store: &dyn TokenStore) -> Result<bool, TokenStoreError> {
        let Some(Unsaved { used, record }) = self.unsaved().clone() else { return Ok(true) };
        let (revision, kept) = match self.read(store).await {
            Ok(read) => read,
            Err(why) => return Err(TokenStoreError(why.to_string())),
        };
        // Where it has gone on from the token that we used, somebody has a later one than ours.
        let ours = kept.refresh.expose_secret() == used.expose_secret();
        if !ours || self.write(store, &record, revision).await?.is_some() {
            *self.unsaved() = None;
            return Ok(true);
        }
        Ok(false)
    }

    async fn read(&self, store: &dyn TokenStore) -> Result<(u64, Record), NoToken> {
        let kept = store.load(self.seal.name()).await.map_err(unavailable)?;
        let Some(kept) = kept else {
            return Ok((0, Record { refresh: self.configured.clone(), access: None, asker: None }));
        };
        // To begin anew with the configured token would be to use it a second time.
        let record = self.seal.open(&kept.sealed).ok_or_else(|| {
            let why = "what the store has of it cannot be read: write a new refresh token into the configuration";
            NoToken::Refused(why.into())
        })?;
        Ok((kept.revision, record))
    }

    async fn write(
        &self,
        store: &dyn TokenStore,
        record: &Record,
        expected: u64,
    ) -> Result<Option<u64>, TokenStoreError> {
        let sealed = self.seal.seal(record).map_err(TokenStoreError)?;
        store.save(self.seal.name(), sealed, expected).await
    }

    /// Whether this note stands there for so long that whoever made it has ended.
    fn left_behind(&self, revision: u64) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let since = match *seen {
            Some((known, since)) if known == revision => since,
            _ => seen.insert((revision, Instant::now())).1,
        };
        since.elapsed() >= limits::TOKEN_LEASE
    }

    fn unsaved(&self) -> std::sync::MutexGuard<'_, Option<Unsaved>> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unavailable(error: TokenStoreError) -> NoToken {
    NoToken::Unavailable(error.to_string())
}
