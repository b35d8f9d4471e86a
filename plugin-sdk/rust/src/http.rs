//! An HTTP client that waits for its answer, and what an answer's status means for the gateway.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Failure;
use crate::host::Host;
use crate::time::{self, Period, Timestamp};

/// How many characters of an error's body go into a failure's reason: enough for a vendor's sentence.
const EXCERPT: usize = 200;

/// Digits in a row from which an excerpt hides them: phone numbers and the like have no place in a reason.
const PERSONAL_DIGITS: usize = 7;

/// The header of an answer that the gateway gave in the server's place, because the operator has not granted the
/// request. Its value is what does not fit, in a word.
const DENIED: &str = "x-patchbay-denied";

/// An HTTP client over `wasi:http`, from [`Context::http`](crate::Context::http).
#[derive(Clone, Copy, Debug)]
pub struct Http<'a> {
    host: &'a Host,
}

impl<'a> Http<'a> {
    pub(crate) const fn new(host: &'a Host) -> Self {
        Self { host }
    }

    /// A `GET` request.
    pub fn get(self, url: impl Into<String>) -> Request<'a> {
        self.request("GET", url)
    }

    /// A `POST` request.
    pub fn post(self, url: impl Into<String>) -> Request<'a> {
        self.request("POST", url)
    }

    /// A `PUT` request.
    pub fn put(self, url: impl Into<String>) -> Request<'a> {
        self.request("PUT", url)
    }

    /// A `PATCH` request.
    pub fn patch(self, url: impl Into<String>) -> Request<'a> {
        self.request("PATCH", url)
    }

    /// A `DELETE` request.
    pub fn delete(self, url: impl Into<String>) -> Request<'a> {
        self.request("DELETE", url)
    }

    /// A request with any method, in capitals.
    pub fn request(self, method: impl Into<String>, url: impl Into<String>) -> Request<'a> {
        Request { host: self.host, sent: Sent { method: method.into(), url: url.into(), ..Sent::default() } }
    }
}

/// What leaves for the host.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) timeout: Option<Period>,
}

/// A request that is not sent yet.
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request<'a> {
    host: &'a Host,
    sent: Sent,
}

impl Request<'_> {
    /// Adds a header. Leave `authorization` to the host: the credential is on the operator's grant.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.sent.headers.push((name.into(), value.into()));
        self
    }

    /// Adds a parameter to the URL's query, percent-encoded.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        let url = &mut self.sent.url;
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(&encode(name));
        url.push('=');
        url.push_str(&encode(value));
        self
    }

    /// The body as it is; give its `content-type` with [`header`](Self::header).
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.sent.body = body.into();
        self
    }

    /// The body as JSON, with its content type.
    ///
    /// # Errors
    /// [`Failure::Permanent`] if the value cannot be written as JSON.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Result<Self, Failure> {
        let body =
            serde_json::to_vec(value).map_err(|error| Failure::permanent(format!("writing the request: {error}")))?;
        Ok(self.header("content-type", "application/json").body(body))
    }

    /// How long [`send`](Self::send) may take until the last byte of the answer, for requests that must not hold up what
    /// they are part of. Without it the gateway's own limits count, which are longer; it cannot make them longer.
    pub fn timeout(mut self, timeout: Period) -> Self {
        self.sent.timeout = Some(timeout);
        self
    }

    /// Sends it and waits for the whole answer. Any status is an answer; see [`Response::ok`].
    ///
    /// # Errors
    /// [`Failure::Retry`] if no answer came, or not in time; [`Failure::Permanent`] if the request itself is not possible or not
    /// granted.
    pub fn send(self) -> Result<Response, Failure> {
        let subject = subject(&self.sent.method, &self.sent.url);
        match self.host.send(self.sent) {
            Ok(answer) => Ok(answer.into_response(self.host.now(), subject)),
            Err(error) => Err(error.into_failure(&subject)),
        }
    }
}

/// What came back from the host.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn into_response(self, now: Timestamp, subject: String) -> Response {
        Response { status: self.status, headers: self.headers, body: self.body, now, subject }
    }
}

/// Why nothing came back.
#[derive(Debug)]
pub(crate) enum SendError {
    /// Another try may do.
    Broken(String),
    /// The request is wrong or forbidden.
    #[cfg_attr(not(target_arch = "wasm32"), expect(dead_code, reason = "the fake host breaks, it does not refuse"))]
    Refused(String),
}

impl SendError {
    pub(crate) fn into_failure(self, subject: &str) -> Failure {
        match self {
            Self::Broken(why) => Failure::retry(format!("{subject}: {why}")),
            Self::Refused(why) => Failure::permanent(format!("{subject}: {why}")),
        }
    }
}

/// Method and host: paths and queries can hold personal data.
pub(crate) fn subject(method: &str, url: &str) -> String {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest).split(['/', '?']).next().unwrap_or_default();
    format!("{method} {host}")
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    now: Timestamp,
    subject: String,
}

