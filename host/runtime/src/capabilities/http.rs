//! `wasi:http`: the grants before a request, the caps around it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tokio::time::Sleep;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::egress::Trouble;
use super::policy::{DENIED, Denial, Target};
use crate::limits;
use crate::state::Facts;

/// How long a refused request may still write its body before the refusal is answered. Most clients write first and read
/// then; one that waits for the answer before it writes must not wait for ever.
const DRAIN: Duration = Duration::from_secs(1);

/// Headers that are about one connection, or that the host sets itself. A plugin's own are dropped.
const OURS: [HeaderName; 12] = [
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
];

/// The requests of one call.
pub(crate) struct Outgoing {
    facts: Arc<Facts>,
    /// What the call is about, for the operator's log.
    subject: Arc<str>,
    begun: u32,
}

/// A request that may leave.
pub(crate) struct Cleared {
    pub(crate) host: String,
    pub(crate) private: bool,
}

impl Outgoing {
    pub(crate) fn new(facts: Arc<Facts>, subject: &str) -> Self {
        Self { facts, subject: subject.into(), begun: 0 }
    }

    /// Checks a request against the grants, takes out what a plugin must not set and adds the credential.
    pub(crate) fn clear(&mut self, parts: &mut http::request::Parts) -> Result<Cleared, Denial> {
        self.begun = self.begun.saturating_add(1);
        let answer = self.examine(&parts.uri, &parts.method);
        let (cleared, credential) = match answer {
            Ok(answer) => answer,
            Err(denial) => {
                // One line says that there are too many; each further one would be the flood that the cap is against.
                if self.begun <= limits::REQUESTS + 1 {
                    self.log(&denial, &parts.uri);
                }
                return Err(denial);
            }
        };
        for name in &OURS {
            parts.headers.remove(name);
        }
        if let Some((name, value)) = credential {
            parts.headers.remove(header::AUTHORIZATION);
            parts.headers.insert(name, value);
        }
        Ok(cleared)
    }

    fn examine(
        &self,
        uri: &Uri,
        method: &http::Method,
    ) -> Result<(Cleared, Option<(HeaderName, HeaderValue)>), Denial> {
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
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(Denial::always("scheme", "a request is https or http")),
        };
        let port = authority.port_u16().unwrap_or(if https { 443 } else { 80 });
        let rule = self.facts.policy.decide(&Target { https, host, port, method, path: uri.path() })?;
        let cleared = Cleared { host: host.to_owned(), private: rule.grant.private_network };
        Ok((cleared, rule.credential.clone()))
    }

    /// Tells the operator, who alone can change it.
    pub(crate) fn log(&self, denial: &Denial, uri: &Uri) {
        log(&self.facts, &self.subject, denial, uri);
    }
}

fn log(facts: &Facts, subject: &str, denial: &Denial, uri: &Uri) {
    let path = facts.redactor.clean(uri.path());
    tracing::warn!(
        plugin = facts.name,
        generation = facts.generation,
        subject,
        host = uri.host(),
        path,
        reason = denial.reason,
        // As it is to be pasted: without quotes and escapes around it.
        add = %denial.remedy,
        "a request of a plugin was refused: {}",
        denial.why
    );
}

/// The host's side of `wasi:http` in one call.
pub(crate) struct Hooks {
    pub(crate) outgoing: Outgoing,
}

type Sent = Result<(Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _sent: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let facts = self.outgoing.facts.clone();
        let subject = self.outgoing.subject.clone();
        let (mut parts, body) = request.into_parts();
        let cleared = self.outgoing.clear(&mut parts);
        Box::new(async move {
            let body = Lent::new(capped(body, facts.limits.request_body, Error::HttpRequestBodySize));
            let denial = match cleared {
                Err(denial) => denial,
                Ok(cleared) => {
                    let uri = parts.uri.clone();
                    let request = Request::from_parts(parts, body.clone().boxed_unsync());
                    match facts.egress.exchange(request, cleared.private, budget(options.as_ref())).await {
                        Ok(response) => return Ok((guarded(response, &facts), Box::new(async { Ok(()) }) as Box<_>)),
                        Err(Trouble::Prohibited { allowable }) => {
                            let denial = facts.policy.private(&cleared.host, allowable);
                            log(&facts, &subject, &denial, &uri);
                            denial
                        }
                        Err(trouble) => return Err(error(trouble)),
                    }
                }
            };
            let mut rest = Box::pin(drain(body));
            let drained = tokio::time::timeout(DRAIN, &mut rest).await.is_ok();
            let after: Box<dyn Future<Output = Result<(), Error>> + Send> =
                if drained { Box::new(async { Ok(()) }) } else { Box::new(rest.map(Ok)) };
            Ok((refusal(&denial), after))
        })
    }
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
    let text = denial.text();
    let mut headers = HeaderMap::new();
    headers.insert(DENIED, HeaderValue::from_static(denial.reason));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
    let mut response = Response::new(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = StatusCode::FORBIDDEN;
    *response.headers_mut() = headers;
    response
}

/// An answer with its caps.
pub(crate) fn guarded(response: Response<Incoming>, facts: &Facts) -> Response<WasiBody> {
    let limit = facts.limits.response_body;
    response.map(|body| {
        let body = capped(body.map_err(Error::from).boxed_unsync(), limit, Error::HttpResponseBodySize);
        Timed { inner: body, end: Box::pin(tokio::time::sleep(limits::WHOLE_BODY)) }.boxed_unsync()
    })
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

/// A body that ends with an error where it becomes too long.
fn capped(body: WasiBody, limit: u64, error: fn(Option<u64>) -> Error) -> WasiBody {
    Capped { inner: body, limit, left: limit, error }.boxed_unsync()
}

struct Capped {
    inner: WasiBody,
    limit: u64,
    left: u64,
    error: fn(Option<u64>) -> Error,
}

impl Body for Capped {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let size = frame.data_ref().map_or(0, |data| data.len() as u64);
            match self.left.checked_sub(size) {
                Some(left) => self.left = left,
                None => return Poll::Ready(Some(Err((self.error)(Some(self.limit))))),
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A body that ends with an error when its time is over.
struct Timed {
    inner: WasiBody,
    end: Pin<Box<Sleep>>,
}

impl Body for Timed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(Error::HttpResponseTimeout)));
        }
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A body that outlives the client it was given to, so that a request that was refused while connecting can still be
/// read to its end.
#[derive(Clone)]
struct Lent {
    body: Arc<Mutex<WasiBody>>,
}

impl Lent {
    fn new(body: WasiBody) -> Self {
        Self { body: Arc::new(Mutex::new(body)) }
    }
}

impl Body for Lent {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        Pin::new(&mut *body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}
