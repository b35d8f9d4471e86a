//! Making and changing tickets: the one way in for the API and for the desk page.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::delivery::{Parcel, Sender, deliver};
use crate::shared::{Shared, lock, millis};
use crate::zendesk::error::ZendeskError;
use crate::zendesk::world::{API_AGENT, Comment, Ticket, World, html, via};

const STATUSES: [&str; 6] = ["new", "open", "pending", "hold", "solved", "closed"];
const PRIORITIES: [&str; 4] = ["low", "normal", "high", "urgent"];
const KINDS: [&str; 4] = ["problem", "incident", "question", "task"];

/// What a webhook will tell about.
pub(crate) struct Happening {
    kind: &'static str,
    event: Value,
}

/// A change that was made.
pub(crate) struct Done {
    pub(crate) ticket: u64,
    pub(crate) happenings: Vec<Happening>,
}

fn as_id(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn field<'a>(ticket: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    ticket.get(name).filter(|value| !value.is_null())
}

fn one_of(ticket: &Map<String, Value>, name: &str, allowed: &[&str]) -> Result<Option<String>, ZendeskError> {
    match field(ticket, name) {
        None => Ok(None),
        Some(value) => match value.as_str().map(str::to_ascii_lowercase) {
            Some(value) if allowed.contains(&value.as_str()) => Ok(Some(value)),
            _ => Err(ZendeskError::invalid(name, &format!("{name}: is not included in the list"), "InvalidValue")),
        },
    }
}

/// Tags as Zendesk keeps them: lower case, no spaces, no repeats, sorted.
fn tags(value: &Value) -> Vec<String> {
    let words: Vec<String> = match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(|tag| tag.trim().replace(' ', "_")).collect(),
        Value::String(text) => text.split_whitespace().map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let mut words: Vec<String> =
        words.into_iter().map(|tag| tag.to_lowercase()).filter(|tag| !tag.is_empty()).collect();
    words.sort();
    words.dedup();
    words
}

/// A comment that has been checked but not yet added.
struct NewComment {
    author: Option<u64>,
    body: String,
    public: bool,
    tokens: Vec<String>,
}

impl World {
    fn new_comment(&self, ticket: &Map<String, Value>) -> Result<Option<NewComment>, ZendeskError> {
        let Some(comment) = field(ticket, "comment") else { return Ok(None) };
        let get = |name: &str| comment.get(name).and_then(Value::as_str).map(str::to_owned);
        let tokens: Vec<String> = match comment.get("uploads") {
            Some(Value::Array(tokens)) => tokens.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(Value::String(token)) => vec![token.clone()],
            _ => Vec::new(),
        };
        if tokens.iter().any(|token| self.upload(token).is_none()) {
            return Err(ZendeskError::invalid("base", "Attachment token is invalid or has expired", "InvalidValue"));
        }
        let body = get("body").or_else(|| get("html_body")).or_else(|| comment.as_str().map(str::to_owned));
        let body = body.unwrap_or_default();
        if body.trim().is_empty() && tokens.is_empty() {
            return Err(ZendeskError::invalid("base", "Description: cannot be blank", "BlankValue"));
        }
        let author = comment.get("author_id").filter(|id| !id.is_null()).map(as_id);
        if let Some(id) = author
            && id.is_none_or(|id| !self.users.contains_key(&id))
        {
            return Err(ZendeskError::invalid("author", "Author: is invalid", "InvalidValue"));
        }
        let public = comment.get("public").and_then(Value::as_bool).unwrap_or(true);
        Ok(Some(NewComment { author: author.flatten(), body, public, tokens }))
    }

    fn group(&self, ticket: &Map<String, Value>) -> Result<Option<u64>, ZendeskError> {
        match field(ticket, "group_id").map(as_id) {
            None => Ok(None),
            Some(Some(id)) if self.group_name(id).is_some() => Ok(Some(id)),
            Some(_) => Err(ZendeskError::invalid("group", "Group: is invalid", "InvalidValue")),
        }
    }

