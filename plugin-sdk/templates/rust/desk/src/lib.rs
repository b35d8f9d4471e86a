//! Tickets in a system of your own.

use patchbay_plugin::{
    Activity, Added, AgentEntry, Context, Desk, DeskActivity, Draft, Entry, Failure, Snapshot, Ticket, Webhook, desk,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What the operator writes under `[plugins.NAME.settings]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where the API is.
    base_url: String,
}

/// A ticket as the API has it.
#[derive(Deserialize)]
struct Given {
    id: String,
    url: Option<String>,
    status: String,
}

impl From<Given> for Ticket {
    fn from(Given { id, url, status }: Given) -> Self {
        // The gateway fills in the desk's name.
        Self { desk: String::new(), id, url, status, data: Vec::new() }
    }
}

#[derive(Deserialize)]
struct Tickets {
    tickets: Vec<Given>,
}

#[derive(Deserialize)]
struct Comment {
    id: String,
    #[serde(default)]
    external_id: String,
    #[serde(default)]
    text: String,
}

/// A file that was sent.
#[derive(Deserialize)]
struct Sent {
    id: String,
}

#[derive(Deserialize)]
struct Comments {
    comments: Vec<Comment>,
}

/// What the ticket system tells.
#[derive(Deserialize)]
struct Told {
    id: String,
    ticket: String,
    at: u64,
    comment: ToldComment,
}

#[derive(Deserialize)]
struct ToldComment {
    id: String,
    public: bool,
    author: String,
    text: String,
}

/// The desk.
pub struct ExamplePlugin;

impl ExamplePlugin {
    fn comments(settings: &Settings, ticket: &str, cx: &Context) -> Result<Vec<Comment>, Failure> {
        let url = format!("{}/tickets/{ticket}/comments", settings.base_url);
        Ok(cx.http().get(url).send()?.ok()?.json::<Comments>()?.comments)
    }

    /// Sends the files of these entries on, without touching their bytes; gives their ids.
    fn upload(settings: &Settings, entries: &[Entry], cx: &Context) -> Result<Vec<String>, Failure> {
        let mut ids = Vec::new();
        for media in entries.iter().flat_map(|entry| &entry.media) {
            let request = cx
                .upload("POST", format!("{}/files", settings.base_url))
                .query("name", &media.display_name())
                .header("content-type", &media.mime)
                .media(&media.id);
            ids.push(request.send()?.ok()?.json::<Sent>()?.id);
        }
        Ok(ids)
    }
}

#[desk]
impl Desk for ExamplePlugin {
    type Settings = Settings;

    fn find_ticket(settings: &Settings, key: &str, cx: &Context) -> Result<Option<Added>, Failure> {
        let request = cx.http().get(format!("{}/tickets", settings.base_url)).query("external_id", key);
        let found = request.send()?.ok()?.json::<Tickets>()?;
        Ok(found.tickets.into_iter().next().map(|ticket| Added { entry: None, ticket: ticket.into() }))
    }

    fn create_ticket(settings: &Settings, key: &str, draft: &Draft, cx: &Context) -> Result<Added, Failure> {
        let said: Vec<&str> = draft.entries.iter().map(|entry| entry.text.as_str()).collect();
        let mut body = words(&draft.fields);
        body.extend([
            ("external_id".to_owned(), json!(key)),
            ("subject".to_owned(), json!(draft.subject)),
            ("text".to_owned(), json!(said.join("\n"))),
            ("files".to_owned(), json!(Self::upload(settings, &draft.entries, cx)?)),
        ]);
        let request = cx.http().post(format!("{}/tickets", settings.base_url)).json(&body)?;
        Ok(Added { entry: None, ticket: request.send()?.ok()?.json::<Given>()?.into() })
    }

    fn find_entry(settings: &Settings, key: &str, ticket: &Ticket, cx: &Context) -> Result<Option<Added>, Failure> {
        let comments = Self::comments(settings, &ticket.id, cx)?;
        let found = comments.into_iter().find(|comment| comment.external_id == key);
        Ok(found.map(|comment| Added { entry: Some(comment.id), ticket: ticket.clone() }))
    }

    fn add_entry(
        settings: &Settings,
        key: &str,
        ticket: &Ticket,
        entry: &Entry,
        cx: &Context,
    ) -> Result<Added, Failure> {
        let files = Self::upload(settings, std::slice::from_ref(entry), cx)?;
        let body = json!({ "external_id": key, "text": entry.text, "public": entry.public, "files": files });
        let request = cx.http().post(format!("{}/tickets/{}/comments", settings.base_url, ticket.id)).json(&body)?;
        let comment = request.send()?.ok()?.json::<Comment>()?;
        Ok(Added { entry: Some(comment.id), ticket: ticket.clone() })
    }

    fn update_ticket(
        settings: &Settings,
        _key: &str,
        ticket: &Ticket,
        fields: &[(String, String)],
        cx: &Context,
    ) -> Result<Ticket, Failure> {
        let request = cx.http().put(format!("{}/tickets/{}", settings.base_url, ticket.id)).json(&words(fields))?;
        Ok(request.send()?.ok()?.json::<Given>()?.into())
    }

    fn read_ticket(settings: &Settings, id: &str, cx: &Context) -> Result<Snapshot, Failure> {
        let request = cx.http().get(format!("{}/tickets/{id}", settings.base_url));
        let ticket = request.send()?.ok()?.json::<Given>()?.into();
        let comments = Self::comments(settings, id, cx)?;
        Ok(Snapshot { ticket, entries: comments.into_iter().map(|comment| (comment.id, comment.text)).collect() })
    }

    fn receive(_settings: &Settings, request: &Webhook, cx: &Context) -> Result<Vec<DeskActivity>, Failure> {
        let key = request.header("x-webhook-key").unwrap_or_default();
        if !cx.verify("webhook", "equal", &[], key.as_bytes())? {
            return Err(Failure::credential("the webhook's key is wrong"));
        }
        let told: Told = serde_json::from_slice(&request.body)
            .map_err(|_| Failure::permanent("the webhook's body is not what it should be"))?;
        let ToldComment { id, public, author, text } = told.comment;
        Ok(vec![DeskActivity {
            id: told.id,
            desk: String::new(),
            ticket: told.ticket,
            key: None,
            occurred_at: told.at,
            what: Activity::Entry(AgentEntry { id, public, author, text, attachments: Vec::new() }),
        }])
    }
}

fn words(fields: &[(String, String)]) -> Map<String, Value> {
    fields.iter().map(|(key, value)| (key.clone(), json!(value))).collect()
}

#[cfg(test)]
mod tests {
    use patchbay_plugin::Desk;
    use patchbay_plugin::testing::{FakeHost, FakeHttp, draft, settings};
    use serde_json::json;

    use super::ExamplePlugin;

    #[test]
    fn a_ticket_is_made_with_its_key() {
        let http = FakeHttp::new()
            .expect("POST", "/api/tickets")
            .json(json!({ "external_id": "ta_1", "subject": "Hello", "text": "Hello", "files": [] }))
            .answer(201, json!({ "id": "7", "url": null, "status": "new" }));
        let host = FakeHost::new().http(http);
        let settings = settings(&json!({ "base_url": "https://desk.example.com/api" })).unwrap();
        let mut draft = draft("Hello");
        draft.subject = "Hello".into();
        draft.fields.clear();
        let added = ExamplePlugin::create_ticket(&settings, "ta_1", &draft, &host.context()).unwrap();
        assert_eq!((added.ticket.id.as_str(), added.ticket.status.as_str()), ("7", "new"));
        host.finish();
    }
}
