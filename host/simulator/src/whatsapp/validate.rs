//! Which request bodies `POST /{version}/{phone_number_id}/messages` takes, with Meta's limits.

use serde_json::{Map, Value};

use crate::whatsapp::error::GraphError;
use crate::whatsapp::interactive::interactive;

/// The longest `biz_opaque_callback_data`, in characters.
const REFERENCE_LIMIT: usize = 512;
/// Top-level parameters apart from the one that is named like the type.
const COMMON: [&str; 8] = [
    "messaging_product",
    "recipient_type",
    "to",
    "recipient",
    "type",
    "context",
    "biz_opaque_callback_data",
    "recipient_identity_key_hash",
];
const TYPES: [&str; 11] = [
    "text",
    "image",
    "video",
    "audio",
    "document",
    "sticker",
    "location",
    "contacts",
    "reaction",
    "interactive",
    "template",
];

/// A valid request to send a message.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) to: Recipient,
    pub(crate) kind: String,
    pub(crate) content: Value,
    pub(crate) quotes: Option<String>,
    pub(crate) reference: Option<String>,
}

/// Whom a request names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Recipient {
    /// `to` with a phone number; the digits.
    Phone(String),
    /// `recipient` with a business-scoped user id.
    UserId(String),
    /// `to` with something that is no phone number. Meta takes it and never delivers.
    Void(String),
    /// A group.
    Group(String),
}

pub(super) type Object = Map<String, Value>;

pub(super) fn text<'a>(object: &'a Object, name: &str, path: &str) -> Result<&'a str, GraphError> {
    match object.get(name) {
        None | Some(Value::Null) => Err(GraphError::missing(&format!("{path}{name}"))),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(GraphError::parameter(format!("Param {path}{name} must be a string."))),
    }
}

pub(super) fn object<'a>(parent: &'a Object, name: &str, path: &str) -> Result<&'a Object, GraphError> {
    match parent.get(name) {
        None | Some(Value::Null) => Err(GraphError::missing(&format!("{path}{name}"))),
        Some(Value::Object(object)) => Ok(object),
        Some(_) => Err(GraphError::parameter(format!("Param {path}{name} must be a JSON object."))),
    }
}

pub(super) fn list<'a>(parent: &'a Object, name: &str, path: &str) -> Result<&'a [Value], GraphError> {
    match parent.get(name) {
        None | Some(Value::Null) => Err(GraphError::missing(&format!("{path}{name}"))),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(GraphError::parameter(format!("Param {path}{name} must be an array."))),
    }
}

pub(super) fn within(value: &str, name: &str, least: usize, most: usize) -> Result<(), GraphError> {
    let length = value.chars().count();
    if (least..=most).contains(&length) {
        Ok(())
    } else {
        Err(GraphError::parameter(format!(
            "Param {name} must be at least {least} and at most {most} characters long. It has {length}."
        )))
    }
}

pub(super) fn known(object: &Object, allowed: &[&str], path: &str) -> Result<(), GraphError> {
    match object.keys().find(|key| !allowed.contains(&key.as_str())) {
        Some(key) => Err(GraphError::parameter(format!("Unexpected key \"{key}\" on param \"{path}\"."))),
        None => Ok(()),
    }
}

/// Checks a request to send a message.
pub(crate) fn order(body: &Object) -> Result<Order, GraphError> {
    if text(body, "messaging_product", "")? != "whatsapp" {
        return Err(GraphError::parameter("Param messaging_product must be one of {WHATSAPP}."));
    }
    let kind = match body.get("type") {
        None => "text",
        Some(_) => text(body, "type", "")?,
    };
    if !TYPES.contains(&kind) {
        return Err(GraphError::parameter(format!(
            "Param type must be one of {{{}}} - got \"{kind}\".",
            TYPES.join(", ").to_uppercase()
        )));
    }
    if let Some(key) = body.keys().find(|key| !COMMON.contains(&key.as_str()) && key.as_str() != kind) {
        return Err(GraphError::parameter(format!("Unexpected key \"{key}\" on param \"message\".")));
    }
    let to = recipient(body)?;
    let reference = match body.get("biz_opaque_callback_data") {
        None => None,
        Some(_) => {
            let reference = text(body, "biz_opaque_callback_data", "")?;
            within(reference, "biz_opaque_callback_data", 0, REFERENCE_LIMIT)?;
            Some(reference.to_owned())
        }
    };
    let quotes = match body.get("context") {
        None => None,
        Some(_) => Some(text(object(body, "context", "")?, "message_id", "context.")?.to_owned()),
    };
    if kind == "contacts" {
        contacts(list(body, "contacts", "")?)?;
    } else {
        let content = object(body, kind, "")?;
        match kind {
            "text" => {
                known(content, &["body", "preview_url"], "text")?;
                within(text(content, "body", "text.")?, "text['body']", 1, 4096)?;
            }
            "location" => location(content)?,
            "reaction" => {
                if quotes.is_some() {
                    return Err(GraphError::parameter("Param context is not allowed with type reaction."));
                }
                text(content, "message_id", "reaction.")?;
                text(content, "emoji", "reaction.")?;
            }
            "interactive" => interactive(content)?,
            "template" => template(content)?,
            media => file(content, media)?,
        }
    }
    let content = body.get(kind).cloned().unwrap_or(Value::Null);
    Ok(Order { to, kind: kind.to_owned(), content, quotes, reference })
}

