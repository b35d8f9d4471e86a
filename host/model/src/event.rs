//! What happened.

use serde::{Deserialize, Serialize};

use crate::conversation::{Conversation, Ticket};
use crate::message::{Media, Message};
use crate::task::Effect;
use crate::{ConversationId, EventId, Private, TaskId, Timestamp};

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

/// What became of a message that we sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The platform's id of the message.
    pub message: Private<String>,
    /// How far it got.
    pub state: DeliveryState,
    /// Why it failed: the first of the platform's reasons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<DeliveryError>,
    /// The task that sent it, where it was ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<TaskId>,
    /// What the platform charges for it, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pricing: Option<Pricing>,
    /// In a group: the participant that this is about, as the platform calls them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub participant: Option<Private<String>>,
}

/// What the platform charges for a message, in its own words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pricing {
    /// Whether it is charged for, where the platform says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billable: Option<bool>,
    /// `PMP`: per message …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// `regular`, `free_customer_service`, `free_entry_point` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `marketing`, `utility`, `service`, `authentication` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// What opened the free window, where there is one: `referral_conversion` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

/// How far a message got. The order is the rank: it never goes down, and `Failed` is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// The platform took it, and said under which id.
    Accepted,
    /// The platform has passed it on.
    Sent,
    /// It is on the customer's device.
    Delivered,
    /// It was shown.
    Read,
    /// A voice message was played.
    Played,
    /// It will never arrive.
    Failed,
}

impl DeliveryState {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Played => "played",
            Self::Failed => "failed",
        }
    }
}

/// The platform's own code and words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryError {
    /// The platform's error code.
    pub code: i64,
    /// Its title.
    pub title: String,
    /// Its details; empty where there are none.
    pub detail: String,
}

/// Something happened to a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeskActivity {
    /// The vendor's id of this happening: the same whenever it is delivered again.
    pub id: String,
    /// The desk's name in the configuration.
    pub desk: String,
    /// The vendor's id of the ticket.
    pub ticket: String,
    /// The key that the ticket was created with, where the vendor tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// By the vendor's clock.
    pub occurred_at: Timestamp,
    /// What it was.
    pub what: Activity,
}

/// What happened to a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value", rename_all = "kebab-case")]
pub enum Activity {
    /// Somebody wrote to the customer (public) or to colleagues.
    Entry(AgentEntry),
    /// The ticket's new status.
    Status(String),
    /// The name of the agent or group that has it now.
    Assigned(Private<String>),
    /// The id of the ticket that it was merged into.
    MergedInto(String),
    /// The vendor's own kind.
    Other(Notice),
}

impl Activity {
    /// The last word of the event's kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Entry(entry) if entry.public => "entry",
            Self::Entry(_) => "note",
            Self::Status(_) => "status",
            Self::Assigned(_) => "assigned",
            Self::MergedInto(_) => "merged",
            Self::Other(notice) => &notice.kind,
        }
    }
}

/// What an agent wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentEntry {
    /// The vendor's id of the entry.
    pub id: String,
    /// Meant for the customer's eyes.
    pub public: bool,
    /// The agent's name.
    pub author: Private<String>,
    /// What they wrote.
    pub text: Private<String>,
    /// Files at the vendor.
    #[serde(default)]
    pub attachments: Vec<RemoteFile>,
}

/// A file at the vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteFile {
    /// Its name.
    pub name: Private<String>,
    /// Its media type.
    pub mime: String,
    /// Where it is; needs the desk's credentials.
    pub url: Private<String>,
    /// Bytes, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
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

/// A message that was not written to us now: it informs, and asks for nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overheard {
    /// What was written.
    pub message: Message,
    /// Who wrote it.
    pub by: Speaker,
    /// How far it had got, in the platform's word, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// Which side of a conversation wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Speaker {
    /// The customer.
    Customer,
    /// The business, by another hand than ours.
    Business,
}

/// The conversation was passed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// The role that had it, in the platform's word; empty where it does not say.
    pub from: String,
    /// The role that has it now.
    pub to: String,
    /// All of it, as JSON.
    pub data: Private<String>,
}

/// Who the customer is has changed. The route names the identities that count from now on first, and those of before as
/// former ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityChanged {
    /// What changed.
    pub what: IdentityChange,
    /// The platform's sentence about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Private<String>>,
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdentityChange {
    /// The phone number; the platform gives a new user id with it.
    Number,
    /// The user id alone.
    UserId,
    /// The device or the person behind the number: the platform's security code changed.
    Identity,
}

impl IdentityChange {
    /// The last word of the event's kind.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number-changed",
            Self::UserId => "user-id-changed",
            Self::Identity => "identity-changed",
        }
    }
}

/// What the customer wants to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preference {
    /// `marketing_messages`.
    pub category: String,
    /// `stop` or `resume`, in the platform's word.
    pub value: String,
    /// The platform's sentence about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Private<String>>,
}

/// What an operator wants done with a dead letter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LetterOrder {
    /// The dead letter's task.
    pub task: TaskId,
    /// What to do.
    pub verb: LetterVerb,
    /// Who ordered it: the name in the token.
    pub by: String,
}

/// What to do with a dead letter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum LetterVerb {
    /// Back into its lane, as new.
    Retry,
    /// Its effect is replaced by this one; it stays a dead letter.
    Edit {
        /// The new effect.
        effect: Box<Effect>,
    },
    /// It is nobody's business any more.
    Drop,
}

impl LetterVerb {
    /// The word for it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Edit { .. } => "edit",
            Self::Drop => "drop",
        }
    }
}

/// This conversation goes on in another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// Which.
    pub into: ConversationId,
}

/// Another conversation goes on here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Joined {
    /// As it stood when it was joined.
    pub conversation: Conversation,
    /// Its tickets, with the ids of the entries that we wrote.
    pub tickets: Vec<(Ticket, Vec<String>)>,
    /// What it knows of the customer is what was seen last: it replaces what is known here. Otherwise it only adds to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub newest: bool,
}
