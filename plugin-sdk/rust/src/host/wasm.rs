//! The gateway, through the component's imports. One function for each import, so that an import that is not called is
//! not linked.

use wasip2::clocks::monotonic_clock;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use wasip2::io::poll::{Pollable, poll};
use wasip2::io::streams::{OutputStream, StreamError};

use crate::bindings::handler::patchbay::plugin::{blobs, context, uploads};
use crate::bindings::handler::wasi::keyvalue::store::{self, Bucket};
use crate::http::{Answer, SendError, Sent};
use crate::{Level, MediaReader, Period, Timestamp, Upload};

/// Bytes read from an answer at a time.
const CHUNK: u64 = 64 * 1024;

/// The gateway.
#[derive(Debug)]
pub(crate) struct Host;

impl Host {
    pub(crate) fn attempt(&self) -> u32 {
        context::attempt()
    }

    pub(crate) fn now(&self) -> Timestamp {
        let now = wasip2::clocks::wall_clock::now();
        now.seconds.saturating_mul(1000).saturating_add(u64::from(now.nanoseconds / 1_000_000))
    }

    pub(crate) fn log(&self, level: Level, message: &str) {
        let level = match level {
            Level::Debug => context::Level::Debug,
            Level::Info => context::Level::Info,
            Level::Warn => context::Level::Warn,
            Level::Error => context::Level::Error,
        };
        context::log(level, message);
    }

    pub(crate) fn verify(
        &self,
        secret: &str,
        algorithm: &str,
        message: &[u8],
        signature: &[u8],
    ) -> Result<bool, String> {
        context::verify(secret, algorithm, message, signature)
    }

    pub(crate) fn open_media(&self, id: &str) -> Result<MediaReader<'_>, String> {
        blobs::open(id).map(MediaReader::owned)
    }

    pub(crate) fn kept(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        bucket()?.get(key).map_err(why)
    }

    pub(crate) fn is_kept(&self, key: &str) -> Result<bool, String> {
        bucket()?.exists(key).map_err(why)
    }

    pub(crate) fn keep(&self, key: &str, value: &[u8]) -> Result<(), String> {
        bucket()?.set(key, value).map_err(why)
    }

    pub(crate) fn forget(&self, key: &str) -> Result<(), String> {
        bucket()?.delete(key).map_err(why)
    }

    pub(crate) fn kept_keys(&self) -> Result<Vec<String>, String> {
        let bucket = bucket()?;
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let mut page = bucket.list_keys(cursor).map_err(why)?;
            all.append(&mut page.keys);
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(all);
            }
        }
    }

    pub(crate) fn upload(&self, upload: Upload<'_>) -> Result<Answer, String> {
        let request =
            uploads::Request { method: upload.method, url: upload.url, headers: upload.headers, body: upload.parts };
        let response = uploads::send(&request)?;
        Ok(Answer { status: response.status, headers: response.headers, body: response.body })
    }

    pub(crate) fn send(&self, sent: Sent) -> Result<Answer, SendError> {
        let request = request(&sent)?;
        let refused = |_| SendError::Refused("the request has no body to write to".into());
        let body = request.body().map_err(refused)?;
        let deadline = Deadline::of(sent.timeout);
        let options = sent.timeout.map(options);
        // The host takes the body while the request is on its way: start the request first, or a body larger than the
        // host's buffer waits for ever.
        let answer = outgoing_handler::handle(request, options).map_err(|code| broken(&code))?;
        if !sent.body.is_empty() {
            let stream = body.write().map_err(refused)?;
            // A peer may answer, or close, before it has read everything: its answer says more than our write.
            let _ = write_all(&stream, &sent.body, &deadline);
        }
        // A broken request shows in its answer.
        let _ = OutgoingBody::finish(body, None);
        if !deadline.wait(&answer.subscribe()) {
            return Err(deadline.over());
        }
        match answer.get() {
            Some(Ok(Ok(response))) => read(&response, &deadline),
            Some(Ok(Err(code))) => Err(broken(&code)),
            Some(Err(())) | None => Err(SendError::Broken("the host gave no answer".into())),
        }
    }
}

/// The plugin's keys and values.
fn bucket() -> Result<Bucket, String> {
    store::open("default").map_err(why)
}

fn why(error: store::Error) -> String {
    match error {
        store::Error::NoSuchStore => "there is no such bucket".to_owned(),
        store::Error::AccessDenied => "it is not granted".to_owned(),
        store::Error::Other(why) => why,
    }
}

/// When a request has to be over. The host's timeouts leave out the body, and each of them starts anew: this counts them
/// together.
struct Deadline {
    after: Option<(Period, Pollable)>,
}

