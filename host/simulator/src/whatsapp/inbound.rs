//! Customers write.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::delivery::{FirstAttempt, Parcel, Sender, deliver};
use crate::ids::{self, Direction};
use crate::shared::{Shared, lock, millis};
use crate::whatsapp::world::{ChatItem, World};
use crate::whatsapp::{chat, media, wire};

/// The types whose content is a file.
const MEDIA_TYPES: [&str; 6] = ["image", "video", "audio", "document", "sticker", "voice"];

/// Customers' messages that were written, and their webhook.
pub(crate) struct Written {
    /// Their wamids, in order.
    pub(crate) ids: Vec<String>,
    /// The number of the delivery.
    pub(crate) delivery: u64,
    /// Tells when the webhook was tried for the first time.
    pub(crate) first: tokio::sync::oneshot::Receiver<FirstAttempt>,
}

/// Puts customers' messages, in Meta's shape, into one webhook. Missing parts (id, timestamp, type, contact,
/// properties of stored media) are filled in.
pub(crate) fn write(shared: &Arc<Shared>, messages: Vec<Value>) -> Result<Written, String> {
    if messages.is_empty() {
        return Err("there is no message".into());
    }
    let mut done = Vec::new();
    let mut contacts: Vec<Value> = Vec::new();
    let mut ids = Vec::new();
    let mut world = lock(&shared.whatsapp);
    for message in messages {
        let Value::Object(message) = message else { return Err("a message is a JSON object".into()) };
        let (phone, message) = complete(shared, &mut world, message)?;
        let id = text(&message, "id");
        let kind = text(&message, "type");
        let customer = world.customer(&phone);
        let contact = customer.contact(true);
        if kind != "system" && !contacts.contains(&contact) {
            contacts.push(contact);
        }
        let item = ChatItem {
            id: id.clone(),
            author: "customer",
            content: message.get(&kind).cloned().unwrap_or(Value::Null),
            quotes: message.get("context").and_then(|context| context.get("id")?.as_str().map(str::to_owned)),
            kind,
            at: millis(Timestamp::now()),
            state: "sent",
            error: None,
            reactions: std::collections::BTreeMap::new(),
        };
        chat::add(shared, &mut world, &phone, item);
        ids.push(id);
        done.push(Value::Object(message));
    }
    drop(world);
    let mut value = json!({"messages": done});
    if let (false, Some(value)) = (contacts.is_empty(), value.as_object_mut()) {
        value.insert("contacts".into(), Value::Array(contacts));
    }
    let body = wire::escape(&wire::envelope(&shared.options.whatsapp, value));
    let parcel = Parcel { sender: Sender::Whatsapp, kind: "messages", body, messages: ids.clone() };
    let (delivery, first) = deliver(shared, parcel);
    Ok(Written { ids, delivery, first })
}

fn text(object: &Map<String, Value>, key: &str) -> String {
    object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Fills in what a phone would, and gives the writer's phone number.
fn complete(
    shared: &Shared,
    world: &mut World,
    mut message: Map<String, Value>,
) -> Result<(String, Map<String, Value>), String> {
    let from: String = text(&message, "from").chars().filter(char::is_ascii_digit).collect();
    let user_id = text(&message, "from_user_id");
    let phone = if from.is_empty() {
        world
            .by_user_id(&user_id)
            .map(|customer| customer.phone.clone())
            .ok_or("a message needs `from` with a phone number, or `from_user_id` of a customer that is known here")?
    } else {
        from
    };
    let profile = message.remove("profile").or_else(|| message.remove("name").map(|name| json!({"name": name})));
    let customer = world.customer(&phone);
    if let Some(name) = profile.as_ref().and_then(|profile| profile.get("name")?.as_str()) {
        customer.name = name.to_owned();
    }
    if let Some(username) = profile.as_ref().and_then(|profile| profile.get("username")?.as_str()) {
        customer.username = Some(username.to_owned());
    }
    if !user_id.is_empty() {
        customer.user_id = user_id;
    }
    customer.last_inbound = Some(Timestamp::now());
    shared.tell(json!({"kind": "customer", "customer": customer.card()}));
    if customer.hide_phone {
        message.remove("from");
    } else {
        message.insert("from".into(), json!(phone));
    }
    message.insert("from_user_id".into(), json!(customer.user_id));
    message.entry("id").or_insert_with(|| json!(ids::wamid(&phone, Direction::Inbound)));
    message.entry("timestamp").or_insert_with(|| json!(Timestamp::now().as_second().to_string()));
    if !message.contains_key("type") {
        let common = ["from", "from_user_id", "id", "timestamp", "context", "errors", "referral", "identity"];
        let kind = message.keys().find(|key| !common.contains(&key.as_str())).cloned();
        message.insert("type".into(), json!(kind.ok_or("a message needs `type`")?));
    }
    if let Some(Value::Object(context)) = message.get_mut("context") {
        let business = world.find_item(&text(context, "id")).is_none_or(|(_, item)| item.author == "business");
        let author = if business { &shared.options.whatsapp.display_number } else { &phone };
        context.entry("from").or_insert_with(|| json!(author));
    }
    let kind = text(&message, "type");
    if MEDIA_TYPES.contains(&kind.as_str())
        && let Some(Value::Object(content)) = message.get_mut(&kind)
        && let Some(stored) = world.media.get(&text(content, "id")).cloned()
    {
        content.entry("mime_type").or_insert_with(|| json!(stored.mime));
        content.entry("sha256").or_insert_with(|| json!(STANDARD.encode(stored.sha256)));
        content.entry("url").or_insert_with(|| json!(media::download_url(shared, world, &stored.id)));
        if let ("document", Some(name)) = (kind.as_str(), &stored.name) {
            content.entry("filename").or_insert_with(|| json!(name));
        }
    }
    Ok((phone, message))
}

/// The message for a stored file: the type follows the MIME type unless it is given.
pub(crate) fn media_message(
    from: &str,
    id: &str,
    mime: &str,
    kind: Option<&str>,
    voice: bool,
    caption: Option<&str>,
) -> Value {
    let kind = kind.unwrap_or(match mime.split(['/', ';']).next() {
        _ if mime.starts_with("image/webp") => "sticker",
        Some("image") => "image",
        Some("video") => "video",
        Some("audio") => "audio",
        _ => "document",
    });
    let mut content = Map::new();
    content.insert("id".into(), json!(id));
    match kind {
        "audio" => {
            content.insert("voice".into(), json!(voice));
        }
        "sticker" => {
            content.insert("animated".into(), json!(false));
        }
        _ => {}
    }
    if let Some(caption) = caption.filter(|caption| !caption.is_empty()) {
        content.insert("caption".into(), json!(caption));
    }
    json!({"from": from, "type": kind, kind: content})
}
