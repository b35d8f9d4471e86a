//! Names that are the same however often a thing is delivered.
//!
//! Ids are derived from what the platform says, never drawn: two nodes that see the same webhook agree on its events.
//! They are hashes because the platform's own ids can embed a phone number, and our ids stand in logs and URLs.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Bytes of SHA-256 kept in an id: 120 bits are 24 base32 characters, and a collision needs 2⁶⁰ ids.
const ID_BYTES: usize = 15;

/// `prefix` and a hash over `parts`. Each part is length-prefixed, so that `["ab","c"]` and `["a","bc"]` differ.
#[must_use]
pub fn derive(prefix: &str, parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let kept = digest.get(..ID_BYTES).unwrap_or(&digest);
    let mut text = String::with_capacity(prefix.len() + 25);
    text.push_str(prefix);
    text.push('_');
    text.push_str(&BASE32_NOPAD.encode(kept).to_ascii_lowercase());
    text
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// What every id of this kind begins with, before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// The id of the thing that `parts` describe.
            #[must_use]
            pub fn derive(parts: &[&[u8]]) -> Self {
                Self(derive($prefix, parts))
            }

            /// The id that `text` spells, if it is one of this kind.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let rest = text.strip_prefix($prefix)?.strip_prefix('_')?;
                let known = rest.len() == 24 && rest.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
                known.then(|| Self(text.to_owned()))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// An event. Derived from what the platform calls it, so a redelivery has the same id.
    EventId,
    "ev"
);
id!(
    /// A conversation: one customer on one channel.
    ConversationId,
    "co"
);
id!(
    /// A customer on one channel.
    CustomerId,
    "cu"
);
id!(
    /// A task, derived from the event that ordered it and its place in the plan: the idempotency key of its effect.
    TaskId,
    "ta"
);
id!(
    /// A piece of media, derived from the channel and the platform's media id.
    MediaId,
    "me"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_depends_on_every_part_and_on_where_it_ends() {
        let one = EventId::derive(&[b"ab", b"c"]);
        assert_eq!(one, EventId::derive(&[b"ab", b"c"]));
        assert_ne!(one, EventId::derive(&[b"a", b"bc"]));
        assert_ne!(one, EventId::derive(&[b"ab"]));
        assert_eq!(EventId::parse(one.as_str()), Some(one.clone()));
        assert_eq!(ConversationId::parse(one.as_str()), None);
        assert_eq!(EventId::parse("ev_../../../../etc/passwd00"), None);
    }
}
