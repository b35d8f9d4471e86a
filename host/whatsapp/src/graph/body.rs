//! What is posted for a message.

use patchbay_model::action::Section;
use patchbay_model::{Attributes, Failure, Identity, Outgoing, OutgoingContent};
use serde_json::{Map, Value, json};

use super::limits;
use crate::normalise::is_user_id;
use crate::reference;

/// The body of `POST /{phone_number_id}/messages`.
///
/// # Errors
/// Permanent: Meta would refuse it, and this says why before it is asked.
pub(super) fn message(to: &[Identity], message: &Outgoing, reference: &str) -> Result<Value, Failure> {
    let (kind, content) = content(&message.content)?;
    limits::at_most("the reference", reference, reference::MAX_CHARS)?;
    let mut body = Map::new();
    body.insert("messaging_product".into(), "whatsapp".into());
    body.insert("recipient_type".into(), "individual".into());
    let (field, name) = recipient(to)?;
    body.insert(field.into(), name.into());
    // A reaction names its message itself; Meta refuses it with a context.
    if let Some(id) = message.reply_to.as_ref().filter(|id| kind != "reaction" && !id.reveal().is_empty()) {
        body.insert("context".into(), json!({ "message_id": id.reveal() }));
    }
    if !reference.is_empty() {
        body.insert("biz_opaque_callback_data".into(), reference.into());
    }
    body.insert("type".into(), kind.into());
    body.insert(kind.into(), content);
    Ok(Value::Object(body))
}

/// A phone number in `to` where there is one: every kind of message can go there. A user id stands in `recipient` and
/// never in `to`, where Meta answers 200 and delivers nothing.
fn recipient(to: &[Identity]) -> Result<(&'static str, &str), Failure> {
    let names = || to.iter().map(named).filter(|(_, name)| !name.is_empty());
    names()
        .find(|(field, _)| *field == "to")
        .or_else(|| names().next())
        .ok_or_else(|| Failure::permanent("the customer has neither a phone number nor a user id to send to"))
}

/// The field that an identity stands in.
fn named(identity: &Identity) -> (&'static str, &str) {
    match identity {
        Identity::Phone(name) if !is_user_id(name.reveal()) => ("to", name.reveal()),
        Identity::Phone(name) | Identity::UserId(name) => ("recipient", name.reveal()),
        Identity::Group(name) => ("to", name.reveal()),
        // Nothing can be sent to it: as if it were not there.
        Identity::Username(_) => ("recipient", ""),
    }
}

/// WhatsApp's type, and what stands under the key of that name.
fn content(content: &OutgoingContent) -> Result<(&str, Value), Failure> {
    Ok(match content {
        OutgoingContent::Text(text) => {
            limits::text("the text", text.reveal(), limits::TEXT)?;
            ("text", json!({ "body": text.reveal() }))
        }
        OutgoingContent::Template { name, language, parameters } => ("template", template(name, language, parameters)?),
        OutgoingContent::Buttons { text, options } => ("interactive", buttons(text.reveal(), options)?),
        OutgoingContent::Choices { text, button, sections } => {
            ("interactive", choices(text.reveal(), button, sections)?)
        }
        OutgoingContent::Media { .. } => {
            return Err(Failure::permanent("stored media cannot be sent to WhatsApp by this version"));
        }
        OutgoingContent::Reaction { message, emoji } => {
            limits::text("the id of the message to react to", message.reveal(), usize::MAX)?;
            ("reaction", json!({ "message_id": message.reveal(), "emoji": emoji }))
        }
        OutgoingContent::Raw { kind, body } => (kind, raw(kind, body.reveal())?),
    })
}

fn template(name: &str, language: &str, parameters: &Attributes) -> Result<Value, Failure> {
    limits::text("the template's name", name, limits::TEMPLATE_NAME)?;
    limits::text("the template's language", language, usize::MAX)?;
    let mut template = json!({ "name": name, "language": { "code": language } });
    if !parameters.is_empty() {
        let parameters = match places(parameters)? {
            Some(texts) => texts.iter().map(|text| json!({ "type": "text", "text": text })).collect::<Vec<_>>(),
            None => {
                let named = |(name, text)| json!({ "type": "text", "parameter_name": name, "text": text });
                parameters.iter().map(named).collect()
            }
        };
        if let Value::Object(template) = &mut template {
            template.insert("components".into(), json!([{ "type": "body", "parameters": parameters }]));
        }
    }
    Ok(template)
}

