//! Credentials that the host gets or makes itself: OAuth tokens and AWS signatures, against a server on this machine.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod aws;
#[path = "../common/mod.rs"]
mod common;
mod refresh;
mod vendors;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use common::*;
use patchbay_runtime::credentials::{Assertion, ClientAuth, Flow, OAuth2, SigningAlgorithm};
use patchbay_runtime::{Call, CallError, Credential, Engine, HostPattern, HttpGrant, LoadError, Mode, Plugin};

/// A token request: the form and the `Authorization` header.
type Asked = (BTreeMap<String, String>, Option<String>);

/// A server with a token endpoint and an API that wants the latest token.
#[derive(Default)]
struct Desk {
    tokens: AtomicUsize,
    /// Token requests.
    asked: Mutex<Vec<Asked>>,
    /// What the token endpoint answers: seconds of life, or a status.
    lifetime: AtomicUsize,
    refuses: Mutex<Option<u16>>,
    /// The API's: token and body of each request that it took.
    took: Mutex<Vec<(String, Bytes)>>,
    refused: AtomicUsize,
}

type Shared = Arc<Desk>;

async fn token(State(desk): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    // So that calls that ask at once are there at once.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let authorization = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    desk.asked.lock().unwrap().push((form, authorization));
    if let Some(status) = *desk.refuses.lock().unwrap() {
        return (StatusCode::from_u16(status).unwrap(), r#"{"error":"invalid_client"}"#).into_response();
    }
    let number = desk.tokens.load(Ordering::SeqCst) + 1;
    let answer = serde_json::json!({
        "access_token": format!("access-token-{number}"),
        "token_type": "Bearer",
        "expires_in": desk.lifetime.load(Ordering::SeqCst),
    });
    desk.tokens.store(number, Ordering::SeqCst);
    axum::Json(answer).into_response()
}

async fn api(State(desk): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let sent = parts.headers.get(header::AUTHORIZATION).map_or("", |value| value.to_str().unwrap()).to_owned();
    if sent != format!("Bearer access-token-{}", desk.tokens.load(Ordering::SeqCst)) {
        desk.refused.fetch_add(1, Ordering::SeqCst);
        return (StatusCode::UNAUTHORIZED, format!("not with {sent}")).into_response();
    }
    desk.took.lock().unwrap().push((sent.clone(), body.clone()));
    ([("x-seen", sent.clone())], format!("{} bytes with {sent}", body.len())).into_response()
}

async fn serve(desk: Desk) -> (Shared, u16) {
    let desk = Arc::new(desk);
    let app = Router::new()
        .route("/token", post(token))
        .fallback(any(api))
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(desk.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (desk, port)
}

fn long_lived() -> Desk {
    Desk { lifetime: 3600.into(), ..Desk::default() }
}

fn oauth(port: u16, flow: Flow) -> OAuth2 {
    OAuth2 {
        name: "crm".into(),
        token_url: format!("http://localhost:{port}/token").parse().unwrap(),
        client_id: Some("client".into()),
        client_secret: Some("client-secret".to_owned().into()),
        client_auth: ClientAuth::Basic,
        flow,
        scope: Some("tickets".into()),
        parameters: BTreeMap::new(),
        scheme: None,
        private_network: true,
    }
}

async fn load(engine: &Engine, name: &str, port: u16, credential: Credential) -> Result<Plugin, LoadError> {
    let mut spec = spec(name, "desk");
    spec.grants.media = true;
    spec.grants.http.push(HttpGrant {
        ports: vec![port],
        plain_http: true,
        private_network: true,
        credential: Some(credential),
        ..HttpGrant::https(HostPattern::parse("localhost").unwrap())
    });
    engine.load(spec).await
}

async fn plugin(engine: &Engine, port: u16, config: OAuth2) -> Plugin {
    load(engine, "zen", port, Credential::OAuth2(Box::new(config))).await.unwrap()
}

async fn ask(plugin: &Plugin, command: &str) -> BTreeMap<String, String> {
    let snapshot = plugin.read_ticket(command, &desk_call()).await.unwrap();
    snapshot.entries.into_iter().map(|(key, value)| (key, value.into_inner())).collect()
}

#[tokio::test]
async fn a_token_is_asked_for_once_for_all() {
    let (desk, port) = serve(long_lived()).await;
    let engine = engine();
    // Two plugins, and two generations of one: they share the credential, and its token.
    let mut plugins = Vec::new();
    for name in ["one", "two", "one"] {
        let config = oauth(port, Flow::ClientCredentials);
        plugins.push(load(&engine, name, port, Credential::OAuth2(Box::new(config))).await.unwrap());
    }
    let command = format!("post 10 http://localhost:{port}/api");
    let calls = (0..30).map(|call| ask(&plugins[call % 3], &command));
    for answer in futures::future::join_all(calls).await {
        assert_eq!(answer["status"], "200", "{answer:?}");
        // It comes back in a header and in the body, and not to the plugin.
        assert_eq!(answer["x-seen"], format!("Bearer {}", "*".repeat(14)));
        assert_eq!(answer["body"], format!("10 bytes with Bearer {}", "*".repeat(14)));
    }
    let asked = desk.asked.lock().unwrap();
    let [(form, authorization)] = asked.as_slice() else { panic!("{} token requests", asked.len()) };
    assert_eq!((form["grant_type"].as_str(), form["scope"].as_str()), ("client_credentials", "tickets"));
    // base64 of `client:client-secret`
    assert_eq!(authorization.as_deref(), Some("Basic Y2xpZW50OmNsaWVudC1zZWNyZXQ="));
    assert_eq!(desk.took.lock().unwrap().len(), 30);
}

#[tokio::test]
async fn a_token_that_ends_is_replaced_before_it_does() {
    let (desk, port) = serve(Desk { lifetime: 0.into(), ..Desk::default() }).await;
    let engine = engine();
    let plugin = plugin(&engine, port, oauth(port, Flow::ClientCredentials)).await;
    for number in 1..=3 {
        let answer = ask(&plugin, &format!("http GET http://localhost:{port}/api")).await;
        assert_eq!(answer["status"], "200", "{answer:?}");
        assert_eq!(desk.took.lock().unwrap().last().unwrap().0, format!("Bearer access-token-{number}"));
    }
    assert_eq!(desk.refused.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn after_a_401_the_request_is_sent_once_more_with_the_next_token() {
    let (desk, port) = serve(long_lived()).await;
    let engine = engine();
    let plugin = plugin(&engine, port, oauth(port, Flow::ClientCredentials)).await;
    let command = format!("post 100000 http://localhost:{port}/api");
    assert_eq!(ask(&plugin, &command).await["status"], "200");
    // Somebody else got a token: ours is not good any more.
    desk.tokens.fetch_add(1, Ordering::SeqCst);
    assert_eq!(ask(&plugin, &command).await["status"], "200");
    assert_eq!((desk.refused.load(Ordering::SeqCst), desk.asked.lock().unwrap().len()), (1, 2));
    let took = desk.took.lock().unwrap().clone();
    assert_eq!((took.len(), took[1].1.len()), (2, 100_000));
    // A server that takes no token at all does not make us ask for one again and again.
    desk.tokens.fetch_add(1, Ordering::SeqCst);
    for _ in 0..5 {
        assert_eq!(ask(&plugin, &command).await["status"], "401");
    }
    assert_eq!(desk.asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_long_body_is_not_kept_for_a_second_time() {
    let (desk, port) = serve(long_lived()).await;
    let engine = engine();
    let plugin = plugin(&engine, port, oauth(port, Flow::ClientCredentials)).await;
    let command = format!("post 2000000 http://localhost:{port}/api");
    assert_eq!(ask(&plugin, &command).await["status"], "200");
    desk.tokens.fetch_add(1, Ordering::SeqCst);
    assert_eq!(ask(&plugin, &command).await["status"], "401");
    // The next try has the next token.
    assert_eq!(ask(&plugin, &command).await["status"], "200");
    assert_eq!(desk.asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_signed_statement_gets_a_token() {
    let (desk, port) = serve(long_lived()).await;
    let engine = engine();
    // The first key pair of RFC 8032, section 7.1.
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
    let assertion = Assertion {
        algorithm: SigningAlgorithm::EdDsa,
        private_key: pem.to_owned().into(),
        key_id: Some("k1".into()),
        issuer: "app".into(),
        subject: "agent@example.com".into(),
        audience: "https://login.example.com".into(),
        claims: serde_json::Map::new(),
    };
    let config =
        OAuth2 { client_id: None, client_secret: None, ..oauth(port, Flow::JwtBearer(Box::new(assertion.clone()))) };
    let plugin = plugin(&engine, port, config).await;
    assert_eq!(ask(&plugin, &format!("http GET http://localhost:{port}/api")).await["status"], "200");
    {
        let asked = desk.asked.lock().unwrap();
        let (form, authorization) = &asked[0];
        assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
        assert_eq!(form["assertion"].split('.').count(), 3);
        assert_eq!(*authorization, None);
    }
    let wrong = Assertion { algorithm: SigningAlgorithm::Rs256, ..assertion };
    let config = oauth(port, Flow::JwtBearer(Box::new(wrong)));
    let error = load(&engine, "zen", port, Credential::OAuth2(Box::new(config))).await.unwrap_err().to_string();
    assert!(
        error.contains("plugin `zen` is granted for localhost has a private key that is not an RSA key"),
        "{error}"
    );
}

#[tokio::test]
async fn a_credential_without_a_token_is_an_answer_that_plugins_know() {
    let (desk, port) = serve(long_lived()).await;
    let engine = engine();
    let command = format!("post 50000 http://localhost:{port}/api");
    for (refusal, status, word) in [(401, "401", "refused"), (500, "503", "unavailable")] {
        *desk.refuses.lock().unwrap() = Some(refusal);
        let config = OAuth2 { scope: Some(refusal.to_string()), ..oauth(port, Flow::ClientCredentials) };
        let plugin = plugin(&engine, port, config).await;
        let calls = futures::future::join_all((0..5).map(|_| ask(&plugin, &command))).await;
        for answer in calls {
            assert_eq!((answer["status"].as_str(), answer["x-patchbay-credential"].as_str()), (status, word));
            assert!(answer["body"].contains("the credential `crm` cannot be used"), "{answer:?}");
            assert!(
                !answer.contains_key("x-patchbay-denied") && !answer["body"].contains("client-secret"),
                "{answer:?}"
            );
        }
    }
    // Five calls at once asked once, and it is not asked again at once.
    assert_eq!(desk.asked.lock().unwrap().len(), 2);
    assert!(desk.took.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_scheme_stands_before_the_token() {
    let (desk, port) = serve(long_lived()).await;
    let engine = engine();
    let config = OAuth2 { scheme: Some("Zoho-oauthtoken".into()), ..oauth(port, Flow::ClientCredentials) };
    let plugin = plugin(&engine, port, config).await;
    // This server wants another word.
    let answer = ask(&plugin, &format!("http GET http://localhost:{port}/api")).await;
    assert_eq!(answer["body"], format!("not with Zoho-oauthtoken {}", "*".repeat(14)));
    assert_eq!(desk.asked.lock().unwrap().len(), 2);
    for wrong in ["two words", "", "a:b", "line\nbreak"] {
        let config = OAuth2 { scheme: Some(wrong.into()), ..oauth(port, Flow::ClientCredentials) };
        let error = load(&engine, "zen", port, Credential::OAuth2(Box::new(config))).await.unwrap_err().to_string();
        assert!(error.contains("has a scheme that is not one word"), "{error}");
    }
}

#[tokio::test]
async fn the_token_endpoint_is_bound_to_the_same_addresses() {
    let (desk, port) = serve(long_lived()).await;
    let engine = engine();
    let command = format!("http GET http://localhost:{port}/api");
    let plain = OAuth2 { private_network: false, ..oauth(port, Flow::ClientCredentials) };
    let error = load(&engine, "zen", port, Credential::OAuth2(Box::new(plain.clone()))).await.unwrap_err();
    assert!(error.to_string().contains("write https://"), "{error}");
    let https = OAuth2 { token_url: format!("https://localhost:{port}/token").parse().unwrap(), ..plain };
    let plugin = plugin(&engine, port, https).await;
    let answer = ask(&plugin, &command).await;
    assert_eq!((answer["status"].as_str(), answer["x-patchbay-credential"].as_str()), ("503", "unavailable"));
    assert!(answer["body"].contains("the address is not allowed"), "{answer:?}");
    assert!(desk.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_rehearsal_sends_nothing_without_its_own_word() {
    let (desk, port) = serve(long_lived()).await;
    let engine = engine();
    let plugin = plugin(&engine, port, oauth(port, Flow::ClientCredentials)).await;
    let rehearsal = Call { mode: Mode::Rehearsal, ..desk_call() };
    for command in
        [format!("post 50000 http://localhost:{port}/api"), format!("upload http://localhost:{port}/up photo")]
    {
        let snapshot = plugin.read_ticket(&command, &rehearsal).await;
        let said = match snapshot {
            Ok(snapshot) => {
                format!("{:?}", snapshot.entries.iter().map(|(key, value)| (key, value.reveal())).collect::<Vec<_>>())
            }
            Err(CallError::Failed(failure)) => failure.reason().to_owned(),
            Err(other) => panic!("{other}"),
        };
        assert!(said.contains("rehearsal = true") || said.contains("photo"), "{command}: {said}");
    }
    assert!(desk.asked.lock().unwrap().is_empty() && desk.took.lock().unwrap().is_empty());
}
