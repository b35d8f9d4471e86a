//! The folder with the files: opened by one process, private to its user.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::record::{self, FIRST, HEADER, Kind};
use crate::StoreError;

/// The ending of a segment's name.
const SEGMENT: &str = "log";
/// The ending of the name of a file with what the store refuses.
const REFUSED: &str = "refused";

/// The folder. Until it is dropped or unlocked, no other process opens it.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    lock: File,
}

/// A segment that was there when the folder was opened.
#[derive(Debug)]
pub(super) struct Leftover {
    pub(super) number: u64,
    pub(super) bytes: u64,
    /// How many batches in it the store had not got, and where the last of them ends at the latest.
    pub(super) spooled: Option<(u64, u64)>,
}

impl Folder {
    /// Opens the folder or makes it, and looks through what is in it, oldest first. Gives besides the number for the next
    /// file. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// [`StoreError::Unsuitable`]: another process has it, or a file in it is of a later version;
    /// [`StoreError::Unavailable`].
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<Leftover>, u64), StoreError> {
        let fault = |error: io::Error| StoreError::Unavailable(format!("the spool folder {}: {error}", path.display()));
        make(path).map_err(fault)?;
        let lock = private().create(true).truncate(false).open(path.join("lock")).map_err(fault)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Unsuitable(format!(
                    "the spool folder {} is in use by another process: stop that one first, or give this one a `data_dir` \
                     of its own under [gateway]",
                    path.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(fault(error)),
        }
        let folder = Self { path: path.to_owned(), lock };
        let (mut numbers, next) = folder.numbers().map_err(fault)?;
        numbers.sort_unstable();
        let mut leftovers = Vec::new();
        for number in numbers {
            leftovers.extend(folder.look_through(number)?);
        }
        Ok((folder, leftovers, next))
    }

    /// Lets others open it.
    pub(super) fn unlock(&self) {
        // If that fails, the end of the process does it.
        let _locked = self.lock.unlock();
    }

    /// Whether there are segments in a folder that nobody will open.
    pub(super) fn has_leftovers(path: &Path) -> bool {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).any(|file| file.extension().is_some_and(|ending| ending == SEGMENT))
    }

    /// The numbers of the segments, and the next one that no file has.
    fn numbers(&self) -> io::Result<(Vec<u64>, u64)> {
        let (mut segments, mut next) = (Vec::new(), 1);
        for entry in std::fs::read_dir(&self.path)? {
            let file = entry?.path();
            let number = file.file_stem().and_then(|name| name.to_str()?.parse::<u64>().ok());
            let (Some(number), Some(ending)) = (number, file.extension()) else { continue };
            if ending == SEGMENT {
                segments.push(number);
            } else if ending != REFUSED {
                continue;
            }
            next = next.max(number.saturating_add(1));
        }
        Ok((segments, next))
    }

    /// Looks through a segment, and cuts what is behind its last whole record. `None`: it was empty, and is gone.
    fn look_through(&self, number: u64) -> Result<Option<Leftover>, StoreError> {
        let path = self.segment(number);
        let fault = |error: io::Error| StoreError::Unavailable(format!("{}: {error}", path.display()));
        let length = std::fs::metadata(&path).map_err(fault)?.len();
        if length >= FIRST {
            let mut header = [0; HEADER.len()];
            File::open(&path).and_then(|mut file| file.read_exact(&mut header)).map_err(fault)?;
            if header != *HEADER {
                return Err(StoreError::Unsuitable(format!(
                    "{} is not a spool of a version that this Patchbay knows: run the version that wrote it, or move the \
                     file away",
                    path.display()
                )));
            }
        }
        let (mut end, mut at, mut spooled, mut torn) = (FIRST, FIRST, None, false);
        while at < length {
            let piece = record::read(&path, at, length).map_err(fault)?;
            if piece.next <= at {
                break;
            }
            at = piece.next;
            torn = piece.damaged.last().is_some_and(|range| range.end >= length);
            // Where the records of this piece end: before the damage, if that is what comes last.
            let tail = piece.damaged.last().filter(|range| range.end == piece.next).map(|range| range.start);
            if !piece.records.is_empty() {
                end = tail.unwrap_or(piece.next);
            }
            let waiting = piece.records.iter().filter(|record| record.kind == Kind::Spooled).count() as u64;
            if waiting > 0 {
                spooled = Some((waiting + spooled.map_or(0, |(before, _)| before), end));
            }
        }
        if torn {
            tracing::warn!(file = %path.display(), from = end, bytes = length - end, "a torn tail of the spool was cut off");
            OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(end)).map_err(fault)?;
        }
        if end <= FIRST {
            std::fs::remove_file(&path).map_err(fault)?;
            return Ok(None);
        }
        Ok(Some(Leftover { number, bytes: end, spooled }))
    }

    /// A segment's file.
    pub(super) fn segment(&self, number: u64) -> PathBuf {
        self.path.join(format!("{number:020}.{SEGMENT}"))
    }

    /// Makes a new segment, with its header in it.
    pub(super) fn create(&self, number: u64) -> io::Result<File> {
        self.begin(&self.segment(number))
    }

    /// Writes what the store refuses into a file of its own. Renamed to a segment, it is tried again at the next start.
    pub(super) fn set_aside(&self, number: u64, records: &[u8]) -> io::Result<PathBuf> {
        let path = self.path.join(format!("{number:020}.{REFUSED}"));
        let mut file = self.begin(&path)?;
        let written = file.write_all(records).and_then(|()| file.sync_all()).and_then(|()| self.sync());
        if let Err(error) = written {
            let _left = std::fs::remove_file(&path);
            return Err(error);
        }
        Ok(path)
    }

    fn begin(&self, path: &Path) -> io::Result<File> {
        let mut options = private();
        let mut file = options.create_new(true).append(true).open(path)?;
        if let Err(error) = file.write_all(HEADER) {
            // Empty or half a header: of no use, and in the way of the next one.
            let _left = std::fs::remove_file(path);
            return Err(error);
        }
        Ok(file)
    }

    /// Makes the names of new files durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

/// Makes the folder, for this user only: what customers write lies in it.
fn make(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    #[cfg(unix)]
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
