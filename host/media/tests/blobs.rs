//! Blobs are whole, verified and kept once, whatever the source, the disk or a crash does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::path::Path;

use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use patchbay_media::{BlobError, Blobs};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const NO_LIMIT: u64 = u64::MAX;

fn open() -> (TempDir, Blobs) {
    let dir = TempDir::new().unwrap();
    let blobs = Blobs::open(&dir.path().join("media")).unwrap();
    (dir, blobs)
}

/// Bytes that repeat with no power of two, so that a misplaced chunk shows.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

fn chunks(of: &[u8], size: usize) -> impl Stream<Item = Result<Bytes, String>> + Send + use<> {
    let parts: Vec<_> = of.chunks(size).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
    stream::iter(parts)
}

async fn whole(blobs: &Blobs, key: &str) -> Vec<u8> {
    let (size, stream) = blobs.stream(key).await.unwrap();
    let read: Vec<Bytes> = stream.try_collect().await.unwrap();
    let read = read.concat();
    assert_eq!(read.len() as u64, size);
    read
}

/// Every file below `dir`, temporary ones too.
fn files(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    found
}

/// Removing a dropped upload's file happens on another thread.
async fn until_no_files(dir: &Path) {
    while !files(dir).is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_was_put_comes_back() {
    let (_dir, blobs) = open();
    for length in [0, 1, 1000, 256 * 1024, 700_001] {
        let content = bytes(length);
        let stored = blobs.put(chunks(&content, 8 * 1024), NO_LIMIT, None).await.unwrap();
        assert_eq!(stored.key, HEXLOWER.encode(&Sha256::digest(&content)));
        assert_eq!(stored.size, length as u64);
        assert_eq!(blobs.size(&stored.key).await.unwrap(), length as u64);
        assert_eq!(whole(&blobs, &stored.key).await, content);
    }
}

#[tokio::test]
async fn ranges_end_where_the_blob_ends() {
    let (_dir, blobs) = open();
    let content = bytes(1000);
    let key = blobs.put(chunks(&content, 300), NO_LIMIT, None).await.unwrap().key;
    for (offset, length) in [(0, 10), (300, 300), (990, 100), (0, u32::MAX), (5, 0)] {
        let start = usize::try_from(offset).unwrap();
        let end = start.saturating_add(length as usize).min(content.len());
        assert_eq!(blobs.read(&key, offset, length).await.unwrap(), content[start..end], "{offset} {length}");
    }
    for offset in [1000, 1001, u64::MAX] {
        assert!(blobs.read(&key, offset, 10).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn the_same_content_is_kept_once() {
    let (dir, blobs) = open();
    let content = bytes(5000);
    let one = blobs.put(chunks(&content, 100), NO_LIMIT, None).await.unwrap();
    let (_, being_read) = blobs.stream(&one.key).await.unwrap();
    let two = blobs.put(chunks(&content, 4999), NO_LIMIT, None).await.unwrap();
    assert_eq!(one, two);
    assert_eq!(files(dir.path()), [one.key]);
    let read: Vec<Bytes> = being_read.try_collect().await.unwrap();
    assert_eq!(read.concat(), content, "a reader keeps what it has opened");
}

#[tokio::test]
async fn equal_blobs_may_arrive_at_once() {
    let (dir, blobs) = open();
    let content = bytes(600_000);
    let puts = (0..8).map(|_| {
        let (blobs, stream) = (blobs.clone(), chunks(&content, 10_000));
        tokio::spawn(async move { blobs.put(stream, NO_LIMIT, None).await.unwrap().key })
    });
    let keys = futures::future::join_all(puts).await;
    let first = keys[0].as_ref().unwrap();
    assert!(keys.iter().all(|key| key.as_ref().unwrap() == first));
    assert_eq!(files(dir.path()), std::slice::from_ref(first));
    assert_eq!(whole(&blobs, first).await, content);
}

#[tokio::test]
async fn the_announced_digest_is_checked_in_hex_and_base64() {
    let (dir, blobs) = open();
    let content = bytes(100);
    let digest = Sha256::digest(&content);
    for announced in [HEXLOWER.encode(&digest), HEXLOWER.encode(&digest).to_uppercase(), BASE64.encode(&digest)] {
        blobs.put(chunks(&content, 7), NO_LIMIT, Some(&announced)).await.unwrap();
    }

    let other = BASE64.encode(&Sha256::digest(b"another file"));
    let refused = blobs.put(chunks(&bytes(101), 7), NO_LIMIT, Some(&other)).await.unwrap_err();
    let BlobError::Mismatch { found, .. } = &refused else { panic!("{refused}") };
    assert!(matches!(blobs.size(found).await, Err(BlobError::NotFound)));

    let refused = blobs.put(chunks(&content, 7), NO_LIMIT, Some("deadbeef")).await.unwrap_err();
    assert!(matches!(refused, BlobError::UnreadableDigest { .. }), "{refused}");
    assert_eq!(files(dir.path()), [HEXLOWER.encode(&digest)]);
}

#[tokio::test]
async fn a_file_over_the_limit_is_not_read_to_its_end() {
    let (dir, blobs) = open();
    let content = bytes(1000);
    blobs.put(chunks(&content, 10), 1000, None).await.unwrap();

    let endless = stream::repeat_with(|| Ok::<_, String>(Bytes::from_static(&[7; 1000])));
    let refused = blobs.put(endless, 500_000, None).await.unwrap_err();
    assert!(matches!(refused, BlobError::TooLarge { limit: 500_000 }), "{refused}");
    assert_eq!(files(dir.path()).len(), 1);
}

#[tokio::test]
async fn a_stream_that_breaks_off_leaves_nothing() {
    let (dir, blobs) = open();
    let broken = chunks(&bytes(600_000), 1000).chain(stream::iter([Err("connection reset".to_owned())]));
    let failed = blobs.put(broken, NO_LIMIT, None).await.unwrap_err();
    assert!(matches!(&failed, BlobError::Source { reason } if reason == "connection reset"), "{failed}");
    assert!(files(dir.path()).is_empty());
}

#[tokio::test]
async fn a_put_that_is_dropped_leaves_nothing() {
    let (dir, blobs) = open();
    let unfinished = chunks(&bytes(600_000), 1000).chain(stream::pending());
    let put = blobs.put(unfinished, NO_LIMIT, None);
    {
        let mut put = std::pin::pin!(put);
        while files(dir.path()).is_empty() {
            tokio::select! { biased; _ = &mut put => panic!("it has no end"), () = tokio::task::yield_now() => {} }
        }
    }
    until_no_files(dir.path()).await;
}

#[test]
fn opening_removes_what_a_crash_left_and_keeps_the_rest() {
    let dir = TempDir::new().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let blobs = Blobs::open(dir.path()).unwrap();
    let key = runtime.block_on(blobs.put(chunks(&bytes(10), 3), NO_LIMIT, None)).unwrap().key;
    std::fs::write(dir.path().join("incoming").join("12#1"), b"half").unwrap();
    std::fs::write(dir.path().join("incoming").join("11"), b"whole, but not in its place").unwrap();

    let blobs = Blobs::open(dir.path()).unwrap();
    assert_eq!(files(dir.path()), std::slice::from_ref(&key));
    assert_eq!(runtime.block_on(blobs.read(&key, 0, 100)).unwrap(), bytes(10));
}

#[tokio::test]
async fn a_key_is_never_a_path() {
    let (dir, blobs) = open();
    std::fs::write(dir.path().join("secret"), b"secret").unwrap();
    let absent = "0".repeat(64);
    for key in ["", "../secret", "../../secret", "sha256", &absent, &"A".repeat(64), &"/".repeat(64), &"é".repeat(32)]
    {
        assert!(matches!(blobs.read(key, 0, 1).await, Err(BlobError::NotFound)), "{key}");
        assert!(matches!(blobs.stream(key).await.map(|_| ()), Err(BlobError::NotFound)), "{key}");
        assert!(matches!(blobs.size(key).await, Err(BlobError::NotFound)), "{key}");
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("media"), b"a file").unwrap();
    let error = Blobs::open(&dir.path().join("media")).unwrap_err();
    assert!(error.to_string().contains("media"), "{error}");
}
