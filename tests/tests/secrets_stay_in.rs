//! A run with every kind of credential and everything logged, against a server that sends back what it is sent: whatever
//! the gateway writes, answers or keeps is searched for every secret of the configuration and every token that came.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use axum::body::Bytes;
use axum::extract::{Path as Segments, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use patchbay_tests::binary::calling_guest;
use patchbay_tests::config::{ENVIRONMENT, Options};
use patchbay_tests::{House, Patchbay, eventually, files};
use serde_json::json;

/// The credentials: their name, which is the path that they are for, and their lines. `{at}` is the server, `{in}` the
/// folder with the secrets, each in a file of its name.
const CREDENTIALS: [(&str, &str); 9] = [
    ("basic", "type = \"basic\"\nusername = \"ada\"\npassword = \"file:{in}/password\""),
    ("bearer", "type = \"bearer\"\ntoken = \"file:{in}/bearer\""),
    ("header", "type = \"header\"\nname = \"X-Api-Key\"\nvalue = \"file:{in}/header\""),
    (
        "client",
        "type = \"oauth2-client-credentials\"\ntoken_url = \"{at}/token/good\"\nclient_id = \"patchbay\"\nclient_secret = \"file:{in}/client\"\nprivate_network = true",
    ),
    (
        "refresh",
        "type = \"oauth2-refresh-token\"\ntoken_url = \"{at}/token/good\"\nclient_id = \"patchbay\"\nclient_secret = \"file:{in}/client\"\nclient_auth = \"body\"\nrefresh_token = \"file:{in}/refresh\"\nprivate_network = true",
    ),
    (
        "jwt",
        "type = \"oauth2-jwt-bearer\"\ntoken_url = \"{at}/token/good\"\nalgorithm = \"ES256\"\nprivate_key = \"file:{in}/key\"\nissuer = \"patchbay\"\nprivate_network = true",
    ),
    (
        "echoed",
        "type = \"oauth2-refresh-token\"\ntoken_url = \"{at}/token/echo\"\nclient_id = \"patchbay\"\nclient_secret = \"file:{in}/client\"\nclient_auth = \"body\"\nrefresh_token = \"file:{in}/echoed\"\nprivate_network = true",
    ),
    (
        "broken",
        "type = \"oauth2-client-credentials\"\ntoken_url = \"{at}/token/broken\"\nclient_id = \"patchbay\"\nclient_secret = \"file:{in}/client\"\nprivate_network = true",
    ),
    (
        "aws",
        "type = \"aws-sigv4\"\naccess_key_id = \"AKIDEXAMPLE\"\nsecret_access_key = \"file:{in}/aws\"\nsession_token = \"file:{in}/session\"\nregion = \"eu-central-1\"\nservice = \"sqs\"",
    ),
];

/// The files with the secrets, but for the private key.
const SECRETS: [(&str, &str); 8] = [
    ("password", "the-basic-password-1"),
    ("bearer", "the-bearer-token-2"),
    ("header", "the-header-value-3"),
    ("client", "theClientSecretFour"),
    ("refresh", "the-refresh-token-5"),
    ("echoed", "theEchoedRefreshTokenSix"),
    ("aws", "the-aws-secret-key-7"),
    ("session", "the-aws-session-token-8"),
];

/// What the server was sent, and gave.
type Seen = Arc<Mutex<Vec<String>>>;

async fn token(State(seen): State<Seen>, Segments(how): Segments<String>, body: Bytes) -> Response {
    let body = String::from_utf8_lossy(&body).into_owned();
    match how.as_str() {
        "good" => {
            let tokens = ["access", "refresh"].map(|kind| format!("the-{kind}-token-that-came-{}", body.len()));
            seen.lock().unwrap().extend(tokens.clone());
            let statement = body.split('&').find_map(|field| field.strip_prefix("assertion="));
            seen.lock().unwrap().extend(statement.map(ToOwned::to_owned));
            let [access, refresh] = tokens;
            Json(json!({ "access_token": access, "expires_in": 3600, "refresh_token": refresh, "note": body }))
                .into_response()
        }
        // Everything that could be quoted is a secret.
        "echo" => {
            let error = "theEchoedRefreshTokenSix";
            let answer = json!({ "error": error, "error_description": body, "error_uri": "theClientSecretFour" });
            (StatusCode::BAD_REQUEST, [("x-echo", "theClientSecretFour")], Json(answer)).into_response()
        }
        _ => (StatusCode::OK, format!("{{ \"access_token\": \"theClientSecretFour\\n{body}")).into_response(),
    }
}

/// Sends back what it was sent, in the headers and in the body.
async fn echo(State(seen): State<Seen>, headers: HeaderMap) -> Response {
    let mut said = String::new();
    for name in ["authorization", "x-api-key", "x-amz-security-token"] {
        if let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) {
            let _ = writeln!(said, "{name}: {value}");
            let secret = value.split_once(' ').map_or(value, |(_, rest)| rest);
            seen.lock().unwrap().push(secret.rsplit("Signature=").next().unwrap_or_default().to_owned());
        }
    }
    ([("x-echo", said.replace('\n', " "))], said).into_response()
}

