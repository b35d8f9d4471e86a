//! What plugins may call, and whether that is what their settings need.

use serde_json::Value;
use url::{Host, Url};

use super::Check;
use super::values::is_loopback;
use crate::config::forms::sounds_secret;
use crate::config::{Credential, HttpGrant, Plugin};

/// The port that says that http:// was meant.
const HTTP_PORT: u16 = 80;
/// What to do with a credential in a plugin's settings.
const CREDENTIAL_FIX: &str =
    "put it into [credentials.NAME] and name that in the grant: the host adds it to the requests";

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    for (name, credential) in &config.credentials {
        let key = format!("credentials.{name}");
        if let Some((token_url, private_network)) = credential.token_endpoint() {
            token_endpoint(check, &key, token_url, private_network);
        }
        if let Credential::OAuth2JwtBearer { issuer: None, client_id: None, .. } = credential {
            check.error(
                &format!("{key}.issuer"),
                "the statement does not say who makes it",
                "write issuer = \"…\" (the client's id, or the service account's address), or client_id",
            );
        }
    }
    for (name, plugin) in &config.plugins {
        for (index, grant) in plugin.grants.http.iter().enumerate() {
            grant_alone(check, &format!("plugins.{name}.grants.http[{index}]"), grant);
        }
        for (setting, value) in &plugin.settings {
            let key = format!("plugins.{name}.settings.{setting}");
            if let Value::String(text) = value {
                url_setting(check, &key, name, plugin, text);
                secret_setting(check, &key, setting);
            }
        }
    }
}

/// Tokens and secrets go to this address.
fn token_endpoint(check: &mut Check<'_>, key: &str, token_url: &str, private_network: bool) {
    let key = format!("{key}.token_url");
    let Ok(url) = Url::parse(token_url) else { return };
    let loopback = is_loopback(url.host());
    let private = loopback || url.host().is_some_and(|host| is_private(&host.to_owned()));
    if !private_network && private {
        check.error(
            &key,
            "the token endpoint is at an address of a private network or of this machine, which is not allowed here",
            "add private_network = true",
        );
    } else if !private_network && url.scheme() == "http" {
        check.error(
            &key,
            "over http:// anybody on the way can read the credential and its tokens",
            "write https://, or add private_network = true if the network in between is yours",
        );
    } else if url.scheme() == "http" && !loopback {
        check.warning(
            &key,
            "over http:// the credential and its tokens can be read on the way",
            "write https://, unless the network in between is yours",
        );
    }
}

fn grant_alone(check: &mut Check<'_>, key: &str, grant: &HttpGrant) {
    let host = Host::parse(&grant.host).ok();
    let loopback = is_loopback(host.as_ref().map(borrowed));
    if grant.plain_http && grant.credential.is_some() && !loopback {
        check.warning(
            &format!("{key}.plain_http"),
            "over http:// the credential can be read on the way",
            "take plain_http out, unless the network in between is yours",
        );
    }
    if !grant.plain_http && grant.ports.contains(&HTTP_PORT) {
        let message = match &grant.credential {
            Some(credential) => format!(
                "port 80 speaks http://, which this grant does not allow: the credential `{credential}` is never sent there"
            ),
            None => "port 80 speaks http://, which this grant does not allow".to_owned(),
        };
        check.error(&format!("{key}.ports"), message, "write ports = [443], or add plain_http = true");
    }
    if !grant.private_network && (loopback || host.as_ref().is_some_and(is_private)) {
        check.error(
            &format!("{key}.host"),
            format!(
                "`{}` is an address of a private network or of this machine, which this grant does not allow",
                grant.host
            ),
            "add private_network = true",
        );
    }
}

/// A setting that is a URL is one that the plugin will call, as a rule.
fn url_setting(check: &mut Check<'_>, key: &str, name: &str, plugin: &Plugin, text: &str) {
    let Ok(url) = Url::parse(text) else { return };
    let (Some(host), "http" | "https") = (url.host_str(), url.scheme()) else { return };
    if !url.username().is_empty() || url.password().is_some() {
        check.findings.hidden.push(check.tree.locate(key));
        check.warning(key, "settings reach the plugin, and this URL has a user name or password in it", CREDENTIAL_FIX);
    }
    let covering: Vec<&HttpGrant> = plugin.grants.http.iter().filter(|grant| allows_host(&grant.host, host)).collect();
    if covering.is_empty() {
        if !check.findings.is_broken(&format!("plugins.{name}.grants")) {
            check.warning(
                key,
                format!("no grant allows the plugin `{name}` to call {host}"),
                format!("add [[plugins.{name}.grants.http]] with host = \"{host}\""),
            );
        }
        return;
    }
    if url.scheme() == "http" && !covering.iter().any(|grant| grant.plain_http) {
        check.error(
            key,
            format!("the plugin `{name}` may call {host} over https:// only"),
            "write https:// here, or plain_http = true in the grant",
        );
        return;
    }
    let port = url.port_or_known_default().unwrap_or_default();
    let standard = url.port().is_none();
    let open = |grant: &&HttpGrant| if grant.ports.is_empty() { standard } else { grant.ports.contains(&port) };
    if !covering.iter().any(open) {
        check.warning(
            key,
            format!("no grant allows the plugin `{name}` to call {host} at port {port}"),
            format!("write ports = [{port}] in the grant"),
        );
    }
}

/// Settings reach the plugin, and credentials should not.
fn secret_setting(check: &mut Check<'_>, key: &str, setting: &str) {
    if sounds_secret(setting) {
        check.findings.hidden.push(check.tree.locate(key));
        check.warning(key, format!("settings reach the plugin, and `{setting}` sounds like a secret"), CREDENTIAL_FIX);
    }
}

/// As a grant's host covers a host: the same name, or a name below `*.`.
fn allows_host(granted: &str, host: &str) -> bool {
    let (granted, host) = (granted.to_ascii_lowercase(), host.to_ascii_lowercase());
    match granted.strip_prefix('*') {
        Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
        None => granted.trim_matches(['[', ']']) == host.trim_matches(['[', ']']),
    }
}

fn borrowed(host: &Host<String>) -> Host<&str> {
    match host {
        Host::Domain(name) => Host::Domain(name),
        Host::Ipv4(address) => Host::Ipv4(*address),
        Host::Ipv6(address) => Host::Ipv6(*address),
    }
}

fn is_private(host: &Host<String>) -> bool {
    match host {
        Host::Domain(_) => false,
        Host::Ipv4(address) => {
            address.is_private() || address.is_loopback() || address.is_link_local() || address.is_unspecified()
        }
        Host::Ipv6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    }
}
