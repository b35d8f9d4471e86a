//! Files, against a Graph API of our own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fake;

use bytes::Bytes;
use fake::{Answer, Fake, graph};
use futures::{StreamExt, TryStreamExt};
use patchbay_model::Failure;
use patchbay_whatsapp::graph::RemoteMedia;
use serde_json::json;

fn remote(url: &str) -> RemoteMedia {
    RemoteMedia { url: url.into(), mime: "image/jpeg".into(), sha256: None, size: None }
}

#[tokio::test]
async fn a_file_is_looked_up_by_its_id() {
    let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    for (size, sha256) in [(json!(303_833), digest), (json!("303833"), "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=")]
    {
        let answer = json!({ "messaging_product": "whatsapp", "url": "https://lookaside.fbsbx.com/1",
            "mime_type": "audio/ogg; codecs=opus", "sha256": sha256, "file_size": size, "id": "1013859600285441" });
        let fake = Fake::answering(Answer::json(200, answer)).await;
        let media = graph(&fake).media("1013859600285441").await.unwrap();
        assert_eq!(
            media,
            RemoteMedia {
                url: "https://lookaside.fbsbx.com/1".into(),
                mime: "audio/ogg".into(),
                sha256: Some(digest.into()),
                size: Some(303_833),
            }
        );
        let request = fake.only_request();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/base/v24.0/1013859600285441"));
        assert_eq!(request.query, "phone_number_id=106540352242922");
        assert_eq!(request.authorization.as_deref(), Some("Bearer EAAG"));
    }
}

#[tokio::test]
async fn a_file_that_is_gone_is_gone_for_good_and_all_else_is_not() {
    let gone = json!({ "error": { "message": "Unsupported get request.", "code": 100, "error_subcode": 33 } });
    let expired = json!({ "error": { "message": "token", "code": 190 } });
    for (answer, expected) in [
        (Answer::json(400, gone), "permanent"),
        (Answer::json(401, expired), "credential"),
        (Answer::text(500, ""), "retry"),
        (Answer::json(200, json!({ "id": "1" })), "retry"),
        (Answer::Hang, "retry"),
        (Answer::Drop, "retry"),
    ] {
        let fake = Fake::answering(answer.clone()).await;
        let found = match graph(&fake).media("1").await {
            Err(Failure::Retry { uncertain: false, .. }) => "retry",
            Err(Failure::Permanent { .. }) => "permanent",
            Err(Failure::Credential { .. }) => "credential",
            other => panic!("{answer:?}: {other:?}"),
        };
        assert_eq!(found, expected, "{answer:?}");
    }
    let fake = Fake::answering(Answer::Hang).await;
    for id in ["", "../me", "1/2", "1?x=y", "é"] {
        assert!(matches!(graph(&fake).media(id).await, Err(Failure::Permanent { .. })), "{id}");
    }
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn a_file_comes_as_a_stream_with_the_token() {
    let content = Bytes::from(vec![7; 300_000]);
    let fake = Fake::answering(Answer::Http(200, Vec::new(), content.clone())).await;
    let stream = graph(&fake).download(&remote(&fake.url("/file?x=1"))).await.unwrap();
    let read: Vec<Bytes> = stream.try_collect().await.unwrap();
    assert_eq!(read.concat(), content);
    let request = fake.only_request();
    assert_eq!((request.path.as_str(), request.query.as_str()), ("/file", "x=1"));
    assert_eq!(request.authorization.as_deref(), Some("Bearer EAAG"));
    assert!(request.user_agent.starts_with("patchbay/"));
}

#[tokio::test]
async fn another_host_does_not_get_the_token() {
    let elsewhere = Fake::answering(Answer::text(200, "file")).await;
    let ours = Fake::answering(Answer::Hang).await;
    let link = format!("http://localhost:{}/file", elsewhere.address.port());
    let stream = graph(&ours).download(&remote(&link)).await.unwrap();
    let read: Vec<Bytes> = stream.try_collect().await.unwrap();
    assert_eq!(read.concat(), b"file");
    assert_eq!(elsewhere.only_request().authorization, None);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let target = Fake::answering(Answer::text(200, "file")).await;
    let fake = Fake::answering(Answer::text(302, "").header("location", &target.url("/file"))).await;
    let failure = graph(&fake).download(&remote(&fake.url("/file"))).await.err().unwrap();
    assert!(matches!(failure, Failure::Retry { uncertain: false, .. }), "{failure}");
    assert!(target.requests().is_empty());
}

#[tokio::test]
async fn a_download_that_fails_says_what_to_do() {
    for (answer, expected) in [
        (Answer::text(404, "expired"), "retry"),
        (Answer::text(403, "expired"), "retry"),
        (Answer::text(401, ""), "credential"),
        (Answer::text(416, ""), "permanent"),
        (Answer::text(503, ""), "retry"),
        (Answer::Hang, "retry"),
        (Answer::Drop, "retry"),
    ] {
        let fake = Fake::answering(answer.clone()).await;
        let found = match graph(&fake).download(&remote(&fake.url("/file"))).await.err().unwrap() {
            Failure::Retry { uncertain: false, .. } => "retry",
            Failure::Retry { .. } => "uncertain",
            Failure::Permanent { .. } => "permanent",
            Failure::Credential { .. } => "credential",
        };
        assert_eq!(found, expected, "{answer:?}");
    }
    let fake = Fake::answering(Answer::Hang).await;
    for link in ["", "file:///etc/passwd", "not a link"] {
        let failure = graph(&fake).download(&remote(link)).await.err().unwrap();
        assert!(matches!(failure, Failure::Permanent { .. }), "{link}");
    }
}

#[tokio::test]
async fn a_download_that_falls_silent_ends() {
    let fake = Fake::answering(Answer::Stall(Bytes::from_static(b"half"))).await;
    let stream = graph(&fake).download(&remote(&fake.url("/file"))).await.unwrap();
    let mut stream = std::pin::pin!(stream);
    assert_eq!(stream.next().await, Some(Ok(Bytes::from_static(b"half"))));
    assert!(matches!(stream.next().await, Some(Err(Failure::Retry { uncertain: false, .. }))));
    assert!(stream.next().await.is_none());
}
