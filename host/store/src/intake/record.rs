//! How batches lie in a file: a header, then records, each with its length and its checksum.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use patchbay_model::Arrival;

use crate::StoreError;

/// What each file begins with; the last word is the version of this format.
pub(super) const HEADER: &[u8; 16] = b"patchbay-spool 1";

/// Where the first record begins.
pub(super) const FIRST: u64 = HEADER.len() as u64;

/// What each record begins with. No byte 0xFF occurs in UTF-8, and so in no batch: behind a damage the next record is
/// found by it.
const MARK: [u8; 4] = [0xFF, b'P', b'B', b'\n'];

/// Mark, kind, length of the batch and CRC-32 of all but mark and CRC, both in little endian.
const PREFIX: usize = 13;

/// Bytes that are read at once, unless one record is longer: some hundreds of batches.
const WINDOW: u64 = 512 << 10;

/// What a record stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The store has taken the batch, and may lose it yet.
    Ledger,
    /// The store is still to get it.
    Spooled,
}

impl Kind {
    const fn letter(self) -> u8 {
        match self {
            Self::Ledger => b'l',
            Self::Spooled => b's',
        }
    }

    const fn of(letter: u8) -> Option<Self> {
        match letter {
            b'l' => Some(Self::Ledger),
            b's' => Some(Self::Spooled),
            _ => None,
        }
    }
}

/// A batch as JSON, with room for the prefix in front of it.
#[derive(Debug)]
pub(super) struct Frame(Vec<u8>);

impl Frame {
    /// # Errors
    /// [`StoreError::Corrupt`]: it cannot be written as JSON, or is longer than a length can say.
    pub(super) fn of(arrivals: &[Arrival]) -> Result<Self, StoreError> {
        let mut bytes = vec![0; PREFIX];
        serde_json::to_writer(&mut bytes, arrivals)
            .map_err(|error| StoreError::Corrupt(format!("a batch cannot be written as JSON: {error}")))?;
        Self::checked(bytes)
    }

    /// A batch that is JSON already.
    pub(super) fn of_json(json: &[u8]) -> Result<Self, StoreError> {
        let mut bytes = vec![0; PREFIX];
        bytes.extend_from_slice(json);
        Self::checked(bytes)
    }

    fn checked(bytes: Vec<u8>) -> Result<Self, StoreError> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(StoreError::Corrupt(format!("a batch of {} bytes is too long to be kept", bytes.len())));
        }
        Ok(Self(bytes))
    }

    /// The record.
    pub(super) fn record(mut self, kind: Kind) -> Vec<u8> {
        if let Some((prefix, batch)) = self.0.split_first_chunk_mut::<PREFIX>() {
            let [m0, m1, m2, m3] = MARK;
            let length = u32::try_from(batch.len()).unwrap_or(u32::MAX).to_le_bytes();
            let [l0, l1, l2, l3] = length;
            let [c0, c1, c2, c3] = checksum(kind.letter(), length, batch).to_le_bytes();
            *prefix = [m0, m1, m2, m3, kind.letter(), l0, l1, l2, l3, c0, c1, c2, c3];
        }
        self.0
    }
}

fn checksum(kind: u8, length: [u8; 4], batch: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&[kind]);
    crc.update(&length);
    crc.update(batch);
    crc.finalize()
}

/// A record that was read.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) kind: Kind,
    /// Where it begins in its file.
    pub(super) start: u64,
    /// The batch, as JSON.
    pub(super) json: Vec<u8>,
}

/// Some records of a file.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) records: Vec<Record>,
    /// Where to go on.
    pub(super) next: u64,
    /// Bytes that are no records.
    pub(super) damaged: Vec<Range<u64>>,
}

/// Reads records between two places of a file; `from` is where a record begins. There are more if [`Piece::next`] is
/// before `to`.
pub(super) fn read(path: &Path, from: u64, to: u64) -> io::Result<Piece> {
    let mut file = File::open(path)?;
    // Somebody may have cut it.
    let to = to.min(file.metadata()?.len());
    let mut window = WINDOW;
    loop {
        let (mut piece, wanted) = read_window(&mut file, from, to, window)?;
        if wanted <= window {
            piece.next = piece.next.max(from);
            return Ok(piece);
        }
        window = wanted;
    }
}

/// Reads at most `window` bytes. Gives besides how many bytes the first record needs, if it does not fit.
fn read_window(file: &mut File, from: u64, to: u64, window: u64) -> io::Result<(Piece, u64)> {
    let length = to.saturating_sub(from).min(window);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    file.seek(SeekFrom::Start(from))?;
    file.take(length).read_to_end(&mut bytes)?;
    let whole = from + bytes.len() as u64 >= to;
    let mut piece = Piece { next: from, ..Piece::default() };
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        match parse(rest, to - piece.next) {
            Parsed::Record(kind, batch, behind) => {
                piece.records.push(Record { kind, start: piece.next, json: batch.to_vec() });
                rest = behind;
            }
            Parsed::Short(needed) if piece.next == from => return Ok((piece, needed)),
            Parsed::Short(_) => break,
            Parsed::Damaged => {
                let skipped = 1 + next_mark(rest.get(1..).unwrap_or_default(), whole);
                let end = piece.next + skipped as u64;
                match piece.damaged.last_mut() {
                    Some(before) if before.end == piece.next => before.end = end,
                    _ => piece.damaged.push(piece.next..end),
                }
                rest = rest.get(skipped..).unwrap_or_default();
            }
        }
        piece.next = from + (bytes.len() - rest.len()) as u64;
    }
    Ok((piece, 0))
}

