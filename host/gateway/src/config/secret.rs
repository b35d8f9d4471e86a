//! Secrets by reference: the configuration says where a secret is, never what it is.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

/// The largest file that is read as a secret, bytes: a token or key is never longer, a wrong path often is.
const FILE_MOST: u64 = 64 * 1024;

/// Where a secret is. `Debug` and `Display` show the reference; a secret that was given directly shows as `given`.
#[derive(Clone)]
pub struct SecretRef(Place);

#[derive(Clone)]
enum Place {
    Env(String),
    File(PathBuf),
    Given(SecretString),
}

/// Looks up an environment variable.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Why a secret is not there.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set.
    #[error("the environment variable `{0}` is not set")]
    Unset(String),
    /// The variable or file is empty.
    #[error("{0} is empty")]
    Empty(SecretRef),
    /// It is not UTF-8.
    #[error("{0} is not UTF-8 text")]
    NotText(SecretRef),
    /// A line break or another control character inside: it cannot stand in a header.
    #[error("{0} holds a line break or another control character")]
    Control(SecretRef),
    /// The file is too large to be a secret.
    #[error("{0} is larger than 64 KiB: it is hardly a secret")]
    Large(SecretRef),
    /// The file cannot be read.
    #[error("cannot read {0}: {1}")]
    Unreadable(SecretRef, #[source] std::io::Error),
}

impl SecretError {
    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> String {
        match self {
            Self::Unset(name) => format!("set it where the gateway starts: export {name}=…"),
            Self::Empty(_) | Self::NotText(_) | Self::Control(_) => {
                "put the secret there as one line of text".to_owned()
            }
            Self::Large(place) | Self::Unreadable(place, _) => {
                format!("put the secret into a file that the gateway's user may read, and name it: \"{place}\"")
            }
        }
    }
}

impl SecretRef {
    /// A secret that is at hand already: from a simulator or a test. A configuration file cannot say this.
    #[must_use]
    pub const fn given(secret: SecretString) -> Self {
        Self(Place::Given(secret))
    }

    /// What `env:NAME` or `file:PATH` refers to. `None` for everything else; the text is not kept.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix("env:") {
            let known = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let begins = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
            return (known && begins).then(|| Self(Place::Env(name.to_owned())));
        }
        let path = text.strip_prefix("file:")?;
        (!path.is_empty()).then(|| Self(Place::File(PathBuf::from(path))))
    }

    /// The secret, from this process's environment or the file.
    ///
    /// # Errors
    /// [`SecretError`] when it is not there or is not one line of text.
    pub fn resolve(&self) -> Result<SecretString, SecretError> {
        self.resolve_with(&|name| std::env::var_os(name))
    }

    /// The secret, with another environment.
    ///
    /// # Errors
    /// As [`SecretRef::resolve`].
    pub fn resolve_with(&self, lookup: Lookup<'_>) -> Result<SecretString, SecretError> {
        if let Place::Given(secret) = &self.0 {
            return Ok(secret.clone());
        }
        let text = self.text(lookup)?;
        if text.chars().any(char::is_control) {
            return Err(SecretError::Control(self.clone()));
        }
        Ok(SecretString::from(text))
    }

    /// A secret of several lines, from this process's environment or the file: a private key in PEM.
    ///
    /// # Errors
    /// [`SecretError`] when it is not there or is no text.
    pub fn resolve_lines(&self) -> Result<SecretString, SecretError> {
        self.resolve_lines_with(&|name| std::env::var_os(name))
    }

    /// A secret of several lines, with another environment. What is one line with `\n` written in it, as variables
    /// often have it, becomes several.
    ///
    /// # Errors
    /// As [`SecretRef::resolve_lines`].
    pub fn resolve_lines_with(&self, lookup: Lookup<'_>) -> Result<SecretString, SecretError> {
        if let Place::Given(secret) = &self.0 {
            return Ok(secret.clone());
        }
        let text = self.text(lookup)?;
        let lines = if text.contains('\n') { text } else { text.replace("\\n", "\n") };
        if lines.chars().any(|char| char.is_control() && !matches!(char, '\r' | '\n')) {
            return Err(SecretError::Control(self.clone()));
        }
        Ok(SecretString::from(lines))
    }

    /// What is there, without the line break at its end.
    fn text(&self, lookup: Lookup<'_>) -> Result<String, SecretError> {
        let text = match &self.0 {
            Place::Given(secret) => secret.expose_secret().to_owned(),
            Place::Env(name) => lookup(name)
                .ok_or_else(|| SecretError::Unset(name.clone()))?
                .into_string()
                .map_err(|_| SecretError::NotText(self.clone()))?,
            Place::File(path) => self.read(path)?,
        };
        // Files end with a line break that nobody typed on purpose; so do variables that were read from one.
        let text = text.trim_end_matches(['\r', '\n']);
        if text.trim().is_empty() {
            return Err(SecretError::Empty(self.clone()));
        }
        Ok(text.to_owned())
    }

    fn read(&self, path: &Path) -> Result<String, SecretError> {
        let unreadable = |error| SecretError::Unreadable(self.clone(), error);
        if std::fs::metadata(path).map_err(unreadable)?.len() > FILE_MOST {
            return Err(SecretError::Large(self.clone()));
        }
        String::from_utf8(std::fs::read(path).map_err(unreadable)?).map_err(|_| SecretError::NotText(self.clone()))
    }

    /// Makes a relative file count from `folder`.
    pub(super) fn anchor(&mut self, folder: &Path) {
        if let Place::File(path) = &mut self.0 {
            *path = folder.join(&*path);
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Env(name) => write!(f, "env:{name}"),
            Place::File(path) => write!(f, "file:{}", path.display()),
            Place::Given(_) => f.write_str("given"),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretRef({self})")
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        // Never the text itself: it may be the secret.
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("expected env:NAME or file:PATH"))
    }
}

