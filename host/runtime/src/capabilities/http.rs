//! `wasi:http`: the grants before a request, the caps around it.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::body::{Lent, capped, whole};
use super::denials::Denials;
use super::egress::Trouble;
use super::exchange::{NoAnswer, exchange};
use super::policy::{DENIED, Denial, Target};
use super::recorder::Recorder;
use super::script::Script;
use crate::call::{Call, Mode};
use crate::credentials::Attached;
use crate::limits;
use crate::state::{Facts, Requests};

/// How long a refused request may still write its body before the refusal is answered. Most clients write first and read
/// then; one that waits for the answer before it writes must not wait for ever.
const DRAIN: Duration = Duration::from_secs(1);

/// Headers that are about one connection, or that the host sets itself; and those by which some servers take a request
/// for another one than its method and path say, and so than the grants were asked about. A plugin's own are dropped.
const OURS: [HeaderName; 17] = [
    header::HOST,
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::EXPECT,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-method-override"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
];

/// The requests of one call.
pub(crate) struct Outgoing {
    facts: Arc<Facts>,
    denials: Denials,
    mode: Mode,
    begun: u32,
    /// What becomes of them, where not what always does.
    special: Option<Requests>,
}

/// A request that may leave.
pub(crate) struct Cleared {
    pub(crate) host: String,
    pub(crate) private: bool,
    pub(crate) credential: Option<Attached>,
}

impl Outgoing {
    pub(crate) fn new(facts: Arc<Facts>, call: &Call, special: Option<Requests>) -> Self {
        let denials = Denials::new(facts.clone(), &call.subject);
        Self { facts, denials, mode: call.mode, begun: 0, special }
    }

    /// Where the operator is told what was refused.
    pub(crate) const fn denials(&self) -> &Denials {
        &self.denials
    }

    /// What answers in the network's place, in a rehearsal of a golden event. Nothing leaves then, so that no grant is
    /// asked for.
    pub(crate) fn script(&self) -> Option<Arc<Script>> {
        match &self.special {
            Some(Requests::Scripted(script)) => Some(Arc::clone(script)),
            _ => None,
        }
    }

    /// What writes down how requests are answered, if somebody does.
    pub(crate) fn recorder(&self) -> Option<Arc<Recorder>> {
        match &self.special {
            Some(Requests::Recorded(recorder)) => Some(Arc::clone(recorder)),
            _ => None,
        }
    }

    /// Checks a request against the grants, and takes out what a plugin must not set. The credential is added later,
    /// where there may be a token to wait for.
    pub(crate) fn clear(&mut self, parts: &mut http::request::Parts) -> Result<Cleared, Denial> {
        self.begun = self.begun.saturating_add(1);
        let cleared = self.examine(parts).inspect_err(|denial| self.denials.tell(denial, Some(&parts.uri)))?;
        for name in &OURS {
            parts.headers.remove(name);
        }
        if self.recorder().is_some() {
            // What is written down is to be read.
            parts.headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        if cleared.credential.is_some() {
            parts.headers.remove(header::AUTHORIZATION);
        }
        Ok(cleared)
    }

    fn examine(&self, parts: &http::request::Parts) -> Result<Cleared, Denial> {
        let http::request::Parts { uri, method, headers, .. } = parts;
        if self.begun > limits::REQUESTS {
            let why = format!("one call makes no more than {} requests", limits::REQUESTS);
            return Err(Denial::always("too-many-requests", why));
        }
        if *method == http::Method::CONNECT {
            return Err(Denial::always("method", "no plugin may use CONNECT"));
        }
        let malformed = || Denial::always("malformed", "the request has no usable host");
        let authority = uri.authority().ok_or_else(malformed)?;
        let host = authority.host();
        let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() || authority.as_str().contains('@') {
            return Err(malformed());
        }
        // Two lengths are the beginning of two requests.
        let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
        let number = |value: &HeaderValue| value.as_bytes().iter().all(u8::is_ascii_digit);
        if !lengths.next().is_none_or(number) || lengths.next().is_some() {
            return Err(Denial::always("malformed", "the request has a content-length that is not one number"));
        }
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(Denial::always("scheme", "a request is https or http")),
        };
        let port = authority.port_u16().unwrap_or(if https { 443 } else { 80 });
        let rule = self.facts.policy.decide(&Target { https, host, port, method, path: uri.path() })?;
        if self.mode == Mode::Rehearsal && !rule.grant.rehearsal && self.recorder().is_none() {
            return Err(self.facts.policy.rehearsal(&rule.grant, host));
        }
        let private = rule.grant.private_network;
        Ok(Cleared { host: host.to_owned(), private, credential: rule.credential.clone() })
    }
}

/// The host's side of `wasi:http` in one call.
pub(crate) struct Hooks {
    pub(crate) outgoing: Outgoing,
}

