//! Names of what can be loaded: a file, or something in a registry.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::Digest;

/// The longest tag, by the distribution specification.
const TAG_MOST: usize = 128;
/// The longest name of a repository with its host that every registry takes.
const REPOSITORY_MOST: usize = 255;

/// Where a component comes from. (`builtin:NAME` is the gateway's own.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `file:PATH`, relative to the file that it stands in.
    File(PathBuf),
    /// `oci:HOST/REPOSITORY:TAG`, `oci:HOST/REPOSITORY@sha256:HEX`
    Registry(Reference),
}

/// What a registry keeps under a tag or a digest: `ghcr.io/acme/router:1.2.0`, `ghcr.io/acme/router@sha256:…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    host: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text is no source or no reference, and what to write.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` {problem}")]
pub struct NoSource {
    text: String,
    problem: String,
}

impl Source {
    /// Whether a text names something in a registry, right or wrong.
    #[must_use]
    pub fn is_registry(text: &str) -> bool {
        text.starts_with("oci:")
    }
}

impl FromStr for Source {
    type Err = NoSource;

    fn from_str(text: &str) -> Result<Self, NoSource> {
        if Self::is_registry(text) {
            return Ok(Self::Registry(text.parse()?));
        }
        match text.strip_prefix("file:") {
            Some("") => Err(NoSource { text: text.into(), problem: "names no file; write file:PATH".into() }),
            Some(path) => Ok(Self::File(path.into())),
            None => Err(NoSource {
                text: text.into(),
                problem: "is no source; write file:PATH, or oci:HOST/REPOSITORY:TAG for a registry".into(),
            }),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Registry(reference) => write!(f, "oci:{reference}"),
        }
    }
}

impl Reference {
    /// The registry: a name or an address, with the port if one is written.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The repository's name within the registry: `acme/router`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// `ghcr.io/acme/router`
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}/{}", self.host, self.repository)
    }

    /// The tag, which may be moved.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, which decides when both are written.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same repository by digest alone.
    #[must_use]
    pub fn at(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// Whether the registry is on this machine, where plain HTTP is nobody else's business.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match url::Url::parse(&format!("http://{}", self.host)).ok().as_ref().and_then(url::Url::host) {
            Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }
}

impl FromStr for Reference {
    type Err = NoSource;

    fn from_str(text: &str) -> Result<Self, NoSource> {
        let wrong = |problem: &str| NoSource { text: text.to_owned(), problem: problem.to_owned() };
        let name = text.strip_prefix("oci:").unwrap_or(text);
        let (name, digest) = match name.split_once('@') {
            Some((name, digest)) => {
                (name, Some(digest.parse::<Digest>().map_err(|error| wrong(&format!("has no good digest: {error}")))?))
            }
            None => (name, None),
        };
        let (host, rest) = name
            .split_once('/')
            .filter(|(host, _)| is_host(host))
            .ok_or_else(|| wrong("names no registry; write its host in front: ghcr.io/acme/router:1.2.0"))?;
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        if !is_repository(repository) || name.len() > REPOSITORY_MOST + TAG_MOST {
            return Err(wrong(
                "has no name of a repository; write lower-case words with slashes: ghcr.io/acme/router:1.2.0",
            ));
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(wrong("has no good tag; write letters, digits, `.`, `_` and `-`: `1.2.0`"));
        }
        if tag.is_none() && digest.is_none() {
            return Err(wrong(&format!(
                "says no version; write a tag or a digest behind it: {host}/{repository}:1.2.0, or …@sha256:…"
            )));
        }
        Ok(Self { host: host.to_owned(), repository: repository.to_owned(), tag: tag.map(str::to_owned), digest })
    }
}

