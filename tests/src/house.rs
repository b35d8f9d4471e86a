//! A gateway and the world outside of it, and what a test asks them.

use std::net::TcpListener;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;

use crate::config::{Options, PHONE_NUMBER_ID, toml};
use crate::gateway::Gateway;
use crate::outside::Outside;

/// A gateway, the simulators and their folder. What is asked of the simulators, it asks [`Outside`].
#[derive(Debug)]
pub struct House {
    /// The gateway; None while it is dead.
    pub gateway: Option<Gateway>,
    outside: Arc<Outside>,
    listen: String,
    folder: TempDir,
}

impl Deref for House {
    type Target = Outside;

    fn deref(&self) -> &Outside {
        &self.outside
    }
}

impl House {
    /// A house with the usual configuration.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn open() -> Result<Self> {
        Self::with(Options::default()).await
    }

    /// A house with a configuration of its own.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn with(mut options: Options) -> Result<Self> {
        let outside = Arc::new(Outside::start().await?);
        let listen = free_address()?;
        options.listen.clone_from(&listen);
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("patchbay.toml"), toml(&options, outside.port()))?;
        let mut house = Self { gateway: None, outside, listen, folder };
        house.start().await?;
        house.outside.deliver_to(&format!("http://{}", house.listen));
        Ok(house)
    }

    /// Starts the gateway (again).
    ///
    /// # Errors
    /// When it does not get ready.
    pub async fn start(&mut self) -> Result<()> {
        self.gateway = Some(Gateway::start(&self.config(), &self.listen).await?);
        Ok(())
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn kill(&mut self) -> Result<()> {
        self.gateway.take().context("the gateway does not run")?.kill().await
    }

    /// The world outside, to share with tasks.
    #[must_use]
    pub const fn outside(&self) -> &Arc<Outside> {
        &self.outside
    }

    /// The configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("patchbay.toml")
    }

    /// The running gateway.
    ///
    /// # Errors
    /// When it does not run.
    pub fn gateway(&self) -> Result<&Gateway> {
        self.gateway.as_ref().context("the gateway does not run")
    }

    /// What the gateway has accepted, newest first.
    ///
    /// # Errors
    /// When the gateway does not answer.
    pub async fn events(&self, query: &str) -> Result<Vec<Value>> {
        Ok(self.api(&format!("/v1/events?{query}")).await?.as_array().context("no list of events")?.clone())
    }

    /// A `GET` on the admin API.
    ///
    /// # Errors
    /// When the gateway does not answer with 200.
    pub async fn api(&self, path: &str) -> Result<Value> {
        self.gateway()?.api(path).await
    }

    /// A `POST` on the admin API.
    ///
    /// # Errors
    /// When the gateway does not answer with success.
    pub async fn api_post(&self, path: &str) -> Result<()> {
        self.gateway()?.api_post(path).await
    }

    /// The mean time from an event's turn to its commit, seconds, from the gateway's metrics.
    ///
    /// # Errors
    /// When the gateway does not answer, or has decided nothing.
    pub async fn decide_seconds(&self) -> Result<f64> {
        let gateway = self.gateway()?;
        let (sum, count) = ("patchbay_decide_seconds_sum", "patchbay_decide_seconds_count");
        Ok(gateway.metric(sum).await? / gateway.metric(count).await?)
    }

    /// Delivers a body to the webhook with this signature header.
    ///
    /// # Errors
    /// When the gateway does not answer.
    pub async fn deliver(&self, body: Vec<u8>, signature: Option<String>) -> Result<StatusCode> {
        let url = format!("http://{}/webhooks/whatsapp", self.listen);
        let mut request = self.client.post(url).header("content-type", "application/json").body(body);
        if let Some(signature) = signature {
            request = request.header("x-hub-signature-256", signature);
        }
        Ok(request.send().await?.status())
    }

    /// Delivers a body, rightly signed.
    ///
    /// # Errors
    /// When the gateway does not answer.
    pub async fn deliver_signed(&self, body: Vec<u8>) -> Result<StatusCode> {
        let signature = sign(&body)?;
        self.deliver(body, Some(signature)).await
    }
}

/// The signature header of a body.
///
/// # Errors
/// Never; a key of any length is taken.
pub fn sign(body: &[u8]) -> Result<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"the-app-secret")?;
    mac.update(body);
    Ok(format!("sha256={}", hex::encode(mac.finalize().into_bytes())))
}

/// A webhook's body with one text message.
#[must_use]
pub fn text_webhook(message: &str, from: &str, text: &str, extra: &Value) -> Vec<u8> {
    let value = json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "15550783881", "phone_number_id": PHONE_NUMBER_ID },
        "contacts": [{ "profile": { "name": "Ada" }, "wa_id": from }],
        "messages": [{ "from": from, "id": message, "timestamp": "1764000000", "type": "text", "text": { "body": text } }],
    });
    let body = json!({ "object": "whatsapp_business_account", "extra": extra,
        "entry": [{ "id": "102290129340398", "changes": [{ "field": "messages", "value": value }] }] });
    body.to_string().into_bytes()
}

/// A loopback address that nobody listens on now.
pub(crate) fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
