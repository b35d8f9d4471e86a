//! What a comment says, and the files that go with it.

use patchbay_plugin::{Author, Context, Entry, Failure, Level, Media};
use serde_json::{Map, Value, json};

use crate::api::{checked, lacking};
use crate::settings::Settings;

/// Zendesk refuses a comment without text.
const NOTHING_SAID: &str = "(no text)";

/// From this attempt on, a file for which the host gives no answer is left out: its reason will hardly pass, such as
/// media that are not granted or a file over the host's limit, and the words should not wait for it any longer. Where the
/// request itself is not granted, that is an answer, and the file is left out at once.
const WITHOUT_FILES_FROM: u32 = 5;

/// A comment of one entry, or of several that happened before there was a ticket.
pub(crate) fn comment(
    settings: &Settings,
    entries: &[Entry],
    author: Option<u64>,
    cx: &Context,
) -> Result<Map<String, Value>, Failure> {
    // Who said what is plain where only the author of the comment spoke.
    let named = entries.iter().any(|entry| !matches!(entry.author, Author::Customer(_)));
    let mut tokens = Vec::new();
    let mut paragraphs = Vec::new();
    for entry in entries {
        let mut lines = Vec::new();
        if !entry.text.trim().is_empty() {
            lines.push(entry.text.clone());
        }
        for media in &entry.media {
            match upload(settings, media, cx)? {
                Ok(token) => {
                    tokens.push(token);
                    if lines.is_empty() {
                        lines.push(format!("[{}]", media.display_name()));
                    }
                }
                Err(why) => lines.push(format!("[{}: could not be attached: {why}]", media.display_name())),
            }
        }
        if lines.is_empty() {
            lines.push(NOTHING_SAID.to_owned());
        }
        let said = lines.join("\n");
        paragraphs.push(match speaker(&entry.author) {
            Some(speaker) if named => format!("{speaker}: {said}"),
            _ => said,
        });
    }
    let public = entries.iter().any(|entry| entry.public);
    let mut comment = Map::new();
    comment.insert("body".into(), paragraphs.join("\n\n").into());
    comment.insert("public".into(), public.into());
    if let Some(author) = author {
        comment.insert("author_id".into(), author.into());
    }
    if !tokens.is_empty() {
        comment.insert("uploads".into(), json!(tokens));
    }
    Ok(comment)
}

/// Who spoke, for readers of a comment that somebody else is the author of.
fn speaker(author: &Author) -> Option<&str> {
    match author {
        Author::Customer(customer) => Some(customer.name.as_deref().unwrap_or("Customer")),
        Author::Agent(name) | Author::Bot(name) => Some(name),
        Author::Gateway => None,
    }
}

/// Uploads one file and gives its token; or says why Zendesk will never take it, for the comment: a message without
/// its file is better than none.
fn upload(settings: &Settings, media: &Media, cx: &Context) -> Result<Result<String, String>, Failure> {
    let response = cx
        .upload("POST", settings.api("uploads"))
        .query("filename", &media.display_name())
        .header("content-type", if media.mime.is_empty() { "application/octet-stream" } else { &media.mime })
        .media(&media.id)
        .send();
    let response = match response {
        Err(failure) if cx.attempt() >= WITHOUT_FILES_FROM => return Ok(left_out(media, failure.reason(), cx)),
        other => other?,
    };
    match checked(response).and_then(|response| response.json::<Value>()) {
        Ok(answer) => {
            let token = answer.get("upload").and_then(|upload| upload.get("token")).and_then(Value::as_str);
            token.map(|token| Ok(token.to_owned())).ok_or_else(|| lacking("upload token"))
        }
        Err(Failure::Permanent(why)) => Ok(left_out(media, &why, cx)),
        Err(failure) => Err(failure),
    }
}

fn left_out(media: &Media, why: &str, cx: &Context) -> Result<String, String> {
    cx.log(Level::Warn, &format!("media {} was not attached: {why}", media.id));
    Err(why.to_owned())
}
