//! What we write into a message (`biz_opaque_callback_data`) to know its statuses by.
//!
//! Meta echoes it in every status of the message. A status can be here before the answer to our own request is, and
//! then this is all there is to tell whose it is.

use patchbay_model::{ConversationId, TaskId};

/// What every reference begins with: other applications on the same account write references of their own.
const PREFIX: &str = "pb1";

/// Characters that Meta takes in `biz_opaque_callback_data` (its documentation of the messages endpoint).
pub const MAX_CHARS: usize = 512;

/// The reference of a task in a conversation.
#[must_use]
pub fn format(conversation: &ConversationId, task: &TaskId) -> String {
    format!("{PREFIX}:{conversation}:{task}")
}

/// The conversation and the task that `reference` names, if it is one of ours.
#[must_use]
pub fn parse(reference: &str) -> Option<(ConversationId, TaskId)> {
    let rest = reference.strip_prefix(PREFIX)?.strip_prefix(':')?;
    let (conversation, task) = rest.split_once(':')?;
    Some((ConversationId::parse(conversation)?, TaskId::parse(task)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_names_its_conversation_and_task() {
        let (conversation, task) = (ConversationId::derive(&[b"c"]), TaskId::derive(&[b"t"]));
        let reference = format(&conversation, &task);
        assert!(reference.chars().count() <= MAX_CHARS);
        assert_eq!(parse(&reference), Some((conversation, task)));
    }

    #[test]
    fn what_others_wrote_is_not_ours() {
        let (conversation, task) = (ConversationId::derive(&[b"c"]), TaskId::derive(&[b"t"]));
        let reference = format(&conversation, &task);
        for other in [
            String::new(),
            "order 17".into(),
            format!("{reference}x"),
            format!("x{reference}"),
            reference.replace("pb1", "pb2"),
            format!("pb1:{task}:{conversation}"),
            format!("pb1:{conversation}"),
        ] {
            assert_eq!(parse(&other), None, "{other}");
        }
    }
}
