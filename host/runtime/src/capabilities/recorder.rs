//! What servers answered, written down as a golden event has it: for a vendor who would rather ask once than write.
//!
//! Secrets do not go in: the credentials of the plugin's grants are painted over in answers before anybody sees them,
//! requests are written without their headers, and of an answer's headers those are left out that may be secret or that
//! mean nothing the next time.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderMap, Method, Response, Uri, header};
use http_body_util::BodyExt as _;
use patchbay_model::golden::{Exchange, ExpectedRequest, ScriptedAnswer};
use serde_json::Value;
use wasmtime_wasi_http::{Error, WasiBody};

use super::body::whole;
use super::exchange::CREDENTIAL;
use super::policy::DENIED;

/// Parts of the names of headers whose values let somebody in.
const SECRET: [&str; 8] = ["auth", "cookie", "credential", "csrf", "key", "secret", "session", "token"];

/// Headers about the connection, the server or the moment: a script has none of them, and nobody decides by them.
const NOISE: [&str; 26] = [
    "age",
    "alt-svc",
    "cf-cache-status",
    "cf-ray",
    "connection",
    "content-encoding",
    "content-length",
    "content-security-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "date",
    "expect-ct",
    "keep-alive",
    "nel",
    "permissions-policy",
    "referrer-policy",
    "report-to",
    "server",
    "server-timing",
    "strict-transport-security",
    "transfer-encoding",
    "vary",
    "via",
    "x-content-type-options",
    "x-frame-options",
    "x-xss-protection",
];

/// Writes down the exchanges of one call.
#[derive(Default)]
pub(crate) struct Recorder {
    kept: Mutex<Kept>,
}

/// What was written down.
#[derive(Default)]
pub(crate) struct Kept {
    /// In the order in which the requests were begun; none where there was no answer.
    pub(crate) exchanges: Vec<Option<Exchange>>,
    /// Requests that have no answer to write down, with the reason.
    pub(crate) problems: Vec<String>,
    /// Headers that were left out because they may be secret, by name.
    pub(crate) left_out: BTreeSet<String>,
}

impl Recorder {
    /// A place for the next request.
    pub(super) fn begin(&self) -> usize {
        let mut kept = self.kept();
        kept.exchanges.push(None);
        kept.exchanges.len() - 1
    }

    /// Writes down what a request got, and gives it on. `sent`: none where nobody may look at the body.
    pub(super) async fn keep(
        &self,
        place: usize,
        method: &Method,
        uri: &Uri,
        sent: Option<&Bytes>,
        got: Result<Response<WasiBody>, Error>,
    ) -> Result<Response<WasiBody>, Error> {
        let asked = format!("`{method} {uri}`");
        let whole_answer = async {
            let (head, body) = got?.into_parts();
            Ok((head, body.collect().await?.to_bytes()))
        };
        let (head, body) = match whole_answer.await {
            Ok(answer) => answer,
            Err(error) => {
                let problem = format!("{asked} got no answer: {error}");
                self.kept().problems.push(problem);
                return Err(error);
            }
        };
        let mut kept = self.kept();
        if head.headers.contains_key(DENIED) || head.headers.contains_key(CREDENTIAL) {
            kept.problems.push(format!("{asked} was not sent: {}", String::from_utf8_lossy(&body)));
        } else {
            let headers = headers(&head.headers, &mut kept.left_out);
            let (text, base64) = answered(&head.headers, &body);
            let exchange = Exchange {
                request: ExpectedRequest {
                    method: method.to_string(),
                    url: uri.to_string(),
                    body: sent.and_then(|sent| asked_with(sent)),
                },
                answer: ScriptedAnswer { status: head.status.as_u16(), headers, body: text, base64 },
            };
            if let Some(place) = kept.exchanges.get_mut(place) {
                *place = Some(exchange);
            }
        }
        drop(kept);
        Ok(Response::from_parts(head, whole(body)))
    }