impl Response {
    /// The status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Whether the status is 2xx.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// A header's value, whatever the case of its name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The body as text; what is no UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// [`Failure::Retry`] if it is not JSON of that shape: a proxy's page in front of a vendor that is down, mostly.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Failure::retry(format!("{}: unexpected answer: {error}", self.subject)))
    }

    /// Milliseconds to wait before the next try, from `Retry-After` in seconds or as a date.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        let value = self.header("retry-after")?.trim();
        if let Ok(seconds) = value.parse::<u64>() {
            return Some(seconds.saturating_mul(1000));
        }
        // A fraction is not allowed and comes all the same: round up.
        if let Some((seconds, fraction)) = value.split_once('.')
            && fraction.bytes().all(|b| b.is_ascii_digit())
            && let Ok(seconds) = seconds.parse::<u64>()
        {
            return Some(seconds.saturating_add(1).saturating_mul(1000));
        }
        // The vendor's own clock, where it shows it, is the one that the date was made with.
        let now = self.header("date").and_then(time::parse_http_date).unwrap_or(self.now);
        time::parse_http_date(value).map(|at| at.saturating_sub(now))
    }

    /// The answer itself if its status is 2xx, else what the status means.
    ///
    /// # Errors
    /// As [`Response::failure`] says.
    pub fn ok(self) -> Result<Self, Failure> {
        match self.failure() {
            None => Ok(self),
            Some(failure) => Err(failure),
        }
    }

    /// What the gateway has against the request, in a word such as `host`, `method` or `path`, if the operator has not
    /// granted it: the answer is the gateway's own then, and nothing was sent.
    #[must_use]
    pub fn denied(&self) -> Option<&str> {
        self.header(DENIED)
    }

    /// What a status other than 2xx means: 408, 425, 429 and 5xx are worth another try, after `Retry-After` where it is
    /// given; 401 and 403 are about the credential; the others will not change by trying again. What the gateway
    /// [denied](Self::denied) is permanent: no credential helps where a grant is missing.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        if self.is_success() {
            return None;
        }
        let reason = self.reason();
        if self.denied().is_some() {
            return Some(Failure::permanent(reason));
        }
        Some(match self.status {
            408 | 425 | 429 | 500..=599 => match self.retry_after() {
                Some(after) => Failure::retry_after(after, reason),
                None => Failure::retry(reason),
            },
            401 | 403 => Failure::credential(reason),
            _ => Failure::permanent(reason),
        })
    }

    /// Method, host, status and the first words of the body, without what could be personal; of a request that the
    /// gateway [denied](Self::denied), which grant is missing.
    #[must_use]
    pub fn reason(&self) -> String {
        if let Some(denied) = self.denied() {
            // The first line is a sentence; what to write into the configuration follows it and is in the log.
            let text = self.text();
            let why = excerpt(text.lines().next().unwrap_or_default().trim_end_matches("; to allow it:"));
            return format!("{}: not granted ({denied}): {why}", self.subject);
        }
        let text = excerpt(&self.text());
        if text.is_empty() {
            format!("{}: {}", self.subject, self.status)
        } else {
            format!("{}: {} {text}", self.subject, self.status)
        }
    }
}

/// The first words of a text on one line; long numbers and what looks like an address are hidden.
fn excerpt(text: &str) -> String {
    let text: String = text.chars().take(EXCERPT).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words = text.split_whitespace().map(|word| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        if digits >= PERSONAL_DIGITS || word.contains('@') { "…" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
#[must_use]
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            for nibble in [byte >> 4, byte & 15] {
                encoded.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0').to_ascii_uppercase());
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        // 2026-11-21T10:00:00Z
        Answer { status, headers, body: body.into() }.into_response(1_795_255_200_000, "POST example.com".into())
    }

    #[test]
    fn statuses_say_what_to_do_next() {
        let retry = |after: Option<u64>, reason: &str| {
            let reason = format!("POST example.com: {reason}");
            Some(after.map_or_else(|| Failure::retry(&reason), |after| Failure::retry_after(after, &reason)))
        };
        for (response, failure) in [
            (response(204, &[], ""), None),
            (response(429, &[("Retry-After", "2")], "slow down"), retry(Some(2000), "429 slow down")),
            (response(429, &[("retry-after", "0.5")], ""), retry(Some(1000), "429")),
            (response(503, &[("retry-after", "Sat, 21 Nov 2026 10:00:30 GMT")], ""), retry(Some(30_000), "503")),
            (
                response(
                    503,
                    &[("date", "Sat, 21 Nov 2026 10:00:29 GMT"), ("retry-after", "Sat, 21 Nov 2026 10:00:30 GMT")],
                    "",
                ),
                retry(Some(1000), "503"),
            ),
            (response(500, &[("retry-after", "soon")], "<html>\n"), retry(None, "500 <html>")),
            (response(401, &[], "no"), Some(Failure::credential("POST example.com: 401 no"))),
            (response(403, &[], ""), Some(Failure::credential("POST example.com: 403"))),
            (
                response(422, &[], "phone +447700900001 of a@b.example is taken"),
                Some(Failure::permanent("POST example.com: 422 phone … of … is taken")),
            ),
        ] {
            assert_eq!(response.failure(), failure);
        }
    }

    #[test]
    fn a_missing_grant_is_no_matter_of_the_credential() {
        let text = "plugin `zendesk` is not granted the host acme.example; to allow it:\n\
            [[plugins.zendesk.grants.http]]\nhost = \"acme.example\"";
        let answer = response(403, &[("X-Patchbay-Denied", "host")], text);
        assert_eq!(answer.denied(), Some("host"));
        let why = "POST example.com: not granted (host): plugin `zendesk` is not granted the host acme.example";
        assert_eq!(answer.failure(), Some(Failure::permanent(why)));
        assert_eq!(answer.ok().unwrap_err(), Failure::permanent(why));
        assert_eq!(response(403, &[], "").denied(), None);
    }

    #[test]
    fn reasons_name_the_host_only() {
        assert_eq!(subject("GET", "https://acme.example/users/447700900001?q=x"), "GET acme.example");
        assert_eq!(subject("GET", "https://acme.example?q=x"), "GET acme.example");
    }

    #[test]
    fn queries_are_encoded() {
        assert_eq!(encode("a b/ü~"), "a%20b%2F%C3%BC~");
    }
}
