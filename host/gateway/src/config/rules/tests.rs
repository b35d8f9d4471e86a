//! Rules as they are written, held against events.

use patchbay_model::message::MediaKind as File;
use patchbay_model::{Attributes, Timestamp};
use proptest::prelude::*;

use super::*;

/// A rule as an operator writes it.
fn rule(toml: &str) -> Match {
    toml::from_str(toml).unwrap()
}

/// Saturday, 31 January 2026, at this hour and minute in UTC.
fn saturday(hour: u64, minute: u64) -> Timestamp {
    Timestamp::from_millis(1_769_817_600_000 + (hour * 60 + minute) * 60_000)
}

fn said(text: &'static str) -> Facts<'static> {
    static NONE: Attributes = Attributes::new();
    Facts {
        kind: "message.text",
        channel: "support",
        text: Some(text),
        media: None,
        attributes: &NONE,
        phone: Some("4930123456"),
        at: saturday(12, 0),
    }
}

#[track_caller]
fn why_not(toml: &str, facts: &Facts<'_>) -> String {
    rule(toml).judge(facts).unwrap_err()
}

#[track_caller]
fn fits(toml: &str, facts: &Facts<'_>) {
    assert_eq!(rule(toml).judge(facts), Ok(()), "{toml}");
}

#[test]
fn by_default_every_message_on_every_channel() {
    let all = Match::default();
    assert!(all.accepts("message.image", "anything") && all.is_plain());
    assert!(!all.accepts("delivery.read", "anything"));
    assert_eq!(rule(""), all);
}

#[test]
fn a_kind_is_matched_by_whole_words() {
    let toml = "kinds = ['message.text', 'desk']\nchannels = ['support']";
    fits(toml, &said(""));
    fits(toml, &Facts { kind: "desk.entry", ..said("") });
    for kind in ["message.textual", "message", "delivery.read"] {
        let reason = why_not(toml, &Facts { kind, ..said("") });
        assert_eq!(reason, format!("it is for `message.text` or `desk`, and this is `{kind}`"));
    }
    let elsewhere = Facts { channel: "sales", ..said("") };
    assert_eq!(why_not(toml, &elsewhere), "it is for the channel `support`, and this is `sales`");
}

#[test]
fn words_are_found_whole_and_whatever_their_case() {
    let toml = "content.words = ['refund', 'money back', 'Öl', '退款']";
    for text in ["A REFUND, please", "I want my money\u{a0}back!", "refund", "zu viel öl.", "我要退款"] {
        fits(toml, &said(text));
    }
    for text in ["refunded", "money is back", "", "prerefund", "Ölwechsel"] {
        assert_eq!(why_not(toml, &said(text)), "none of its words is in the text", "{text}");
    }
    assert_eq!(why_not(toml, &Facts { text: None, ..said("") }), "there is no text");
}

#[test]
fn a_pattern_is_found_anywhere_or_a_word_is() {
    let toml = "content = { pattern = '(?i)order\\s+\\d{6}', words = ['parcel'] }";
    fits(toml, &said("about Order 123456"));
    fits(toml, &said("my parcel"));
    let reason = why_not(toml, &said("order 12"));
    assert_eq!(reason, "neither its pattern nor one of its words is in the text");
    assert_eq!(why_not("content.pattern = '\\d'", &said("none")), "its pattern is not in the text");
    assert!(toml::from_str::<Match>("content.pattern = '(a{1000}){1000}'").is_err(), "a pattern has its limits");
}

#[test]
fn a_pattern_that_others_choke_on_takes_no_time() {
    let begun = std::time::Instant::now();
    let text: &'static str = Box::leak("a".repeat(4_096).into_boxed_str());
    assert!(rule("content.pattern = '^(a+)+$b'").judge(&said(text)).is_err());
    assert!(begun.elapsed() < std::time::Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[test]
fn files_are_told_apart_by_their_sort() {
    let image = Facts { media: Some(File::Image), ..said("the bill") };
    fits("content.has_media = true", &image);
    fits("content = { media = ['image', 'document'], words = ['bill'] }", &image);
    assert_eq!(why_not("content.has_media = true", &said("")), "it is for files, and there is none");
    assert_eq!(why_not("content.has_media = false", &image), "there is a file (image)");
    assert_eq!(why_not("content.media = ['voice']", &image), "there is no file of the kind `voice`");
}

#[test]
fn attributes_are_set_not_set_or_of_a_value() {
    let attributes = Attributes::from([("tier".into(), "gold".into()), ("vip".into(), String::new())]);
    let facts = Facts { attributes: &attributes, ..said("") };
    fits("attributes = { tier = 'gold', vip = true, blocked = false }", &facts);
    fits("attributes.tier = ['silver', 'gold']", &facts);
    for (toml, reason) in [
        ("attributes.tier = 'silver'", "the attribute `tier` is not `silver`"),
        ("attributes.tier = ['silver', 'bronze']", "the attribute `tier` is not `silver` or `bronze`"),
        ("attributes.tier = false", "the attribute `tier` is set"),
        ("attributes.region = true", "the attribute `region` is not set"),
        ("attributes.region = 'eu'", "the attribute `region` is not set"),
    ] {
        assert_eq!(why_not(toml, &facts), reason);
    }
}

#[test]
fn a_customer_is_known_by_the_beginning_of_the_number() {
    let toml = "customer.phone_prefixes = ['43', '49']";
    fits(toml, &said(""));
    let british = Facts { phone: Some("447700900001"), ..said("") };
    let reason = why_not(toml, &british);
    assert_eq!(reason, "the customer's number does not begin with `43` or `49`");
    assert!(!reason.contains("7700"), "nobody's number is told");
    assert_eq!(why_not(toml, &Facts { phone: None, ..said("") }), "the customer's number is not known");
}

#[test]
fn hours_are_those_of_the_place() {
    let toml =
        "time = { days = ['mon', 'sat'], between = ['09:00-12:00', '13:00-17:30'], time_zone = 'Europe/Berlin' }";
    // An hour before UTC in winter.
    for (hour, minute, within) in
        [(7, 59, false), (8, 0, true), (10, 59, true), (11, 0, false), (12, 0, true), (16, 29, true), (16, 30, false)]
    {
        let facts = Facts { at: saturday(hour, minute), ..said("") };
        assert_eq!(rule(toml).judge(&facts).is_ok(), within, "{hour}:{minute}");
    }
    let reason = why_not(toml, &Facts { at: saturday(20, 4), ..said("") });
    assert_eq!(reason, "its time is mon, sat 09:00-12:00, 13:00-17:30, and it was Sat 21:04 in Europe/Berlin");
    let other_day = Facts { at: saturday(24 + 12, 0), ..said("") };
    assert_eq!(why_not("time.days = ['sat']", &other_day), "its time is sat, and it was Sun 12:00 in UTC");
}

#[test]
fn hours_over_midnight_belong_to_the_day_on_which_they_begin() {
    let night = "time = { days = ['fri'], between = ['22:00-06:00'] }";
    // Friday evening, and the Saturday morning after it.
    fits(night, &Facts { at: Timestamp::from_millis(saturday(0, 0).as_millis() - 60_000), ..said("") });
    fits(night, &Facts { at: saturday(5, 59), ..said("") });
    for (hour, minute) in [(6, 0), (12, 0), (22, 0), (23, 59)] {
        assert!(rule(night).judge(&Facts { at: saturday(hour, minute), ..said("") }).is_err(), "{hour}:{minute}");
    }
}

#[test]
fn hours_are_read_and_written() {
    for text in ["09:00-17:30", "22:00-06:00", "00:00-24:00", "23:59-00:01"] {
        assert_eq!(text.parse::<Hours>().unwrap().to_string(), text);
    }
    for text in
        ["", "9-17", "09:00", "09:00-09:00", "24:00-06:00", "12:00-00:00", "12:60-13:00", "25:00-26:00", "+9:00-10:00"]
    {
        assert!(text.parse::<Hours>().is_err(), "{text}");
    }
}

#[test]
fn not_takes_out_what_meets_all_of_it() {
    let toml = "[not]\nkinds = ['message.text']\ncontent.words = ['stop']";
    assert_eq!(why_not(toml, &said("STOP")), "all that `not` says holds: kinds, content");
    fits(toml, &said("go on"));
    fits(toml, &Facts { kind: "message.button", ..said("stop") });
    let weekend = "not.time.days = ['sat', 'sun']";
    assert_eq!(why_not(weekend, &said("")), "all that `not` says holds: time");
    fits(weekend, &Facts { at: saturday(48, 0), ..said("") });
}

#[test]
fn no_reason_holds_what_was_said() {
    let facts = Facts { media: Some(File::Voice), ..said("my account is 4711") };
    for toml in [
        "content.words = ['x']",
        "content.pattern = 'z'",
        "content.media = ['image']",
        "not.content.words = ['account']",
        "customer.phone_prefixes = ['1']",
    ] {
        let reason = why_not(toml, &facts);
        assert!(!reason.contains("4711") && !reason.contains("4930"), "{reason}");
    }
}

proptest! {
    #[test]
    fn a_word_of_a_text_is_found_in_it(words in proptest::collection::vec("[a-zA-Zäöü0-9]{1,8}", 1..6), at in 0_usize..6) {
        let text: &'static str = Box::leak(words.join(" — ").into_boxed_str());
        let word = &words[at % words.len()];
        let content = Content { words: vec![word.to_uppercase()], ..Content::default() };
        let rule = Match { content: Some(content), ..Match::default() };
        prop_assert_eq!(rule.judge(&said(text)), Ok(()));
    }

    #[test]
    fn every_minute_is_in_hours_or_in_the_rest_of_the_day(from in 1_u16..1_440, to in 1_u16..1_440, minute in 0_u64..1_440) {
        prop_assume!(from != to);
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        let within = |from: u16, to: u16| {
            let between = vec![format!("{}-{}", clock(from), clock(to)).parse().unwrap()];
            let time = Some(Time { between, ..Time::default() });
            Match { time, ..Match::default() }.judge(&Facts { at: saturday(0, minute), ..said("") }).is_ok()
        };
        prop_assert_ne!(within(from, to), within(to, from));
    }
}