impl JsonSchema for SecretRef {
    fn schema_name() -> Cow<'static, str> {
        "SecretRef".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Where a secret is: `env:NAME` for an environment variable, `file:PATH` for a file. Never the secret itself.",
            "x-form": "secret",
            "examples": ["env:WHATSAPP_APP_SECRET", "file:/run/secrets/app-secret"],
        })
    }
}

/// One secret, or several so that one can be replaced.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SecretRefs {
    /// One.
    One(SecretRef),
    /// Several: any of them counts.
    Several(#[schemars(length(min = 1))] Vec<SecretRef>),
}

impl SecretRefs {
    /// All of them, the first one first.
    #[must_use]
    pub fn as_slice(&self) -> &[SecretRef] {
        match self {
            Self::One(secret) => std::slice::from_ref(secret),
            Self::Several(secrets) => secrets,
        }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [SecretRef] {
        match self {
            Self::One(secret) => std::slice::from_mut(secret),
            Self::Several(secrets) => secrets,
        }
    }
}

/// The bytes of a secret, for a length check.
pub(super) fn length(secret: &SecretString) -> usize {
    secret.expose_secret().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<OsString> {
        match name {
            "TOKEN" => Some("from-env\n".into()),
            "EMPTY" => Some(" ".into()),
            "BROKEN" => Some("two\nlines".into()),
            _ => None,
        }
    }

    fn resolve(text: &str) -> Result<String, String> {
        let secret = SecretRef::parse(text).unwrap().resolve_with(&environment).map_err(|error| error.to_string())?;
        Ok(secret.expose_secret().to_owned())
    }

    #[test]
    fn reads_variables_and_files() {
        assert_eq!(resolve("env:TOKEN"), Ok("from-env".into()));
        assert_eq!(resolve("env:OTHER"), Err("the environment variable `OTHER` is not set".into()));
        assert_eq!(resolve("env:EMPTY"), Err("env:EMPTY is empty".into()));
        assert_eq!(resolve("env:BROKEN"), Err("env:BROKEN holds a line break or another control character".into()));

        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "from-file\r\n").unwrap();
        let mut secret = SecretRef::parse("file:token").unwrap();
        secret.anchor(folder.path());
        assert_eq!(secret.resolve().unwrap().expose_secret(), "from-file");
        let mut missing = SecretRef::parse("file:nothing").unwrap();
        missing.anchor(folder.path());
        assert!(missing.resolve().unwrap_err().to_string().starts_with("cannot read file:"));
    }

    #[test]
    fn a_literal_is_no_reference() {
        for text in ["hunter2", "env:", "env:1TOKEN", "env:A B", "file:", "ENV:TOKEN", ""] {
            assert!(SecretRef::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_given_secret_does_not_show() {
        let secret = SecretRef::given("hunter2".into());
        assert_eq!(format!("{secret} {secret:?}"), "given SecretRef(given)");
        assert_eq!(secret.resolve().unwrap().expose_secret(), "hunter2");
    }
}
