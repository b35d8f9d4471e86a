//! Reading stored media, in pieces.

use std::io;

#[cfg(target_arch = "wasm32")]
use crate::bindings::handler::patchbay::plugin::blobs::Blob;

/// Bytes asked for at a time by [`MediaReader::read_all`]: large enough to make calls rare, small beside the plugin's
/// memory limit.
const CHUNK: usize = 256 * 1024;

/// Stored media, read from the beginning through [`io::Read`] or piece by piece with [`read_at`](Self::read_at).
#[derive(Debug)]
pub struct MediaReader<'a> {
    source: Source<'a>,
    position: u64,
}

#[derive(Debug)]
enum Source<'a> {
    #[cfg(target_arch = "wasm32")]
    Owned(Blob),
    #[cfg(target_arch = "wasm32")]
    Borrowed(&'a Blob),
    #[cfg(not(target_arch = "wasm32"))]
    Bytes(std::borrow::Cow<'a, [u8]>),
}

impl<'a> MediaReader<'a> {
    #[cfg(target_arch = "wasm32")]
    pub(crate) const fn owned(blob: Blob) -> Self {
        Self { source: Source::Owned(blob), position: 0 }
    }

    #[cfg(target_arch = "wasm32")]
    pub(crate) const fn borrowed(blob: &'a Blob) -> Self {
        Self { source: Source::Borrowed(blob), position: 0 }
    }

    /// A reader over bytes, for tests.
    #[cfg(not(target_arch = "wasm32"))]
    #[must_use]
    pub fn of_bytes(bytes: impl Into<std::borrow::Cow<'a, [u8]>>) -> Self {
        Self { source: Source::Bytes(bytes.into()), position: 0 }
    }

    /// How many bytes it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        match &self.source {
            #[cfg(target_arch = "wasm32")]
            Source::Owned(blob) => blob.size(),
            #[cfg(target_arch = "wasm32")]
            Source::Borrowed(blob) => blob.size(),
            #[cfg(not(target_arch = "wasm32"))]
            Source::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// Up to `length` bytes from `offset`; nothing at the end.
    ///
    /// # Errors
    /// The host's reason, if the bytes cannot be read.
    pub fn read_at(&self, offset: u64, length: u32) -> io::Result<Vec<u8>> {
        match &self.source {
            #[cfg(target_arch = "wasm32")]
            Source::Owned(blob) => blob.read(offset, length).map_err(io::Error::other),
            #[cfg(target_arch = "wasm32")]
            Source::Borrowed(blob) => blob.read(offset, length).map_err(io::Error::other),
            #[cfg(not(target_arch = "wasm32"))]
            Source::Bytes(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                let end = start.saturating_add(length as usize).min(bytes.len());
                Ok(bytes.get(start..end).unwrap_or_default().to_vec())
            }
        }
    }

    /// Everything from here on, if that is no more than `limit` bytes.
    ///
    /// # Errors
    /// [`io::ErrorKind::FileTooLarge`] beyond the limit; otherwise the host's reason.
    pub fn read_all(&mut self, limit: u64) -> io::Result<Vec<u8>> {
        let left = self.size().saturating_sub(self.position);
        if left > limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{left} bytes, the limit is {limit}")));
        }
        let mut all = Vec::with_capacity(usize::try_from(left).unwrap_or_default());
        loop {
            let piece = self.read_at(self.position, CHUNK as u32)?;
            if piece.is_empty() {
                return Ok(all);
            }
            self.position += piece.len() as u64;
            all.extend_from_slice(&piece);
        }
    }
}

impl io::Read for MediaReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.read_at(self.position, buffer.len().min(CHUNK) as u32)?;
        for (to, from) in buffer.iter_mut().zip(&piece) {
            *to = *from;
        }
        self.position += piece.len() as u64;
        Ok(piece.len())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn media_is_read_in_pieces() {
        let mut media = MediaReader::of_bytes(b"hello world".as_slice());
        let mut buffer = [0; 5];
        assert_eq!((media.size(), media.read(&mut buffer).unwrap(), &buffer), (11, 5, b"hello"));
        assert_eq!(media.read_at(6, 100).unwrap(), b"world");
        assert_eq!(media.read_at(11, 100).unwrap(), b"");
        assert_eq!(media.read_all(5).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(media.read_all(6).unwrap(), b" world");
    }
}
