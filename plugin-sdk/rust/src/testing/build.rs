//! Data to test with. All fields are public: make one, and change what the test is about.

use super::NOW;
use crate::{
    Author, Body, Channel, Content, Conversation, Customer, Draft, Entry, Event, Media, MediaKind, Message, Ticket,
};

/// Milliseconds for which a free-form message may be sent after the customer's last one: WhatsApp's 24 hours.
const WINDOW: u64 = 24 * 60 * 60 * 1000;

/// A customer with a phone number and a name.
#[must_use]
pub fn customer() -> Customer {
    Customer {
        id: "cu_1".into(),
        phone: Some("447700900001".into()),
        user_id: None,
        group: None,
        username: None,
        name: Some("Ada".into()),
        locale: None,
    }
}

/// A conversation that nothing was decided about.
#[must_use]
pub fn conversation() -> Conversation {
    Conversation {
        id: "co_1".into(),
        channel: Channel {
            id: "main".into(),
            platform: "whatsapp".into(),
            account: "100".into(),
            address: "200".into(),
        },
        customer: customer(),
        attributes: Vec::new(),
        assignment: None,
        tickets: Vec::new(),
        window_until: Some(NOW + WINDOW),
        human: false,
        no_marketing: false,
        standby: false,
    }
}

/// Something that happened in [`conversation`], at [`NOW`].
#[must_use]
pub fn event(body: Body) -> Event {
    Event { id: "ev_1".into(), occurred_at: NOW, received_at: NOW, conversation: conversation(), body }
}

/// A message that answers no other.
#[must_use]
pub fn message(content: Content) -> Message {
    Message { id: "wamid.1".into(), content, reply_to: None, forwarded: false, referral: None, author: None }
}

/// The customer sent this.
#[must_use]
pub fn message_event(content: Content) -> Event {
    event(Body::Message(message(content)))
}

/// The customer wrote this.
#[must_use]
pub fn text_event(text: &str) -> Event {
    message_event(Content::Text(text.into()))
}

/// A file with the id `m1`.
#[must_use]
pub fn media(kind: MediaKind, mime: &str) -> Media {
    Media { id: "m1".into(), kind, mime: mime.into(), size: None, file_name: None, caption: None }
}

/// A new ticket in a desk.
#[must_use]
pub fn ticket(desk: &str, id: &str) -> Ticket {
    Ticket { desk: desk.into(), id: id.into(), url: None, status: "new".into(), data: Vec::new() }
}

/// Something that was said, which the customer may see.
#[must_use]
pub fn entry(author: Author, text: &str) -> Entry {
    Entry { author, text: text.into(), media: Vec::new(), public: true, at: NOW }
}

/// A ticket to be, with one entry of the customer's.
#[must_use]
pub fn draft(text: &str) -> Draft {
    Draft {
        subject: text.into(),
        conversation: conversation(),
        fields: Vec::new(),
        entries: vec![entry(Author::Customer(customer()), text)],
    }
}
