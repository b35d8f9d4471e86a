//! The verbs that write.

use patchbay_plugin::{Added, Author, Context, Customer, Draft, Entry, Failure, Level, Response, Ticket, value_of};
use serde_json::{Map, Value, json};

use crate::api::{self, KEY, USER, call, checked, id_in, lacking, list_in, text_in};
use crate::compose::comment;
use crate::lookup;
use crate::settings::Settings;

/// The name of a customer who shows none.
const NAMELESS: &str = "WhatsApp customer";

/// Opens a ticket with what was said so far, as one comment of the customer's.
pub(crate) fn create(settings: &Settings, key: &str, draft: &Draft, cx: &Context) -> Result<Added, Failure> {
    let requester = requester(settings, &draft.conversation.customer, cx)?;
    let mut fields = draft.fields.clone();
    // Where the conversation stands, if the action did not say where the ticket does.
    if let Some(assignment) = &draft.conversation.assignment {
        for (name, value) in [("queue", assignment.queue.as_str()), ("priority", assignment.priority.as_str())] {
            if value_of(&fields, name).is_none() {
                fields.push((name.to_owned(), value.to_owned()));
            }
        }
    }
    let mut ticket = Map::new();
    ticket.insert("subject".into(), draft.subject.as_str().into());
    ticket.insert("external_id".into(), key.into());
    ticket.insert("requester_id".into(), requester.into());
    ticket.insert("comment".into(), comment(settings, &draft.entries, Some(requester), cx)?.into());
    ticket.insert("tags".into(), settings.tags(value_of(&fields, "queue")).into());
    settings.put_brand_and_form(&mut ticket);
    settings.put_fields(&mut ticket, &fields, cx);
    post(settings, key, ticket, "", cx)
}

/// Writes one comment; to a closed ticket, as a follow-up ticket.
pub(crate) fn add_entry(
    settings: &Settings,
    key: &str,
    ticket: &Ticket,
    entry: &Entry,
    cx: &Context,
) -> Result<Added, Failure> {
    let author = author(settings, ticket, entry, cx)?;
    let comment = comment(settings, std::slice::from_ref(entry), author, cx)?;
    let mut change = Map::new();
    change.insert("comment".into(), comment.clone().into());
    // A customer's own reply reopens a ticket; what we write in their name does not.
    if author.is_some() && matches!(ticket.status.as_str(), "pending" | "on-hold" | "solved") {
        change.insert("status".into(), "open".into());
    }
    let response = put(settings, &ticket.id, key, change, cx)?;
    if is_closed(&response) {
        let mut follow_up = Map::new();
        follow_up.insert("via_followup_source_id".into(), numeric(&ticket.id));
        follow_up.insert("external_id".into(), key.into());
        if let Some(user) = ticket.datum(USER) {
            follow_up.insert("requester_id".into(), numeric(user));
        }
        follow_up.insert("comment".into(), comment.into());
        return post(settings, key, follow_up, &ticket.desk, cx);
    }
    let mut added = api::added(&checked(response)?.json()?, settings, &ticket.desk)?;
    keep_data(&mut added.ticket, ticket);
    Ok(added)
}

/// Changes fields. Zendesk replaces all tags at once, so the ones that are there are read first.
pub(crate) fn update(
    settings: &Settings,
    ticket: &Ticket,
    fields: &[(String, String)],
    cx: &Context,
) -> Result<Ticket, Failure> {
    let mut change = Map::new();
    settings.put_fields(&mut change, fields, cx);
    if let Some(queue) = value_of(fields, "queue") {
        let answer = call(cx.http().get(settings.api(&format!("tickets/{}", ticket.id))))?;
        let record = answer.get("ticket").ok_or_else(|| lacking("ticket"))?;
        let tags = list_in(record, "tags").iter().filter_map(Value::as_str);
        change.insert("tags".into(), Settings::moved_tags(tags, queue).into());
        let stamp = text_in(record, "updated_at");
        if !stamp.is_empty() {
            // Refused with 409 if an agent changed the ticket since: their tags are not lost.
            change.insert("safe_update".into(), true.into());
            change.insert("updated_stamp".into(), stamp.into());
        }
    }
    if change.is_empty() {
        return Ok(ticket.clone());
    }
    let request = cx.http().put(settings.api(&format!("tickets/{}", ticket.id)));
    let answer = call(request.json(&json!({ "ticket": change }))?)?;
    let mut updated = api::ticket_of(&answer, settings, &ticket.desk)?;
    keep_data(&mut updated, ticket);
    Ok(updated)
}

