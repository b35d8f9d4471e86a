//! What an operator allows a plugin.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::credentials::Credential;

/// Everything that an operator allows a plugin; nothing by default.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    /// The HTTP requests that it may make. The first one that fits a request is the one that counts.
    pub http: Vec<HttpGrant>,
    /// It may read stored media, and send it on to the hosts in `http`.
    pub media: bool,
    /// It may keep so many bytes of keys and values.
    pub keyvalue: Option<u64>,
}

/// HTTP requests toward one host, or toward the hosts under one domain.
#[derive(Clone, Debug)]
pub struct HttpGrant {
    /// Where to.
    pub host: HostPattern,
    /// TCP ports; empty: 443, and 80 as well with `plain_http`.
    pub ports: Vec<u16>,
    /// Methods in upper case; empty: all.
    pub methods: Vec<String>,
    /// What the path must begin with; empty: all. `/api` covers `/api` and `/api/tickets`, never `/apiary`.
    pub paths: Vec<String>,
    /// `http://` is allowed too. Without it only `https://` is.
    pub plain_http: bool,
    /// The host may be in a private, loopback or link-local network. Without it such an address is refused, whatever
    /// name led to it.
    pub private_network: bool,
    /// Requests are sent in rehearsals too: shadow runs, replays. For what only reads.
    pub rehearsal: bool,
    /// What the host adds to every request that this grant covers.
    pub credential: Option<Credential>,
}

impl HttpGrant {
    /// All requests to this host over HTTPS, without a credential.
    #[must_use]
    pub const fn https(host: HostPattern) -> Self {
        Self {
            host,
            ports: Vec::new(),
            methods: Vec::new(),
            paths: Vec::new(),
            plain_http: false,
            private_network: false,
            rehearsal: false,
            credential: None,
        }
    }
}

/// A host's name, or all names under a domain. Matched without regard to case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This name or IP address, and no other.
    Exact(String),
    /// Every name that ends with a dot and this; not the name itself.
    Under(String),
}

/// Text that is no host pattern.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{0}` is not a host: write a name like `acme.zendesk.com`, an IP address, or `*.` and a domain; no scheme, port or path"
)]
pub struct HostPatternError(String);

impl HostPattern {
    /// Reads `acme.zendesk.com`, `192.0.2.1`, `2001:db8::1` or `*.zendesk.com`.
    ///
    /// # Errors
    /// If it is none of these; a wildcard is only ever the first label.
    pub fn parse(text: &str) -> Result<Self, HostPatternError> {
        let refuse = || HostPatternError(text.to_owned());
        let lower = text.trim().trim_end_matches('.').to_ascii_lowercase();
        let bare = lower.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&lower);
        if let Ok(address) = bare.parse::<std::net::IpAddr>() {
            return Ok(Self::Exact(address.to_string()));
        }
        let (under, name) = match lower.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, lower.as_str()),
        };
        // The URL parser turns an international name into the form that requests carry.
        let name = url::Host::parse(name).map_err(|_| refuse())?.to_string();
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if name.is_empty() || !name.bytes().all(known) || name.split('.').any(str::is_empty) {
            return Err(refuse());
        }
        Ok(if under { Self::Under(name) } else { Self::Exact(name) })
    }

    /// Whether `host` (a name or an IP address, IPv6 without brackets) is meant.
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => name.eq_ignore_ascii_case(host),
            Self::Under(domain) => {
                let host = host.to_ascii_lowercase();
                host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
        }
    }
}

impl FromStr for HostPattern {
    type Err = HostPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Under(domain) => write!(f, "*.{domain}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_means_what_is_below_and_nothing_beside() {
        let pattern = HostPattern::parse("*.Zendesk.com").unwrap();
        assert!(pattern.covers("acme.zendesk.com") && pattern.covers("a.b.ZENDESK.com"));
        assert!(
            !pattern.covers("zendesk.com") && !pattern.covers("evilzendesk.com") && !pattern.covers(".zendesk.com")
        );
        assert_eq!(pattern.to_string(), "*.zendesk.com");
        assert!(HostPattern::parse("192.0.2.1").unwrap().covers("192.0.2.1"));
        assert!(HostPattern::parse("[2001:DB8::1]").unwrap().covers("2001:db8::1"));
        for wrong in ["", "*", "a.*.com", "https://a.com", "a.com/b", "a.com:80", "a..b", "*."] {
            assert!(HostPattern::parse(wrong).is_err(), "{wrong}");
        }
    }
}
