//! Refresh tokens that change with each use, through restarts and on two nodes: what was got is kept, nobody uses a token
//! twice, and nobody who reads the store learns one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use patchbay_test_redis::{Options as RedisOptions, Redis};
use patchbay_tests::binary::calling_guest;
use patchbay_tests::config::Options;
use patchbay_tests::{Fleet, House, eventually, files};
use serde_json::json;
use tokio::task::block_in_place;

/// The token server, and an interface that takes its access tokens.
#[derive(Debug, Default)]
struct Vendor {
    /// The number of the refresh token that is good now.
    now: usize,
    /// Somebody used one that was used up: none is good any more.
    revoked: bool,
    /// The refresh tokens, in the order of their use.
    used: Vec<String>,
    /// What the interface answered.
    answers: Vec<u16>,
}

type Shared = Arc<Mutex<Vendor>>;

fn refresh_token(number: usize) -> String {
    format!("the-refresh-token-{number:04}")
}

fn access_token(number: usize) -> String {
    format!("the-access-token-{number:04}")
}

async fn token(State(vendor): State<Shared>, body: Bytes) -> Response {
    let form: BTreeMap<String, String> = reqwest::Url::parse(&format!("x:?{}", String::from_utf8_lossy(&body)))
        .unwrap()
        .query_pairs()
        .into_owned()
        .collect();
    let mut vendor = vendor.lock().unwrap();
    vendor.used.push(form["refresh_token"].clone());
    if form["refresh_token"] != refresh_token(vendor.now) || vendor.revoked {
        vendor.revoked = true;
        return (StatusCode::BAD_REQUEST, r#"{"error":"invalid_grant"}"#).into_response();
    }
    vendor.now += 1;
    let (access, refresh) = (access_token(vendor.now), refresh_token(vendor.now));
    // Used up at once: each request needs the next one.
    Json(json!({ "access_token": access, "token_type": "Bearer", "expires_in": 0, "refresh_token": refresh }))
        .into_response()
}

async fn api(State(vendor): State<Shared>, headers: HeaderMap) -> StatusCode {
    let mut vendor = vendor.lock().unwrap();
    let sent = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let known = (1..=vendor.now).any(|number| sent == format!("Bearer {}", access_token(number)));
    let answer = if known && !vendor.revoked { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
    vendor.answers.push(answer.as_u16());
    answer
}

async fn vendor() -> Result<(Shared, u16)> {
    let vendor = Shared::default();
    let app = Router::new().route("/token", post(token)).route("/api", get(api)).with_state(Arc::clone(&vendor));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok((vendor, port))
}

/// A handler that asks the vendor, with a credential whose refresh token is in a file of this folder.
fn options(secrets: &Path, port: u16, more: &str) -> Result<Options> {
    std::fs::write(secrets.join("refresh"), refresh_token(0))?;
    std::fs::write(secrets.join("client"), "the-client-secret")?;
    let (guest, secrets) = (calling_guest()?, secrets.display());
    let step = |name: &str, on_failure: &str| (name.to_owned(), on_failure.to_owned());
    Ok(Options {
        steps: vec![step("caller", "skip"), step("router", "retry")],
        more: format!(
            "[plugins.caller]\nsource = \"file:{}\"\n[[plugins.caller.grants.http]]\nhost = \"127.0.0.1\"\nports = \
             [{port}]\nplain_http = true\nprivate_network = true\ncredential = \"vendor\"\n[credentials.vendor]\ntype = \
             \"oauth2-refresh-token\"\ntoken_url = \"http://127.0.0.1:{port}/token\"\nrefresh_token = \
             \"file:{secrets}/refresh\"\nclient_id = \"patchbay\"\nclient_secret = \
             \"file:{secrets}/client\"\nprivate_network = true\n{more}",
            guest.display()
        ),
        ..Options::default()
    })
}

/// Waits until the interface was asked so often, or more: what is done when a node is killed is done once more. It has taken
/// every token.
async fn answered(vendor: &Shared, times: usize) -> Result<()> {
    eventually("the requests of the handler", || async {
        let vendor = vendor.lock().unwrap();
        assert!(!vendor.revoked, "{vendor:?}");
        Ok(if vendor.answers.len() >= times { Ok(()) } else { Err(format!("{vendor:?}")) })
    })
    .await?;
    let vendor = vendor.lock().unwrap();
    assert!(vendor.answers.iter().all(|answer| *answer == 200), "{vendor:?}");
    Ok(())
}

/// Neither the tokens that the vendor gave nor the secrets of the configuration.
fn assert_sealed(vendor: &Shared, what: &str, bytes: &[u8]) {
    let now = vendor.lock().unwrap().now;
    let tokens = (0..=now).flat_map(|number| [refresh_token(number), access_token(number)]);
    let bytes = String::from_utf8_lossy(bytes);
    for secret in tokens.chain(["the-client-secret".to_owned()]) {
        assert!(!bytes.contains(&secret), "{secret} stands in {what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_goes_on_with_the_newest_token() -> Result<()> {
    let (vendor, port) = vendor().await?;
    let secrets = tempfile::tempdir()?;
    let mut house = House::with(options(secrets.path(), port, "")?).await?;
    let call = format!("call http://127.0.0.1:{port}/api");
    let mut said = Vec::new();
    for ending in ["kill", "terminate", "kill"] {
        for _ in 0..2 {
            house.text("447700900001", &call).await?;
            said.push(call.as_str());
            // What has reached the ticket is not handled again.
            house.expect_entries("447700900001", &said).await?;
            answered(&vendor, said.len()).await?;
        }
        match ending {
            "kill" => house.kill().await?,
            _ => drop(house.gateway.take().unwrap().terminate().await?),
        }
        let folder = house.config().parent().unwrap().to_owned();
        let kept = files::below(&folder)?;
        assert!(kept.len() > 2, "the store is there");
        for (name, bytes) in kept {
            assert_sealed(&vendor, &name, &bytes);
        }
        house.start().await?;
    }
    let used = vendor.lock().unwrap().used.clone();
    assert_eq!(used, (0..6).map(refresh_token).collect::<Vec<_>>());
    // Another token in the configuration begins anew, whatever was kept of the one before.
    std::fs::write(secrets.path().join("refresh"), refresh_token(500))?;
    vendor.lock().unwrap().now = 500;
    house.kill().await?;
    house.start().await?;
    house.text("447700900001", &call).await?;
    answered(&vendor, 7).await?;
    assert_eq!(vendor.lock().unwrap().used.last(), Some(&refresh_token(500)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_never_use_a_token_twice() -> Result<()> {
    let redis = block_in_place(|| Redis::start(RedisOptions::default().with("rdbcompression", "no")));
    let (vendor, port) = vendor().await?;
    let secrets = tempfile::tempdir()?;
    let store = format!(
        "[store]\nkind = \"redis\"\npartitions = 6\n[store.redis]\naddresses = [\"{}\"]\nlease = \"3s\"\n",
        redis.addr()
    );
    let mut fleet = Fleet::open(2, &options(secrets.path(), port, &store)?).await?;
    let call = format!("call http://127.0.0.1:{port}/api");
    let mut expected = 0;
    for round in 0..4 {
        // Customers of both nodes, at once.
        let phones: Vec<String> = (0..8).map(|customer| format!("4477009{round:02}{customer:03}")).collect();
        futures::future::try_join_all(phones.iter().map(|phone| fleet.text_until_taken(phone, &call))).await?;
        expected += phones.len();
        answered(&vendor, expected).await?;
        match round {
            0 => fleet.kill(0).await?,
            1 => fleet.start(0).await?,
            2 => drop(fleet.take(1)?.terminate().await?),
            _ => {}
        }
    }
    let used = vendor.lock().unwrap().used.clone();
    assert_eq!(used.iter().collect::<BTreeSet<_>>().len(), used.len(), "{used:?}");
    assert_eq!(used, (0..used.len()).map(refresh_token).collect::<Vec<_>>());
    assert!(used.len() > 4, "{used:?}");
    let dump = block_in_place(|| -> Result<Vec<u8>> {
        assert_eq!(redis.ask::<String>(&["SAVE"]), "OK");
        let folder: Vec<String> = redis.ask(&["CONFIG", "GET", "dir"]);
        Ok(std::fs::read(Path::new(&folder[1]).join("dump.rdb"))?)
    })?;
    assert!(String::from_utf8_lossy(&dump).contains("call http://127.0.0.1"), "what is not sealed can be read there");
    assert_sealed(&vendor, "the Redis", &dump);
    Ok(())
}
