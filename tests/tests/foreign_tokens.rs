//! OAuth 2, against the authorization server of Authlib: it checks the client, the refresh token and the statement, and an
//! interface beside it takes the token or not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;

use anyhow::Result;
use patchbay_runtime::Credential;
use patchbay_runtime::credentials::{Assertion, ClientAuth, Flow, MemoryTokens, OAuth2, SigningAlgorithm};
use patchbay_tests::eventually;
use patchbay_tests::foreign::Foreign;
use patchbay_tests::sandbox::Sandbox;
use serde_json::{Value, json};

/// The clients that the server knows, with everything in their secrets that is put into headers and forms wrongly.
const BASIC: (&str, &str) = ("desk:1", "basic secret+%20:ä");
const BODY: (&str, &str) = ("desk:2", "body secret+%20&=ä");

fn server(keys: &Value) -> Result<Foreign> {
    Foreign::start("oauth", &[("PUBLIC_KEYS", keys.to_string())])
}

fn config(server: &Foreign, client: Option<(&str, &str)>, client_auth: ClientAuth, flow: Flow) -> Result<OAuth2> {
    Ok(OAuth2 {
        name: "foreign".into(),
        token_url: format!("{}/token", server.url()?).parse()?,
        client_id: client.map(|(id, _)| id.to_owned()),
        client_secret: client.map(|(_, secret)| secret.to_owned().into()),
        client_auth,
        flow,
        scope: Some("read".into()),
        parameters: BTreeMap::new(),
        scheme: None,
        private_network: true,
    })
}

async fn sandbox(server: &Foreign, config: OAuth2) -> Result<Sandbox> {
    Sandbox::open(server.port()?, Credential::OAuth2(Box::new(config)), None).await
}

/// What the interface says to the plugin.
async fn ask(server: &Foreign, plugin: &Sandbox) -> Result<(String, String)> {
    let answer = plugin.ask(&format!("http GET {}/api", server.url()?)).await?;
    Ok((answer["status"].clone(), answer["body"].trim().to_owned()))
}

async fn asked(server: &Foreign) -> Result<usize> {
    let asked = reqwest::Client::new().get(format!("{}/asked", server.url()?)).send().await?;
    let all: Vec<String> = asked.json().await?;
    Ok(all.len())
}

#[tokio::test]
async fn clients_say_who_they_are_in_both_ways() -> Result<()> {
    let server = server(&json!([]))?;
    for (client, way) in [(BASIC, ClientAuth::Basic), (BODY, ClientAuth::Body)] {
        let plugin = sandbox(&server, config(&server, Some(client), way, Flow::ClientCredentials)?).await?;
        let (status, body) = ask(&server, &plugin).await?;
        assert_eq!(status, "200", "{body}");
        assert_eq!(serde_json::from_str::<Value>(&body)?, json!({ "client": client.0, "scope": "read", "user": null }));
    }
    let before = asked(&server).await?;
    for (client, way) in
        [(BASIC, ClientAuth::Body), (BODY, ClientAuth::Basic), ((BASIC.0, "another"), ClientAuth::Basic)]
    {
        let plugin = sandbox(&server, config(&server, Some(client), way, Flow::ClientCredentials)?).await?;
        let (status, body) = ask(&server, &plugin).await?;
        assert_eq!(status, "401", "{body}");
        assert!(body.contains("it answered 401 `invalid_client`") && !body.contains(client.1), "{body}");
    }
    assert_eq!(asked(&server).await?, before + 3, "each was asked for once");
    Ok(())
}

#[tokio::test]
async fn a_refresh_token_that_changes_is_followed_by_two_nodes_at_once() -> Result<()> {
    let server = server(&json!([]))?;
    let flow = || Flow::RefreshToken("the-first-one".to_owned().into());
    let store = Arc::new(MemoryTokens::default());
    let mut nodes = Vec::new();
    for _ in 0..2 {
        let credential = Credential::OAuth2(Box::new(config(&server, Some(BASIC), ClientAuth::Basic, flow())?));
        nodes.push(Sandbox::open(server.port()?, credential, Some(store.clone())).await?);
    }
    // Its access tokens are good for two seconds: both need the next one again and again. A refresh token that is used
    // twice takes all of them away.
    eventually("the fourth token", || async {
        for answer in futures::future::join_all(nodes.iter().map(|node| ask(&server, node))).await {
            let (status, body) = answer?;
            assert_eq!(status, "200", "{body}");
        }
        let asked = asked(&server).await?;
        Ok(if asked >= 4 { Ok(()) } else { Err(format!("{asked} asked for")) })
    })
    .await?;
    // One that knows nothing of it has the first token only, and that one is used up.
    let credential = config(&server, Some(BASIC), ClientAuth::Basic, flow())?;
    let (status, body) = ask(&server, &sandbox(&server, credential).await?).await?;
    assert!(status == "401" && body.contains("`invalid_grant`"), "{status} {body}");
    Ok(())
}

/// A key pair from OpenSSL, in PEM.
fn pair(arguments: &[&str]) -> Result<(String, String)> {
    let folder = tempfile::tempdir()?;
    let (private, public) = (folder.path().join("private.pem"), folder.path().join("public.pem"));
    let made = Command::new("openssl").arg("genpkey").args(arguments).arg("-out").arg(&private).output()?;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let read =
        Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(&private).arg("-out").arg(&public).status()?;
    assert!(read.success());
    Ok((std::fs::read_to_string(private)?, std::fs::read_to_string(public)?))
}

#[tokio::test]
async fn statements_are_taken_from_whom_they_are() -> Result<()> {
    let rsa = pair(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])?;
    let ec = pair(&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])?;
    let server = server(&json!([
        { "id": "rsa", "kind": "RSA", "pem": rsa.1 },
        { "id": "ec", "kind": "EC", "pem": ec.1 },
    ]))?;
    let right = |algorithm, key_id: &str, private: &str| -> Result<Assertion> {
        Ok(Assertion {
            algorithm,
            private_key: private.to_owned().into(),
            key_id: Some(key_id.to_owned()),
            issuer: "signer".into(),
            subject: "agent@example.com".into(),
            audience: format!("{}/token", server.url()?),
            claims: serde_json::Map::new(),
        })
    };
    let with = async |statement: Assertion| {
        let credential = config(&server, None, ClientAuth::Basic, Flow::JwtBearer(Box::new(statement)))?;
        ask(&server, &sandbox(&server, credential).await?).await
    };
    for statement in [right(SigningAlgorithm::Rs256, "rsa", &rsa.0)?, right(SigningAlgorithm::Es256, "ec", &ec.0)?] {
        let (status, body) = with(statement).await?;
        assert_eq!(status, "200", "{body}");
        let said: Value = serde_json::from_str(&body)?;
        assert_eq!(said, json!({ "client": "signer", "scope": "read", "user": "agent@example.com" }));
    }
    let stranger = pair(&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])?;
    let good = right(SigningAlgorithm::Es256, "ec", &ec.0)?;
    for (what, wrong) in [
        ("another's key", right(SigningAlgorithm::Es256, "ec", &stranger.0)?),
        ("another audience", Assertion { audience: "https://elsewhere.example/token".into(), ..good.clone() }),
        ("another issuer", Assertion { issuer: "somebody".into(), ..good.clone() }),
        ("another user", Assertion { subject: "eve@example.com".into(), ..good.clone() }),
        ("no user", Assertion { subject: String::new(), ..good }),
    ] {
        let (status, body) = with(wrong).await?;
        assert!(status == "401" && body.contains("it answered 400 `invalid_grant`"), "{what}: {status} {body}");
    }
    Ok(())
}
