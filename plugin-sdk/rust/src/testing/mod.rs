//! A scripted host, so that a plugin's logic is tested natively, without WebAssembly, network or gateway.
//!
//! ```
//! use patchbay_plugin::testing::{FakeHost, FakeHttp};
//! use serde_json::json;
//!
//! let http = FakeHttp::new().expect("POST", "/api/v2/tickets").answer(201, json!({ "ticket": { "id": 7 } }));
//! let host = FakeHost::new().http(http).attempt(2);
//! let cx = host.context();
//!
//! let response = cx.http().post("https://acme.example/api/v2/tickets").json(&json!({})).unwrap().send().unwrap();
//! assert_eq!((response.status(), cx.attempt()), (201, 2));
//! host.finish();
//! ```
//!
//! Everything here panics where a test should stop: at a request that was not expected, and in
//! [`FakeHost::finish`] at an expected one that did not come.

mod build;
mod http;
mod store;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use hmac::{Hmac, KeyInit, Mac};
use serde::de::DeserializeOwned;
use sha1::Sha1;
use sha2::Sha256;

pub use self::build::{conversation, customer, draft, entry, event, media, message, message_event, text_event, ticket};
pub use self::http::{Expectation, FakeHttp, Recorded};
use crate::bindings::handler::patchbay::plugin::uploads::Part;
use crate::http::{Answer, SendError, Sent};
use crate::time::Timestamp;
use crate::{Context, Event, Failure, Handler, Level, MediaReader, Outcome, Upload, settings};

/// The time at a fake host, unless the test sets another: 2026-11-21T10:00:00Z.
pub const NOW: Timestamp = 1_795_255_200_000;

/// The gateway's place in a test. Set it up, take its [`context`](Self::context), ask it afterwards what happened.
#[derive(Clone, Debug)]
pub struct FakeHost {
    host: Host,
}

/// What a native [`Context`] calls.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    state: Rc<RefCell<State>>,
}

#[derive(Debug)]
struct State {
    attempt: u32,
    now: Timestamp,
    secrets: BTreeMap<String, Vec<u8>>,
    media: BTreeMap<String, Vec<u8>>,
    store: BTreeMap<String, Vec<u8>>,
    http: FakeHttp,
    log: Vec<(Level, String)>,
}

impl Default for FakeHost {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeHost {
    /// A host at [`NOW`], in the first attempt, that expects no requests and knows neither secrets, media nor keys.
    #[must_use]
    pub fn new() -> Self {
        let state = State {
            attempt: 1,
            now: NOW,
            secrets: BTreeMap::new(),
            media: BTreeMap::new(),
            store: BTreeMap::new(),
            http: FakeHttp::new(),
            log: Vec::new(),
        };
        Self { host: Host { state: Rc::new(RefCell::new(state)) } }
    }

    /// Expects these requests.
    #[must_use]
    pub fn http(self, http: FakeHttp) -> Self {
        self.host.state.borrow_mut().http = http;
        self
    }

    /// Sets the attempt.
    #[must_use]
    pub fn attempt(self, attempt: u32) -> Self {
        self.host.state.borrow_mut().attempt = attempt;
        self
    }

    /// Sets the time.
    #[must_use]
    pub fn now(self, now: Timestamp) -> Self {
        self.host.state.borrow_mut().now = now;
        self
    }

    /// Binds a secret.
    #[must_use]
    pub fn secret(self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.host.state.borrow_mut().secrets.insert(name.into(), value.into());
        self
    }

    /// Stores media under an id.
    #[must_use]
    pub fn media(self, id: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.host.state.borrow_mut().media.insert(id.into(), bytes.into());
        self
    }

    /// Keeps a value under a key, as if an earlier call had written it.
    #[must_use]
    pub fn stored(self, key: &str, value: impl Into<Vec<u8>>) -> Self {
        self.host.state.borrow_mut().store.insert(key.into(), value.into());
        self
    }

