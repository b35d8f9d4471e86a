//! From our model to the contract's records.

use patchbay_model as model;
use patchbay_model::message::MediaKind;
use patchbay_model::{desk, event, message};

use super::bindings::exports::patchbay::plugin::desk as out;
use super::bindings::patchbay::plugin::types as wit;
use crate::call::HandlerInput;
use crate::contract::words::{self, maybe, pairs, text};

pub(super) fn event(input: &HandlerInput) -> wit::Event {
    wit::Event {
        id: input.event.id.to_string(),
        occurred_at: input.event.occurred_at.as_millis(),
        received_at: input.event.received_at.as_millis(),
        conversation: conversation(&input.conversation, &input.tickets),
        body: body(&input.event.body),
    }
}

pub(super) fn conversation(conversation: &model::Conversation, tickets: &[model::Ticket]) -> wit::Conversation {
    wit::Conversation {
        id: conversation.id.to_string(),
        channel: wit::Channel {
            id: conversation.channel.id.clone(),
            platform: conversation.channel.platform.clone(),
            account: conversation.channel.account.clone(),
            address: conversation.channel.address.clone(),
        },
        customer: customer(&conversation.customer),
        attributes: pairs(&conversation.attributes),
        assignment: conversation.assignment.as_ref().map(assignment),
        tickets: tickets.iter().map(ticket).collect(),
        window_until: conversation.window_until.map(model::Timestamp::as_millis),
        human: conversation.human,
    }
}

fn customer(customer: &model::Customer) -> wit::Customer {
    wit::Customer {
        id: customer.id.to_string(),
        phone: maybe(customer.phone.as_ref()),
        user_id: maybe(customer.user_id.as_ref()),
        username: maybe(customer.username.as_ref()),
        name: maybe(customer.name.as_ref()),
        locale: customer.locale.clone(),
    }
}

fn assignment(assignment: &model::Assignment) -> wit::Assignment {
    wit::Assignment {
        queue: assignment.queue.clone(),
        tier: assignment.tier,
        priority: match assignment.priority {
            model::Priority::Low => wit::Priority::Low,
            model::Priority::Normal => wit::Priority::Normal,
            model::Priority::High => wit::Priority::High,
            model::Priority::Urgent => wit::Priority::Urgent,
        },
        reason: assignment.reason.clone(),
    }
}

pub(super) fn ticket(ticket: &model::Ticket) -> wit::Ticket {
    wit::Ticket {
        desk: ticket.desk.clone(),
        id: ticket.id.clone(),
        url: ticket.url.clone(),
        status: ticket.status.clone(),
        data: pairs(&ticket.data),
    }
}

fn notice(notice: &model::Notice) -> wit::Notice {
    wit::Notice { kind: notice.kind.clone(), data: text(&notice.data) }
}

fn body(body: &model::Body) -> wit::Body {
    use model::Body;
    match body {
        Body::Message(inner) => wit::Body::Message(message(inner)),
        Body::MediaChecked(checked) => wit::Body::MediaChecked(wit::MediaChecked {
            message: text(&checked.message),
            media: media(&checked.media),
            verdicts: Vec::new(),
            stored: checked.problem.is_none(),
            problem: checked.problem.clone(),
        }),
        Body::Delivery(inner) => match delivery_state(inner.state) {
            Some(state) => wit::Body::Delivery(delivery(inner, state)),
            None => unnamed(body),
        },
        Body::DeskActivity(activity) => wit::Body::DeskActivity(desk_activity(activity)),
        Body::Timer(timer) => wit::Body::Timer(wit::TimerFired { name: timer.name.clone(), data: text(&timer.data) }),
        Body::EffectFailed(failed) => wit::Body::EffectFailed(wit::EffectFailed {
            effect: failed.effect.clone(),
            target: failed.target.clone(),
            reason: failed.reason.clone(),
            attempts: failed.attempts,
        }),
        Body::Call(call) => {
            wit::Body::Call(wit::Call { id: text(&call.id), state: call.state.clone(), data: text(&call.data) })
        }
        Body::AccountNotice(inner) => wit::Body::AccountNotice(notice(inner)),
        Body::Custom(inner) => wit::Body::Custom(notice(inner)),
        Body::Unknown(inner) => wit::Body::Unknown(notice(inner)),
        Body::Echo(_)
        | Body::History(_)
        | Body::Standby(_)
        | Body::Handover(_)
        | Body::IdentityChanged(_)
        | Body::Preference(_)
        | Body::Contact(_)
        | Body::Group(_)
        | Body::Payment(_)
        | Body::LetterOrder(_)
        | Body::Join(_)
        | Body::Joined(_)
        | Body::Unparsed(_) => unnamed(body),
    }
}

fn unnamed(body: &model::Body) -> wit::Body {
    let (kind, data) = words::unnamed(body);
    wit::Body::Unknown(wit::Notice { kind, data })
}

fn message(message: &model::Message) -> wit::Message {
    wit::Message {
        id: text(&message.id),
        content: content(&message.content),
        reply_to: maybe(message.reply_to.as_ref()),
        forwarded: message.forwarded,
        referral: message.referral.as_ref().map(notice),
    }
}

