//! Takes secrets out of answers: a server may send back what it was sent.
//!
//! The host that a credential is bound to knows it, and the operator trusts that host. Still an answer that repeats a
//! request's headers, as debugging and error pages do, must not hand the credential to the plugin. So every byte that a
//! plugin gets is searched for the secrets of its grants, as they are and as they stand in JSON and in URLs, and each one
//! is painted over with stars of the same length, so that lengths stay true. What a server has changed in another way
//! (compressed, encrypted, cut in pieces over several answers) is not found.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use memchr::memmem::Finder;
use wasmtime_wasi_http::{Error, WasiBody};

/// What a secret's bytes become.
const PAINT: u8 = b'*';

/// Paints secrets over.
pub(super) struct Scrubber {
    finders: Vec<Finder<'static>>,
}

impl Scrubber {
    /// Looks for these; none of them is empty.
    pub(super) fn new(secrets: &[Vec<u8>]) -> Self {
        Self { finders: secrets.iter().map(|secret| Finder::new(secret).into_owned()).collect() }
    }

    /// Paints over what is in here.
    fn paint(&self, bytes: &mut [u8]) {
        let mut found = Vec::new();
        for finder in &self.finders {
            let length = finder.needle().len();
            found.extend(finder.find_iter(bytes).map(|at| at..at + length));
        }
        for place in found {
            if let Some(secret) = bytes.get_mut(place) {
                secret.fill(PAINT);
            }
        }
    }

    /// How many bytes at the end could be the beginning of a secret.
    fn doubtful(&self, bytes: &[u8]) -> usize {
        let longest = self.finders.iter().map(|finder| finder.needle().len() - 1).max().unwrap_or(0);
        let begins = |tail: &[u8]| self.finders.iter().any(|finder| finder.needle().starts_with(tail));
        let tails = (1..=longest.min(bytes.len())).rev();
        tails.into_iter().find(|size| bytes.get(bytes.len() - size..).is_some_and(begins)).unwrap_or(0)
    }

    /// The values of an answer's headers.
    pub(super) fn headers(&self, headers: &mut HeaderMap) {
        for value in headers.values_mut() {
            let mut bytes = value.as_bytes().to_vec();
            self.paint(&mut bytes);
            if bytes != value.as_bytes()
                && let Ok(painted) = HeaderValue::from_bytes(&bytes)
            {
                *value = painted;
            }
        }
    }

    /// An answer's body.
    pub(super) fn body(self: Arc<Self>, body: WasiBody) -> WasiBody {
        Scrubbed { inner: body, scrubber: self, waiting: BytesMut::new(), then: None, ended: false }.boxed_unsync()
    }
}

/// A body without secrets. Bytes that might be the beginning of one wait for those that follow.
struct Scrubbed {
    inner: WasiBody,
    scrubber: Arc<Scrubber>,
    waiting: BytesMut,
    /// What came after the last data.
    then: Option<Result<Frame<Bytes>, Error>>,
    ended: bool,
}

impl Scrubbed {
    /// What is safe to give now, of what waits.
    fn ready(&mut self, all: bool) -> Option<Bytes> {
        let Self { scrubber, waiting, .. } = self;
        scrubber.paint(waiting);
        let kept = if all { 0 } else { scrubber.doubtful(waiting) };
        let ready = waiting.split_to(waiting.len() - kept).freeze();
        (!ready.is_empty()).then_some(ready)
    }
}

impl Body for Scrubbed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        loop {
            if let Some(last) = self.then.take() {
                return Poll::Ready(Some(last));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            match Pin::new(&mut self.inner).poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        self.waiting.extend_from_slice(&data);
                        if let Some(ready) = self.ready(false) {
                            return Poll::Ready(Some(Ok(Frame::data(ready))));
                        }
                    }
                    Err(mut other) => {
                        if let Some(trailers) = other.trailers_mut() {
                            self.scrubber.headers(trailers);
                        }
                        self.then = Some(Ok(other));
                        if let Some(ready) = self.ready(true) {
                            return Poll::Ready(Some(Ok(Frame::data(ready))));
                        }
                    }
                },
                Poll::Ready(end) => {
                    self.ended = true;
                    self.then = end;
                    if let Some(ready) = self.ready(true) {
                        return Poll::Ready(Some(Ok(Frame::data(ready))));
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_empty() && self.then.is_none() && (self.ended || self.inner.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.size_hint();
        let waiting = self.waiting.len() as u64;
        let mut hint = SizeHint::new();
        // The upper bound first: a lower one above it is not taken.
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(waiting));
        }
        hint.set_lower(inner.lower().saturating_add(waiting));
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use http_body_util::StreamBody;

    fn scrubber() -> Arc<Scrubber> {
        Arc::new(Scrubber::new(&[b"secret-one".to_vec(), b"one-and-more".to_vec()]))
    }

    async fn through(text: &str, size: usize) -> String {
        let pieces: Vec<_> =
            text.as_bytes().chunks(size).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
        let body = scrubber().body(StreamBody::new(stream::iter(pieces)).boxed_unsync());
        String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn secrets_are_found_wherever_the_body_is_cut() {
        for size in [1, 2, 3, 7, 9, 10, 11, 1000] {
            assert_eq!(through("a secret-one b", size).await, "a ********** b", "pieces of {size}");
            assert_eq!(through("secret-onesecret-one", size).await, "*".repeat(20), "pieces of {size}");
            assert_eq!(through("ends like a secret-on", size).await, "ends like a secret-on", "pieces of {size}");
            assert_eq!(through("", size).await, "");
        }
        // One in another: whole pieces show both.
        assert_eq!(through("secret-one-and-more", 1000).await, "*".repeat(19));
    }

    #[test]
    fn headers_keep_their_length() {
        let mut headers = HeaderMap::new();
        headers.insert("x-seen", HeaderValue::from_static("Bearer secret-one"));
        headers.insert("x-other", HeaderValue::from_static("nothing"));
        scrubber().headers(&mut headers);
        assert_eq!(headers["x-seen"], "Bearer **********");
        assert_eq!(headers["x-other"], "nothing");
    }
}
