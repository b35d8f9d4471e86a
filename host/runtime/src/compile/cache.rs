//! Compiled code on disk, between runs.
//!
//! What lies here is run as machine code, so nothing is taken on trust:
//!
//! - The folder is the gateway's own (0700), a file is written under another name, synced and renamed, and nobody may
//!   write it afterwards (0400).
//! - Each file ends with a tag: HMAC-SHA256, under this host's own key, over the component's digest, the engine's hash
//!   and the bytes. Owner, mode and tag are looked at before each mapping, on the open file that is then mapped. A file
//!   from elsewhere has no good tag, and neither has one of ours under another name.
//! - What does not pass is removed with a warning, and the component is compiled again.
//!
//! The key lies beside the folder, not in it: a folder that is copied to another host, or put back from somewhere, is
//! worth nothing without it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hmac::{Hmac, KeyInit as _, Mac as _};
use rustix::fs::OFlags;
use sha2::Sha256;
use thiserror::Error;

use crate::limits;

/// Bytes of the key and of a tag.
const TAG: usize = 32;

/// What a tag is for, so that it means nothing anywhere else.
const PURPOSE: &[u8] = b"patchbay compiled component 1\0";

/// How a finished file's name ends.
const ENDING: &str = ".cwasm";

/// How the name of a file begins that is being written.
const DRAFT: &str = ".draft-";

/// A file's time of use is written no more often than this.
const TOUCHED: Duration = Duration::from_secs(24 * 60 * 60);

/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;

/// Why there is no folder for compiled code.
#[derive(Debug, Error)]
pub(crate) enum CacheError {
    #[error("the folder for compiled plugins, {}, cannot be used: {error}", .path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error(
        "{} belongs to user {owner}, and the gateway runs as user {own}: what lies there is run as code, so it has to be \
         the gateway's own; remove it (it is made again), or `chown -R {own}` it", .path.display()
    )]
    Owner { path: PathBuf, owner: u32, own: u32 },
}

/// The folder, and the key for what lies in it.
pub(super) struct Cache {
    folder: PathBuf,
    key: [u8; TAG],
    /// The engine's compatibility hash.
    engine: String,
}

/// An open artefact that has passed every check.
pub(super) struct Verified {
    pub(super) file: File,
    pub(super) path: PathBuf,
}

/// A file that is being written, and is removed unless it is kept.
pub(super) struct Draft {
    pub(super) file: File,
    path: PathBuf,
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Not there any more when it was kept.
        let _ = fs::remove_file(&self.path);
    }
}

impl Cache {
    /// Makes the folder and the key where they are not there yet, and removes what was not used for long.
    pub(super) fn open(folder: &Path, engine: String) -> Result<Self, CacheError> {
        let fault = |path: &Path| {
            let path = path.to_owned();
            move |error| CacheError::Io { path, error }
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(fault(folder))?;
        let metadata = fs::metadata(folder).map_err(fault(folder))?;
        owned(folder, &metadata)?;
        if metadata.mode() & 0o077 != 0 {
            // Made by an earlier version, or by hand. What somebody may have put there has no tag of ours.
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(fault(folder))?;
        }
        let path = key_file(folder);
        let key = key(&path).map_err(fault(&path))??;
        let cache = Self { folder: folder.to_owned(), key, engine };
        if let Err(error) = cache.sweep(SystemTime::now()) {
            tracing::warn!(folder = %folder.display(), %error, "old compiled plugins cannot be removed");
        }
        Ok(cache)
    }

    /// The artefact of the component with this digest, if it is there and in order. What is not in order is removed.
    pub(super) fn find(&self, digest: &str) -> Option<Verified> {
        let path = self.path(digest);
        let opened = OpenOptions::new().read(true).custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(&path);
        let checked = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => Err(format!("it cannot be opened: {error}")),
            Ok(file) => self.check(&file, digest).map(|()| file),
        };
        match checked {
            Ok(file) => {
                touch(&file);
                Some(Verified { file, path })
            }
            Err(why) => {
                self.discard(&path, &why);
                None
            }
        }
    }

    /// Owner, mode and tag of an open file.
    fn check(&self, file: &File, digest: &str) -> Result<(), String> {
        let metadata = file.metadata().map_err(|error| error.to_string())?;
        let own = rustix::process::geteuid().as_raw();
        if !metadata.is_file() || metadata.uid() != own {
            return Err(format!("it is no file of user {own}"));
        }
        if metadata.mode() & 0o377 != 0 {
            return Err(format!("its mode is {:o} and has to be 400", metadata.mode() & 0o7777));
        }
        let size = metadata.len().checked_sub(TAG as u64).ok_or("it is cut off")?;
        let tag = self.tag(file, size, digest).map_err(|error| error.to_string())?;
        let (mut behind, mut written) = (file, [0; TAG]);
        behind.read_exact(&mut written).map_err(|error| error.to_string())?;
        tag.verify_slice(&written).map_err(|_| "this host did not write it, or it was changed since".to_owned())
    }