fn content(content: &model::Content) -> wit::Content {
    use model::Content;
    match content {
        Content::Text(words) => wit::Content::Text(text(words)),
        Content::Media(inner) => wit::Content::Media(media(inner)),
        Content::Location(place) => wit::Content::Location(wit::Location {
            latitude: *place.latitude.reveal(),
            longitude: *place.longitude.reveal(),
            name: maybe(place.name.as_ref()),
            address: maybe(place.address.as_ref()),
        }),
        Content::Contacts(cards) => wit::Content::Contacts(cards.iter().map(contact).collect()),
        Content::Choice(choice) => wit::Content::Choice(wit::Choice {
            id: choice.id.clone(),
            title: text(&choice.title),
            description: maybe(choice.description.as_ref()),
        }),
        Content::Form(form) => wit::Content::Form(text(form)),
        Content::Reaction(reaction) => {
            wit::Content::Reaction(wit::Reaction { message: text(&reaction.message), emoji: reaction.emoji.clone() })
        }
        Content::Order(inner) => wit::Content::Order(order(inner)),
        Content::Edited(edited) => {
            wit::Content::Edited(wit::Edited { message: text(&edited.message), text: maybe(edited.text.as_ref()) })
        }
        Content::Withdrawn(id) => wit::Content::Withdrawn(text(id)),
        Content::Other(inner) => wit::Content::Other(notice(inner)),
    }
}

fn contact(card: &message::ContactCard) -> wit::ContactCard {
    wit::ContactCard {
        name: text(&card.name),
        phones: card.phones.iter().map(text).collect(),
        emails: card.emails.iter().map(text).collect(),
        raw: text(&card.raw),
    }
}

fn order(order: &message::Order) -> wit::Order {
    let item = |item: &message::OrderItem| wit::OrderItem {
        product: item.product.clone(),
        quantity: item.quantity.clone(),
        price: item.price.clone(),
        currency: item.currency.clone(),
    };
    wit::Order {
        catalog: order.catalog.clone(),
        note: maybe(order.note.as_ref()),
        items: order.items.iter().map(item).collect(),
    }
}

pub(super) fn media(media: &model::Media) -> wit::Media {
    wit::Media {
        id: media.id.to_string(),
        kind: match media.kind {
            MediaKind::Image => wit::MediaKind::Image,
            MediaKind::Video => wit::MediaKind::Video,
            MediaKind::Audio => wit::MediaKind::Audio,
            MediaKind::Voice => wit::MediaKind::Voice,
            MediaKind::Document => wit::MediaKind::Document,
            MediaKind::Sticker => wit::MediaKind::Sticker,
        },
        mime: media.mime.clone(),
        size: media.size,
        file_name: maybe(media.file_name.as_ref()),
        caption: maybe(media.caption.as_ref()),
    }
}

fn delivery_state(state: event::DeliveryState) -> Option<wit::DeliveryState> {
    use event::DeliveryState;
    Some(match state {
        DeliveryState::Accepted => return None,
        DeliveryState::Sent => wit::DeliveryState::Sent,
        DeliveryState::Delivered => wit::DeliveryState::Delivered,
        DeliveryState::Read => wit::DeliveryState::Read,
        DeliveryState::Played => wit::DeliveryState::Played,
        DeliveryState::Failed => wit::DeliveryState::Failed,
    })
}

fn delivery(delivery: &event::Delivery, state: wit::DeliveryState) -> wit::Delivery {
    wit::Delivery {
        message: text(&delivery.message),
        state,
        error: delivery.error.as_ref().map(|error| wit::DeliveryError {
            code: error.code,
            title: error.title.clone(),
            detail: error.detail.clone(),
        }),
        reference: delivery.reference.as_ref().map(ToString::to_string),
    }
}

fn desk_activity(activity: &event::DeskActivity) -> wit::DeskActivity {
    use event::Activity;
    wit::DeskActivity {
        id: activity.id.clone(),
        desk: activity.desk.clone(),
        ticket: activity.ticket.clone(),
        key: activity.key.clone(),
        occurred_at: activity.occurred_at.as_millis(),
        what: match &activity.what {
            Activity::Entry(entry) => wit::Activity::Entry(wit::AgentEntry {
                id: entry.id.clone(),
                public: entry.public,
                author: text(&entry.author),
                text: text(&entry.text),
                attachments: entry.attachments.iter().map(remote_file).collect(),
            }),
            Activity::Status(status) => wit::Activity::Status(status.clone()),
            Activity::Assigned(name) => wit::Activity::Assigned(text(name)),
            Activity::MergedInto(ticket) => wit::Activity::MergedInto(ticket.clone()),
            Activity::Other(inner) => wit::Activity::Other(notice(inner)),
        },
    }
}

fn remote_file(file: &event::RemoteFile) -> wit::RemoteFile {
    wit::RemoteFile { name: text(&file.name), mime: file.mime.clone(), url: text(&file.url), size: file.size }
}

pub(super) fn draft(draft: &desk::Draft) -> out::Draft {
    out::Draft {
        subject: text(&draft.subject),
        conversation: conversation(&draft.conversation, &draft.tickets),
        fields: pairs(&draft.fields),
        entries: draft.entries.iter().map(entry).collect(),
    }
}

pub(super) fn entry(entry: &desk::Entry) -> out::Entry {
    out::Entry {
        author: match &entry.author {
            desk::Author::Customer(inner) => out::Author::Customer(customer(inner)),
            desk::Author::Agent(name) => out::Author::Agent(text(name)),
            desk::Author::Bot(name) => out::Author::Bot(name.clone()),
            desk::Author::Gateway => out::Author::Gateway,
        },
        text: text(&entry.text),
        media: entry.media.iter().map(media).collect(),
        public: entry.public,
        at: entry.at.as_millis(),
    }
}

pub(super) fn webhook(webhook: &desk::Webhook) -> out::Webhook {
    out::Webhook {
        method: webhook.method.clone(),
        path: webhook.path.clone(),
        query: webhook.query.clone(),
        headers: webhook.headers.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        body: webhook.body.reveal().clone(),
    }
}
