//! Requests to one registry: who asks (Basic, or a token of the distribution specification's own kind), how long an answer may
//! take, and how much of it is taken. A registry is not trusted: every body is bounded, and its words are cleaned.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use reqwest::{Client, RequestBuilder, Response, redirect};
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use super::error::{RegistryError, words};
use super::login::{Login, sensitive};
use crate::source::Reference;

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(10);
/// Between two pieces of an answer.
const SILENCE: Duration = Duration::from_secs(30);
/// For a whole request: the largest component at 1 Mbit/s takes nine minutes.
const WHOLE: Duration = Duration::from_secs(15 * 60);
/// As many redirects as browsers follow in practice; registries send blobs from elsewhere by one.
const REDIRECTS: usize = 5;
/// The most bytes of a token's answer and of an error's body.
const WORDS_MOST: u64 = 64 << 10;

/// What is done in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Access {
    Pull,
    Push,
}

impl Access {
    /// As the token specification has it.
    fn actions(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "pull,push",
        }
    }
}

/// One repository of a registry.
pub(super) struct Transport {
    client: Client,
    pub(super) host: String,
    repository: String,
    base: Url,
    login: Option<Login>,
    headers: Mutex<BTreeMap<Access, HeaderValue>>,
}

impl Transport {
    pub(super) fn new(reference: &Reference, login: Option<Login>, plain_http: bool) -> Result<Self, RegistryError> {
        let host = reference.host().to_owned();
        let unusable = |reason: String| RegistryError::Unreachable { host: host.clone(), reason };
        let scheme = if plain_http || reference.is_loopback() { "http" } else { "https" };
        // Docker's own registry has another name than the one that people write.
        let name = if host == "docker.io" { "registry-1.docker.io" } else { &host };
        let base = Url::parse(&format!("{scheme}://{name}/v2/{}/", reference.repository()));
        let base = base.map_err(|error| unusable(error.to_string()))?;
        let redirects = redirect::Policy::custom(|attempt| {
            let from_tls = attempt.previous().iter().any(|url| url.scheme() == "https");
            if attempt.previous().len() > REDIRECTS || (from_tls && attempt.url().scheme() != "https") {
                attempt.stop()
            } else {
                attempt.follow()
            }
        });
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .timeout(WHOLE)
            .redirect(redirects)
            .user_agent(concat!("patchbay/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        let repository = reference.repository().to_owned();
        Ok(Self { client, host, repository, base, login, headers: Mutex::default() })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// An address below the repository, or one that the registry gave.
    pub(super) fn url(&self, path: &str) -> Result<Url, RegistryError> {
        self.base.join(path).map_err(|error| self.unreachable(format!("it names an address that is none ({error})")))
    }

    /// Sends a request, and once more when the registry wants to know who asks.
    pub(super) async fn send(
        &self,
        access: Access,
        request: impl Fn() -> RequestBuilder + Send,
    ) -> Result<Response, RegistryError> {
        let answer = self.once(access, request()).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let header = self.introduce(access, answer.headers()).await?;
        self.headers.lock().unwrap_or_else(PoisonError::into_inner).insert(access, header);
        let answer = self.once(access, request()).await?;
        if matches!(answer.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(self.denied(access, answer).await);
        }
        Ok(answer)
    }

    async fn once(&self, access: Access, request: RequestBuilder) -> Result<Response, RegistryError> {
        let mut request = request.build().map_err(|error| self.failed(error))?;
        // A registry may send an upload elsewhere: nobody there learns who we are.
        if request.url().origin() == self.base.origin() {
            let header = self.headers.lock().unwrap_or_else(PoisonError::into_inner).get(&access).cloned();
            if let Some(header) = header {
                request.headers_mut().insert(AUTHORIZATION, header);
            }
        }
        self.client.execute(request).await.map_err(|error| self.failed(error))
    }

    /// What to say to a registry that wants to know who asks.
    async fn introduce(&self, access: Access, headers: &HeaderMap) -> Result<HeaderValue, RegistryError> {
        let challenges: Vec<Challenge> = headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| Challenge::parse(value.to_str().ok()?))
            .collect();
        let anonymous = || RegistryError::Anonymous { host: self.host.clone() };
        let basic = self.login.as_ref().and_then(Login::basic);
        let Some(bearer) = challenges.iter().find(|challenge| challenge.scheme == "bearer") else {
            return basic.ok_or_else(anonymous);
        };
        let realm = bearer.parameters.get("realm").and_then(|realm| Url::parse(realm).ok());
        // A registry on plain HTTP, on this machine, has its tokens from there too.
        let realm = realm.filter(|realm| realm.scheme() == "https" || realm.scheme() == self.base.scheme());
        let realm = realm.ok_or_else(|| self.unreachable("it names no good address for a token".into()))?;
        let scope = format!("repository:{}:{}", self.repository, access.actions());
        let mut query = vec![("scope", scope.as_str())];
        if let Some(service) = bearer.parameters.get("service") {
            query.push(("service", service));
        }
        let mut request = self.client.get(realm).query(&query);
        if let Some(basic) = basic {
            request = request.header(AUTHORIZATION, basic);
        }
        let answer = request.send().await.map_err(|error| self.failed(error))?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(self.denied(access, answer).await),
            _ => return Err(self.refused("a token", answer).await),
        }
        let body = Zeroizing::new(self.body(answer, WORDS_MOST, "a token", |_| ()).await?);
        let token: Token = serde_json::from_slice(&body).map_err(|_| self.unreachable("its token is none".into()))?;
        let token = token.token.or(token.access_token).map(Zeroizing::new);
        token.and_then(|token| sensitive("Bearer", &token)).ok_or_else(|| self.unreachable("its token is none".into()))
    }

    async fn denied(&self, access: Access, answer: Response) -> RegistryError {
        let Some(login) = &self.login else { return RegistryError::Anonymous { host: self.host.clone() } };
        let body = self.body(answer, WORDS_MOST, "an error", |_| ()).await.unwrap_or_default();
        let what = match access {
            Access::Pull => format!("pull from {}", self.repository),
            Access::Push => format!("push to {}", self.repository),
        };
        RegistryError::Denied { host: self.host.clone(), user: login.user.clone(), what, said: words(&body) }
    }

    /// For an answer with another status than what was asked for has.
    pub(super) async fn refused(&self, what: &'static str, answer: Response) -> RegistryError {
        let status = answer.status();
        let body = self.body(answer, WORDS_MOST, "an error", |_| ()).await.unwrap_or_default();
        RegistryError::Answer { host: self.host.clone(), status, what, said: words(&body) }
    }

    /// A body of at most so many bytes; `progress` is told of every piece.
    pub(super) async fn body(
        &self,
        mut answer: Response,
        most: u64,
        what: &'static str,
        progress: impl Fn(u64) + Send,
    ) -> Result<Vec<u8>, RegistryError> {
        let large = || RegistryError::Large { host: self.host.clone(), what, most };
        if answer.content_length().is_some_and(|length| length > most) {
            return Err(large());
        }
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| self.failed(error))? {
            if (body.len() + piece.len()) as u64 > most {
                return Err(large());
            }
            body.extend_from_slice(&piece);
            progress(piece.len() as u64);
        }
        Ok(body)
    }

