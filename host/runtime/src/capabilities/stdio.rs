//! What a plugin writes to its standard output and error.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::limits;

/// Keeps the end of what is written, and never refuses a byte: a plugin must not fail because it is talkative.
#[derive(Clone, Debug, Default)]
pub(crate) struct Capture {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    tail: VecDeque<u8>,
    taken: usize,
}

impl Capture {
    fn push(&self, bytes: &[u8]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.taken = kept.taken.saturating_add(bytes.len());
        let end = bytes.get(bytes.len().saturating_sub(limits::STDERR_KEPT)..).unwrap_or_default();
        let surplus = (kept.tail.len() + end.len()).saturating_sub(limits::STDERR_KEPT);
        kept.tail.drain(..surplus);
        kept.tail.extend(end);
    }

    /// The last bytes as text. Where older ones were dropped it begins at a line, or at a word if that line is long.
    pub(crate) fn text(&self) -> String {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = kept.tail.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        if kept.taken <= bytes.len() {
            return text.into_owned();
        }
        let after =
            |end: Option<usize>| end.and_then(|at| text.get(at + 1..)).filter(|rest| rest.len() > text.len() / 2);
        let whole = after(text.find('\n')).or_else(|| after(text.find(' ')));
        format!("… {} bytes before this were dropped\n{}", kept.taken - bytes.len(), whole.unwrap_or(&text))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).taken == 0
    }
}

impl IsTerminal for Capture {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Capture {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Capture {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 * 1024)
    }
}

#[async_trait::async_trait]
impl Pollable for Capture {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Capture {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_end() {
        let capture = Capture::default();
        assert!(capture.is_empty());
        for line in 0..10_000 {
            capture.push(format!("line {line}\n").as_bytes());
        }
        let text = capture.text();
        assert!(text.ends_with("line 9999\n") && text.len() < limits::STDERR_KEPT + 64, "{text}");
        assert!(text.starts_with("… ") && !text.contains("line 1\n"), "{text}");
    }

    #[test]
    fn one_write_larger_than_what_is_kept() {
        let capture = Capture::default();
        capture.push(&vec![b'x'; 3 * limits::STDERR_KEPT]);
        capture.push(b"\nlast words");
        assert!(capture.text().ends_with("xxx\nlast words"), "{}", capture.text());
    }
}
