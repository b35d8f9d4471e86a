//! Which language a customer is answered in.

use patchbay_plugin::Conversation;

use crate::Settings;

/// The attribute in which other plugins and operators put the customer's language.
const LANGUAGE: &str = "language";

/// The longest calling code: ITU-T E.164 allows three digits, longer prefixes tell regions of one code apart (1809).
const LONGEST_CODE: usize = 7;

/// The text for this customer: by the conversation's attribute, the customer's locale, the calling code, or the
/// default, whichever is the first to have a text.
pub(crate) fn text_for<'a>(settings: &'a Settings, conversation: &Conversation) -> Option<&'a str> {
    let customer = &conversation.customer;
    text(settings, conversation.attribute(LANGUAGE))
        .or_else(|| text(settings, customer.locale.as_deref()))
        .or_else(|| text(settings, customer.phone.as_deref().and_then(|phone| spoken_behind(settings, phone))))
        .or_else(|| text(settings, Some(&settings.default_language)))
}

/// The text of a language or of the nearest wider one: `pt-BR` may be answered in `pt`.
fn text<'a>(settings: &'a Settings, tag: Option<&str>) -> Option<&'a str> {
    let mut tag = tag?.trim().replace('_', "-");
    loop {
        if let Some((_, text)) = settings.texts.iter().find(|(language, _)| same(language, &tag)) {
            return Some(text);
        }
        tag.truncate(tag.rfind('-')?);
    }
}

/// Tags have no case, and WhatsApp writes `pt_BR`.
fn same(language: &str, tag: &str) -> bool {
    language.len() == tag.len()
        && language.bytes().zip(tag.bytes()).all(|(a, b)| a.eq_ignore_ascii_case(&b) || (a, b) == (b'_', b'-'))
}

/// The language of the longest calling code that the number begins with.
fn spoken_behind<'a>(settings: &'a Settings, phone: &str) -> Option<&'a str> {
    let digits = phone.trim_start_matches('+');
    (1..=LONGEST_CODE.min(digits.len())).rev().find_map(|length| {
        let code = digits.get(..length)?;
        let (_, language) = settings.countries.iter().find(|(known, _)| known.trim_start_matches('+') == code)?;
        Some(language.as_str())
    })
}

#[cfg(test)]
mod tests {
    use patchbay_plugin::testing::{conversation, settings};
    use serde_json::json;

    use super::*;

    #[test]
    fn the_nearest_source_with_a_text_decides() {
        let settings: Settings = settings(&json!({
            "texts": { "en": "en", "de": "de", "pt_BR": "pt-BR", "es": "es" },
            "default_language": "en",
            "countries": { "49": "de", "1": "en", "+1809": "es", "33": "fr" },
        }))
        .unwrap();
        let cases = [
            // attribute, locale, phone, answered in
            (None, None, None, "en"),
            (None, None, Some("4915112345678"), "de"),
            (None, None, Some("12025550100"), "en"),
            (None, None, Some("18095550100"), "es"),
            // No text for French: the default.
            (None, None, Some("33123456789"), "en"),
            (None, Some("es-MX"), Some("4915112345678"), "es"),
            (None, Some("pt-br"), None, "pt-BR"),
            (None, Some("zh-Hant-TW"), Some("4915112345678"), "de"),
            (Some("DE"), Some("es"), Some("12025550100"), "de"),
            (Some("xx"), Some("es"), None, "es"),
            (Some(""), None, None, "en"),
        ];
        for (attribute, locale, phone, expected) in cases {
            let mut conversation = conversation();
            conversation.attributes.extend(attribute.map(|value| ("language".into(), value.into())));
            conversation.customer.locale = locale.map(Into::into);
            conversation.customer.phone = phone.map(Into::into);
            let text = text_for(&settings, &conversation);
            assert_eq!(text, Some(expected), "{attribute:?} {locale:?} {phone:?}");
        }
    }
}
