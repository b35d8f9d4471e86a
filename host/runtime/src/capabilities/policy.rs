//! Which requests a plugin may make, decided before a name is looked up.

use std::fmt::Write as _;

use http::{HeaderName, Method};

use super::denials::REHEARSAL;
use super::egress::Reach;
use crate::credentials::{Attached, Credential};
use crate::grants::HttpGrant;

/// The header of an answer that the host gave in place of the server, with the reason in a word.
pub(crate) const DENIED: HeaderName = HeaderName::from_static("x-patchbay-denied");

/// The grants of one plugin, ready to use.
pub(crate) struct Policy {
    plugin: String,
    rules: Vec<Rule>,
}

/// One grant and what it adds to a request.
pub(crate) struct Rule {
    pub(crate) grant: HttpGrant,
    pub(crate) credential: Option<Attached>,
}

/// Where a request wants to go.
pub(crate) struct Target<'a> {
    pub(crate) https: bool,
    /// IPv6 addresses without brackets.
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
}

impl Target<'_> {
    const fn usual_port(&self) -> bool {
        matches!((self.https, self.port), (true, 443) | (false, 80))
    }
}

/// Why a request does not leave the house.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denial {
    /// A word for machines.
    pub(crate) reason: &'static str,
    /// A sentence for people.
    pub(crate) why: String,
    /// What to write into the configuration to allow it; empty where nothing would.
    pub(crate) remedy: String,
}

impl Denial {
    /// Refused whatever the configuration says.
    pub(crate) fn always(reason: &'static str, why: impl Into<String>) -> Self {
        Self { reason, why: why.into(), remedy: String::new() }
    }

    /// The sentence, and the lines below it.
    pub(crate) fn text(&self) -> String {
        if self.remedy.is_empty() { self.why.clone() } else { format!("{}; to allow it:\n{}", self.why, self.remedy) }
    }
}

impl Policy {
    /// Fails with a sentence if a credential cannot be made ready with `attach`.
    pub(crate) fn new(
        plugin: &str,
        grants: &[HttpGrant],
        attach: impl Fn(&Credential) -> Result<Attached, String>,
    ) -> Result<Self, String> {
        let rules = grants.iter().map(|grant| {
            let credential =
                grant.credential.as_ref().map(&attach).transpose().map_err(|why| {
                    format!("the credential that plugin `{plugin}` is granted for {} {why}", grant.host)
                })?;
            Ok(Rule { grant: grant.clone(), credential })
        });
        Ok(Self { plugin: plugin.to_owned(), rules: rules.collect::<Result<_, String>>()? })
    }

    /// The credentials of its grants.
    pub(crate) fn credentials(&self) -> impl Iterator<Item = &Attached> {
        self.rules.iter().filter_map(|rule| rule.credential.as_ref())
    }

    /// The first rule that covers a request, or how close the closest one came.
    pub(crate) fn decide(&self, target: &Target<'_>) -> Result<&Rule, Denial> {
        let mut closest = (Fit::Host, None);
        for rule in &self.rules {
            match Fit::of(&rule.grant, target) {
                Fit::Whole => return Ok(rule),
                fit if fit > closest.0 => closest = (fit, Some(rule)),
                _ => {}
            }
        }
        Err(self.denial(closest.0, closest.1, target))
    }

    fn denial(&self, fit: Fit, rule: Option<&Rule>, target: &Target<'_>) -> Denial {
        let Target { host, port, method, .. } = target;
        let plugin = &self.plugin;
        let (reason, why, line) = match fit {
            Fit::Scheme => ("scheme", format!("is granted {host} over https only"), "plain_http = true".to_owned()),
            Fit::Port => ("port", format!("is not granted port {port} of {host}"), format!("ports = [{port}]")),
            Fit::Method => {
                ("method", format!("is not granted the method {method} at {host}"), format!("methods = [\"{method}\"]"))
            }
            Fit::Path => {
                let root = target.path.split('/').nth(1).unwrap_or_default();
                ("path", format!("is not granted this path of {host}"), format!("paths = [\"/{root}\"]"))
            }
            Fit::Host | Fit::Whole => {
                let mut lines = String::new();
                if !target.https {
                    lines.push_str("plain_http = true\n");
                }
                if !target.usual_port() {
                    let _ = writeln!(lines, "ports = [{port}]");
                }
                // A name shows where it leads only when it is looked up; of an address it is known now.
                if host.parse().is_ok_and(|address| Reach::of(address) == Reach::Private) {
                    lines.push_str("private_network = true\n");
                }
                ("host", format!("is not granted the host {host}"), lines.trim_end().to_owned())
            }
        };
        let host = rule.map_or_else(|| (*host).to_owned(), |rule| rule.grant.host.to_string());
        Denial { reason, why: format!("plugin `{plugin}` {why}"), remedy: self.toml(&host, &line) }
    }

    /// For an address that a granted name led to.
    pub(crate) fn private(&self, host: &str, allowable: bool) -> Denial {
        let plugin = &self.plugin;
        if allowable {
            Denial {
                reason: "private-address",
                why: format!("plugin `{plugin}` is granted {host}, but that leads into a private network"),
                remedy: self.toml(host, "private_network = true"),
            }
        } else {
            Denial::always("prohibited-address", format!("{host} leads to an address that no plugin may reach"))
        }
    }

