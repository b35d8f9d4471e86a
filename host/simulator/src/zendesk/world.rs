//! What the ticket system remembers.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::ids;
use crate::options::{ZendeskGroup, ZendeskOptions};
use crate::shared::seconds;

/// The agent whose token the gateway uses.
pub(crate) const API_AGENT: u64 = 9_000_000_001;
/// The person who works at the desk page.
pub(crate) const DESK_AGENT: u64 = 9_000_000_002;
/// An upload's token is good for this long.
const UPLOAD_LIFETIME: SignedDuration = SignedDuration::from_mins(60);
/// An idempotency key is remembered for this long.
const KEY_LIFETIME: SignedDuration = SignedDuration::from_hours(2);

/// Users, tickets, files.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) users: BTreeMap<u64, User>,
    pub(crate) tickets: BTreeMap<u64, Ticket>,
    pub(crate) attachments: BTreeMap<u64, Attachment>,
    pub(crate) uploads: BTreeMap<String, Upload>,
    pub(crate) groups: Vec<ZendeskGroup>,
    keys: BTreeMap<String, (Timestamp, Value, Value)>,
    minute: (i64, u32),
    last_id: u64,
}

/// A person: customer or agent.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) email: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) external_id: Option<String>,
    /// `end-user`, `agent` or `admin`.
    pub(crate) role: &'static str,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// A ticket.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    pub(crate) id: u64,
    pub(crate) subject: String,
    pub(crate) status: String,
    pub(crate) priority: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) external_id: Option<String>,
    pub(crate) requester: u64,
    pub(crate) submitter: u64,
    pub(crate) assignee: Option<u64>,
    pub(crate) group: Option<u64>,
    pub(crate) tags: Vec<String>,
    pub(crate) custom_fields: Vec<Value>,
    pub(crate) follows: Option<u64>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) comments: Vec<Comment>,
    /// As the API shows them, except that the attachments of comments are added when shown.
    pub(crate) audits: Vec<Value>,
}

/// One comment.
#[derive(Debug, Clone)]
pub(crate) struct Comment {
    pub(crate) id: u64,
    pub(crate) audit: u64,
    pub(crate) author: u64,
    pub(crate) body: String,
    pub(crate) public: bool,
    pub(crate) attachments: Vec<u64>,
    pub(crate) custom: Value,
    /// `api` or `web`.
    pub(crate) via: &'static str,
    pub(crate) at: Timestamp,
}

/// A stored file.
#[derive(Debug, Clone)]
pub(crate) struct Attachment {
    pub(crate) id: u64,
    pub(crate) token: String,
    pub(crate) name: String,
    pub(crate) mime: String,
    pub(crate) content: Bytes,
    pub(crate) sha256: String,
}

/// Files that wait to be used in a comment.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub(crate) attachments: Vec<u64>,
    pub(crate) at: Timestamp,
}

impl World {
    pub(crate) fn new(options: &ZendeskOptions) -> Self {
        let now = Timestamp::now();
        let agent = |id, name: &str, email: &str, role| User {
            id,
            name: name.into(),
            email: Some(email.into()),
            phone: None,
            external_id: None,
            role,
            created_at: now,
            updated_at: now,
        };
        Self {
            users: BTreeMap::from([
                (API_AGENT, agent(API_AGENT, "Integration", &options.agent_email, "admin")),
                (DESK_AGENT, agent(DESK_AGENT, "Robin Marsh", "robin.marsh@example.com", "agent")),
            ]),
            tickets: BTreeMap::new(),
            attachments: BTreeMap::new(),
            uploads: BTreeMap::new(),
            groups: options.groups.clone(),
            keys: BTreeMap::new(),
            minute: (0, 0),
            last_id: DESK_AGENT,
        }
    }

    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Counts a request; gives how many were made in this minute and the seconds until the next.
    pub(crate) fn count_request(&mut self) -> (u32, i64) {
        let now = Timestamp::now().as_second();
        let minute = now.div_euclid(60);
        if self.minute.0 != minute {
            self.minute = (minute, 0);
        }
        self.minute.1 += 1;
        (self.minute.1, 60 - now.rem_euclid(60))
    }

