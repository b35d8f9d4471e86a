//! The data of the contract: what an event says, what an outcome asks for, what passes between gateway and desk.
//!
//! The records are generated from the contract and carry its words; the methods here only make them pleasant to use.

pub use crate::bindings::desk::exports::patchbay::plugin::desk::{Added, Author, Draft, Entry, Snapshot, Webhook};
pub use crate::bindings::handler::exports::patchbay::plugin::handler::{
    Action, Buttons, Choices, Flow, OpenTicket, Outcome, Outgoing, OutgoingContent, OutgoingMedia, Row, Section,
    SetTimer, SlaCommand, SlaVerb, Template, UpdateTicket,
};
pub use crate::bindings::handler::patchbay::plugin::types::{
    Activity, AgentEntry, Assignment, Body, Call, Channel, Choice, ContactCard, Content, Conversation, Customer,
    Decision, Delivery, DeliveryError, DeliveryState, DeskActivity, Edited, EffectFailed, Event, Failure, Finding,
    Handover, IdentityChange, IdentityChanged, Location, Media, MediaChecked, MediaKind, Message, NamedVerdict, Notice,
    Order, OrderItem, Overheard, Participant, Preference, Pricing, Priority, Reaction, RemoteFile, Retry, SlaNotice,
    SlaStage, Speaker, Ticket, TimerFired, Verdict,
};

/// The value of `key` in a list of keys and values.
#[must_use]
pub fn value_of<'a>(attributes: &'a [(String, String)], key: &str) -> Option<&'a str> {
    attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

impl Event {
    /// The message, if the event is one of the customer's.
    #[must_use]
    pub const fn message(&self) -> Option<&Message> {
        match &self.body {
            Body::Message(message) => Some(message),
            _ => None,
        }
    }

    /// The words of the customer's message: its text, or the caption of its media.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.message()?.content {
            Content::Text(text) => Some(text),
            Content::Media(media) => media.caption.as_deref(),
            _ => None,
        }
    }
}

impl Conversation {
    /// An attribute's value.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<&str> {
        value_of(&self.attributes, key)
    }

    /// The ticket in this desk, if the conversation is linked to one.
    #[must_use]
    pub fn ticket(&self, desk: &str) -> Option<&Ticket> {
        self.tickets.iter().find(|ticket| ticket.desk == desk)
    }
}

impl Ticket {
    /// What this plugin remembered with the ticket.
    #[must_use]
    pub fn datum(&self, key: &str) -> Option<&str> {
        value_of(&self.data, key)
    }
}

impl Webhook {
    /// A header's value, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        value_of(&self.headers, name)
    }
}

impl Media {
    /// The name to show for it: the sender's, or one made of its kind.
    #[must_use]
    pub fn display_name(&self) -> String {
        self.file_name.clone().unwrap_or_else(|| format!("{}.{}", self.kind.as_str(), self.extension()))
    }

    /// A file name's ending for its media type; `bin` for the unknown.
    fn extension(&self) -> &str {
        match self.mime.as_str() {
            "image/jpeg" => "jpg",
            "audio/mpeg" => "mp3",
            "text/plain" => "txt",
            "video/3gpp" => "3gp",
            mime => match mime.rsplit_once('/') {
                Some((_, subtype)) if subtype.len() <= 4 && subtype.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                    subtype
                }
                _ => "bin",
            },
        }
    }
}

impl MediaKind {
    /// The contract's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Voice => "voice",
            Self::Document => "document",
            Self::Sticker => "sticker",
        }
    }
}

impl Priority {
    /// The contract's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Urgent => "urgent",
        }
    }

    /// The priority of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Low, Self::Normal, Self::High, Self::Urgent].into_iter().find(|priority| priority.as_str() == name)
    }
}

impl<'de> serde::Deserialize<'de> for Priority {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::from_name(&name).ok_or_else(|| {
            serde::de::Error::custom(format!("`{name}` is no priority: write low, normal, high or urgent"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_without_a_name_is_named_by_its_kind() {
        for (kind, mime, name) in [
            (MediaKind::Image, "image/jpeg", "image.jpg"),
            (MediaKind::Voice, "audio/ogg", "voice.ogg"),
            (MediaKind::Document, "application/vnd.ms-excel", "document.bin"),
        ] {
            let media = Media { id: "m".into(), kind, mime: mime.into(), size: None, file_name: None, caption: None };
            assert_eq!(media.display_name(), name);
        }
    }

    #[test]
    fn a_priority_is_read_by_its_name() {
        assert_eq!(serde_json::from_str::<Priority>("\"urgent\"").unwrap(), Priority::Urgent);
        let error = serde_json::from_str::<Priority>("\"soon\"").unwrap_err();
        assert!(error.to_string().contains("`soon` is no priority"), "{error}");
    }
}
