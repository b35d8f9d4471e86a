//! From the contract's records to our model.
//!
//! What a plugin answers is taken as it is where the model can hold it. What it cannot hold is an error that names the
//! value's place, never the value.

use std::time::Duration;

use patchbay_model as model;
use patchbay_model::action::{Row, Section};
use patchbay_model::verdict::{Decision, Finding, Verdict};
use patchbay_model::{Action, Failure, MediaId, OutgoingContent, Timestamp, desk, event};

use super::bindings::exports::patchbay::plugin::{desk as out, handler};
use super::bindings::patchbay::plugin::types as wit;
use crate::contract::words::{attributes, confidence, number, private, reason};
use crate::report::Cause;
use crate::stop::Stop;

pub(super) fn failure(failure: wit::Failure) -> Failure {
    match failure {
        wit::Failure::Retry(retry) => Failure::Retry {
            after: retry.after_ms.map(Duration::from_millis),
            reason: reason(retry.reason),
            uncertain: false,
        },
        wit::Failure::Permanent(text) => Failure::Permanent { reason: reason(text) },
        wit::Failure::Credential(text) => Failure::Credential { reason: reason(text) },
    }
}

pub(super) fn outcome(outcome: handler::Outcome) -> Result<model::Outcome, Stop> {
    Ok(model::Outcome {
        actions: outcome.actions.into_iter().map(action).collect::<Result<_, _>>()?,
        flow: match outcome.flow {
            handler::Flow::Next => model::Flow::Next,
            handler::Flow::Stop => model::Flow::Stop,
        },
    })
}

fn action(action: handler::Action) -> Result<Action, Stop> {
    use handler::Action as A;
    Ok(match action {
        A::Send(message) => Action::Send(outgoing(message)?),
        A::Assign(assignment) => Action::Assign(model::Assignment {
            queue: assignment.queue,
            tier: assignment.tier,
            priority: match assignment.priority {
                wit::Priority::Low => model::Priority::Low,
                wit::Priority::Normal => model::Priority::Normal,
                wit::Priority::High => model::Priority::High,
                wit::Priority::Urgent => model::Priority::Urgent,
            },
            reason: assignment.reason,
        }),
        A::SetAttribute((key, value)) => Action::SetAttribute(key, value),
        A::Note(text) => Action::Note(private(text)),
        A::OpenTicket(open) => {
            Action::OpenTicket { desk: open.desk, subject: open.subject.map(private), fields: attributes(open.fields) }
        }
        A::UpdateTicket(update) => Action::UpdateTicket { desk: update.desk, fields: attributes(update.fields) },
        A::SetTimer(timer) => {
            Action::SetTimer { name: timer.name, at: Timestamp::from_millis(timer.at), data: private(timer.data) }
        }
        A::CancelTimer(name) => Action::CancelTimer(name),
        A::Sla(command) => {
            let verb = match command.what {
                handler::SlaVerb::Start => "start",
                handler::SlaVerb::Pause => "pause",
                handler::SlaVerb::Resume => "resume",
                handler::SlaVerb::Stop => "stop",
            };
            Action::Sla(command.clock, verb.to_owned())
        }
        A::Quarantine(media) => Action::Quarantine(media),
        A::Release(media) => Action::Release(media),
        A::Escalate(text) => Action::Escalate(text),
        A::Handoff(text) => Action::Handoff(text),
        A::Emit((name, data)) => Action::Emit(name, private(data)),
    })
}