async fn vendor() -> Result<(Seen, u16)> {
    let seen = Seen::default();
    let app =
        Router::new().route("/token/{how}", post(token)).route("/{*rest}", any(echo)).with_state(Arc::clone(&seen));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok((seen, port))
}

/// A handler with all of the credentials, each for a path of its own; everything is logged.
fn options(secrets: &Path, port: u16) -> Result<Options> {
    for (name, secret) in SECRETS {
        std::fs::write(secrets.join(name), secret)?;
    }
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"])
        .arg(secrets.join("key"))
        .output()?;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut more =
        format!("[telemetry]\nlog = \"trace\"\n[plugins.caller]\nsource = \"file:{}\"\n", calling_guest()?.display());
    for (name, _) in CREDENTIALS {
        write!(
            more,
            "[[plugins.caller.grants.http]]\nhost = \"127.0.0.1\"\nports = [{port}]\npaths = [\"/{name}\"]\nplain_http = \
             true\nprivate_network = true\ncredential = \"{name}\"\n"
        )?;
    }
    for (name, lines) in CREDENTIALS {
        let lines = lines.replace("{at}", &format!("http://127.0.0.1:{port}"));
        writeln!(more, "[credentials.{name}]\n{}", lines.replace("{in}", &secrets.display().to_string()))?;
    }
    let step = |name: &str, on_failure: &str| (name.to_owned(), on_failure.to_owned());
    let steps = vec![step("caller", "skip"), step("acknowledge", "retry"), step("router", "retry")];
    Ok(Options { steps, more, ..Options::default() })
}

