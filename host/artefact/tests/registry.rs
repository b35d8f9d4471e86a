//! Registries that lie, flood, or want to know who asks. (A real one is in the end-to-end tests.)

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use patchbay_artefact::registry::{Login, Pulled, RegistryError, silent};
use patchbay_artefact::{Digest, Reference, Registry};
use secrecy::SecretString;
use serde_json::{Value, json};

/// What a registry answers: a status, headers, a body.
type Answer = (u16, Vec<(&'static str, String)>, Vec<u8>);
type Script = dyn Fn(&str, &Request) -> Answer + Send + Sync;

/// A registry that answers by a function of the path, and remembers what was asked: path and query, and who asked.
#[derive(Clone)]
struct Fake {
    script: Arc<Script>,
    asked: Arc<Mutex<Vec<(String, String)>>>,
    host: String,
}

impl Fake {
    async fn start(script: impl Fn(&str, &Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let fake = Self { script: Arc::new(script), asked: Arc::default(), host };
        let router = Router::new().fallback(answer).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        fake
    }

    fn reference(&self, version: &str) -> Reference {
        format!("{}/acme/router{version}", self.host).parse().unwrap()
    }

    async fn pull(&self, version: &str, login: Option<Login>) -> Result<Pulled, RegistryError> {
        Registry::of(&self.reference(version), login, false)?.pull(|_| (), &silent()).await
    }

    async fn told(&self, version: &str) -> String {
        self.pull(version, None).await.unwrap_err().to_string()
    }

    fn asked(&self) -> Vec<(String, String)> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(State(fake): State<Fake>, request: Request) -> Response<Body> {
    let path = request.uri().path_and_query().unwrap().to_string();
    let who = request.headers().get("authorization").map_or("", |value| value.to_str().unwrap()).to_owned();
    fake.asked.lock().unwrap().push((path.clone(), who));
    let (status, headers, body) = (fake.script)(&path, &request);
    let mut answer = Response::builder().status(StatusCode::from_u16(status).unwrap());
    for (name, value) in headers {
        answer = answer.header(name, value);
    }
    answer.body(Body::from(body)).unwrap()
}

const CONTENT: &[u8] = b"a component's bytes";

fn layer(content: &[u8], media_type: &str) -> Value {
    json!({ "mediaType": media_type, "digest": Digest::of(content), "size": content.len() })
}

fn image(layers: &[Value]) -> Vec<u8> {
    let config = layer(b"{}", "application/vnd.wasm.config.v0+json");
    json!({ "schemaVersion": 2, "config": config, "layers": layers }).to_string().into_bytes()
}

fn ok(body: impl Into<Vec<u8>>) -> Answer {
    (200, Vec::new(), body.into())
}

fn absent() -> Answer {
    (404, Vec::new(), br#"{"errors":[{"code":"NAME_UNKNOWN","message":"nothing here"}]}"#.to_vec())
}

/// Serves this manifest under `:1`, and this as every blob.
async fn serving(manifest: Vec<u8>, blob: &'static [u8]) -> Fake {
    Fake::start(move |path, _| match path.rsplit_once('/').unwrap() {
        (_, "1") => ok(manifest.clone()),
        (folder, _) if folder.ends_with("/blobs") => ok(blob),
        _ => absent(),
    })
    .await
}

#[tokio::test]
async fn what_is_there_is_pulled_and_counted() {
    for media_type in ["application/wasm", "application/vnd.wasm.content.layer.v1+wasm"] {
        let manifest = image(&[layer(CONTENT, media_type)]);
        let fake = serving(manifest.clone(), CONTENT).await;
        let counted = Arc::new(Mutex::new((0_u64, 0_u64)));
        let (begun, progress) = (Arc::clone(&counted), Arc::clone(&counted));
        let registry = Registry::of(&fake.reference(":1"), None, false).unwrap();
        let begun = move |size| begun.lock().unwrap().0 = size;
        let pulled =
            registry.pull(begun, &(Arc::new(move |more| progress.lock().unwrap().1 += more) as _)).await.unwrap();
        assert_eq!((pulled.bytes.as_slice(), pulled.signatures.len()), (CONTENT, 0));
        assert_eq!((pulled.digest, pulled.component), (Digest::of(&manifest), Digest::of(CONTENT)));
        assert_eq!(*counted.lock().unwrap(), (19, 19));
        assert_eq!(registry.resolve().await.unwrap(), Digest::of(&manifest));
    }
}

#[tokio::test]
async fn a_registry_that_sends_something_else_is_not_believed() {
    let manifest = image(&[layer(CONTENT, "application/wasm")]);
    let fake = serving(manifest.clone(), b"an evil twin's byte").await;
    assert!(matches!(fake.pull(":1", None).await, Err(RegistryError::Changed { .. })));
    // Another manifest than the digest that was asked for.
    let other = Fake::start(move |_, _| ok(manifest.clone())).await;
    let said = other.told(&format!("@{}", Digest::of(b"wanted"))).await;
    assert!(said.contains("something else than sha256:") && said.contains("nothing was kept"), "{said}");
}

#[tokio::test]
async fn a_registry_that_floods_is_stopped() {
    let most = patchbay_artefact::component::COMPONENT_MOST;
    let mut huge = layer(CONTENT, "application/wasm");
    huge["size"] = json!(most + 1);
    let fake = serving(image(&[huge]), CONTENT).await;
    assert!(fake.told(":1").await.contains("sends more than 67108864 bytes for a component"));
    assert!(!fake.asked().iter().any(|(path, _)| path.contains("/blobs/")), "not one byte of it is fetched");
    // More than its manifest says.
    let fake = serving(image(&[layer(CONTENT, "application/wasm")]), &[0; 20]).await;
    assert!(fake.told(":1").await.contains("sends more than 19 bytes for a component"));
    let fake = Fake::start(|_, _| ok(vec![b' '; (4 << 20) + 1])).await;
    assert!(fake.told(":1").await.contains("bytes for a manifest"));
}

#[tokio::test]
async fn other_things_than_components_are_told() {
    let with = |layers: Vec<Value>| async move { serving(image(&layers), CONTENT).await.told(":1").await };
    let tar = "application/vnd.oci.image.layer.v1.tar";
    assert!(with(vec![layer(CONTENT, tar)]).await.contains(&format!("its content is `{tar}`")));
    let wasm = || layer(CONTENT, "application/wasm");
    assert!(with(vec![wasm(), wasm()]).await.contains("it has 2 layers"));
    assert!(with(vec![]).await.contains("it has 0 layers"));
    let index = json!({ "schemaVersion": 2, "manifests": [] }).to_string().into_bytes();
    assert!(serving(index, CONTENT).await.told(":1").await.contains("an index of several images"));
    let fake = serving(Vec::new(), CONTENT).await;
    let said = fake.told(":2").await;
    assert!(
        said.ends_with(&format!("push it first: patchbay plugin push FILE oci:{}/acme/router:2", fake.host)),
        "{said}"
    );
    let broken = Fake::start(|_, _| (503, Vec::new(), b"<h1>\x1b[2Jsorry</h1>".to_vec())).await;
    let said = broken.told(":1").await;
    assert!(
        said.contains("answers 503 Service Unavailable where a manifest was asked for: <h1>[2Jsorry</h1>"),
        "{said}"
    );
}

fn login() -> Login {
    Login::new("ada", SecretString::from("analytical"))
}

#[tokio::test]
async fn a_token_is_fetched_with_the_login_and_used() {
    let manifest = image(&[layer(CONTENT, "application/wasm")]);
    let fake = Fake::start(move |path, request| {
        let who = request.headers().get("authorization").map_or("", |value| value.to_str().unwrap());
        let host = request.headers()["host"].to_str().unwrap();
        if path.starts_with("/token?") {
            // ada:analytical
            return if who == "Basic YWRhOmFuYWx5dGljYWw=" {
                ok(r#"{"token":"t0ken"}"#)
            } else {
                (401, Vec::new(), Vec::new())
            };
        }
        if who != "Bearer t0ken" {
            let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"the registry\"");
            return (401, vec![("www-authenticate", challenge)], Vec::new());
        }
        match path.rsplit_once('/').unwrap() {
            (_, "1") => ok(manifest.clone()),
            (folder, _) if folder.ends_with("/blobs") => ok(CONTENT),
            _ => absent(),
        }
    })
    .await;
    assert_eq!(fake.pull(":1", Some(login())).await.unwrap().bytes, CONTENT);
    let asked = fake.asked();
    let tokens: Vec<_> = asked.iter().filter(|(path, _)| path.starts_with("/token")).collect();
    assert_eq!(tokens.len(), 1, "one token is enough: {asked:?}");
    assert!(tokens[0].0.contains("scope=repository%3Aacme%2Frouter%3Apull&service=the+registry"), "{tokens:?}");
    let said = fake.told(":1").await;
    assert!(said.contains("wants to know who asks: log in with `docker login 127.0.0.1"), "{said}");
    let wrong = Login::new("ada", SecretString::from("hunter2"));
    let said = fake.pull(":1", Some(wrong)).await.unwrap_err().to_string();
    assert!(said.contains("refuses this to `ada`") && said.contains("pull from acme/router"), "{said}");
    assert!(!said.contains("hunter2"));
}

#[tokio::test]
async fn nobody_else_learns_who_asks() {
    // A registry that answers every blob by sending its reader elsewhere.
    let elsewhere = Fake::start(|_, _| ok(CONTENT)).await;
    let target = format!("http://{}/bucket?signed=1", elsewhere.host);
    let manifest = image(&[layer(CONTENT, "application/wasm")]);
    let fake = Fake::start(move |path, request| {
        if request.headers().get("authorization").is_none() {
            return (401, vec![("www-authenticate", "Basic realm=\"x\"".to_owned())], Vec::new());
        }
        match path.rsplit_once('/').unwrap() {
            (_, "1") => ok(manifest.clone()),
            (folder, _) if folder.ends_with("/blobs") => (307, vec![("location", target.clone())], Vec::new()),
            _ => absent(),
        }
    })
    .await;
    assert_eq!(fake.pull(":1", Some(login())).await.unwrap().bytes, CONTENT);
    assert_eq!(elsewhere.asked(), [("/bucket?signed=1".to_owned(), String::new())]);
    assert!(fake.asked().iter().any(|(_, who)| who == "Basic YWRhOmFuYWx5dGljYWw="));
}

#[tokio::test]
async fn nobody_there_is_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap();
    drop(listener);
    let reference: Reference = format!("{host}/acme/router:1").parse().unwrap();
    let said = Registry::of(&reference, None, false).unwrap().pull(|_| (), &silent()).await.unwrap_err().to_string();
    assert!(said.starts_with(&format!("the registry {host} does not answer: ")) && said.contains("refused"), "{said}");
}

#[tokio::test]
async fn a_place_for_an_upload_that_is_none_is_told() {
    // The smallest component.
    let component = bytes::Bytes::from_static(b"\0asm\x0d\0\x01\0");
    for (location, what) in [
        (None, "it names no place for an upload"),
        (Some("http://["), "a place for an upload that is no address"),
        (Some("uploads/1"), "a place for an upload that is no address"),
    ] {
        let fake = Fake::start(move |_, request| match request.method().as_str() {
            "POST" => (202, location.map(|place| ("location", place.to_owned())).into_iter().collect(), Vec::new()),
            _ => absent(),
        })
        .await;
        let registry = Registry::of(&fake.reference(":1"), None, false).unwrap();
        let said = registry.push(&component, &[], &silent()).await.unwrap_err().to_string();
        assert!(said.contains("does not answer as a registry does") && said.contains(what), "{location:?}: {said}");
    }
}
