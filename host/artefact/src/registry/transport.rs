//! Requests to one repository: `oci-client` asks, and here is bounded, held against digests and put into words what it gives.
//!
//! A blob is read in pieces, and no more of it than its manifest says. A manifest, a token or an error's body is read whole by
//! the library before anybody here can look at its size: a process that must not run out of memory has another one pull.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{HeaderValue, StatusCode};
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{DigestError, OciDistributionError, OciErrorCode};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, RegistryOperation};

use super::error::{RegistryError, words};
use super::login::Login;
use super::{Progress, layout};
use crate::digest::Digest;
use crate::source::Reference;

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(10);
/// Between two pieces of an answer.
const SILENCE: Duration = Duration::from_secs(30);
/// For one thing that is fetched or put: the largest component at 1 Mbit/s takes nine minutes.
const WHOLE: Duration = Duration::from_secs(15 * 60);
/// The largest manifest: what the distribution specification has registries take.
const MANIFEST_MOST: u64 = 4 << 20;
/// The bytes of one piece of an upload, between two steps of a progress bar.
const PIECE: usize = 64 << 10;

/// What is done in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Pull,
    Push,
}

impl Access {
    fn operation(self) -> RegistryOperation {
        match self {
            Self::Pull => RegistryOperation::Pull,
            Self::Push => RegistryOperation::Push,
        }
    }

    /// `pull from acme/router`
    fn of(self, repository: &str) -> String {
        match self {
            Self::Pull => format!("pull from {repository}"),
            Self::Push => format!("push to {repository}"),
        }
    }
}

/// One repository of a registry.
pub(super) struct Transport {
    client: Client,
    pub(super) host: String,
    repository: String,
    login: Option<Login>,
    tls: bool,
}

impl Transport {
    pub(super) fn new(reference: &Reference, login: Option<Login>, plain_http: bool) -> Result<Self, RegistryError> {
        let (host, repository) = (reference.host().to_owned(), reference.repository().to_owned());
        let tls = !plain_http && !reference.is_loopback();
        let config = ClientConfig {
            protocol: if tls { ClientProtocol::Https } else { ClientProtocol::Http },
            // One request for each blob: what every registry takes, and what can be told of as it goes.
            use_monolithic_push: true,
            connect_timeout: Some(CONNECT),
            read_timeout: Some(SILENCE),
            user_agent: concat!("patchbay/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        let client = Client::try_from(config).map_err(|error| RegistryError::Unreachable {
            host: host.clone(),
            reason: format!("no connection can be made from here ({error})"),
        })?;
        Ok(Self { client, host, repository, login, tls })
    }

    /// Says who asks, where the registry wants to know. Everything else is asked after this.
    pub(super) async fn introduce(&self, access: Access) -> Result<(), RegistryError> {
        let (place, login) = (self.place(""), self.login());
        let token = self.client.auth(&place, &login, access.operation());
        let token = self.within(access, "a token", token).await?;
        // The library takes it that every token can be sent back.
        match token.map(|token| HeaderValue::from_str(&format!("Bearer {token}"))) {
            Some(Err(_)) => Err(self.strange("its token cannot be sent")),
            _ => Ok(()),
        }
    }

    /// The manifest of this tag or digest; `None` when there is none.
    pub(super) async fn manifest(&self, name: &str) -> Result<Option<Vec<u8>>, RegistryError> {
        let (place, login) = (self.place(name), self.login());
        let manifest = self.client.pull_manifest_raw(&place, &login, &layout::ACCEPT);
        let what = "a manifest";
        match self.timed(manifest).await? {
            Ok((bytes, _)) if bytes.len() as u64 > MANIFEST_MOST => Err(self.large(what, MANIFEST_MOST)),
            Ok((bytes, _)) => Ok(Some(bytes.to_vec())),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(self.failed(Access::Pull, what, error)),
        }
    }