    /// What was written down until now.
    pub(crate) fn take(&self) -> Kept {
        std::mem::take(&mut *self.kept())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn headers(headers: &HeaderMap, left_out: &mut BTreeSet<String>) -> Vec<(String, String)> {
    let mut kept = Vec::new();
    for (name, value) in headers {
        let name = name.as_str();
        if SECRET.iter().any(|part| name.contains(part)) {
            left_out.insert(name.to_owned());
        } else if let Ok(value) = value.to_str()
            && !NOISE.contains(&name)
        {
            kept.push((name.to_owned(), value.to_owned()));
        }
    }
    kept
}

/// A request's body: JSON where it is an object or a list, a text, or nothing to compare.
fn asked_with(body: &[u8]) -> Option<Value> {
    if body.is_empty() {
        return None;
    }
    let json = serde_json::from_slice(body).ok().filter(|json: &Value| json.is_object() || json.is_array());
    json.or_else(|| std::str::from_utf8(body).ok().map(|text| Value::String(text.to_owned())))
}

/// An answer's body: JSON where it says that it is, a text, or base64.
fn answered(headers: &HeaderMap, body: &[u8]) -> (Value, Option<String>) {
    let says = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = says.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    // Alone, a text would be taken for a body that is no JSON, and nothing for none.
    let whole = |json: &Value| json.is_object() || json.is_array();
    if let Some(json) = serde_json::from_slice(body).ok().filter(whole)
        && essence.ends_with("json")
    {
        return (json, None);
    }
    match std::str::from_utf8(body) {
        Ok("") => (Value::Null, None),
        Ok(text) => (Value::String(text.to_owned()), None),
        Err(_) => (Value::Null, Some(BASE64.encode(body))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};
    use serde_json::json;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn bodies_are_written_as_a_person_would() {
        let json_type = map(&[("content-type", "application/vnd.api+json; charset=utf-8")]);
        assert_eq!(answered(&json_type, br#"{"a": 1}"#), (json!({ "a": 1 }), None));
        assert_eq!(answered(&json_type, b"\"a\""), (json!("\"a\""), None));
        assert_eq!(answered(&json_type, b""), (Value::Null, None));
        assert_eq!(answered(&map(&[]), br#"{"a": 1}"#), (json!(r#"{"a": 1}"#), None));
        assert_eq!(answered(&map(&[]), &[0xff, 0]), (Value::Null, Some("/wA=".to_owned())));
        assert_eq!(asked_with(b"a=1"), Some(json!("a=1")));
        assert_eq!(asked_with(b"[1]"), Some(json!([1])));
        assert_eq!((asked_with(b""), asked_with(&[0xff])), (None, None));
    }

    #[test]
    fn secret_headers_are_left_out_and_named() {
        let mut left_out = BTreeSet::new();
        let all = map(&[
            ("content-type", "text/plain"),
            ("set-cookie", "a=b"),
            ("x-csrf-token", "c"),
            ("www-authenticate", "Basic"),
            ("date", "today"),
            ("retry-after", "3"),
        ]);
        let kept = headers(&all, &mut left_out);
        assert_eq!(kept, [("content-type".into(), "text/plain".into()), ("retry-after".into(), "3".into())]);
        assert_eq!(left_out.iter().collect::<Vec<_>>(), ["set-cookie", "www-authenticate", "x-csrf-token"]);
    }

    #[tokio::test]
    async fn requests_stand_in_the_order_in_which_they_were_begun() {
        let recorder = Recorder::default();
        let (first, second) = (recorder.begin(), recorder.begin());
        for (place, path) in [(second, "/b"), (first, "/a")] {
            let answer = Response::new(whole("yes"));
            let uri = format!("https://acme.com{path}").parse().unwrap();
            recorder.keep(place, &Method::GET, &uri, None, Ok(answer)).await.unwrap();
        }
        let urls: Vec<String> = recorder.take().exchanges.into_iter().flatten().map(|kept| kept.request.url).collect();
        assert_eq!(urls, ["https://acme.com/a", "https://acme.com/b"]);
    }
}
