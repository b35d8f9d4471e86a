//! What Meta's answers mean for the task that asked.

use std::time::Duration;

use jiff::fmt::rfc2822;
use patchbay_model::Failure;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::value::RawValue;

use super::codes::Class::{self, Credential, Permanent, Retry};
use super::codes::by_number;
use super::redact::redacted;
use crate::wire::Fields;

/// With code 100: the object in the URL does not exist, or the token may not see it.
const SUBCODE_NO_SUCH_OBJECT: &str = "33";

/// The longest that an answer may make us wait: a `Retry-After` of years would be a mistake.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// Characters of Meta's words that are kept.
const MAX_REASON: usize = 300;

/// What was asked of Meta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A message to be sent: the one thing that must not be done twice.
    Send,
    /// A receipt or a sign of typing: doing it twice is doing it once.
    Receipt,
    /// A file, or where it is: asking changes nothing.
    File,
}

/// What an answer other than success means.
pub(super) fn failure(purpose: Purpose, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
    let error =
        serde_json::from_slice::<&RawValue>(body).ok().and_then(Fields::of).and_then(|answer| answer.object("error"));
    let code = error.as_ref().and_then(|error| error.text("code")?.parse().ok());
    let class = match (code, &error) {
        (Some(code), Some(error)) => by_code(purpose, code, error).unwrap_or_else(|| by_status(purpose, status, error)),
        (_, Some(error)) => by_status(purpose, status, error),
        (_, None) => by_status(purpose, status, &Fields::default()),
    };
    let reason = reason(status, code, error.as_ref());
    match class {
        Permanent => Failure::Permanent { reason },
        Credential => Failure::Credential { reason },
        Retry(seconds) => {
            let after = retry_after(headers).max((seconds > 0).then(|| Duration::from_secs(seconds)));
            Failure::Retry { after, reason, uncertain: purpose == Purpose::Send && may_be_sent(status, code) }
        }
    }
}

/// Whether a message may have been sent although the answer is an error that is worth another try.
///
/// | answer | sent? | why |
/// |---|---|---|
/// | below 500 | no | a refusal, whatever the code is |
/// | 5xx, code 1 or 131000 | unknown | "something went wrong": Meta does not say where, so it may have been behind the send |
/// | 5xx, any other code | no | Meta names what was in the way: 2 and 131016 say that the service is not to be had |
/// | 503 without a code | no | whoever says that there is no service has not passed the request on |
/// | other 5xx without a code | unknown | something on the way gave up on an answer (502, 504, 520, 522, 524) or broke (500) |
fn may_be_sent(status: StatusCode, code: Option<i64>) -> bool {
    status.is_server_error()
        && match code {
            Some(code) => matches!(code, 1 | 131_000),
            None => status != StatusCode::SERVICE_UNAVAILABLE,
        }
}

fn by_code(purpose: Purpose, code: i64, error: &Fields<'_>) -> Option<Class> {
    let no_such_object =
        code == 33 || code == 100 && error.text("error_subcode").as_deref() == Some(SUBCODE_NO_SUCH_OBJECT);
    if no_such_object {
        return Some(if purpose == Purpose::File { Permanent } else { Credential });
    }
    by_number(code)
}

fn by_status(purpose: Purpose, status: StatusCode, error: &Fields<'_>) -> Class {
    match status {
        _ if error.flag("is_transient") => Retry(0),
        StatusCode::UNAUTHORIZED => Credential,
        // Links to files end after minutes; the next try asks for a new one, and that answer knows whether the file is gone.
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE if purpose == Purpose::File => Retry(0),
        StatusCode::FORBIDDEN => Credential,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => Retry(0),
        status if status.is_client_error() => Permanent,
        _ => Retry(0),
    }
}