    /// For a request that would leave if it were not for show.
    pub(crate) fn rehearsal(&self, grant: &HttpGrant, host: &str) -> Denial {
        let plugin = &self.plugin;
        Denial {
            reason: REHEARSAL,
            why: format!("plugin `{plugin}` is in a rehearsal (shadow, replay, test), where nothing is sent to {host}"),
            remedy: self.toml(&grant.host.to_string(), "rehearsal = true"),
        }
    }

    fn toml(&self, host: &str, line: &str) -> String {
        let block = format!("[[plugins.{}.grants.http]]\nhost = \"{host}\"", self.plugin);
        if line.is_empty() { block } else { format!("{block}\n{line}") }
    }
}

/// How far a grant fits a request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// Not the host.
    Host,
    /// The host, not the scheme; and so on.
    Scheme,
    Port,
    Method,
    Path,
    Whole,
}

impl Fit {
    fn of(grant: &HttpGrant, target: &Target<'_>) -> Self {
        let port = if grant.ports.is_empty() { target.usual_port() } else { grant.ports.contains(&target.port) };
        let method = grant.methods.is_empty()
            || grant.methods.iter().any(|method| method.eq_ignore_ascii_case(target.method.as_str()));
        if !grant.host.covers(target.host) {
            Self::Host
        } else if !target.https && !grant.plain_http {
            Self::Scheme
        } else if !port {
            Self::Port
        } else if !method {
            Self::Method
        } else if !grant.paths.is_empty() && !grant.paths.iter().any(|prefix| below(prefix, target.path)) {
            Self::Path
        } else {
            Self::Whole
        }
    }
}

/// Whether `path` is `prefix` or below it. A path that the server might read as another one is below nothing.
fn below(prefix: &str, path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let devious = path.split('/').any(|part| part == "." || part == "..")
        || path.contains('\\')
        || ["%2e", "%2f", "%5c"].iter().any(|code| lower.contains(code));
    let rest = path.strip_prefix(prefix);
    !devious && rest.is_some_and(|rest| prefix.ends_with('/') || rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grants::HostPattern;

    fn target<'a>(url: &'a str, method: &'a Method) -> Target<'a> {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (authority, path) = rest.split_at(rest.find('/').unwrap());
        let https = scheme == "https";
        let (host, port) = authority
            .split_once(':')
            .map_or((authority, if https { 443 } else { 80 }), |(host, port)| (host, port.parse().unwrap()));
        Target { https, host, port, method, path }
    }

    fn policy(grants: &[HttpGrant]) -> Policy {
        Policy::new("desk", grants, |_| Err(String::new())).unwrap()
    }

    fn reason(policy: &Policy, url: &str, method: &Method) -> &'static str {
        policy.decide(&target(url, method)).map_or_else(|denial| denial.reason, |_| "allowed")
    }

    #[test]
    fn each_part_of_a_grant_counts() {
        let grant = HttpGrant {
            methods: vec!["GET".into()],
            paths: vec!["/api".into()],
            ..HttpGrant::https(HostPattern::parse("*.acme.com").unwrap())
        };
        let policy = policy(&[grant]);
        let get = Method::GET;
        assert_eq!(reason(&policy, "https://x.acme.com/api/v2", &get), "allowed");
        assert_eq!(reason(&policy, "https://x.acme.com/api", &get), "allowed");
        assert_eq!(reason(&policy, "https://acme.com/api", &get), "host");
        assert_eq!(reason(&policy, "http://x.acme.com/api", &get), "scheme");
        assert_eq!(reason(&policy, "https://x.acme.com:8443/api", &get), "port");
        assert_eq!(reason(&policy, "https://x.acme.com/api", &Method::PUT), "method");
        for path in ["/apiary", "/", "/api/../admin", "/api/%2E%2e/admin", "/api\\..\\admin", "/api/%2fadmin"] {
            assert_eq!(reason(&policy, &format!("https://x.acme.com{path}"), &get), "path", "{path}");
        }
    }

    #[test]
    fn a_denial_says_what_to_write() {
        let policy = policy(&[]);
        let denial = policy.decide(&target("http://tickets.local:8080/", &Method::GET)).err().unwrap();
        assert_eq!(
            denial.remedy,
            "[[plugins.desk.grants.http]]\nhost = \"tickets.local\"\nplain_http = true\nports = [8080]"
        );
        let denial = policy.decide(&target("https://10.0.0.7/", &Method::GET)).err().unwrap();
        assert_eq!(denial.remedy, "[[plugins.desk.grants.http]]\nhost = \"10.0.0.7\"\nprivate_network = true");
    }

    #[test]
    fn a_credential_that_cannot_be_used_is_refused() {
        let mut grant = HttpGrant::https(HostPattern::parse("acme.com").unwrap());
        grant.credential = Some(Credential::Bearer("a\nb".to_owned().into()));
        let why = Policy::new("desk", &[grant], |_| Err("has a line break".to_owned())).err().unwrap();
        assert_eq!(why, "the credential that plugin `desk` is granted for acme.com has a line break");
    }
}
