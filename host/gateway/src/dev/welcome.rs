//! What is said when everything runs.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use owo_colors::OwoColorize;
use patchbay_model::Timestamp;
use patchbay_simulator::Simulator;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::adapt::Secret;
use crate::config::Config;
use crate::serve::Gateway;
use crate::token;

/// How long the token of a development gateway is good: its secret ends with the process anyway.
const TOKEN_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Where everything is, for scripts and for people.
#[derive(Debug)]
pub(super) struct Addresses {
    gateway: String,
    simulator: String,
    desk: Option<String>,
    phone_number_id: String,
    app_secret: String,
    verify_token: String,
    desk_token: String,
    admin_token: String,
}

impl Addresses {
    pub(super) fn new(
        config: &Config,
        gateway: &Gateway,
        simulator: &Simulator,
        secret: &Secret,
    ) -> anyhow::Result<Self> {
        let admin = SecretString::from(secret.admin.clone());
        let (admin_token, _) = token::issue(&admin, "dev", Timestamp::now(), TOKEN_LIFETIME)?;
        let number = config.whatsapp.numbers.first().context("no number is configured")?;
        Ok(Self {
            gateway: format!("http://{}", gateway.addr()),
            simulator: simulator.url(),
            desk: config.desks.keys().next().cloned(),
            phone_number_id: number.phone_number_id.clone(),
            app_secret: secret.app.clone(),
            verify_token: secret.verify_token.clone(),
            desk_token: secret.desk_token.clone(),
            admin_token: admin_token.expose_secret().to_owned(),
        })
    }

    pub(super) fn webhook(&self) -> String {
        format!("{}/webhooks/whatsapp", self.gateway)
    }

    pub(super) fn desk_webhook(&self) -> String {
        format!("{}/webhooks/desk/{}", self.gateway, self.desk.as_deref().unwrap_or("zendesk"))
    }

    pub(super) fn phone_page(&self) -> String {
        format!("{}/phone", self.simulator)
    }

    pub(super) fn desk_page(&self) -> String {
        format!("{}/desk", self.simulator)
    }

    fn json(&self) -> Value {
        let zendesk = json!({ "url": format!("{}/zendesk", self.simulator), "token": self.desk_token });
        json!({
            "gateway": self.gateway,
            "webhook": self.webhook(),
            "app_secret": self.app_secret,
            "verify_token": self.verify_token,
            "phone_number_id": self.phone_number_id,
            "console": format!("{}/console", self.gateway),
            "admin_token": self.admin_token,
            "simulator": self.simulator,
            "desks": { "zendesk": zendesk },
        })
    }
}

/// One JSON object on one line, and nothing after it.
pub(super) fn print_json(addresses: &Addresses) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", addresses.json()).and_then(|()| out.flush()).context("cannot write to standard output")
}

/// The same for people, with what to try.
pub(super) fn print(addresses: &Addresses, home: &Path) -> anyhow::Result<()> {
    let rows = [
        ("phone", addresses.phone_page(), "write as a customer"),
        ("desk", addresses.desk_page(), "answer as an agent"),
        ("events", format!("{}/v1/events", addresses.gateway), "what was understood (needs the token below)"),
        ("metrics", format!("{}/metrics", addresses.gateway), "figures for Prometheus"),
        ("webhook", addresses.webhook(), "where the simulated WhatsApp delivers"),
    ];
    let mut text = format!("\n{} is running on this machine only.\n\n", "Patchbay".bold());
    for (name, url, what) in rows {
        text += &format!("  {:<8} {:<48} {}\n", name.bold(), url.cyan(), what.dimmed());
    }
    text += &format!("\n{}\n", "Try this".bold());
    text += "  1. On the phone page, type “my invoice is wrong” and send a photo.\n";
    text += "  2. The acknowledgement comes back; its ticks move to delivered and read.\n";
    text +=
        "  3. On the desk page the ticket stands in the queue “billing”. Answer there: the answer is on the phone.\n";
    text += "     An internal note is not.\n\n";
    text += &format!("  export PATCHBAY_URL={}\n", addresses.gateway);
    text += &format!("  export PATCHBAY_TOKEN={}\n", addresses.admin_token);
    text += "  curl -H \"Authorization: Bearer $PATCHBAY_TOKEN\" $PATCHBAY_URL/v1/events\n\n";
    text += &format!("{}\n", format!("Everything is kept in {}. Ctrl-C stops.", home.display()).dimmed());
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write to standard output")
}
