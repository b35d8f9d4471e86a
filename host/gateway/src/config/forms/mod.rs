//! Text that has a form: what it looks like, and what to write when it does not.

mod network;
mod routing;

use std::str::FromStr;

use patchbay_artefact::Reference;
use tracing_subscriber::EnvFilter;

use super::plugin::Source;
use super::secret::SecretRef;
use super::units::{Period, Size};

/// Why a text is not of a form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) fix: String,
    /// The text could be a secret: it is never shown.
    pub(super) secret: bool,
}

/// A form: its name in the schema (`x-form`), a pattern for editors, and the check.
pub(super) struct Form {
    pub(super) name: &'static str,
    pub(super) pattern: &'static str,
    /// Given the text and its key.
    pub(super) check: fn(&str, &str) -> Result<(), Refusal>,
}

/// All forms.
pub(super) const FORMS: [Form; 23] = [
    Form { name: "period", pattern: "^[0-9]+(ms|s|m|h|d)$", check: period },
    Form { name: "size", pattern: "^[0-9]+(B|KiB|MiB|GiB)$", check: size },
    Form { name: "secret", pattern: "^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$", check: secret },
    Form { name: "source", pattern: "^(builtin|file):.+$", check: source },
    Form { name: "name", pattern: "^[a-z0-9][a-z0-9_-]{0,63}$", check: name },
    Form { name: "listen", pattern: "^.+:[0-9]+$", check: network::listen },
    Form { name: "address", pattern: "^[^/@ ]+:[0-9]+$", check: network::address },
    Form { name: "path", pattern: "^.+$", check: path },
    Form { name: "url", pattern: "^https?://[^@]+$", check: network::url },
    Form { name: "graph-version", pattern: "^v[0-9]+\\.[0-9]+$", check: graph_version },
    Form { name: "digits", pattern: "^[0-9]+$", check: digits },
    Form { name: "host", pattern: "^(\\*\\.)?[A-Za-z0-9._:\\[\\]-]+$", check: network::host },
    Form { name: "method", pattern: "^[A-Z]+$", check: network::method },
    Form { name: "path-prefix", pattern: "^/[^?#]*$", check: network::path_prefix },
    Form { name: "header-name", pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", check: network::header_name },
    Form { name: "secret-name", pattern: "^[A-Za-z0-9._-]{1,64}$", check: secret_name },
    Form { name: "kind", pattern: "^[a-z]+(\\.[A-Za-z0-9_-]+)*$", check: kind },
    Form { name: "pattern", pattern: "^.+$", check: routing::pattern },
    Form { name: "hours", pattern: "^[0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9]$", check: routing::hours },
    Form { name: "time-zone", pattern: "^[A-Za-z]+([/_+-][A-Za-z0-9]+)*$", check: routing::time_zone },
    Form { name: "share", pattern: "^[0-9]{1,3}(\\.[0-9]{1,2})?%$", check: routing::share },
    Form { name: "phone-prefix", pattern: "^[0-9]{1,15}$", check: routing::phone_prefix },
    Form { name: "filter", pattern: "^.+$", check: filter },
];

/// The form of this name.
pub(super) fn form(name: &str) -> Option<&'static Form> {
    FORMS.iter().find(|form| form.name == name)
}

/// The first words of the kinds of event that there are.
pub(super) const KINDS: [&str; 11] =
    ["message", "media", "delivery", "desk", "timer", "effect", "call", "account", "custom", "unknown", "unparsed"];

/// Whether a key's name says that its value is a secret.
pub(super) fn sounds_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["secret", "token", "password", "api_key", "apikey", "private_key"].iter().any(|word| key.contains(word))
}

fn refuse(message: String, fix: String) -> Result<(), Refusal> {
    Err(Refusal { message, fix, secret: false })
}

/// Digits and then a word: `30 sec` is 30 and `sec`.
fn number_and_word(text: &str) -> Option<(&str, String)> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, word) = text.split_at_checked(digits)?;
    (!number.is_empty()).then(|| (number, word.trim().to_ascii_lowercase()))
}

fn period(text: &str, _: &str) -> Result<(), Refusal> {
    if Period::from_str(text).is_ok() {
        return Ok(());
    }
    let meant = number_and_word(text).and_then(|(number, word)| {
        let unit = match word.as_str() {
            "" | "s" | "sec" | "secs" | "second" | "seconds" => "s",
            "ms" | "msec" | "milliseconds" => "ms",
            "m" | "min" | "mins" | "minute" | "minutes" => "m",
            "h" | "hr" | "hour" | "hours" => "h",
            "d" | "day" | "days" => "d",
            _ => return None,
        };
        Some(format!("{number}{unit}")).filter(|meant| Period::from_str(meant).is_ok())
    });
    let example = meant.unwrap_or_else(|| "30s".into());
    refuse(
        format!("`{text}` is not a duration"),
        format!("write \"{example}\": a whole number and ms, s, m, h or d, without a space"),
    )
}

