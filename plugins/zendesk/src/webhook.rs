//! What Zendesk tells us: its event webhooks, signed.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use patchbay_plugin::time::parse_rfc3339;
use patchbay_plugin::{
    Activity, AgentEntry, Context, DeskActivity, Failure, Level, Notice, Period, RemoteFile, Webhook,
};
use serde_json::Value;

use crate::api::{call, id_in, list_in, text_in};
use crate::settings::{Settings, from_zendesk};

/// The name under which the operator binds the webhook's signing secret.
const SECRET: &str = "webhook";

/// How far a signature's time may be from ours: room for clocks and retries, and not for somebody who recorded it.
const TOLERANCE: Period = Period::from_millis(5 * 60 * 1000);

/// How long the look-up of a comment's files may take. The gateway waits four seconds for all that is done about a
/// webhook, and without an answer in time the words would be lost with the files.
const LOOK_UP: Period = Period::from_millis(1500);

const PREFIX: &str = "zen:event-type:";

/// Checks the signature, then says what happened.
pub(crate) fn receive(settings: &Settings, request: &Webhook, cx: &Context) -> Result<Vec<DeskActivity>, Failure> {
    check_signature(request, cx)?;
    if request.body.is_empty() {
        return Ok(Vec::new());
    }
    let unreadable = |why: &str| Failure::permanent(format!("the webhook is no Zendesk event: {why}"));
    let envelope: Value = serde_json::from_slice(&request.body).map_err(|error| unreadable(&error.to_string()))?;
    let Some(kind) = text_in(&envelope, "type").strip_prefix(PREFIX) else { return Err(unreadable("it has no type")) };
    if !kind.starts_with("ticket.") {
        return Ok(Vec::new());
    }
    let (Some(id), Some(detail)) = (id_in(&envelope, "id"), envelope.get("detail")) else {
        return Err(unreadable("it has no id and detail"));
    };
    let ticket = id_in(detail, "id").ok_or_else(|| unreadable("it has no ticket"))?;
    let key = Some(text_in(detail, "external_id")).filter(|key| !key.is_empty()).map(str::to_owned);
    let occurred_at = parse_rfc3339(text_in(&envelope, "time")).unwrap_or_else(|| cx.now());
    let event = envelope.get("event").unwrap_or(&Value::Null);
    let what = match event.get("comment").filter(|_| kind == "ticket.comment_added") {
        Some(comment) => entry(settings, detail, &ticket, comment, cx).map(Activity::Entry),
        None => Some(change(settings, kind, event)),
    };
    Ok(what.map(|what| DeskActivity { id, desk: String::new(), ticket, key, occurred_at, what }).into_iter().collect())
}

fn check_signature(request: &Webhook, cx: &Context) -> Result<(), Failure> {
    let header = |name: &str| {
        request.header(name).ok_or_else(|| Failure::credential(format!("the webhook has no {name} header")))
    };
    let stamp = header("x-zendesk-webhook-signature-timestamp")?;
    let signature = BASE64_STANDARD
        .decode(header("x-zendesk-webhook-signature")?)
        .map_err(|_| Failure::credential("the webhook's signature is no base64"))?;
    let mut message = stamp.as_bytes().to_vec();
    message.extend_from_slice(&request.body);
    if !cx.verify(SECRET, "hmac-sha256", &message, &signature)? {
        return Err(Failure::credential("the webhook's signature is wrong"));
    }
    match parse_rfc3339(stamp) {
        Some(at) if at.abs_diff(cx.now()) <= TOLERANCE.as_millis() => Ok(()),
        Some(_) => Err(Failure::credential(format!("the webhook was signed at {stamp}, not within 5 minutes of now"))),
        None => Err(Failure::credential("the webhook's signature has no readable time")),
    }
}

/// What changed about the ticket; what the contract has no word for goes as it is.
fn change(settings: &Settings, kind: &str, event: &Value) -> Activity {
    let current = id_in(event, "current");
    let activity = match kind {
        "ticket.status_changed" => current.map(|status| Activity::Status(from_zendesk(&status))),
        "ticket.group_assignment_changed" => current.map(|group| Activity::Assigned(settings.queue_of(&group))),
        "ticket.agent_assignment_changed" => current.map(|agent| Activity::Assigned(format!("agent {agent}"))),
        "ticket.merged" => id_in(event, "target_ticket_id").or(current).map(Activity::MergedInto),
        _ => None,
    };
    activity.unwrap_or_else(|| Activity::Other(Notice { kind: kind.to_owned(), data: event.to_string() }))
}

/// What an agent wrote; none for what the customer, or this gateway, wrote.
fn entry(settings: &Settings, detail: &Value, ticket: &str, comment: &Value, cx: &Context) -> Option<AgentEntry> {
    let author = comment.get("author")?;
    let author_id = id_in(author, "id")?;
    let staff = is_true(author, "is_staff");
    if !staff || id_in(detail, "requester_id").as_ref() == Some(&author_id) || settings.is_integration_user(&author_id)
    {
        return None;
    }
    let id = id_in(comment, "id")?;
    let public = is_true(comment, "is_public");
    let mut whole = None;
    if public && settings.fetch_attachments && comment.get("attachments").is_none() {
        match look_up(settings, ticket, &id, cx) {
            Ok(found) => whole = found,
            // The words are here, and Zendesk would not send them again: do not lose them for the files.
            Err(failure) => {
                cx.log(Level::Warn, &format!("comment {id} without its files: {}", failure.reason()));
            }
        }
    }
    let whole = whole.as_ref().unwrap_or(comment);
    let text = match text_in(whole, "body") {
        "" => text_in(comment, "body"),
        text => text,
    };
    Some(AgentEntry {
        id,
        public,
        author: text_in(author, "name").to_owned(),
        text: text.to_owned(),
        attachments: list_in(whole, "attachments").iter().filter_map(remote_file).collect(),
    })
}

fn is_true(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_bool).unwrap_or_default()
}

/// The comment as the API has it: webhooks leave the files out.
fn look_up(settings: &Settings, ticket: &str, id: &str, cx: &Context) -> Result<Option<Value>, Failure> {
    let newest = settings.api(&format!("tickets/{ticket}/comments?sort_order=desc&per_page=25"));
    let page = call(cx.http().get(newest).timeout(LOOK_UP))?;
    let mut comments = list_in(&page, "comments").iter();
    Ok(comments.find(|comment| id_in(comment, "id").as_deref() == Some(id)).cloned())
}

fn remote_file(attachment: &Value) -> Option<RemoteFile> {
    // The API says `file_name`, webhooks say `filename`.
    let name = match text_in(attachment, "file_name") {
        "" => text_in(attachment, "filename"),
        name => name,
    };
    Some(RemoteFile {
        name: name.to_owned(),
        mime: text_in(attachment, "content_type").to_owned(),
        url: attachment.get("content_url")?.as_str()?.to_owned(),
        size: attachment.get("size").and_then(Value::as_u64),
    })
}
