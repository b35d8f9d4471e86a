//! The other sides of the vendors' interfaces: what customers, agents and tests do and see.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::delivery::{self, Delivery, FirstAttempt, Parcel, Sender};
use crate::faults::Fault;
use crate::shared::{Shared, lock};
use crate::whatsapp::inbound::{self, Written};
use crate::zendesk::change::announce;
use crate::zendesk::world::{DESK_AGENT, Upload};

/// A handle on a running simulator, for tests in the same process. The same things are under `/_sim` over HTTP.
#[derive(Clone)]
pub struct SimulatorState {
    pub(crate) shared: Arc<Shared>,
}

impl std::fmt::Debug for SimulatorState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimulatorState")
    }
}

fn rows<T: serde::Serialize>(items: impl IntoIterator<Item = T>) -> Vec<Value> {
    items.into_iter().map(|item| serde_json::to_value(item).unwrap_or_default()).collect()
}

impl SimulatorState {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// A customer writes one message, or several in one webhook when `message` is an array; Meta's shape, with what is
    /// missing filled in. Gives the wamids.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn inbound(&self, message: Value) -> Result<Vec<String>, String> {
        self.write(message).map(|written| written.ids)
    }

    pub(crate) fn write(&self, message: Value) -> Result<Written, String> {
        let messages = match message {
            Value::Array(messages) => messages,
            message => vec![message],
        };
        inbound::write(&self.shared, messages)
    }

    /// Stores a file as if a customer had uploaded it; gives the media id.
    pub fn store_media(&self, mime: &str, name: Option<&str>, content: impl Into<Bytes>) -> String {
        lock(&self.shared.whatsapp).store(mime.to_owned(), name.map(str::to_owned), content.into())
    }

    /// Signs and delivers a body as it is; gives the delivery's number.
    pub fn webhook(&self, body: impl Into<Bytes>) -> u64 {
        self.raw(body.into()).0
    }

    pub(crate) fn raw(&self, body: Bytes) -> (u64, tokio::sync::oneshot::Receiver<FirstAttempt>) {
        let parcel = Parcel { sender: Sender::Whatsapp, kind: "raw", body, messages: Vec::new() };
        delivery::deliver(&self.shared, parcel)
    }

    /// What the gateway sent to customers, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<Value> {
        rows(&lock(&self.shared.whatsapp).sent)
    }

    /// Customers with their chats.
    #[must_use]
    pub fn chats(&self) -> Vec<Value> {
        let world = lock(&self.shared.whatsapp);
        world
            .customers
            .values()
            .map(|customer| json!({"customer": customer.card(), "messages": customer.chat}))
            .collect()
    }

    /// Sets what is known about a customer: `phone` says whom; `name`, `username`, `user_id`, `hide_phone`,
    /// `reachable`, `receipts` and `window_open` are optional.
    ///
    /// # Errors
    /// When there is no phone number.
    pub fn set_customer(&self, card: &Value) -> Result<Value, String> {
        let phone: String = card
            .get("phone")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .chars()
            .filter(char::is_ascii_digit)
            .collect();
        if !(5..=15).contains(&phone.len()) {
            return Err("`phone` must be a phone number of 5 to 15 digits with its country code".into());
        }
        let text = |key: &str| card.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
        let flag = |key: &str| card.get(key).and_then(Value::as_bool);
        let mut world = lock(&self.shared.whatsapp);
        let customer = world.customer(&phone);
        customer.name = text("name").unwrap_or_else(|| customer.name.clone());
        customer.user_id = text("user_id").unwrap_or_else(|| customer.user_id.clone());
        customer.username = text("username").or_else(|| customer.username.clone());
        customer.hide_phone = flag("hide_phone").unwrap_or(customer.hide_phone);
        customer.reachable = flag("reachable").unwrap_or(customer.reachable);
        customer.receipts = flag("receipts").unwrap_or(customer.receipts);
        match flag("window_open") {
            Some(true) => customer.last_inbound = Some(Timestamp::now()),
            Some(false) => customer.last_inbound = None,
            None => {}
        }
        let card = customer.card();
        self.shared.tell(json!({"kind": "customer", "customer": card}));
        Ok(card)
    }

    /// The webhooks to the gateway, those of WhatsApp and of the desks.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Value> {
        rows(&*lock(&self.shared.deliveries))
    }

    pub(crate) fn deliveries_of(&self, sender: Sender) -> Vec<Delivery> {
        lock(&self.shared.deliveries).iter().filter(|delivery| delivery.sender == sender).cloned().collect()
    }

    /// Requests that broke Meta's description of its API.
    #[must_use]
    pub fn violations(&self) -> Vec<Value> {
        rows(&*lock(&self.shared.violations))
    }

    /// The tickets of a desk, in the shape that all desks share; `None` for a desk that is not simulated.
    #[must_use]
    pub fn tickets(&self, desk: &str) -> Option<Vec<Value>> {
        let base = self.shared.url();
        (desk == "zendesk").then(|| {
            let world = lock(&self.shared.zendesk);
            world.tickets.values().map(|ticket| world.desk_ticket(ticket, &base)).collect()
        })
    }

    /// An agent acts on a ticket: `ticket`, and any of `text` with `public`, `status`, `priority`, `tags`,
    /// `attachments` (`[{name, mime, base64}]`).
    ///
    /// # Errors
    /// Says why the ticket system refuses.
    pub fn reply(&self, desk: &str, reply: &Value) -> Result<Value, String> {
        if desk != "zendesk" {
            return Err(format!("there is no desk `{desk}` here; the simulated ones are: zendesk"));
        }
        let id = reply.get("ticket").and_then(|id| id.as_u64().or_else(|| id.as_str()?.parse().ok()));
        let id = id.ok_or("`ticket` must be the number of a ticket")?;
        let text = reply.get("text").and_then(Value::as_str).unwrap_or_default();
        let public = reply.get("public").and_then(Value::as_bool).unwrap_or(true);
        let mut change = Map::new();
        for key in ["status", "priority", "tags"] {
            if let Some(value) = reply.get(key).filter(|value| !value.is_null()) {
                change.insert(key.into(), value.clone());
            }
        }
        let mut world = lock(&self.shared.zendesk);
        let tokens = match reply.get("attachments").and_then(Value::as_array) {
            None => Vec::new(),
            Some(files) => {
                let mut ids = Vec::new();
                for file in files {
                    let get = |key: &str| file.get(key).and_then(Value::as_str).unwrap_or_default();
                    let content = STANDARD.decode(get("base64")).map_err(|_| "an attachment is not valid base64")?;
                    let mime = if get("mime").is_empty() { "application/octet-stream" } else { get("mime") };
                    ids.push(world.attach(get("name").into(), mime.into(), content.into()));
                }
                let token = crate::ids::secret_text();
                world.uploads.insert(token.clone(), Upload { attachments: ids, at: Timestamp::now() });
                vec![token]
            }
        };
        if !text.is_empty() || !tokens.is_empty() {
            change.insert("comment".into(), json!({"body": text, "public": public, "uploads": tokens}));
        }
        if change.is_empty() {
            return Err("there is nothing to do: give `text`, `status`, `priority`, `tags` or `attachments`".into());
        }
        // An agent's answer takes a new ticket up.
        if !change.contains_key("status") && world.tickets.get(&id).is_some_and(|ticket| ticket.status == "new") {
            change.insert("status".into(), json!("open"));
        }
        let done = world.update(id, &change, DESK_AGENT, "web").map_err(|error| {
            let what = error.body.pointer("/details").unwrap_or(&error.body).to_string();
            format!("ticket {id} cannot be changed: {what}")
        })?;
        let entry =
            world.tickets.get(&id).and_then(|ticket| ticket.comments.last()).map(|comment| comment.id.to_string());
        let entry = if change.contains_key("comment") { entry } else { None };
        drop(world);
        announce(&self.shared, done);
        Ok(json!({"ticket": id.to_string(), "entry": entry}))
    }

    /// Arms a fault; gives its number.
    pub fn add_fault(&self, fault: Fault) -> u64 {
        self.shared.faults.add(fault).id
    }

    /// Clears one fault, or all.
    pub fn clear_faults(&self, id: Option<u64>) {
        self.shared.faults.clear(id);
    }

    /// Forgets everything.
    pub fn reset(&self) {
        self.shared.reset();
    }
}