    /// `POST /tickets`.
    pub(crate) fn create(&mut self, ticket: &Map<String, Value>) -> Result<Done, ZendeskError> {
        let comment = self.new_comment(ticket)?;
        let Some(comment) = comment else {
            return Err(ZendeskError::invalid("base", "Description: cannot be blank", "BlankValue"));
        };
        let requester = match field(ticket, "requester_id").map(as_id) {
            Some(Some(id)) if self.users.contains_key(&id) => id,
            Some(_) => return Err(ZendeskError::invalid("requester", "Requester: is invalid", "InvalidValue")),
            None => match field(ticket, "requester").and_then(Value::as_object) {
                Some(user) => self.create_or_update_user(user)?.0,
                None => API_AGENT,
            },
        };
        let follows = match field(ticket, "via_followup_source_id").map(as_id) {
            None => None,
            Some(id) => {
                let source = id.and_then(|id| self.tickets.get(&id));
                match source {
                    Some(source) if source.status == "closed" => Some(source.id),
                    _ => {
                        return Err(ZendeskError::invalid(
                            "via_followup_source_id",
                            "Via followup source: must be a closed ticket",
                            "InvalidValue",
                        ));
                    }
                }
            }
        };
        let (status, priority) = (one_of(ticket, "status", &STATUSES)?, one_of(ticket, "priority", &PRIORITIES)?);
        let (kind, group) = (one_of(ticket, "type", &KINDS)?, self.group(ticket)?);
        let id = self.tickets.last_key_value().map_or(1, |(id, _)| id + 1);
        let now = Timestamp::now();
        let text = |name: &str| {
            field(ticket, name).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        };
        let subject = text("subject").unwrap_or_else(|| comment.body.chars().take(80).collect());
        self.tickets.insert(
            id,
            Ticket {
                id,
                subject: subject.clone(),
                status: status.clone().unwrap_or_else(|| "new".into()),
                priority: priority.clone(),
                kind,
                external_id: text("external_id"),
                requester,
                submitter: field(ticket, "submitter_id").and_then(as_id).unwrap_or(API_AGENT),
                assignee: field(ticket, "assignee_id").and_then(as_id),
                group: group.or_else(|| self.groups.first().map(|group| group.id)),
                tags: field(ticket, "tags").map(tags).unwrap_or_default(),
                custom_fields: field(ticket, "custom_fields").and_then(Value::as_array).cloned().unwrap_or_default(),
                follows,
                created_at: now,
                updated_at: now,
                comments: Vec::new(),
                audits: Vec::new(),
            },
        );
        let mut changes = vec![("subject", json!(subject), None), ("requester_id", json!(requester.to_string()), None)];
        changes.extend(status.map(|status| ("status", json!(status), None)));
        changes.extend(priority.map(|priority| ("priority", json!(priority), None)));
        let comment = NewComment { author: Some(comment.author.unwrap_or(requester)), ..comment };
        let happenings = self.audit(id, ticket, Some(comment), changes, API_AGENT, "api");
        Ok(Done { ticket: id, happenings })
    }