fn size(text: &str, _: &str) -> Result<(), Refusal> {
    if Size::from_str(text).is_ok() {
        return Ok(());
    }
    let meant = number_and_word(text).and_then(|(number, word)| {
        let unit = match word.as_str() {
            "" | "b" | "bytes" => "B",
            "k" | "kb" | "kib" => "KiB",
            "m" | "mb" | "mib" => "MiB",
            "g" | "gb" | "gib" => "GiB",
            _ => return None,
        };
        Some(format!("{number}{unit}")).filter(|meant| Size::from_str(meant).is_ok())
    });
    let example = meant.unwrap_or_else(|| "4MiB".into());
    refuse(
        format!("`{text}` is not a size"),
        format!("write \"{example}\": a whole number and B, KiB, MiB or GiB, without a space"),
    )
}

fn secret(text: &str, key: &str) -> Result<(), Refusal> {
    if SecretRef::parse(text).is_some() {
        return Ok(());
    }
    let message = if text.starts_with("env:") {
        "after `env:` stands the name of an environment variable: letters, digits and underscores".to_owned()
    } else if text == "file:" {
        "after `file:` stands the path of a file".to_owned()
    } else {
        "a secret does not stand in this file, only where it is".to_owned()
    };
    // `credentials.zendesk.password` → ZENDESK_PASSWORD
    let words: Vec<&str> = key
        .split('.')
        .map(|part| part.split('[').next().unwrap_or(part))
        .filter(|part| !["plugins", "credentials", "numbers", "secrets"].contains(part))
        .map(|part| if part.ends_with("_secrets") { part.trim_end_matches('s') } else { part })
        .collect();
    let stem = words.join("_").replace('-', "_");
    let (variable, file) = (stem.to_ascii_uppercase(), stem.to_ascii_lowercase().replace('_', "-"));
    Err(Refusal {
        message,
        fix: format!("write \"env:{variable}\" and set that variable, or \"file:/run/secrets/{file}\""),
        secret: true,
    })
}

fn source(text: &str, _: &str) -> Result<(), Refusal> {
    if Source::from_str(text).is_ok() {
        return Ok(());
    }
    if let Err(problem) = text.strip_prefix("oci:").map_or(Ok(()), |name| name.parse::<Reference>().map(drop)) {
        return refuse(problem.to_string(), "write \"oci:HOST/REPOSITORY:TAG\", or a digest: …@sha256:…".to_owned());
    }
    let meant = match text {
        _ if patchbay_builtin::names().contains(&text) => format!("builtin:{text}"),
        _ if text.ends_with(".wasm") => format!("file:{}", text.rsplit("://").next().unwrap_or(text)),
        _ => "builtin:acknowledge".to_owned(),
    };
    refuse(
        format!("`{text}` does not say where the plugin comes from"),
        format!("write \"builtin:NAME\", \"file:PATH\" or \"oci:HOST/REPOSITORY:TAG\", for example \"{meant}\""),
    )
}

fn name(text: &str, _: &str) -> Result<(), Refusal> {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if begins && text.len() <= 64 && text.bytes().all(known) {
        return Ok(());
    }
    let meant: String = text
        .to_ascii_lowercase()
        .chars()
        .map(|char| if char.is_ascii_alphanumeric() || char == '_' { char } else { '-' })
        .take(64)
        .collect();
    let meant = meant.trim_matches(['-', '_']);
    let meant = if meant.is_empty() { "support" } else { meant };
    refuse(
        format!("`{text}` is not a name"),
        format!("write `{meant}`: lower-case letters, digits, - and _, at most 64"),
    )
}

fn path(text: &str, _: &str) -> Result<(), Refusal> {
    if text.is_empty() {
        refuse("the path is empty".into(), "write a path, or leave the key out".into())
    } else {
        Ok(())
    }
}

fn graph_version(text: &str, _: &str) -> Result<(), Refusal> {
    let numbers = text.strip_prefix('v').and_then(|rest| rest.split_once('.'));
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if numbers.is_some_and(|(major, minor)| number(major) && number(minor)) {
        return Ok(());
    }
    refuse(format!("`{text}` is not a version of the Graph API"), "write \"v24.0\"".into())
}

fn digits(text: &str, key: &str) -> Result<(), Refusal> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(());
    }
    let key = key.rsplit('.').next().unwrap_or(key);
    let shown = if key == "phone_number_id" { "Phone number ID" } else { "WhatsApp Business Account ID" };
    refuse(
        format!("`{key}` is not an id of Meta's"),
        format!("write the digits that WhatsApp Manager shows as \"{shown}\"; it is not the telephone number"),
    )
}

