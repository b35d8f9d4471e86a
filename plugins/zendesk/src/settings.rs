//! What the operator sets, and what our words are in Zendesk.

use std::collections::BTreeMap;

use patchbay_plugin::{Context, Level, Priority};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// See the README.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where Zendesk is: `https://acme.zendesk.com`.
    base_url: String,
    /// The id of the Zendesk group for each queue.
    #[serde(default)]
    groups: BTreeMap<String, u64>,
    /// Set on every ticket.
    #[serde(default)]
    tags: Vec<String>,
    /// The id of the custom field for each of our fields.
    #[serde(default)]
    custom_fields: BTreeMap<String, u64>,
    /// The brand's id.
    brand: Option<u64>,
    /// The ticket form's id.
    form: Option<u64>,
    /// The id of the user that the credential belongs to: nothing it writes is an agent's doing.
    integration_user: Option<u64>,
    /// Whether an agent's public comment is looked up for its files, which webhooks leave out.
    #[serde(default = "yes")]
    pub(crate) fetch_attachments: bool,
}

const fn yes() -> bool {
    true
}

/// What begins the tag that shows a ticket's queue.
const QUEUE_TAG: &str = "queue:";

impl Settings {
    /// The URL of an API path, such as `tickets`.
    pub(crate) fn api(&self, path: &str) -> String {
        format!("{}/api/v2/{path}", self.base())
    }

    /// Where an agent opens a ticket.
    pub(crate) fn ticket_url(&self, id: &str) -> String {
        format!("{}/agent/tickets/{id}", self.base())
    }

    /// Whether a URL that Zendesk gave leads to this Zendesk.
    pub(crate) fn is_ours(&self, url: &str) -> bool {
        url.strip_prefix(self.base()).is_some_and(|rest| rest.starts_with('/'))
    }

    fn base(&self) -> &str {
        self.base_url.trim_end_matches('/')
    }

    /// Whether this is the user that we write as.
    pub(crate) fn is_integration_user(&self, id: &str) -> bool {
        self.integration_user.is_some_and(|user| user.to_string() == id)
    }

    /// The queue of a group, or the group's id.
    pub(crate) fn queue_of(&self, group: &str) -> String {
        let queue = self.groups.iter().find(|(_, id)| id.to_string() == group);
        queue.map_or_else(|| format!("group {group}"), |(queue, _)| queue.clone())
    }

    /// The tags of a new ticket.
    pub(crate) fn tags(&self, queue: Option<&str>) -> Vec<String> {
        self.tags.iter().cloned().chain(queue.map(queue_tag)).collect()
    }

    /// A ticket's tags after it moved to another queue.
    pub(crate) fn moved_tags<'a>(tags: impl Iterator<Item = &'a str>, queue: &str) -> Vec<String> {
        let kept = tags.filter(|tag| !tag.starts_with(QUEUE_TAG));
        kept.map(str::to_owned).chain([queue_tag(queue)]).collect()
    }

    /// Brand and form, on new tickets.
    pub(crate) fn put_brand_and_form(&self, ticket: &mut Map<String, Value>) {
        if let Some(brand) = self.brand {
            ticket.insert("brand_id".into(), brand.into());
        }
        if let Some(form) = self.form {
            ticket.insert("ticket_form_id".into(), form.into());
        }
    }

    /// Our fields in Zendesk's words. A field that Zendesk has no place for is left out and logged.
    pub(crate) fn put_fields(&self, ticket: &mut Map<String, Value>, fields: &[(String, String)], cx: &Context) {
        let mut custom = Vec::new();
        for (name, value) in fields {
            match name.as_str() {
                "queue" => {
                    if let Some(group) = self.groups.get(value) {
                        ticket.insert("group_id".into(), (*group).into());
                    }
                }
                "priority" if Priority::from_name(value).is_some() => {
                    ticket.insert(name.clone(), value.as_str().into());
                }
                "status" => {
                    ticket.insert(name.clone(), to_zendesk(value).into());
                }
                "subject" | "type" => {
                    ticket.insert(name.clone(), value.as_str().into());
                }
                _ => match self.custom_fields.get(name).copied().or_else(|| name.parse().ok()) {
                    Some(id) => custom.push(json!({ "id": id, "value": value })),
                    None => cx.log(Level::Warn, &format!("field `{name}` left out: it is not in custom_fields")),
                },
            }
        }
        if !custom.is_empty() {
            ticket.insert("custom_fields".into(), custom.into());
        }
    }
}

/// The tag of a queue. Zendesk's tags have no spaces and no capitals.
fn queue_tag(queue: &str) -> String {
    let word = |c: char| if c.is_alphanumeric() || c == '-' { c } else { '_' };
    format!("{QUEUE_TAG}{}", queue.to_lowercase().chars().map(word).collect::<String>())
}

/// Zendesk's status, in the contract's words.
pub(crate) fn from_zendesk(status: &str) -> String {
    match status.to_ascii_lowercase() {
        status if status == "hold" => "on-hold".into(),
        status => status,
    }
}

/// The contract's status, in Zendesk's words.
fn to_zendesk(status: &str) -> &str {
    if status == "on-hold" { "hold" } else { status }
}

#[cfg(test)]
mod tests {
    use patchbay_plugin::testing::{FakeHost, settings};

    use super::*;

    fn given() -> Settings {
        settings(&json!({
            "base_url": "https://acme.example/",
            "groups": { "billing": 11 },
            "tags": ["whatsapp"],
            "custom_fields": { "order": 22 },
        }))
        .unwrap()
    }

    #[test]
    fn fields_go_where_zendesk_has_them() {
        let host = FakeHost::new();
        let fields = [
            ("queue", "billing"),
            ("priority", "urgent"),
            ("status", "on-hold"),
            ("order", "A-7"),
            ("33", "x"),
            ("colour", "red"),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut ticket = Map::new();
        given().put_fields(&mut ticket, &fields, &host.context());
        assert_eq!(
            Value::Object(ticket),
            json!({
                "group_id": 11,
                "priority": "urgent",
                "status": "hold",
                "custom_fields": [{ "id": 22, "value": "A-7" }, { "id": 33, "value": "x" }],
            })
        );
        assert_eq!(host.logged(), [(Level::Warn, "field `colour` left out: it is not in custom_fields".to_owned())]);
    }

    #[test]
    fn queues_show_as_tags() {
        let settings = given();
        assert_eq!(settings.tags(Some("Gold Customers/EU")), ["whatsapp", "queue:gold_customers_eu"]);
        let tags = ["vip", "queue:old"].into_iter();
        assert_eq!(Settings::moved_tags(tags, "billing"), ["vip", "queue:billing"]);
    }

    #[test]
    fn only_our_own_urls_are_followed() {
        let settings = given();
        assert!(settings.is_ours("https://acme.example/api/v2/x?page=2"));
        assert!(!settings.is_ours("https://acme.example.evil.example/api"));
        assert!(!settings.is_ours("https://other.example/api"));
    }
}
