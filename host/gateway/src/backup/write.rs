//! Making a backup.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::Stream;
use patchbay_model::Timestamp;
use patchbay_store::{Stats, Store, StoreError};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::{FORMAT, MANIFEST, MEDIA, Manifest, Media, STORE, SUMS, sum_line};

/// Bytes that are handed on at once.
const CHUNK: usize = 256 * 1024;
/// Chunks that may wait for a slow reader.
const CHUNKS_WAITING: usize = 8;
/// The folder of files that are still on their way in.
const UNFINISHED: &str = "incoming";
/// Members are for their owner only: they hold what customers wrote.
const MODE: u32 = 0o600;

/// What a backup is to hold.
#[derive(Clone, Debug)]
pub struct Contents {
    /// The store.
    pub store: Option<Arc<dyn Store>>,
    /// The folder with customers' files.
    pub media: Option<PathBuf>,
    /// A folder for the copy of the store while it is packed. It is made where it is missing.
    pub scratch: PathBuf,
}

/// A backup whose store has been copied: the rest can be written at any speed.
#[derive(Debug)]
pub struct Prepared {
    created_at: Timestamp,
    store: Option<Stats>,
    media: Option<PathBuf>,
    scratch: TempDir,
}

/// Copies the store as of now.
///
/// # Errors
/// [`StoreError::Unsuitable`]: this store has backups of its own. [`StoreError::Unavailable`]: it cannot be read, or the
/// copy cannot be written.
pub async fn prepare(contents: Contents) -> Result<Prepared, StoreError> {
    let created_at = Timestamp::now();
    let made = fs::create_dir_all(&contents.scratch)
        .and_then(|()| tempfile::Builder::new().prefix("backup-").tempdir_in(&contents.scratch));
    let scratch = made.map_err(|error| {
        StoreError::Unavailable(format!("no room for the copy in {}: {error}", contents.scratch.display()))
    })?;
    let mut stats = None;
    if let Some(store) = &contents.store {
        stats = Some(store.stats().await?);
        store.backup(&scratch.path().join(STORE)).await?;
    }
    Ok(Prepared { created_at, store: stats, media: contents.media, scratch })
}

impl Prepared {
    /// Writes the whole backup; `tell` is given the bytes of each piece. Blocks.
    ///
    /// # Errors
    /// When something cannot be read or written; what was written then is no backup.
    pub fn write(self, out: impl Write, mut tell: impl FnMut(u64)) -> io::Result<Manifest> {
        let mut packer = Packer {
            tar: tar::Builder::new(out),
            sums: BufWriter::new(tempfile::tempfile_in(self.scratch.path())?),
            time: self.created_at.as_millis() / 1000,
            tell: &mut tell,
        };
        if self.store.is_some() {
            packer.file(STORE, &self.scratch.path().join(STORE))?;
        }
        let media = self.media.as_deref().map(|folder| packer.folder(folder)).transpose()?;
        let (mut tar, sums) = packer.sums()?;
        let manifest = Manifest {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            created_at: self.created_at.to_string(),
            store: self.store,
            media,
            sums,
        };
        let mut text = serde_json::to_vec_pretty(&manifest)?;
        text.push(b'\n');
        let mut header = header(text.len() as u64, self.created_at.as_millis() / 1000);
        tar.append_data(&mut header, MANIFEST, text.as_slice())?;
        tar.into_inner()?.flush()?;
        Ok(manifest)
    }

    /// The whole backup as it is written. It ends with an error where the backup could not be finished.
    pub fn stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let (sender, mut receiver) = mpsc::channel(CHUNKS_WAITING);
        tokio::task::spawn_blocking(move || {
            let out = BufWriter::with_capacity(CHUNK, Pieces(sender.clone()));
            match self.write(out, |_| ()) {
                Ok(manifest) => tracing::info!(media = ?manifest.media, "a backup was written"),
                Err(error) => {
                    tracing::error!(%error, "a backup could not be finished");
                    // A reader that has gone away knows.
                    let _gone = sender.blocking_send(Err(error));
                }
            }
        });
        futures::stream::poll_fn(move |context| receiver.poll_recv(context))
    }
}

/// Hands on what is written to it.
struct Pieces(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pieces {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(piece)));
        sent.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the reader has gone away"))?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A backup on its way.
struct Packer<'a, W: Write> {
    tar: tar::Builder<W>,
    sums: BufWriter<File>,
    time: u64,
    tell: &'a mut dyn FnMut(u64),
}

impl<W: Write> Packer<'_, W> {
    /// Every file below the folder, in the order of the names, so that equal folders give equal backups.
    fn folder(&mut self, folder: &Path) -> io::Result<Media> {
        let mut media = Media::default();
        let mut waiting = vec![PathBuf::new()];
        while let Some(below) = waiting.pop() {
            let path = folder.join(&below);
            if path.is_dir() {
                let names = fs::read_dir(&path)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>();
                let mut names = names?;
                if below.as_os_str().is_empty() {
                    names.retain(|name| name != UNFINISHED);
                }
                names.sort_by(|one, other| other.cmp(one));
                waiting.extend(names.into_iter().map(|name| below.join(name)));
                continue;
            }
            match self.file(&format!("{MEDIA}{}", below.display()), &path) {
                Ok(bytes) => media = Media { files: media.files + 1, bytes: media.bytes + bytes },
                // Removed since the folder was read: its time was over.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(media)
    }

    fn file(&mut self, name: &str, path: &Path) -> io::Result<u64> {
        let failed = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let mut counted = Counted {
            inner: BufReader::with_capacity(CHUNK, file).take(size),
            hash: Sha256::new(),
            bytes: 0,
            tell: self.tell,
        };
        self.tar.append_data(&mut header(size, self.time), name, &mut counted).map_err(failed)?;
        let (bytes, sha256) = (counted.bytes, counted.hash.finalize());
        if bytes != size {
            return Err(io::Error::other(format!("{} became shorter while it was read", path.display())));
        }
        self.sums.write_all(sum_line(name, &sha256).as_bytes())?;
        Ok(size)
    }

    /// Adds the hashes; gives the archive and the hash of the hashes.
    fn sums(self) -> io::Result<(tar::Builder<W>, String)> {
        let Self { mut tar, sums, time, tell } = self;
        let mut sums = sums.into_inner().map_err(io::IntoInnerError::into_error)?;
        let size = sums.stream_position()?;
        sums.rewind()?;
        let mut counted = Counted { inner: sums, hash: Sha256::new(), bytes: 0, tell };
        tar.append_data(&mut header(size, time), SUMS, &mut counted)?;
        Ok((tar, hex::encode(counted.hash.finalize())))
    }
}

fn header(size: u64, time: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(MODE);
    header.set_mtime(time);
    header
}

/// Hashes and counts what is read.
struct Counted<'a, R> {
    inner: R,
    hash: Sha256,
    bytes: u64,
    tell: &'a mut dyn FnMut(u64),
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..read).unwrap_or_default());
        self.bytes += read as u64;
        (self.tell)(read as u64);
        Ok(read)
    }
}
