//! What the messaging side remembers.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::ids;

/// A customer's message allows free-form answers for this long.
const SERVICE_WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// Customers, their chats, and files.
#[derive(Debug, Default)]
pub(crate) struct World {
    /// By phone number.
    pub(crate) customers: BTreeMap<String, Customer>,
    /// Message id → phone number of the chat that it is in.
    index: HashMap<String, String>,
    /// What the gateway sent, in order.
    pub(crate) sent: Vec<Sent>,
    /// By media id.
    pub(crate) media: BTreeMap<String, Media>,
    /// Valid download addresses: secret part → media id and time of issue.
    pub(crate) downloads: BTreeMap<String, (String, Timestamp)>,
}

/// A person with a phone.
#[derive(Debug, Clone)]
pub(crate) struct Customer {
    pub(crate) phone: String,
    pub(crate) user_id: String,
    pub(crate) name: String,
    pub(crate) username: Option<String>,
    /// The phone number is kept from the business, as for people with a username.
    pub(crate) hide_phone: bool,
    /// Whether the number has WhatsApp at all.
    pub(crate) reachable: bool,
    /// Whether `read` is reported.
    pub(crate) receipts: bool,
    pub(crate) last_inbound: Option<Timestamp>,
    pub(crate) chat: Vec<ChatItem>,
}

impl Customer {
    pub(crate) fn new(phone: &str) -> Self {
        Self {
            phone: phone.to_owned(),
            user_id: ids::user_id(phone),
            name: format!("Customer {}", phone.get(phone.len().saturating_sub(4)..).unwrap_or(phone)),
            username: None,
            hide_phone: false,
            reachable: true,
            receipts: true,
            last_inbound: None,
            chat: Vec::new(),
        }
    }

    pub(crate) fn window_open(&self, now: Timestamp) -> bool {
        self.last_inbound.is_some_and(|last| now.duration_since(last) < SERVICE_WINDOW)
    }

    /// The entry for `contacts[]` of a webhook.
    pub(crate) fn contact(&self, with_profile: bool) -> Value {
        let mut contact = Map::new();
        if with_profile {
            let mut profile = json!({"name": self.name});
            if let (Some(username), Some(profile)) = (&self.username, profile.as_object_mut()) {
                profile.insert("username".into(), json!(username));
            }
            contact.insert("profile".into(), profile);
        }
        if !self.hide_phone {
            contact.insert("wa_id".into(), json!(self.phone));
        }
        contact.insert("user_id".into(), json!(self.user_id));
        Value::Object(contact)
    }

    /// What the pages know about the customer.
    pub(crate) fn card(&self) -> Value {
        json!({
            "phone": self.phone, "user_id": self.user_id, "name": self.name, "username": self.username,
            "hide_phone": self.hide_phone, "reachable": self.reachable, "receipts": self.receipts,
            "window_open": self.window_open(Timestamp::now()),
        })
    }
}

/// One bubble of a chat.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ChatItem {
    pub(crate) id: String,
    /// `customer` or `business`.
    pub(crate) author: &'static str,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The object under the key named like the type.
    pub(crate) content: Value,
    /// The message that this one quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quotes: Option<String>,
    pub(crate) at: String,
    /// Of a customer's message: `sent`, `delivered`, `read`. Of a business message: also `accepted`, `failed`.
    pub(crate) state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// Author → emoji.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) reactions: BTreeMap<&'static str, String>,
}

/// One message that the gateway sent; a row of `GET /_sim/whatsapp/sent`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Sent {
    pub(crate) id: String,
    /// The recipient as the request named it.
    pub(crate) to: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The text that a person would read: body, caption or name.
    pub(crate) text: String,
    /// The whole request.
    pub(crate) body: Value,
    /// `biz_opaque_callback_data`.
    pub(crate) reference: Option<String>,
    pub(crate) at: String,
    /// `accepted`, then the last status reported.
    pub(crate) status: &'static str,
    /// Meta's error code of a failed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<i64>,
}

/// A stored file.
#[derive(Debug, Clone)]
pub(crate) struct Media {
    pub(crate) id: String,
    pub(crate) mime: String,
    pub(crate) name: Option<String>,
    pub(crate) content: Bytes,
    pub(crate) sha256: [u8; 32],
}

impl World {
    /// The customer with a phone number, made when unknown.
    pub(crate) fn customer(&mut self, phone: &str) -> &mut Customer {
        self.customers.entry(phone.to_owned()).or_insert_with(|| Customer::new(phone))
    }

    pub(crate) fn by_user_id(&self, user_id: &str) -> Option<&Customer> {
        self.customers.values().find(|customer| customer.user_id == user_id)
    }

    /// Adds a bubble to a chat.
    pub(crate) fn add_item(&mut self, phone: &str, item: ChatItem) {
        self.index.insert(item.id.clone(), phone.to_owned());
        self.customer(phone).chat.push(item);
    }

    /// The chat and the place in it of a message.
    pub(crate) fn find_item(&mut self, id: &str) -> Option<(String, &mut ChatItem)> {
        let phone = self.index.get(id)?;
        let item = self.customers.get_mut(phone)?.chat.iter_mut().rev().find(|item| item.id == id)?;
        Some((phone.clone(), item))
    }

    /// Stores a file and gives its id.
    pub(crate) fn store(&mut self, mime: String, name: Option<String>, content: Bytes) -> String {
        use sha2::Digest as _;
        let id = ids::media();
        let sha256 = sha2::Sha256::digest(&content).into();
        self.media.insert(id.clone(), Media { id: id.clone(), mime, name, content, sha256 });
        id
    }
}
