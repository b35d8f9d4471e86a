//! JSON as a fuzzer can vary it: every sequence of bytes is a value, and a changed byte changes a part of it.

use std::slice::Iter;
use std::sync::LazyLock;

use serde_json::{Map, Value};

/// Names and words that mean something, each one byte in an input.
static WORDS: LazyLock<Vec<&str>> = LazyLock::new(|| NAMES.split_ascii_whitespace().collect());

const NAMES: &str = "
    metadata phone_number_id display_phone_number 106540352242922 447700900001 GB.1 0 1764000000 1764000000000 -1
    1e400 true id from from_user_id to to_user_id timestamp time type text body image video audio voice document
    sticker mime_type sha256 filename caption file_size location latitude longitude name address contacts
    formatted_name first_name last_name phones phone emails email interactive button_reply list_reply nfm_reply
    response_json title description call_permission_reply button payload reaction message_id emoji order catalog_id
    product_items product_retailer_id quantity item_price currency edit revoke original_message_id message system
    user_changed_number user_changed_user_id customer_identity_changed customer_changed_number wa_id new_wa_id
    user_id previous_user_id customer context forwarded frequently_forwarded referred_product referral source_type
    group_id errors error_data details code 2593109 unsupported request_welcome unknown ephemeral messages statuses
    calls status sent delivered read played failed deleted recipient_id recipient_user_id recipient_type
    recipient_participant_id recipient_participant_user_id group call payment captured transaction
    biz_opaque_callback_data conversation origin pricing billable pricing_model category profile username @kim event
    connect direction BUSINESS_INITIATED message_echoes recipient history threads history_context progress
    state_sync contact full_name phone_number action add remove standby sender control_passed previous_owner_role
    new_owner_role user_preferences detail value stop groups group_create subject group_subject update_successful
    user_id_update previous current entry changes field encrypted_contents media_placeholder eyJ9.a.b.c.d
    +447700900999
";

/// Names one inside the other; what is deeper is nothing.
const DEEPEST: u8 = 24;

/// The value that the bytes spell. Bytes that are missing at the end are zeros.
pub fn decode(data: &[u8]) -> Value {
    value(&mut data.iter(), 0)
}

fn byte(bytes: &mut Iter<'_, u8>) -> u8 {
    bytes.next().copied().unwrap_or_default()
}

fn value(bytes: &mut Iter<'_, u8>, depth: u8) -> Value {
    match byte(bytes) % 9 {
        1 => Value::Bool(false),
        2 => Value::Bool(true),
        3 => Value::from(byte(bytes)),
        4 => Value::from(i64::from_le_bytes([0; 8].map(|_: u8| byte(bytes)))),
        5 => Value::from(f64::from_le_bytes([0; 8].map(|_: u8| byte(bytes)))),
        6 => Value::from(text(bytes)),
        7 if depth < DEEPEST => (0..byte(bytes)).map_while(|_| next(bytes, depth)).collect(),
        8 if depth < DEEPEST => {
            let members = (0..byte(bytes)).map_while(|_| Some((text(bytes), next(bytes, depth)?)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        _ => Value::Null,
    }
}

/// An item, as long as there are bytes.
fn next(bytes: &mut Iter<'_, u8>, depth: u8) -> Option<Value> {
    (bytes.len() > 0).then(|| value(bytes, depth + 1))
}

/// A word by its number, or the letters themselves behind their number.
fn text(bytes: &mut Iter<'_, u8>) -> String {
    if let Some(word) = WORDS.get(usize::from(byte(bytes))) {
        return (*word).to_owned();
    }
    let length = u16::from_le_bytes([0; 2].map(|_: u8| byte(bytes)));
    String::from_utf8_lossy(&bytes.by_ref().take(length.into()).copied().collect::<Vec<_>>()).into_owned()
}

/// Bytes that spell the value; of long texts, lists and objects only the beginning.
pub fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(value, &mut bytes);
    bytes
}

fn write(value: &Value, into: &mut Vec<u8>) {
    match value {
        Value::Null => into.push(0),
        Value::Bool(truth) => into.push(1 + u8::from(*truth)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => {
                into.push(4);
                into.extend(whole.to_le_bytes());
            }
            (None, broken) => {
                into.push(5);
                into.extend(broken.unwrap_or_default().to_le_bytes());
            }
        },
        Value::String(letters) => {
            into.push(6);
            spell(letters, into);
        }
        Value::Array(items) => {
            into.extend([7, u8::try_from(items.len()).unwrap_or(u8::MAX)]);
            items.iter().take(u8::MAX.into()).for_each(|item| write(item, into));
        }
        Value::Object(members) => {
            into.extend([8, u8::try_from(members.len()).unwrap_or(u8::MAX)]);
            for (name, value) in members.iter().take(u8::MAX.into()) {
                spell(name, into);
                write(value, into);
            }
        }
    }
}

fn spell(letters: &str, into: &mut Vec<u8>) {
    if let Some(number) = WORDS.iter().position(|word| *word == letters).and_then(|at| u8::try_from(at).ok()) {
        return into.push(number);
    }
    let length = u16::try_from(letters.len()).unwrap_or(u16::MAX);
    into.push(u8::MAX);
    into.extend(length.to_le_bytes());
    into.extend(letters.bytes().take(length.into()));
}
