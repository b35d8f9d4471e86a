//! The bytes of files in a golden event.

use std::sync::Arc;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

/// Bytes of one file, at the most: every node that deploys the plugin reads them. A photo of a few hundred pixels shows an
/// inspector all that it has to decide about.
pub const FILE_MOST: usize = 512 << 10;

/// Bytes of all files of a plugin's golden events, at the most.
pub const FILES_MOST: usize = 4 << 20;

/// The bytes of a file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileBytes {
    /// In a file beside the golden event's: its name, or its path from there. Only where there are files: what is packed
    /// into a component has the bytes themselves.
    File(String),
    /// The bytes themselves: in standard base64 with padding, no more than [`FILE_MOST`].
    #[serde(with = "encoded")]
    Base64(Arc<[u8]>),
}

impl std::fmt::Debug for FileBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(name) => f.debug_tuple("File").field(name).finish(),
            Self::Base64(bytes) => write!(f, "Base64({} bytes)", bytes.len()),
        }
    }
}

mod encoded {
    use serde::de::Error as _;
    use serde::{Deserializer, Serializer};

    use super::{Arc, BASE64, Deserialize, FILE_MOST};

    pub(super) fn serialize<S: Serializer>(bytes: &Arc<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[u8]>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() > FILE_MOST.div_ceil(3) * 4 {
            return Err(D::Error::custom(format!("a file has no more than {FILE_MOST} bytes: take a smaller one")));
        }
        let bytes = BASE64.decode(text.as_bytes());
        bytes.map(Arc::from).map_err(|error| D::Error::custom(format!("this is no base64 with padding: {error}")))
    }
}
