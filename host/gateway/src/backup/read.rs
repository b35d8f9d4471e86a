//! Putting a backup back.
//!
//! Everything is unpacked beside its place and checked there, and only then moved into it: a backup that is damaged, or
//! that ends too early, changes nothing.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Component, Path, PathBuf};

use patchbay_model::Timestamp;
use patchbay_store::EmbeddedStore;
use sha2::{Digest, Sha256};

use super::{FORMAT, MANIFEST, MEDIA, Manifest, Media, STORE, SUMS, sum_line};

/// Bytes that are read at once.
const CHUNK: usize = 256 * 1024;
/// The most bytes of a manifest.
const LARGEST_MANIFEST: u64 = 1 << 20;

/// Where a backup goes.
#[derive(Clone, Debug)]
pub struct Restore {
    /// The store's file.
    pub store: PathBuf,
    /// The folder with customers' files.
    pub media: PathBuf,
    /// Move aside what is there.
    pub force: bool,
}

/// What was put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// What the backup says of itself.
    pub manifest: Manifest,
    /// What was moved aside, and where it is now.
    pub aside: Vec<(PathBuf, PathBuf)>,
}

/// Why a backup was not put back. Nothing was changed, except where a move failed.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Something is there already.
    #[error("{} is there already; --force moves it aside and says where to", .0.display())]
    Occupied(PathBuf),
    /// A gateway runs on it.
    #[error("{} is in use by another process: stop the gateway first", .0.display())]
    InUse(PathBuf),
    /// It is not what was written.
    #[error("this is not a whole backup: {0}")]
    Damaged(String),
    /// It was made by a later version.
    #[error(
        "this backup has the format {0}, and this version reads formats up to {FORMAT}: use the version that made it"
    )]
    Later(u32),
    /// The disk refused.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done, and where.
        doing: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

type Outcome<T> = Result<T, RestoreError>;

fn at(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RestoreError {
    let doing = format!("{doing} {}", path.display());
    move |source| RestoreError::Io { doing, source }
}

fn damaged(reason: impl Into<String>) -> RestoreError {
    RestoreError::Damaged(reason.into())
}

impl Restore {
    /// Checks the backup as a whole and puts it into its place; `tell` is given the bytes of each piece that was read.
    /// Blocks.
    ///
    /// # Errors
    /// [`RestoreError`]; what was there before is there still, or is where the error says.
    pub fn run(&self, backup: &Path, tell: &mut dyn FnMut(u64)) -> Outcome<Restored> {
        self.is_free()?;
        let staging = Staging { store: beside(&self.store, ".restoring"), media: beside(&self.media, ".restoring") };
        staging.clear()?;
        let file = File::open(backup).map_err(at("cannot open", backup))?;
        let manifest = unpack(Told { inner: BufReader::with_capacity(CHUNK, file), tell }, &staging)?;
        let mut aside = Vec::new();
        let stamp = Timestamp::now().to_string().replace([':', '-'], "");
        let stamp = stamp.split('.').next().unwrap_or(&stamp).to_owned();
        let places = [
            (manifest.store.is_some(), &staging.store, &self.store),
            (manifest.media.is_some(), &staging.media, &self.media),
        ];
        for (_, staged, place) in places.into_iter().filter(|(is_in, ..)| *is_in) {
            if is_occupied(place) {
                let old = beside(place, &format!(".before-{stamp}Z"));
                fs::rename(place, &old).map_err(at("cannot move aside", place))?;
                aside.push((place.clone(), old));
            } else if place.is_dir() {
                // What a gateway makes when it starts and finds nothing.
                fs::remove_dir_all(place).map_err(at("cannot replace", place))?;
            }
            fs::rename(staged, place).map_err(at("cannot put a restored part into", place))?;
            let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(at("cannot flush", folder))?;
        }
        Ok(Restored { manifest, aside })
    }

    /// Whether nothing is in the way, and nobody works there.
    fn is_free(&self) -> Outcome<()> {
        if let Ok(file) = File::open(&self.store)
            && matches!(file.try_lock(), Err(TryLockError::WouldBlock))
        {
            return Err(RestoreError::InUse(self.store.clone()));
        }
        let occupied = [&self.store, &self.media].into_iter().find(|place| is_occupied(place));
        match occupied.filter(|_| !self.force) {
            Some(place) => Err(RestoreError::Occupied(place.clone())),
            None => Ok(()),
        }
    }
}

/// A file that is there, or a folder with a file somewhere in it.
fn is_occupied(place: &Path) -> bool {
    if !place.is_dir() {
        return place.exists();
    }
    fs::read_dir(place)
        .is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|entry| is_occupied(&entry.path()))))
}

/// The path with something after its name.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Where things are unpacked. What is left there is removed.
struct Staging {
    store: PathBuf,
    media: PathBuf,
}

impl Staging {
    fn clear(&self) -> Outcome<()> {
        let gone = |removed: io::Result<()>| match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        gone(fs::remove_file(&self.store)).map_err(at("cannot remove", &self.store))?;
        gone(fs::remove_dir_all(&self.media)).map_err(at("cannot remove", &self.media))
    }

    /// Where a member goes; none: it is none of a backup's.
    fn place(&self, name: &Path) -> Option<PathBuf> {
        if name == Path::new(STORE) {
            return Some(self.store.clone());
        }
        let below = name.strip_prefix(MEDIA).ok()?;
        let plain = below.components().all(|part| matches!(part, Component::Normal(_)));
        (plain && below.components().next().is_some()).then(|| self.media.join(below))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            tracing::warn!(%error, "what was unpacked could not be removed");
        }
    }
}

