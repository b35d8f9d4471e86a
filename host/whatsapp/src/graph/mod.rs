//! Messages, receipts and files over the Graph API.
//!
//! Every failure says what is to become of the task: [`Failure::Retry`], with `uncertain` where the message may have been
//! sent and only the answer is missing; [`Failure::Credential`] where nothing can be sent until a person has acted;
//! [`Failure::Permanent`] where this message will never be taken. Meta knows no idempotency key, so an uncertain message
//! is settled by the status that carries its reference.

mod answer;
mod body;
mod codes;
mod errors;
mod limits;
mod media;
mod redact;

use std::time::Duration;

use patchbay_model::{Failure, Identity, Outgoing};
use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use thiserror::Error;
use url::Url;

pub use media::RemoteMedia;

use crate::wire::Fields;
use errors::Purpose;

/// Meta's edge has refused the defaults of HTTP libraries.
const USER_AGENT: &str = concat!("patchbay/", env!("CARGO_PKG_VERSION"));

/// For a connection to be made. Far below the time for a whole call, so that a dead address is known to have had no effect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// One business number's side of the Graph API. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Graph {
    options: GraphOptions,
    authorisation: HeaderValue,
    client: reqwest::Client,
}

/// What a [`Graph`] needs to know.
#[derive(Clone, Debug)]
pub struct GraphOptions {
    /// `https://graph.facebook.com`, or a simulator's; a path in it is kept.
    pub base_url: Url,
    /// The API's version: `v24.0`.
    pub version: String,
    /// The number that sends.
    pub phone_number_id: String,
    /// A system user's token with `whatsapp_business_messaging`.
    pub access_token: SecretString,
    /// For a whole call; in a download, for the longest silence.
    pub timeout: Duration,
}

/// Why a [`Graph`] could not be made.
#[derive(Debug, Error)]
pub enum GraphError {
    /// The HTTP client could not be made.
    #[error("the HTTP client could not be made: {0}")]
    Client(#[source] reqwest::Error),
    /// An option is of no use.
    #[error("{option} {problem}")]
    Option {
        /// Which.
        option: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// An HTTP client for any number of [`Graph`]s: no redirects, and a name of our own.
///
/// # Errors
/// The client could not be made.
pub fn client() -> Result<reqwest::Client, GraphError> {
    reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .build()
        .map_err(GraphError::Client)
}

impl Graph {
    /// With an HTTP client of its own.
    ///
    /// # Errors
    /// An option is of no use, or the client could not be made.
    pub fn new(options: GraphOptions) -> Result<Self, GraphError> {
        Self::with_client(options, client()?)
    }

    /// With a client from [`client`] that several numbers share.
    ///
    /// # Errors
    /// An option is of no use.
    pub fn with_client(options: GraphOptions, client: reqwest::Client) -> Result<Self, GraphError> {
        let check = |good: bool, option, problem| {
            if good { Ok(()) } else { Err(GraphError::Option { option, problem }) }
        };
        let web = matches!(options.base_url.scheme(), "http" | "https") && options.base_url.has_host();
        check(web, "base_url", "is not a web address such as https://graph.facebook.com")?;
        check(is_version(&options.version), "version", "is not a version of the Graph API such as v24.0")?;
        let number = &options.phone_number_id;
        let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_alphanumeric());
        check(plain, "phone_number_id", "is not a phone number id: digits, from the WhatsApp manager")?;
        let token = options.access_token.expose_secret();
        check(!token.is_empty(), "access_token", "is empty")?;
        let unfit =
            GraphError::Option { option: "access_token", problem: "holds spaces or other signs that no token has" };
        let plain = token.bytes().all(|byte| byte.is_ascii_graphic());
        let header = HeaderValue::from_str(&format!("Bearer {token}")).ok().filter(|_| plain);
        let mut authorisation = header.ok_or(unfit)?;
        authorisation.set_sensitive(true);
        Ok(Self { options, authorisation, client })
    }

    /// Sends a message; gives the id by which WhatsApp knows it. That it was taken does not say that it will arrive.
    ///
    /// `to` are the customer's identities, the surest first; a phone number is preferred. `reference` comes back in every
    /// status of the message (see [`mod@crate::reference`]).
    ///
    /// # Errors
    /// By Meta's code. Permanent, without asking Meta, for what it is known not to take.
    pub async fn send(&self, to: &[Identity], message: &Outgoing, reference: &str) -> Result<String, Failure> {
        let body = body::message(to, message, reference)?;
        let answer = self.post(&body, Purpose::Send).await?;
        let id = serde_json::from_slice(&answer).ok().and_then(Fields::of).and_then(|answer| {
            let message = Fields::of(answer.list("messages").first()?)?;
            message.text("id")
        });
        id.ok_or_else(|| Failure::uncertain("WhatsApp's answer does not name the message that it took"))
    }

    /// Shows the customer that a message and those before it were read, and with `typing` also that an answer is being
    /// written (until it comes, or for 25 seconds).
    ///
    /// # Errors
    /// By Meta's code. Never uncertain: it may be done twice.
    pub async fn mark_read(&self, message: &str, typing: bool) -> Result<(), Failure> {
        if message.is_empty() {
            return Err(Failure::permanent("a message without an id cannot be marked as read"));
        }
        let mut body = json!({ "messaging_product": "whatsapp", "status": "read", "message_id": message });
        if let Some(body) = body.as_object_mut().filter(|_| typing) {
            body.insert("typing_indicator".into(), json!({ "type": "text" }));
        }
        self.post(&body, Purpose::Receipt).await.map(|_| ())
    }

    async fn post(&self, body: &serde_json::Value, purpose: Purpose) -> Result<Vec<u8>, Failure> {
        let url = self.url(&[&self.options.phone_number_id, "messages"]);
        let request = self.authorised(self.client.post(url)).timeout(self.options.timeout).json(body);
        answer::successful(request, purpose).await
    }

    fn authorised(&self, request: RequestBuilder) -> RequestBuilder {
        request.header(AUTHORIZATION, self.authorisation.clone())
    }

    /// The URL of an object of this version.
    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.options.base_url.clone();
        // A web address always has a path: that it is one was checked when this was made.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(&self.options.version).extend(path);
        }
        url
    }
}

fn is_version(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.strip_prefix('v').and_then(|number| number.split_once('.')).is_some_and(|(a, b)| digits(a) && digits(b))
}
