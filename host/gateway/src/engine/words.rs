//! What a person reads: messages as text for a ticket, subjects, notes.

use patchbay_model::message::{ContactCard, Location, MediaKind, Order};
use patchbay_model::{Content, Notice};
use serde::Deserialize;
use serde_json::Value;

/// Characters of a ticket's subject: what a list of tickets shows without cutting.
const SUBJECT_CHARS: usize = 70;
/// Characters of one WhatsApp text message (Cloud API, `text.body`).
pub const TEXT_CHARS: usize = 4096;

/// A message's content as the text of an entry. Files speak for themselves; a caption is their text.
#[must_use]
pub fn entry_text(content: &Content) -> String {
    match content {
        Content::Text(text) => text.reveal().clone(),
        Content::Media(media) => media.caption.as_ref().map(|text| text.reveal().clone()).unwrap_or_default(),
        Content::Location(location) => location_text(location),
        Content::Contacts(cards) => cards.iter().map(card_text).collect::<Vec<_>>().join("\n"),
        Content::Choice(choice) => choice.title.reveal().clone(),
        Content::Form(json) => form_text(json.reveal()),
        Content::Reaction(reaction) => match &reaction.emoji {
            Some(emoji) => format!("Reacted to a message with {emoji}"),
            None => "Took a reaction back".into(),
        },
        Content::Order(order) => order_text(order),
        Content::Edited(edited) => match &edited.text {
            Some(text) => format!("Edited an earlier message: {}", text.reveal()),
            None => "Edited an earlier message".into(),
        },
        Content::Withdrawn(_) => "Withdrew an earlier message".into(),
        Content::Other(notice) => other_text(notice),
    }
}

/// WhatsApp's error for a message that it does not pass on, though the customer did write.
const NOT_PASSED_ON: i64 = 131_060;