fn secret_name(text: &str, _: &str) -> Result<(), Refusal> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if !text.is_empty() && text.len() <= 64 && text.bytes().all(known) {
        return Ok(());
    }
    refuse("this is not the name of a secret".into(), "write `webhook`, or the name that the plugin documents".into())
}

fn kind(text: &str, _: &str) -> Result<(), Refusal> {
    let first = text.split('.').next().unwrap_or_default();
    let words = text.split('.').all(|word| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    });
    if words && KINDS.contains(&first) {
        return Ok(());
    }
    let message = format!("no event is of the kind `{text}`");
    if text.contains('*') {
        let bare = text.trim_end_matches(['*', '.']);
        if KINDS.contains(&bare) {
            return refuse(message, format!("write \"{bare}\": it is every kind that begins with this word"));
        }
    }
    let fix = match super::shape::nearest(first, KINDS.iter().copied()) {
        Some(near) => format!("write \"{near}\""),
        None => format!("write one of {}, or a whole kind such as \"message.text\"", KINDS.join(", ")),
    };
    refuse(message, fix)
}

pub(super) fn filter(text: &str, _: &str) -> Result<(), Refusal> {
    let level =
        |word: &str| ["off", "error", "warn", "info", "debug", "trace"].contains(&word.to_ascii_lowercase().as_str());
    // A bare word that is no level is taken for a module by the filter, and silences everything else.
    let bare = text.split(',').map(str::trim).all(|part| part.contains(['=', '[', ':']) || level(part));
    if bare && EnvFilter::try_new(text).is_ok() {
        return Ok(());
    }
    refuse(
        format!("`{text}` is not a log filter"),
        "write \"info\", \"debug\" or, for one module, \"info,patchbay_runtime=debug\"".into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fix(form_name: &str, text: &str) -> Option<String> {
        (form(form_name).unwrap().check)(text, "key").err().map(|refusal| refusal.fix)
    }

    #[test]
    fn says_what_was_probably_meant() {
        for (form, text, meant) in [
            ("period", "30", "\"30s\""),
            ("period", "5 minutes", "\"5m\""),
            ("period", "soon", "\"30s\""),
            ("size", "4MB", "\"4MiB\""),
            ("size", "100", "\"100B\""),
            ("source", "router.wasm", "\"file:router.wasm\""),
            ("name", "Front Desk", "`front-desk`"),
            ("listen", "localhost:9000", "\"127.0.0.1:9000\""),
            ("listen", ":9000", "\"0.0.0.0:9000\""),
            ("listen", "9000", "\"0.0.0.0:9000\""),
            ("graph-version", "24", "\"v24.0\""),
            ("host", "https://acme.zendesk.com/api", "\"acme.zendesk.com\""),
            ("host", "acme.zendesk.com:443", "\"acme.zendesk.com\""),
            ("method", "post", "\"POST\""),
            ("path-prefix", "api/v2", "\"/api/v2\""),
            ("kind", "mesage", "\"message\""),
            ("kind", "message.*", "\"message\""),
            ("filter", "verbose", "\"info\""),
            ("hours", "9-17", "\"09:00-17:00\""),
            ("hours", "9:30 am - 5pm", "\"09:30-17:00\""),
            ("hours", "25:00-26:00", "\"09:00-17:30\""),
            ("share", "20", "\"20%\""),
            ("share", "20 %", "\"20%\""),
            ("share", "half", "\"20%\""),
            ("time-zone", "Berlin", "\"Europe/Berlin\""),
            ("phone-prefix", "+49", "\"49\""),
            ("pattern", "order (\\d+", "'order \\d{6}'"),
        ] {
            let fix = fix(form, text).unwrap_or_else(|| panic!("{form} takes {text}"));
            assert!(fix.contains(meant), "{form} {text}: {fix}");
        }
    }

    #[test]
    fn takes_what_is_right() {
        for (form, text) in [
            ("listen", "[::1]:80"),
            ("host", "*.zendesk.com"),
            ("host", "::1"),
            ("host", "10.0.0.1"),
            ("kind", "account.template-status"),
            ("kind", "unknown"),
            ("header-name", "X-Api-Key"),
            ("filter", "info,patchbay_runtime=debug"),
            ("url", "https://graph.facebook.com"),
            ("source", "builtin:anything"),
        ] {
            assert_eq!(fix(form, text), None, "{form} {text}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_a_secret() {
        for (form_name, text) in [("url", "https://me:hunter2@example.com"), ("host", "https://me:hunter2@example.com")]
        {
            let refusal = (form(form_name).unwrap().check)(text, "key").unwrap_err();
            assert!(refusal.secret && !format!("{refusal:?}").contains("hunter2"), "{refusal:?}");
        }
    }

    #[test]
    fn headers_that_http_needs_are_refused() {
        assert!(fix("header-name", "Host").is_some());
        assert!(fix("header-name", "two words").is_some());
    }
}