    pub(super) fn unreachable(&self, reason: String) -> RegistryError {
        RegistryError::Unreachable { host: self.host.clone(), reason }
    }

    /// The innermost reason is the one that helps; addresses may hold keys of a signed link.
    fn failed(&self, error: reqwest::Error) -> RegistryError {
        let timeout = error.is_timeout();
        let error = error.without_url();
        let mut reason: &dyn std::error::Error = &error;
        while let Some(source) = reason.source() {
            reason = source;
        }
        let hint = if timeout {
            "; it took too long"
        } else if self.base.scheme() == "https" && error.is_connect() {
            "; a registry without TLS needs --plain-http"
        } else {
            ""
        };
        self.unreachable(format!("{reason}{hint}"))
    }
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// What a registry wants to know: `Bearer realm="https://auth.example.com/token",service="registry"`.
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    /// In lower case.
    scheme: String,
    parameters: BTreeMap<String, String>,
}

impl Challenge {
    /// Reads a header with one challenge, as registries send them.
    fn parse(text: &str) -> Option<Self> {
        let (scheme, mut rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let mut parameters = BTreeMap::new();
        while let Some((name, after)) = rest.split_once('=') {
            let (value, next) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => after.split_at(after.find(',').unwrap_or(after.len())),
            };
            let name = name.trim_matches(|letter: char| letter == ',' || letter.is_ascii_whitespace());
            parameters.insert(name.to_ascii_lowercase(), value.trim().to_owned());
            rest = next;
        }
        (!scheme.is_empty()).then(|| Self { scheme: scheme.to_ascii_lowercase(), parameters })
    }
}

#[cfg(test)]
mod tests {
    use super::Challenge;

    #[test]
    fn a_challenge_is_read() {
        let bearer = Challenge::parse(
            r#"Bearer realm="https://auth.example.com/token?a=b,c",service="registry",scope="repository:a/b:pull,push""#,
        );
        let bearer = bearer.unwrap();
        assert_eq!(bearer.scheme, "bearer");
        assert_eq!(bearer.parameters["realm"], "https://auth.example.com/token?a=b,c");
        assert_eq!(bearer.parameters["service"], "registry");
        assert_eq!(bearer.parameters["scope"], "repository:a/b:pull,push");
        assert_eq!(Challenge::parse("basic realm=x, charset=UTF-8").unwrap().parameters.len(), 2);
        assert_eq!(Challenge::parse("Negotiate").unwrap().scheme, "negotiate");
        assert_eq!(Challenge::parse(""), None);
        assert_eq!(Challenge::parse(r#"Bearer realm="without an end"#), None);
    }
}