fn outgoing(message: handler::Outgoing) -> Result<model::Outgoing, Stop> {
    use handler::OutgoingContent as C;
    let content = match message.content {
        C::Text(text) => OutgoingContent::Text(private(text)),
        C::Template(template) => OutgoingContent::Template {
            name: template.name,
            language: template.language,
            parameters: attributes(template.parameters),
        },
        C::Buttons(buttons) => OutgoingContent::Buttons { text: private(buttons.text), options: buttons.options },
        C::Choices(choices) => OutgoingContent::Choices {
            text: private(choices.text),
            button: choices.button,
            sections: choices.sections.into_iter().map(section).collect(),
        },
        C::Media(media) => OutgoingContent::Media {
            media: MediaId::parse(&media.media).ok_or_else(|| {
                Stop::new(Cause::Answer, "it wants to send media under an id that is not one of the gateway's")
            })?,
            caption: media.caption.map(private),
        },
        C::Reaction((message, emoji)) => OutgoingContent::Reaction { message: private(message), emoji },
        C::Raw((kind, body)) => OutgoingContent::Raw { kind, body: private(body) },
    };
    Ok(model::Outgoing { content, reply_to: message.reply_to.map(private) })
}

fn section(section: handler::Section) -> Section {
    let row = |row: handler::Row| Row { id: row.id, title: row.title, description: row.description };
    Section { title: section.title, rows: section.rows.into_iter().map(row).collect() }
}

/// `name` is the desk's in the configuration: a plugin does not know it and may leave it empty.
pub(super) fn ticket(ticket: wit::Ticket, name: Option<&str>) -> model::Ticket {
    model::Ticket {
        desk: name.map_or(ticket.desk, ToOwned::to_owned),
        id: ticket.id,
        url: ticket.url,
        status: ticket.status,
        data: attributes(ticket.data),
    }
}

pub(super) fn added(added: out::Added, name: Option<&str>) -> desk::Added {
    desk::Added { entry: added.entry, ticket: ticket(added.ticket, name) }
}

pub(super) fn snapshot(snapshot: out::Snapshot, name: Option<&str>) -> desk::Snapshot {
    desk::Snapshot {
        ticket: ticket(snapshot.ticket, name),
        entries: snapshot.entries.into_iter().map(|(id, text)| (id, private(text))).collect(),
    }
}

pub(super) fn activity(activity: wit::DeskActivity, name: Option<&str>) -> event::DeskActivity {
    event::DeskActivity {
        id: activity.id,
        desk: name.map_or(activity.desk, ToOwned::to_owned),
        ticket: activity.ticket,
        key: activity.key,
        occurred_at: Timestamp::from_millis(activity.occurred_at),
        what: match activity.what {
            wit::Activity::Entry(entry) => event::Activity::Entry(event::AgentEntry {
                id: entry.id,
                public: entry.public,
                author: private(entry.author),
                text: private(entry.text),
                attachments: entry.attachments.into_iter().map(remote_file).collect(),
            }),
            wit::Activity::Status(status) => event::Activity::Status(status),
            wit::Activity::Assigned(name) => event::Activity::Assigned(private(name)),
            wit::Activity::MergedInto(ticket) => event::Activity::MergedInto(ticket),
            wit::Activity::Other(notice) => {
                event::Activity::Other(model::Notice { kind: notice.kind, data: private(notice.data) })
            }
        },
    }
}

pub(super) fn verdict(found: wit::Verdict) -> Result<Verdict, Stop> {
    Ok(Verdict {
        decision: match found.decision {
            wit::Decision::Pass => Decision::Pass,
            wit::Decision::Warn => Decision::Warn,
            wit::Decision::Quarantine => Decision::Quarantine,
        },
        labels: found
            .labels
            .into_iter()
            .map(|(word, score)| Ok((word, confidence(score, "a label")?)))
            .collect::<Result<_, Stop>>()?,
        text: found.text.map(private),
        measures: found
            .measures
            .into_iter()
            .map(|(name, value)| Ok((name, number(value, "a measure")?)))
            .collect::<Result<_, Stop>>()?,
        findings: found
            .findings
            .into_iter()
            .map(|finding| {
                Ok(Finding {
                    code: finding.code,
                    detail: private(finding.detail),
                    score: confidence(finding.score, "a finding")?,
                })
            })
            .collect::<Result<_, Stop>>()?,
    })
}

fn remote_file(file: wit::RemoteFile) -> event::RemoteFile {
    event::RemoteFile { name: private(file.name), mime: file.mime, url: private(file.url), size: file.size }
}
