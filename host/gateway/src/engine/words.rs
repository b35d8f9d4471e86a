//! What a person reads: messages as text for a ticket, subjects, notes.

use patchbay_model::Content;
use patchbay_model::message::{ContactCard, Location, MediaKind, Order};

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
        Content::Form(json) => format!("Completed form: {}", json.reveal()),
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
        Content::Other(notice) => {
            format!("Sent a message of the kind \u{201c}{}\u{201d}, which cannot be shown here", notice.kind)
        }
    }
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
    let items = order
        .items
        .iter()
        .map(|item| format!("{} × {} at {} {}", item.quantity, item.product, item.price, item.currency));
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
