//! The section about Meta's side: the app that signs webhooks, and the numbers behind it.

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::secret::SecretRef;
use super::units::{Period, url_text};

/// Meta's side: the app that signs the webhooks, and the numbers behind it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Whatsapp {
    /// The Meta app's secrets: each webhook has to be signed with one of them. Several, so that one can be replaced.
    #[schemars(length(min = 1))]
    pub app_secrets: Vec<SecretRef>,
    /// The text that was typed into "Verify token" in Meta's app dashboard.
    pub verify_token: SecretRef,
    /// Where the Graph API is.
    #[serde(default = "default_graph_url", with = "url_text")]
    #[schemars(with = "String", extend("x-form" = "url"))]
    pub graph_url: Url,
    /// The Graph API's version.
    #[serde(default = "default_graph_version")]
    #[schemars(extend("x-form" = "graph-version"))]
    pub graph_version: String,
    /// Show the customer that a message was read, once its event is committed.
    #[serde(default = "default_read_receipts")]
    pub read_receipts: bool,
    /// When it is not known whether a message left: how long to wait for Meta's status of it before it is sent again.
    #[serde(default = "default_reconcile_wait")]
    pub reconcile_wait: Period,
    /// Messages a second from one number. Meta's own limit begins at 80 for a number, and is 1000 for large ones.
    #[serde(default = "default_rate_per_second")]
    #[schemars(range(min = 1, max = 1000))]
    pub rate_per_second: u32,
    /// Templates that are no marketing, by name: they are sent to customers who have stopped marketing messages too. All
    /// others are not.
    #[serde(default)]
    pub utility_templates: Vec<String>,
    /// The business numbers. Webhooks of other numbers are acknowledged and counted, and go nowhere.
    #[schemars(length(min = 1))]
    pub numbers: Vec<Number>,
}

fn default_graph_url() -> Url {
    #[expect(clippy::expect_used, reason = "a constant, and a test reads it")]
    Url::parse("https://graph.facebook.com").expect("a URL")
}

fn default_graph_version() -> String {
    "v24.0".into()
}

const fn default_read_receipts() -> bool {
    true
}

const fn default_reconcile_wait() -> Period {
    Period::seconds(30)
}

const fn default_rate_per_second() -> u32 {
    80
}

/// One business number: a channel.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Number {
    /// The channel's name in chains, logs and the console.
    #[schemars(extend("x-form" = "name"))]
    pub name: String,
    /// Meta's id of the number (not the number itself): WhatsApp Manager shows it under "Phone number ID".
    #[schemars(extend("x-form" = "digits"))]
    pub phone_number_id: String,
    /// Meta's id of the WhatsApp Business account that the number belongs to.
    #[serde(default)]
    #[schemars(extend("x-form" = "digits"))]
    pub business_account: Option<String>,
    /// A system user's token with `whatsapp_business_messaging`.
    pub access_token: SecretRef,
}
