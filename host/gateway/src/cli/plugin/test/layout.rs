//! JSON as a person writes it into a golden event: on one line where it fits, and a line for each part where it does not.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Letters in a line.
const LINE: usize = 120;

/// Two spaces for each level, as the templates have it.
const STEP: &str = "  ";

/// Lays compact JSON out. `indent`: what the line that it begins in begins with; `used`: letters of that line before it.
pub(super) fn layout(json: &str, indent: &str, used: usize) -> serde_json::Result<String> {
    Ok(lay(&Node::read(json)?, indent, used))
}

/// JSON, with its keys in their order.
enum Node {
    Atom(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    fn read(json: &str) -> serde_json::Result<Self> {
        Ok(match json.trim_start().chars().next() {
            Some('[') => {
                let items: Vec<&RawValue> = serde_json::from_str(json)?;
                Self::List(items.into_iter().map(|item| Self::read(item.get())).collect::<Result<_, _>>()?)
            }
            Some('{') => {
                let Pairs(pairs) = serde_json::from_str(json)?;
                let node = |(key, value): (String, Box<RawValue>)| {
                    Ok((serde_json::to_string(&key)?, Self::read(value.get())?))
                };
                Self::Map(pairs.into_iter().map(node).collect::<serde_json::Result<_>>()?)
            }
            _ => Self::Atom(json.trim().to_owned()),
        })
    }

    /// On one line.
    fn flat(&self) -> String {
        let join = |parts: Vec<String>| parts.join(", ");
        match self {
            Self::Atom(text) => text.clone(),
            Self::List(items) => format!("[{}]", join(items.iter().map(Self::flat).collect())),
            Self::Map(pairs) if pairs.is_empty() => "{}".to_owned(),
            Self::Map(pairs) => {
                let parts = pairs.iter().map(|(key, value)| format!("{key}: {}", value.flat())).collect();
                format!("{{ {} }}", join(parts))
            }
        }
    }
}

fn lay(node: &Node, indent: &str, used: usize) -> String {
    let flat = node.flat();
    // One more for the comma behind it.
    if used + flat.chars().count() < LINE {
        return flat;
    }
    let deeper = format!("{indent}{STEP}");
    let (open, close, parts): (_, _, Vec<String>) = match node {
        Node::Atom(_) => return flat,
        Node::List(items) => ('[', ']', items.iter().map(|item| lay(item, &deeper, deeper.chars().count())).collect()),
        Node::Map(pairs) => {
            let part = |(key, value): &(String, Node)| {
                let used = deeper.chars().count() + key.chars().count() + 2;
                format!("{key}: {}", lay(value, &deeper, used))
            };
            ('{', '}', pairs.iter().map(part).collect())
        }
    };
    format!("{open}\n{deeper}{}\n{indent}{close}", parts.join(&format!(",\n{deeper}")))
}

/// An object's keys and values in their order.
struct Pairs(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_parts_stand_on_one_line_and_long_ones_do_not() {
        let short = r#"{"b":[1,"x, y"],"a":{},"c":[]}"#;
        assert_eq!(layout(short, "", 0).unwrap(), r#"{ "b": [1, "x, y"], "a": {}, "c": [] }"#);
        let long = format!(r#"{{"list":[{{"k":"{}"}},{{"k":1}}],"z":true}}"#, "é".repeat(80));
        let expected =
            format!("{{\n    \"list\": [{{ \"k\": \"{}\" }}, {{ \"k\": 1 }}],\n    \"z\": true\n  }}", "é".repeat(80));
        assert_eq!(layout(&long, "  ", 10).unwrap(), expected);
        let text = format!("\"{}\"", "x".repeat(300));
        assert_eq!(layout(&text, "  ", 10).unwrap(), text);
    }
}
