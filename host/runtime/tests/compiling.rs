//! Compiled code on disk: what is kept, and what is not taken.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use common::*;
use patchbay_runtime::{Compiler, Engine, EngineError, EngineOptions, LoadError};
use tempfile::TempDir;

fn engine_on(folder: &Path) -> Engine {
    engine_with(|options| {
        options.cache_dir = Some(folder.join("compiled"));
        options.concurrent_calls = 4;
    })
}

/// Compiled files, in no order.
fn artefacts(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder.join("compiled")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn only(folder: &Path) -> PathBuf {
    let found = artefacts(folder);
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap()
}

/// Which file it is: a new one may get the place on the disk of the one before it.
fn made(path: &Path) -> (u64, i64, i64) {
    let metadata = fs::symlink_metadata(path).unwrap();
    (metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

/// A folder in which the handler is compiled.
async fn compiled() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    assert_well(&handler(&engine_on(folder.path())).await).await;
    let file = only(folder.path());
    (folder, file)
}

#[tokio::test]
async fn what_is_kept_is_private_and_used_again() {
    let (folder, file) = compiled().await;
    let name = file.file_name().unwrap().to_str().unwrap();
    let (digest, rest) = name.split_once('-').unwrap();
    assert!(digest.len() == 64 && rest.len() == 64 + ".cwasm".len(), "{name}");
    assert_eq!((mode(&file), mode(&folder.path().join("compiled"))), (0o400, 0o700));
    let key = folder.path().join("compiled.key");
    assert_eq!((mode(&key), fs::metadata(&key).unwrap().len()), (0o600, 32));

    let before = made(&file);
    assert_well(&handler(&engine_on(folder.path())).await).await;
    assert_eq!(made(&only(folder.path())), before, "it was compiled again");
}

#[tokio::test]
async fn what_was_changed_is_compiled_again() {
    type Spoil = fn(&Path);
    let changes: [(&str, Spoil); 6] = [
        ("a bit in the code", |file| change(file, |bytes| bytes[10_000] ^= 1)),
        ("a bit in the tag", |file| {
            change(file, |bytes| *bytes.last_mut().unwrap() ^= 1);
        }),
        ("cut off", |file| change(file, |bytes| bytes.truncate(bytes.len() / 2))),
        ("nothing left", |file| change(file, Vec::clear)),
        ("writable", |file| fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap()),
        ("a link to it", |file| {
            let aside = file.with_extension("aside");
            fs::rename(file, &aside).unwrap();
            std::os::unix::fs::symlink(&aside, file).unwrap();
        }),
    ];
    for (what, spoil) in changes {
        let (folder, file) = compiled().await;
        spoil(&file);
        let before = made(&file);
        assert_well(&handler(&engine_on(folder.path())).await).await;
        let after = fs::symlink_metadata(&file).unwrap();
        assert!(after.is_file() && after.mode() & 0o777 == 0o400, "{what}");
        assert_ne!(made(&file), before, "{what}");
    }
}

fn change(file: &Path, spoil: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    spoil(&mut bytes);
    fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
    fs::write(file, bytes).unwrap();
    fs::set_permissions(file, Permissions::from_mode(0o400)).unwrap();
}

#[tokio::test]
async fn what_another_host_compiled_is_not_taken() {
    let (theirs, file) = compiled().await;
    let ours = tempfile::tempdir().unwrap();
    drop(engine_on(ours.path()));
    let copy = ours.path().join("compiled").join(file.file_name().unwrap());
    fs::copy(&file, &copy).unwrap();
    let before = made(&copy);
    assert_well(&handler(&engine_on(ours.path())).await).await;
    assert_ne!(made(&only(ours.path())), before);
    // With the key that goes with it, it would have been.
    fs::copy(theirs.path().join("compiled.key"), ours.path().join("compiled.key")).unwrap();
    fs::remove_file(&copy).unwrap();
    fs::copy(&file, &copy).unwrap();
    let before = made(&copy);
    assert_well(&handler(&engine_on(ours.path())).await).await;
    assert_eq!(made(&only(ours.path())), before);
}

#[tokio::test]
async fn one_of_ours_under_another_name_is_not_taken() {
    let (folder, file) = compiled().await;
    // The name of a component that is not there yet: the same code would be run as somebody else's.
    let mut other = spec("triage", "handler");
    let mut bytes = other.component.to_vec();
    bytes.extend_from_slice(&[0, 2, 1, b'x']);
    other.component = bytes.into();
    let engine = engine_on(folder.path());
    engine.load(other.clone()).await.unwrap();
    let second = artefacts(folder.path()).into_iter().find(|path| *path != file).unwrap();
    fs::remove_file(&second).unwrap();
    fs::hard_link(&file, &second).unwrap();
    engine.load(other).await.unwrap();
    assert_ne!(fs::metadata(&second).unwrap().ino(), fs::metadata(&file).unwrap().ino());
}

#[tokio::test]
async fn code_for_another_engine_is_left_alone() {
    let (folder, file) = compiled().await;
    let name = file.file_name().unwrap().to_str().unwrap().to_owned();
    let other = file.with_file_name(format!("{}-{}.cwasm", &name[..64], "0".repeat(64)));
    fs::rename(&file, &other).unwrap();
    assert_well(&handler(&engine_on(folder.path())).await).await;
    assert!(other.exists() && file.exists(), "a rollback of the gateway finds its own");
}

#[tokio::test]
async fn what_nothing_uses_is_removed_at_start() {
    let (folder, file) = compiled().await;
    let compiled = folder.path().join("compiled");
    let days = |days: u64| std::time::SystemTime::now() - std::time::Duration::from_secs(days * 24 * 60 * 60);
    let make = |name: &str, age: u64| {
        let path = compiled.join(name);
        fs::write(&path, b"x").unwrap();
        fs::File::open(&path).unwrap().set_modified(days(age)).unwrap();
        path
    };
    let (old, draft, young) = (make("a-b.cwasm", 31), make(".draft-1", 1), make("c-d.cwasm", 29));
    // Old, and used: the time of use counts.
    fs::File::open(&file).unwrap().set_modified(days(20)).unwrap();
    assert_well(&handler(&engine_on(folder.path())).await).await;
    assert!(!old.exists() && !draft.exists() && young.exists() && file.exists());
    assert!(fs::metadata(&file).unwrap().modified().unwrap() > days(1), "its use was not noted");
}

#[tokio::test]
async fn a_key_that_others_can_read_is_replaced() {
    let (folder, file) = compiled().await;
    let key = folder.path().join("compiled.key");
    let before = (fs::read(&key).unwrap(), made(&file));
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    assert_well(&handler(&engine_on(folder.path())).await).await;
    assert_eq!(mode(&key), 0o600);
    assert_ne!(fs::read(&key).unwrap(), before.0);
    assert_ne!(made(&only(folder.path())), before.1);
}

#[tokio::test]
async fn a_folder_of_somebody_else_is_refused() {
    let (folder, file) = compiled().await;
    let compiled = folder.path().join("compiled");
    if rustix::process::geteuid().is_root() {
        chown(&file, Some(65_534), None).unwrap();
        assert_well(&handler(&engine_on(folder.path())).await).await;
        assert_eq!(fs::metadata(&file).unwrap().uid(), 0);
        chown(&compiled, Some(65_534), None).unwrap();
        let options = EngineOptions { cache_dir: Some(compiled.clone()), ..EngineOptions::default() };
        let Err(EngineError::Folder(why)) = Engine::new(options) else { panic!("a foreign folder was taken") };
        assert!(why.contains("belongs to user 65534") && why.contains("chown"), "{why}");
        chown(&compiled, Some(0), None).unwrap();
    }
    // Open to others, and ours: it is closed.
    fs::set_permissions(&compiled, Permissions::from_mode(0o777)).unwrap();
    drop(engine_on(folder.path()));
    assert_eq!(mode(&compiled), 0o700);
    // A file in the folder's place.
    fs::remove_dir_all(&compiled).unwrap();
    fs::write(&compiled, b"").unwrap();
    let options = EngineOptions { cache_dir: Some(compiled), ..EngineOptions::default() };
    assert!(matches!(Engine::new(options), Err(EngineError::Folder(_))));
}

#[tokio::test]
async fn compiled_code_is_never_taken_from_outside() {
    let (folder, file) = compiled().await;
    let mut foreign = spec("triage", "handler");
    foreign.component = fs::read(&file).unwrap().into();
    let error = engine_on(folder.path()).load(foreign).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, LoadError::NoComponent { .. }), "{text}");
    assert!(text.contains("compiled already") && text.contains(".wasm"), "{text}");
}

#[tokio::test]
async fn many_loads_of_the_same_and_of_others_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine_on(folder.path());
    let loads = (0..12).map(|number| {
        let engine = engine.clone();
        let mut spec = spec("triage", "handler");
        let mut bytes = spec.component.to_vec();
        // Three components that differ in a section that nobody reads.
        bytes.extend_from_slice(&[0, 2, 1, b'a' + number % 3]);
        spec.component = bytes.into();
        async move { engine.load(spec).await.unwrap() }
    });
    for plugin in futures::future::join_all(loads).await {
        assert_well(&plugin).await;
    }
    assert_eq!(artefacts(folder.path()).len(), 3);
}

#[tokio::test]
async fn a_compiler_of_its_own_needs_a_folder() {
    let compiler = Compiler::Process { program: "patchbay".into(), args: Vec::new() };
    let error = Engine::new(EngineOptions { compiler, ..EngineOptions::default() }).unwrap_err();
    assert!(matches!(error, EngineError::Folder(_)), "{error}");
}
