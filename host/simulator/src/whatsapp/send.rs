//! The business writes: messages, read marks, and the statuses that follow.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::delivery::{Parcel, Sender, deliver};
use crate::faults::{FaultTarget, StatusOrder};
use crate::ids::{self, Direction};
use crate::shared::{Shared, lock, millis};
use crate::whatsapp::error::GraphError;
use crate::whatsapp::validate::{self, Order, Recipient};
use crate::whatsapp::world::{ChatItem, Sent};
use crate::whatsapp::{chat, wire};

/// How long a linked file may take to fetch.
const LINK_TIMEOUT: Duration = Duration::from_secs(10);
/// Since v16 a typing mark clears itself after this long.
const TYPING_SHOWN: Duration = Duration::from_secs(25);

/// `POST /{version}/{phone_number_id}/messages`.
pub(crate) fn message(shared: &Arc<Shared>, path: &str, body: &[u8]) -> Result<Response, GraphError> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| GraphError::parameter(format!("The body is not valid JSON: {error}.")))?;
    if let Some(spec) = &shared.spec {
        let problems = spec.check(&body);
        if let Some(first) = problems.first() {
            let error = GraphError::parameter(first.clone());
            shared.violation(format!("POST {path}"), problems, body);
            return Err(error);
        }
    }
    let Value::Object(body) = body else {
        return Err(GraphError::parameter("The body must be a JSON object."));
    };
    if body.get("status").is_some() {
        return mark_read(shared, &body);
    }
    let order = validate::order(&body)?;
    Ok(accept(shared, order, body)?.into_response())
}

fn mark_read(shared: &Arc<Shared>, body: &Map<String, Value>) -> Result<Response, GraphError> {
    if body.get("messaging_product").and_then(Value::as_str) != Some("whatsapp") {
        return Err(GraphError::missing("messaging_product"));
    }
    if body.get("status").and_then(Value::as_str) != Some("read") {
        return Err(GraphError::parameter("Param status must be one of {READ}."));
    }
    let id = body.get("message_id").and_then(Value::as_str).ok_or_else(|| GraphError::missing("message_id"))?;
    let typing = match body.get("typing_indicator") {
        None => false,
        Some(typing) if typing.get("type").and_then(Value::as_str) == Some("text") => true,
        Some(_) => return Err(GraphError::parameter("Param typing_indicator['type'] must be one of {TEXT}.")),
    };
    if !chat::mark_read(shared, id, typing) {
        return Err(GraphError::value("Param message_id is not the ID of a message that was received."));
    }
    if typing {
        let (shared, id, session) = (shared.clone(), id.to_owned(), shared.session());
        shared.clone().tasks.spawn(session.run_until_cancelled_owned(async move {
            tokio::time::sleep(TYPING_SHOWN).await;
            let chat = lock(&shared.whatsapp).find_item(&id).map(|(chat, _)| chat);
            shared.tell(json!({"kind": "typing", "chat": chat, "on": false}));
        }));
    }
    Ok(Json(json!({"success": true})).into_response())
}