fn recipient(body: &Object) -> Result<Recipient, GraphError> {
    let group = match body.get("recipient_type") {
        None => false,
        Some(kind) => match kind.as_str() {
            Some("individual") => false,
            Some("group") => true,
            _ => {
                return Err(GraphError::parameter("Param recipient_type must be one of {INDIVIDUAL, GROUP}."));
            }
        },
    };
    if body.get("to").is_none() && body.get("recipient").is_some() {
        let id = text(body, "recipient", "")?;
        let scoped = id.split_once('.').is_some_and(|(country, rest)| {
            country.len() == 2
                && country.chars().all(|c| c.is_ascii_uppercase())
                && (1..=132).contains(&rest.len())
                && rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
        });
        return if scoped {
            Ok(Recipient::UserId(id.to_owned()))
        } else {
            Err(GraphError::value("Param recipient is not a valid business-scoped user ID."))
        };
    }
    let to = text(body, "to", "")?;
    if group {
        return Ok(Recipient::Group(to.to_owned()));
    }
    let digits: String = to.chars().filter(char::is_ascii_digit).collect();
    let other = to.chars().any(|c| !c.is_ascii_digit() && !"+-() ".contains(c));
    if other {
        // Also what becomes of a user id in the wrong field: taken, given an id, never delivered.
        return Ok(Recipient::Void(to.to_owned()));
    }
    if !(5..=15).contains(&digits.len()) {
        return Err(GraphError::value("Param to must be a phone number of 5 to 15 digits."));
    }
    Ok(Recipient::Phone(digits))
}

pub(super) fn file(content: &Object, kind: &str) -> Result<(), GraphError> {
    let allowed: &[&str] = match kind {
        "image" | "video" => &["id", "link", "caption"],
        "document" => &["id", "link", "caption", "filename"],
        "audio" => &["id", "link", "voice"],
        _ => &["id", "link"],
    };
    known(content, allowed, kind)?;
    match (content.get("id"), content.get("link")) {
        (Some(_), None) => drop(text(content, "id", &format!("{kind}."))?),
        (None, Some(_)) => {
            let link = text(content, "link", &format!("{kind}."))?;
            if !(link.starts_with("https://") || link.starts_with("http://")) {
                return Err(GraphError::value(format!("Param {kind}['link'] is not a valid URI.")));
            }
        }
        (None, None) => return Err(GraphError::missing(&format!("{kind}['id'] or {kind}['link']"))),
        (Some(_), Some(_)) => {
            return Err(GraphError::parameter(format!("Only one of {kind}['id'] and {kind}['link'] may be given.")));
        }
    }
    if content.get("caption").is_some() {
        within(text(content, "caption", &format!("{kind}."))?, &format!("{kind}['caption']"), 0, 1024)?;
    }
    Ok(())
}

fn location(content: &Object) -> Result<(), GraphError> {
    known(content, &["latitude", "longitude", "name", "address"], "location")?;
    for (name, bound) in [("latitude", 90.0), ("longitude", 180.0)] {
        let value = match content.get(name) {
            None => return Err(GraphError::missing(&format!("location.{name}"))),
            Some(Value::String(text)) => text.parse::<f64>().ok(),
            Some(value) => value.as_f64(),
        };
        if value.is_none_or(|value| value.abs() > bound) {
            return Err(GraphError::value(format!("Param location['{name}'] is not within its range.")));
        }
    }
    Ok(())
}

