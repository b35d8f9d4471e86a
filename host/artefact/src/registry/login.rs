//! Who we are to a registry: flags, the environment, or the file that `docker login` writes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use oci_client::secrets::RegistryAuth;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// The variable that holds the user's name.
pub const USER_VARIABLE: &str = "PATCHBAY_REGISTRY_USER";
/// The variable that holds the password or the token.
pub const PASSWORD_VARIABLE: &str = "PATCHBAY_REGISTRY_PASSWORD";

/// A user of a registry.
#[derive(Clone, Debug)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password, or a token in the place of one.
    pub password: SecretString,
}

/// Docker's file cannot be used. Nothing of what is in it is shown.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}; or set {USER_VARIABLE} and {PASSWORD_VARIABLE}", file.display())]
pub struct LoginError {
    file: PathBuf,
    problem: String,
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, DockerAuth>,
    #[serde(default, rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

#[derive(Default, Deserialize)]
struct DockerAuth {
    #[serde(default, deserialize_with = "secret")]
    auth: Option<SecretString>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    password: Option<SecretString>,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Option::<String>::deserialize(deserializer).map(|text| text.map(SecretString::from))
}

impl Login {
    /// With a name and a password.
    #[must_use]
    pub fn new(user: impl Into<String>, password: SecretString) -> Self {
        Self { user: user.into(), password }
    }

    /// What the environment says ([`USER_VARIABLE`], [`PASSWORD_VARIABLE`]), or else Docker's file.
    ///
    /// # Errors
    /// As [`Login::of_docker`], or when only one of the variables is set.
    pub fn find(host: &str) -> Result<Option<Self>, LoginError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let only = |name: &str| LoginError { file: "the environment".into(), problem: format!("has {name} alone") };
        match (variable(USER_VARIABLE), variable(PASSWORD_VARIABLE)) {
            (Some(user), Some(password)) => Ok(Some(Self::new(user, SecretString::from(password)))),
            (Some(_), None) => Err(only(USER_VARIABLE)),
            (None, Some(_)) => Err(only(PASSWORD_VARIABLE)),
            (None, None) => Self::of_docker(host),
        }
    }

    /// What Docker's file says about this registry: `$DOCKER_CONFIG/config.json`, or `~/.docker/config.json`. Nothing where
    /// there is no such file, or nothing in it about the registry.
    ///
    /// # Errors
    /// When the file is damaged, or keeps the password in a program of its own.
    pub fn of_docker(host: &str) -> Result<Option<Self>, LoginError> {
        let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
        let folder = folder.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker")));
        let Some(file) = folder.map(|folder| folder.join("config.json")) else { return Ok(None) };
        match std::fs::read_to_string(&file) {
            Ok(text) => {
                let text = Zeroizing::new(text);
                Self::in_docker(&text, host).map_err(|problem| LoginError { file, problem })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LoginError { file, problem: format!("cannot be read ({error})") }),
        }
    }

    fn in_docker(text: &str, host: &str) -> Result<Option<Self>, String> {
        let config: DockerConfig = serde_json::from_str(text)
            .map_err(|error| format!("is not as docker writes it (line {})", error.line()))?;
        // Under this name docker keeps its own registry.
        let host = if host == "docker.io" { "index.docker.io" } else { host };
        let is_host = |key: &str| {
            let key = key.trim_start_matches("https://").trim_start_matches("http://");
            key.split('/').next() == Some(host)
        };
        let Some((_, entry)) = config.auths.iter().find(|(key, _)| is_host(key)) else {
            return match config.helpers.get(host) {
                Some(helper) => Err(helped(host, helper)),
                None => Ok(None),
            };
        };
        if let (Some(user), Some(password)) = (&entry.username, &entry.password) {
            return Ok(Some(Self::new(user.clone(), password.clone())));
        }
        let Some(auth) = &entry.auth else {
            // What docker writes when the password is elsewhere.
            return match config.helpers.get(host).or(config.store.as_ref()) {
                Some(helper) => Err(helped(host, helper)),
                None => Ok(None),
            };
        };
        let damaged = || format!("the entry of {host} is damaged; log in again: docker login {host}");
        let bytes = BASE64_STANDARD.decode(auth.expose_secret()).map(Zeroizing::new).map_err(|_| damaged())?;
        let pair = std::str::from_utf8(&bytes).ok().and_then(|pair| pair.split_once(':')).ok_or_else(damaged)?;
        Ok(Some(Self::new(pair.0, SecretString::from(pair.1))))
    }

    /// As the library wants to have it.
    pub(super) fn for_registry(&self) -> RegistryAuth {
        RegistryAuth::Basic(self.user.clone(), self.password.expose_secret().to_owned())
    }
}

fn helped(host: &str, helper: &str) -> String {
    format!("the password of {host} is kept by `docker-credential-{helper}`, which is not asked here")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, host: &str) -> Result<Option<(String, String)>, String> {
        let login = Login::in_docker(text, host)?;
        Ok(login.map(|login| (login.user, login.password.expose_secret().to_owned())))
    }

    #[test]
    fn dockers_file_is_read() {
        let pair = |user: &str, word: &str| Ok(Some((user.to_owned(), word.to_owned())));
        // ada:pass:word
        let text = r#"{"auths":{"ghcr.io":{"auth":"YWRhOnBhc3M6d29yZA=="},
            "https://registry.example.com:5000/v1/":{"username":"bob","password":"x"},"empty.example.com":{}},
            "credsStore":"desktop","credHelpers":{"gcr.io":"gcloud"},"HttpHeaders":{}}"#;
        assert_eq!(found(text, "ghcr.io"), pair("ada", "pass:word"));
        assert_eq!(found(text, "registry.example.com:5000"), pair("bob", "x"));
        assert_eq!(found(text, "elsewhere.example.com"), Ok(None));
        assert!(found(text, "empty.example.com").unwrap_err().contains("docker-credential-desktop"));
        assert!(found(text, "gcr.io").unwrap_err().contains("docker-credential-gcloud"));
        assert_eq!(found("{}", "ghcr.io"), Ok(None));
    }

    #[test]
    fn damage_is_told_without_the_content() {
        let said = found(r#"{"auths":{"ghcr.io":{"auth":"c2VjcmV0"}}}"#, "ghcr.io").unwrap_err();
        assert!(said.contains("docker login ghcr.io") && !said.contains("c2Vj") && !said.contains("secret"), "{said}");
        let said = found("{\n\"auths\": hunter2", "ghcr.io").unwrap_err();
        assert!(said.contains("line 2") && !said.contains("hunter2"), "{said}");
        let login = Login::new("ada", SecretString::from("hunter2"));
        assert!(!format!("{login:?} {:?}", login.for_registry()).contains("hunter2"));
    }
}
