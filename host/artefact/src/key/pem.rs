//! PEM (RFC 7468): base64 between two lines that name it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::KeyError;

/// The letters of a line.
const WIDTH: usize = 64;

/// What stands between the lines of this label; `None` when there are none. It is wiped when it is dropped.
pub(super) fn decode(text: &str, label: &str) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let Some((_, after)) = text.split_once(&begin) else { return Ok(None) };
    let (base64, _) = after.split_once(&end).ok_or(KeyError::Damaged)?;
    // Large enough from the beginning: a text that grows leaves copies of itself behind.
    let mut joined = Zeroizing::new(String::with_capacity(base64.len()));
    joined.extend(base64.split_ascii_whitespace());
    let bytes = BASE64_STANDARD.decode(joined.as_bytes()).map_err(|_| KeyError::Damaged)?;
    Ok(Some(Zeroizing::new(bytes)))
}

/// The text of some bytes.
pub(super) fn encode(bytes: &[u8], label: &str) -> String {
    let base64 = Zeroizing::new(BASE64_STANDARD.encode(bytes));
    let frame = "-----BEGIN -----\n-----END -----\n".len() + 2 * label.len();
    let mut text = String::with_capacity(frame + base64.len() + base64.len().div_ceil(WIDTH));
    text.push_str(&format!("-----BEGIN {label}-----\n"));
    for (place, letter) in base64.chars().enumerate() {
        if place > 0 && place.is_multiple_of(WIDTH) {
            text.push('\n');
        }
        text.push(letter);
    }
    text.push_str(&format!("\n-----END {label}-----\n"));
    text
}

/// As [`encode`], for what nobody else may see.
pub(super) fn encode_secret(bytes: &[u8], label: &str) -> SecretString {
    SecretString::from(encode(bytes, label).into_boxed_str())
}
