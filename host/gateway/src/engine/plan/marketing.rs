//! Customers who do not want marketing: which messages they are not sent.

use std::collections::BTreeSet;

use patchbay_model::action::OutgoingContent;
use patchbay_model::{Conversation, Outgoing, Private};
use serde::Deserialize;

/// WhatsApp's error for a marketing message to somebody who does not want any.
pub(super) const STOPPED: i64 = 131_050;

/// WhatsApp's type of a message that is made of a template.
const TEMPLATE: &str = "template";

/// Why `message` must not be sent in this conversation; `None`: it may be. `utility` are the names of the templates that
/// are not marketing. A template of any other name may be, whatever it says.
#[must_use]
pub fn refusal(conversation: &Conversation, message: &Outgoing, utility: &BTreeSet<String>) -> Option<String> {
    if !conversation.no_marketing {
        return None;
    }
    let name = template(&message.content)?;
    (!utility.contains(&name)).then(|| {
        format!(
            "the customer has stopped marketing messages, and the template `{name}` may be one: if it is not, name it in \
             `utility_templates` under [whatsapp]"
        )
    })
}

/// Whether a message is made of a template: others are never refused.
#[must_use]
pub fn is_template(message: &Outgoing) -> bool {
    match &message.content {
        OutgoingContent::Template { .. } => true,
        OutgoingContent::Raw { kind, .. } => kind == TEMPLATE,
        _ => false,
    }
}

/// The template that a message is made of, by name; empty where a raw one does not name it.
fn template(content: &OutgoingContent) -> Option<String> {
    #[derive(Default, Deserialize)]
    struct Named {
        #[serde(default)]
        name: String,
    }
    match content {
        OutgoingContent::Template { name, .. } => Some(name.clone()),
        OutgoingContent::Raw { kind, body } if kind == TEMPLATE => {
            Some(serde_json::from_str::<Named>(Private::as_deref(body)).unwrap_or_default().name)
        }
        _ => None,
    }
}

/// Whether a send was refused because the customer has stopped marketing messages.
pub(super) fn is_stopped(reason: &str) -> bool {
    reason.contains(&format!("WhatsApp error {STOPPED}"))
}

#[cfg(test)]
mod tests {
    use patchbay_model::conversation::Channel;
    use patchbay_model::{Attributes, ConversationId, Customer, CustomerId};

    use super::*;

    fn conversation(no_marketing: bool) -> Conversation {
        let channel =
            Channel { id: "support".into(), platform: "whatsapp".into(), account: "1".into(), address: "2".into() };
        let customer = Customer {
            id: CustomerId::derive(&[b"c"]),
            phone: None,
            user_id: None,
            group: None,
            username: None,
            name: None,
            locale: None,
        };
        let conversation = Conversation::new(ConversationId::derive(&[b"c"]), channel, customer);
        Conversation { no_marketing, ..conversation }
    }

    fn of(content: OutgoingContent) -> Outgoing {
        Outgoing { content, reply_to: None }
    }

    #[test]
    fn only_templates_that_may_be_marketing_are_refused_and_only_to_those_who_stopped_them() {
        let named = |name: &str| {
            of(OutgoingContent::Template { name: name.into(), language: "en".into(), parameters: Attributes::new() })
        };
        let raw = |body: &str| of(OutgoingContent::Raw { kind: "template".into(), body: body.into() });
        let utility = BTreeSet::from(["receipt".to_owned()]);
        let refused = |message: &Outgoing| refusal(&conversation(true), message, &utility);
        assert!(refused(&named("sale")).is_some_and(|reason| reason.contains("`sale`")));
        assert!(refused(&raw(r#"{"name":"sale","language":{"code":"en"}}"#)).is_some());
        assert!(refused(&raw("[]")).is_some(), "what does not say its name is not known to be harmless");
        assert_eq!(refused(&named("receipt")), None);
        assert_eq!(refused(&raw(r#"{"name":"receipt"}"#)), None);
        assert_eq!(refused(&Outgoing::text("hello")), None);
        assert_eq!(refusal(&conversation(false), &named("sale"), &utility), None);
    }
}