/// For people: code, title, details and the id by which Meta's support finds the call.
fn reason(status: StatusCode, code: Option<i64>, error: Option<&Fields<'_>>) -> String {
    let Some(error) = error else {
        return format!("WhatsApp answered {status} without saying why");
    };
    let mut reason = match code {
        Some(code) => format!("WhatsApp error {code}"),
        None => format!("WhatsApp answered {status}"),
    };
    let message = error.text("message").unwrap_or_default();
    // `(#131047) Re-engagement message`: the code is said already.
    let title =
        message.split_once(") ").filter(|(code, _)| code.starts_with("(#")).map_or(&*message, |(_, title)| title);
    let details = error.object("error_data").and_then(|data| data.text("details"));
    let details = details.or_else(|| error.text("error_user_msg")).filter(|details| details != title);
    for part in [Some(title.to_owned()).filter(|title| !title.is_empty()), details].into_iter().flatten() {
        reason.push_str(": ");
        reason.push_str(&redacted(&part));
    }
    let mut reason: String = reason.chars().take(MAX_REASON).collect();
    if let Some(trace) = error.text("fbtrace_id") {
        reason.push_str(" (fbtrace_id ");
        reason.extend(trace.chars().filter(char::is_ascii_graphic).take(64));
        reason.push(')');
    }
    reason
}

/// Seconds, or an HTTP date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let moment = rfc2822::parse(value).ok()?.timestamp();
            Duration::try_from(moment.duration_since(jiff::Timestamp::now())).unwrap_or_default()
        }
    };
    Some(wait.min(MAX_WAIT))
}