/// Creates a ticket once: Zendesk answers a repeated key with the ticket that is there.
fn post(
    settings: &Settings,
    key: &str,
    mut ticket: Map<String, Value>,
    desk: &str,
    cx: &Context,
) -> Result<Added, Failure> {
    ticket.insert("metadata".into(), metadata(key));
    let request = cx.http().post(settings.api("tickets")).header("idempotency-key", key);
    let response = request.json(&json!({ "ticket": ticket }))?.send()?;
    if response.status() == 400 && response.text().contains("IdempotentRequestError") {
        // The key was used with another body: files have new tokens in every attempt. So the ticket is there.
        let found = lookup::ticket_by_key(settings, key, desk, cx)?;
        return found.ok_or_else(|| Failure::retry("the ticket was created earlier and cannot be found yet"));
    }
    api::added(&checked(response)?.json()?, settings, desk)
}

fn put(
    settings: &Settings,
    id: &str,
    key: &str,
    mut ticket: Map<String, Value>,
    cx: &Context,
) -> Result<Response, Failure> {
    ticket.insert("metadata".into(), metadata(key));
    cx.http().put(settings.api(&format!("tickets/{id}"))).json(&json!({ "ticket": ticket }))?.send()
}

fn metadata(key: &str) -> Value {
    json!({ "custom": { KEY: key } })
}

/// The Zendesk user of a customer, made or brought up to date by our id.
fn requester(settings: &Settings, customer: &Customer, cx: &Context) -> Result<u64, Failure> {
    let name = customer.name.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let name = name.or(customer.username.as_deref()).unwrap_or(NAMELESS);
    let mut user = json!({ "name": name, "external_id": customer.id });
    let phone = customer.phone.as_deref().map(|phone| format!("+{}", phone.trim_start_matches('+')));
    if let (Some(phone), Some(user)) = (&phone, user.as_object_mut()) {
        user.insert("phone".into(), phone.as_str().into());
    }
    let mut response = create_or_update(settings, &user, cx)?;
    if response.status() == 422 && phone.is_some() {
        // Another user has the number: the ticket matters more than the number does.
        cx.log(Level::Warn, &format!("user without phone number: {}", response.reason()));
        if let Some(user) = user.as_object_mut() {
            user.remove("phone");
        }
        response = create_or_update(settings, &user, cx)?;
    }
    let answer: Value = checked(response)?.json()?;
    let id = answer.get("user").and_then(|user| id_in(user, "id")).and_then(|id| id.parse().ok());
    id.ok_or_else(|| lacking("user id"))
}

fn create_or_update(settings: &Settings, user: &Value, cx: &Context) -> Result<Response, Failure> {
    cx.http().post(settings.api("users/create_or_update")).json(&json!({ "user": user }))?.send()
}

/// The Zendesk user who said it: the customer. Everybody else speaks through the credential's own user.
fn author(settings: &Settings, ticket: &Ticket, entry: &Entry, cx: &Context) -> Result<Option<u64>, Failure> {
    match &entry.author {
        Author::Customer(customer) => match ticket.datum(USER).and_then(|user| user.parse().ok()) {
            Some(user) => Ok(Some(user)),
            None => requester(settings, customer, cx).map(Some),
        },
        Author::Agent(_) | Author::Bot(_) | Author::Gateway => Ok(None),
    }
}

/// Whether the ticket takes no more comments.
fn is_closed(response: &Response) -> bool {
    response.status() == 422 && response.text().to_ascii_lowercase().contains("closed")
}

/// Zendesk's ids are numbers; one that is none is left as it is.
fn numeric(id: &str) -> Value {
    id.parse::<u64>().map_or_else(|_| id.into(), Value::from)
}

/// An answer may leave the requester out.
fn keep_data(ticket: &mut Ticket, before: &Ticket) {
    if ticket.data.is_empty() {
        ticket.data.clone_from(&before.data);
    }
}
