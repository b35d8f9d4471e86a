//! Pulling in a process of its own, with this very binary, from registries that nobody should meet: each ends in a sentence, in
//! bounded time and memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::Response;
use patchbay_artefact::Digest;
use patchbay_artefact::component::COMPONENT_MOST;
use patchbay_artefact::registry::{Login, Pulled};
use patchbay_gateway::pulling::{PullError, PullLimits, Puller};
use secrecy::SecretString;
use serde_json::{Value, json};

/// What a registry answers to a path; none is no answer at all.
type Script = dyn Fn(&str, &str) -> Option<Response<Body>> + Send + Sync;

/// A registry on loopback. Gives its address.
async fn registry(script: impl Fn(&str, &str) -> Option<Response<Body>> + Send + Sync + 'static) -> String {
    async fn answer(State(script): State<Arc<Script>>, request: Request) -> Response<Body> {
        let host = request.headers()["host"].to_str().unwrap().to_owned();
        match script(request.uri().path(), &host) {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let router = Router::new().fallback(answer).with_state(Arc::new(script) as Arc<Script>);
    tokio::spawn(async move { axum::serve(listener, router).await });
    host
}

fn puller() -> Puller {
    Puller { program: env!("CARGO_BIN_EXE_patchbay").into(), limits: PullLimits::default() }
}

async fn pull(host: &str) -> Result<Pulled, PullError> {
    puller().pull(&format!("{host}/acme/router:1").parse().unwrap(), None).await
}

/// What it says, and that it did not take long to say so.
async fn told(host: &str) -> String {
    let begun = Instant::now();
    let said = pull(host).await.unwrap_err().to_string();
    assert!(begun.elapsed() < Duration::from_secs(60), "{said}: {:?}", begun.elapsed());
    said
}

const CONTENT: &[u8] = b"a component's bytes";

fn image(content: &[u8], size: usize) -> Vec<u8> {
    let layer = json!({ "mediaType": "application/wasm", "digest": Digest::of(content), "size": size });
    let config = json!({ "mediaType": "application/vnd.wasm.config.v0+json", "digest": Digest::of(b"{}"), "size": 2 });
    json!({ "schemaVersion": 2, "config": config, "layers": [layer] }).to_string().into_bytes()
}

fn ok(body: impl Into<Body>) -> Option<Response<Body>> {
    Some(Response::new(body.into()))
}

fn status(status: u16) -> Option<Response<Body>> {
    Some(Response::builder().status(status).body(Body::empty()).unwrap())
}

/// A body without an end.
fn endless() -> Body {
    let piece = Bytes::from(vec![b' '; 1 << 20]);
    Body::from_stream(futures::stream::repeat_with(move || Ok::<_, std::io::Error>(piece.clone())))
}

/// Serves this manifest, and this as every blob.
async fn serving(manifest: Vec<u8>, blob: impl Fn() -> Body + Send + Sync + 'static) -> String {
    registry(move |path, _| match path {
        path if path.ends_with("/manifests/1") => ok(manifest.clone()),
        path if path.contains("/blobs/") => ok(blob()),
        "/v2/" => ok(""),
        _ => status(404),
    })
    .await
}

#[tokio::test]
async fn a_component_comes_as_it_is() {
    let host = serving(image(CONTENT, CONTENT.len()), || CONTENT.into()).await;
    let pulled = pull(&host).await.unwrap();
    assert_eq!((pulled.bytes.as_slice(), pulled.component), (CONTENT, Digest::of(CONTENT)));
    assert_eq!((pulled.digest, pulled.signatures.len()), (Digest::of(&image(CONTENT, CONTENT.len())), 0));
    // The largest one fits into the limits.
    let large = vec![7; COMPONENT_MOST];
    let manifest = image(&large, large.len());
    let large = Bytes::from(large);
    let host = serving(manifest, move || large.clone().into()).await;
    assert_eq!(pull(&host).await.unwrap().bytes.len(), COMPONENT_MOST);
}

#[tokio::test]
async fn a_registry_that_floods_costs_a_process() {
    // Nothing stops the library that reads it but the process's own limit.
    let memory = "sends something that takes more than 512 MiB of memory to read; nothing was kept";
    let host = registry(|path, _| if path == "/v2/" { ok("") } else { ok(endless()) }).await;
    let said = told(&host).await;
    assert!(said.contains(memory), "a manifest: {said}");
    let host = registry(|path, host| match path {
        "/token" => ok(endless()),
        _ => challenge(&format!("Bearer realm=\"http://{host}/token\",service=\"x\"")),
    })
    .await;
    let said = told(&host).await;
    assert!(said.contains(memory), "a token: {said}");
    let host = registry(|path, _| if path == "/v2/" { ok("") } else { Some(failing(endless())) }).await;
    let said = told(&host).await;
    assert!(said.contains(memory), "an error: {said}");
    // What it can hold is looked at.
    let manifest = Bytes::from(vec![b' '; 100 << 20]);
    let host = registry(move |path, _| if path == "/v2/" { ok("") } else { ok(manifest.clone()) }).await;
    let said = told(&host).await;
    assert!(said.contains("sends more than 4194304 bytes for a manifest"), "{said}");
    let host = serving(image(CONTENT, CONTENT.len()), endless).await;
    let said = told(&host).await;
    assert!(said.contains("sends more than 19 bytes for a component"), "{said}");
}

fn failing(body: Body) -> Response<Body> {
    Response::builder().status(500).body(body).unwrap()
}

fn challenge(text: &str) -> Option<Response<Body>> {
    Some(Response::builder().status(401).header("www-authenticate", text).body(Body::empty()).unwrap())
}

#[tokio::test]
async fn a_registry_that_lies_is_not_believed() {
    let host = serving(image(CONTENT, CONTENT.len()), || "an evil twin's byte".into()).await;
    let said = told(&host).await;
    assert!(said.contains("sends something else than sha256:") && said.contains("nothing was kept"), "{said}");
    let host = serving(image(CONTENT, CONTENT.len() - 1), || CONTENT.into()).await;
    assert!(told(&host).await.contains("sends more than 18 bytes for a component"));
    let host = serving(image(CONTENT, COMPONENT_MOST + 1), || CONTENT.into()).await;
    assert!(told(&host).await.contains("sends more than 67108864 bytes for a component"));
}

#[tokio::test]
async fn nonsense_is_told() {
    for text in ["", "Bearer", "Bearer realm=", "Bearer realm=\"without an end", "Basic", "\u{fc}\u{fc}"] {
        let text = text.to_owned();
        let host = registry(move |_, _| challenge(&text)).await;
        let said = told(&host).await;
        assert!(said.contains("wants to know who asks") || said.contains("does not answer as"), "{said}");
    }
    for realm in ["nowhere", "http://[", "data:x"] {
        let host = registry(move |_, _| challenge(&format!("Bearer realm=\"{realm}\""))).await;
        let said = told(&host).await;
        assert!(said.contains("it names an address that is none"), "{realm}: {said}");
    }
    for (token, what) in [
        (json!({ "token": "a\u{0}b" }), "its token cannot be sent"),
        (json!({ "token": 1 }), "its token is none"),
        (Value::Null, "its token is none"),
    ] {
        let token = token.to_string();
        let host = registry(move |path, host| match path {
            "/token" => ok(token.clone()),
            _ => challenge(&format!("Bearer realm=\"http://{host}/token\"")),
        })
        .await;
        let said = told(&host).await;
        assert!(said.contains(what), "{said}");
    }
}

#[tokio::test]
async fn nobody_waits_for_a_registry_without_an_end() {
    let silent = registry(|_, _| None).await;
    let limits = PullLimits { wall: Duration::from_secs(2), ..PullLimits::default() };
    let puller = Puller { limits, ..puller() };
    let begun = Instant::now();
    let pulled = puller.pull(&format!("{silent}/acme/router:1").parse().unwrap(), None).await;
    let said = pulled.unwrap_err().to_string();
    assert_eq!(said, format!("the registry {silent} takes longer than 2 s; nothing was kept"));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_password_is_in_no_ones_sight() {
    let host = registry(|_, _| challenge("Basic realm=\"x\"")).await;
    let login = Login::new("ada", SecretString::from("hunter2"));
    let said = puller().pull(&format!("{host}/acme/router:1").parse().unwrap(), Some(&login)).await;
    let said = said.unwrap_err();
    assert!(said.to_string().contains("refuses this to `ada`"), "{said}");
    assert!(!format!("{said} {said:?} {login:?}").contains("hunter2"));
}

#[tokio::test]
async fn another_program_in_its_place_is_told() {
    let none = Puller { program: "/nowhere/patchbay".into(), limits: PullLimits::default() };
    let said = none.pull(&"127.0.0.1:1/acme/router:1".parse().unwrap(), None).await.unwrap_err().to_string();
    assert!(said.starts_with("the process that pulls does not start: "), "{said}");
    // One that says nothing of a component.
    let other = Puller { program: "/bin/true".into(), limits: PullLimits::default() };
    let said = other.pull(&"127.0.0.1:1/acme/router:1".parse().unwrap(), None).await.unwrap_err().to_string();
    assert_eq!(said, "the process that pulls gives something else than was asked for");
}
