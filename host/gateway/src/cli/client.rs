//! Asking a running gateway.

use std::time::Duration;

use anyhow::Context;
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::args::GatewayArgs;
use super::failure::{FAILED, Failure, REFUSED, WRONG};

/// How long a connection may take: a gateway is near.
const CONNECT: Duration = Duration::from_secs(10);
/// How long nothing may come: a large store is read for some minutes before there is an answer.
const SILENCE: Duration = Duration::from_secs(10 * 60);

/// The admin API of a running gateway.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<SecretString>,
}

impl Client {
    /// For this gateway.
    ///
    /// # Errors
    /// When the system's certificates cannot be read.
    pub fn new(args: &GatewayArgs) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .user_agent(concat!("patchbay/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("cannot build the HTTP client")?;
        Ok(Self { http, base: args.url.clone(), token: args.token.clone() })
    }

    /// `GET`, as JSON.
    ///
    /// # Errors
    /// A [`Failure`] that says what to type next.
    pub async fn get(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<Value> {
        let request = self.request(Method::GET, path)?.query(query);
        self.json(request).await
    }

    /// As [`Client::get`]; none: there is no such thing.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn find(&self, path: &str) -> anyhow::Result<Option<Value>> {
        absent(self.get(path, &[]).await)
    }

    /// `POST` of JSON; the answer as JSON.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post(&self, path: &str, body: &Value, key: Option<&str>) -> anyhow::Result<Value> {
        let mut request = self.request(Method::POST, path)?.json(body);
        if let Some(key) = key {
            request = request.header(crate::http::api::journal::KEY_HEADER, key);
        }
        self.json(request).await
    }

    /// As [`Client::post`]; none: there is no such thing.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn order(&self, path: &str, body: &Value) -> anyhow::Result<Option<Value>> {
        absent(self.post(path, body, None).await)
    }

    /// `POST` of bytes; the answer as JSON.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn upload(&self, path: &str, body: Vec<u8>) -> anyhow::Result<Value> {
        let request = self.request(Method::POST, path)?;
        self.json(request.header(reqwest::header::CONTENT_TYPE, "application/wasm").body(body)).await
    }

    /// As [`Client::upload`], with a header; none where it is empty.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn upload_with(&self, path: &str, body: Vec<u8>, header: (&str, &str)) -> anyhow::Result<Value> {
        let mut request = self.request(Method::POST, path)?;
        if !header.1.is_empty() {
            request = request.header(header.0, header.1);
        }
        self.json(request.header(reqwest::header::CONTENT_TYPE, "application/wasm").body(body)).await
    }

    /// `GET` of something large.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn download(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<reqwest::Response> {
        let request = self.request(Method::GET, path)?.query(query);
        self.send(request).await
    }

    fn request(&self, method: Method, path: &str) -> anyhow::Result<reqwest::RequestBuilder> {
        let base = self.base.as_str().trim_end_matches('/');
        let mut request = self.http.request(method, format!("{base}{path}"));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        Ok(request)
    }

    async fn json(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        let answer = self.send(request).await?;
        let read = answer.json().await;
        read.map_err(|error| {
            let reason = error.without_url();
            Failure::new(FAILED, format!("{} did not answer as a gateway does: {reason}", self.base)).into()
        })
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<reqwest::Response> {
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let text = answer.text().await.unwrap_or_default();
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        let reason = body.get("error").and_then(Value::as_str).map(str::to_owned);
        Err(self.refused(status, reason).into())
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        let url = &self.base;
        let sentence = if error.is_connect() {
            format!(
                "nobody answers at {url}: is the gateway running? Name its address with --url URL or PATCHBAY_URL, or \
                 open the store of a gateway that is stopped with --config FILE where the command has it"
            )
        } else if error.is_timeout() {
            format!("{url} did not answer in time")
        } else {
            // The reason is in the causes; the address is said already.
            let mut reason: &dyn std::error::Error = error;
            while let Some(cause) = reason.source() {
                reason = cause;
            }
            format!("asking {url} did not work: {reason}")
        };
        Failure::new(FAILED, sentence).into()
    }

    fn refused(&self, status: StatusCode, reason: Option<String>) -> Failure {
        let url = &self.base;
        let code = match status {
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => WRONG,
            StatusCode::FORBIDDEN | StatusCode::CONFLICT => REFUSED,
            _ => FAILED,
        };
        let sentence = match (status, reason) {
            (StatusCode::UNAUTHORIZED, reason) => {
                let reason = match &self.token {
                    None => "it wants a token".to_owned(),
                    Some(_) => reason.unwrap_or_else(|| "it does not take this token".into()),
                };
                format!(
                    "{url}: {reason}. Make one where the configuration is, and try again: \
                     export PATCHBAY_TOKEN=$(patchbay token issue --config patchbay.toml)"
                )
            }
            (_, Some(reason)) => reason,
            (StatusCode::NOT_FOUND, None) => {
                format!("{url} does not know what was asked: is it a gateway, and of this version?")
            }
            (status, None) => format!("{url} answered {status}"),
        };
        Failure { code, sentence, absent: status == StatusCode::NOT_FOUND }
    }
}

/// What is not there is no failure.
fn absent(answer: anyhow::Result<Value>) -> anyhow::Result<Option<Value>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.downcast_ref().is_some_and(|failure: &Failure| failure.is_no_such()) => Ok(None),
        Err(error) => Err(error),
    }
}
