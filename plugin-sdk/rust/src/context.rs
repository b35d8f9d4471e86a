//! What a call may ask the host for.

use crate::time::Timestamp;
use crate::{Failure, Http, MediaReader, Store, Upload, host};

/// How much a line in the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For whoever writes the plugin.
    Debug,
    /// As expected.
    Info,
    /// Worth a look.
    Warn,
    /// Somebody has to do something.
    Error,
}

/// What a call may ask the host for. What a plugin never asks for is not imported by its component.
#[derive(Debug)]
pub struct Context {
    pub(crate) host: host::Host,
}

impl Context {
    /// The context of a call from the gateway.
    #[cfg(target_arch = "wasm32")]
    pub(crate) const fn of_host() -> Self {
        Self { host: host::Host }
    }

    /// How often this call was tried, 1 for the first time.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.host.attempt()
    }

    /// Now; for a handler, the time at which the gateway accepted the event.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.host.now()
    }

    /// An HTTP client. The operator grants the hosts, the host adds the credentials.
    #[must_use]
    pub const fn http(&self) -> Http<'_> {
        Http::new(&self.host)
    }

    /// A request whose body is made of stored media and inline parts; the bytes do not pass through the plugin.
    pub fn upload(&self, method: impl Into<String>, url: impl Into<String>) -> Upload<'_> {
        Upload::new(&self.host, method.into(), url.into())
    }

    /// Opens stored media, by its id. The operator grants it with `media = true`.
    ///
    /// # Errors
    /// [`Failure::Permanent`] if there is no such media, or it is not granted.
    pub fn media(&self, id: &str) -> Result<MediaReader<'_>, Failure> {
        self.host.open_media(id).map_err(|why| Failure::permanent(format!("media {id}: {why}")))
    }

    /// What this plugin remembers beyond the call, as keys and values. The operator grants it with
    /// `keyvalue = "1MiB"`.
    #[must_use]
    pub const fn store(&self) -> Store<'_> {
        Store::new(&self.host)
    }

    /// Whether `signature` is right for `message` under a secret that the operator bound to this plugin by name and that
    /// the plugin never sees. `algorithm` is `hmac-sha256` or `hmac-sha1`, over raw bytes (decode hex or base64 first),
    /// or `equal`, which compares `signature` with the secret itself.
    ///
    /// # Errors
    /// [`Failure::Permanent`] if the operator bound no secret of this name.
    pub fn verify(&self, secret: &str, algorithm: &str, message: &[u8], signature: &[u8]) -> Result<bool, Failure> {
        self.host
            .verify(secret, algorithm, message, signature)
            .map_err(|why| Failure::permanent(format!("secret `{secret}`: {why}")))
    }

    /// A line in the operator's log under the plugin's name.
    pub fn log(&self, level: Level, message: &str) {
        self.host.log(level, message);
    }
}
