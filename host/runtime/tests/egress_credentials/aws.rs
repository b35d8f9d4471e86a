//! AWS signatures on what a plugin sends.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::any;
use patchbay_runtime::Credential;
use patchbay_runtime::credentials::AwsSigV4;

use super::common::*;
use super::{ask, load};

/// What the server was sent.
type Log = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

#[tokio::test]
async fn aws_requests_are_signed_with_their_body() {
    // Any server will do: what it is sent is looked at.
    let got = Log::default();
    let app = Router::new()
        .fallback(any(|State(got): State<Log>, headers: HeaderMap, body: Bytes| async move {
            let authorization = headers["authorization"].to_str().unwrap().to_owned();
            got.lock().unwrap().push((headers, body));
            authorization
        }))
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(got.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });

    let engine = engine_with(|options| options.media = shelf(vec![7; 5000]));
    let credential = AwsSigV4 {
        access_key_id: "AKIDEXAMPLE".into(),
        secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned().into(),
        session_token: Some("session-token-1".to_owned().into()),
        region: "eu-central-1".into(),
        service: "rekognition".into(),
    };
    let plugin = load(&engine, "zen", port, Credential::AwsSigV4(credential)).await.unwrap();
    let answer = ask(&plugin, &format!("post 3000 http://localhost:{port}/?a=b")).await;
    assert_eq!(answer["status"], "200", "{answer:?}");
    let (headers, body) = got.lock().unwrap().pop().unwrap();
    let authorization = headers["authorization"].to_str().unwrap();
    assert!(
        authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20")
            && authorization.contains("/eu-central-1/rekognition/aws4_request, SignedHeaders=host;"),
        "{authorization}"
    );
    assert_eq!((headers["x-amz-security-token"].to_str().unwrap(), body.len()), ("session-token-1", 3000));
    assert_eq!(headers["content-length"], "3000");
    // A signature is good for some minutes: it does not come back.
    let signature = authorization.rsplit_once('=').unwrap().1;
    assert!(signature.len() == 64 && !answer["body"].contains(signature), "{answer:?}");

    let uploaded = ask(&plugin, &format!("upload http://localhost:{port}/up photo")).await;
    assert_eq!(uploaded["status"], "200", "{uploaded:?}");
    let large = ask(&plugin, &format!("post 4194305 http://localhost:{port}/")).await;
    assert_eq!((large["status"].as_str(), large["x-patchbay-credential"].as_str()), ("413", "unsigned"), "{large:?}");
}
