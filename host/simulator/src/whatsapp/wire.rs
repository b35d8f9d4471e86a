//! Webhook bodies, down to the bytes that Meta would sign.

use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::options::WhatsappOptions;

/// JSON as Meta writes it: ASCII only, other characters as lower-case `\uXXXX`, slashes as `\/`.
pub(crate) fn escape(value: &Value) -> Bytes {
    let plain = value.to_string();
    let mut text = String::with_capacity(plain.len() + plain.len() / 8);
    for character in plain.chars() {
        match character {
            // Outside of strings JSON has neither slashes nor anything beyond ASCII.
            '/' => text.push_str("\\/"),
            character if character.is_ascii() => text.push(character),
            character => {
                let mut units = [0_u16; 2];
                for unit in character.encode_utf16(&mut units) {
                    write!(text, "\\u{unit:04x}").ok();
                }
            }
        }
    }
    Bytes::from(text)
}

/// The envelope around one `value` of the `messages` field.
pub(crate) fn envelope(options: &WhatsappOptions, mut value: Value) -> Value {
    if let Some(value) = value.as_object_mut() {
        value.insert("messaging_product".into(), json!("whatsapp"));
        value.insert(
            "metadata".into(),
            json!({"display_phone_number": options.display_number, "phone_number_id": options.phone_number_id}),
        );
    }
    json!({
        "object": "whatsapp_business_account",
        "entry": [{"id": options.business_account, "changes": [{"value": value, "field": "messages"}]}],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_ascii_and_mean_the_same() {
        let value = json!({"text": {"body": "Grüße 🎉 https://example.com/\u{7f}\"\n"}});
        let bytes = escape(&value);
        assert!(bytes.is_ascii());
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(text.contains("Gr\\u00fc\\u00dfe \\ud83c\\udf89 https:\\/\\/example.com\\/"), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
