//! Whole copies of the file: backups, putting them back, and making the file small again.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use patchbay_model::Timestamp;
use redb::{Builder, ReadTransaction, ReadableDatabase, ReadableTableMetadata};

use super::disk::{self, Overlay, Through};
use super::file::{self, Handle, StoreFile};
use super::tables::{self, CONVERSATIONS, EVENTS};
use super::{EmbeddedOptions, EmbeddedStore, fault, verify};
use crate::{StoreError, Verification};

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BackupSummary {
    /// Events.
    pub events: u64,
    /// Conversations.
    pub conversations: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// When it was begun (restoring: when it was checked): everything acknowledged before is in it.
    pub at: Timestamp,
}

/// What making the file small has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Compacted {
    /// Bytes before.
    pub before: u64,
    /// Bytes after.
    pub after: u64,
}

impl EmbeddedStore {
    /// Writes a copy of the store to a new file at `to`, while the store works: one moment of it, as small as it can be,
    /// and durable before it has its name. Writers do not wait; what they free meanwhile is used again only afterwards.
    ///
    /// # Errors
    /// [`StoreError::Unsuitable`] when `to` is there already; [`StoreError::Unavailable`] when the store cannot be read
    /// or the copy not be written, [`StoreError::Corrupt`].
    pub async fn backup(&self, to: &Path) -> Result<BackupSummary, StoreError> {
        let (to, at) = (to.to_owned(), Timestamp::now());
        self.scan(move |transaction| back_up(transaction, &to, at)).await
    }

    /// Puts a backup in the place of a store that is not there (any more): checks it, and copies it to `to`. `from` may
    /// also be a copy of a store's file that was taken by other means; it is not changed. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Unsuitable`] when `to` is there already or `from` is not a store of this version,
    /// [`StoreError::Corrupt`] when it is not whole; [`StoreError::Unavailable`].
    pub fn restore(from: &Path, to: &Path) -> Result<BackupSummary, StoreError> {
        vacant(to)?;
        let at = Timestamp::now();
        let (found, events, conversations) = examine(from)?;
        if let Some(problem) = found.problems.first() {
            let (more, from) = (found.problems.len() - 1, from.display());
            return Err(StoreError::Corrupt(format!("{from} is not whole: {problem}; and {more} more such problems")));
        }
        let part = Part::new(to)?;
        let copy = |part: &Path| -> std::io::Result<u64> {
            let mut source = File::open(from)?;
            let mut target = std::fs::OpenOptions::new().write(true).open(part)?;
            let bytes = std::io::copy(&mut source, &mut target)?;
            target.flush()?;
            Ok(bytes)
        };
        let bytes = copy(&part.path).map_err(|error| part.fault(&error))?;
        part.finish(to)?;
        Ok(BackupSummary { events, conversations, bytes, at })
    }

    /// Checks the store in the file at `path`, that no process works with, more deeply than
    /// [`verify`](crate::Upkeep::verify) can: also the engine's own structures. Changes nothing. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Unsuitable`] when it is in use or not a store of this version, [`StoreError::Corrupt`] when it cannot
    /// even be opened, [`StoreError::Unavailable`].
    pub fn check(path: &Path) -> Result<Verification, StoreError> {
        let _lock = locked(path)?;
        examine(path).map(|(found, ..)| found)
    }

    /// Makes the file at `path`, that no process works with, as small as it can be. Blocks. A crash meanwhile is like any
    /// other: nothing is lost.
    ///
    /// # Errors
    /// As [`EmbeddedStore::open`]'s.
    pub fn compact(path: &Path, options: &EmbeddedOptions) -> Result<Compacted, StoreError> {
        let before = length(path)?;
        let (file, known) = StoreFile::at(path, options)?;
        if let Some(reason) = known.read_only {
            return Err(StoreError::Unavailable(reason));
        }
        file.compact()?;
        drop(file);
        Ok(Compacted { before, after: length(path)? })
    }
}

/// Takes a file's lock, so that it does not change.
fn locked(path: &Path) -> Result<File, StoreError> {
    let lock = disk::lock(path);
    let lock = lock.map_err(|error| StoreError::Unsuitable(format!("{} cannot be opened: {error}", path.display())))?;
    lock.ok_or_else(|| file::in_use(path))
}

