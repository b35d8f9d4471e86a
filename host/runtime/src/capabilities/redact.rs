//! Takes personal data and secrets out of what a plugin writes, before anybody reads it.
//!
//! A plugin's lines are free text, so this cannot be exact: it rather masks too much. Masked are runs of seven digits or
//! more (numbers of people, orders and cards alike), numbers that begin with `+` or are written in groups, e-mail
//! addresses, and every secret that the plugin's grants hold, the tokens that were got for it among them.

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use crate::credentials::Known;

/// Digits in a row that are masked: shorter ones are counts, ports and status codes.
const DIGITS: usize = 7;

/// Digits that are masked when they come in groups, as in `0049 170 1234567`.
const GROUPED_DIGITS: usize = 9;

/// Secrets shorter than this are not looked for: they would mask ordinary words.
const SECRET: usize = 4;

/// Secrets shorter than this are not painted over in what servers answer: they would spoil ordinary data.
const NEEDLE: usize = 8;

/// Knows the secrets of one plugin.
pub(crate) struct Redactor {
    secrets: Vec<SecretString>,
    /// Tokens come and go.
    live: Vec<Arc<Known>>,
}

impl Redactor {
    pub(crate) fn new(secrets: impl IntoIterator<Item = SecretString>, live: Vec<Arc<Known>>) -> Self {
        Self { secrets: sorted(secrets), live }
    }

    /// Everything that is secret now, in all of its spellings, the longest first: one may be a part of another one.
    fn all(&self) -> Vec<SecretString> {
        let live: Vec<SecretString> = self.live.iter().flat_map(|known| known.secrets()).collect();
        if live.is_empty() { self.secrets.clone() } else { sorted(self.secrets.iter().cloned().chain(live)) }
    }

    /// `text` with everything masked that nobody should read.
    pub(crate) fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.all() {
            if text.contains(secret.expose_secret()) {
                text = text.replace(secret.expose_secret(), "[secret]");
            }
        }
        numbers(&emails(&text))
    }

    /// The bytes that no answer may bring to the plugin.
    pub(crate) fn needles(&self) -> Vec<Vec<u8>> {
        let long = |secret: &SecretString| secret.expose_secret().len() >= NEEDLE;
        self.all().iter().filter(|secret| long(secret)).map(|secret| secret.expose_secret().into()).collect()
    }
}

/// As they are, and as they stand in JSON and in URLs.
fn sorted(secrets: impl IntoIterator<Item = SecretString>) -> Vec<SecretString> {
    let mut all: Vec<String> = Vec::new();
    for secret in secrets {
        let secret = secret.expose_secret();
        if secret.len() < SECRET {
            continue;
        }
        let json = serde_json::Value::from(secret).to_string();
        all.extend(json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map(ToOwned::to_owned));
        all.push(url::form_urlencoded::byte_serialize(secret.as_bytes()).collect());
        all.push(secret.to_owned());
    }
    all.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
    all.dedup();
    all.into_iter().map(SecretString::from).collect()
}

/// Masks what looks like an e-mail address.
fn emails(text: &str) -> String {
    if !text.contains('@') {
        return text.to_owned();
    }
    let part = |letter: char| letter.is_alphanumeric() || matches!(letter, '@' | '.' | '-' | '_' | '+' | '%');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let word = rest.find(|letter| !part(letter)).unwrap_or(rest.len());
        let (head, tail) = rest.split_at(word);
        let address =
            head.split_once('@').is_some_and(|(user, host)| !user.is_empty() && host.len() > 2 && !is_version(host));
        out.push_str(if address { "[email]" } else { head });
        let gap = tail.find(part).unwrap_or(tail.len());
        let (between, next) = tail.split_at(gap);
        out.push_str(between);
        rest = next;
    }
    out
}

/// `0.2.12`, as it stands behind an interface's name.
fn is_version(text: &str) -> bool {
    let number = |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit());
    let mut labels = text.split('.');
    labels.next().is_some_and(number) && labels.next().is_some_and(number)
}

/// Masks long numbers.
fn numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let plus = letter == '+';
        if !plus && !letter.is_ascii_digit() {
            out.push(letter);
            rest = rest.get(letter.len_utf8()..).unwrap_or_default();
            continue;
        }
        let number = Number::at_the_start_of(rest);
        let long = number.longest >= DIGITS
            || (number.digits >= GROUPED_DIGITS && !number.date)
            || (plus && number.digits >= DIGITS);
        let (head, tail) = rest.split_at(number.length);
        out.push_str(if long { "[number]" } else { head });
        rest = tail;
    }
    out
}

/// Digits, and what people put between them.
struct Number {
    /// Bytes, up to the last digit.
    length: usize,
    digits: usize,
    /// The longest run without anything in between.
    longest: usize,
    /// It begins like `2026-11-21`.
    date: bool,
}

impl Number {
    fn at_the_start_of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let (mut length, mut digits, mut longest, mut run, mut gap) = (1, 0, 0, 0, 0);
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                b'0'..=b'9' => {
                    (digits, run, gap) = (digits + 1, run + 1, 0);
                    longest = longest.max(run);
                    length = at + 1;
                }
                b'+' if at == 0 => {}
                b' ' | b'-' | b'(' | b')' | b'/' if gap < 2 => (run, gap) = (0, gap + 1),
                _ => break,
            }
        }
        let shape = |at: usize, byte: u8| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        };
        let date = bytes.get(..10).is_some_and(|head| head.iter().enumerate().all(|(at, byte)| shape(at, *byte)));
        Self { length, digits, longest, date }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_people_and_secrets_and_keeps_the_rest() {
        let redactor = Redactor::new(
            ["hunter2-token".to_owned().into(), "a/\"b\"".to_owned().into(), "abc".to_owned().into()],
            Vec::new(),
        );
        let clean = |text: &str| redactor.clean(text);
        assert_eq!(clean("from 447700900001: hi"), "from [number]: hi");
        assert_eq!(clean("call +44 7700 900001 now"), "call [number] now");
        assert_eq!(clean("0049 170 1234567"), "[number]");
        assert_eq!(clean("ask ann.b@example.com, please"), "ask [email], please");
        assert_eq!(clean("li@163.com: `wasi:cli/environment@0.2.12`"), "[email]: `wasi:cli/environment@0.2.12`");
        assert_eq!(clean("bearer hunter2-token!"), "bearer [secret]!");
        assert_eq!(clean(r#"a/"b" a/\"b\" a%2F%22b%22"#), "[secret] [secret] [secret]");
        assert_eq!(clean("abc 404 after 1500 ms, 3 of 10"), "abc 404 after 1500 ms, 3 of 10");
        assert_eq!(clean("2026-11-21 10:45:20 héllo @ 12"), "2026-11-21 10:45:20 héllo @ 12");
        assert_eq!(clean(""), "");
        assert_eq!(redactor.needles(), [b"hunter2-token".to_vec(), b"a%2F%22b%22".to_vec()], "short ones stay");
    }
}
