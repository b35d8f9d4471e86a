//! What nodes keep of a refresh token that changes, and how it is sealed.
//!
//! The key comes from the refresh token in the configuration: what is kept is worth nothing to who has only the store, and
//! a token that is replaced in the configuration begins anew by itself, because nothing is kept under its name.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use bytes::Bytes;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::OAuth2;

/// Keeps these keys apart from all others that are made of the same secret.
const SALT: &[u8] = b"patchbay refresh token 1";

/// The first byte of what is kept; another one is of a later version.
const VERSION: u8 = 1;

/// What is said when sealing goes wrong, which it does for lack of randomness only.
const UNSEALED: &str = "the tokens cannot be sealed";

/// What is kept.
#[derive(Clone)]
pub(super) struct Record {
    /// The refresh token that is good now.
    pub(super) refresh: SecretString,
    /// The access token that came with it.
    pub(super) access: Option<Access>,
    /// A node asks for the next one: a name that it gave itself for this.
    pub(super) asker: Option<String>,
}

/// An access token, for all nodes.
#[derive(Clone)]
pub(super) struct Access {
    pub(super) token: SecretString,
    /// What was asked for; another scope is another token.
    pub(super) purpose: String,
    /// The next one is asked for from here on, by the clock of the node that got it.
    pub(super) renew: SystemTime,
}

/// Seals and opens what is kept of one refresh token.
pub(super) struct Seal {
    name: String,
    key: RandomizedNonceKey,
}

impl Seal {
    /// For this refresh token of the configuration, at its server and for its client. Whatever else is configured, the
    /// refresh token is the same one.
    pub(super) fn new(config: &OAuth2, configured: &SecretString) -> Result<Self, String> {
        let prk = Salt::new(HKDF_SHA256, SALT).extract(configured.expose_secret().as_bytes());
        let context = json!([config.token_url.as_str(), config.client_id]).to_string();
        let derive = |purpose: &str| {
            let mut bytes = Zeroizing::new([0; 32]);
            let info = [purpose.as_bytes(), context.as_bytes()];
            let filled = prk.expand(&info, HKDF_SHA256).and_then(|okm| okm.fill(&mut *bytes));
            filled.map(|()| bytes).map_err(|_| UNSEALED.to_owned())
        };
        let name = derive("name ")?.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let key = RandomizedNonceKey::new(&AES_256_GCM, &*derive("key ")?).map_err(|_| UNSEALED.to_owned())?;
        Ok(Self { name, key })
    }

    /// Under which it is kept. Says nothing of the token.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The version, the nonce, and what is encrypted with its tag.
    pub(super) fn seal(&self, record: &Record) -> Result<Bytes, String> {
        let mut body = Zeroizing::new(record.to_json().to_string().into_bytes());
        // Room for the tag: what grows leaves a copy behind.
        body.reserve_exact(AES_256_GCM.tag_len());
        let sealed = self.key.seal_in_place_append_tag(Aad::from(&self.name), &mut *body);
        let nonce = sealed.map_err(|_| UNSEALED.to_owned())?;
        Ok([&[VERSION][..], nonce.as_ref(), &body].concat().into())
    }

    /// What [`Seal::seal`] made; none, if it was not made with this key, or is of a later version.
    pub(super) fn open(&self, sealed: &[u8]) -> Option<Record> {
        let rest = sealed.strip_prefix(&[VERSION])?;
        let (nonce, body) = rest.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut body = Zeroizing::new(body.to_vec());
        let opened = self.key.open_in_place(nonce, Aad::from(&self.name), &mut body).ok()?;
        Record::from_json(&serde_json::from_slice(opened).ok()?)
    }
}

impl Record {
    fn to_json(&self) -> Value {
        let access = self.access.as_ref().map(|access| {
            let renew = access.renew.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            json!({ "token": access.token.expose_secret(), "purpose": access.purpose, "renew": renew })
        });
        json!({ "refresh": self.refresh.expose_secret(), "access": access, "asker": self.asker })
    }

    fn from_json(json: &Value) -> Option<Self> {
        let text = |value: &Value| Some(value.as_str()?.to_owned());
        let access = |value: &Value| {
            Some(Access {
                token: text(value.get("token")?)?.into(),
                purpose: text(value.get("purpose")?)?,
                renew: UNIX_EPOCH.checked_add(Duration::from_secs(value.get("renew")?.as_u64()?))?,
            })
        };
        Some(Self {
            refresh: text(json.get("refresh")?)?.into(),
            access: json.get("access").and_then(access),
            asker: json.get("asker").and_then(text),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::{ClientAuth, Flow};

    fn config() -> OAuth2 {
        OAuth2 {
            name: "crm".into(),
            token_url: "https://login.example.com/token".parse().unwrap(),
            client_id: Some("app".into()),
            client_secret: Some("secret".to_owned().into()),
            client_auth: ClientAuth::Basic,
            flow: Flow::RefreshToken("unused".to_owned().into()),
            scope: None,
            parameters: std::collections::BTreeMap::new(),
            scheme: None,
            private_network: false,
        }
    }

    fn seal(config: &OAuth2, token: &str) -> Seal {
        Seal::new(config, &token.to_owned().into()).unwrap()
    }

    fn record() -> Record {
        let renew = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let access = Access { token: "the-access-token".to_owned().into(), purpose: "p".into(), renew };
        Record { refresh: "the-next-refresh-token".to_owned().into(), access: Some(access), asker: Some("me".into()) }
    }

    #[test]
    fn what_is_sealed_opens_and_shows_nothing() {
        let seal = seal(&config(), "the-configured-token");
        let sealed = seal.seal(&record()).unwrap();
        let shown = String::from_utf8_lossy(&sealed);
        for secret in ["the-next-refresh-token", "the-access-token", "the-configured-token", "refresh"] {
            assert!(!shown.contains(secret) && !seal.name().contains(secret), "{shown}");
        }
        let opened = seal.open(&sealed).unwrap();
        assert_eq!(opened.refresh.expose_secret(), "the-next-refresh-token");
        assert_eq!(opened.asker.as_deref(), Some("me"));
        let access = opened.access.unwrap();
        assert_eq!((access.token.expose_secret(), access.purpose.as_str()), ("the-access-token", "p"));
        assert_eq!(access.renew, record().access.unwrap().renew);
        assert_ne!(seal.seal(&record()).unwrap(), sealed, "a nonce is never used twice");
    }

    #[test]
    fn what_was_changed_or_is_of_another_key_does_not_open() {
        let mine = seal(&config(), "the-configured-token");
        let sealed = mine.seal(&record()).unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.to_vec();
            changed[at] ^= 1;
            assert!(mine.open(&changed).is_none(), "byte {at}");
            assert!(mine.open(&sealed[..at]).is_none(), "{at} bytes");
        }
        for other in [seal(&config(), "another"), seal(&OAuth2 { client_id: None, ..config() }, "the-configured-token")]
        {
            assert_ne!(other.name(), mine.name());
            assert!(other.open(&sealed).is_none());
        }
    }

    #[test]
    fn what_does_not_belong_to_the_token_changes_nothing() {
        let mine = seal(&config(), "the-configured-token");
        let renamed = OAuth2 {
            name: "other".into(),
            client_secret: Some("rotated".to_owned().into()),
            client_auth: ClientAuth::Body,
            scope: Some("read".into()),
            ..config()
        };
        assert_eq!(seal(&renamed, "the-configured-token").name(), mine.name());
    }
}
