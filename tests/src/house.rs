//! A gateway and its simulator together, and what a test asks them.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hmac::{Hmac, KeyInit, Mac};
use patchbay_simulator::{Simulator, SimulatorOptions, WhatsappOptions, ZendeskOptions};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;

use crate::config::{ENVIRONMENT, Options, PHONE_NUMBER_ID, toml};
use crate::gateway::Gateway;
use crate::wait::eventually;

/// A gateway, its simulator and their folder.
#[derive(Debug)]
pub struct House {
    /// The gateway; None while it is dead.
    pub gateway: Option<Gateway>,
    simulator: Simulator,
    client: reqwest::Client,
    listen: String,
    folder: TempDir,
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
        let simulator = Simulator::start(simulator_options()).await?;
        let listen = free_address()?;
        options.listen.clone_from(&listen);
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("patchbay.toml"), toml(&options, simulator.addr().port()))?;
        let mut house = Self { gateway: None, simulator, client: client()?, listen, folder };
        house.start().await?;
        let base = format!("http://{}", house.listen);
        house.simulator.set_webhooks(format!("{base}/webhooks/whatsapp"), format!("{base}/webhooks/desk/zendesk"));
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

    /// A customer writes a text, which the gateway has taken when this returns; gives the message's id.
    ///
    /// # Errors
    /// When the simulator refuses it.
    pub async fn text(&self, from: &str, text: &str) -> Result<String> {
        self.inbound(json!({ "from": from, "type": "text", "text": { "body": text } })).await
    }

    /// A customer writes, and the gateway has taken it when this returns; gives the message's id.
    ///
    /// # Errors
    /// When the simulator refuses it.
    pub async fn inbound(&self, message: Value) -> Result<String> {
        self.write("/_sim/whatsapp/inbound?wait=1", message).await
    }

    /// As [`House::text`], without waiting until the gateway has taken it: for one that may be dead.
    ///
    /// # Errors
    /// When the simulator refuses it.
    pub async fn leave(&self, from: &str, text: &str) -> Result<String> {
        let message = json!({ "from": from, "type": "text", "text": { "body": text } });
        self.write("/_sim/whatsapp/inbound", message).await
    }

    async fn write(&self, path: &str, message: Value) -> Result<String> {
        let answer = self.sim_post(path, &message).await?;
        Ok(answer.get("id").and_then(Value::as_str).context("no message id in the simulator's answer")?.to_owned())
    }

    /// What the gateway has sent to customers: messages, without receipts.
    ///
    /// # Errors
    /// When the simulator cannot be asked.
    pub async fn sent(&self) -> Result<Vec<Value>> {
        let all = self.sim_get("/_sim/whatsapp/sent").await?;
        let all = all.as_array().context("no list of sent messages")?.clone();
        let receipt = |row: &Value| text_at(row, "/type") == "read" || text_at(row, "/body/status") == "read";
        Ok(all.into_iter().filter(|row| !receipt(row)).collect())
    }

    /// The tickets in the simulated Zendesk.
    ///
    /// # Errors
    /// When the simulator cannot be asked.
    pub async fn tickets(&self) -> Result<Vec<Value>> {
        let all = self.sim_get("/_sim/desks/zendesk/tickets").await?;
        Ok(all.as_array().context("no list of tickets")?.clone())
    }

    /// The texts of a customer's ticket entries, over all tickets of that phone number, in order.
    ///
    /// # Errors
    /// When the simulator cannot be asked.
    pub async fn entries_of(&self, phone: &str) -> Result<Vec<String>> {
        let mut texts = Vec::new();
        for ticket in self.tickets().await? {
            let number: String = text_at(&ticket, "/requester/phone").chars().filter(char::is_ascii_digit).collect();
            if number == phone {
                let entries = ticket.get("entries").and_then(Value::as_array).cloned().unwrap_or_default();
                texts.extend(entries.iter().map(|entry| text_at(entry, "/text").to_owned()));
            }
        }
        Ok(texts)
    }

    /// An agent acts in a ticket.
    ///
    /// # Errors
    /// When the simulator refuses it.
    pub async fn agent(&self, action: Value) -> Result<Value> {
        self.sim_post("/_sim/desks/zendesk/reply", &action).await
    }

    /// Makes the simulator misbehave.
    ///
    /// # Errors
    /// When the simulator refuses it.
    pub async fn fault(&self, fault: Value) -> Result<()> {
        self.sim_post("/_sim/faults", &fault).await.map(|_| ())
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
        let token = self.token().await?;
        let answer = self.client.get(format!("http://{}{path}", self.listen)).bearer_auth(token).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("{path}: {status}: {text}");
        }
        Ok(serde_json::from_str(&text)?)
    }

    /// A `POST` on the admin API.
    ///
    /// # Errors
    /// When the gateway does not answer with success.
    pub async fn api_post(&self, path: &str) -> Result<()> {
        let token = self.token().await?;
        let answer = self.client.post(format!("http://{}{path}", self.listen)).bearer_auth(token).send().await?;
        answer.error_for_status()?;
        Ok(())
    }

    /// Puts a file where a customer's message can name it; gives its media id.
    ///
    /// # Errors
    /// When the simulator refuses it.
    pub async fn upload(&self, name: &str, mime: &str, bytes: &[u8]) -> Result<String> {
        let part = reqwest::multipart::Part::bytes(bytes.to_vec()).file_name(name.to_owned()).mime_str(mime)?;
        let form = reqwest::multipart::Form::new().part("file", part);
        let url = format!("{}/_sim/whatsapp/media", self.simulator.url());
        let answer: Value = self.client.post(url).multipart(form).send().await?.error_for_status()?.json().await?;
        Ok(answer.get("id").and_then(Value::as_str).context("no media id in the simulator's answer")?.to_owned())
    }

    /// The mean time from an event's turn to its commit, seconds, from the gateway's metrics.
    ///
    /// # Errors
    /// When the gateway does not answer, or has decided nothing.
    pub async fn decide_seconds(&self) -> Result<f64> {
        let text = self.client.get(format!("http://{}/metrics", self.listen)).send().await?.text().await?;
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse::<f64>().ok());
            line.with_context(|| format!("no metric {name}"))
        };
        Ok(value("patchbay_decide_seconds_sum")? / value("patchbay_decide_seconds_count")?)
    }

    /// A token from the command that an operator would use.
    async fn token(&self) -> Result<String> {
        let output = tokio::process::Command::new(crate::binary::patchbay()?)
            .args(["token", "issue", "--config"])
            .arg(self.config())
            .env_clear()
            .envs(ENVIRONMENT)
            .output()
            .await?;
        if !output.status.success() {
            bail!("patchbay token issue: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
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

    /// Waits until a customer's ticket entries are these.
    ///
    /// # Errors
    /// When they do not come to be.
    pub async fn expect_entries(&self, phone: &str, expected: &[&str]) -> Result<()> {
        eventually("the ticket's entries", || async {
            let entries = self.entries_of(phone).await?;
            Ok(if entries == expected { Ok(()) } else { Err(format!("{entries:?}")) })
        })
        .await
    }

    /// A `GET` on the simulator.
    ///
    /// # Errors
    /// When it does not answer with 200.
    pub async fn sim_get(&self, path: &str) -> Result<Value> {
        let answer = self.client.get(format!("{}{path}", self.simulator.url())).send().await?.error_for_status()?;
        Ok(answer.json().await?)
    }

    /// A `POST` on the simulator.
    ///
    /// # Errors
    /// When it does not answer with success.
    pub async fn sim_post(&self, path: &str, body: &Value) -> Result<Value> {
        let answer = self.client.post(format!("{}{path}", self.simulator.url())).json(body).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("{path}: {status}: {text}");
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }
}

/// The text at this place of a value; empty, if none is there.
fn text_at<'a>(value: &'a Value, place: &str) -> &'a str {
    value.pointer(place).and_then(Value::as_str).unwrap_or_default()
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

fn simulator_options() -> SimulatorOptions {
    let secret = |name: &str| {
        ENVIRONMENT.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()).unwrap_or_default()
    };
    SimulatorOptions {
        whatsapp: WhatsappOptions {
            app_secret: secret("PB_APP_SECRET"),
            verify_token: secret("PB_VERIFY_TOKEN"),
            access_token: secret("PB_ACCESS_TOKEN"),
            phone_number_id: PHONE_NUMBER_ID.into(),
            retry_base: Duration::from_millis(50),
            retry_cap: Duration::from_millis(400),
            ..WhatsappOptions::default()
        },
        zendesk: ZendeskOptions {
            token: secret("PB_ZENDESK_TOKEN"),
            webhook_secret: secret("PB_ZENDESK_WEBHOOK"),
            retry_base: Duration::from_millis(50),
            ..ZendeskOptions::default()
        },
        graph_spec: Some(crate::binary::root().join("tests/specs/whatsapp-business-messaging-v23.yaml")),
        ..SimulatorOptions::default()
    }
}

fn client() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder().timeout(Duration::from_secs(30)).build()?)
}

/// A loopback address that nobody listens on now.
fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