/// What it means that no whole answer came.
pub(super) fn transport(error: reqwest::Error, purpose: Purpose) -> Failure {
    let error = error.without_url();
    let mut reason = String::from("no answer from WhatsApp: ");
    reason.push_str(&error.to_string());
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        reason.push_str(": ");
        reason.push_str(&cause.to_string());
        source = cause.source();
    }
    if error.is_builder() {
        Failure::permanent(reason)
    } else if purpose != Purpose::Send || error.is_connect() {
        Failure::retry(reason)
    } else {
        Failure::uncertain(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(purpose: Purpose, status: u16, body: &str) -> Failure {
        failure(purpose, StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes())
    }

    fn coded(code: i64) -> String {
        format!(r#"{{"error":{{"message":"(#{code}) Title","type":"OAuthException","code":{code}}}}}"#)
    }

    #[test]
    fn the_documented_codes_have_their_class() {
        let class = |code| match judged(Purpose::Send, 400, &coded(code)) {
            Failure::Retry { uncertain: false, .. } => "retry",
            Failure::Retry { .. } => "uncertain",
            Failure::Credential { .. } => "credential",
            Failure::Permanent { .. } => "permanent",
        };
        let expected: [(&str, &[i64]); 3] = [
            (
                "retry",
                &[1, 2, 4, 613, 80007, 130_429, 131_000, 131_016, 131_053, 131_056, 131_057, 132_069, 133_004, 134_101],
            ),
            (
                "credential",
                &[
                    0, 3, 10, 33, 190, 200, 299, 368, 131_005, 131_031, 131_037, 131_042, 131_044, 131_045, 131_048,
                    131_064, 133_000, 133_005, 133_006, 133_008, 133_009, 133_010, 133_015, 133_016, 134_011,
                ],
            ),
            (
                "permanent",
                &[
                    100, 470, 130_403, 130_472, 130_497, 131_008, 131_009, 131_021, 131_026, 131_030, 131_047, 131_049,
                    131_050, 131_051, 131_052, 131_055, 131_062, 131_063, 132_000, 132_001, 132_005, 132_007, 132_008,
                    132_012, 132_015, 132_016, 132_018, 132_068, 135_000, 137_000,
                ],
            ),
        ];
        for (word, codes) in expected {
            for code in codes {
                assert_eq!(class(*code), word, "{code}");
            }
        }
    }

    #[test]
    fn an_unknown_code_is_judged_by_the_status() {
        assert!(matches!(judged(Purpose::Send, 500, &coded(999_999)), Failure::Retry { uncertain: false, .. }));
        assert!(matches!(judged(Purpose::Send, 429, &coded(999_999)), Failure::Retry { .. }));
        assert!(matches!(judged(Purpose::Send, 401, &coded(999_999)), Failure::Credential { .. }));
        assert!(matches!(judged(Purpose::Send, 400, &coded(999_999)), Failure::Permanent { .. }));
        let transient = r#"{"error":{"message":"Try again","code":"999999","is_transient":true}}"#;
        assert!(matches!(judged(Purpose::Send, 400, transient), Failure::Retry { .. }));
    }

    #[test]
    fn without_json_the_status_decides() {
        assert!(matches!(judged(Purpose::Send, 401, ""), Failure::Credential { .. }));
        assert!(matches!(judged(Purpose::Send, 404, "Not Found"), Failure::Permanent { .. }));
        assert!(matches!(judged(Purpose::Send, 302, ""), Failure::Retry { uncertain: false, .. }));
    }

    #[test]
    fn a_send_is_uncertain_where_nobody_says_that_it_did_not_happen() {
        let (page, text) = ("<html>", r#"{"error":"upstream"}"#);
        let (uncoded, transient) = (r#"{"error":{"message":"x"}}"#, r#"{"error":{"is_transient":true}}"#);
        let (unknown, fault, outage, down) = (coded(1), coded(131_000), coded(2), coded(131_016));
        for (status, body, expected) in [
            (500, "", true),
            (500, page, true),
            (500, text, true),
            (500, uncoded, true),
            (500, transient, true),
            (502, page, true),
            (504, page, true),
            (507, page, true),
            (520, page, true),
            (522, page, true),
            (524, page, true),
            (599, page, true),
            (503, page, false),
            (503, uncoded, false),
            (429, page, false),
            (408, page, false),
            (400, transient, false),
            (500, &unknown, true),
            (503, &unknown, true),
            (500, &fault, true),
            (503, &fault, true),
            (400, &unknown, false),
            (400, &fault, false),
            (429, &fault, false),
            (500, &outage, false),
            (503, &outage, false),
            (500, &down, false),
            (500, &coded(131_056), false),
        ] {
            for purpose in [Purpose::Send, Purpose::Receipt, Purpose::File] {
                let Failure::Retry { uncertain, .. } = judged(purpose, status, body) else {
                    panic!("{purpose:?} {status} {body}");
                };
                assert_eq!(uncertain, expected && purpose == Purpose::Send, "{purpose:?} {status} {body}");
            }
        }
        assert!(matches!(judged(Purpose::Send, 500, &coded(190)), Failure::Credential { .. }));
        assert!(matches!(judged(Purpose::Send, 500, &coded(131_047)), Failure::Permanent { .. }));
    }

    #[test]
    fn what_does_not_exist_is_our_number_or_a_file_that_is_gone() {
        let missing = r#"{"error":{"message":"Unsupported get request.","code":100,"error_subcode":33}}"#;
        assert!(matches!(judged(Purpose::Send, 400, missing), Failure::Credential { .. }));
        assert!(matches!(judged(Purpose::Receipt, 400, missing), Failure::Credential { .. }));
        assert!(matches!(judged(Purpose::File, 400, missing), Failure::Permanent { .. }));
        assert!(matches!(judged(Purpose::File, 404, "expired"), Failure::Retry { uncertain: false, .. }));
    }

    #[test]
    fn the_wait_is_the_longer_of_the_header_and_the_table() {
        let wait = |code: i64, header: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, header.parse().unwrap());
            match failure(Purpose::Send, StatusCode::TOO_MANY_REQUESTS, &headers, coded(code).as_bytes()) {
                Failure::Retry { after, .. } => after.map(|after| after.as_secs()),
                other => panic!("{other}"),
            }
        };
        assert_eq!(wait(131_056, "2"), Some(6));
        assert_eq!(wait(131_056, "20"), Some(20));
        assert_eq!(wait(131_000, "7"), Some(7));
        assert_eq!(wait(131_000, "99999999"), Some(3600));
        assert_eq!(wait(131_000, "soon"), None);
        assert_eq!(wait(131_000, "Wed, 21 Oct 2015 07:28:00 GMT"), Some(0));
        assert_eq!(wait(131_000, "Fri, 21 Oct 2089 07:28:00 GMT"), Some(3600));
    }

    #[test]
    fn reasons_say_what_is_wrong_and_no_phone_number() {
        let body = r#"{"error":{"message":"(#131030) Recipient not in allowed list","code":131030,
            "error_data":{"messaging_product":"whatsapp","details":"+44 7700 900001 is not\non the list (#131030) of wamid.HBgM="},"fbtrace_id":"Az8"}}"#;
        assert_eq!(
            judged(Purpose::Send, 400, body).reason(),
            "WhatsApp error 131030: Recipient not in allowed list: … is not on the list (#131030) of … (fbtrace_id Az8)"
        );
        assert_eq!(
            judged(Purpose::Send, 502, "<html>").reason(),
            "WhatsApp answered 502 Bad Gateway without saying why"
        );
    }
}