    /// What the plugin's functions take.
    #[must_use]
    pub fn context(&self) -> Context {
        Context { host: self.host.clone() }
    }

    /// Calls a handler as the gateway would, its settings read from JSON. What it wrote into its store is kept if it did
    /// not fail.
    ///
    /// # Errors
    /// The handler's failure, or what is wrong with the settings.
    pub fn handle<H: Handler>(&self, settings: &serde_json::Value, event: &Event) -> Result<Outcome, Failure> {
        let before = self.store();
        let answer = H::handle(&self::settings(settings)?, event, &self.context());
        if answer.is_err() {
            self.host.state.borrow_mut().store = before;
        }
        answer
    }

    /// The keys and values that the plugin has written so far, and those that were there before.
    #[must_use]
    pub fn store(&self) -> BTreeMap<String, Vec<u8>> {
        self.host.state.borrow().store.clone()
    }

    /// The requests that were made so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.host.state.borrow().http.recorded().to_vec()
    }

    /// The lines that were logged so far.
    #[must_use]
    pub fn logged(&self) -> Vec<(Level, String)> {
        self.host.state.borrow().log.clone()
    }

    /// Panics unless every expected request came.
    pub fn finish(&self) {
        self.host.state.borrow().http.finish();
    }
}

/// Settings read from JSON as the gateway gives them.
///
/// # Errors
/// What is wrong with them.
pub fn settings<S: DeserializeOwned>(value: &serde_json::Value) -> Result<S, Failure> {
    settings::parse(&value.to_string())
}

/// The signature that [`Context::verify`] takes for right, for `hmac-sha256`: to sign a webhook in a test.
#[must_use]
pub fn hmac_sha256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::<Hmac<Sha256>>(secret, message)
}

fn hmac<M: Mac + KeyInit>(secret: &[u8], message: &[u8]) -> Vec<u8> {
    // HMAC takes a key of any length.
    <M as KeyInit>::new_from_slice(secret)
        .map(|mac| mac.chain_update(message).finalize().into_bytes().to_vec())
        .unwrap_or_default()
}

impl Host {
    pub(crate) fn attempt(&self) -> u32 {
        self.state.borrow().attempt
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.state.borrow().now
    }

    pub(crate) fn log(&self, level: Level, message: &str) {
        self.state.borrow_mut().log.push((level, message.into()));
    }

    pub(crate) fn verify(
        &self,
        secret: &str,
        algorithm: &str,
        message: &[u8],
        signature: &[u8],
    ) -> Result<bool, String> {
        let state = self.state.borrow();
        let secret = state.secrets.get(secret).ok_or("no secret of this name is bound")?;
        let right = match algorithm {
            "hmac-sha256" => hmac::<Hmac<Sha256>>(secret, message),
            "hmac-sha1" => hmac::<Hmac<Sha1>>(secret, message),
            "equal" => secret.clone(),
            other => return Err(format!("unknown algorithm {other}")),
        };
        Ok(right == signature)
    }

    pub(crate) fn open_media(&self, id: &str) -> Result<MediaReader<'static>, String> {
        let bytes = self.state.borrow().media.get(id).cloned().ok_or("there is no such media")?;
        Ok(MediaReader::of_bytes(bytes))
    }

    pub(crate) fn send(&self, sent: Sent) -> Result<Answer, SendError> {
        let Sent { method, url, headers, body, timeout } = sent;
        let sent = Recorded { method, url, headers, body, timeout };
        self.state.borrow_mut().http.send(sent).map_err(SendError::Broken)
    }

    pub(crate) fn upload(&self, upload: Upload<'_>) -> Result<Answer, String> {
        let mut body = Vec::new();
        for part in upload.parts {
            match part {
                Part::Bytes(bytes) => body.extend(bytes),
                Part::Media(id) => body.extend(self.stored(&id)?),
                Part::MediaBase64(id) => body.extend(base64(&self.stored(&id)?)),
            }
        }
        let Upload { method, url, headers, .. } = upload;
        let sent = Recorded { method, url, headers, body, timeout: None };
        self.state.borrow_mut().http.send(sent)
    }

    fn stored(&self, id: &str) -> Result<Vec<u8>, String> {
        self.state.borrow().media.get(id).cloned().ok_or_else(|| format!("there is no media {id}"))
    }
}

