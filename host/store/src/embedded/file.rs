//! The file: opening it, checking that it is ours, and opening it again after a disk error.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use redb::{Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable, StorageError};

use super::disk::{self, Medium, Overlay, Through};
use super::tables::{self, META_FORMAT, META_PARTITIONS, META_POSITION, Tables};
use super::{EmbeddedOptions, fault};
use crate::StoreError;

/// The version of the layout in [`tables`]. A store of another version is refused. 1 was never released.
const FORMAT: u64 = 2;

/// Gives the medium, to be written to or not. Called again after a disk error.
pub(super) type Opener = Box<dyn Fn(bool) -> io::Result<Medium> + Send + Sync>;

/// The engine's handle, which goes away while the file is opened again.
pub(super) struct StoreFile {
    /// For messages.
    path: PathBuf,
    open: Opener,
    cache_bytes: usize,
    /// Readers hold the lock for as long as a transaction of theirs lives, so that whoever has it exclusively knows that
    /// the old handle can be dropped.
    handle: RwLock<Option<Handle>>,
    /// Keeps other processes out, also while there is no handle.
    lock: Mutex<Option<File>>,
}

/// The engine's handle.
pub(super) struct Handle {
    pub(super) database: Database,
    /// Whether what is written reaches the disk. If not, nothing is written: the disk was full when the file was opened.
    pub(super) writable: bool,
}

impl fmt::Debug for StoreFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What a store has to know about itself before it can work.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// How many partitions there are.
    pub(super) partitions: u16,
    /// The last position that was given.
    pub(super) position: u64,
    /// Why it can only be read for now.
    pub(super) read_only: Option<String>,
}

impl StoreFile {
    /// Opens or makes the file at `path`, with its folder.
    pub(super) fn at(path: &Path, options: &EmbeddedOptions) -> Result<(Self, Known), StoreError> {
        let folder = folder_of(path);
        let made = std::fs::create_dir_all(folder).and_then(|()| create(path)).and_then(|()| {
            // The new name is as durable as what will be written under it.
            File::open(folder)?.sync_all()
        });
        let unsuitable = |error| StoreError::Unsuitable(format!("{} cannot be opened: {error}", path.display()));
        made.map_err(unsuitable)?;
        let lock = disk::lock(path).map_err(unsuitable)?.ok_or_else(|| in_use(path))?;
        let file = path.to_owned();
        let (opened, known) = Self::with(path, Box::new(move |writable| disk::file(&file, writable)), options)?;
        *opened.lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(lock);
        Ok((opened, known))
    }

    /// Opens the store on the medium that `open` gives.
    pub(super) fn with(path: &Path, open: Opener, options: &EmbeddedOptions) -> Result<(Self, Known), StoreError> {
        if options.partitions == 0 {
            return Err(StoreError::Unsuitable("a store needs at least one partition: set `partitions = 16`".into()));
        }
        let file = Self {
            path: path.to_owned(),
            open,
            cache_bytes: options.cache_bytes,
            handle: RwLock::new(None),
            lock: Mutex::new(None),
        };
        let (handle, read_only) = match file.writing() {
            Ok(database) => (Handle { database, writable: true }, None),
            Err(DatabaseError::Storage(StorageError::Io(error))) if disk::is_full(&error) => {
                let reason = file.told(&error);
                tracing::error!(reason, "the store can only be read for now");
                let database = file.reading()?;
                (Handle { database, writable: false }, Some(reason))
            }
            Err(error) => return Err(refusal(path, error)),
        };
        let known = examine(path, &handle, options.partitions)?;
        *file.exclusive() = Some(handle);
        Ok((file, Known { read_only, ..known }))
    }

    /// A handle that writes.
    fn writing(&self) -> Result<Database, DatabaseError> {
        let medium = (self.open)(true).map_err(StorageError::Io)?;
        Builder::new().set_cache_size(self.cache_bytes).create_with_backend(Through(medium))
    }

    /// A handle that only reads: what the engine writes to repair the file stays in memory.
    fn reading(&self) -> Result<Database, StoreError> {
        let medium = (self.open)(false).and_then(Overlay::over);
        let medium = medium.map_err(|error| StoreError::Unavailable(self.told(&error)))?;
        read_only(&self.path, medium, self.cache_bytes)
    }

    /// An error of the disk, for the operator.
    fn told(&self, error: &io::Error) -> String {
        format!("{}: {}", self.path.display(), disk::sentence(error))
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads in one snapshot. Never waits: while the file is being opened again it answers so.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let handle = match self.handle.try_read() {
            Ok(handle) => handle,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(self.absent()),
        };
        let transaction = handle.as_ref().ok_or_else(|| self.absent())?.database.begin_read();
        read(&transaction.map_err(fault)?)
    }

    /// The handle, for the writer.
    pub(super) fn handle(&self) -> RwLockReadGuard<'_, Option<Handle>> {
        self.handle.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn exclusive(&self) -> RwLockWriteGuard<'_, Option<Handle>> {
        self.handle.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is a handle that writes, as far as is known.
    pub(super) fn writable(&self) -> bool {
        self.handle().as_ref().is_some_and(|handle| handle.writable)
    }

