//! A handler and a desk for version 0.1 of the contract. They show what they were given, and keep nothing.

wit_bindgen::generate!({
    path: "..",
    inline: "
        package patchbay:frozen;
        world guest {
            import patchbay:plugin/context@0.1.0;
            export patchbay:plugin/handler@0.1.0;
            export patchbay:plugin/desk@0.1.0;
        }
    ",
    world: "patchbay:frozen/guest",
    generate_all,
});

use exports::patchbay::plugin::desk::{self, Added, Author, Draft, Entry, Snapshot, Webhook};
use exports::patchbay::plugin::handler::{self, Action, Event, Flow, Outcome};
use patchbay::plugin::context;
use patchbay::plugin::types::{Activity, Attributes, Body, Content, DeskActivity, Failure, Ticket};

struct Guest;

impl handler::Guest for Guest {
    /// Counts the words of a text, and says of everything what it is.
    fn handle(event: Event) -> Result<Outcome, Failure> {
        let mut actions = Vec::new();
        let seen = match &event.body {
            Body::Message(message) => match &message.content {
                Content::Text(text) => {
                    let words = text.split(' ').count().to_string();
                    actions.push(Action::SetAttribute(("old.words".to_owned(), Some(words))));
                    ["text ", text].concat()
                }
                _ => "a message".to_owned(),
            },
            Body::Unknown(notice) => ["unknown ", &notice.kind, " ", &notice.data].concat(),
            _ => "something else".to_owned(),
        };
        actions.push(Action::Emit(("seen".to_owned(), seen)));
        Ok(Outcome { actions, flow: Flow::Next })
    }
}

/// An empty key is one that nothing was made with.
fn made(key: &str) -> Option<Ticket> {
    (!key.is_empty()).then(|| ticket(&["t-", key].concat(), Vec::new()))
}

fn ticket(id: &str, data: Attributes) -> Ticket {
    Ticket { desk: String::new(), id: id.to_owned(), url: None, status: "new".to_owned(), data }
}

impl desk::Guest for Guest {
    fn find_ticket(key: String) -> Result<Option<Added>, Failure> {
        Ok(made(&key).map(|ticket| Added { entry: None, ticket }))
    }

    fn create_ticket(key: String, draft: Draft) -> Result<Added, Failure> {
        let Some(ticket) = made(&key) else { return Err(Failure::Permanent("there is no key".to_owned())) };
        let mut data = draft.fields;
        data.push(("subject".to_owned(), draft.subject));
        data.push(("customer".to_owned(), draft.conversation.customer.id));
        Ok(Added { entry: Some(draft.entries.len().to_string()), ticket: Ticket { data, ..ticket } })
    }

    fn find_entry(key: String, ticket: Ticket) -> Result<Option<Added>, Failure> {
        Ok((!key.is_empty()).then(|| Added { entry: Some(key), ticket }))
    }

    fn add_entry(key: String, ticket: Ticket, entry: Entry) -> Result<Added, Failure> {
        let author = match entry.author {
            Author::Customer(customer) => customer.name.unwrap_or_default(),
            Author::Agent(name) | Author::Bot(name) => name,
            Author::Gateway => "the gateway".to_owned(),
        };
        let mut data = ticket.data;
        data.push(("last".to_owned(), [&author, ": ", &entry.text].concat()));
        Ok(Added { entry: Some(key), ticket: Ticket { data, ..ticket } })
    }

    fn update_ticket(_key: String, ticket: Ticket, fields: Attributes) -> Result<Ticket, Failure> {
        let status = fields.into_iter().find(|(name, _)| name == "status").map(|(_, status)| status);
        Ok(Ticket { status: status.unwrap_or_else(|| ticket.status.clone()), ..ticket })
    }

    fn read_ticket(id: String) -> Result<Snapshot, Failure> {
        Ok(Snapshot { ticket: ticket(&id, Vec::new()), entries: vec![("1".to_owned(), "hello".to_owned())] })
    }

    /// The body is a ticket's id and its new status.
    fn receive(request: Webhook) -> Result<Vec<DeskActivity>, Failure> {
        let key = request.headers.iter().find(|(name, _)| name == "x-key").map(|(_, key)| key.as_bytes());
        if !context::verify("webhook", "equal", &[], key.unwrap_or_default()).map_err(Failure::Permanent)? {
            return Err(Failure::Credential("the key is wrong".to_owned()));
        }
        let body = String::from_utf8_lossy(&request.body);
        let (ticket, status) = body.split_once(' ').unwrap_or((&body, ""));
        context::log(context::Level::Info, "a ticket has a new status");
        Ok(vec![DeskActivity {
            id: ["status ", &body].concat(),
            desk: String::new(),
            ticket: ticket.to_owned(),
            key: None,
            occurred_at: 0,
            what: Activity::Status(status.to_owned()),
        }])
    }
}

export!(Guest);
