//! Keys and values as a configuration has them.

use serde_json::Value;

/// A key: bare where it can be.
#[must_use]
pub fn key(name: &str) -> String {
    let bare = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { quoted(name) }
}

/// A text.
#[must_use]
pub fn quoted(text: &str) -> String {
    // TOML's basic strings have JSON's escapes.
    Value::String(text.to_owned()).to_string()
}

/// A value in one line.
#[must_use]
pub fn value(value: &Value) -> String {
    match value {
        // TOML has no such value.
        Value::Null => "\"\"".to_owned(),
        Value::Array(values) => format!("[{}]", values.iter().map(self::value).collect::<Vec<_>>().join(", ")),
        Value::Object(table) if table.is_empty() => "{}".to_owned(),
        Value::Object(table) => {
            let pair = |(name, inner): (&String, &Value)| format!("{} = {}", key(name), self::value(inner));
            format!("{{ {} }}", table.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}
