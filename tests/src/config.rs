//! The configuration file of a test.

use std::fmt::Write as _;

/// What a test wants different from the usual.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the gateway listens; fixed, so that it comes back there after a kill.
    pub listen: String,
    /// The chain's steps: plugin name and what happens when it fails.
    pub steps: Vec<(String, String)>,
    /// More of the file: plugins, for the most part.
    pub more: String,
    /// How long one desk call may take.
    pub desk_timeout: String,
    /// How long a send whose answer was lost waits for its status.
    pub reconcile_wait: String,
}

impl Default for Options {
    fn default() -> Self {
        let step = |name: &str| (name.to_owned(), "retry".to_owned());
        Self {
            listen: String::new(),
            steps: vec![step("acknowledge"), step("router")],
            more: String::new(),
            desk_timeout: "5s".into(),
            reconcile_wait: "20s".into(),
        }
    }
}

/// Secrets that the gateway is given by environment, as an operator would.
pub const ENVIRONMENT: [(&str, &str); 7] = [
    ("PB_REDIS_PASSWORD", "outside"),
    ("PB_APP_SECRET", "the-app-secret"),
    ("PB_VERIFY_TOKEN", "the-verify-token"),
    ("PB_ACCESS_TOKEN", "the-access-token"),
    ("PB_ZENDESK_TOKEN", "the-zendesk-token"),
    ("PB_ZENDESK_WEBHOOK", "the-zendesk-webhook-secret"),
    ("PB_ADMIN_SECRET", "an-admin-secret-of-at-least-32-bytes"),
];

/// The number's id at the simulated WhatsApp.
pub const PHONE_NUMBER_ID: &str = "106540352242922";
/// What the acknowledgement says.
pub const ACKNOWLEDGEMENT: &str = "Thank you, we have your message.";

/// The file's text, for a simulator on this port.
#[must_use]
pub fn toml(options: &Options, simulator: u16) -> String {
    let mut steps = String::new();
    for (plugin, on_failure) in &options.steps {
        let _ = write!(steps, "\n    {{ plugin = \"{plugin}\", timeout = \"5s\", on_failure = \"{on_failure}\" }},");
    }
    format!(
        r#"
[gateway]
listen = "{listen}"
max_body = "5MiB"
data_dir = "data"
shutdown_grace = "20s"

[whatsapp]
app_secrets = ["env:PB_APP_SECRET"]
verify_token = "env:PB_VERIFY_TOKEN"
graph_url = "http://127.0.0.1:{simulator}/graph"
reconcile_wait = "{reconcile_wait}"
rate_per_second = 500

[[whatsapp.numbers]]
name = "support"
phone_number_id = "{PHONE_NUMBER_ID}"
access_token = "env:PB_ACCESS_TOKEN"

[plugins.acknowledge]
source = "builtin:acknowledge"
[plugins.acknowledge.settings]
quiet_period = "12h"
default_language = "en"
[plugins.acknowledge.settings.texts]
en = "{ACKNOWLEDGEMENT}"

[plugins.router]
source = "builtin:keyword-router"
[plugins.router.settings]
desk = "zendesk"
default_queue = "general"
[[plugins.router.settings.rules]]
words = ["invoice", "refund"]
queue = "billing"
priority = "high"

[plugins.zendesk]
source = "builtin:zendesk"
[plugins.zendesk.settings]
base_url = "http://127.0.0.1:{simulator}/zendesk"
[plugins.zendesk.grants]
media = true
[[plugins.zendesk.grants.http]]
host = "127.0.0.1"
ports = [{simulator}]
plain_http = true
private_network = true
credential = "zendesk"
[plugins.zendesk.secrets]
webhook = "env:PB_ZENDESK_WEBHOOK"

[credentials.zendesk]
type = "basic"
username = "agent@example.com/token"
password = "env:PB_ZENDESK_TOKEN"

[desks.zendesk]
plugin = "zendesk"
timeout = "{desk_timeout}"

[[chains]]
name = "messages"
match = {{ kinds = ["message"] }}
fallback = {{ desk = "zendesk", queue = "general" }}
steps = [{steps}
]

[retry]
first = "100ms"
longest = "1s"
give_up_after = "10m"

[admin]
token_secrets = ["env:PB_ADMIN_SECRET"]
{more}"#,
        listen = options.listen,
        reconcile_wait = options.reconcile_wait,
        desk_timeout = options.desk_timeout,
        more = options.more,
    )
}