/// How many bytes there are before the next mark. Without one: all of them, but for what may be the beginning of a mark.
fn next_mark(bytes: &[u8], whole: bool) -> usize {
    let found = bytes.windows(MARK.len()).position(|window| window == MARK);
    let cut = if whole { 0 } else { MARK.len() - 1 };
    found.unwrap_or(bytes.len().saturating_sub(cut))
}

enum Parsed<'b> {
    /// Its kind, its batch, and what is behind it.
    Record(Kind, &'b [u8], &'b [u8]),
    /// So many bytes are needed to say.
    Short(u64),
    Damaged,
}

/// Reads one record off the beginning; `room` is how far the file goes on from there.
fn parse(bytes: &[u8], room: u64) -> Parsed<'_> {
    let Some((prefix, rest)) = bytes.split_first_chunk::<PREFIX>() else {
        return if room < PREFIX as u64 { Parsed::Damaged } else { Parsed::Short(PREFIX as u64) };
    };
    let [m0, m1, m2, m3, kind, l0, l1, l2, l3, c0, c1, c2, c3] = *prefix;
    let (length, crc) = ([l0, l1, l2, l3], u32::from_le_bytes([c0, c1, c2, c3]));
    let needed = PREFIX as u64 + u64::from(u32::from_le_bytes(length));
    let (Some(known), true) = (Kind::of(kind), [m0, m1, m2, m3] == MARK && needed <= room) else {
        return Parsed::Damaged;
    };
    match rest.split_at_checked(u32::from_le_bytes(length) as usize) {
        None => Parsed::Short(needed),
        Some((batch, behind)) if checksum(kind, length, batch) == crc => Parsed::Record(known, batch, behind),
        Some(_) => Parsed::Damaged,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A file of `batches`, and where each of its records begins, and the end.
    fn file(batches: &[Vec<u8>]) -> (tempfile::NamedTempFile, Vec<u64>) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(HEADER).unwrap();
        let mut starts = vec![FIRST];
        for batch in batches {
            let record = Frame::of_json(batch).unwrap().record(Kind::Spooled);
            file.write_all(&record).unwrap();
            starts.push(starts.last().unwrap() + record.len() as u64);
        }
        (file, starts)
    }

    fn read_all(path: &Path, end: u64) -> (Vec<Vec<u8>>, Vec<Range<u64>>) {
        let (mut batches, mut damaged, mut at) = (Vec::new(), Vec::new(), FIRST);
        while at < end {
            let piece = read(path, at, end).unwrap();
            assert!(piece.next > at, "reading stands still at {at}");
            at = piece.next;
            batches.extend(piece.records.into_iter().map(|record| record.json));
            damaged.extend(piece.damaged);
        }
        (batches, damaged)
    }

    fn batches() -> Vec<Vec<u8>> {
        // The third is longer than what is read at once, and so is the last of many small ones.
        let mut batches = vec![b"[1]".to_vec(), b"[]".to_vec(), vec![b'7'; 2 * WINDOW as usize]];
        batches.extend((0..2_000).map(|number| vec![b'0' + (number % 10) as u8; 700]));
        batches
    }

    #[test]
    fn what_was_written_is_read() {
        let written = batches();
        let (file, starts) = file(&written);
        let (read, damaged) = read_all(file.path(), *starts.last().unwrap());
        assert!(read == written && damaged.is_empty(), "{damaged:?}");
    }

    #[test]
    fn a_flipped_bit_costs_one_batch_wherever_it_is() {
        let written = vec![b"[10]".to_vec(), b"[20]".to_vec(), b"[30]".to_vec()];
        let (file, starts) = file(&written);
        let whole = std::fs::read(file.path()).unwrap();
        for at in starts[1]..starts[2] {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at as usize] ^= 1 << bit;
                std::fs::write(file.path(), &bytes).unwrap();
                let (read, damaged) = read_all(file.path(), whole.len() as u64);
                assert_eq!(read, [written[0].clone(), written[2].clone()], "byte {at}, bit {bit}");
                assert_eq!(damaged, vec![starts[1]..starts[2]; 1]);
            }
        }
    }

    #[test]
    fn a_damage_longer_than_what_is_read_at_once_is_passed() {
        let written = batches();
        let (file, starts) = file(&written);
        let mut bytes = std::fs::read(file.path()).unwrap();
        bytes[starts[2] as usize] = 0;
        std::fs::write(file.path(), &bytes).unwrap();
        let (read, damaged) = read_all(file.path(), bytes.len() as u64);
        assert!(read[..2] == written[..2] && read[2..] == written[3..]);
        let lost: u64 = damaged.iter().map(|range| range.end - range.start).sum();
        assert_eq!(lost, starts[3] - starts[2]);
    }

    #[test]
    fn a_torn_tail_is_damage() {
        let (file, starts) = file(&[b"[10]".to_vec(), b"[20]".to_vec()]);
        for end in starts[1] + 1..starts[2] {
            file.as_file().set_len(end).unwrap();
            let (read, damaged) = read_all(file.path(), end);
            assert_eq!(read, [b"[10]".to_vec()]);
            assert_eq!(damaged, vec![starts[1]..end; 1]);
            file.as_file().set_len(starts[2]).unwrap();
            // What set_len has filled in is zeros: as after a crash of the machine.
            assert_eq!(read_all(file.path(), starts[2]).0, [b"[10]".to_vec()]);
            let (again, _) = self::file(&[b"[10]".to_vec(), b"[20]".to_vec()]);
            std::fs::copy(again.path(), file.path()).unwrap();
        }
    }
}
