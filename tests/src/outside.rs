//! The world outside of the gateways: the simulated WhatsApp and ticket system, and what a test asks them.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use patchbay_simulator::{Simulator, SimulatorOptions, WhatsappOptions, ZendeskOptions};
use serde_json::{Value, json};

use crate::config::{ENVIRONMENT, PHONE_NUMBER_ID};
use crate::wait::eventually;

/// The simulated WhatsApp and ticket system.
#[derive(Debug)]
pub struct Outside {
    simulator: Simulator,
    pub(crate) client: reqwest::Client,
}

impl Outside {
    /// Starts the simulators.
    ///
    /// # Errors
    /// When they do not start.
    pub async fn start() -> Result<Self> {
        Ok(Self { simulator: Simulator::start(simulator_options()).await?, client: client()? })
    }

    /// The simulators' port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.simulator.addr().port()
    }

    /// Where webhooks go: a gateway's base address.
    pub fn deliver_to(&self, base: &str) {
        self.simulator.set_webhooks(format!("{base}/webhooks/whatsapp"), format!("{base}/webhooks/desk/zendesk"));
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

    /// As [`Outside::text`], however often the webhook has to be delivered until a gateway takes it; gives the message's id.
    ///
    /// # Errors
    /// When the simulator refuses it.
    pub async fn text_until_taken(&self, from: &str, text: &str) -> Result<String> {
        let message = json!({ "from": from, "type": "text", "text": { "body": text } });
        self.write("/_sim/whatsapp/inbound?wait=taken", message).await
    }

    /// As [`Outside::text`], without waiting until the gateway has taken it: for one that may be dead.
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
            // A gateway that stands still must not hold its webhooks for long: others take them.
            delivery_timeout: Duration::from_secs(5),
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
    Ok(reqwest::Client::builder().timeout(Duration::from_secs(180)).build()?)
}