    /// A blob of this digest and size; `progress` is told of every piece.
    pub(super) async fn blob(
        &self,
        digest: &Digest,
        size: u64,
        what: &'static str,
        progress: &Progress,
    ) -> Result<Vec<u8>, RegistryError> {
        let (place, digest) = (self.place(""), digest.to_string());
        let read = async {
            let mut blob = self.client.pull_blob_stream(&place, digest.as_str()).await?;
            if blob.content_length.is_some_and(|length| length > size) {
                return Ok(None);
            }
            let mut bytes = Vec::new();
            // The last step holds what came against the digest.
            while let Some(piece) = blob.next().await {
                let piece = piece?;
                if (bytes.len() + piece.len()) as u64 > size {
                    return Ok(None);
                }
                bytes.extend_from_slice(&piece);
                progress(piece.len() as u64);
            }
            Ok(Some(bytes))
        };
        self.within(Access::Pull, what, read).await?.ok_or_else(|| self.large(what, size))
    }

    /// Uploads a blob unless it is there.
    pub(super) async fn put_blob(&self, content: Bytes, progress: &Progress) -> Result<(), RegistryError> {
        let (place, digest, size) = (self.place(""), Digest::of(&content).to_string(), content.len() as u64);
        let what = "an upload";
        if self.within(Access::Push, what, self.client.blob_exists(&place, &digest)).await? {
            progress(size);
            return Ok(());
        }
        let pieces = pieces(content, Arc::clone(progress));
        let put = self.client.push_blob_stream(&place, pieces, &digest, Some(size));
        self.within(Access::Push, what, put).await.map(drop)
    }

    /// Puts a manifest under a tag.
    pub(super) async fn put_manifest(&self, tag: &str, manifest: Vec<u8>) -> Result<Digest, RegistryError> {
        let (place, digest) = (self.place(tag), Digest::of(&manifest));
        let put = self.client.push_manifest_raw(&place, manifest, HeaderValue::from_static(layout::MANIFEST));
        self.within(Access::Push, "a manifest", put).await?;
        Ok(digest)
    }

    /// The repository with a tag or a digest, as the library wants to have it.
    fn place(&self, name: &str) -> oci_client::Reference {
        let (host, repository, name) = (self.host.clone(), self.repository.clone(), name.to_owned());
        if name.contains(':') {
            oci_client::Reference::with_digest(host, repository, name)
        } else {
            oci_client::Reference::with_tag(host, repository, name)
        }
    }

    fn login(&self) -> RegistryAuth {
        self.login.as_ref().map_or(RegistryAuth::Anonymous, Login::for_registry)
    }

    async fn within<T>(
        &self,
        access: Access,
        what: &'static str,
        asked: impl Future<Output = Result<T, OciDistributionError>> + Send,
    ) -> Result<T, RegistryError> {
        self.timed(asked).await?.map_err(|error| self.failed(access, what, error))
    }

    async fn timed<T>(&self, asked: impl Future<Output = T> + Send) -> Result<T, RegistryError> {
        let minutes = WHOLE.as_secs() / 60;
        let late = |_| self.unreachable(format!("it took longer than {minutes} minutes"));
        tokio::time::timeout(WHOLE, asked).await.map_err(late)
    }

    /// In our words. Addresses stay out of them: they may hold the key of a signed link.
    fn failed(&self, access: Access, what: &'static str, error: OciDistributionError) -> RegistryError {
        match error {
            OciDistributionError::UnauthorizedError { .. } => self.denied(access, String::new()),
            OciDistributionError::AuthenticationFailure(said) => self.denied(access, said),
            OciDistributionError::RegistryError { envelope, .. } => {
                let is_denial = |code: &OciErrorCode| matches!(code, OciErrorCode::Unauthorized | OciErrorCode::Denied);
                let denied = envelope.errors.iter().any(|error| is_denial(&error.code));
                let code = envelope.errors.first().and_then(|error| serde_json::to_value(&error.code).ok());
                let code = code.and_then(|code| code.as_str().map(str::to_owned));
                let said = serde_json::to_string(&envelope).unwrap_or_default();
                if denied { self.denied(access, said) } else { self.refused(code.unwrap_or_default(), what, &said) }
            }
            OciDistributionError::ServerError { code: 401 | 403, message, .. } => self.denied(access, message),
            OciDistributionError::ServerError { code, message, .. } => {
                let status = StatusCode::from_u16(code).map(|status| status.to_string());
                self.refused(status.unwrap_or_else(|_| code.to_string()), what, &message)
            }
            OciDistributionError::RequestError(error) => match error.status() {
                Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => self.denied(access, String::new()),
                Some(status) => self.refused(status.to_string(), what, ""),
                None => self.unsent(error),
            },
            OciDistributionError::DigestError(error) => self.changed(&error),
            OciDistributionError::IoError(error) => match error.into_inner().map(|inner| inner.downcast()) {
                Some(Ok(digest)) => self.changed(&digest),
                Some(Err(other)) => match other.downcast::<reqwest::Error>() {
                    Ok(error) => self.unsent(*error),
                    Err(other) => self.strange(&other.to_string()),
                },
                None => self.unreachable("the connection broke off".into()),
            },
            OciDistributionError::RegistryNoLocationError => self.strange("it names no place for an upload"),
            OciDistributionError::UrlParseError(_) => self.strange("it names a place for an upload that is no address"),
            OciDistributionError::RegistryTokenDecodeError(_) => self.strange("its token is none"),
            other => self.strange(&other.to_string()),
        }
    }