/// What we have no name for. Of a message that WhatsApp itself does not pass on, it says at most what it was.
fn other_text(notice: &Notice) -> String {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Unsupported {
        errors: Vec<Problem>,
        unsupported: Kind,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Problem {
        code: i64,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Kind {
        r#type: String,
    }
    let withheld = matches!(notice.kind.as_str(), "unsupported" | "unknown" | "ephemeral" | "errors");
    if !withheld {
        let kind = plain(&notice.kind);
        return format!("Sent a message of the kind \u{201c}{kind}\u{201d}, which cannot be shown here");
    }
    let what: Unsupported = serde_json::from_str(notice.data.as_deref()).unwrap_or_default();
    match what.unsupported.r#type.as_str() {
        _ if what.errors.iter().any(|error| error.code == NOT_PASSED_ON) => {
            "Wrote a message that WhatsApp did not pass on. Ask for it again.".into()
        }
        "edit" => "Edited an earlier message; WhatsApp does not pass the new words on".into(),
        "" | "errors" => "Sent a message of a kind that WhatsApp does not pass on".into(),
        kind => {
            format!("Sent a message of the kind \u{201c}{}\u{201d}, which WhatsApp does not pass on", plain(kind))
        }
    }
}

/// A machine's word as people write it.
fn plain(word: &str) -> String {
    word.replace(['_', '-'], " ")
}

/// One line for each answer; as it came, where it is no set of answers. WhatsApp's own token is nobody's answer.
fn form_text(json: &str) -> String {
    let Ok(Value::Object(answers)) = serde_json::from_str(json) else {
        return format!("Completed form: {json}");
    };
    let mut lines = vec!["Completed form:".to_owned()];
    for (question, answer) in answers.iter().filter(|(question, _)| *question != "flow_token") {
        let answer = match answer {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        lines.push(format!("{question}: {answer}"));
    }
    lines.join("\n")
}

fn location_text(location: &Location) -> String {
    let mut lines: Vec<String> =
        [&location.name, &location.address].into_iter().flatten().map(|text| text.reveal().clone()).collect();
    lines.push(format!("Location: {}, {}", location.latitude.reveal(), location.longitude.reveal()));
    lines.join("\n")
}

fn card_text(card: &ContactCard) -> String {
    let details = card.phones.iter().chain(&card.emails).map(|text| text.reveal().as_str());
    let name = card.name.reveal().as_str();
    let line: Vec<&str> = std::iter::once(name).filter(|name| !name.is_empty()).chain(details).collect();
    format!("Contact: {}", line.join(", "))
}

fn order_text(order: &Order) -> String {
    let note = order.note.iter().map(|note| note.reveal().clone());
    let items = order.items.iter().map(|item| {
        format!("{} × {} at {} {}", item.quantity, item.product, item.price, item.currency).trim_end().to_owned()
    });
    let mut lines = vec!["Order:".to_owned()];
    lines.extend(items);
    lines.extend(note);
    lines.join("\n")
}

/// The subject of a ticket whose first entry reads like this.
#[must_use]
pub fn subject(text: &str, media: Option<MediaKind>) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    if line.is_empty() {
        return match media {
            Some(kind) => format!("WhatsApp: {}", kind.as_str()),
            None => "WhatsApp message".into(),
        };
    }
    if line.chars().count() <= SUBJECT_CHARS {
        return line.to_owned();
    }
    let cut: String = line.chars().take(SUBJECT_CHARS).collect();
    let end = cut.rfind(char::is_whitespace).filter(|end| *end > cut.len() / 2).unwrap_or(cut.len());
    format!("{}…", cut.get(..end).unwrap_or(&cut).trim_end())
}

/// A text in pieces that WhatsApp takes, cut between lines or words where it can be.
#[must_use]
pub fn pieces(text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let limit = rest.char_indices().nth(TEXT_CHARS).map(|(at, _)| at);
        let Some(limit) = limit else {
            pieces.push(rest.to_owned());
            break;
        };
        let head = rest.get(..limit).unwrap_or(rest);
        let end = head.rfind('\n').or_else(|| head.rfind(char::is_whitespace)).filter(|end| *end > 0).unwrap_or(limit);
        let (piece, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
        pieces.push(piece.trim_end().to_owned());
        rest = tail.trim_start();
    }
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_subject_is_one_short_line() {
        assert_eq!(subject("\n  my invoice is wrong \nplease help", None), "my invoice is wrong");
        assert_eq!(subject("", Some(MediaKind::Image)), "WhatsApp: image");
        let long = subject(&"word ".repeat(40), None);
        assert!(long.chars().count() <= SUBJECT_CHARS + 1 && long.ends_with("word…"), "{long}");
    }

    #[test]
    fn what_cannot_be_shown_is_still_a_sentence() {
        let read =
            |kind: &str, data: &str| entry_text(&Content::Other(Notice { kind: kind.into(), data: data.into() }));
        let withheld =
            r#"{"type":"unsupported","errors":[{"code":131060,"title":"Unavailable"}],"unsupported":{"type":"text"}}"#;
        assert_eq!(read("unsupported", withheld), "Wrote a message that WhatsApp did not pass on. Ask for it again.");
        let edit = r#"{"errors":[{"code":131051}],"unsupported":{"type":"edit"}}"#;
        assert_eq!(read("unsupported", edit), "Edited an earlier message; WhatsApp does not pass the new words on");
        let poll = read("unsupported", r#"{"errors":[{"code":131051}],"unsupported":{"type":"poll_creation"}}"#);
        assert_eq!(poll, "Sent a message of the kind \u{201c}poll creation\u{201d}, which WhatsApp does not pass on");
        for data in ["", "[]", r#"{"errors":"none"}"#, r#"{"unsupported":null}"#] {
            assert_eq!(read("unknown", data), "Sent a message of a kind that WhatsApp does not pass on", "{data}");
        }
        let other = read("call_permission_reply", "{}");
        assert_eq!(
            other,
            "Sent a message of the kind \u{201c}call permission reply\u{201d}, which cannot be shown here"
        );
    }

    #[test]
    fn a_form_reads_as_its_answers() {
        let read = |json: &str| entry_text(&Content::Form(json.into()));
        let json = r#"{"flow_token":"x","date":"2026-11-21","seats":2,"extras":["window"]}"#;
        assert_eq!(read(json), "Completed form:\ndate: 2026-11-21\nextras: [\"window\"]\nseats: 2");
        assert_eq!(read("not json"), "Completed form: not json");
        assert_eq!(read("[1]"), "Completed form: [1]");
    }

    #[test]
    fn orders_cards_and_places_read_well() {
        use patchbay_model::message::{ContactCard, Edited, Location, Order, OrderItem};
        let item = |price: &str, currency: &str| OrderItem {
            product: "tea".into(),
            quantity: "2".into(),
            price: price.into(),
            currency: currency.into(),
        };
        let order =
            Order { catalog: "1".into(), note: Some("soon".into()), items: vec![item("3.5", "EUR"), item("4", "")] };
        assert_eq!(entry_text(&Content::Order(order)), "Order:\n2 × tea at 3.5 EUR\n2 × tea at 4\nsoon");
        let card = |name: &str, phones: &[&str]| ContactCard {
            name: name.into(),
            phones: phones.iter().map(|phone| (*phone).into()).collect(),
            emails: vec!["a@example.com".into()],
            raw: "{}".into(),
        };
        let cards = Content::Contacts(vec![card("Ada", &["+44 1"]), card("", &[])]);
        assert_eq!(entry_text(&cards), "Contact: Ada, +44 1, a@example.com\nContact: a@example.com");
        let place = Location { latitude: 0.0.into(), longitude: 8.5.into(), name: Some("Null".into()), address: None };
        assert_eq!(entry_text(&Content::Location(place)), "Null\nLocation: 0, 8.5");
        let edited = Edited { message: "wamid.1".into(), text: Some("yes".into()) };
        assert_eq!(entry_text(&Content::Edited(edited)), "Edited an earlier message: yes");
        assert_eq!(entry_text(&Content::Withdrawn("wamid.1".into())), "Withdrew an earlier message");
    }

    proptest! {
        #[test]
        fn pieces_fit_and_lose_no_word(text in "[a-zé 🙂\n]{0,9000}") {
            let pieces = pieces(&text);
            prop_assert!(pieces.iter().all(|piece| piece.chars().count() <= TEXT_CHARS && !piece.is_empty()));
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&pieces.concat()), letters(&text));
        }
    }
}
