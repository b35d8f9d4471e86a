use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use patchbay_store::embedded::EmbeddedOptions;
use patchbay_store::{EmbeddedStore, Store};
use tempfile::TempDir;

use super::*;

/// A folder with a store, two finished files and one that is not.
struct House {
    folder: TempDir,
    store: Arc<dyn Store>,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let media = folder.path().join("media");
        for (name, text) in
            [("sha256/ab/abc", "the first photo"), ("sha256/cd/cde", "the other one"), ("incoming/0", "half")]
        {
            let path = media.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let store = EmbeddedStore::open(&folder.path().join("live.redb"), EmbeddedOptions::default()).unwrap();
        Self { folder, store: Arc::new(store) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn backup(&self, media: bool) -> Vec<u8> {
        let contents = Contents {
            store: Some(Arc::clone(&self.store)),
            media: media.then(|| self.path("media")),
            scratch: self.path("scratch"),
        };
        let mut out = Vec::new();
        prepare(contents).await.unwrap().write(&mut out, |_| ()).unwrap();
        assert_eq!(fs::read_dir(self.path("scratch")).unwrap().count(), 0, "nothing is left behind");
        out
    }

    fn restore(&self, backup: &[u8], force: bool) -> Result<Restored, RestoreError> {
        fs::write(self.path("backup.tar"), backup).unwrap();
        self.target(force).run(&self.path("backup.tar"), &mut |_| ())
    }

    fn target(&self, force: bool) -> Restore {
        Restore { store: self.path("new/store.redb"), media: self.path("new/media"), force }
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn what_was_backed_up_is_there_again() {
    let house = House::new();
    let restored = house.restore(&house.backup(true).await, false).unwrap();
    assert_eq!(restored.manifest.media, Some(Media { files: 2, bytes: 28 }));
    assert_eq!(restored.aside, []);
    assert_eq!(text(&house.path("new/media/sha256/ab/abc")), "the first photo");
    assert!(!house.path("new/media/incoming").exists());
    let store = EmbeddedStore::open(&house.path("new/store.redb"), EmbeddedOptions::default()).unwrap();
    assert_eq!(store.partitions(), house.store.partitions());
    let left = fs::read_dir(house.path("new")).unwrap().count();
    assert_eq!(left, 2, "nothing else is left there");
}

#[tokio::test]
async fn files_can_be_left_out() {
    let house = House::new();
    let restored = house.restore(&house.backup(false).await, false).unwrap();
    assert_eq!(restored.manifest.media, None);
    assert!(house.path("new/store.redb").exists() && !house.path("new/media").exists());
}

#[tokio::test]
async fn what_is_there_is_moved_aside_only_when_told_to() {
    let house = House::new();
    let backup = house.backup(true).await;
    house.restore(&backup, false).unwrap();
    fs::write(house.path("new/media/sha256/ab/abc"), "newer").unwrap();
    assert!(matches!(house.restore(&backup, false), Err(RestoreError::Occupied(_))));
    let restored = house.restore(&backup, true).unwrap();
    assert_eq!(restored.aside.len(), 2);
    let (from, to) = &restored.aside[1];
    assert_eq!(from, &house.path("new/media"));
    assert_eq!(text(&to.join("sha256/ab/abc")), "newer");
    assert_eq!(text(&from.join("sha256/ab/abc")), "the first photo");
}

#[tokio::test]
async fn a_store_in_use_is_left_alone() {
    let house = House::new();
    let backup = house.backup(true).await;
    house.restore(&backup, false).unwrap();
    let _open = EmbeddedStore::open(&house.path("new/store.redb"), EmbeddedOptions::default()).unwrap();
    assert!(matches!(house.restore(&backup, true), Err(RestoreError::InUse(_))));
}

#[tokio::test]
async fn a_damaged_backup_changes_nothing() {
    let house = House::new();
    let backup = house.backup(true).await;
    let refused = |backup: &[u8]| {
        let error = house.restore(backup, true).unwrap_err();
        assert!(!house.path("new/store.redb").exists() && !house.path("new/media").exists());
        let left = fs::read_dir(house.path("new")).unwrap().count();
        assert_eq!(left, 0, "nothing is left behind");
        error.to_string()
    };
    let place = |needle: &[u8]| backup.windows(needle.len()).position(|window| window == needle).unwrap();
    let mut flipped = backup.clone();
    flipped[place(b"the first photo")] = b'T';
    let said = refused(&flipped);
    assert!(said.contains("media/sha256/ab/abc is not what was written there"), "{said}");
    let said = refused(&backup[..place(b"SHA256SUMS")]);
    assert!(said.contains("it ends too early"), "{said}");
    // A tar file's last two blocks are empty; the manifest is before them.
    let said = refused(&backup[..backup.len() / 2]);
    assert!(said.contains("not a whole backup"), "{said}");
    let mut sums = backup.clone();
    let hash = place(b"\"sums\": \"") + 9;
    sums[hash] = if sums[hash] == b'0' { b'1' } else { b'0' };
    let said = refused(&sums);
    assert!(said.contains("its SHA256SUMS is not the one"), "{said}");
}

#[test]
fn a_member_cannot_leave_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o600);
    // The safe way of the crate refuses such a name; a wicked archive does not.
    let name = b"media/../../evil";
    header.as_mut_bytes()[..name.len()].copy_from_slice(name);
    header.set_cksum();
    archive.append(&header, b"evil".as_slice()).unwrap();
    let backup = folder.path().join("backup.tar");
    fs::write(&backup, archive.into_inner().unwrap()).unwrap();
    let restore = Restore { store: folder.path().join("a/store"), media: folder.path().join("a/media"), force: false };
    let said = restore.run(&backup, &mut |_| ()).unwrap_err().to_string();
    assert!(said.contains("is no part of a backup"), "{said}");
    assert!(!folder.path().join("evil").exists());
}