    fn denied(&self, access: Access, said: String) -> RegistryError {
        let host = self.host.clone();
        match &self.login {
            None => RegistryError::Anonymous { host },
            Some(login) => {
                let (user, what) = (login.user.clone(), access.of(&self.repository));
                RegistryError::Denied { host, user, what, said: words(said.as_bytes()) }
            }
        }
    }

    fn refused(&self, answer: String, what: &'static str, said: &str) -> RegistryError {
        let answer = super::clean(&answer);
        RegistryError::Answer { host: self.host.clone(), answer, what, said: words(said.as_bytes()) }
    }

    fn large(&self, what: &'static str, most: u64) -> RegistryError {
        RegistryError::Large { host: self.host.clone(), what, most }
    }

    fn changed(&self, error: &DigestError) -> RegistryError {
        if let DigestError::VerificationError { expected, actual } = error
            && let (Ok(wanted), Ok(found)) = (expected.parse(), actual.parse())
        {
            return RegistryError::Changed { host: self.host.clone(), wanted, found };
        }
        self.strange(&error.to_string())
    }

    fn strange(&self, what: &str) -> RegistryError {
        RegistryError::Strange { host: self.host.clone(), what: super::clean(what) }
    }

    pub(super) fn unreachable(&self, reason: String) -> RegistryError {
        RegistryError::Unreachable { host: self.host.clone(), reason }
    }

    /// The innermost reason is the one that helps.
    fn unsent(&self, error: reqwest::Error) -> RegistryError {
        if error.is_builder() {
            return self.strange("it names an address that is none");
        }
        let timeout = error.is_timeout();
        let connect = error.is_connect();
        let error = error.without_url();
        let reason = innermost(&error);
        let hint = if timeout {
            "; it took too long"
        } else if self.tls && reason.contains("UnknownIssuer") {
            "; name the file with its authority's certificate in SSL_CERT_FILE"
        } else if self.tls && connect {
            "; a registry without TLS needs --plain-http"
        } else {
            ""
        };
        self.unreachable(format!("{reason}{hint}"))
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut reason = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}

/// Whether there is no such thing. Some registries say so in words of their own.
fn is_absent(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::RegistryError { envelope, .. } => envelope.errors.iter().any(|error| match &error.code {
            OciErrorCode::ManifestUnknown | OciErrorCode::NameUnknown | OciErrorCode::NotFound => true,
            OciErrorCode::Other(code) => code.contains("NOT_FOUND"),
            _ => false,
        }),
        OciDistributionError::ServerError { code, .. } => *code == 404,
        _ => false,
    }
}

/// The content in pieces, each told of as it goes.
fn pieces(
    content: Bytes,
    progress: Progress,
) -> impl futures::Stream<Item = Result<Bytes, OciDistributionError>> + Send + 'static {
    stream::unfold(content, move |mut rest| {
        let piece = rest.split_to(rest.len().min(PIECE));
        if !piece.is_empty() {
            progress(piece.len() as u64);
        }
        std::future::ready((!piece.is_empty()).then_some((Ok(piece), rest)))
    })
}