    /// The answer kept under an idempotency key; `Err` when it was given for another request.
    pub(crate) fn kept(&mut self, key: &str, request: &Value) -> Result<Option<Value>, ()> {
        let now = Timestamp::now();
        self.keys.retain(|_, (at, _, _)| now.duration_since(*at) < KEY_LIFETIME);
        match self.keys.get(key) {
            None => Ok(None),
            Some((_, kept, answer)) if kept == request => Ok(Some(answer.clone())),
            Some(_) => Err(()),
        }
    }

    pub(crate) fn keep(&mut self, key: String, request: Value, answer: Value) {
        self.keys.insert(key, (Timestamp::now(), request, answer));
    }

    /// Stores a file.
    pub(crate) fn attach(&mut self, name: String, mime: String, content: Bytes) -> u64 {
        let id = self.next_id();
        let sha256 = hex::encode(Sha256::digest(&content));
        self.attachments.insert(id, Attachment { id, token: ids::secret_text(), name, mime, content, sha256 });
        id
    }

    /// An upload whose token is still good.
    pub(crate) fn upload(&self, token: &str) -> Option<&Upload> {
        self.uploads.get(token).filter(|upload| Timestamp::now().duration_since(upload.at) < UPLOAD_LIFETIME)
    }

    /// When a token made now stops to be good.
    pub(crate) fn upload_expiry() -> Timestamp {
        Timestamp::now() + UPLOAD_LIFETIME
    }

    /// The name of a group.
    pub(crate) fn group_name(&self, id: u64) -> Option<&str> {
        self.groups.iter().find(|group| group.id == id).map(|group| group.name.as_str())
    }

    fn user_name(&self, id: u64) -> &str {
        self.users.get(&id).map_or("", |user| user.name.as_str())
    }

    /// A ticket in the shape that all desks share under `/_sim/desks`.
    pub(crate) fn desk_ticket(&self, ticket: &Ticket, base: &str) -> Value {
        let queue = ticket
            .tags
            .iter()
            .find_map(|tag| tag.strip_prefix("queue:"))
            .or_else(|| ticket.group.and_then(|group| self.group_name(group)));
        let requester = self.users.get(&ticket.requester);
        let entries: Vec<Value> = ticket
            .comments
            .iter()
            .map(|comment| {
                let author = self.users.get(&comment.author);
                let role = match author.map(|author| author.role) {
                    Some("end-user") => "customer",
                    Some(_) if comment.author == API_AGENT => "integration",
                    _ => "agent",
                };
                let attachments: Vec<Value> = comment
                    .attachments
                    .iter()
                    .filter_map(|id| self.attachments.get(id))
                    .map(|file| {
                        json!({"name": file.name, "mime": file.mime, "size": file.content.len(), "sha256": file.sha256,
                               "url": file.url(base)})
                    })
                    .collect();
                json!({
                    "id": comment.id.to_string(), "author": self.user_name(comment.author), "author_role": role,
                    "public": comment.public, "text": comment.body, "key": comment.custom.get("patchbay_key"),
                    "attachments": attachments, "at": crate::shared::millis(comment.at),
                })
            })
            .collect();
        json!({
            "id": ticket.id.to_string(), "subject": ticket.subject, "status": ticket.status,
            "priority": ticket.priority, "queue": queue, "tags": ticket.tags, "external_id": ticket.external_id,
            "requester": {"name": requester.map(|user| &user.name), "phone": requester.and_then(|user| user.phone.as_ref())},
            "follows": ticket.follows.map(|id| id.to_string()),
            "created_at": crate::shared::millis(ticket.created_at),
            "updated_at": crate::shared::millis(ticket.updated_at), "entries": entries,
        })
    }
}

impl Attachment {
    /// The download address; its token is the permission.
    pub(crate) fn url(&self, base: &str) -> String {
        let name: String = url::form_urlencoded::byte_serialize(self.name.as_bytes()).collect();
        format!("{base}/zendesk/attachments/token/{}/?name={name}", self.token)
    }

    /// As the API shows it.
    pub(crate) fn json(&self, base: &str) -> Value {
        json!({
            "url": format!("{base}/zendesk/api/v2/attachments/{}.json", self.id), "id": self.id,
            "file_name": self.name, "content_url": self.url(base), "mapped_content_url": self.url(base),
            "content_type": self.mime, "size": self.content.len(), "width": null, "height": null, "inline": false,
            "deleted": false, "malware_access_override": false, "malware_scan_result": "malware_not_found",
            "thumbnails": [],
        })
    }
}