/// The parameters in the order of their numbers; none where they have names.
fn places(parameters: &Attributes) -> Result<Option<Vec<&String>>, Failure> {
    let mut numbered: Vec<(usize, &String)> =
        parameters.iter().filter_map(|(place, text)| Some((place.parse().ok()?, text))).collect();
    if numbered.is_empty() {
        return Ok(None);
    }
    numbered.sort_unstable();
    if numbered.len() == parameters.len() && numbered.iter().map(|(place, _)| *place).eq(1..=parameters.len()) {
        return Ok(Some(numbered.into_iter().map(|(_, text)| text).collect()));
    }
    Err(Failure::permanent("a template's parameters have names, or numbers from 1 on without a gap; not both"))
}

fn buttons(text: &str, options: &[(String, String)]) -> Result<Value, Failure> {
    limits::text("the question", text, limits::BUTTONS_BODY)?;
    limits::count("buttons", options.len(), limits::BUTTONS)?;
    limits::different("buttons", options.iter().map(|(id, _)| id))?;
    limits::different("buttons", options.iter().map(|(_, title)| title))?;
    let mut buttons = Vec::with_capacity(options.len());
    for (id, title) in options {
        limits::text("a button's id", id, limits::BUTTON_ID)?;
        limits::text("a button's title", title, limits::BUTTON_TITLE)?;
        buttons.push(json!({ "type": "reply", "reply": { "id": id, "title": title } }));
    }
    Ok(json!({ "type": "button", "body": { "text": text }, "action": { "buttons": buttons } }))
}

fn choices(text: &str, button: &str, sections: &[Section]) -> Result<Value, Failure> {
    limits::text("the question", text, limits::TEXT)?;
    limits::text("the list's button", button, limits::BUTTON_TITLE)?;
    limits::count("rows", sections.iter().map(|section| section.rows.len()).sum(), limits::ROWS)?;
    limits::different("rows", sections.iter().flat_map(|section| &section.rows).map(|row| &row.id))?;
    let mut listed = Vec::with_capacity(sections.len());
    for section in sections {
        limits::count("rows in a section", section.rows.len(), limits::ROWS)?;
        let mut rows = Vec::with_capacity(section.rows.len());
        for row in &section.rows {
            limits::text("a row's id", &row.id, limits::ROW_ID)?;
            limits::text("a row's title", &row.title, limits::ROW_TITLE)?;
            let mut shown = json!({ "id": row.id, "title": row.title });
            if let (Value::Object(shown), Some(description)) = (&mut shown, &row.description) {
                limits::at_most("a row's description", description, limits::ROW_DESCRIPTION)?;
                shown.insert("description".into(), description.as_str().into());
            }
            rows.push(shown);
        }
        if section.title.is_empty() && sections.len() == 1 {
            listed.push(json!({ "rows": rows }));
        } else {
            limits::text("a section's title", &section.title, limits::ROW_TITLE)?;
            listed.push(json!({ "title": section.title, "rows": rows }));
        }
    }
    let action = json!({ "button": button, "sections": listed });
    Ok(json!({ "type": "list", "body": { "text": text }, "action": action }))
}

/// What stands beside the content; a raw message must not write over it.
const ENVELOPE: [&str; 8] =
    ["messaging_product", "recipient_type", "to", "recipient", "type", "context", "biz_opaque_callback_data", "status"];

fn raw(kind: &str, body: &str) -> Result<Value, Failure> {
    let plain = kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if kind.is_empty() || !plain || ENVELOPE.contains(&kind) {
        return Err(Failure::permanent(format!("`{}` is not a type of WhatsApp message", kind.escape_debug())));
    }
    // The parser's own words could quote the body.
    serde_json::from_str(body)
        .map_err(|_| Failure::permanent(format!("the body of the raw `{kind}` message is not JSON")))
}
