//! Bearer tokens of the admin API: JSON Web Tokens (RFC 7519), signed with HS256.

use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use patchbay_model::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// Whom the tokens are for: the claim `aud`.
pub const AUDIENCE: &str = "patchbay";
/// What they allow: the claim `scope`, words with spaces between them.
pub const ADMIN: &str = "admin";
/// How far the clocks of two machines may be apart, seconds.
const LEEWAY: u64 = 60;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who it was given to.
    pub sub: String,
    /// When it was made, seconds since the epoch.
    pub iat: u64,
    /// When it ends, seconds since the epoch.
    pub exp: u64,
    /// [`AUDIENCE`].
    pub aud: String,
    /// What it allows: words with spaces between them.
    pub scope: String,
}

/// Why a token is not taken, or could not be made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no token, or not one that we read.
    #[error("this is not a token of this gateway")]
    Malformed,
    /// None of our secrets signed it.
    #[error("the token was signed with another secret")]
    Signature,
    /// Its time is over.
    #[error("the token has expired; make a new one with `patchbay token issue`")]
    Expired,
    /// It begins in the future.
    #[error("the token was made in the future: the clocks of two machines differ")]
    Early,
    /// It is for something else.
    #[error("the token is for another service")]
    Audience,
    /// It does not allow this.
    #[error("the token does not have the scope `admin`")]
    Scope,
    /// It could not be signed.
    #[error("the token could not be signed")]
    Signing,
}

/// Makes a token that ends `lifetime` after `now`.
///
/// # Errors
/// [`TokenError::Signing`]: the cryptography failed, which it does not for a plain secret.
pub fn issue(
    secret: &SecretString,
    subject: &str,
    now: Timestamp,
    lifetime: Duration,
) -> Result<(SecretString, Claims), TokenError> {
    let claims = Claims {
        sub: subject.to_owned(),
        iat: now.as_millis() / 1000,
        exp: now.after(lifetime).as_millis() / 1000,
        aud: AUDIENCE.to_owned(),
        scope: ADMIN.to_owned(),
    };
    let key = EncodingKey::from_secret(secret.expose_secret().as_bytes());
    let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key);
    Ok((SecretString::from(token.map_err(|_| TokenError::Signing)?), claims))
}

/// Checks tokens against several secrets, so that one can be replaced while its tokens are still about.
pub struct TokenVerifier {
    keys: Vec<DecodingKey>,
    validation: Validation,
}

impl TokenVerifier {
    /// With these secrets. Without any, no token is good.
    #[must_use]
    pub fn new(secrets: Vec<SecretString>) -> Self {
        // Only our own algorithm: a token must not choose how it is checked.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["sub", "exp", "aud"]);
        // Against the clock that is given to us, not the library's.
        validation.validate_exp = false;
        let keys = secrets.iter().map(|secret| DecodingKey::from_secret(secret.expose_secret().as_bytes())).collect();
        Self { keys, validation }
    }

    /// What a good token says.
    ///
    /// # Errors
    /// [`TokenError`] when it is not good now.
    pub fn verify(&self, bearer: &str) -> Result<Claims, TokenError> {
        self.verify_at(bearer, Timestamp::now())
    }

    /// As [`TokenVerifier::verify`], at another time.
    ///
    /// # Errors
    /// [`TokenError`] when it was not good then.
    pub fn verify_at(&self, bearer: &str, now: Timestamp) -> Result<Claims, TokenError> {
        let claims = self.signed(bearer)?;
        let now = now.as_millis() / 1000;
        if claims.exp.saturating_add(LEEWAY) <= now {
            return Err(TokenError::Expired);
        }
        if claims.iat > now.saturating_add(LEEWAY) {
            return Err(TokenError::Early);
        }
        if !claims.scope.split(' ').any(|word| word == ADMIN) {
            return Err(TokenError::Scope);
        }
        Ok(claims)
    }

