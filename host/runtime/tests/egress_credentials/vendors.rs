//! Token endpoints with ways of their own, as their vendors document them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use patchbay_runtime::credentials::{Assertion, ClientAuth, Flow, OAuth2, SigningAlgorithm};
use serde_json::{Value, json};

use super::common::*;
use super::{ask, oauth, plugin};

/// What the endpoint answers next, and the forms that it was asked with.
#[derive(Default)]
struct Endpoint {
    answers: Mutex<Vec<(u16, Value)>>,
    forms: Mutex<Vec<BTreeMap<String, String>>>,
}

async fn token(State(endpoint): State<Arc<Endpoint>>, body: Bytes) -> Response {
    endpoint.forms.lock().unwrap().push(url::form_urlencoded::parse(&body).into_owned().collect());
    let (status, answer) = endpoint.answers.lock().unwrap().remove(0);
    (StatusCode::from_u16(status).unwrap(), axum::Json(answer)).into_response()
}

/// Says what it was sent, but for the first letters, so that it is not masked.
async fn api(headers: HeaderMap) -> String {
    headers["authorization"].to_str().unwrap().replace("-token-", " token ")
}

async fn serve(answers: Vec<(u16, Value)>) -> (Arc<Endpoint>, u16) {
    let endpoint = Arc::new(Endpoint { answers: Mutex::new(answers), ..Endpoint::default() });
    let app = Router::new().route("/token", post(token)).route("/api", get(api)).with_state(endpoint.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (endpoint, port)
}

async fn one(port: u16, config: OAuth2) -> BTreeMap<String, String> {
    let plugin = plugin(&engine(), port, config).await;
    ask(&plugin, &format!("http GET http://localhost:{port}/api")).await
}

#[tokio::test]
async fn zoho_says_in_an_answer_of_200_what_is_wrong() {
    let (endpoint, port) = serve(vec![
        (200, json!({ "error": "invalid_code" })),
        (200, json!({ "error": "Access Denied", "error_description": "too many requests", "status": "failure" })),
        (200, json!({ "access_token": "zoho-token-1", "api_domain": "https://www.zohoapis.eu", "token_type": "Bearer", "expires_in": 3600 })),
    ])
    .await;
    // Each is a credential of its own, so that none waits for the pause after the one before.
    let zoho = |name: &str| OAuth2 {
        name: name.into(),
        client_auth: ClientAuth::Body,
        scheme: Some("Zoho-oauthtoken".into()),
        ..oauth(port, Flow::RefreshToken(format!("refresh of {name}").into()))
    };
    let refused = one(port, zoho("first")).await;
    assert_eq!((refused["status"].as_str(), refused["x-patchbay-credential"].as_str()), ("401", "refused"));
    assert!(refused["body"].contains("it answered 200 `invalid_code`"), "{refused:?}");
    let later = one(port, zoho("second")).await;
    assert_eq!((later["status"].as_str(), later["x-patchbay-credential"].as_str()), ("503", "unavailable"));
    let taken = one(port, zoho("third")).await;
    assert_eq!(taken["body"], "Zoho-oauthtoken zoho token 1");
    let forms = endpoint.forms.lock().unwrap();
    let names: Vec<_> = forms[2].keys().map(String::as_str).collect();
    assert_eq!(names, ["client_id", "client_secret", "grant_type", "refresh_token", "scope"]);
}

/// The claims of the statement in a form.
fn claims(form: &BTreeMap<String, String>) -> Value {
    let claims = form["assertion"].split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

/// The first key pair of RFC 8032, section 7.1: which algorithm it is makes no difference here.
fn statement(issuer: &str, subject: &str, audience: &str) -> Assertion {
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
    Assertion {
        algorithm: SigningAlgorithm::EdDsa,
        private_key: pem.to_owned().into(),
        key_id: None,
        issuer: issuer.into(),
        subject: subject.into(),
        audience: audience.into(),
        claims: serde_json::Map::new(),
    }
}

fn without_client(port: u16, statement: Assertion) -> OAuth2 {
    let flow = Flow::JwtBearer(Box::new(statement));
    OAuth2 { client_id: None, client_secret: None, scope: None, ..oauth(port, flow) }
}

#[tokio::test]
async fn salesforce_says_no_life_and_wants_a_short_statement() {
    let (endpoint, port) = serve(vec![
        (
            200,
            json!({ "access_token": "00D-token-1", "scope": "api", "instance_url": "https://acme.my.salesforce.com",
            "id": "https://login.salesforce.com/id/00D/005", "token_type": "Bearer" }),
        ),
        (400, json!({ "error": "invalid_grant", "error_description": "user hasn't approved this consumer" })),
    ])
    .await;
    let config = without_client(port, statement("3MVG9.key", "agent@acme.example", "https://login.salesforce.com"));
    assert_eq!(one(port, config.clone()).await["body"], "Bearer 00D token 1");
    {
        let forms = endpoint.forms.lock().unwrap();
        assert_eq!(forms[0].keys().collect::<Vec<_>>(), ["assertion", "grant_type"]);
        let claims = claims(&forms[0]);
        assert_eq!(
            (&claims["iss"], &claims["sub"], &claims["aud"]),
            (&json!("3MVG9.key"), &json!("agent@acme.example"), &json!("https://login.salesforce.com"))
        );
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let left = claims["exp"].as_u64().unwrap().saturating_sub(now);
        assert!((120..=180).contains(&left), "it takes none of more than three to five minutes: {left}");
    }
    let refused = one(port, OAuth2 { name: "other".into(), ..config }).await;
    assert!(refused["status"] == "401" && refused["body"].contains("`invalid_grant`"), "{refused:?}");
    assert!(!refused["body"].contains("approved"), "{refused:?}");
}

#[tokio::test]
async fn google_wants_the_scope_in_the_statement_and_no_subject_but_another_user() {
    let (endpoint, port) =
        serve(vec![(200, json!({ "access_token": "ya29-token-1", "expires_in": 3599, "token_type": "Bearer" }))]).await;
    let mut statement = statement("robot@project.iam.gserviceaccount.com", "", "https://oauth2.googleapis.com/token");
    statement.claims.insert("scope".into(), "https://www.googleapis.com/auth/cloud-vision".into());
    assert_eq!(one(port, without_client(port, statement)).await["body"], "Bearer ya29 token 1");
    let forms = endpoint.forms.lock().unwrap();
    let claims = claims(&forms[0]);
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/cloud-vision");
    assert_eq!(claims["aud"], "https://oauth2.googleapis.com/token");
    assert!(claims.get("sub").is_none(), "{claims}");
}
