//! Two JSON documents side by side: where they differ, as JSON pointers.

use serde_json::Value;

/// Letters of a value in a difference; what is longer is cut.
const SHOWN: usize = 200;

/// One line for each place where `got` is not what was expected; `at` is the pointer to the whole.
pub(crate) fn differences(at: &str, expected: &Value, got: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(at, Some(expected), Some(got), &mut found);
    found
}

fn compare(at: &str, expected: Option<&Value>, got: Option<&Value>, found: &mut Vec<String>) {
    match (expected, got) {
        (Some(Value::Object(expected)), Some(Value::Object(got))) => {
            for (key, value) in expected {
                compare(&below(at, key), Some(value), got.get(key), found);
            }
            for (key, value) in got.iter().filter(|(key, _)| !expected.contains_key(*key)) {
                compare(&below(at, key), None, Some(value), found);
            }
        }
        (Some(Value::Array(expected)), Some(Value::Array(got))) => {
            for place in 0..expected.len().max(got.len()) {
                compare(&format!("{at}/{place}"), expected.get(place), got.get(place), found);
            }
        }
        (expected, got) if expected == got => {}
        (expected, got) => {
            // The whole has no place.
            let place = if at.is_empty() { String::new() } else { format!("{at}: ") };
            found.push(format!("{place}expected {}, got {}", shown(expected), shown(got)));
        }
    }
}

/// RFC 6901: `~` and `/` in a key are written `~0` and `~1`.
fn below(at: &str, key: &str) -> String {
    format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else { return "nothing".to_owned() };
    let text = value.to_string();
    let cut = text.floor_char_boundary(SHOWN);
    if cut < text.len() { format!("{}…", text.get(..cut).unwrap_or_default()) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_difference_has_its_place() {
        let expected = json!({"a": [1, {"b/c": "x"}], "gone": true, "same": null});
        let got = json!({"a": [1, {"b/c": "y"}, 3], "new": {"k": 1}, "same": null});
        assert_eq!(
            differences("", &expected, &got),
            [
                "/a/1/b~1c: expected \"x\", got \"y\"",
                "/a/2: expected nothing, got 3",
                "/gone: expected true, got nothing",
                "/new: expected nothing, got {\"k\":1}",
            ]
        );
        assert!(differences("", &got, &got).is_empty());
        assert_eq!(differences("/x", &json!("1"), &json!(1)), ["/x: expected \"1\", got 1"]);
    }

    #[test]
    fn long_values_are_cut() {
        let line = differences("", &json!("é".repeat(500)), &json!(1)).join("");
        assert!(line.len() < 2 * SHOWN && line.contains('…'), "{line}");
    }
}
