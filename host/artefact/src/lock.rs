//! What was pulled: `patchbay.lock`, which keeps a tag from meaning something else tomorrow.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::files::{self, parse};
use crate::source::Reference;

/// The file's usual name.
pub const FILE: &str = "patchbay.lock";
/// The version of its form.
const VERSION: u32 = 1;
/// How it begins.
const HEADING: &str =
    "# What was pulled from registries. `patchbay plugin pull` writes it; keep it with the configuration.\n";

/// The lock file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    version: u32,
    /// By their references.
    #[serde(default, rename = "source")]
    entries: Vec<Entry>,
}

/// One reference and what it led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// As it was written, without `oci:`.
    pub reference: Reference,
    /// The digest of the image's manifest: what `HOST/REPOSITORY@sha256:…` means.
    pub digest: Digest,
    /// The digest of the component's bytes.
    pub component: Digest,
    /// The component's bytes.
    pub size: u64,
    /// When it was pulled.
    pub pulled_at: Timestamp,
    /// The full id of the key that signed it, where that was checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
}

/// What a pull means for the lock file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// The reference was not in it.
    New,
    /// It led to the same.
    Same,
}

/// Why the lock file stops a pull, or cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// A tag leads elsewhere than before.
    #[error(
        "oci:{reference} was {} when it was pulled last ({when}), and is {} now: somebody has moved the tag. Ask the vendor whether \
         that is theirs; then: patchbay plugin pull oci:{reference} --update",
        was.short(), is.short()
    )]
    Moved {
        /// Which.
        reference: Box<Reference>,
        /// The digest of the manifest then.
        was: Digest,
        /// And now.
        is: Digest,
        /// When it was pulled last.
        when: Timestamp,
    },
    /// The file is not as it should be.
    #[error("{}: {problem}. Repair it, or move it away and pull again", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The file cannot be read or written.
    #[error("{}: {error}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

impl Default for Lock {
    fn default() -> Self {
        Self { version: VERSION, entries: Vec::new() }
    }
}

impl Lock {
    /// Reads a lock file; an empty one when it is not there.
    ///
    /// # Errors
    /// When it cannot be read, or is damaged.
    pub fn read(file: &Path) -> Result<Self, LockError> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(LockError::File { file: file.to_owned(), error }),
        };
        let damaged = |problem| LockError::Damaged { file: file.to_owned(), problem };
        let lock: Self = parse(&text).map_err(damaged)?;
        if lock.version != VERSION {
            let problem = format!("version {} of the lock file is unknown here, which knows {VERSION}", lock.version);
            return Err(damaged(problem));
        }
        Ok(lock)
    }

    /// What is known of a reference.
    #[must_use]
    pub fn get(&self, reference: &Reference) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.reference == *reference)
    }

    /// Whether a reference may lead to this manifest.
    ///
    /// # Errors
    /// When it led elsewhere before.
    pub fn check(&self, reference: &Reference, digest: &Digest) -> Result<Known, LockError> {
        match self.get(reference) {
            None => Ok(Known::New),
            Some(entry) if entry.digest == *digest => Ok(Known::Same),
            Some(entry) => Err(LockError::Moved {
                reference: Box::new(reference.clone()),
                was: entry.digest,
                is: *digest,
                when: entry.pulled_at,
            }),
        }
    }

    /// Takes an entry in, in the place of the one of the same reference.
    pub fn put(&mut self, entry: Entry) {
        self.entries.retain(|other| other.reference != entry.reference);
        self.entries.push(entry);
        self.entries.sort_by(|one, other| one.reference.cmp(&other.reference));
    }

    /// Takes one entry into a file, after whoever is doing the same.
    ///
    /// # Errors
    /// When it cannot be read or written, or is damaged.
    pub fn remember(file: &Path, entry: Entry) -> Result<(), LockError> {
        let failed = |error| LockError::File { file: file.to_owned(), error };
        // The file itself is another one after each writing; its folder stays.
        let folder = std::fs::File::open(files::folder_of(file)).map_err(failed)?;
        folder.lock().map_err(failed)?;
        let mut lock = Self::read(file)?;
        lock.put(entry);
        lock.write(file)
    }

    /// Writes it: all of it or nothing.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, file: &Path) -> Result<(), LockError> {
        let failed = |error| LockError::File { file: file.to_owned(), error };
        let text = toml::to_string(self).map_err(|error| failed(std::io::Error::other(error)))?;
        files::write(file, format!("{HEADING}{text}").as_bytes()).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(reference: &str, content: &[u8]) -> Entry {
        Entry {
            reference: reference.parse().unwrap(),
            digest: Digest::of(content),
            component: Digest::of(b"component"),
            size: 9,
            pulled_at: "2026-01-31T12:00:00Z".parse().unwrap(),
            signed_by: None,
        }
    }

    #[test]
    fn a_tag_that_moved_is_refused_with_the_command() {
        let mut lock = Lock::default();
        let first = entry("ghcr.io/acme/router:1", b"one");
        assert_eq!(lock.check(&first.reference, &first.digest).unwrap(), Known::New);
        lock.put(first.clone());
        assert_eq!(lock.check(&first.reference, &first.digest).unwrap(), Known::Same);
        let said = lock.check(&first.reference, &Digest::of(b"two")).unwrap_err().to_string();
        for part in [
            "was sha256:7692c3ad3540",
            "is sha256:3fc4ccfe7458",
            "(2026-01-31T12:00:00Z)",
            "patchbay plugin pull oci:ghcr.io/acme/router:1 --update",
        ] {
            assert!(said.contains(part), "{said}");
        }
        lock.put(entry("ghcr.io/acme/router:1", b"two"));
        assert_eq!(lock.entries.len(), 1);
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        assert_eq!(Lock::read(&file).unwrap(), Lock::default());
        let mut lock = Lock::default();
        lock.put(entry("ghcr.io/acme/router:2", b"two"));
        lock.put(Entry { signed_by: Some("ab".into()), ..entry("ghcr.io/acme/router:1", b"one") });
        lock.write(&file).unwrap();
        assert_eq!(Lock::read(&file).unwrap(), lock);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("# What was pulled") && text.find("router:1") < text.find("router:2"), "{text}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn those_who_remember_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        std::thread::scope(|scope| {
            for number in 0..16 {
                let entry = entry(&format!("ghcr.io/acme/router:{number}"), b"one");
                let file = &file;
                scope.spawn(move || Lock::remember(file, entry).unwrap());
            }
        });
        assert_eq!(Lock::read(&file).unwrap().entries.len(), 16);
    }

    #[test]
    fn a_damaged_one_is_no_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        for (text, what) in [
            ("version = 2\n", "version 2"),
            ("version = 1\n[[source]]\nreference = \"ghcr.io/a:1\"\ndigest = \"sha256:1\"\n", "line 4"),
            ("version", "line 1"),
        ] {
            std::fs::write(&file, text).unwrap();
            let said = Lock::read(&file).unwrap_err().to_string();
            assert!(said.contains(what) && said.contains("pull again"), "{said}");
        }
    }
}