    /// The tag over the first `size` bytes of a file, which stands behind them afterwards.
    fn tag(&self, mut file: &File, size: u64, digest: &str) -> io::Result<Hmac<Sha256>> {
        let mut tag = Hmac::<Sha256>::new_from_slice(&self.key).map_err(io::Error::other)?;
        tag.update(PURPOSE);
        // Both are of one length for ever: hexadecimal SHA-256.
        tag.update(digest.as_bytes());
        tag.update(self.engine.as_bytes());
        tag.update(&size.to_le_bytes());
        file.seek(SeekFrom::Start(0))?;
        let (mut left, mut piece) = (size, vec![0; PIECE]);
        while left > 0 {
            let most = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let room = piece.get_mut(..most).unwrap_or_default();
            file.read_exact(room)?;
            tag.update(room);
            left -= most as u64;
        }
        Ok(tag)
    }

    /// A new file that nobody else has.
    pub(super) fn draft(&self) -> io::Result<Draft> {
        let path = self.folder.join(format!("{DRAFT}{:032x}", rand::random::<u128>()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Draft { file, path })
    }

    /// Puts the tag behind what was written, and gives the file its name.
    pub(super) fn keep(&self, mut draft: Draft, digest: &str) -> io::Result<()> {
        let size = draft.file.metadata()?.len();
        let tag = self.tag(&draft.file, size, digest)?;
        draft.file.write_all(&tag.finalize().into_bytes())?;
        draft.file.set_permissions(fs::Permissions::from_mode(0o400))?;
        draft.file.sync_all()?;
        fs::rename(&draft.path, self.path(digest))?;
        File::open(&self.folder)?.sync_all()
    }

    /// Removes what must not be used.
    pub(super) fn discard(&self, path: &Path, why: &str) {
        tracing::warn!(
            file = %path.display(),
            "a compiled plugin is not used and removed, since {why}; it is compiled again"
        );
        if let Err(error) = fs::remove_file(path).or_else(|_| fs::remove_dir_all(path)) {
            tracing::warn!(file = %path.display(), %error, "it cannot be removed");
        }
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{digest}-{}{ENDING}", self.engine))
    }

    /// Removes artefacts that nothing used for long, and the drafts of interrupted runs.
    fn sweep(&self, now: SystemTime) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let kept = if name.starts_with(DRAFT) {
                limits::DRAFT_KEPT
            } else if name.ends_with(ENDING) {
                limits::COMPILED_KEPT
            } else {
                continue;
            };
            // One that is gone by now was another process's draft.
            let Ok(used) = entry.metadata().and_then(|metadata| metadata.modified()) else { continue };
            if now.duration_since(used).is_ok_and(|age| age > kept) {
                fs::remove_file(entry.path())?;
                tracing::debug!(file = %entry.path().display(), "compiled code that nothing used is removed");
            }
        }
        Ok(())
    }
}

/// Where the key for a folder lies.
fn key_file(folder: &Path) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(".key");
    folder.with_file_name(name)
}

/// Reads the key, or makes it. A key that others could read is not used any more, and all that it vouched for with it.
fn key(path: &Path) -> io::Result<Result<[u8; TAG], CacheError>> {
    match OpenOptions::new().read(true).custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(path) {
        Ok(mut file) => {
            let metadata = file.metadata()?;
            if let Err(error) = owned(path, &metadata) {
                return Ok(Err(error));
            }
            let mut key = [0; TAG];
            if metadata.mode() & 0o077 == 0 && metadata.len() == TAG as u64 {
                file.read_exact(&mut key)?;
                return Ok(Ok(key));
            }
            tracing::warn!(file = %path.display(), "the key for compiled plugins is not private or not whole: a new one \
                is made, and all plugins are compiled again");
            fs::remove_file(path)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let key: [u8; TAG] = rand::random();
    // Under another name first: a key that is half written by one process must not be read by another one.
    let draft = path.with_extension(format!("key-{:032x}", rand::random::<u128>()));
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).and_then(|mut file| {
        file.write_all(&key)?;
        file.sync_all()
    });
    // A link where there are links: of two processes that start at once, the first one's key is the key.
    let named = written.and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => fs::rename(&draft, path),
        linked => linked,
    });
    // Gone already where it was renamed.
    let _ = fs::remove_file(&draft);
    match named {
        Ok(()) => Ok(Ok(key)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self::key(path),
        Err(error) => Err(error),
    }
}

fn owned(path: &Path, metadata: &fs::Metadata) -> Result<(), CacheError> {
    let (owner, own) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner == own { Ok(()) } else { Err(CacheError::Owner { path: path.to_owned(), owner, own }) }
}

/// Notes that the file is in use, for [`Cache::sweep`].
fn touch(file: &File) {
    let now = SystemTime::now();
    let used = file.metadata().and_then(|metadata| metadata.modified());
    if used.is_ok_and(|used| now.duration_since(used).is_ok_and(|age| age > TOUCHED)) {
        // It would be removed a while too early, and compiled again: no reason to fail.
        let _ = file.set_modified(now);
    }
}
