//! The signed statement that RFC 7523 exchanges for a token.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};

use super::{Assertion, SigningAlgorithm};

/// How long a statement is good for: it is used at once. Servers allow 3 minutes (Salesforce) to an hour (Google).
const LIFETIME: Duration = Duration::from_secs(180);

/// Clocks differ: the statement says that it was made a little earlier, for servers that refuse what comes from the
/// future.
const SKEW: Duration = Duration::from_secs(5);

/// A signed statement, for the moment `now`; `id` has to be another one each time. Fails with a sentence if the key is
/// no key.
pub(super) fn sign(assertion: &Assertion, now: SystemTime, id: &str) -> Result<SecretString, String> {
    let algorithm = algorithm(assertion.algorithm);
    let mut header = Header::new(algorithm);
    header.kid.clone_from(&assertion.key_id);
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut claims: Map<String, Value> = assertion.claims.clone();
    for (name, value) in [
        ("iss", Value::from(assertion.issuer.as_str())),
        ("sub", Value::from(assertion.subject.as_str())),
        ("aud", Value::from(assertion.audience.as_str())),
        ("iat", Value::from(now.saturating_sub(SKEW).as_secs())),
        ("exp", Value::from(now.saturating_add(LIFETIME).as_secs())),
        ("jti", Value::from(id)),
    ] {
        claims.insert(name.to_owned(), value);
    }
    if assertion.subject.is_empty() {
        claims.remove("sub");
    }
    let signed = encode(&header, &claims, &key(assertion)?);
    signed.map(SecretString::from).map_err(|error| format!("the statement cannot be signed: {error}"))
}

/// The key, if it is one of the algorithm's kind. The error says nothing of it.
pub(super) fn key(assertion: &Assertion) -> Result<EncodingKey, String> {
    let pem = assertion.private_key.expose_secret().as_bytes();
    let (key, kind) = match assertion.algorithm {
        SigningAlgorithm::Rs256 => (EncodingKey::from_rsa_pem(pem), "an RSA key"),
        SigningAlgorithm::Es256 => (EncodingKey::from_ec_pem(pem), "a P-256 key"),
        SigningAlgorithm::EdDsa => (EncodingKey::from_ed_pem(pem), "an Ed25519 key"),
    };
    key.map_err(|_| format!("has a private key that is not {kind} in PEM (`-----BEGIN PRIVATE KEY-----`)"))
}

const fn algorithm(algorithm: SigningAlgorithm) -> Algorithm {
    match algorithm {
        SigningAlgorithm::Rs256 => Algorithm::RS256,
        SigningAlgorithm::Es256 => Algorithm::ES256,
        SigningAlgorithm::EdDsa => Algorithm::EdDSA,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::{DecodingKey, Validation, decode};

    /// The first key pair of RFC 8032, section 7.1.
    const ED25519: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
    const ED25519_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";

    fn assertion(algorithm: SigningAlgorithm) -> Assertion {
        Assertion {
            algorithm,
            private_key: ED25519.to_owned().into(),
            key_id: Some("k1".into()),
            issuer: "app".into(),
            subject: "agent@example.com".into(),
            audience: "https://login.example.com/token".into(),
            claims: [("scope".to_owned(), Value::from("read")), ("iss".to_owned(), Value::from("forged"))]
                .into_iter()
                .collect(),
        }
    }

    #[test]
    fn the_statement_says_who_and_for_how_long() {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let signed = sign(&assertion(SigningAlgorithm::EdDsa), now, "one").unwrap();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.validate_exp = false;
        validation.set_audience(&["https://login.example.com/token"]);
        let public = DecodingKey::from_ed_pem(ED25519_PUBLIC.as_bytes()).unwrap();
        let token = decode::<Map<String, Value>>(signed.expose_secret(), &public, &validation).unwrap();
        assert_eq!(token.header.kid.as_deref(), Some("k1"));
        assert_eq!(token.claims["iss"], "app");
        assert_eq!(token.claims["sub"], "agent@example.com");
        assert_eq!(token.claims["scope"], "read");
        assert_eq!(token.claims["jti"], "one");
        assert_eq!((&token.claims["iat"], &token.claims["exp"]), (&1_699_999_995.into(), &1_700_000_180.into()));
    }

    #[test]
    fn a_statement_about_nobody_names_nobody() {
        let nobody = Assertion { subject: String::new(), ..assertion(SigningAlgorithm::EdDsa) };
        let signed = sign(&nobody, UNIX_EPOCH, "one").unwrap();
        let claims = signed.expose_secret().split('.').nth(1).unwrap().to_owned();
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        assert_eq!((claims.get("sub"), &claims["iss"]), (None, &"app".into()));
    }

    #[test]
    fn a_key_of_another_kind_is_named_and_not_shown() {
        let why = sign(&assertion(SigningAlgorithm::Rs256), UNIX_EPOCH, "one").unwrap_err();
        assert!(why.contains("not an RSA key") && !why.contains("MC4C"), "{why}");
    }
}
