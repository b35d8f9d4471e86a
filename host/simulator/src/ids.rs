//! Identifiers in the shapes that the vendors use.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// Which way a message went; part of a wamid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From a customer to the business.
    Inbound,
    /// From the business to a customer.
    Outbound,
}

/// A new message id: base64 over a small binary that holds the phone number and a random part.
pub(crate) fn wamid(phone: &str, direction: Direction) -> String {
    let unique = format!("{:016X}{:04X}", rand::random::<u64>(), rand::random::<u16>());
    let (kind, unique) = match direction {
        Direction::Inbound => (0x12_u8, unique.get(..20).unwrap_or(&unique)),
        Direction::Outbound => (0x11_u8, unique.get(..18).unwrap_or(&unique)),
    };
    let mut bytes = vec![0x1c, 0x18, u8::try_from(phone.len()).unwrap_or(u8::MAX)];
    bytes.extend_from_slice(phone.as_bytes());
    bytes.extend_from_slice(&[0x15, 0x02, 0x00, kind, 0x18, u8::try_from(unique.len()).unwrap_or(u8::MAX)]);
    bytes.extend_from_slice(unique.as_bytes());
    bytes.push(0);
    format!("wamid.{}", STANDARD.encode(bytes))
}

/// The business-scoped user id of a phone number: the same for the same number, as within one portfolio.
pub(crate) fn user_id(phone: &str) -> String {
    let country = [("44", "GB"), ("49", "DE"), ("55", "BR"), ("91", "IN"), ("33", "FR"), ("34", "ES"), ("1", "US")]
        .into_iter()
        .find(|(prefix, _)| phone.starts_with(prefix))
        .map_or("US", |(_, country)| country);
    let digest = Sha256::digest(phone.as_bytes());
    let number = digest.iter().take(7).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    format!("{country}.{}", 1_000_000_000_000_000 + number % 9_000_000_000_000_000)
}

/// Meta's trace id of one answer.
pub(crate) fn trace() -> String {
    let text = STANDARD.encode(rand::random::<[u8; 9]>());
    format!("A{}", text.replace(['/', '+'], "_"))
}

/// A media id: sixteen digits.
pub(crate) fn media() -> String {
    (1_000_000_000_000_000 + rand::random::<u64>() % 8_000_000_000_000_000).to_string()
}

/// A text that cannot be guessed, for download addresses and upload tokens.
pub(crate) fn secret_text() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}

/// A random UUID of version 4.
pub(crate) fn uuid() -> String {
    let mut bytes = rand::random::<[u8; 16]>();
    if let Some(byte) = bytes.get_mut(6) {
        *byte = *byte & 0x0f | 0x40;
    }
    if let Some(byte) = bytes.get_mut(8) {
        *byte = *byte & 0x3f | 0x80;
    }
    let text = hex::encode(bytes);
    let part = |from, to| text.get(from..to).unwrap_or_default().to_owned();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wamids_hold_the_number_and_never_repeat() {
        let first = wamid("447700900001", Direction::Inbound);
        let bytes = STANDARD.decode(first.strip_prefix("wamid.").unwrap()).unwrap();
        assert_eq!(&bytes[3..15], b"447700900001");
        assert_ne!(first, wamid("447700900001", Direction::Inbound));
    }

    #[test]
    fn a_person_keeps_one_user_id() {
        assert_eq!(user_id("447700900001"), user_id("447700900001"));
        assert_ne!(user_id("447700900001"), user_id("447700900002"));
        assert!(user_id("447700900001").starts_with("GB."));
    }
}
