//! How a simulator is set up.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Everything a [`crate::Simulator`] needs to know before it starts.
#[derive(Debug, Clone)]
pub struct SimulatorOptions {
    /// Where to listen. Only a loopback address is accepted; port 0 picks a free port.
    pub listen: SocketAddr,
    /// The messaging side.
    pub whatsapp: WhatsappOptions,
    /// The ticket system.
    pub zendesk: ZendeskOptions,
    /// Meta's OpenAPI description (YAML). When given, every request body for the Graph API is checked against it.
    pub graph_spec: Option<PathBuf>,
}

impl Default for SimulatorOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            whatsapp: WhatsappOptions::default(),
            zendesk: ZendeskOptions::default(),
            graph_spec: None,
        }
    }
}

/// One WhatsApp business number, as Meta would know it.
#[derive(Debug, Clone)]
pub struct WhatsappOptions {
    /// Where webhooks go; `None` keeps them back until [`crate::Simulator::set_webhooks`].
    pub webhook_url: Option<String>,
    /// The app secret that signs webhooks.
    pub app_secret: String,
    /// The text that the receiver of the handshake must know.
    pub verify_token: String,
    /// The number's id in Graph paths.
    pub phone_number_id: String,
    /// The id of the WhatsApp Business Account (`entry[].id`).
    pub business_account: String,
    /// The number as people see it.
    pub display_number: String,
    /// The token that Graph requests must carry.
    pub access_token: String,
    /// Delay before the first redelivery of a webhook; it doubles each time, up to [`Self::retry_cap`].
    pub retry_base: Duration,
    /// The longest delay between two redeliveries.
    pub retry_cap: Duration,
    /// How long one delivery may take before it counts as failed. Meta does not document its limit; vendors quote 5 to 20 s.
    pub delivery_timeout: Duration,
    /// The pause between two statuses (`sent`, `delivered`, `read`) of one message.
    pub status_pause: Duration,
    /// How long a download address of a media file stays valid. Meta: 5 minutes.
    pub media_url_lifetime: Duration,
}

impl Default for WhatsappOptions {
    fn default() -> Self {
        Self {
            webhook_url: None,
            app_secret: "simulated-app-secret".into(),
            verify_token: "simulated-verify-token".into(),
            phone_number_id: "106540352242922".into(),
            business_account: "102290129340398".into(),
            display_number: "15550783881".into(),
            access_token: "simulated-access-token".into(),
            retry_base: Duration::from_secs(2),
            retry_cap: Duration::from_secs(3600),
            delivery_timeout: Duration::from_secs(20),
            status_pause: Duration::from_millis(30),
            media_url_lifetime: Duration::from_secs(300),
        }
    }
}

/// One Zendesk account.
#[derive(Debug, Clone)]
pub struct ZendeskOptions {
    /// Where event webhooks go; `None` keeps them back until [`crate::Simulator::set_webhooks`].
    pub webhook_url: Option<String>,
    /// The webhook's signing secret.
    pub webhook_secret: String,
    /// The agent whose API token is used: `{agent_email}/token:{token}`.
    pub agent_email: String,
    /// The API token.
    pub token: String,
    /// The account's number in webhooks.
    pub account_id: u64,
    /// The agents' groups, which the desk page shows as queues.
    pub groups: Vec<ZendeskGroup>,
    /// Requests in a minute before 429; `None` only sends the headers. Zendesk: 200 to 2,500 by plan.
    pub requests_per_minute: Option<u32>,
    /// Delay before the first redelivery of a webhook; doubles each time.
    pub retry_base: Duration,
    /// How long one delivery may take. Zendesk: about 12 s.
    pub delivery_timeout: Duration,
}

impl Default for ZendeskOptions {
    fn default() -> Self {
        Self {
            webhook_url: None,
            webhook_secret: "simulated-zendesk-webhook-secret".into(),
            agent_email: "agent@example.com".into(),
            token: "simulated-zendesk-token".into(),
            account_id: 21_000_001,
            groups: vec![
                ZendeskGroup { id: 360_000_000_101, name: "Support".into() },
                ZendeskGroup { id: 360_000_000_102, name: "Billing".into() },
                ZendeskGroup { id: 360_000_000_103, name: "Returns".into() },
            ],
            requests_per_minute: None,
            retry_base: Duration::from_secs(1),
            delivery_timeout: Duration::from_secs(12),
        }
    }
}

/// A group of agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZendeskGroup {
    /// Its number, as in `group_id`.
    pub id: u64,
    /// Its name.
    pub name: String,
}