/// Standard base64 with padding.
fn base64(bytes: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().chain(&[0, 0]).take(3).fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        for (at, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let sign = if at <= chunk.len() { ALPHABET.get(bits >> shift & 63).copied() } else { None };
            text.push(sign.unwrap_or(b'='));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Period;

    #[test]
    fn signatures_are_checked_for_real() {
        let cx = FakeHost::new().secret("webhook", "key").context();
        let message = b"The quick brown fox jumps over the lazy dog";
        let signature = hmac_sha256(b"key", message);
        assert_eq!(signature[..4], [0xf7, 0xbc, 0x83, 0xf4]);
        for (algorithm, signature, verdict) in [
            ("hmac-sha256", signature.as_slice(), true),
            ("hmac-sha256", b"no", false),
            ("equal", b"key", true),
            ("equal", b"keys", false),
        ] {
            assert_eq!(cx.verify("webhook", algorithm, message, signature).unwrap(), verdict, "{algorithm}");
        }
        assert!(cx.verify("other", "equal", b"", b"").is_err());
        assert!(cx.verify("webhook", "md5", b"", b"").is_err());
    }

    #[test]
    fn uploads_put_media_into_the_body() {
        let http = FakeHttp::new().expect("POST", "/uploads?filename=a%20b.txt").answer(201, json!({}));
        let host = FakeHost::new().http(http).media("m1", "hello");
        let cx = host.context();
        let upload = cx.upload("POST", "https://x.example/uploads").query("filename", "a b.txt");
        assert!(upload.bytes("<").media("m1").bytes("|").media_base64("m1").bytes(">").send().unwrap().is_success());
        assert_eq!(host.requests()[0].body, b"<hello|aGVsbG8=>");
        host.finish();
    }

    #[test]
    fn an_upload_that_is_not_granted_stays_so() {
        let http = FakeHttp::new().expect("POST", "/uploads").answer_with(
            403,
            &[("x-patchbay-denied", "path")],
            "plugin `p` is not granted this path of x.example; to allow it:\n…",
        );
        let cx = FakeHost::new().http(http).context();
        let failure = cx.upload("POST", "https://x.example/uploads").send().unwrap().failure();
        let why = "POST x.example: not granted (path): plugin `p` is not granted this path of x.example";
        assert_eq!(failure, Some(Failure::permanent(why)));
    }

    #[test]
    fn a_request_says_how_long_it_may_take() {
        let http = FakeHttp::new()
            .expect("GET", "/a")
            .answer(200, json!({}))
            .expect("GET", "/b")
            .break_off("no whole answer within 250ms");
        let host = FakeHost::new().http(http);
        let cx = host.context();
        cx.http().get("https://x.example/a").send().unwrap();
        let failure = cx.http().get("https://x.example/b").timeout(Period::from_millis(250)).send().unwrap_err();
        assert_eq!(failure, Failure::retry("GET x.example: no whole answer within 250ms"));
        let timeouts: Vec<_> = host.requests().into_iter().map(|request| request.timeout).collect();
        assert_eq!(timeouts, [None, Some(Period::from_millis(250))]);
    }

    #[test]
    #[should_panic(expected = "expected POST /tickets, and it did not come")]
    fn a_request_that_did_not_come_is_noticed() {
        FakeHost::new().http(FakeHttp::new().expect("POST", "/tickets").answer(201, json!({}))).finish();
    }

    #[test]
    #[should_panic(expected = "GET https://x.example/other was not expected")]
    fn a_request_that_was_not_expected_is_noticed() {
        let cx = FakeHost::new().context();
        let _ = cx.http().get("https://x.example/other").send();
    }
}
