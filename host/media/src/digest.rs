//! SHA-256 in the spellings that are met: Meta writes base64 in webhooks and hex elsewhere.

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};

/// The 32 bytes that `text` spells in hex or base64, padded or not, standard or URL alphabet.
pub(crate) fn parse(text: &str) -> Option<[u8; 32]> {
    let bytes = text.trim().as_bytes();
    [HEXLOWER_PERMISSIVE, BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD]
        .iter()
        .find_map(|encoding| encoding.decode(bytes).ok()?.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_the_same_digest() {
        let hex = "fbff00000000000000000000000000000000000000000000000000000000003e";
        let digest = parse(hex).unwrap();
        assert_eq!(digest[..2], [0xfb, 0xff]);
        for same in [
            hex.to_uppercase(),
            format!(" {hex}\n"),
            BASE64.encode(&digest),
            BASE64_NOPAD.encode(&digest),
            BASE64URL.encode(&digest),
            BASE64URL_NOPAD.encode(&digest),
        ] {
            assert_eq!(parse(&same), Some(digest), "{same}");
        }
        for other in ["", "00", &hex[1..], &format!("{hex}00"), "not a digest"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