/// What will become of a message.
#[derive(Debug, Clone)]
enum Fate {
    /// `sent`, `delivered`, `read`.
    Arrives { receipts: bool },
    /// `failed` with this code and explanation.
    Fails(i64, &'static str),
    /// Nothing at all.
    Vanishes,
}

fn accept(shared: &Arc<Shared>, order: Order, body: Map<String, Value>) -> Result<Json<Value>, GraphError> {
    let mut world = lock(&shared.whatsapp);
    if let Some(id) = order.content.get("id").and_then(Value::as_str)
        && order.kind != "interactive"
        && !world.media.contains_key(id)
    {
        return Err(GraphError::parameter(format!(
            "Param {}['id'] is not a valid whatsapp business account media attachment ID",
            order.kind
        )));
    }
    let now = Timestamp::now();
    let (input, phone) = match &order.to {
        Recipient::Phone(digits) => {
            if *digits == shared.options.whatsapp.display_number.replace(['+', ' ', '-'], "") {
                return Err(GraphError::new(131_021, "Recipient phone number cannot be sender phone number"));
            }
            (body.get("to").and_then(Value::as_str).unwrap_or(digits).to_owned(), Some(digits.clone()))
        }
        Recipient::UserId(id) => (id.clone(), world.by_user_id(id).map(|customer| customer.phone.clone())),
        Recipient::Void(id) | Recipient::Group(id) => (id.clone(), None),
    };
    let fate = match &phone {
        None => match order.to {
            Recipient::UserId(_) => Fate::Fails(131_026, "Unable to deliver message. The user ID is not known."),
            _ => Fate::Vanishes,
        },
        Some(phone) => {
            let customer = world.customer(phone);
            if !customer.reachable {
                Fate::Fails(131_026, "Message Undeliverable.")
            } else if order.kind != "template" && !customer.window_open(now) {
                Fate::Fails(
                    131_047,
                    "Message failed to send because more than 24 hours have passed since the customer last replied \
                     to this number.",
                )
            } else {
                Fate::Arrives { receipts: customer.receipts }
            }
        }
    };
    let wamid = ids::wamid(phone.as_deref().unwrap_or("0"), Direction::Outbound);
    let mut contact = json!({"input": input});
    if let (Some(contact), Some(phone)) = (contact.as_object_mut(), &phone) {
        if matches!(order.to, Recipient::Phone(_)) {
            contact.insert("wa_id".into(), json!(phone));
        }
        contact.insert("user_id".into(), json!(world.customer(phone).user_id));
    }
    let sent = Sent {
        id: wamid.clone(),
        to: input,
        kind: order.kind.clone(),
        text: readable(&order),
        body: Value::Object(body),
        reference: order.reference.clone(),
        at: millis(now),
        status: "accepted",
        error: None,
    };
    shared.tell(json!({"kind": "sent", "sent": sent}));
    world.sent.push(sent);
    if let Some(phone) = &phone {
        let item = ChatItem {
            id: wamid.clone(),
            author: "business",
            kind: order.kind.clone(),
            content: order.content.clone(),
            quotes: order.quotes.clone(),
            at: millis(now),
            state: "accepted",
            error: None,
            reactions: std::collections::BTreeMap::new(),
        };
        chat::add(shared, &mut world, phone, item);
        shared.tell(json!({"kind": "typing", "chat": phone, "on": false}));
    }
    drop(world);
    let task =
        Statuses { wamid: wamid.clone(), phone, fate, reference: order.reference, kind: order.kind, to: order.to };
    let link = order.content.get("link").and_then(Value::as_str).map(str::to_owned);
    let (owned, session) = (shared.clone(), shared.session());
    shared.tasks.spawn(session.run_until_cancelled_owned(async move { task.run(&owned, link).await }));
    Ok(Json(json!({
        "messaging_product": "whatsapp", "contacts": [contact], "messages": [{"id": wamid}],
    })))
}

/// The text that a person would read.
fn readable(order: &Order) -> String {
    let content = &order.content;
    let found = match order.kind.as_str() {
        "text" => content.get("body"),
        "interactive" => content.get("body").and_then(|body| body.get("text")),
        "template" | "location" => content.get("name"),
        "reaction" => content.get("emoji"),
        "contacts" => content.pointer("/0/name/formatted_name"),
        _ => content.get("caption"),
    };
    found.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Reports what becomes of one message.
struct Statuses {
    wamid: String,
    phone: Option<String>,
    fate: Fate,
    reference: Option<String>,
    kind: String,
    to: Recipient,
}

impl Statuses {
    async fn run(mut self, shared: &Arc<Shared>, link: Option<String>) {
        if let (Some(link), Fate::Arrives { .. }) = (link, &self.fate)
            && !fetch(shared, &self.wamid, &self.kind, &link).await
        {
            self.fate = Fate::Fails(131_053, "Downloading media from weblink failed.");
        }
        let pause = shared.options.whatsapp.status_pause;
        let order = shared
            .faults
            .strike(FaultTarget::Webhooks, "POST", "/", |fault| fault.order.is_some())
            .and_then(|fault| fault.order);
        let names: &[&'static str] = match (&self.fate, order) {
            (Fate::Vanishes, _) | (_, Some(StatusOrder::Silent)) => return,
            (Fate::Fails(..), _) => &["failed"],
            // A reaction reports nothing but `sent`.
            (Fate::Arrives { .. }, _) if self.kind == "reaction" => &["sent"],
            (Fate::Arrives { receipts: false }, _) => &["sent", "delivered"],
            (_, Some(StatusOrder::Reversed)) => &["read", "delivered", "sent"],
            (_, Some(StatusOrder::Swapped)) => &["sent", "read", "delivered"],
            _ => &["sent", "delivered", "read"],
        };
        for name in names {
            tokio::time::sleep(pause).await;
            let (_, first) = self.report(shared, name);
            if order != Some(StatusOrder::Together) {
                // In order means: the next one leaves when this one has been tried.
                first.await.ok();
            }
        }
    }

    fn report(
        &self,
        shared: &Arc<Shared>,
        status: &'static str,
    ) -> (u64, tokio::sync::oneshot::Receiver<crate::delivery::FirstAttempt>) {
        let error = match self.fate {
            Fate::Fails(code, details) => Some(GraphError::new(code, details)),
            _ => None,
        };
        note(shared, &self.wamid, status, error.as_ref().map(|error| error.code));
        let customer = self.phone.as_ref().and_then(|phone| lock(&shared.whatsapp).customers.get(phone).cloned());
        let mut object = json!({
            "id": self.wamid, "status": status, "timestamp": Timestamp::now().as_second().to_string(),
        });
        let mut value = Map::new();
        if let Some(object) = object.as_object_mut() {
            let by_user_id = matches!(self.to, Recipient::UserId(_));
            if let Some(customer) = &customer {
                if !(customer.hide_phone && by_user_id) {
                    object.insert("recipient_id".into(), json!(customer.phone));
                }
                if status != "failed" || by_user_id {
                    object.insert("recipient_user_id".into(), json!(customer.user_id));
                }
            } else if let Recipient::UserId(id) = &self.to {
                object.insert("recipient_user_id".into(), json!(id));
            }
            if let Some(reference) = &self.reference {
                object.insert("biz_opaque_callback_data".into(), json!(reference));
            }
            if status == "sent" || status == "delivered" {
                let (category, kind) =
                    if self.kind == "template" { ("utility", "regular") } else { ("service", "free_customer_service") };
                object.insert(
                    "pricing".into(),
                    json!({"billable": self.kind == "template", "pricing_model": "PMP", "category": category, "type": kind}),
                );
            }
            if let Some(error) = &error {
                object.insert("errors".into(), json!([error.in_status()]));
            }
        }
        if let (Some(customer), true) = (&customer, status != "failed") {
            // Receipts carry a profile only to show a username, and that not on `sent`.
            let profile = customer.username.is_some() && status != "sent";
            value.insert("contacts".into(), json!([customer.contact(profile)]));
        }
        value.insert("statuses".into(), json!([object]));
        let body = wire::escape(&wire::envelope(&shared.options.whatsapp, Value::Object(value)));
        deliver(shared, Parcel { sender: Sender::Whatsapp, kind: "statuses", body, messages: Vec::new() })
    }
}

/// Notes a status in what the pages and `/_sim/whatsapp/sent` show.
pub(crate) fn note(shared: &Shared, wamid: &str, status: &'static str, error: Option<i64>) {
    let mut world = lock(&shared.whatsapp);
    if let Some(sent) = world.sent.iter_mut().rev().find(|sent| sent.id == wamid) {
        sent.status = status;
        sent.error = error;
        shared.tell(json!({"kind": "sent", "sent": sent}));
    }
    if let Some((chat, item)) = world.find_item(wamid) {
        item.state = status;
        item.error = error.map(|code| format!("({code}) {}", crate::whatsapp::error::title(code)));
        chat::tell_item(shared, &chat, item);
    }
}

/// Fetches a linked file from loopback and shows it in the chat; other links count as fetched without being asked
/// for, because a simulator does not reach out to the internet.
async fn fetch(shared: &Shared, wamid: &str, kind: &str, link: &str) -> bool {
    let loopback = url::Url::parse(link).is_ok_and(|url| match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    });
    if !loopback {
        return true;
    }
    let Ok(answer) = shared.client.get(link).timeout(LINK_TIMEOUT).send().await else { return false };
    if !answer.status().is_success() {
        return false;
    }
    let mime = answer
        .headers()
        .get("content-type")
        .and_then(|value| value.to_str().ok())
        .unwrap_or("application/octet-stream")
        .to_owned();
    let Ok(content) = answer.bytes().await else { return false };
    let mut world = lock(&shared.whatsapp);
    let id = world.store(mime, None, content);
    if let Some((chat, item)) = world.find_item(wamid)
        && item.kind == kind
        && let Some(content) = item.content.as_object_mut()
    {
        content.insert("id".into(), json!(id));
        chat::tell_item(shared, &chat, item);
    }
    true
}
