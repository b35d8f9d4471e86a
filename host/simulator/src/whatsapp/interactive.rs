//! Interactive messages: buttons, lists, links, flows.

use serde_json::Value;

use crate::whatsapp::error::GraphError;
use crate::whatsapp::validate::{Object, file, known, list, object, text, within};

/// Checks the content of an interactive message.
pub(super) fn interactive(content: &Object) -> Result<(), GraphError> {
    known(content, &["type", "header", "body", "footer", "action"], "interactive")?;
    let kind = text(content, "type", "interactive.")?;
    let action = object(content, "action", "interactive.")?;
    let body_limit = if kind == "list" { 4096 } else { 1024 };
    match content.get("body") {
        Some(_) => within(
            text(object(content, "body", "interactive.")?, "text", "interactive.body.")?,
            "interactive['body']['text']",
            1,
            body_limit,
        )?,
        None if matches!(kind, "product" | "call_permission_request") => {}
        None => return Err(GraphError::missing("interactive.body")),
    }
    if content.get("footer").is_some() {
        let footer = text(object(content, "footer", "interactive.")?, "text", "interactive.footer.")?;
        within(footer, "interactive['footer']['text']", 1, 60)?;
    }
    if content.get("header").is_some() {
        header(object(content, "header", "interactive.")?, kind)?;
    }
    match kind {
        "button" => buttons(list(action, "buttons", "interactive.action.")?),
        "list" => rows(action),
        "cta_url" => {
            let parameters = object(action, "parameters", "interactive.action.")?;
            within(text(parameters, "display_text", "parameters.")?, "display_text", 1, 20)?;
            text(parameters, "url", "parameters.").map(drop)
        }
        "flow" => {
            let parameters = object(action, "parameters", "interactive.action.")?;
            text(parameters, "flow_message_version", "parameters.")?;
            if parameters.get("flow_id").is_none() && parameters.get("flow_name").is_none() {
                return Err(GraphError::missing("parameters.flow_id"));
            }
            within(text(parameters, "flow_cta", "parameters.")?, "flow_cta", 1, 30)
        }
        "location_request_message"
        | "request_contact_info"
        | "product"
        | "product_list"
        | "catalog_message"
        | "address_message"
        | "voice_call"
        | "call_permission_request"
        | "carousel"
        | "order_details"
        | "order_status" => Ok(()),
        _ => Err(GraphError::parameter(format!("Param interactive['type'] does not know \"{kind}\"."))),
    }
}

fn header(header: &Object, of: &str) -> Result<(), GraphError> {
    match text(header, "type", "interactive.header.")? {
        "text" => within(text(header, "text", "interactive.header.")?, "interactive['header']['text']", 1, 60),
        _ if of == "list" => Err(GraphError::parameter("The header of a list message can only be text.")),
        kind @ ("image" | "video" | "document") => file(object(header, kind, "interactive.header.")?, kind),
        kind => Err(GraphError::parameter(format!("Param interactive['header']['type'] does not know \"{kind}\"."))),
    }
}

fn buttons(buttons: &[Value]) -> Result<(), GraphError> {
    if buttons.is_empty() || buttons.len() > 3 {
        return Err(GraphError::value("Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: 3"));
    }
    let mut titles = Vec::new();
    for button in buttons {
        let button = button.as_object().ok_or_else(|| GraphError::parameter("A button must be a JSON object."))?;
        if text(button, "type", "buttons.")? != "reply" {
            return Err(GraphError::value("Button type must be reply."));
        }
        let reply = object(button, "reply", "buttons.")?;
        within(text(reply, "id", "buttons.reply.")?, "button id", 1, 256)?;
        let title = text(reply, "title", "buttons.reply.")?;
        within(title, "Button title", 1, 20)?;
        if titles.contains(&title) {
            return Err(GraphError::value("Button titles must be unique."));
        }
        titles.push(title);
    }
    Ok(())
}

fn rows(action: &Object) -> Result<(), GraphError> {
    within(text(action, "button", "interactive.action.")?, "interactive['action']['button']", 1, 20)?;
    let sections = list(action, "sections", "interactive.action.")?;
    if sections.is_empty() || sections.len() > 10 {
        return Err(GraphError::value("Invalid sections count. Min allowed: 1, Max allowed: 10"));
    }
    let mut ids: Vec<&str> = Vec::new();
    for section in sections {
        let section = section.as_object().ok_or_else(|| GraphError::parameter("A section must be a JSON object."))?;
        if sections.len() > 1 {
            within(text(section, "title", "sections.")?, "section title", 1, 24)?;
        }
        for row in list(section, "rows", "sections.")? {
            let row = row.as_object().ok_or_else(|| GraphError::parameter("A row must be a JSON object."))?;
            let id = text(row, "id", "rows.")?;
            within(id, "row id", 1, 200)?;
            within(text(row, "title", "rows.")?, "row title", 1, 24)?;
            if row.get("description").is_some() {
                within(text(row, "description", "rows.")?, "row description", 0, 72)?;
            }
            if ids.contains(&id) {
                return Err(GraphError::value("Row ids must be unique."));
            }
            ids.push(id);
        }
    }
    if ids.is_empty() || ids.len() > 10 {
        return Err(GraphError::value(format!(
            "Total row count exceed max allowed count: 10. There are {}.",
            ids.len()
        )));
    }
    Ok(())
}