/// A secret in the forms in which it could stand somewhere.
fn forms(secret: &str) -> Vec<String> {
    let escaped = secret.replace('\n', "\\n");
    vec![secret.to_owned(), BASE64.encode(secret), hex::encode(secret), escaped]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_written_answered_or_kept() -> Result<()> {
    let (seen, port) = vendor().await?;
    let secrets = tempfile::tempdir()?;
    let house = House::with(options(secrets.path(), port)?).await?;
    let mut written = Vec::new();
    let mut events = Vec::new();
    for (number, (name, _)) in CREDENTIALS.iter().enumerate() {
        let phone = format!("44770090{number:04}");
        let message = house.text(&phone, &format!("call http://127.0.0.1:{port}/{name}/x?number={number}")).await?;
        let event = eventually("the handled event", || async {
            let events = house.events("kind=message.text&limit=100").await?;
            let event = events.iter().find(|event| event["body"]["id"] == message);
            let ticket = house.entries_of(&phone).await?;
            Ok(match event {
                Some(event) if !ticket.is_empty() => Ok(event["id"].as_str().unwrap().to_owned()),
                _ => Err(format!("{ticket:?}")),
            })
        })
        .await?;
        events.push(event);
    }
    let log = house.gateway()?.log();
    // It has happened: all answers came, as they were to come, and everything is logged.
    assert_eq!(log.matches("the server answered 200").count(), 7, "{log}");
    assert_eq!(log.matches("the server answered 401").count(), 1, "{log}");
    assert_eq!(log.matches("the server answered 503").count(), 1, "{log}");
    assert!(log.contains("TRACE") && log.contains("a credential has no token"), "{log}");

    let gateway = house.gateway()?;
    let mut paths: Vec<String> = [
        "events?limit=100",
        "reports",
        "dead-letters",
        "deployments",
        "deployments/caller",
        "store/stats",
        "store/backup",
    ]
    .map(|path| format!("/v1/{path}"))
    .to_vec();
    paths.extend(["/metrics".to_owned(), "/readyz".to_owned()]);
    for event in &events {
        paths.extend([format!("/v1/events/{event}"), format!("/v1/events/{event}/decision")]);
    }
    let client = reqwest::Client::new();
    let token = gateway.token().await?;
    for path in paths {
        let answer = client.get(format!("{}{path}", gateway.url())).bearer_auth(&token).send().await?;
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        written.push((path, answer.bytes().await?.to_vec()));
    }
    let patchbay = Patchbay::of(gateway).await?;
    let config = house.config().display().to_string();
    let commands: [&[&str]; 5] = [
        &["check", "--config", &config],
        &["check", "--json", "--config", &config],
        &["explain", &events[0]],
        &["plugin", "list", "--json"],
        &["plugin", "history", "caller", "--json"],
    ];
    for command in commands {
        let ran = patchbay.run(command).await?;
        written.push((command.join(" "), format!("{}{}", ran.out, ran.err).into_bytes()));
    }
    let folder = house.config().parent().unwrap().to_owned();
    let outside: Vec<String> =
        house.tickets().await?.iter().chain(&house.sent().await?).map(ToString::to_string).collect();
    written.push(("tickets and messages".to_owned(), outside.join("\n").into_bytes()));
    let mut house = house;
    assert!(house.gateway.take().unwrap().terminate().await?.success());
    written.extend(files::below(&folder)?);
    assert!(written.iter().any(|(name, _)| name.ends_with(".log")) && written.len() > 20);

    let key = std::fs::read_to_string(secrets.path().join("key"))?;
    let mut wanted: Vec<String> = SECRETS.iter().map(|(_, secret)| (*secret).to_owned()).collect();
    wanted.extend(
        ENVIRONMENT.iter().filter(|(name, _)| *name != "PB_REDIS_PASSWORD").map(|(_, secret)| (*secret).to_owned()),
    );
    wanted.extend(seen.lock().unwrap().iter().cloned());
    wanted.extend(key.lines().filter(|line| !line.starts_with("-----")).map(ToOwned::to_owned));
    wanted.push("agent@example.com/token:the-zendesk-token".to_owned());
    wanted.push("ada:the-basic-password-1".to_owned());
    wanted.push("patchbay:theClientSecretFour".to_owned());
    assert!(wanted.len() > 25, "{wanted:?}");
    // They were really sent.
    for sent in ["the-bearer-token-2", "the-header-value-3", "the-aws-session-token-8"] {
        assert!(seen.lock().unwrap().iter().any(|seen| seen == sent), "{sent}");
    }
    let mut found = Vec::new();
    for (name, bytes) in &written {
        let text = String::from_utf8_lossy(bytes);
        for form in wanted.iter().filter(|secret| secret.len() >= 8).flat_map(|secret| forms(secret)) {
            if text.contains(&form) {
                found.push(format!("{form} stands in {name}"));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
    Ok(())
}
