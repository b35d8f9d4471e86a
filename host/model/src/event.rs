//! What happened.

use serde::{Deserialize, Serialize};

use crate::message::{Media, Message};
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
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<DeliveryError>,
    /// The task that sent it, where it was ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<TaskId>,
}

/// How far a message got. The order is the rank: it never goes down, and `Failed` is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// The platform has it.
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
