//! Changes of chats, and telling the pages about them.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::shared::{Shared, lock};
use crate::whatsapp::world::{ChatItem, World};

/// Tells the pages that a bubble is new or changed.
pub(crate) fn tell_item(shared: &Shared, phone: &str, item: &ChatItem) {
    shared.tell(json!({"kind": "message", "chat": phone, "message": item}));
}

/// Adds a bubble; a reaction goes onto the bubble that it is about instead.
pub(crate) fn add(shared: &Shared, world: &mut World, phone: &str, item: ChatItem) {
    if item.kind == "reaction" {
        let target = item.content.get("message_id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let emoji = item.content.get("emoji").and_then(Value::as_str).unwrap_or_default();
        if let Some((chat, found)) = world.find_item(&target) {
            if emoji.is_empty() {
                found.reactions.remove(item.author);
            } else {
                found.reactions.insert(item.author, emoji.to_owned());
            }
            tell_item(shared, &chat, found);
        }
        return;
    }
    tell_item(shared, phone, &item);
    world.add_item(phone, item);
}

/// The gateway has taken the webhook with these customers' messages: two ticks.
pub(crate) fn delivered(shared: &Shared, ids: &[String]) {
    let mut world = lock(&shared.whatsapp);
    for id in ids {
        if let Some((chat, item)) = world.find_item(id)
            && item.state == "sent"
        {
            item.state = "delivered";
            tell_item(shared, &chat, item);
        }
    }
}

/// The gateway has marked a message read, and with it those before it in the chat. False for an unknown message.
pub(crate) fn mark_read(shared: &Arc<Shared>, id: &str, typing: bool) -> bool {
    let mut world = lock(&shared.whatsapp);
    let Some((chat, _)) = world.find_item(id) else { return false };
    let customer = world.customer(&chat);
    let Some(place) = customer.chat.iter().position(|item| item.id == id && item.author == "customer") else {
        return false;
    };
    for item in customer.chat.iter_mut().take(place + 1) {
        if item.author == "customer" && item.state != "read" {
            item.state = "read";
            tell_item(shared, &chat, item);
        }
    }
    if typing {
        shared.tell(json!({"kind": "typing", "chat": chat, "on": true}));
    }
    true
}
