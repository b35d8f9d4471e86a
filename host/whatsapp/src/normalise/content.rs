//! What a message carries, by its type.

use patchbay_model::message::{ContactCard, Edited, Location, Order, OrderItem, Reaction};
use patchbay_model::{Content, Notice, Private};
use serde_json::value::RawValue;

use super::{choice, media};
use crate::wire::{self, Fields};

/// The keys under which content stands, for a message that does not say its type.
const KEYS: [&str; 16] = [
    "text",
    "image",
    "video",
    "audio",
    "voice",
    "document",
    "sticker",
    "location",
    "contacts",
    "interactive",
    "button",
    "reaction",
    "order",
    "system",
    "edit",
    "revoke",
];

/// Older words for what Meta could not show; content has been met beside them, and then is what counts.
const UNSAID: [&str; 2] = ["unknown", "ephemeral"];

/// What the message carries. What has no name in our model, or not the shape that its type promises, is kept as it is.
pub(super) fn content(number: &str, message: &Fields<'_>, raw: &RawValue) -> Content {
    let said = message.text("type").filter(|kind| !UNSAID.contains(&kind.as_str()) || key(message).is_none());
    let kind = wire::word(said.or_else(|| key(message)), "unknown");
    known(number, &kind, message).unwrap_or_else(|kind| Content::Other(Notice { kind, data: raw.get().into() }))
}

fn key(message: &Fields<'_>) -> Option<String> {
    KEYS.iter().find(|key| message.get(key).is_some()).map(|key| (*key).to_owned())
}

/// # Errors
/// The kind to keep it under.
fn known(number: &str, kind: &str, message: &Fields<'_>) -> Result<Content, String> {
    let body = message.object(kind);
    let content = match (kind, &body) {
        ("text", Some(body)) => text(body),
        ("image" | "video" | "audio" | "voice" | "document" | "sticker", Some(body)) => {
            media::media(number, kind, body).map(Content::Media)
        }
        ("location", Some(body)) => location(body).map(Content::Location),
        ("contacts", _) => message.get("contacts").and_then(wire::list).map(contacts),
        ("interactive", Some(body)) => return choice::interactive(body),
        ("button", Some(body)) => choice::button(body).map(Content::Choice),
        ("reaction", Some(body)) => reaction(body).map(Content::Reaction),
        ("order", Some(body)) => order(body).map(Content::Order),
        ("edit", Some(body)) => edited(body).map(Content::Edited),
        ("revoke", Some(body)) => body.text("original_message_id").map(|id| Content::Withdrawn(Private::new(id))),
        _ => None,
    };
    content.ok_or_else(|| kind.to_owned())
}

/// The text may be empty: the customer did write.
fn text(body: &Fields<'_>) -> Option<Content> {
    body.get("body").and_then(wire::text).map(|text| Content::Text(Private::new(text)))
}

fn location(body: &Fields<'_>) -> Option<Location> {
    Some(Location {
        latitude: Private::new(wire::number(body.get("latitude")?)?),
        longitude: Private::new(wire::number(body.get("longitude")?)?),
        name: body.text("name").map(Private::new),
        address: body.text("address").map(Private::new),
    })
}

fn contacts(cards: Vec<&RawValue>) -> Content {
    Content::Contacts(cards.into_iter().map(card).collect())
}

/// Every field of a card may be missing; the whole of it stands in `raw`.
fn card(raw: &RawValue) -> ContactCard {
    let card = Fields::of(raw).unwrap_or_default();
    let name = card.object("name").unwrap_or_default();
    let parts = || {
        let parts: Vec<_> = ["first_name", "last_name"].iter().filter_map(|part| name.text(part)).collect();
        parts.join(" ")
    };
    let all = |list: &str, keys: &[&str]| {
        let items = card.list(list).into_iter().filter_map(Fields::of);
        items.filter_map(|item| keys.iter().find_map(|key| item.text(key))).map(Private::new).collect()
    };
    ContactCard {
        name: Private::new(name.text("formatted_name").unwrap_or_else(parts)),
        phones: all("phones", &["phone", "wa_id"]),
        emails: all("emails", &["email"]),
        raw: raw.get().into(),
    }
}

/// A reaction is taken back by leaving the emoji out, or by an empty one.
fn reaction(body: &Fields<'_>) -> Option<Reaction> {
    Some(Reaction { message: Private::new(body.text("message_id")?), emoji: body.text("emoji") })
}

fn order(body: &Fields<'_>) -> Option<Order> {
    let items = wire::list(body.get("product_items")?)?;
    let item = |item: Fields<'_>| {
        let part = |name| item.text(name).unwrap_or_default();
        OrderItem {
            product: part("product_retailer_id"),
            quantity: part("quantity"),
            price: part("item_price"),
            currency: part("currency"),
        }
    };
    Some(Order {
        catalog: body.text("catalog_id").unwrap_or_default(),
        note: body.text("text").map(Private::new),
        // An order of which one line cannot be read is not an order without that line.
        items: items.into_iter().map(|raw| Fields::of(raw).map(item)).collect::<Option<_>>()?,
    })
}

/// The new words are a text's body or a file's caption.
fn edited(body: &Fields<'_>) -> Option<Edited> {
    let message = body.object("message").unwrap_or_default();
    let text = message.object("text").and_then(|text| text.get("body").and_then(wire::text));
    let caption = || {
        let kind = wire::word(message.text("type"), "unknown");
        message.object(&kind)?.text("caption")
    };
    Some(Edited {
        message: Private::new(body.text("original_message_id")?),
        text: text.or_else(caption).map(Private::new),
    })
}