type Sent = Result<(Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

impl WasiHttpHooks for Hooks {
    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        limits::BODY_CHUNK
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _sent: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let facts = self.outgoing.facts.clone();
        let denials = self.outgoing.denials.clone();
        let (mut parts, body) = request.into_parts();
        if let Some(script) = self.outgoing.script() {
            let body = capped(body, facts.limits.request_body, Error::HttpRequestBodySize);
            return Box::new(async move {
                Ok((script.answer(&parts.method, &parts.uri, Some(body)).await, Box::new(async { Ok(()) }) as Box<_>))
            });
        }
        let (method, uri) = (parts.method.clone(), parts.uri.clone());
        let cleared = self.outgoing.clear(&mut parts);
        let budget = budget(options.as_ref());
        let recorder = self.outgoing.recorder();
        Box::new(async move {
            let body = capped(body, facts.limits.request_body, Error::HttpRequestBodySize);
            let Some(recorder) = recorder else {
                return answered(&facts, &denials, cleared, parts, body, budget).await;
            };
            let place = recorder.begin();
            let sent = body.collect().await?.to_bytes();
            let got = answered(&facts, &denials, cleared, parts, whole(sent.clone()), budget).await;
            let response = recorder.keep(place, &method, &uri, Some(&sent), got.map(|(response, _)| response)).await?;
            Ok((response, Box::new(async { Ok(()) }) as Box<_>))
        })
    }
}

/// The server's answer to a request that may leave, or the host's to one that may not.
async fn answered(
    facts: &Facts,
    denials: &Denials,
    cleared: Result<Cleared, Denial>,
    parts: http::request::Parts,
    body: WasiBody,
    budget: Duration,
) -> Sent {
    let body = Lent::new(body);
    let answer = match cleared {
        Err(denial) => refusal(&denial),
        Ok(cleared) => {
            let uri = parts.uri.clone();
            let lent = body.clone().boxed_unsync();
            match exchange(facts, &cleared, parts, lent, budget).await {
                Ok(response) => return Ok((response, Box::new(async { Ok(()) }) as Box<_>)),
                Err(NoAnswer::Trouble(Trouble::Prohibited { allowable })) => {
                    let denial = facts.policy.private(&cleared.host, allowable);
                    denials.tell(&denial, Some(&uri));
                    refusal(&denial)
                }
                Err(NoAnswer::Trouble(trouble)) => return Err(error(trouble)),
                Err(NoAnswer::Credential(stand_in)) => stand_in,
            }
        }
    };
    let mut rest = Box::pin(drain(body));
    let drained = tokio::time::timeout(DRAIN, &mut rest).await.is_ok();
    let after: Box<dyn Future<Output = Result<(), Error>> + Send> =
        if drained { Box::new(async { Ok(()) }) } else { Box::new(rest.map(Ok)) };
    Ok((answer, after))
}

/// A plugin may ask for less time than it has.
fn budget(options: Option<&RequestOptions>) -> Duration {
    let asked = options.map(|options| {
        let connect = options.connect_timeout.unwrap_or(limits::FIRST_BYTE);
        let first = options.first_byte_timeout.unwrap_or(limits::FIRST_BYTE);
        connect.saturating_add(first)
    });
    asked.map_or(limits::FIRST_BYTE, |asked| asked.min(limits::FIRST_BYTE))
}

/// The body of a refused request, read and thrown away.
async fn drain(mut body: Lent) {
    while let Some(Ok(_)) = body.frame().await {}
}

/// The answer to a request that did not leave: an error would look like a broken connection and be tried again.
pub(crate) fn refusal(denial: &Denial) -> Response<WasiBody> {
    said(StatusCode::FORBIDDEN, DENIED, denial.reason, denial.text())
}

/// An answer that the host gives in the server's place.
pub(super) fn said(status: StatusCode, name: HeaderName, word: &'static str, text: String) -> Response<WasiBody> {
    let mut headers = HeaderMap::new();
    headers.insert(name, HeaderValue::from_static(word));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
    let mut response = Response::new(whole(text));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// What a plugin is told.
fn error(trouble: Trouble) -> Error {
    match trouble {
        Trouble::Prohibited { .. } => Error::DestinationIpProhibited,
        Trouble::Name(error) => Error::DnsError { rcode: Some(error.to_string()), info_code: None },
        Trouble::NoAddress => Error::DestinationNotFound,
        Trouble::Connect(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Error::ConnectionRefused,
        Trouble::Connect(_) => Error::DestinationUnavailable,
        Trouble::ConnectTimeout => Error::ConnectionTimeout,
        Trouble::Tls(_) => Error::TlsProtocolError,
        Trouble::Silence(_) => Error::HttpResponseTimeout,
        Trouble::Broken(_) => Error::ConnectionTerminated,
        Trouble::Headers => Error::HttpResponseHeaderSectionSize(None),
    }
}