/// Unpacks everything into the staging folders and checks it.
fn unpack(from: impl Read, staging: &Staging) -> Outcome<Manifest> {
    let folder = staging.store.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_folder(folder)?;
    let own = tempfile::tempfile_in(folder).map_err(at("cannot write into", folder))?;
    let mut unpacker = Unpacker { staging, own: BufWriter::new(own), found: Found::default() };
    let mut archive = tar::Archive::new(from);
    let broken = |error: io::Error| damaged(format!("it cannot be read as a tar file ({error})"));
    let mut manifest: Option<Manifest> = None;
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = entry.path().map_err(broken)?.into_owned();
        if manifest.is_some() {
            return Err(damaged(format!("there is something behind its {MANIFEST}: {}", name.display())));
        }
        if !entry.header().entry_type().is_file() {
            return Err(damaged(format!("{} is no plain file", name.display())));
        }
        if name == Path::new(MANIFEST) {
            let mut text = Vec::new();
            entry.by_ref().take(LARGEST_MANIFEST).read_to_end(&mut text).map_err(broken)?;
            let read = serde_json::from_slice(&text);
            manifest = Some(read.map_err(|error| damaged(format!("its {MANIFEST} cannot be read ({error})")))?);
        } else if name == Path::new(SUMS) {
            unpacker.compare(entry)?;
        } else {
            unpacker.member(&name, entry)?;
        }
    }
    let manifest = manifest.ok_or_else(|| damaged(format!("it ends too early, without its {MANIFEST}")))?;
    unpacker.found.check(&manifest)?;
    if manifest.media.is_some() {
        make_folder(&staging.media)?;
    }
    if manifest.store.is_some() {
        let found = EmbeddedStore::check(&staging.store).map_err(|error| damaged(format!("its store: {error}")))?;
        if let Some(problem) = found.problems.first() {
            return Err(damaged(format!("its store is not whole: {problem}")));
        }
    }
    Ok(manifest)
}

/// What was in the archive.
#[derive(Debug, Default)]
struct Found {
    store: bool,
    media: Media,
    /// SHA-256 of the list of hashes, once it was there and was right.
    sums: Option<String>,
}

impl Found {
    fn check(&self, manifest: &Manifest) -> Outcome<()> {
        if manifest.format > FORMAT {
            return Err(RestoreError::Later(manifest.format));
        }
        if self.sums.as_ref() != Some(&manifest.sums) {
            return Err(damaged(format!("its {SUMS} is not the one that its {MANIFEST} names")));
        }
        if self.store != manifest.store.is_some() || self.media != manifest.media.unwrap_or_default() {
            return Err(damaged(format!("it does not hold what its {MANIFEST} says")));
        }
        Ok(())
    }
}

struct Unpacker<'a> {
    staging: &'a Staging,
    /// The hashes that were found, in the form of the list.
    own: BufWriter<File>,
    found: Found,
}

impl Unpacker<'_> {
    fn member(&mut self, name: &Path, mut entry: impl Read) -> Outcome<()> {
        if self.found.sums.is_some() {
            return Err(damaged(format!("{} comes behind its {SUMS}", name.display())));
        }
        let strange = || damaged(format!("{} is no part of a backup", name.display()));
        let place = self.staging.place(name).ok_or_else(strange)?;
        if let Some(folder) = place.parent() {
            make_folder(folder)?;
        }
        let mut file = private(&place).map_err(at("cannot write", &place))?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; CHUNK];
        let mut bytes = 0;
        loop {
            let read = entry.read(&mut buffer).map_err(|error| damaged(format!("{}: {error}", name.display())))?;
            let piece = buffer.get(..read).unwrap_or_default();
            if piece.is_empty() {
                break;
            }
            hash.update(piece);
            bytes += piece.len() as u64;
            file.write_all(piece).map_err(at("cannot write", &place))?;
        }
        file.sync_all().map_err(at("cannot write", &place))?;
        if place == self.staging.store {
            self.found.store = true;
        } else {
            self.found.media.files += 1;
            self.found.media.bytes += bytes;
        }
        let line = sum_line(&name.to_string_lossy(), &hash.finalize());
        self.own.write_all(line.as_bytes()).map_err(at("cannot write beside", &self.staging.store))
    }

    /// Holds the list of hashes against what was found.
    fn compare(&mut self, list: impl Read) -> Outcome<()> {
        let failed = || at("cannot read beside", &self.staging.store);
        self.own.flush().map_err(failed())?;
        let own = self.own.get_mut();
        own.rewind().map_err(failed())?;
        let mut found = BufReader::new(own).lines();
        let mut hash = Sha256::new();
        for line in BufReader::new(list).lines() {
            let line = line.map_err(|error| damaged(format!("{SUMS}: {error}")))?;
            hash.update(line.as_bytes());
            hash.update(b"\n");
            let own = found.next().transpose().map_err(failed())?;
            if own.as_deref() != Some(line.as_str()) {
                let name = own.as_deref().or(Some(line.as_str())).and_then(|line| line.split_once("  "));
                let name = name.map_or(SUMS, |(_, name)| name);
                return Err(damaged(format!(
                    "{name} is not what was written there (its SHA-256 differs, or it is missing)"
                )));
            }
        }
        if let Some(more) = found.next() {
            let more = more.map_err(failed())?;
            return Err(damaged(format!("its {SUMS} does not name {}", more.split("  ").last().unwrap_or_default())));
        }
        self.found.sums = Some(hex::encode(hash.finalize()));
        Ok(())
    }
}

/// A new file that only its owner may read.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes a folder, for this user only.
fn make_folder(folder: &Path) -> Outcome<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(at("cannot make the folder", folder))
}

/// Tells how much was read.
struct Told<'a, R> {
    inner: R,
    tell: &'a mut dyn FnMut(u64),
}

impl<R: Read> Read for Told<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        (self.tell)(read as u64);
        Ok(read)
    }
}
