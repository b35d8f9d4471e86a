//! What happened.
//!
//! # Layout
//! - here: the event, its kinds, and the bodies that are small
//! - `delivery`, `desk`, `overheard`, `customer`: bodies by what they are about
//! - `inner`: what the gateway and its operators tell a conversation

mod customer;
mod delivery;
mod desk;
mod inner;
mod overheard;

use serde::{Deserialize, Serialize};

use crate::message::{Media, Message};
use crate::{ConversationId, EventId, Private, TaskId, Timestamp};

pub use self::customer::{IdentityChange, IdentityChanged, Preference};
pub use self::delivery::{Delivery, DeliveryError, DeliveryState, Pricing};
pub use self::desk::{Activity, AgentEntry, DeskActivity, RemoteFile};
pub use self::inner::{Join, Joined, LetterOrder, LetterVerb};
pub use self::overheard::{Handover, Overheard, Speaker};

/// One thing that happened in one conversation, as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The same however often it is delivered.
    pub id: EventId,
    /// The conversation that it happened in.
    pub conversation: ConversationId,
    /// By the clock of the system that it happened in.
    pub occurred_at: Timestamp,
    /// When we accepted it.
    pub received_at: Timestamp,
    /// What happened.
    pub body: Body,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value", rename_all = "kebab-case")]
pub enum Body {
    /// The customer wrote.
    Message(Message),
    /// A message's media has been stored and inspected, or could not be.
    MediaChecked(MediaChecked),
    /// What became of a message that we sent.
    Delivery(Delivery),
    /// An agent or a rule acted in a ticket system.
    DeskActivity(DeskActivity),
    /// A timer that a plugin set.
    Timer(TimerFired),
    /// An effect that the gateway gave up on.
    EffectFailed(EffectFailed),
    /// A call rang, was answered, ended.
    Call(Call),
    /// The business wrote to the customer from its own app on the same number.
    Echo(Overheard),
    /// What was said before the number was connected.
    History(Overheard),
    /// What was said while the platform's own agent has the conversation.
    Standby(Overheard),
    /// The conversation was passed to or from the platform's own agent.
    Handover(Handover),
    /// The customer's number or user id changed, or the person behind them.
    IdentityChanged(IdentityChanged),
    /// The customer said what they want to be sent, and what not.
    Preference(Preference),
    /// A contact was added to the business's address book, changed or removed.
    Contact(Notice),
    /// A group was made, changed, joined or left.
    Group(Notice),
    /// What became of a payment.
    Payment(Notice),
    /// An operator decided about a dead letter.
    LetterOrder(LetterOrder),
    /// This conversation's customer has another one: it goes on there.
    Join(Join),
    /// Another conversation of the same customer goes on here.
    Joined(Box<Joined>),
    /// Template status, quality rating, account warnings …
    AccountNotice(Notice),
    /// Emitted by a plugin.
    Custom(Notice),
    /// A kind that we have no name for.
    Unknown(Notice),
    /// A body with a good signature that is not the JSON we know; kept whole.
    Unparsed(Unparsed),
}

impl Body {
    /// The event's kind in dotted words: `message.text`, `delivery.failed`, `desk.entry`, `unknown` …
    #[must_use]
    pub fn kind(&self) -> String {
        match self {
            Self::Message(message) => format!("message.{}", message.content.kind()),
            Self::MediaChecked(checked) if checked.problem.is_none() => "media.stored".into(),
            Self::MediaChecked(_) => "media.failed".into(),
            Self::Delivery(delivery) => format!("delivery.{}", delivery.state.as_str()),
            Self::DeskActivity(activity) => format!("desk.{}", activity.what.kind()),
            Self::Timer(_) => "timer".into(),
            Self::EffectFailed(_) => "effect.failed".into(),
            Self::Call(call) => format!("call.{}", call.state),
            Self::Echo(overheard) => format!("echo.{}", overheard.message.content.kind()),
            Self::History(overheard) => format!("history.{}", overheard.message.content.kind()),
            Self::Standby(overheard) => format!("standby.{}", overheard.message.content.kind()),
            Self::Handover(_) => "handover".into(),
            Self::IdentityChanged(changed) => format!("customer.{}", changed.what.as_str()),
            Self::Preference(_) => "customer.preference".into(),
            Self::Contact(notice) => format!("contact.{}", notice.kind),
            Self::Group(notice) => format!("group.{}", notice.kind),
            Self::Payment(notice) => format!("payment.{}", notice.kind),
            Self::LetterOrder(order) => format!("dead-letter.{}", order.verb.as_str()),
            Self::Join(_) => "conversation.join".into(),
            Self::Joined(_) => "conversation.joined".into(),
            Self::AccountNotice(notice) => format!("account.{}", notice.kind),
            Self::Custom(notice) => format!("custom.{}", notice.kind),
            Self::Unknown(_) => "unknown".into(),
            Self::Unparsed(_) => "unparsed".into(),
        }
    }
}

/// A name and the whole of it as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The platform's word for it.
    pub kind: String,
    /// All of it, as it came.
    pub data: Private<String>,
}

/// The outcome of fetching one piece of media.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaChecked {
    /// The message that carried it.
    pub message: Private<String>,
    /// The file.
    pub media: Media,
    /// Why it is not there: the platform no longer had it, or refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A timer went off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerFired {
    /// The name that it was set under.
    pub name: String,
    /// What was given with it: JSON.
    pub data: Private<String>,
}

/// An effect that the gateway gave up on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectFailed {
    /// The task, now a dead letter.
    pub task: TaskId,
    /// `send`, `create-ticket`, `add-entry` …
    pub effect: String,
    /// The desk or channel that it was meant for.
    pub target: String,
    /// Why, for people.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
}

/// A call rang, was answered, ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The platform's id.
    pub id: Private<String>,
    /// The platform's word for where it stands.
    pub state: String,
    /// All of it.
    pub data: Private<String>,
}

/// A body that is not the JSON we know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unparsed {
    /// What the parser said, without the body's text.
    pub reason: String,
    /// The bytes as they came, base64: they need not be text.
    pub base64: Private<String>,
}