/// Opens a file without changing it, and looks at everything; gives how many events and conversations it has besides.
fn examine(path: &Path) -> Result<(Verification, u64, u64), StoreError> {
    let unsuitable = |error| StoreError::Unsuitable(format!("{} cannot be opened: {error}", path.display()));
    let medium = disk::file(path, false).and_then(Overlay::over).map_err(unsuitable)?;
    let cache = EmbeddedOptions::default().cache_bytes;
    let mut handle = Handle { database: file::read_only(path, medium, cache)?, writable: false };
    let known = file::examine(path, &handle, 1)?;
    let whole = handle.database.check_integrity().map_err(|error| file::refusal(path, error))?;
    let transaction = handle.database.begin_read().map_err(fault)?;
    let mut found = verify::verify(&transaction, known.partitions)?;
    found.checked += 1;
    if !whole {
        found
            .problems
            .push("the engine's own lists of pages are wrong; it repairs them when the store is opened".into());
    }
    let (events, conversations) = counts(&transaction)?;
    Ok((found, events, conversations))
}

fn counts(transaction: &ReadTransaction) -> Result<(u64, u64), StoreError> {
    let events = transaction.open_table(EVENTS).map_err(fault)?.len().map_err(fault)?;
    let conversations = transaction.open_table(CONVERSATIONS).map_err(fault)?.len().map_err(fault)?;
    Ok((events, conversations))
}

fn back_up(transaction: &ReadTransaction, to: &Path, at: Timestamp) -> Result<BackupSummary, StoreError> {
    vacant(to)?;
    let part = Part::new(to)?;
    let medium = disk::file(&part.path, true).map_err(|error| part.fault(&error))?;
    let database = Builder::new().create_with_backend(Through(medium));
    let mut database = database.map_err(|error| file::refusal(&part.path, error))?;
    let write = database.begin_write().map_err(fault)?;
    tables::copy(transaction, &write)?;
    write.commit().map_err(fault)?;
    // Filling a table in order leaves its pages half empty.
    database.compact().map_err(fault)?;
    drop(database);
    let (events, conversations) = counts(transaction)?;
    let bytes = length(&part.path)?;
    part.finish(to)?;
    Ok(BackupSummary { events, conversations, bytes, at })
}

fn vacant(to: &Path) -> Result<(), StoreError> {
    let there = to.try_exists();
    match there {
        Ok(false) => Ok(()),
        Ok(true) => Err(StoreError::Unsuitable(format!(
            "{} is there already: name another file, or move that one away first",
            to.display()
        ))),
        Err(error) => Err(StoreError::Unsuitable(format!("{} cannot be looked at: {error}", to.display()))),
    }
}

fn length(path: &Path) -> Result<u64, StoreError> {
    let metadata = std::fs::metadata(path);
    let metadata = metadata.map_err(|error| StoreError::Unavailable(format!("{}: {error}", path.display())))?;
    Ok(metadata.len())
}

/// A file that has its name only when it is whole; until then it is removed when this is dropped.
struct Part {
    path: PathBuf,
}

impl Part {
    /// An empty file beside `to`.
    fn new(to: &Path) -> Result<Self, StoreError> {
        let mut path = to.as_os_str().to_owned();
        path.push(".part");
        let path = PathBuf::from(path);
        // One that a crash has left behind is nobody's.
        let _absent = std::fs::remove_file(&path);
        file::create(&path)
            .map_err(|error| StoreError::Unsuitable(format!("{} cannot be written: {error}", path.display())))?;
        Ok(Self { path })
    }

    fn fault(&self, error: &std::io::Error) -> StoreError {
        StoreError::Unavailable(format!("{}: {}", self.path.display(), disk::sentence(error)))
    }

    /// Makes it durable, and gives it its name.
    fn finish(self, to: &Path) -> Result<(), StoreError> {
        let finished = File::open(&self.path)
            .and_then(|file| file.sync_all())
            .and_then(|()| std::fs::rename(&self.path, to))
            .and_then(|()| File::open(file::folder_of(to))?.sync_all());
        finished.map_err(|error| self.fault(&error))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Gone already where it has its name.
        let _renamed = std::fs::remove_file(&self.path);
    }
}
