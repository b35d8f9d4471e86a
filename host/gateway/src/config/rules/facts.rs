//! What rules are held against.

use patchbay_model::event::Activity;
use patchbay_model::message::MediaKind;
use patchbay_model::{Attributes, Body, Content, Conversation, Event, Message, Timestamp};

/// What is known of an event when its chain is chosen.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The event's kind.
    pub kind: &'a str,
    /// The channel's name.
    pub channel: &'a str,
    /// What was said in words, if anything was.
    pub text: Option<&'a str>,
    /// The file that came with it.
    pub media: Option<MediaKind>,
    /// The conversation's attributes.
    pub attributes: &'a Attributes,
    /// The customer's phone number, digits.
    pub phone: Option<&'a str>,
    /// When the event was accepted.
    pub at: Timestamp,
}

impl<'a> Facts<'a> {
    /// What is known of this event, whose kind is `kind`.
    #[must_use]
    pub fn of(event: &'a Event, kind: &'a str, conversation: &'a Conversation) -> Self {
        let message = message_of(&event.body);
        Self {
            kind,
            channel: &conversation.channel.id,
            text: text_of(&event.body),
            media: message.and_then(|message| message.content.media()).map(|media| media.kind),
            attributes: &conversation.attributes,
            phone: conversation.customer.phone.as_ref().map(|phone| phone.reveal().as_str()),
            at: event.received_at,
        }
    }
}

const fn message_of(body: &Body) -> Option<&Message> {
    match body {
        Body::Message(message) => Some(message),
        Body::Echo(heard) | Body::Standby(heard) | Body::History(heard) => Some(&heard.message),
        _ => None,
    }
}

/// What a person has written: words, the words under a file, a choice, a note with an order.
fn text_of(body: &Body) -> Option<&str> {
    if let Body::DeskActivity(activity) = body
        && let Activity::Entry(entry) = &activity.what
    {
        return Some(entry.text.reveal());
    }
    let text = match &message_of(body)?.content {
        Content::Text(text) => Some(text),
        Content::Media(media) => media.caption.as_ref(),
        Content::Choice(choice) => Some(&choice.title),
        Content::Order(order) => order.note.as_ref(),
        Content::Edited(edited) => edited.text.as_ref(),
        _ => None,
    };
    text.map(|text| text.reveal().as_str())
}
