//! Bodies with an end: in bytes, in time, and ones that can be sent once more.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::stream;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full, StreamBody};
use tokio::time::Sleep;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::limits;

/// A body that is at hand.
pub(super) fn whole(bytes: impl Into<Bytes>) -> WasiBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body that ends with an error where it becomes too long.
pub(super) fn capped(body: WasiBody, limit: u64, error: fn(Option<u64>) -> Error) -> WasiBody {
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

/// A body that ends with an error when [`limits::WHOLE_BODY`] is over.
pub(super) fn timed(body: WasiBody) -> WasiBody {
    Timed { inner: body, end: Box::pin(tokio::time::sleep(limits::WHOLE_BODY)) }.boxed_unsync()
}

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
pub(super) struct Lent {
    body: Arc<Mutex<WasiBody>>,
}

impl Lent {
    pub(super) fn new(body: WasiBody) -> Self {
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

/// A body, and what was sent of it, for sending it once more.
pub(super) fn recorded(body: WasiBody, length: Option<u64>) -> (WasiBody, Record) {
    let kept = Kept { ended: body.is_end_stream(), ..Kept::default() };
    let record = Record { kept: Arc::new(Mutex::new(kept)), length };
    (Recorded { inner: body, record: record.clone() }.boxed_unsync(), record)
}

/// What went through a body so far.
#[derive(Clone)]
pub(super) struct Record {
    kept: Arc<Mutex<Kept>>,
    /// As the request says it: a client does not ask for more after so many bytes.
    length: Option<u64>,
}

#[derive(Default)]
struct Kept {
    pieces: Vec<Bytes>,
    size: u64,
    ended: bool,
    /// More than is kept, or something beside data.
    lost: bool,
}

impl Record {
    /// The same body again, if all of it went through and is at hand.
    pub(super) fn again(&self) -> Option<WasiBody> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = kept.ended || self.length == Some(kept.size);
        (ended && !kept.lost).then(|| {
            let pieces = kept.pieces.clone().into_iter().map(|piece| Ok(Frame::data(piece)));
            if kept.pieces.is_empty() {
                whole(Bytes::new())
            } else {
                StreamBody::new(stream::iter(pieces)).boxed_unsync()
            }
        })
    }
}

struct Recorded {
    inner: WasiBody,
    record: Record,
}

impl Body for Recorded {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        let ended = self.inner.is_end_stream();
        let mut kept = self.record.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => match frame.data_ref() {
                Some(data) => {
                    kept.size = kept.size.saturating_add(data.len() as u64);
                    kept.lost |= kept.size > limits::REPLAY;
                    if kept.lost {
                        kept.pieces.clear();
                    } else {
                        kept.pieces.push(data.clone());
                    }
                    kept.ended |= ended;
                }
                None => kept.lost = true,
            },
            Poll::Ready(Some(Err(_))) => kept.lost = true,
            Poll::Ready(None) => kept.ended = true,
            Poll::Pending => {}
        }
        drop(kept);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(pieces: &[&'static str]) -> WasiBody {
        let frames: Vec<_> = pieces.iter().map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))).collect();
        StreamBody::new(stream::iter(frames)).boxed_unsync()
    }

    async fn text(body: WasiBody) -> Bytes {
        body.collect().await.unwrap().to_bytes()
    }

    #[tokio::test]
    async fn a_body_that_went_through_can_be_sent_again() {
        let (mut body, record) = recorded(pieces(&["one ", "two"]), None);
        body.frame().await.unwrap().unwrap();
        assert!(record.again().is_none(), "only a part went through");
        assert_eq!(text(body).await, "two");
        assert_eq!(text(record.again().unwrap()).await, "one two");
        // A client that knows the length stops there.
        let (mut body, record) = recorded(pieces(&["four"]), Some(4));
        body.frame().await.unwrap().unwrap();
        assert_eq!(text(record.again().unwrap()).await, "four");
        let (_, record) = recorded(whole(""), None);
        assert_eq!(text(record.again().unwrap()).await, "");
    }

    #[tokio::test]
    async fn a_large_body_is_not_kept() {
        let large = Bytes::from(vec![b'x'; usize::try_from(limits::REPLAY).unwrap() + 1]);
        let (body, record) = recorded(whole(large), None);
        text(body).await;
        assert!(record.again().is_none());
    }
}
