//! The verbs that write.

use patchbay_plugin::{Added, Author, Context, Customer, Draft, Entry, Failure, Level, Response, Ticket, value_of};
use serde_json::{Map, Value, json};

use crate::api::{self, KEY, USER, call, checked, id_in, is_about_user, lacking, list_in, mentions, text_in};
use crate::compose::comment;
use crate::lookup;
use crate::settings::Settings;

/// The name of a customer who shows none.
const NAMELESS: &str = "WhatsApp customer";

/// Opens a ticket with what was said so far, as one comment of the customer's.
pub(crate) fn create(settings: &Settings, key: &str, draft: &Draft, cx: &Context) -> Result<Added, Failure> {
    let requester = requester(settings, &draft.conversation.customer, cx)?;
    let mut ticket = Map::new();
    ticket.insert("subject".into(), draft.subject.as_str().into());
    ticket.insert("external_id".into(), key.into());
    ticket.insert("requester_id".into(), requester.into());
    ticket.insert("comment".into(), comment(settings, &draft.entries, Some(requester), cx)?.into());
    ticket.insert("tags".into(), settings.tags(value_of(&draft.fields, "queue")).into());
    settings.put_brand_and_form(&mut ticket);
    settings.put_fields(&mut ticket, &draft.fields, cx);
    let response = post(settings, key, ticket, cx)?;
    written(settings, key, response, "", cx)
}

/// Writes one comment; to a closed ticket as a follow-up ticket, to a deleted one as a fresh ticket. If the customer's
/// user was deleted or merged into another since, the comment is written once more for the user that they are now.
pub(crate) fn add_entry(
    settings: &Settings,
    key: &str,
    ticket: &Ticket,
    entry: &Entry,
    cx: &Context,
) -> Result<Added, Failure> {
    let author = author(settings, ticket, entry, cx)?;
    let mut comment = comment(settings, std::slice::from_ref(entry), author, cx)?;
    let mut ticket = ticket.clone();
    if let Some(user) = author {
        set_user(&mut ticket, user);
    }
    let mut response = write(settings, key, &ticket, &comment, false, cx)?;
    if let Author::Customer(customer) = &entry.author
        && is_about_user(&response)
    {
        cx.log(Level::Warn, &format!("ticket {}: another user for its customer: {}", ticket.id, response.reason()));
        let user = requester(settings, customer, cx)?;
        set_user(&mut ticket, user);
        comment.insert("author_id".into(), user.into());
        response = write(settings, key, &ticket, &comment, mentions(&response, "requester"), cx)?;
    }
    let mut added = written(settings, key, response, &ticket.desk, cx)?;
    keep_user(&mut added.ticket, &ticket);
    Ok(added)
}

/// Sends a comment to where it can go now. `requester`: the ticket's own requester is to be the user that we know, too.
fn write(
    settings: &Settings,
    key: &str,
    ticket: &Ticket,
    comment: &Map<String, Value>,
    requester: bool,
    cx: &Context,
) -> Result<Response, Failure> {
    let user = ticket.datum(USER).map(numeric);
    let mut change = Map::new();
    change.insert("comment".into(), comment.clone().into());
    // A customer's own reply reopens a ticket; what we write in their name does not.
    if comment.contains_key("author_id") && matches!(ticket.status.as_str(), "pending" | "on-hold" | "solved") {
        change.insert("status".into(), "open".into());
    }
    if let Some(user) = user.clone().filter(|_| requester) {
        change.insert("requester_id".into(), user);
    }
    change.insert("metadata".into(), metadata(key));
    let request = cx.http().put(settings.api(&format!("tickets/{}", ticket.id)));
    let response = request.json(&json!({ "ticket": change }))?.send()?;
    let mut new = Map::new();
    if is_closed(&response) {
        new.insert("via_followup_source_id".into(), numeric(&ticket.id));
    } else if response.status() == 404 {
        cx.log(Level::Warn, &format!("ticket {} is not there any more: a fresh one is opened", ticket.id));
        new.insert("tags".into(), settings.tags(None).into());
        settings.put_brand_and_form(&mut new);
    } else {
        return Ok(response);
    }
    new.insert("external_id".into(), key.into());
    if let Some(user) = user {
        new.insert("requester_id".into(), user);
    }
    new.insert("comment".into(), comment.clone().into());
    post(settings, key, new, cx)
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
    keep_user(&mut updated, ticket);
    Ok(updated)
}

/// Creates a ticket once: Zendesk answers a repeated key with the ticket that is there.
fn post(settings: &Settings, key: &str, mut ticket: Map<String, Value>, cx: &Context) -> Result<Response, Failure> {
    ticket.insert("metadata".into(), metadata(key));
    let request = cx.http().post(settings.api("tickets")).header("idempotency-key", key);
    request.json(&json!({ "ticket": ticket }))?.send()
}

/// What a write gave.
fn written(settings: &Settings, key: &str, response: Response, desk: &str, cx: &Context) -> Result<Added, Failure> {
    if response.status() == 400 && response.text().contains("IdempotentRequestError") {
        // The key was used with another body: files have new tokens in every attempt. So the ticket is there.
        let found = lookup::ticket_by_key(settings, key, desk, cx)?;
        return found.ok_or_else(|| Failure::retry("the ticket was created earlier and cannot be found yet"));
    }
    api::added(&checked(response)?.json()?, settings, desk)
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
    response.status() == 422 && mentions(response, "closed")
}

/// Zendesk's ids are numbers; one that is none is left as it is.
fn numeric(id: &str) -> Value {
    id.parse::<u64>().map_or_else(|_| id.into(), Value::from)
}

/// The customer stays who they are, whoever the ticket's requester is, and if the answer has none.
fn keep_user(ticket: &mut Ticket, before: &Ticket) {
    if before.datum(USER).is_some() {
        ticket.data.clone_from(&before.data);
    }
}

fn set_user(ticket: &mut Ticket, user: u64) {
    ticket.data.retain(|(name, _)| name != USER);
    ticket.data.push((USER.to_owned(), user.to_string()));
}
