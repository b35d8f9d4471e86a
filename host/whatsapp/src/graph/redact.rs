//! Takes people out of Meta's words before they stand in logs, notes and dead letters.
//!
//! The words are free text, so this cannot be exact: it rather masks too much. Codes, counts and limits stay readable.

/// What stands for what was taken out.
const MASK: char = '…';

/// A number with so many digits may be a phone number: without the code of their country some have no more.
const PHONE_DIGITS: usize = 7;

/// Meta's error codes have up to seven digits (2593107): in `(#…)` such a number is no phone number.
const CODE_DIGITS: usize = 7;

/// The start of a message's id. What follows is base64 that holds the customer's number.
const MESSAGE_ID: &[u8] = b"wamid.";

/// `text` on one line, without e-mail addresses, ids of messages and what may be phone numbers.
pub(super) fn redacted(text: &str) -> String {
    let line: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    // Addresses first: their first halves may be numbers, and must not be torn from their second.
    numbers(&message_ids(&addresses(&line))).trim().to_owned()
}

/// Masks an `@` with what stands on both sides of it; with a name on one side only it is no address.
fn addresses(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(['@', '＠']) {
        let (kept, local) = before.split_at(before.trim_end_matches(is_of_local_part).len());
        let (domain, behind) = after.split_at(after.len() - after.trim_start_matches(is_of_domain).len());
        // The full stop of a sentence is no part of the name.
        let stop = domain.len() - domain.trim_end_matches(['.', '-']).len();
        shown.push_str(kept);
        if local.is_empty() || stop == domain.len() {
            shown.push_str(local);
            shown.push('@');
            rest = after;
        } else {
            shown.push(MASK);
            rest = after.get(after.len() - behind.len() - stop..).unwrap_or_default();
        }
    }
    shown.push_str(rest);
    shown
}

fn is_of_local_part(letter: char) -> bool {
    letter.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(letter)
}

fn is_of_domain(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '.' | '-' | '_')
}

/// Masks the ids of messages, wherever in a word they begin.
fn message_ids(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) =
        rest.as_bytes().windows(MESSAGE_ID.len()).position(|word| word.eq_ignore_ascii_case(MESSAGE_ID))
    {
        let (before, id) = rest.split_at(start);
        let (prefix, payload) = id.split_at(MESSAGE_ID.len());
        let word = payload.len() - payload.trim_start_matches(is_of_message_id).len();
        let id = payload.get(..word).unwrap_or_default().trim_end_matches('.');
        rest = payload.get(id.len()..).unwrap_or_default();
        shown.push_str(before);
        if id.is_empty() {
            shown.push_str(prefix);
        } else {
            shown.push(MASK);
        }
    }
    shown.push_str(rest);
    shown
}

/// Base64 of both alphabets, what it becomes in a URL, and stops: only the last of them may be a sentence's.
fn is_of_message_id(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '+' | '/' | '-' | '_' | '=' | '%' | '.')
}

/// Masks numbers that may be phone numbers, however they are grouped.
fn numbers(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let (length, digits) = match error_code(rest) {
            Some(length) => (length, 0),
            None if letter.is_numeric() => number(rest),
            None => (letter.len_utf8(), 0),
        };
        let (head, tail) = rest.split_at(length);
        if digits < PHONE_DIGITS {
            shown.push_str(head);
        } else {
            shown.truncate(shown.trim_end_matches(['+', '＋']).len());
            shown.push(MASK);
        }
        rest = tail;
    }
    shown
}

/// Bytes of the `(#131047)` that `text` begins with.
fn error_code(text: &str) -> Option<usize> {
    let code = text.strip_prefix("(#")?;
    let digits = code.bytes().take_while(u8::is_ascii_digit).count();
    let closed = code.as_bytes().get(digits) == Some(&b')');
    (closed && (1..=CODE_DIGITS).contains(&digits)).then(|| "(#)".len() + digits)
}

/// Bytes up to the last digit of the number that `text` begins with, and how many digits it has.
fn number(text: &str) -> (usize, usize) {
    let (mut length, mut digits) = (0, 0);
    for (at, letter) in text.char_indices() {
        if letter.is_numeric() {
            (length, digits) = (at + letter.len_utf8(), digits + 1);
        } else if !is_between_digits(letter) {
            break;
        }
    }
    (length, digits)
}