impl User {
    /// As the API shows it.
    pub(crate) fn json(&self, base: &str) -> Value {
        json!({
            "id": self.id, "url": format!("{base}/zendesk/api/v2/users/{}.json", self.id), "name": self.name,
            "email": self.email, "phone": self.phone, "shared_phone_number": self.phone.as_ref().map(|_| false),
            "external_id": self.external_id, "role": self.role, "active": true, "verified": self.role != "end-user",
            "suspended": false, "shared": false, "locale": "en-US", "locale_id": 1, "time_zone": "UTC",
            "iana_time_zone": "Etc/UTC", "organization_id": null, "default_group_id": null, "tags": [], "alias": "",
            "notes": "", "details": "", "photo": null, "user_fields": {}, "ticket_restriction":
                if self.role == "end-user" { json!("requested") } else { Value::Null },
            "created_at": seconds(self.created_at), "updated_at": seconds(self.updated_at),
        })
    }
}

impl Comment {
    /// As `GET /tickets/{id}/comments` shows it.
    pub(crate) fn json(&self, world: &World, base: &str) -> Value {
        json!({
            "id": self.id, "type": "Comment", "author_id": self.author, "body": self.body,
            "html_body": html(&self.body), "plain_body": self.body, "public": self.public,
            "attachments": self.files(world, base), "audit_id": self.audit, "via": via(self.via),
            "created_at": seconds(self.at), "metadata": {"system": {}, "custom": self.custom},
        })
    }

    pub(crate) fn files(&self, world: &World, base: &str) -> Vec<Value> {
        self.attachments.iter().filter_map(|id| world.attachments.get(id)).map(|file| file.json(base)).collect()
    }
}

/// The `via` object of a channel.
pub(crate) fn via(channel: &str) -> Value {
    json!({"channel": channel, "source": {"from": {}, "to": {}, "rel": null}})
}

/// Text as the simplest HTML.
pub(crate) fn html(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\n', "<br>");
    format!("<div class=\"zd-comment\" dir=\"auto\"><p dir=\"auto\">{text}</p></div>")
}

impl Ticket {
    /// As the API shows it.
    pub(crate) fn json(&self, base: &str) -> Value {
        let description = self.comments.first().map(|comment| comment.body.clone()).unwrap_or_default();
        json!({
            "url": format!("{base}/zendesk/api/v2/tickets/{}.json", self.id), "id": self.id,
            "external_id": self.external_id, "via": via("api"), "created_at": seconds(self.created_at),
            "updated_at": seconds(self.updated_at), "generated_timestamp": self.updated_at.as_second(),
            "type": self.kind, "subject": self.subject, "raw_subject": self.subject, "description": description,
            "priority": self.priority, "status": self.status, "recipient": null, "requester_id": self.requester,
            "submitter_id": self.submitter, "assignee_id": self.assignee, "organization_id": null,
            "group_id": self.group, "collaborator_ids": [], "follower_ids": [], "email_cc_ids": [],
            "forum_topic_id": null, "problem_id": null, "has_incidents": false,
            "is_public": self.comments.iter().any(|comment| comment.public), "due_at": null, "tags": self.tags,
            "custom_fields": self.custom_fields, "fields": self.custom_fields, "satisfaction_rating": null,
            "sharing_agreement_ids": [], "custom_status_id": null, "encoded_id": format!("SIM{:06}", self.id),
            "followup_ids": [], "ticket_form_id": null, "brand_id": 360_000_000_001_u64, "allow_channelback": false,
            "allow_attachments": true, "from_messaging_channel": false,
        })
    }

    /// An audit as the API shows it.
    pub(crate) fn audit_json(&self, audit: &Value, world: &World, base: &str) -> Value {
        let mut audit = audit.clone();
        if let Some(events) = audit.get_mut("events").and_then(Value::as_array_mut) {
            for event in events {
                let id = event.get("id").and_then(Value::as_u64);
                if let Some(comment) = self.comments.iter().find(|comment| Some(comment.id) == id)
                    && let Some(event) = event.as_object_mut()
                {
                    event.insert("attachments".into(), json!(comment.files(world, base)));
                }
            }
        }
        audit
    }
}
