//! Is this webhook from Meta? `X-Hub-Signature-256: sha256=<hex>` over the raw body, keyed with the app's secret.
//!
//! The bytes are judged exactly as they came: parsing and writing them again changes how letters are escaped, and with
//! them the signature.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use thiserror::Error;

/// What the header's value begins with.
const SCHEME: &str = "sha256=";

/// The secrets of the apps that may call us: several while one is being replaced, or where two apps share the URL.
#[derive(Clone, Debug)]
pub struct AppSecrets(Vec<SecretString>);

/// Why a webhook is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// There is no `X-Hub-Signature-256` header.
    #[error("there is no X-Hub-Signature-256 header")]
    Missing,
    /// The header is not `sha256=` and 64 hexadecimal digits.
    #[error("the X-Hub-Signature-256 header is not `sha256=` and 64 hexadecimal digits")]
    Malformed,
    /// The header is well formed, and no secret of ours made it.
    #[error("the signature was not made with an app secret of ours")]
    Wrong,
}

impl AppSecrets {
    /// Empty secrets are left out: anybody can sign with them. With no secret left, nothing is believed.
    #[must_use]
    pub fn new(secrets: Vec<SecretString>) -> Self {
        Self(secrets.into_iter().filter(|secret| !secret.expose_secret().is_empty()).collect())
    }

    /// Judges `body` by the value of its header, in a time that does not depend on where a wrong signature is wrong.
    ///
    /// # Errors
    /// Why the webhook is not believed.
    pub fn verify(&self, header: Option<&[u8]>, body: &[u8]) -> Result<(), SignatureError> {
        let header = header.ok_or(SignatureError::Missing)?;
        let digits = header.strip_prefix(SCHEME.as_bytes()).ok_or(SignatureError::Malformed)?;
        let mut given = [0; 32];
        hex::decode_to_slice(digits, &mut given).map_err(|_| SignatureError::Malformed)?;
        let known = self
            .0
            .iter()
            .filter_map(|secret| keyed(secret, body))
            .fold(false, |known, expected| expected.verify_slice(&given).is_ok() | known);
        if known { Ok(()) } else { Err(SignatureError::Wrong) }
    }
}

/// The header's value for `body`, as Meta would write it: for the simulator and the tests.
#[must_use]
pub fn sign(secret: &SecretString, body: &[u8]) -> String {
    let digest = keyed(secret, body).map(|mac| hex::encode(mac.finalize().into_bytes())).unwrap_or_default();
    format!("{SCHEME}{digest}")
}

/// HMAC takes keys of every length, so there always is one.
fn keyed(secret: &SecretString, body: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).ok()?;
    mac.update(body);
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    const KEY: &str = "Jefe";
    const BODY: &[u8] = b"what do ya want for nothing?";
    const HEADER: &str = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    fn secrets(of: &[&str]) -> AppSecrets {
        AppSecrets::new(of.iter().map(|secret| SecretString::from(*secret)).collect())
    }

    fn verify(header: &str) -> Result<(), SignatureError> {
        secrets(&[KEY]).verify(Some(header.as_bytes()), BODY)
    }

    #[test]
    fn the_published_vector_holds() {
        assert_eq!(sign(&KEY.into(), BODY), HEADER);
        assert_eq!(verify(HEADER), Ok(()));
    }

    #[test]
    fn any_of_several_secrets_will_do() {
        for held in [&["new", KEY][..], &[KEY, "old"], &["other", KEY, "third"]] {
            assert_eq!(secrets(held).verify(Some(HEADER.as_bytes()), BODY), Ok(()));
        }
        assert_eq!(secrets(&["new", "old"]).verify(Some(HEADER.as_bytes()), BODY), Err(SignatureError::Wrong));
    }

    #[test]
    fn without_a_secret_nothing_is_believed() {
        let anybody = sign(&"".into(), BODY);
        assert_eq!(secrets(&[]).verify(Some(anybody.as_bytes()), BODY), Err(SignatureError::Wrong));
        assert_eq!(secrets(&[""]).verify(Some(anybody.as_bytes()), BODY), Err(SignatureError::Wrong));
    }

    #[test]
    fn the_bytes_count_not_their_meaning() {
        let body = br#"{"name":"Ren\u00e9"}"#;
        let header = sign(&KEY.into(), body);
        assert_eq!(secrets(&[KEY]).verify(Some(header.as_bytes()), body), Ok(()));
        let same_meaning = "{\"name\":\"René\"}".as_bytes();
        assert_eq!(secrets(&[KEY]).verify(Some(header.as_bytes()), same_meaning), Err(SignatureError::Wrong));
    }

    #[test]
    fn headers_are_missing_malformed_or_wrong() {
        assert_eq!(secrets(&[KEY]).verify(None, BODY), Err(SignatureError::Missing));
        let digits = HEADER.trim_start_matches(SCHEME);
        for odd in [
            String::new(),
            "sha256=".into(),
            digits.into(),
            HEADER.trim_end_matches('3').into(),
            format!("{HEADER}00"),
            format!(" {HEADER}"),
            format!("sha1={digits}"),
            format!("sha256:{digits}"),
            HEADER.replace('5', "g"),
            HEADER.replace('5', "é"),
        ] {
            assert_eq!(verify(&odd), Err(SignatureError::Malformed), "{odd}");
        }
        assert_eq!(secrets(&[KEY]).verify(Some(&[0xff, 0xfe]), BODY), Err(SignatureError::Malformed));
        for wrong in [HEADER.replace("3843", "3842"), HEADER.replace("5bdc", "5bdd")] {
            assert_eq!(verify(&wrong), Err(SignatureError::Wrong), "{wrong}");
        }
    }

    #[test]
    fn the_case_of_the_digits_means_nothing() {
        let upper = format!("{SCHEME}{}", HEADER.trim_start_matches(SCHEME).to_uppercase());
        assert_eq!(verify(&upper), Ok(()));
    }
}
