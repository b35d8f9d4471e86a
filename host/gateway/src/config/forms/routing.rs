//! Text in match rules and steps.

use std::str::FromStr;

use super::{Refusal, refuse};
use crate::config::rules::{Hours, Pattern, Zone};
use crate::config::share::Share;

pub(super) fn pattern(text: &str, _: &str) -> Result<(), Refusal> {
    if text.is_empty() {
        return refuse("the pattern is empty: it is in every text".into(), "write one, or leave the key out".into());
    }
    let Err(error) = Pattern::from_str(text) else { return Ok(()) };
    // The last line says what is wrong; those before it draw the place, which the message shows already.
    let error = error.to_string();
    let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
    let fix =
        "write a regular expression in single quotes, as 'order \\d{6}'; look-around and back-references are none";
    refuse(format!("`{text}` is not a pattern: {reason}"), fix.into())
}

pub(super) fn hours(text: &str, _: &str) -> Result<(), Refusal> {
    if Hours::from_str(text).is_ok() {
        return Ok(());
    }
    let meant: Vec<String> = text.split(['-', '–']).map(time).collect();
    let meant = meant.join("-");
    let example = if Hours::from_str(&meant).is_ok() { meant } else { "09:00-17:30".into() };
    refuse(
        format!("`{text}` are not hours of a day"),
        format!("write \"{example}\": FROM-TO with two digits each, 00:00 to 24:00; TO before FROM goes over midnight"),
    )
}

/// `9`, `9:00` and `9.00` as `09:00`.
fn time(text: &str) -> String {
    let text = text.trim().to_ascii_lowercase();
    let (text, later) = match (text.strip_suffix("pm"), text.strip_suffix("am")) {
        (Some(text), _) => (text.trim().to_owned(), 12),
        (None, Some(text)) => (text.trim().to_owned(), 0),
        (None, None) => (text, 0),
    };
    let (hours, minutes) = text.split_once([':', '.']).unwrap_or((&text, "00"));
    match (hours.parse::<u32>(), minutes.parse::<u32>()) {
        (Ok(hours), Ok(minutes)) => format!("{:02}:{minutes:02}", if hours < 12 { hours + later } else { hours }),
        _ => text,
    }
}

pub(super) fn time_zone(text: &str, _: &str) -> Result<(), Refusal> {
    if Zone::from_str(text).is_ok() {
        return Ok(());
    }
    refuse(
        format!("there is no time zone `{text}`"),
        "write a name of the IANA database such as \"Europe/Berlin\", \"America/New_York\" or \"UTC\"".into(),
    )
}

pub(super) fn share(text: &str, _: &str) -> Result<(), Refusal> {
    if Share::from_str(text).is_ok() {
        return Ok(());
    }
    let number = text.trim().trim_end_matches('%').trim().parse::<f64>().ok();
    let meant = number.and_then(Share::percent).filter(|_| text.trim() != "0");
    let example = meant.map_or_else(|| "20%".into(), |share| share.to_string());
    refuse(
        format!("`{text}` is not a share"),
        format!("write \"{example}\": a number from 0 to 100 with at most two places, and % without a space"),
    )
}

pub(super) fn phone_prefix(text: &str, _: &str) -> Result<(), Refusal> {
    if !text.is_empty() && text.len() <= 15 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(());
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_start_matches('0');
    let example = if digits.is_empty() { "49" } else { digits };
    refuse(
        format!("`{text}` is not the beginning of a phone number"),
        format!("write \"{example}\": digits with the country's code, without + and zeros in front"),
    )
}
