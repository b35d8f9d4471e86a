//! A configuration that points at the simulators, with secrets made for this run.

use std::net::SocketAddr;
use std::path::Path;

use patchbay_simulator::{Simulator, SimulatorOptions, WhatsappOptions, ZendeskOptions};
use rand::distr::{Alphanumeric, SampleString};
use secrecy::SecretString;
use serde_json::Value;

use crate::config::{Config, Credential, HttpGrant, SecretRef, SecretRefs};

/// The name of the credential that desks get. It stands in no file, so it takes none of the operator's names.
const CREDENTIAL: &str = "simulated-desk";
/// Characters of a drawn secret: 32 out of 62 are 190 bits.
const SECRET_CHARS: usize = 32;

/// The secrets of one run. They guard nothing but loopback; drawn all the same, so that nobody gets used to known ones.
#[derive(Debug)]
pub(super) struct Secret {
    pub(super) app: String,
    pub(super) verify_token: String,
    pub(super) access_token: String,
    pub(super) desk_token: String,
    pub(super) desk_webhook: String,
    pub(super) admin: String,
}

impl Secret {
    pub(super) fn draw() -> Self {
        let draw = || Alphanumeric.sample_string(&mut rand::rng(), SECRET_CHARS);
        Self {
            app: draw(),
            verify_token: draw(),
            access_token: draw(),
            desk_token: draw(),
            desk_webhook: draw(),
            admin: draw(),
        }
    }
}

/// Simulators that know these secrets.
pub(super) fn simulator_options(listen: SocketAddr, secret: &Secret) -> SimulatorOptions {
    SimulatorOptions {
        listen,
        whatsapp: WhatsappOptions {
            app_secret: secret.app.clone(),
            verify_token: secret.verify_token.clone(),
            access_token: secret.access_token.clone(),
            // A pause that a person can follow: sent, delivered, read.
            status_pause: std::time::Duration::from_millis(700),
            ..WhatsappOptions::default()
        },
        zendesk: ZendeskOptions {
            token: secret.desk_token.clone(),
            webhook_secret: secret.desk_webhook.clone(),
            ..ZendeskOptions::default()
        },
        ..SimulatorOptions::default()
    }
}

/// Points every number and desk at the simulators.
pub(super) fn adapt(config: &mut Config, simulator: &Simulator, secret: &Secret, home: &Path) {
    let given = |text: &str| SecretRef::given(SecretString::from(text.to_owned()));
    let known = WhatsappOptions::default();
    config.gateway.data_dir = home.to_path_buf();
    config.store.path = None;
    let whatsapp = &mut config.whatsapp;
    whatsapp.app_secrets = vec![given(&secret.app)];
    whatsapp.verify_token = given(&secret.verify_token);
    if let Ok(url) = format!("{}/graph", simulator.url()).parse() {
        whatsapp.graph_url = url;
    }
    // One number is simulated; it takes the name of the first, so that chains for it still match.
    whatsapp.numbers.truncate(1);
    for number in &mut whatsapp.numbers {
        number.phone_number_id.clone_from(&known.phone_number_id);
        number.business_account = Some(known.business_account.clone());
        number.access_token = given(&secret.access_token);
    }
    config.admin.token_secrets = vec![given(&secret.admin)];
    // On this machine only, and for plugins that are being written.
    config.deployments.unsigned = true;
    let username = format!("{}/token", ZendeskOptions::default().agent_email);
    let credential = Credential::Basic { username, password: given(&secret.desk_token) };
    config.credentials.insert(CREDENTIAL.to_owned(), credential);
    let desks: Vec<String> = config.desks.values().map(|desk| desk.plugin.clone()).collect();
    for (name, plugin) in &mut config.plugins {
        if !desks.contains(name) {
            continue;
        }
        plugin.settings.insert("base_url".into(), Value::String(format!("{}/zendesk", simulator.url())));
        plugin.grants.http = vec![HttpGrant {
            host: simulator.addr().ip().to_string(),
            ports: vec![simulator.addr().port()],
            paths: vec!["/zendesk".into()],
            plain_http: true,
            private_network: true,
            credential: Some(CREDENTIAL.to_owned()),
            ..HttpGrant::default()
        }];
        plugin.secrets.insert("webhook".into(), SecretRefs::One(given(&secret.desk_webhook)));
    }
}