/// What people, and the programs that they copy from, put between the digits of a phone number.
fn is_between_digits(letter: char) -> bool {
    letter.is_whitespace()
        || matches!(letter, '+' | '-' | '.' | '(' | ')' | '/' | '·')
        // Hyphens, dashes and the sign for minus.
        || matches!(letter, '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe63}' | '\u{ff0d}')
        // Without width: joiners, and the marks of direction that address books put around numbers.
        || matches!(letter, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
        // Full-width shapes of the above.
        || matches!(letter, '\u{ff08}' | '\u{ff09}' | '\u{ff0b}' | '\u{ff0e}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_masked_and_codes_are_not() {
        for (text, expected) in [
            // Numbers of people.
            ("447700900001", "…"),
            ("to 447700900001.", "to …."),
            ("to +44 7700 900001 now", "to … now"),
            ("to +44 (0) 7700-900.001, please", "to …, please"),
            ("(020) 7946 0018", "(…"),
            ("0170/1234 56", "…"),
            ("555-0123", "…"),
            ("+1 (555) 012", "…"),
            ("4 4 7 7 0 0 9", "…"),
            ("44   7700 \t 900001", "…"),
            ("44\n7700\r\n900001", "…"),
            ("+44\u{a0}7700\u{202f}900001", "…"),
            ("44\u{2011}7700\u{2013}900001", "…"),
            ("\u{202a}+44 7700\u{202c} 900001\u{202c}", "\u{202a}…\u{202c}"),
            ("+\u{200e}447700900001", "+\u{200e}…"),
            ("٤٤٧٧٠٠٩٠٠٠٠١", "…"),
            ("＋４４ ７７００ ９００００１", "…"),
            ("+447700900001,+447700900002", "…,…"),
            ("user447700900001x", "user…x"),
            ("US.13491208655302741918", "US.…"),
            ("tel:+447700900001", "tel:…"),
            // Codes, counts and limits.
            ("131047", "131047"),
            ("131047, 131026 or 132000", "131047, 131026 or 132000"),
            ("error 131047: 24 hours, 4096 characters", "error 131047: 24 hours, 4096 characters"),
            ("v24.0 takes 1,000 a second", "v24.0 takes 1,000 a second"),
            ("1 + 1, and a lone + or -", "1 + 1, and a lone + or -"),
            ("", ""),
            (" ( ) . - ", "( ) . -"),
            ("(#131047) Re-engagement", "(#131047) Re-engagement"),
            ("(#2388019) of (#2593107)", "(#2388019) of (#2593107)"),
            ("2388019", "…"),
            ("(#2388019", "(#…"),
            ("(#23880190)", "(#…)"),
            ("(#447700900001) is not it", "(#…) is not it"),
            ("(#131047) 447700900001", "(#131047) …"),
            ("(#131047)447700900001", "(#131047)…"),
            ("447700 (#100) 900001", "447700 (#100) 900001"),
            ("(#) 44", "(#) 44"),
            // Ids of messages.
            ("wamid.HBgMNDQ3NzAwOTAwMDAxFQIAEhgU", "…"),
            ("message 'wamid.HBgMNDQ3+/Nz-_AwOQ==' is gone", "message '…' is gone"),
            ("WAMID.HBgM, Wamid.HBgM and wamid.HBgM.", "…, … and …."),
            ("id=wamid.HBgM%3D%3D&x", "id=…&x"),
            ("xwamid.HBgM", "x…"),
            ("wamid.wamid.HBgM", "…"),
            ("the wamid. Not a wamid", "the wamid. Not a wamid"),
            // Addresses.
            ("write to ann.o'neil+shop@mail.example.co.uk.", "write to …."),
            ("<ann@example.org>, mailto:bob@example.org", "<…>, mailto:…"),
            ("447700900001@s.whatsapp.net", "…"),
            ("jürgen@müller.example", "…"),
            ("ann@localhost", "…"),
            ("ann＠example.org", "…"),
            ("a@b@c.example", "…@c.example"),
            ("wamid.HBgM@example.org", "…"),
            ("@ann and ann@ and @", "@ann and ann@ and @"),
            ("ann@...", "ann@..."),
            ("@447700900001", "@…"),
        ] {
            assert_eq!(redacted(text), expected, "{text}");
        }
    }
}
