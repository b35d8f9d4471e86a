//! SHA-256 in the spellings that Meta uses: base64 in webhooks, hex in samples and answers of the Graph API.

use data_encoding::{BASE64, BASE64_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};

/// The same digest in lower-case hex; nothing where `text` is no SHA-256.
pub(crate) fn hex(text: &str) -> Option<String> {
    [HEXLOWER_PERMISSIVE, BASE64, BASE64_NOPAD].iter().find_map(|encoding| {
        let bytes = encoding.decode(text.trim().as_bytes()).ok()?;
        (bytes.len() == 32).then(|| HEXLOWER.encode(&bytes))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_and_hex_become_hex() {
        let expected = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        for text in [expected, &expected.to_uppercase(), "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg="] {
            assert_eq!(hex(text).as_deref(), Some(expected));
        }
        for other in ["", "n4bQ", "not a digest", &expected[1..]] {
            assert_eq!(hex(other), None, "{other}");
        }
    }
}
