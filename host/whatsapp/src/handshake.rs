//! The `GET` by which Meta asks whether the webhook is ours, each time its URL or token is saved.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

/// Characters of a challenge: Meta sends about ten digits, and what is echoed to a stranger should not be long.
const MAX_CHALLENGE: usize = 256;

/// Why a handshake is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// `hub.mode` is not `subscribe`: this is not a handshake.
    #[error("hub.mode is not `subscribe`: this is not a webhook registration")]
    NotSubscribe,
    /// `hub.verify_token` is missing or is not ours.
    #[error("hub.verify_token is not the verify token of this gateway")]
    WrongToken,
    /// `hub.challenge` is missing, or is not text to echo.
    #[error("hub.challenge is missing, longer than 256 characters, or not printable ASCII")]
    NoChallenge,
}

/// The text to answer (200, `text/plain`) to a raw query string, without its `?`.
///
/// The token is compared in a time that does not depend on where it differs. An empty verify token matches nothing.
///
/// # Errors
/// Why the handshake is refused.
pub fn answer(query: &str, verify_token: &SecretString) -> Result<String, HandshakeError> {
    let first = |name: &str| {
        url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    if first("hub.mode").as_deref() != Some("subscribe") {
        return Err(HandshakeError::NotSubscribe);
    }
    let given = first("hub.verify_token").unwrap_or_default();
    let expected = verify_token.expose_secret();
    let same = Sha256::digest(given.as_bytes()).ct_eq(&Sha256::digest(expected.as_bytes()));
    if expected.is_empty() || !bool::from(same) {
        return Err(HandshakeError::WrongToken);
    }
    let challenge = first("hub.challenge").ok_or(HandshakeError::NoChallenge)?;
    let echoed = !challenge.is_empty()
        && challenge.len() <= MAX_CHALLENGE
        && challenge.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if echoed { Ok(challenge) } else { Err(HandshakeError::NoChallenge) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(query: &str) -> Result<String, HandshakeError> {
        answer(query, &"s3cret token+".into())
    }

    #[test]
    fn the_challenge_comes_back_as_it_is() {
        let query = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=s3cret%20token%2B";
        assert_eq!(ask(query).as_deref(), Ok("1158201444"));
        let other_order = "hub.verify_token=s3cret+token%2B&x=1&hub.challenge=a%2Fb&hub.mode=subscribe";
        assert_eq!(ask(other_order).as_deref(), Ok("a/b"));
    }

    #[test]
    fn strangers_learn_what_is_wrong_and_nothing_else() {
        let wrong = "hub.mode=subscribe&hub.challenge=1&hub.verify_token=";
        for token in ["", "s3cret", "s3cret%20token", "s3cret%20token%2B%2B", "S3CRET%20TOKEN%2B"] {
            assert_eq!(ask(&format!("{wrong}{token}")), Err(HandshakeError::WrongToken), "{token}");
        }
        assert_eq!(ask("hub.mode=subscribe&hub.challenge=1"), Err(HandshakeError::WrongToken));
        assert_eq!(ask(""), Err(HandshakeError::NotSubscribe));
        assert_eq!(ask("hub.mode=unsubscribe&hub.challenge=1"), Err(HandshakeError::NotSubscribe));
    }

    #[test]
    fn only_printable_challenges_are_echoed() {
        let right = "hub.mode=subscribe&hub.verify_token=s3cret+token%2B";
        for challenge in ["", "&hub.challenge=", "&hub.challenge=a%0d%0ab", "&hub.challenge=%ff"] {
            assert_eq!(ask(&format!("{right}{challenge}")), Err(HandshakeError::NoChallenge), "{challenge}");
        }
        let long = format!("{right}&hub.challenge={}", "1".repeat(MAX_CHALLENGE + 1));
        assert_eq!(ask(&long), Err(HandshakeError::NoChallenge));
    }

    #[test]
    fn an_empty_verify_token_matches_nothing() {
        let query = "hub.mode=subscribe&hub.challenge=1&hub.verify_token=";
        assert_eq!(answer(query, &"".into()), Err(HandshakeError::WrongToken));
    }
}
