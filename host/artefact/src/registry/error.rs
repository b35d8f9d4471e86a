//! Why a registry did not do what was asked of it.

use serde::Deserialize;

use super::login::{LoginError, PASSWORD_VARIABLE, USER_VARIABLE};
use crate::component::ArtefactError;
use crate::digest::Digest;
use crate::key::KeyError;

/// The most letters that a registry's own words may have in a sentence of ours.
const WORDS_MOST: usize = 300;

/// Why a registry did not do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// There is no answer.
    #[error("the registry {host} does not answer: {reason}")]
    Unreachable {
        /// The registry.
        host: String,
        /// Why, and what to do where that is known.
        reason: String,
    },
    /// It wants to know who asks.
    #[error(
        "the registry {host} wants to know who asks: log in with `docker login {host}`, or set {USER_VARIABLE} and \
         {PASSWORD_VARIABLE}"
    )]
    Anonymous {
        /// The registry.
        host: String,
    },
    /// It does not believe us, or does not let us.
    #[error("the registry {host} refuses this to `{user}`: {said}. Check the password, and that this user may {what}")]
    Denied {
        /// The registry.
        host: String,
        /// Who asked.
        user: String,
        /// `pull from acme/router`
        what: String,
        /// Its own words.
        said: String,
    },
    /// There is no such thing.
    #[error("{0} is not there; check the name, or push it first: patchbay plugin push FILE oci:{0}")]
    Absent(String),
    /// It answers something else.
    #[error("the registry {host} answers {answer} where {what} was asked for: {said}")]
    Answer {
        /// The registry.
        host: String,
        /// The answer's status or code.
        answer: String,
        /// What was asked for.
        what: &'static str,
        /// Its own words.
        said: String,
    },
    /// It does not keep to the distribution specification.
    #[error("the registry {host} does not answer as a registry does: {what}")]
    Strange {
        /// The registry.
        host: String,
        /// What it does.
        what: String,
    },
    /// It sends too much.
    #[error("the registry {host} sends more than {most} bytes for {what}, which is not taken")]
    Large {
        /// The registry.
        host: String,
        /// What was asked for.
        what: &'static str,
        /// How much would be taken.
        most: u64,
    },
    /// It sends something else than what was asked for.
    #[error(
        "the registry {host} sends something else than {wanted}: what came is {found}. It was changed on the way or there; nothing was kept"
    )]
    Changed {
        /// The registry.
        host: String,
        /// What was asked for.
        wanted: Digest,
        /// What came.
        found: Digest,
    },
    /// It is no component's image.
    #[error("{reference} is no WebAssembly component: {found}; push one with `patchbay plugin push` or `wkg oci push`")]
    Other {
        /// What was asked for.
        reference: String,
        /// What is there.
        found: String,
    },
    /// Pushing goes to a tag.
    #[error("oci:{0} names a digest, which is made by pushing: push to a tag, as oci:HOST/REPOSITORY:1.2.0")]
    Tagless(String),
    /// What should be pushed is no component.
    #[error(transparent)]
    Artefact(#[from] ArtefactError),
    /// The login cannot be read.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The key does not sign.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A document cannot be written.
    #[error("a document for the registry could not be written: {0}")]
    Document(#[from] serde_json::Error),
}

/// A registry's own words in a body of an error; fit for a terminal.
pub(super) fn words(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Envelope {
        errors: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let said = match serde_json::from_slice::<Envelope>(body) {
        Ok(Envelope { errors }) => {
            let said = errors.iter().map(|one| if one.message.is_empty() { &*one.code } else { &*one.message });
            said.collect::<Vec<_>>().join("; ")
        }
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let said: String = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let said: String = said.chars().filter(|letter| !letter.is_control()).take(WORDS_MOST).collect();
    if said.is_empty() { "it says nothing more".into() } else { said }
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn a_registrys_words_are_fit_for_a_terminal() {
        let body = br#"{"errors":[{"code":"DENIED","message":"no\u001b[31m\n access"},{"code":"TOOMANYREQUESTS"}]}"#;
        assert_eq!(words(body), "no[31m access; TOOMANYREQUESTS");
        assert_eq!(words(b""), "it says nothing more");
        assert_eq!(words(&[b'x'; 10_000]).len(), 300);
    }
}