/// `ghcr.io`, `localhost`, `127.0.0.1:5000`, `[::1]:5000`. Another word without a dot would be a part of the repository.
fn is_host(text: &str) -> bool {
    if !(text == "localhost" || text.contains(['.', ':'])) || text.contains(['@', '?', '#', '\\', '%']) {
        return false;
    }
    url::Url::parse(&format!("http://{text}/")).is_ok_and(|url| url.path() == "/" && url.host_str().is_some())
        && text == text.to_ascii_lowercase()
}

/// Words of lower-case letters and digits, joined by `.`, `_`, `__` or hyphens, and slashes between such.
fn is_repository(text: &str) -> bool {
    let is_alphanumeric = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    text.split('/').all(|part| {
        let ends = part.bytes().next().zip(part.bytes().next_back());
        ends.is_some_and(|(first, last)| is_alphanumeric(first) && is_alphanumeric(last))
            && part.bytes().all(|letter| is_alphanumeric(letter) || matches!(letter, b'.' | b'_' | b'-'))
            && !["..", "___", "._", "_.", ".-", "-.", "_-", "-_"].iter().any(|pair| part.contains(pair))
    })
}

fn is_tag(text: &str) -> bool {
    let good = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'.' | b'_' | b'-');
    !text.is_empty() && text.len() <= TAG_MOST && !text.starts_with(['.', '-']) && text.bytes().all(good)
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_source_says_where_it_comes_from() {
        assert_eq!("file:a b/c.wasm".parse(), Ok(Source::File("a b/c.wasm".into())));
        let registry: Source = "oci:ghcr.io/acme/router:1.2.0".parse().unwrap();
        assert_eq!(registry.to_string(), "oci:ghcr.io/acme/router:1.2.0");
        for wrong in ["router.wasm", "builtin:zendesk", "file:", "https://ghcr.io/acme/router"] {
            assert!(wrong.parse::<Source>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_reference_is_read_as_it_is_written() {
        for text in [
            "ghcr.io/acme/router:1.2.0".to_owned(),
            "localhost/router:v1".to_owned(),
            "127.0.0.1:5000/a/b-c/d__e.f:Latest_1".to_owned(),
            "[::1]:5000/router:1".to_owned(),
            format!("ghcr.io/acme/router@sha256:{HEX}"),
            format!("ghcr.io/acme/router:1.2.0@sha256:{HEX}"),
        ] {
            let reference: Reference = text.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(reference.to_string(), text);
            assert_eq!(format!("oci:{text}").parse(), Ok(reference));
        }
        let reference: Reference = "ghcr.io/acme/router:1".parse().unwrap();
        assert_eq!((reference.host(), reference.repository(), reference.tag()), ("ghcr.io", "acme/router", Some("1")));
        assert_eq!(reference.at(Digest::of(b"")).to_string(), format!("ghcr.io/acme/router@sha256:{HEX}"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (wrong, what) in [
            ("router", "names no registry"),
            ("acme/router:1", "names no registry"),
            ("user:word@ghcr.io/acme/router:1", "no good digest"),
            ("GHCR.io/acme/router:1", "names no registry"),
            ("ghcr.io/Acme/router:1", "no name of a repository"),
            ("ghcr.io/acme//router:1", "no name of a repository"),
            ("ghcr.io/../router:1", "no name of a repository"),
            ("ghcr.io/acme/router:", "no good tag"),
            ("ghcr.io/acme/router:-x", "no good tag"),
            ("ghcr.io/acme/router:a/b", "no good tag"),
            ("ghcr.io/acme/router", "says no version"),
            ("ghcr.io/acme/router@sha256:12", "no good digest"),
        ] {
            let said = wrong.parse::<Reference>().unwrap_err().to_string();
            assert!(said.contains(what), "{wrong}: {said}");
        }
    }

    #[test]
    fn loopback_is_this_machine() {
        let is_loopback = |host: &str| format!("{host}/a:1").parse::<Reference>().unwrap().is_loopback();
        for host in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.8.0.1", "[::1]:5000", "registry.localhost"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["ghcr.io", "10.0.0.1:5000", "localhost.example.com", "127.0.0.1.example.com"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
