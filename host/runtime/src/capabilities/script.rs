//! Written answers in the network's place: what a golden event says that other servers answer.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};
use patchbay_model::golden::{Exchange, ExpectedRequest, ScriptedAnswer};
use serde_json::Value;
use wasmtime_wasi_http::WasiBody;

use super::http::refusal;
use super::policy::Denial;
use crate::golden::diff;

/// The exchanges of one golden event, played once and in order.
pub(crate) struct Script {
    played: Mutex<Played>,
}

struct Played {
    /// With their places in the golden event.
    left: VecDeque<(usize, Exchange)>,
    differences: Vec<String>,
}

impl Script {
    pub(crate) fn new(exchanges: &[Exchange]) -> Self {
        let left = exchanges.iter().cloned().enumerate().collect();
        Self { played: Mutex::new(Played { left, differences: Vec::new() }) }
    }

    /// The answer that is written for this request, or a refusal where none is. A body that nobody may look at (stored
    /// media stands in it) is not given.
    pub(crate) async fn answer(&self, method: &Method, uri: &Uri, body: Option<WasiBody>) -> Response<WasiBody> {
        let body = match body {
            // A body that is too long ends with an error, which is as good as another body.
            Some(body) => Some(body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default()),
            None => None,
        };
        let mut played = self.played();
        let asked = format!("{method} {uri}");
        let next = played.left.front().map(|(_, exchange)| &exchange.request);
        if next.is_none_or(|next| !fits(next, method, uri)) {
            let next = next.map_or_else(
                || "no further request is written there".to_owned(),
                |next| format!("the next one there is `{} {}`", next.method, next.url),
            );
            let why = format!("`{asked}` is not what the golden event says under `http`: {next}");
            played.differences.push(why.clone());
            return refusal(&Denial::always("not-in-script", why));
        }
        let Some((at, Exchange { request, answer })) = played.left.pop_front() else {
            return refusal(&Denial::always("not-in-script", "nothing is written for this request"));
        };
        if let (Some(expected), Some(got)) = (&request.body, &body) {
            let got = read(expected, got);
            played.differences.extend(diff::differences(&format!("/http/{at}/request/body"), expected, &got));
        }
        written(&answer).unwrap_or_else(|why| {
            played.differences.push(format!("/http/{at}/answer: {why}"));
            refusal(&Denial::always("not-in-script", why))
        })
    }

    /// What was not as it is written, and what is written and was not asked.
    pub(crate) fn differences(&self) -> Vec<String> {
        let played = self.played();
        let left = played.left.iter().map(|(at, Exchange { request, .. })| {
            format!("/http/{at}: `{} {}` was never asked", request.method, request.url)
        });
        played.differences.iter().cloned().chain(left).collect()
    }

    fn played(&self) -> MutexGuard<'_, Played> {
        self.played.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fits(expected: &ExpectedRequest, method: &Method, uri: &Uri) -> bool {
    // The same address in two spellings: with a usual port, without the last slash of an empty path.
    let (expected_url, asked) = (url::Url::parse(&expected.url), url::Url::parse(&uri.to_string()));
    expected.method.eq_ignore_ascii_case(method.as_str()) && expected_url.is_ok() && expected_url == asked
}

/// A body in the form in which the expected one is written: a text as it is, anything else as JSON.
fn read(expected: &Value, body: &[u8]) -> Value {
    let text = || Value::String(String::from_utf8_lossy(body).into_owned());
    if expected.is_string() { text() } else { serde_json::from_slice(body).unwrap_or_else(|_| text()) }
}

fn written(answer: &ScriptedAnswer) -> Result<Response<WasiBody>, String> {
    let (body, json) = match (&answer.body, &answer.base64) {
        (Value::Null, Some(base64)) => {
            let bytes = BASE64.decode(base64).map_err(|error| format!("`base64` is none: {error}"))?;
            (Bytes::from(bytes), false)
        }
        (_, Some(_)) => return Err("it has both `body` and `base64`: write one of them".to_owned()),
        (Value::Null, None) => (Bytes::new(), false),
        (Value::String(text), None) => (Bytes::from(text.clone()), false),
        (other, None) => (Bytes::from(other.to_string()), true),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in &answer.headers {
        let wrong = |_| format!("`{name}` is no header with a value that can be sent");
        let name = HeaderName::try_from(name).map_err(|_| format!("`{name}` is no header's name"))?;
        headers.append(name, HeaderValue::try_from(value).map_err(wrong)?);
    }
    if json && !headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let mut response = Response::new(Full::new(body).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() =
        StatusCode::from_u16(answer.status).map_err(|_| format!("{} is no status", answer.status))?;
    *response.headers_mut() = headers;
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn exchange(method: &str, url: &str, body: Option<Value>, answer: Value) -> Exchange {
        Exchange {
            request: ExpectedRequest { method: method.into(), url: url.into(), body },
            answer: ScriptedAnswer {
                status: 201,
                headers: vec![("x-page".into(), "2".into())],
                body: answer,
                base64: None,
            },
        }
    }

    fn body(text: &str) -> Option<WasiBody> {
        Some(Full::new(Bytes::from(text.to_owned())).map_err(|never| match never {}).boxed_unsync())
    }

    async fn ask(script: &Script, method: Method, url: &str, text: &str) -> (u16, String) {
        let response = script.answer(&method, &url.parse().unwrap(), body(text)).await;
        let status = response.status().as_u16();
        let text = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(text.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn answers_come_in_order_and_leftovers_are_told() {
        let script = Script::new(&[
            exchange("GET", "https://acme.com:443/a?b=1", None, json!({"id": 1})),
            exchange("POST", "https://acme.com/b", Some(json!({"name": "Ann", "age": 3})), json!("plain")),
            exchange("GET", "https://acme.com/never", None, Value::Null),
        ]);
        assert_eq!(ask(&script, Method::GET, "https://acme.com/a?b=1", "").await, (201, "{\"id\":1}".into()));
        let (status, why) = ask(&script, Method::GET, "https://acme.com/b", "").await;
        assert!(status == 403 && why.contains("`POST https://acme.com/b`"), "{status} {why}");
        let posted = ask(&script, Method::POST, "https://acme.com/b", "{\"age\":4,\"name\":\"Ann\"}").await;
        assert_eq!(posted, (201, "plain".into()));
        let differences = script.differences();
        assert_eq!(differences.len(), 3, "{differences:#?}");
        assert!(differences[0].starts_with("`GET https://acme.com/b` is not"), "{differences:#?}");
        assert_eq!(differences[1], "/http/1/request/body/age: expected 3, got 4");
        assert_eq!(differences[2], "/http/2: `GET https://acme.com/never` was never asked");
    }

    #[tokio::test]
    async fn a_script_that_cannot_be_played_says_so() {
        let mut wrong = exchange("GET", "https://acme.com/", None, Value::Null);
        wrong.answer.status = 42;
        let script = Script::new(&[wrong]);
        assert_eq!(ask(&script, Method::GET, "https://acme.com", "").await.0, 403);
        assert_eq!(script.differences(), ["/http/0/answer: 42 is no status"]);
    }
}
