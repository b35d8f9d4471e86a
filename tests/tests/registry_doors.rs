//! Registries behind TLS and behind token servers, as other houses have them: for the command line and for a running gateway.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use patchbay_tests::authority::Authority;
use patchbay_tests::command::text;
use patchbay_tests::components::Version;
use patchbay_tests::config::Options;
use patchbay_tests::registry::{Door, ISSUER, PASSWORD, SERVICE, USER};
use patchbay_tests::{ContainerRegistry, Gateway, House, Patchbay};
use serde_json::{Value, json};
use tempfile::TempDir;

const UNSIGNED: &str = "\n[deployments]\nunsigned = true\n";

/// The variables of a login.
fn login(user: &str, password: &str) -> Vec<(String, String)> {
    vec![("PATCHBAY_REGISTRY_USER".into(), user.into()), ("PATCHBAY_REGISTRY_PASSWORD".into(), password.into())]
}

fn command_line(environment: &[(String, String)]) -> Patchbay {
    environment.iter().fold(Patchbay::offline(), |patchbay, (name, value)| patchbay.with(name, value))
}

/// A component in a file, in a folder.
fn component() -> Result<(TempDir, String)> {
    let folder = tempfile::tempdir()?;
    let file = Version::of("2.0.0").of_router(folder.path())?;
    let file = text(&file).to_owned();
    Ok((folder, file))
}

/// A running gateway with these variables in its environment, and the command line of it.
async fn gateway(environment: &[(String, String)]) -> Result<(House, Patchbay)> {
    let mut house = House::with(Options { more: UNSIGNED.into(), ..Options::default() }).await?;
    let listen = house.gateway()?.url().trim_start_matches("http://").to_owned();
    house.gateway.take().unwrap().terminate().await?;
    house.gateway = Some(Gateway::start_with(&house.config(), &listen, environment).await?);
    let patchbay = Patchbay::of(house.gateway()?).await?;
    Ok((house, patchbay))
}

#[tokio::test]
async fn a_registry_behind_tls_is_believed_by_its_authority() -> Result<()> {
    let authority = Authority::new()?;
    let registry = ContainerRegistry::start(&Door::Password, Some(&authority))?;
    let (folder, file) = component()?;
    let certificate = folder.path().join("authority.pem");
    std::fs::write(&certificate, authority.certificate())?;
    // What is plainly on this machine is spoken to without TLS.
    let name = registry.outer_name("acme/router:2.0.0");
    let push = ["plugin", "push", &file, &name];
    let stranger = command_line(&login(USER, PASSWORD)).run(&push).await?;
    assert!(stranger.code == 1 && stranger.err.contains("SSL_CERT_FILE"), "{stranger:?}");

    let trusting = |mut environment: Vec<(String, String)>| {
        environment.push(("SSL_CERT_FILE".into(), text(&certificate).into()));
        environment
    };
    let anonymous = command_line(&trusting(Vec::new())).run(&push).await?;
    assert!(anonymous.code == 1 && anonymous.err.contains("docker login"), "{anonymous:?}");
    let known = trusting(login(USER, PASSWORD));
    command_line(&known).done(&push).await?;

    // A gateway pulls it in a process of its own, which is told whom to believe and who asks.
    let (_house, patchbay) = gateway(&known).await?;
    let deploy = ["plugin", "deploy", "router", &format!("oci:{name}"), "--wait", "--json"];
    let done = patchbay.rows(&deploy).await?;
    assert_eq!((&done[0]["generation"], &done[0]["state"]), (&json!(2), &json!("active")), "{done:?}");
    Ok(())
}

/// A token server as the distribution project specifies it.
struct TokenServer {
    authority: Authority,
    certificate: String,
    key: EncodingKey,
    /// The scopes that were asked for.
    asked: Mutex<Vec<String>>,
}

impl TokenServer {
    /// Gives the server and its address.
    async fn start() -> Result<(Arc<Self>, String)> {
        let authority = Authority::new()?;
        let (certificate, key) = authority.issue()?;
        let key = EncodingKey::from_ec_pem(key.as_bytes())?;
        let server = Arc::new(Self { authority, certificate, key, asked: Mutex::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let realm = format!("http://{}/token", listener.local_addr()?);
        let router = Router::new().route("/token", get(token)).with_state(Arc::clone(&server));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok((server, realm))
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn token(
    State(server): State<Arc<TokenServer>>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Result<axum::Json<Value>, (StatusCode, &'static str)> {
    let expected = format!("Basic {}", BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}")));
    if headers.get("authorization").is_none_or(|sent| sent != expected.as_str()) {
        return Err((StatusCode::UNAUTHORIZED, r#"{"errors":[{"code":"UNAUTHORIZED","message":"who are you?"}]}"#));
    }
    assert_eq!(query["service"], SERVICE);
    let scope = &query["scope"];
    server.asked.lock().unwrap().push(scope.clone());
    let [kind, name, actions] = scope.splitn(3, ':').collect::<Vec<_>>().try_into().unwrap();
    let now = Timestamp::now().as_second();
    let access = json!([{ "type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>() }]);
    let claims = json!({ "iss": ISSUER, "sub": USER, "aud": SERVICE, "iat": now, "nbf": now - 10, "exp": now + 300,
        "jti": now.to_string(), "access": access });
    // The registry finds the key by the certificate, which it holds against its bundle.
    let certificate: String = server.certificate.lines().filter(|line| !line.starts_with("-----")).collect();
    let header = Header { x5c: Some(vec![certificate]), ..Header::new(Algorithm::ES256) };
    let token = jsonwebtoken::encode(&header, &claims, &server.key).unwrap();
    Ok(axum::Json(json!({ "token": token, "access_token": token, "expires_in": 300 })))
}

#[tokio::test]
async fn a_token_server_says_who_may() -> Result<()> {
    let (server, realm) = TokenServer::start().await?;
    let door = Door::Token { realm, certificate: server.authority.certificate() };
    let registry = ContainerRegistry::start(&door, None)?;
    let (folder, file) = component()?;
    let name = registry.name("acme/router:2.0.0");
    let push = ["plugin", "push", &file, &name];
    let anonymous = command_line(&[]).run(&push).await?;
    assert!(anonymous.code == 1 && anonymous.err.contains("docker login"), "{anonymous:?}");
    let wrong = command_line(&login(USER, "hunter2")).run(&push).await?;
    assert!(wrong.code == 1 && wrong.err.contains(&format!("refuses this to `{USER}`: who are you?")), "{wrong:?}");
    assert!(!wrong.err.contains("hunter2") && server.asked().is_empty());

    let known = login(USER, PASSWORD);
    command_line(&known).done(&push).await?;
    let scopes = server.asked();
    assert!(scopes.contains(&"repository:acme/router:pull,push".to_owned()), "{scopes:?}");
    assert!(scopes.len() <= 2, "one token for each kind of access is enough: {scopes:?}");
    let output = folder.path().join("pulled.wasm");
    command_line(&known).done(&["plugin", "pull", &name, "--output", text(&output), "--no-lock"]).await?;
    assert_eq!(std::fs::read(&output)?, std::fs::read(&file)?);
    assert_eq!(server.asked().last().unwrap(), "repository:acme/router:pull");

    let (_house, patchbay) = gateway(&known).await?;
    let done = patchbay.rows(&["plugin", "deploy", "router", &format!("oci:{name}"), "--wait", "--json"]).await?;
    assert_eq!(done[0]["state"], "active", "{done:?}");
    Ok(())
}
