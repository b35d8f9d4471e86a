//! A configuration that points at the simulators, with secrets made for this run.

use std::net::SocketAddr;
use std::path::PathBuf;

use patchbay_simulator::{SimulatorOptions, WhatsappOptions, ZendeskOptions};
use rand::distr::{Alphanumeric, SampleString};
use secrecy::SecretString;
use serde_json::Value;
use url::Url;

use crate::config::{Config, Credential, HttpGrant, Plugin, SecretRef, SecretRefs, Source};

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

/// What a configuration is pointed at, at the start and whenever it is read again.
#[derive(Debug)]
pub(super) struct Place {
    /// Where the gateway listens.
    pub(super) listen: SocketAddr,
    /// Where the simulators are.
    pub(super) simulator: SocketAddr,
    pub(super) secret: Secret,
    /// Where everything is kept.
    pub(super) home: PathBuf,
}

/// The shipped plugin that speaks to the ticket system that is simulated.
const SIMULATED: &str = "zendesk";
/// Where that system's customers have theirs.
const SIMULATED_HOSTS: &str = ".zendesk.com";

/// Whether a desk's plugin speaks to the ticket system that is simulated: the shipped one does, and so does any other that is
/// told to go there.
fn simulated(plugin: &Plugin) -> bool {
    let shipped = matches!(&plugin.source, Source::Builtin(name) if name == SIMULATED);
    let url = plugin.settings.get("base_url").and_then(Value::as_str).and_then(|url| Url::parse(url).ok());
    shipped || url.is_some_and(|url| url.host_str().is_some_and(|host| host.ends_with(SIMULATED_HOSTS)))
}

/// Points the gateway at this place, and every number and every desk at Zendesk at the simulators. Other desks speak to what
/// the configuration says: there is no simulator for them.
pub(super) fn adapt(config: &mut Config, place: &Place) {
    let Place { listen, simulator, secret, home } = place;
    let given = |text: &str| SecretRef::given(SecretString::from(text.to_owned()));
    let known = WhatsappOptions::default();
    config.gateway.listen = *listen;
    config.gateway.data_dir.clone_from(home);
    config.store.path = None;
    let whatsapp = &mut config.whatsapp;
    whatsapp.app_secrets = vec![given(&secret.app)];
    whatsapp.verify_token = given(&secret.verify_token);
    if let Ok(url) = format!("http://{simulator}/graph").parse() {
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
        if !desks.contains(name) || !simulated(plugin) {
            continue;
        }
        plugin.settings.insert("base_url".into(), Value::String(format!("http://{simulator}/zendesk")));
        plugin.grants.http = vec![HttpGrant {
            host: simulator.ip().to_string(),
            ports: vec![simulator.port()],
            paths: vec!["/zendesk".into()],
            plain_http: true,
            private_network: true,
            credential: Some(CREDENTIAL.to_owned()),
            ..HttpGrant::default()
        }];
        plugin.secrets.insert("webhook".into(), SecretRefs::One(given(&secret.desk_webhook)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_go_to_zendesk_goes_to_the_simulated_one() {
        let goes = |text: &str| simulated(&toml::from_str(text).unwrap());
        assert!(goes("source = \"builtin:zendesk\""));
        assert!(goes("source = \"file:ours.wasm\"\n[settings]\nbase_url = \"https://acme.zendesk.com\""));
        for elsewhere in ["https://tickets.example.com", "https://zendesk.com.example.com", "acme.zendesk.com"] {
            assert!(
                !goes(&format!("source = \"file:ours.wasm\"\n[settings]\nbase_url = \"{elsewhere}\"")),
                "{elsewhere}"
            );
        }
        assert!(!goes("source = \"file:ours.wasm\""));
    }
}
