//! The file: opening it, checking that it is ours, and opening it again after a disk error.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, TryLockError};

use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase, StorageError};

use super::tables::{self, META_FORMAT, META_PARTITIONS, META_POSITION, Tables};
use super::{EmbeddedOptions, fault};
use crate::StoreError;

/// The version of the layout in [`tables`]. A store of a later version is refused; one of an earlier version is brought
/// up to date when it is opened (there is none yet).
const FORMAT: u64 = 1;

/// Makes the engine's handle. Called again after a disk error.
pub(super) type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>;

/// The engine's handle, which goes away while the file is opened again.
pub(super) struct StoreFile {
    /// For messages.
    path: PathBuf,
    open: Opener,
    /// Readers hold the lock for as long as a transaction of theirs lives, so that whoever has it exclusively knows that
    /// the old handle, and with it the lock on the file, can be dropped.
    database: RwLock<Option<Database>>,
}

impl fmt::Debug for StoreFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What a store has to know about itself before it can work.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// How many partitions there are.
    pub(super) partitions: u16,
    /// The last position that was given.
    pub(super) position: u64,
}

impl StoreFile {
    /// Opens or makes the file at `path`, with its folder.
    pub(super) fn at(path: &Path, options: &EmbeddedOptions) -> Result<(Self, Known), StoreError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let made = std::fs::create_dir_all(folder).and_then(|()| create(path)).and_then(|()| {
            // The new name is as durable as what will be written under it.
            File::open(folder)?.sync_all()
        });
        made.map_err(|error| StoreError::Unsuitable(format!("{} cannot be opened: {error}", path.display())))?;
        let (file, cache_bytes) = (path.to_owned(), options.cache_bytes);
        let open: Opener = Box::new(move || Database::builder().set_cache_size(cache_bytes).create(&file));
        Self::with(path, open, options)
    }

    /// Opens the store that `open` gives.
    pub(super) fn with(path: &Path, open: Opener, options: &EmbeddedOptions) -> Result<(Self, Known), StoreError> {
        if options.partitions == 0 {
            return Err(StoreError::Unsuitable("a store needs at least one partition: set `partitions = 16`".into()));
        }
        let database = open().map_err(|error| refusal(path, error))?;
        let known = examine(path, &database, options.partitions)?;
        Ok((Self { path: path.to_owned(), open, database: RwLock::new(Some(database)) }, known))
    }

    /// Reads in one snapshot. Never waits: while the file is being opened again it answers so.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let database = match self.database.try_read() {
            Ok(database) => database,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(self.absent()),
        };
        let transaction = database.as_ref().ok_or_else(|| self.absent())?.begin_read();
        read(&transaction.map_err(fault)?)
    }

    /// The handle, for the writer.
    pub(super) fn database(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of the file and opens it again: after a disk error the engine refuses everything until then.
    pub(super) fn reopen(&self) -> Result<(), StoreError> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        *database = None;
        *database = Some((self.open)().map_err(|error| refusal(&self.path, error))?);
        Ok(())
    }

    /// Lets go of the file for good.
    pub(super) fn close(&self) {
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Why there is no handle.
    pub(super) fn absent(&self) -> StoreError {
        StoreError::Unavailable(format!("{} is closed, or is being opened again after an error", self.path.display()))
    }
}

/// Makes an empty file that only its owner may read: it will hold what customers write.
fn create(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Why the file cannot be used, for the operator.
fn refusal(path: &Path, error: DatabaseError) -> StoreError {
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
        error => StoreError::Unavailable(format!("{path}: {error}")),
    }
}

/// Checks that the file is ours and of a version that we know; makes the tables of a new one.
fn examine(path: &Path, database: &Database, partitions: u16) -> Result<Known, StoreError> {
    let transaction = database.begin_read().map_err(fault)?;
    match tables::number(&transaction, META_FORMAT)? {
        Some(FORMAT) => {}
        Some(format) => {
            return Err(StoreError::Unsuitable(format!(
                "{} is a store of format {format}, and this version of Patchbay knows formats up to {FORMAT}: \
                 run the version that wrote it, or a later one",
                path.display()
            )));
        }
        None if transaction.list_tables().map_err(fault)?.next().is_some() => {
            return Err(StoreError::Unsuitable(format!(
                "{} is a database of something else, not a Patchbay store",
                path.display()
            )));
        }
        None => make(database, partitions)?,
    }
    let transaction = database.begin_read().map_err(fault)?;
    let number = |key| {
        let number = tables::number(&transaction, key)?;
        number.ok_or_else(|| StoreError::Corrupt(format!("{} does not say its {key}", path.display())))
    };
    let partitions = u16::try_from(number(META_PARTITIONS)?)
        .map_err(|_| StoreError::Corrupt(format!("{} has too many partitions", path.display())))?;
    Ok(Known { partitions, position: number(META_POSITION)? })
}

fn make(database: &Database, partitions: u16) -> Result<(), StoreError> {
    let transaction = database.begin_write().map_err(fault)?;
    let mut tables = Tables::open(&transaction)?;
    for (key, number) in [(META_FORMAT, FORMAT), (META_PARTITIONS, partitions.into()), (META_POSITION, 0)] {
        tables.meta.insert(key, number).map_err(fault)?;
    }
    drop(tables);
    transaction.commit().map_err(fault)
}
