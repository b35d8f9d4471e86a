//! What a customer wrote.

use serde::{Deserialize, Serialize};

use crate::arrival::Profile;
use crate::conversation::Identity;
use crate::{MediaId, Notice, Private};

/// One message from a customer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The platform's id. It can embed the phone number.
    pub id: Private<String>,
    /// What it carries.
    pub content: Content,
    /// The id of the message that this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Private<String>>,
    /// The customer forwarded it from another chat.
    #[serde(default)]
    pub forwarded: bool,
    /// The ad, post or product that the customer came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referral: Option<Notice>,
    /// In a group: who of its participants wrote. Outside of one it is there only where the platform shows of the customer
    /// nothing that a route could lead to: what they show all the same, such as a username.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Participant>,
}

/// A person in a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// What the platform knows them by, the surest first.
    pub identities: Vec<Identity>,
    /// What they show of themselves.
    #[serde(default)]
    pub profile: Profile,
}

/// What a message carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value", rename_all = "kebab-case")]
pub enum Content {
    /// Words.
    Text(Private<String>),
    /// A file.
    Media(Media),
    /// A place.
    Location(Location),
    /// Contact cards.
    Contacts(Vec<ContactCard>),
    /// A button, list row or template quick reply that the customer chose.
    Choice(Choice),
    /// A completed form: JSON as the platform gave it, which need not be valid.
    Form(Private<String>),
    /// A reaction, or one taken back.
    Reaction(Reaction),
    /// A catalogue order.
    Order(Order),
    /// A message was edited.
    Edited(Edited),
    /// The id of the message that the customer withdrew.
    Withdrawn(Private<String>),
    /// The platform's own kind and its raw JSON.
    Other(Notice),
}

/// What sort of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MediaKind {
    /// A photo or a drawing.
    Image,
    /// A film.
    Video,
    /// Sound that was sent as a file.
    Audio,
    /// Sound that was recorded in the chat.
    Voice,
    /// Anything else with a name.
    Document,
    /// A sticker.
    Sticker,
}

impl MediaKind {
    /// The word for it in event kinds and messages to people.
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

/// A file that came with a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// Our handle.
    pub id: MediaId,
    /// The platform's handle, to fetch it with.
    pub platform_id: String,
    /// What sort of file it is.
    pub kind: MediaKind,
    /// Media type without parameters, as the sender claims it.
    pub mime: String,
    /// Bytes, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// SHA-256 of the file, where the platform told it and it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// As the sender named it: not safe as a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<Private<String>>,
    /// Words under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<Private<String>>,
}

/// Degrees, WGS 84.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// −90 to 90.
    pub latitude: Private<f64>,
    /// −180 to 180.
    pub longitude: Private<f64>,
    /// The place's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Private<String>>,
    /// The place's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Private<String>>,
}

/// A shared contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactCard {
    /// Formatted name; empty where the card has none.
    pub name: Private<String>,
    /// As written on the card.
    pub phones: Vec<Private<String>>,
    /// As written on the card.
    pub emails: Vec<Private<String>>,
    /// The platform's whole card as JSON.
    pub raw: Private<String>,
}

/// What the customer chose: the id that the sender gave the option, and what the customer saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The option's id.
    pub id: String,
    /// What the customer saw.
    pub title: Private<String>,
    /// The line below it in a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Private<String>>,
}

/// A reaction to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// The id of the message.
    pub message: Private<String>,
    /// None: the customer took it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emoji: Option<String>,
}

/// A catalogue order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The catalogue's id.
    pub catalog: String,
    /// What the customer wrote with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Private<String>>,
    /// What was ordered.
    pub items: Vec<OrderItem>,
}

/// Decimal numbers as text, exactly as the platform gave them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderItem {
    /// The retailer's product id.
    pub product: String,
    /// How many.
    pub quantity: String,
    /// For one.
    pub price: String,
    /// ISO 4217.
    pub currency: String,
}

/// A message was edited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edited {
    /// The id of the message.
    pub message: Private<String>,
    /// None: it was not text that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Private<String>>,
}

impl Content {
    /// The last word of the event's kind: `text`, `image`, `choice` …
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Text(_) => "text",
            Self::Media(media) => media.kind.as_str(),
            Self::Location(_) => "location",
            Self::Contacts(_) => "contacts",
            Self::Choice(_) => "choice",
            Self::Form(_) => "form",
            Self::Reaction(_) => "reaction",
            Self::Order(_) => "order",
            Self::Edited(_) => "edited",
            Self::Withdrawn(_) => "withdrawn",
            Self::Other(notice) => &notice.kind,
        }
    }

    /// The file in it, if it has one.
    #[must_use]
    pub const fn media(&self) -> Option<&Media> {
        match self {
            Self::Media(media) => Some(media),
            _ => None,
        }
    }
}
