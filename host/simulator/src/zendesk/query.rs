//! Query strings and the small search language.

use serde_json::{Value, json};

use crate::zendesk::world::{Ticket, User, World};

/// A decoded query string.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(query: &str) -> Self {
        Self(url::form_urlencoded::parse(query.as_bytes()).map(|(key, value)| (key.into(), value.into())).collect())
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// `GET /search`: words and `key:value` pairs, all of which must hold. Only what `visible` lets through is found.
pub(crate) fn search(world: &World, query: &str, base: &str, visible: impl Fn(&Ticket) -> bool) -> Vec<Value> {
    let terms = terms(query);
    let kind = terms.iter().find(|(key, _)| key == "type").map(|(_, value)| value.as_str());
    let mut found = Vec::new();
    let typed = |result: Value, kind: &str| {
        let mut result = result;
        if let Some(result) = result.as_object_mut() {
            result.insert("result_type".into(), json!(kind));
        }
        result
    };
    if kind.is_none_or(|kind| kind == "ticket") {
        let tickets = world.tickets.values().filter(|ticket| visible(ticket) && ticket_fits(ticket, &terms));
        found.extend(tickets.map(|ticket| typed(ticket.json(base), "ticket")));
    }
    if kind.is_none_or(|kind| kind == "user") {
        let users = world.users.values().filter(|user| user_fits(user, &terms));
        found.extend(users.map(|user| typed(user.json(base), "user")));
    }
    found
}

/// Splits at spaces outside of quotes.
fn terms(query: &str) -> Vec<(String, String)> {
    let mut terms = Vec::new();
    let (mut term, mut quoted) = (String::new(), false);
    for character in query.chars().chain([' ']) {
        match character {
            '"' => quoted = !quoted,
            ' ' if !quoted => {
                let text = std::mem::take(&mut term);
                match text.split_once(':') {
                    Some((key, value)) => terms.push((key.to_owned(), value.to_owned())),
                    None if text.is_empty() => {}
                    None => terms.push((String::new(), text)),
                }
            }
            character => term.push(character),
        }
    }
    terms
}

fn ticket_fits(ticket: &Ticket, terms: &[(String, String)]) -> bool {
    terms.iter().all(|(key, value)| match key.as_str() {
        "type" => true,
        "external_id" => ticket.external_id.as_deref() == Some(value),
        "status" => ticket.status == *value,
        "status<" => value != "closed" || ticket.status != "closed",
        "priority" => ticket.priority.as_deref() == Some(value),
        "tags" => ticket.tags.contains(value),
        "requester" | "requester_id" => ticket.requester.to_string() == *value,
        "" => {
            let word = value.to_lowercase();
            ticket.id.to_string() == word
                || ticket.subject.to_lowercase().contains(&word)
                || ticket.comments.iter().any(|comment| comment.body.to_lowercase().contains(&word))
        }
        _ => false,
    })
}

fn user_fits(user: &User, terms: &[(String, String)]) -> bool {
    terms.iter().all(|(key, value)| match key.as_str() {
        "type" => true,
        "external_id" => user.external_id.as_deref() == Some(value),
        "email" => user.email.as_deref() == Some(value),
        "phone" => user.phone.as_deref() == Some(value),
        "role" => user.role == value,
        "" => user.name.to_lowercase().contains(&value.to_lowercase()),
        _ => false,
    })
}