    /// `PUT /tickets/{id}`, and what an agent does at the desk.
    pub(crate) fn update(
        &mut self,
        id: u64,
        ticket: &Map<String, Value>,
        actor: u64,
        channel: &'static str,
    ) -> Result<Done, ZendeskError> {
        let Some(current) = self.tickets.get(&id) else { return Err(ZendeskError::not_found()) };
        if current.status == "closed" {
            return Err(ZendeskError::closed());
        }
        if field(ticket, "safe_update").and_then(Value::as_bool) == Some(true) {
            let stamp = field(ticket, "updated_stamp").and_then(|stamp| stamp.as_str()?.parse::<Timestamp>().ok());
            let stamp = stamp.ok_or_else(|| ZendeskError::bad_request("safe_update needs updated_stamp"))?;
            if current.updated_at.as_second() > stamp.as_second() {
                return Err(ZendeskError::conflict());
            }
        }
        let comment = self.new_comment(ticket)?;
        let (status, priority) = (one_of(ticket, "status", &STATUSES)?, one_of(ticket, "priority", &PRIORITIES)?);
        let (kind, group) = (one_of(ticket, "type", &KINDS)?, self.group(ticket)?);
        let mut changes = Vec::new();
        if let Some(current) = self.tickets.get_mut(&id) {
            let mut set = |name: &'static str, place: &mut Option<String>, value: Option<String>| {
                if let Some(value) = value
                    && place.as_ref() != Some(&value)
                {
                    changes.push((name, json!(value), Some(json!(place))));
                    *place = Some(value);
                }
            };
            let text = |name: &str| field(ticket, name).and_then(Value::as_str).map(str::to_owned);
            let mut old = Some(std::mem::take(&mut current.status));
            set("status", &mut old, status);
            current.status = old.unwrap_or_default();
            let mut old = Some(std::mem::take(&mut current.subject));
            set("subject", &mut old, text("subject"));
            current.subject = old.unwrap_or_default();
            set("priority", &mut current.priority, priority);
            set("type", &mut current.kind, kind);
            set("external_id", &mut current.external_id, text("external_id"));
            let mut old = current.group.map(|id| id.to_string());
            set("group_id", &mut old, group.map(|id| id.to_string()));
            current.group = old.and_then(|id| id.parse().ok());
            let mut old = current.assignee.map(|id| id.to_string());
            set("assignee_id", &mut old, field(ticket, "assignee_id").and_then(as_id).map(|id| id.to_string()));
            current.assignee = old.and_then(|id| id.parse().ok());
            if let Some(new) = field(ticket, "tags").map(tags)
                && new != current.tags
            {
                changes.push(("tags", json!(new), Some(json!(current.tags))));
                current.tags = new;
            }
            for new in field(ticket, "custom_fields").and_then(Value::as_array).into_iter().flatten() {
                current.custom_fields.retain(|old| old.get("id") != new.get("id"));
                current.custom_fields.push(new.clone());
            }
            current.updated_at = Timestamp::now();
        }
        let happenings = self.audit(id, ticket, comment, changes, actor, channel);
        Ok(Done { ticket: id, happenings })
    }

    /// Writes down what was done, and gives what webhooks will tell.
    fn audit(
        &mut self,
        id: u64,
        request: &Map<String, Value>,
        comment: Option<NewComment>,
        changes: Vec<(&'static str, Value, Option<Value>)>,
        actor: u64,
        channel: &'static str,
    ) -> Vec<Happening> {
        let audit = self.next_id();
        let now = Timestamp::now();
        let custom = field(request, "metadata").and_then(|metadata| metadata.get("custom")).cloned();
        let custom = custom.unwrap_or_else(|| json!({}));
        let (mut events, mut happenings, mut added) = (Vec::new(), Vec::new(), None);
        let mut author = actor;
        if let Some(new) = comment {
            author = new.author.unwrap_or(actor);
            let attachments: Vec<u64> = new
                .tokens
                .iter()
                .filter_map(|token| self.uploads.remove(token))
                .flat_map(|upload| upload.attachments)
                .collect();
            let comment = Comment {
                id: self.next_id(),
                audit,
                author,
                body: new.body,
                public: new.public,
                attachments,
                custom: custom.clone(),
                via: channel,
                at: now,
            };
            events.push(json!({
                "id": comment.id, "type": "Comment", "author_id": author, "body": comment.body,
                "html_body": html(&comment.body), "plain_body": comment.body, "public": comment.public,
                "attachments": [], "audit_id": audit,
            }));
            added = Some(comment);
        }
        for (name, value, previous) in changes {
            let event = self.next_id();
            events.push(match &previous {
                None => json!({"id": event, "type": "Create", "field_name": name, "value": value}),
                Some(previous) => json!({"id": event, "type": "Change", "field_name": name, "value": value,
                    "previous_value": previous}),
            });
            if let ("status", Some(previous)) = (name, &previous) {
                let upper = |value: &Value| value.as_str().unwrap_or_default().to_uppercase();
                happenings.push(Happening {
                    kind: "status_changed",
                    event: json!({"current": upper(&value), "previous": upper(previous)}),
                });
            }
        }
        if let Some(ticket) = self.tickets.get_mut(&id) {
            ticket.updated_at = now;
            ticket.audits.push(json!({
                "id": audit, "ticket_id": id, "created_at": crate::shared::seconds(now), "author_id": author,
                "metadata": {"system": {"client": "simulated", "ip_address": "127.0.0.1"}, "custom": custom},
                "events": events, "via": via(channel),
            }));
            if let Some(comment) = added {
                let event = json!({"comment": comment.id});
                ticket.comments.push(comment);
                happenings.insert(0, Happening { kind: "comment_added", event });
            }
        }
        happenings
    }
}