    fn signed(&self, bearer: &str) -> Result<Claims, TokenError> {
        let mut refused = TokenError::Signature;
        for key in &self.keys {
            match jsonwebtoken::decode::<Claims>(bearer, key, &self.validation) {
                Ok(token) => return Ok(token.claims),
                Err(error) => match error.kind() {
                    ErrorKind::InvalidSignature => {}
                    ErrorKind::InvalidAudience => refused = TokenError::Audience,
                    _ => refused = TokenError::Malformed,
                },
            }
        }
        Err(refused)
    }
}

impl std::fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenVerifier").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);
    const DAY: Duration = Duration::from_secs(86_400);

    fn secret(text: &str) -> SecretString {
        SecretString::from(text.repeat(32))
    }

    fn token(text: &str) -> String {
        issue(&secret(text), "ada", NOW, DAY).unwrap().0.expose_secret().to_owned()
    }

    fn signed(header: &Header, claims: &serde_json::Value) -> String {
        jsonwebtoken::encode(header, claims, &EncodingKey::from_secret("a".repeat(32).as_bytes())).unwrap()
    }

    #[test]
    fn a_token_says_who_and_until_when() {
        let claims = TokenVerifier::new(vec![secret("a")]).verify_at(&token("a"), NOW).unwrap();
        assert_eq!(claims.sub, "ada");
        assert_eq!(claims.exp - claims.iat, 86_400);
        assert_eq!((claims.aud.as_str(), claims.scope.as_str()), ("patchbay", "admin"));
    }

    #[test]
    fn the_old_secret_counts_until_it_is_taken_out() {
        let both = TokenVerifier::new(vec![secret("b"), secret("a")]);
        assert!(both.verify_at(&token("a"), NOW).is_ok());
        assert!(both.verify_at(&token("b"), NOW).is_ok());
        let only = TokenVerifier::new(vec![secret("b")]);
        assert_eq!(only.verify_at(&token("a"), NOW), Err(TokenError::Signature));
        assert_eq!(TokenVerifier::new(Vec::new()).verify_at(&token("a"), NOW), Err(TokenError::Signature));
    }

    #[test]
    fn a_token_ends() {
        let verifier = TokenVerifier::new(vec![secret("a")]);
        assert!(verifier.verify_at(&token("a"), NOW.after(DAY)).is_ok(), "clocks differ a little");
        assert_eq!(verifier.verify_at(&token("a"), NOW.after(DAY + DAY)), Err(TokenError::Expired));
        assert_eq!(verifier.verify_at(&token("a"), Timestamp::from_millis(0)), Err(TokenError::Early));
    }

    #[test]
    fn other_tokens_are_refused() {
        let verifier = TokenVerifier::new(vec![secret("a")]);
        let good =
            json!({"sub": "ada", "iat": 1_764_000_000, "exp": 1_764_086_400, "aud": "patchbay", "scope": "read admin"});
        let with = |key: &str, value: serde_json::Value| {
            let mut claims = good.clone();
            claims[key] = value;
            signed(&Header::new(Algorithm::HS256), &claims)
        };
        let verify = |token: String| verifier.verify_at(&token, NOW).map(|_| ());
        assert_eq!(verify(with("sub", json!("ada"))), Ok(()));
        assert_eq!(verify(with("aud", json!("another"))), Err(TokenError::Audience));
        assert_eq!(verify(with("scope", json!("administrator"))), Err(TokenError::Scope));
        assert_eq!(verify(with("exp", serde_json::Value::Null)), Err(TokenError::Malformed));
        assert_eq!(verify(signed(&Header::new(Algorithm::HS512), &good)), Err(TokenError::Malformed));
        assert_eq!(verify("rubbish".into()), Err(TokenError::Malformed));
        // {"alg":"none"} with the same claims and no signature.
        let claims = with("sub", json!("ada")).split('.').nth(1).unwrap().to_owned();
        assert_eq!(verify(format!("eyJhbGciOiJub25lIn0.{claims}.")), Err(TokenError::Malformed));
    }

    #[test]
    fn nothing_shows_a_secret() {
        let shown = format!("{:?}", TokenVerifier::new(vec![secret("a")]));
        assert_eq!(shown, "TokenVerifier { keys: 1, .. }");
    }
}
