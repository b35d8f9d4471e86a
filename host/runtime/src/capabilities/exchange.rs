//! One request and its answer, with the credential that its grant has: what `wasi:http` and uploads share.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use wasmtime_wasi_http::{Error, WasiBody};

use super::body::{capped, recorded, timed, whole};
use super::egress::Trouble;
use super::http::{Cleared, said};
use super::policy::DENIED;
use super::scrub::Scrubber;
use crate::credentials::{Attached, NoToken, Payload, Signer, Source};
use crate::state::Facts;

/// The header of an answer that the host gave because of a credential, with the reason in a word.
pub(super) const CREDENTIAL: HeaderName = HeaderName::from_static("x-patchbay-credential");

/// Why there is no answer of the server.
pub(super) enum NoAnswer {
    /// From the network.
    Trouble(Trouble),
    /// The credential cannot be added. What the plugin is answered instead: an error would look like a broken
    /// connection. A credential that is refused is 401, as the server would have said it, and one that cannot be had now
    /// is 503: plugins know what to do with these.
    Credential(Response<WasiBody>),
}

impl NoAnswer {
    fn no_token(name: &str, why: &NoToken) -> Self {
        let (status, word) = match why {
            NoToken::Refused(_) => (StatusCode::UNAUTHORIZED, "refused"),
            NoToken::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        let text = format!("the credential `{name}` cannot be used: {why}");
        Self::Credential(said(status, CREDENTIAL, word, text))
    }

    fn unsigned(why: &str) -> Self {
        let text = format!("the request cannot be signed: {why}");
        Self::Credential(said(StatusCode::PAYLOAD_TOO_LARGE, CREDENTIAL, "unsigned", text))
    }
}

impl From<Trouble> for NoAnswer {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// Sends a request that may leave. `budget`: to the first byte of the answer.
pub(super) async fn exchange(
    facts: &Facts,
    cleared: &Cleared,
    mut parts: Parts,
    body: WasiBody,
    budget: Duration,
) -> Result<Response<WasiBody>, NoAnswer> {
    let Some(credential) = &cleared.credential else {
        let response = facts.egress.exchange(Request::from_parts(parts, body), cleared.private, budget).await?;
        return Ok(guarded(response, facts, None));
    };
    // A secret in a compressed answer could not be found there.
    parts.headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let private = cleared.private;
    match credential {
        Attached::Header(name, value) => {
            parts.headers.insert(name, value.clone());
            let response = facts.egress.exchange(Request::from_parts(parts, body), private, budget).await?;
            Ok(guarded(response, facts, None))
        }
        Attached::OAuth2(source) => {
            let response = with_token(facts, source, parts, body, private, budget).await?;
            Ok(guarded(response, facts, None))
        }
        Attached::AwsSigV4(signer) => {
            let (request, signature) = signed(facts, signer, parts, body, budget).await?;
            let response = facts.egress.exchange(request, private, budget).await?;
            Ok(guarded(response, facts, Some(signature)))
        }
    }
}

/// With the token that is good now; and once more with the next one, if the server does not take it and the body is at
/// hand.
async fn with_token(
    facts: &Facts,
    source: &Arc<Source>,
    mut parts: Parts,
    body: WasiBody,
    private: bool,
    budget: Duration,
) -> Result<Response<Incoming>, NoAnswer> {
    let token = source.token().await.map_err(|why| NoAnswer::no_token(source.name(), &why))?;
    parts.headers.insert(header::AUTHORIZATION, token.header.clone());
    let length = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    // With these methods the client sends no body of unknown length, and does not look at it.
    let length = length.or_else(|| matches!(parts.method, Method::GET | Method::HEAD).then_some(0));
    let (body, record) = recorded(body, length);
    let mut again = parts.clone();
    let response = facts.egress.exchange(Request::from_parts(parts, body), private, budget).await?;
    if response.status() != StatusCode::UNAUTHORIZED || !source.reject(&token) {
        return Ok(response);
    }
    let Some(body) = record.again() else { return Ok(response) };
    let Ok(next) = source.token().await else { return Ok(response) };
    again.headers.insert(header::AUTHORIZATION, next.header.clone());
    Ok(facts.egress.exchange(Request::from_parts(again, body), private, budget).await?)
}

/// A signed request, and its signature.
async fn signed(
    facts: &Facts,
    signer: &Signer,
    mut parts: Parts,
    body: WasiBody,
    budget: Duration,
) -> Result<(Request<WasiBody>, String), NoAnswer> {
    let https = parts.uri.scheme_str() == Some("https");
    if signer.leaves_body_out(https) {
        let signature = signer.sign(&mut parts, Payload::Unsigned, SystemTime::now());
        let signature = signature.map_err(|why| NoAnswer::unsigned(&why))?;
        return Ok((Request::from_parts(parts, body), signature));
    }
    let most = facts.limits.request_body;
    let collect = capped(body, most, Error::HttpRequestBodySize).collect();
    let bytes = match tokio::time::timeout(budget, collect).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(Error::HttpRequestBodySize(_))) => {
            return Err(NoAnswer::unsigned(&format!("its body is longer than {most} bytes, and is signed as a whole")));
        }
        Ok(Err(error)) => return Err(Trouble::Broken(error.to_string()).into()),
        Err(_) => return Err(Trouble::Silence(budget).into()),
    };
    let signature = signer.sign(&mut parts, Payload::Bytes(&bytes), SystemTime::now());
    let signature = signature.map_err(|why| NoAnswer::unsigned(&why))?;
    Ok((Request::from_parts(parts, whole(bytes)), signature))
}

/// An answer with its caps, and without the secrets of the plugin's grants.
fn guarded(response: Response<Incoming>, facts: &Facts, signature: Option<String>) -> Response<WasiBody> {
    let limit = facts.limits.response_body;
    let response = response
        .map(|body| timed(capped(body.map_err(Error::from).boxed_unsync(), limit, Error::HttpResponseBodySize)));
    let (mut head, body) = response.into_parts();
    // These are the host's own words.
    head.headers.remove(DENIED);
    head.headers.remove(CREDENTIAL);
    let mut secrets = facts.redactor.needles();
    secrets.extend(signature.map(String::into_bytes));
    if secrets.is_empty() {
        return Response::from_parts(head, body);
    }
    let scrubber = Arc::new(Scrubber::new(&secrets));
    scrubber.headers(&mut head.headers);
    Response::from_parts(head, scrubber.body(body))
}
