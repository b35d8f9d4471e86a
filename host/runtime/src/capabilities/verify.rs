//! Signatures of webhooks, checked with secrets that a plugin never sees.

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::ExposeSecret as _;
use sha1::Sha1;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq as _};

use crate::state::Facts;

/// Whether `signature` is right for `message` under any of the secrets bound as `name`.
///
/// All of them are tried, whichever fits: the time tells nothing about which one did.
pub(crate) fn verify(
    facts: &Facts,
    name: &str,
    algorithm: &str,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, String> {
    let check = match algorithm {
        "hmac-sha256" => hmac_sha256,
        "hmac-sha1" => hmac_sha1,
        "equal" => equal,
        other => return Err(format!("`{other}` is not an algorithm: use hmac-sha256, hmac-sha1 or equal")),
    };
    let secrets = facts.secrets.get(name).filter(|secrets| !secrets.is_empty());
    let Some(secrets) = secrets else {
        return Err(format!("no secret is bound to plugin `{}` under the name `{name}`", facts.name));
    };
    let mut fits = Choice::from(0);
    for secret in secrets {
        fits |= check(secret.expose_secret().as_bytes(), message, signature);
    }
    Ok(fits.into())
}

fn hmac_sha256(secret: &[u8], message: &[u8], signature: &[u8]) -> Choice {
    // HMAC takes keys of any length: the error is only in the trait.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return Choice::from(0) };
    mac.update(message);
    mac.finalize().into_bytes().as_slice().ct_eq(signature)
}

fn hmac_sha1(secret: &[u8], message: &[u8], signature: &[u8]) -> Choice {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret) else { return Choice::from(0) };
    mac.update(message);
    mac.finalize().into_bytes().as_slice().ct_eq(signature)
}

fn equal(secret: &[u8], _message: &[u8], signature: &[u8]) -> Choice {
    secret.ct_eq(signature)
}
