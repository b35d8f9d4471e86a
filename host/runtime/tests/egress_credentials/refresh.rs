//! Refresh tokens that change with each use, against a server that takes them from everybody when one is used twice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use patchbay_runtime::credentials::{Flow, Kept, MemoryTokens, OAuth2, TokenStoreError};
use patchbay_runtime::{Engine, Plugin, TokenStore};
use tokio::sync::watch;

use super::common::*;
use super::{ask, oauth, plugin};

/// The server, and what it was asked with.
#[derive(Default)]
struct Strict {
    /// The only refresh token that is good now ends with this.
    turn: Mutex<usize>,
    revoked: AtomicBool,
    used: watch::Sender<Vec<String>>,
    /// Seconds of an access token's life.
    lifetime: u64,
    /// It takes its time for the answer.
    hangs: watch::Sender<bool>,
    /// It takes no notice of the request, and does not answer either.
    swallows: AtomicBool,
}

async fn token(State(server): State<Arc<Strict>>, body: Bytes) -> Response {
    // So that those who ask at once are there at once.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let form: std::collections::BTreeMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let used = form["refresh_token"].clone();
    if server.swallows.load(Ordering::SeqCst) {
        server.used.send_modify(|all| all.push(used));
        return std::future::pending().await;
    }
    let number = {
        let mut turn = server.turn.lock().unwrap();
        server.used.send_modify(|all| all.push(used.clone()));
        if used != format!("refresh-token-{turn}") || server.revoked.load(Ordering::SeqCst) {
            server.revoked.store(true, Ordering::SeqCst);
            return (StatusCode::BAD_REQUEST, r#"{"error":"invalid_grant"}"#).into_response();
        }
        *turn += 1;
        *turn
    };
    drop(server.hangs.subscribe().wait_for(|hangs| !hangs).await.unwrap());
    axum::Json(serde_json::json!({
        "access_token": format!("access-token-{number}"),
        "token_type": "Bearer",
        "expires_in": server.lifetime,
        "refresh_token": format!("refresh-token-{number}"),
    }))
    .into_response()
}

/// Takes the latest access token alone.
async fn api(State(server): State<Arc<Strict>>, headers: HeaderMap) -> StatusCode {
    let latest = format!("Bearer access-token-{}", server.turn.lock().unwrap());
    let sent = headers.get(header::AUTHORIZATION).map_or("", |value| value.to_str().unwrap());
    if sent == latest { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
}

async fn serve(server: Strict) -> (Arc<Strict>, u16) {
    let server = Arc::new(server);
    let app = Router::new().route("/token", post(token)).route("/api", get(api)).with_state(server.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (server, port)
}

/// A node: an engine of its own, and a plugin with the credential.
async fn node(store: &Arc<impl TokenStore + 'static>, port: u16) -> (Engine, Plugin) {
    let engine = engine_with(|options| options.tokens = store.clone());
    let plugin = plugin(&engine, port, credential(port, "refresh-token-0")).await;
    (engine, plugin)
}

fn credential(port: u16, token: &str) -> OAuth2 {
    oauth(port, Flow::RefreshToken(token.to_owned().into()))
}

async fn status(plugin: &Plugin, port: u16) -> String {
    ask(plugin, &format!("http GET http://localhost:{port}/api")).await["status"].clone()
}

fn used(server: &Strict) -> Vec<String> {
    server.used.borrow().clone()
}

/// Waits until the server has been asked.
async fn asked(server: &Strict) {
    drop(server.used.subscribe().wait_for(|used| !used.is_empty()).await.unwrap());
}

#[tokio::test]
async fn a_refresh_token_is_followed_through_its_changes_and_over_restarts() {
    let (server, port) = serve(Strict::default()).await;
    let store = Arc::new(MemoryTokens::default());
    for restart in 0..2 {
        let (_engine, plugin) = node(&store, port).await;
        for _ in 0..2 {
            assert_eq!(status(&plugin, port).await, "200", "after {restart} restarts");
        }
    }
    assert_eq!(used(&server), ["refresh-token-0", "refresh-token-1", "refresh-token-2", "refresh-token-3"]);
    // Another name, scope or way to say who asks: it is the same token, and has gone on.
    let engine = engine_with(|options| options.tokens = store.clone());
    let renamed = OAuth2 { name: "desk".into(), scope: None, ..credential(port, "refresh-token-0") };
    assert_eq!(status(&plugin(&engine, port, renamed).await, port).await, "200");
    // Another refresh token in the configuration begins anew.
    let other = plugin(&engine, port, credential(port, "refresh-token-5")).await;
    assert_eq!(status(&other, port).await, "200");
    assert_eq!(used(&server)[5..], ["refresh-token-5"]);
    assert!(!server.revoked.load(Ordering::SeqCst));
}

#[tokio::test]
async fn nodes_that_ask_at_once_burn_nothing_and_share_the_token() {
    let (server, port) = serve(Strict { lifetime: 3600, ..Strict::default() }).await;
    let store = Arc::new(MemoryTokens::default());
    let nodes = futures::future::join_all((0..4).map(|_| node(&store, port))).await;
    let calls = nodes.iter().flat_map(|(_, plugin)| (0..3).map(move |_| status(plugin, port)));
    assert_eq!(futures::future::join_all(calls).await, ["200"; 12]);
    assert_eq!(used(&server), ["refresh-token-0"], "one of them asked");
    // After a restart the token of before is good still.
    let (_engine, late) = node(&store, port).await;
    assert_eq!(status(&late, port).await, "200");
    assert_eq!(used(&server).len(), 1);
    // A server that takes it back is asked once for another one, by all of them.
    *server.turn.lock().unwrap() += 1;
    let store_says = |number: usize| format!("refresh-token-{number}");
    assert_eq!(status(&nodes[0].1, port).await, "401", "and with the token that somebody else used up there is none");
    assert_eq!(used(&server), [store_says(0), store_says(1)]);
}

#[tokio::test]
async fn a_token_that_was_taken_back_is_replaced_once_for_all_nodes() {
    let (server, port) = serve(Strict { lifetime: 3600, ..Strict::default() }).await;
    let store = Arc::new(MemoryTokens::default());
    let nodes = futures::future::join_all((0..3).map(|_| node(&store, port))).await;
    let ask_all = || futures::future::join_all(nodes.iter().map(|(_, plugin)| status(plugin, port)));
    assert_eq!(ask_all().await, ["200"; 3]);
    // Another credential with the same refresh token and another scope gets a token: ours is not the latest any more.
    let engine = engine_with(|options| options.tokens = store.clone());
    let other = plugin(&engine, port, OAuth2 { scope: None, ..credential(port, "refresh-token-0") }).await;
    assert_eq!(status(&other, port).await, "200");
    assert_eq!(ask_all().await, ["200"; 3]);
    assert_eq!(used(&server), ["refresh-token-0", "refresh-token-1", "refresh-token-2"]);
}

/// The store as a node has it that ends after its first word: nothing that it writes afterwards arrives.
#[derive(Debug)]
struct Ended(Arc<MemoryTokens>, AtomicBool);

#[async_trait::async_trait]
impl TokenStore for Ended {
    async fn load(&self, key: &str) -> Result<Option<Kept>, TokenStoreError> {
        self.0.load(key).await
    }

    async fn save(&self, key: &str, sealed: Bytes, expected: u64) -> Result<Option<u64>, TokenStoreError> {
        if self.1.swap(true, Ordering::SeqCst) { Err(gone()) } else { self.0.save(key, sealed, expected).await }
    }
}

#[tokio::test]
async fn a_node_that_ends_while_it_asks_is_waited_for_and_then_replaced() {
    let (server, port) = serve(Strict { lifetime: 3600, swallows: true.into(), ..Strict::default() }).await;
    let store = Arc::new(MemoryTokens::default());
    let (_ended, first) = node(&Arc::new(Ended(store.clone(), AtomicBool::default())), port).await;
    let asking = tokio::spawn(async move { status(&first, port).await });
    asked(&server).await;
    server.swallows.store(false, Ordering::SeqCst);
    let (_engine, next) = node(&store, port).await;
    let begun = std::time::Instant::now();
    // Whether the other one still asks cannot be known: calls are put off, and after a while one of them may ask.
    let mut put_off = 0;
    while status(&next, port).await != "200" {
        put_off += 1;
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", used(&server));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(put_off > 0 && begun.elapsed() >= Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!(used(&server), ["refresh-token-0"; 2]);
    assert_eq!(asking.await.unwrap(), "503");
}

/// Takes nothing while it is away.
#[derive(Debug, Default)]
struct Away {
    tokens: MemoryTokens,
    away: AtomicBool,
}

#[async_trait::async_trait]
impl TokenStore for Away {
    async fn load(&self, key: &str) -> Result<Option<Kept>, TokenStoreError> {
        if self.away.load(Ordering::SeqCst) { Err(gone()) } else { self.tokens.load(key).await }
    }

    async fn save(&self, key: &str, sealed: Bytes, expected: u64) -> Result<Option<u64>, TokenStoreError> {
        if self.away.load(Ordering::SeqCst) { Err(gone()) } else { self.tokens.save(key, sealed, expected).await }
    }
}

fn gone() -> TokenStoreError {
    TokenStoreError("it is away".into())
}

#[tokio::test]
async fn a_token_that_the_store_did_not_take_is_kept_as_soon_as_it_does() {
    let (server, port) = serve(Strict { lifetime: 3600, hangs: watch::Sender::new(true), ..Strict::default() }).await;
    let store = Arc::new(Away::default());
    let (engine, first) = node(&store, port).await;
    let asking = tokio::spawn(async move { status(&first, port).await });
    asked(&server).await;
    store.away.store(true, Ordering::SeqCst);
    server.hangs.send_replace(false);
    assert_eq!(asking.await.unwrap(), "200", "the token is there, whatever the store does");
    // Nobody asks while nobody can be told.
    let (_other, second) = node(&store, port).await;
    assert_eq!(status(&second, port).await, "503");
    store.away.store(false, Ordering::SeqCst);
    // What a gateway does before it ends.
    tokio::time::timeout(Duration::from_secs(20), engine.settle()).await.unwrap();
    let (_third, third) = node(&store, port).await;
    assert_eq!(status(&third, port).await, "200");
    assert_eq!(used(&server), ["refresh-token-0"]);
}

#[tokio::test]
async fn what_the_store_has_of_it_and_cannot_be_read_is_no_reason_to_use_the_old_token_again() {
    let (server, port) = serve(Strict::default()).await;
    /// Another version of the gateway wrote here.
    #[derive(Debug)]
    struct Later;
    #[async_trait::async_trait]
    impl TokenStore for Later {
        async fn load(&self, key: &str) -> Result<Option<Kept>, TokenStoreError> {
            assert!(key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_hexdigit()), "{key}");
            Ok(Some(Kept { revision: 1, sealed: Bytes::from_static(b"\x02sealed") }))
        }
        async fn save(&self, _: &str, _: Bytes, _: u64) -> Result<Option<u64>, TokenStoreError> {
            panic!("it must not be written over")
        }
    }
    let (_engine, plugin) = node(&Arc::new(Later), port).await;
    let answer = ask(&plugin, &format!("http GET http://localhost:{port}/api")).await;
    assert_eq!((answer["status"].as_str(), answer["x-patchbay-credential"].as_str()), ("401", "refused"));
    assert!(answer["body"].contains("write a new refresh token into the configuration"), "{answer:?}");
    assert!(used(&server).is_empty());
}