impl Deadline {
    fn of(timeout: Option<Period>) -> Self {
        let start = |after: Period| (after, monotonic_clock::subscribe_duration(nanoseconds(after)));
        Self { after: timeout.map(start) }
    }

    /// Waits until something is ready; false if the time is over before.
    fn wait(&self, something: &Pollable) -> bool {
        match &self.after {
            None => {
                something.block();
                true
            }
            Some((_, end)) => !poll(&[something, end]).contains(&1),
        }
    }

    fn over(&self) -> SendError {
        let after = self.after.as_ref().map_or(Period::from_millis(0), |(after, _)| *after);
        SendError::Broken(format!("no whole answer within {after}"))
    }
}

fn nanoseconds(period: Period) -> u64 {
    period.as_millis().saturating_mul(1_000_000)
}

/// The same for the host, so that it gives up a connection that nobody waits for. A host that knows none of them waits
/// as long as it likes; we do not.
fn options(timeout: Period) -> RequestOptions {
    let options = RequestOptions::new();
    let nanoseconds = Some(nanoseconds(timeout));
    let _ = options.set_connect_timeout(nanoseconds);
    let _ = options.set_first_byte_timeout(nanoseconds);
    let _ = options.set_between_bytes_timeout(nanoseconds);
    options
}

fn request(sent: &Sent) -> Result<OutgoingRequest, SendError> {
    let wrong = |what: &str| SendError::Refused(format!("wrong {what}"));
    let (scheme, rest) = sent.url.split_once("://").ok_or_else(|| wrong("URL: it has no scheme"))?;
    let scheme = match scheme {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        other => Scheme::Other(other.to_owned()),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).ok_or_else(|| wrong("URL"))?;
    let path = path.split('#').next().unwrap_or_default();
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };

    let mut headers: Vec<(String, Vec<u8>)> =
        sent.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
    if !sent.body.is_empty() {
        headers.push(("content-length".to_owned(), sent.body.len().to_string().into_bytes()));
    }
    let headers = Fields::from_list(&headers).map_err(|_| wrong("headers"))?;
    let request = OutgoingRequest::new(headers);
    let method = match sent.method.as_str() {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "OPTIONS" => Method::Options,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    };
    request.set_method(&method).map_err(|()| wrong("method"))?;
    request.set_scheme(Some(&scheme)).map_err(|()| wrong("scheme"))?;
    request.set_authority(Some(authority)).map_err(|()| wrong("host"))?;
    request.set_path_with_query(Some(&path)).map_err(|()| wrong("path"))?;
    Ok(request)
}

/// Writes as much at a time as the host takes, until the time is over.
fn write_all(stream: &OutputStream, mut bytes: &[u8], deadline: &Deadline) -> Result<(), StreamError> {
    let ready = stream.subscribe();
    while !bytes.is_empty() {
        let room = usize::try_from(stream.check_write()?).unwrap_or(usize::MAX);
        if room == 0 {
            if !deadline.wait(&ready) {
                return Ok(());
            }
            continue;
        }
        let Some((now, later)) = bytes.split_at_checked(room.min(bytes.len())) else { break };
        stream.write(now)?;
        bytes = later;
    }
    stream.flush()?;
    deadline.wait(&ready);
    stream.check_write().map(|_| ())
}

fn read(response: &IncomingResponse, deadline: &Deadline) -> Result<Answer, SendError> {
    let cut = || SendError::Broken("the answer broke off".into());
    let headers = response.headers().entries();
    let headers =
        headers.into_iter().map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned())).collect();
    let body = response.consume().map_err(|()| cut())?;
    let stream = body.stream().map_err(|()| cut())?;
    let ready = stream.subscribe();
    let mut bytes = Vec::new();
    loop {
        if !deadline.wait(&ready) {
            return Err(deadline.over());
        }
        match stream.read(CHUNK) {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(_)) => return Err(cut()),
        }
    }
    Ok(Answer { status: response.status(), headers, body: bytes })
}

/// What is wrong with the request itself stays wrong; the rest is worth another try.
fn broken(code: &ErrorCode) -> SendError {
    let why = format!("{code:?}");
    match code {
        ErrorCode::HttpRequestDenied
        | ErrorCode::DestinationIpProhibited
        | ErrorCode::HttpRequestUriInvalid
        | ErrorCode::HttpRequestMethodInvalid
        | ErrorCode::HttpRequestLengthRequired
        | ErrorCode::HttpRequestBodySize(_)
        | ErrorCode::HttpRequestHeaderSectionSize(_)
        | ErrorCode::HttpRequestHeaderSize(_)
        | ErrorCode::HttpRequestUriTooLong => SendError::Refused(why),
        _ => SendError::Broken(why),
    }
}