    /// Opens the file again: after a disk error the engine refuses everything until then. Where it cannot be written to,
    /// it can be read at least; a handle that reads goes on serving meanwhile.
    ///
    /// # Errors
    /// It cannot be written to.
    pub(super) fn reopen(&self) -> Result<(), StoreError> {
        if self.writable() {
            *self.exclusive() = None;
        }
        match self.writing() {
            Ok(database) => {
                *self.exclusive() = Some(Handle { database, writable: true });
                Ok(())
            }
            Err(error) => {
                if self.handle().is_none() {
                    // If it cannot even be read, the first error says more.
                    let reading = self.reading().ok();
                    *self.exclusive() = reading.map(|database| Handle { database, writable: false });
                }
                Err(refusal(&self.path, error))
            }
        }
    }

    /// Makes the file as small as it can be. Nothing else may use it.
    pub(super) fn compact(&self) -> Result<(), StoreError> {
        match self.exclusive().as_mut() {
            Some(handle) => handle.database.compact().map(drop).map_err(fault),
            None => Err(self.absent()),
        }
    }

    /// Lets go of the file for good.
    pub(super) fn close(&self) {
        *self.exclusive() = None;
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Why there is no handle.
    pub(super) fn absent(&self) -> StoreError {
        StoreError::Unavailable(format!("{} is closed, or is being opened again after an error", self.path.display()))
    }
}

/// Opens a store on an overlay, so that nothing of it changes.
pub(super) fn read_only(path: &Path, medium: Overlay, cache_bytes: usize) -> Result<Database, StoreError> {
    let empty = redb::StorageBackend::len(&medium).is_ok_and(|length| length == 0);
    if empty {
        return Err(StoreError::Unsuitable(format!("{} is empty: it is not a Patchbay store", path.display())));
    }
    let database = Builder::new().set_cache_size(cache_bytes).create_with_backend(medium);
    database.map_err(|error| refusal(path, error))
}

/// The folder that a file lies in.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

pub(super) fn in_use(path: &Path) -> StoreError {
    refusal(path, DatabaseError::DatabaseAlreadyOpen)
}

/// Makes an empty file that only its owner may read: it will hold what customers write.
pub(super) fn create(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Why the file cannot be used, for the operator.
pub(super) fn refusal(path: &Path, error: DatabaseError) -> StoreError {
    let path = path.display();
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::Unsuitable(format!(
            "{path} is in use by another process: stop that one first, or give this one a file of its own"
        )),
        DatabaseError::UpgradeRequired(version) => StoreError::Unsuitable(format!(
            "{path} was written in format {version} of the storage engine, which this version cannot read"
        )),
        DatabaseError::Storage(StorageError::Corrupted(reason)) => StoreError::Corrupt(format!("{path}: {reason}")),
        DatabaseError::Storage(StorageError::Io(error)) if error.kind() == std::io::ErrorKind::InvalidData => {
            StoreError::Unsuitable(format!("{path} is not a Patchbay store: {error}"))
        }
        DatabaseError::Storage(StorageError::Io(error)) => {
            StoreError::Unavailable(format!("{path}: {}", disk::sentence(&error)))
        }
        error => StoreError::Unavailable(format!("{path}: {error}")),
    }
}

/// Checks that the file is ours and of a version that we know; makes the tables of a new one.
pub(super) fn examine(path: &Path, handle: &Handle, partitions: u16) -> Result<Known, StoreError> {
    let database = &handle.database;
    let transaction = database.begin_read().map_err(fault)?;
    match tables::number(&transaction, META_FORMAT)? {
        Some(FORMAT) => {
            // A version that knew fewer of them may have made the file.
            if handle.writable && transaction.list_tables().map_err(fault)?.count() < tables::TABLES {
                let transaction = database.begin_write().map_err(fault)?;
                Tables::of(&transaction).make()?;
                transaction.commit().map_err(fault)?;
            }
        }
        Some(format) => {
            return Err(StoreError::Unsuitable(format!(
                "{} is a store of format {format}, and this version of Patchbay knows format {FORMAT}: run the version \
                 that wrote it",
                path.display()
            )));
        }
        None if transaction.list_tables().map_err(fault)?.next().is_some() => {
            return Err(StoreError::Unsuitable(format!(
                "{} is a database of something else, not a Patchbay store",
                path.display()
            )));
        }
        None if handle.writable => make(database, partitions)?,
        None => return Err(StoreError::Unsuitable(format!("{} is not a Patchbay store yet", path.display()))),
    }
    let transaction = database.begin_read().map_err(fault)?;
    let number = |key| {
        let number = tables::number(&transaction, key)?;
        number.ok_or_else(|| StoreError::Corrupt(format!("{} does not say its {key}", path.display())))
    };
    let partitions = u16::try_from(number(META_PARTITIONS)?)
        .map_err(|_| StoreError::Corrupt(format!("{} has too many partitions", path.display())))?;
    let events = transaction.open_table(tables::EVENTS).map_err(fault)?;
    let last = events.last().map_err(fault)?.map_or(0, |(position, _)| position.value());
    Ok(Known { partitions, position: last.max(number(META_POSITION)?), read_only: None })
}

fn make(database: &Database, partitions: u16) -> Result<(), StoreError> {
    let transaction = database.begin_write().map_err(fault)?;
    let mut tables = Tables::of(&transaction);
    tables.make()?;
    for (key, number) in [(META_FORMAT, FORMAT), (META_PARTITIONS, partitions.into()), (META_POSITION, 0)] {
        tables.meta.insert(key, number).map_err(fault)?;
    }
    drop(tables);
    transaction.commit().map_err(fault)
}