/// Sends the webhooks of a change and tells the pages. The webhooks of one change leave one after the other.
pub(crate) fn announce(shared: &Arc<Shared>, done: Done) {
    let base = shared.url();
    let mut parcels = Vec::new();
    {
        let world = lock(&shared.zendesk);
        let Some(ticket) = world.tickets.get(&done.ticket) else { return };
        shared.tell(json!({"kind": "ticket", "desk": "zendesk", "ticket": world.desk_ticket(ticket, &base)}));
        for happening in done.happenings {
            let body = body(shared, &world, ticket, &happening, &base);
            parcels.push((happening.kind, bytes::Bytes::from(body.to_string())));
        }
    }
    let (owned, session) = (shared.clone(), shared.session());
    shared.tasks.spawn(session.run_until_cancelled_owned(async move {
        for (kind, body) in parcels {
            let parcel = Parcel { sender: Sender::Zendesk, kind, body, messages: Vec::new() };
            let (_, first) = deliver(&owned, parcel);
            first.await.ok();
        }
    }));
}

/// One event in Zendesk's envelope. Identifiers are texts here, and choices are upper case.
fn body(shared: &Shared, world: &World, ticket: &Ticket, happening: &Happening, base: &str) -> Value {
    let upper = |value: &Option<String>| value.as_ref().map(|value| value.to_uppercase());
    let comment = happening.event.get("comment").and_then(Value::as_u64);
    let comment = ticket.comments.iter().find(|found| Some(found.id) == comment);
    let mut actor = ticket.submitter;
    let event = match comment {
        None => happening.event.clone(),
        Some(comment) => {
            actor = comment.author;
            let author = world.users.get(&comment.author);
            let files: Vec<Value> = comment
                .attachments
                .iter()
                .filter_map(|id| world.attachments.get(id))
                .map(|file| {
                    json!({"id": file.id.to_string(), "filename": file.name, "content_type": file.mime,
                           "content_url": file.url(base), "size": file.content.len(), "is_public": comment.public})
                })
                .collect();
            let mut object = json!({
                "id": comment.id.to_string(), "body": comment.body, "is_public": comment.public,
                "author": {"id": comment.author.to_string(), "is_staff": author.is_some_and(|user| user.role != "end-user"),
                           "name": author.map(|user| &user.name)},
            });
            if let (false, Some(object)) = (files.is_empty(), object.as_object_mut()) {
                object.insert("attachments".into(), json!(files));
            }
            json!({"comment": object})
        }
    };
    json!({
        "account_id": shared.options.zendesk.account_id,
        "detail": {
            "actor_id": actor.to_string(), "assignee_id": ticket.assignee.map(|id| id.to_string()),
            "brand_id": "360000000001", "created_at": crate::shared::seconds(ticket.created_at), "custom_status": null,
            "description": ticket.comments.first().map(|first| &first.body), "external_id": ticket.external_id,
            "form_id": null, "group_id": ticket.group.map(|id| id.to_string()), "id": ticket.id.to_string(),
            "is_public": ticket.comments.iter().any(|comment| comment.public), "organization_id": null,
            "priority": upper(&ticket.priority), "requester_id": ticket.requester.to_string(),
            "status": ticket.status.to_uppercase(), "subject": ticket.subject,
            "submitter_id": ticket.submitter.to_string(), "tags": ticket.tags, "type": upper(&ticket.kind),
            "updated_at": crate::shared::seconds(ticket.updated_at),
            "via": {"channel": comment.map_or("api", |comment| comment.via)},
        },
        "event": event,
        "id": crate::ids::uuid(),
        "subject": format!("zen:ticket:{}", ticket.id),
        "time": millis(Timestamp::now()),
        "type": format!("zen:event-type:ticket.{}", happening.kind),
        "zendesk_event_version": "2022-11-06",
    })
}