fn contacts(cards: &[Value]) -> Result<(), GraphError> {
    if cards.is_empty() || cards.len() > 257 {
        return Err(GraphError::parameter("Param contacts must have between 1 and 257 entries."));
    }
    for card in cards {
        let card = card.as_object().ok_or_else(|| GraphError::parameter("Param contacts must hold JSON objects."))?;
        text(object(card, "name", "contacts.")?, "formatted_name", "contacts.name.")?;
    }
    Ok(())
}

fn template(content: &Object) -> Result<(), GraphError> {
    known(content, &["name", "language", "components", "namespace"], "template")?;
    within(text(content, "name", "template.")?, "template['name']", 1, 512)?;
    text(object(content, "language", "template.")?, "code", "template.language.")?;
    if content.get("components").is_some() {
        for component in list(content, "components", "template.")? {
            let component = component
                .as_object()
                .ok_or_else(|| GraphError::parameter("Param template['components'] must hold JSON objects."))?;
            let kind = text(component, "type", "template.components.")?.to_ascii_lowercase();
            if !["header", "body", "button", "carousel", "limited_time_offer", "order_status"].contains(&kind.as_str())
            {
                return Err(GraphError::parameter(format!("Unknown template component type \"{kind}\".")));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(body: Value) -> Result<Order, i64> {
        order(body.as_object().unwrap()).map_err(|error| error.code)
    }

    fn with(kind: &str, content: Value) -> Value {
        json!({"messaging_product": "whatsapp", "to": "+44 7700 900001", "type": kind, kind: content})
    }

    #[test]
    fn limits_are_metas() {
        let title = |length: usize| json!([{"type": "reply", "reply": {"id": "a", "title": "x".repeat(length)}}]);
        let menu = |buttons: Value| {
            with("interactive", json!({"type": "button", "body": {"text": "?"}, "action": {"buttons": buttons}}))
        };
        let rows = |count: usize| {
            let rows: Vec<_> = (0..count).map(|n| json!({"id": n.to_string(), "title": "t"})).collect();
            with(
                "interactive",
                json!({"type": "list", "body": {"text": "?"},
                "action": {"button": "Choose", "sections": [{"rows": rows}]}}),
            )
        };
        for (body, expected) in [
            (with("text", json!({"body": "x".repeat(4096)})), None),
            (with("text", json!({"body": "x".repeat(4097)})), Some(100)),
            (with("text", json!({"body": ""})), Some(100)),
            (with("text", json!({})), Some(131_008)),
            (with("text", json!({"body": "a", "boddy": "b"})), Some(100)),
            (with("image", json!({"id": "1", "caption": "x".repeat(1025)})), Some(100)),
            (with("image", json!({})), Some(131_008)),
            (with("sticker", json!({"id": "1"})), None),
            (with("poll", json!({})), Some(100)),
            (with("location", json!({"latitude": 91, "longitude": 0})), Some(131_009)),
            (menu(title(20)), None),
            (menu(title(21)), Some(100)),
            (menu(json!([])), Some(131_009)),
            (rows(10), None),
            (rows(11), Some(131_009)),
            (json!({"messaging_product": "whatsapp", "type": "text", "text": {"body": "a"}}), Some(131_008)),
            (json!({"to": "447700900001", "type": "text", "text": {"body": "a"}}), Some(131_008)),
        ] {
            assert_eq!(check(body.clone()).err(), expected, "{body}");
        }
    }

    #[test]
    fn a_user_id_belongs_into_recipient() {
        let mut body = with("text", json!({"body": "a"}));
        assert_eq!(check(body.clone()).unwrap().to, Recipient::Phone("447700900001".into()));
        body["to"] = json!("GB.123456");
        assert_eq!(check(body.clone()).unwrap().to, Recipient::Void("GB.123456".into()));
        body.as_object_mut().unwrap().remove("to");
        body["recipient"] = json!("GB.123456");
        assert_eq!(check(body.clone()).unwrap().to, Recipient::UserId("GB.123456".into()));
        body["to"] = json!("447700900001");
        assert_eq!(check(body).unwrap().to, Recipient::Phone("447700900001".into()));
    }
}
