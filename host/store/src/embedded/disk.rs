//! What lies between the engine and the file: the file itself, or the file with everything written kept in memory.
//!
//! The engine cannot open a file that was not closed cleanly without writing to it. On a full disk it opens it with an
//! [`Overlay`], so that it can at least be read.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;
use redb::backends::FileBackend;

/// A medium below the engine.
pub(super) type Medium = Box<dyn StorageBackend>;

/// The file at `path`. Nothing is locked: that is [`lock`]'s business, because two handles of one process may have the
/// file at once.
pub(super) fn file(path: &Path, writable: bool) -> io::Result<Medium> {
    let file = OpenOptions::new().read(true).write(writable).open(path)?;
    Ok(Box::new(FileBackend::new(file).map_err(io::Error::other)?))
}

/// Opens the file so that no other process can, for as long as the result lives. `None`: another one has it.
pub(super) fn lock(path: &Path) -> io::Result<Option<File>> {
    let file = File::open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Passes everything on to a medium, except locks.
#[derive(Debug)]
pub(super) struct Through(pub(super) Medium);

impl StorageBackend for Through {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
}

/// Bytes of a piece that is kept in memory: a page of the engine.
const PIECE: usize = 4_096;

/// Reads from a medium and never writes to it: what is written stays in memory. What a repair of the engine writes are a
/// few pages.
#[derive(Debug)]
pub(super) struct Overlay {
    below: Medium,
    above: Mutex<Above>,
}

#[derive(Debug)]
struct Above {
    length: u64,
    /// Bytes of the medium that count: what was cut off once is zeros from then on.
    counts: u64,
    /// By number.
    pieces: BTreeMap<u64, Vec<u8>>,
}

impl Overlay {
    pub(super) fn over(below: Medium) -> io::Result<Self> {
        let length = below.len()?;
        Ok(Self { below, above: Mutex::new(Above { length, counts: length, pieces: BTreeMap::new() }) })
    }

    fn above(&self) -> MutexGuard<'_, Above> {
        self.above.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the first `counts` bytes of the medium; beyond them there are zeros.
    fn below(&self, counts: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = usize::try_from(counts.saturating_sub(offset)).unwrap_or(usize::MAX).min(out.len());
        let (there, beyond) = out.split_at_mut(there);
        beyond.fill(0);
        if there.is_empty() { Ok(()) } else { self.below.read(offset, there) }
    }
}

/// The piece that `offset` is in, and where in it.
fn piece_of(offset: u64) -> (u64, usize) {
    let within = usize::try_from(offset % PIECE as u64).unwrap_or_default();
    (offset / PIECE as u64, within)
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.above().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let above = self.above();
        self.below(above.counts, offset, out)?;
        let end = offset + out.len() as u64;
        let (first, _) = piece_of(offset);
        for (number, piece) in above.pieces.range(first..) {
            let start = number * PIECE as u64;
            if start >= end {
                break;
            }
            // Where the piece and what is asked for overlap.
            let (from, to) = (start.max(offset), end.min(start + PIECE as u64));
            let source = piece.get(index(from - start)..index(to - start));
            let target = out.get_mut(index(from - offset)..index(to - offset));
            if let (Some(source), Some(target)) = (source, target) {
                target.copy_from_slice(source);
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut above = self.above();
        above.length = len;
        above.counts = above.counts.min(len);
        let (last, within) = piece_of(len);
        above.pieces.retain(|number, _| *number <= last);
        if let Some(cut) = above.pieces.get_mut(&last).and_then(|piece| piece.get_mut(within..)) {
            cut.fill(0);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut above = self.above();
        let mut rest = data;
        let mut offset = offset;
        while !rest.is_empty() {
            let (number, within) = piece_of(offset);
            let (now, later) = rest.split_at(rest.len().min(PIECE - within));
            if !above.pieces.contains_key(&number) {
                let mut piece = vec![0; PIECE];
                self.below(above.counts, number * PIECE as u64, &mut piece)?;
                above.pieces.insert(number, piece);
            }
            let piece = above.pieces.get_mut(&number).and_then(|piece| piece.get_mut(within..within + now.len()));
            if let Some(piece) = piece {
                piece.copy_from_slice(now);
            }
            offset += now.len() as u64;
            rest = later;
        }
        Ok(())
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// Whether an error says that there is no room: on the disk, in a quota, or below a limit for one file.
pub(super) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// What an operator is told about an error of the disk.
pub(super) fn sentence(error: &io::Error) -> String {
    if is_full(error) {
        format!(
            "no space left for the store's file ({error}): free space on the disk that it lies on; the store goes on by itself"
        )
    } else {
        error.to_string()
    }
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;

    #[test]
    fn an_overlay_changes_nothing_below() {
        let below = InMemoryBackend::new();
        below.set_len(10_000).unwrap();
        below.write(0, &[1; 10_000]).unwrap();
        let overlay = Overlay::over(Box::new(below)).unwrap();
        overlay.set_len(20_000).unwrap();
        overlay.write(4_000, &[2; 5_000]).unwrap();
        overlay.write(15_000, &[3; 10]).unwrap();
        let mut all = vec![9; 20_000];
        overlay.read(0, &mut all).unwrap();
        let expected = |at: usize| match at {
            4_000..9_000 => 2,
            15_000..15_010 => 3,
            0..10_000 => 1,
            _ => 0,
        };
        assert!(all.iter().enumerate().all(|(at, byte)| *byte == expected(at)));
        overlay.set_len(6_000).unwrap();
        overlay.set_len(20_000).unwrap();
        overlay.read(0, &mut all).unwrap();
        let cut = |at: usize| if at < 6_000 { expected(at) } else { 0 };
        assert!(all.iter().enumerate().all(|(at, byte)| *byte == cut(at)));
        let mut below = vec![0; 10_000];
        overlay.below.read(0, &mut below).unwrap();
        assert!(below.iter().all(|byte| *byte == 1));
    }
}
