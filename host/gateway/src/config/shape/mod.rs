//! A file's tree against the schema: unknown and missing keys, wrong types, text without its form.
//!
//! What is wrong is reported and replaced or left out, so that the rest still becomes a configuration to check further.

mod advice;

use std::ops::Range;

pub(super) use patchbay_artefact::settings::nearest;
use serde_json::{Map, Value, json};

use super::problem::{Problem, Severity};
use super::tree::{Content, Entry, Node, place_of};
use super::{forms, schema};

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    /// Bytes of the text that are never shown.
    pub(super) hidden: Vec<Range<usize>>,
    /// Keys whose values are stand-ins: nothing more is said about them.
    broken: Vec<String>,
}

impl Findings {
    /// Reports a problem of a key, unless something about it was reported already.
    pub(super) fn report(&mut self, tree: &Node, severity: Severity, key: &str, message: String, fix: String) {
        if !self.is_broken(key) {
            self.problems.push(Problem::new(severity, tree.locate(key), key, message, fix));
        }
    }

    /// Whether this key's value is a stand-in, or part of one.
    pub(super) fn is_broken(&self, key: &str) -> bool {
        self.broken.iter().any(|broken| {
            key.strip_prefix(broken.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    fn error(&mut self, place: Range<usize>, key: &str, message: String, fix: String) {
        self.problems.push(Problem::new(Severity::Error, place, key, message, fix));
    }
}

/// The value of the tree, as far as it has the schema's shape.
pub(super) fn check(tree: &Node, findings: &mut Findings) -> Value {
    let root = schema::described();
    let mut walk = Walk { root: &root, findings };
    let value = walk.value(tree, &root, "", 0..0);
    value.unwrap_or_else(|| json!({}))
}

struct Walk<'a> {
    root: &'a Value,
    findings: &'a mut Findings,
}

impl<'a> Walk<'a> {
    /// The value of one node; `None` when it is not what the schema says, which is reported then.
    fn value(&mut self, node: &Node, schema: &'a Value, key: &str, place: Range<usize>) -> Option<Value> {
        let schema = self.target(schema);
        if let Some(choices) = list_of(schema, "oneOf").or_else(|| list_of(schema, "anyOf")) {
            return self.choice(node, choices, schema, key, place);
        }
        let Some(expected) = schema.get("type").and_then(Value::as_str) else { return Some(free(node)) };
        match (expected, &node.content) {
            ("string", Content::Text(text)) => self.text(node, text, schema, key),
            ("integer" | "number", Content::Integer(number)) => {
                self.number(node, *number as f64, json!(number), schema, key)
            }
            ("number", Content::Float(number)) => self.number(node, *number, json!(number), schema, key),
            ("boolean", Content::Boolean(value)) => Some(json!(value)),
            ("array", Content::List(items)) => Some(self.list(items, schema, key, place)),
            ("object", Content::Table(entries)) => Some(self.table(entries, schema, key, place)),
            _ => self.mismatch(node, schema, key, place),
        }
    }

    fn text(&mut self, node: &Node, text: &str, schema: &Value, key: &str) -> Option<Value> {
        let Some(form) = form_of(schema) else { return Some(json!(text)) };
        match (form.check)(text, key) {
            Ok(()) => Some(json!(text)),
            Err(refusal) => {
                if refusal.secret {
                    self.findings.hidden.push(node.span.clone());
                }
                self.findings.error(node.span.clone(), key, refusal.message, refusal.fix);
                None
            }
        }
    }

    fn number(&mut self, node: &Node, number: f64, value: Value, schema: &Value, key: &str) -> Option<Value> {
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
        let (least, most) = (bound("minimum"), bound("maximum"));
        // Not the other way round: NaN is in no range.
        if least.is_none_or(|least| number >= least) && most.is_none_or(|most| number <= most) {
            return Some(value);
        }
        let fix = match (least, most) {
            (Some(least), Some(most)) => format!("write a number from {least} to {most}"),
            (Some(least), None) => format!("write a number of at least {least}"),
            _ => "write a smaller number".into(),
        };
        self.findings.error(node.span.clone(), key, format!("`{}` is out of range", last(key)), fix);
        None
    }

    fn list(&mut self, items: &[Node], schema: &'a Value, key: &str, place: Range<usize>) -> Value {
        if items.is_empty() && schema.get("minItems").and_then(Value::as_u64).is_some_and(|least| least > 0) {
            let message = format!("`{}` is empty", last(key));
            self.findings.error(place, key, message, "write at least one".into());
        }
        let inner = schema.get("items").unwrap_or(&Value::Null);
        let item = |(index, node): (usize, &Node)| {
            let key = format!("{key}[{index}]");
            self.value(node, inner, &key, node.span.clone()).unwrap_or_else(|| self.stand_in(inner, key))
        };
        Value::Array(items.iter().enumerate().map(item).collect())
    }

    fn table(&mut self, entries: &[Entry], schema: &'a Value, key: &str, place: Range<usize>) -> Value {
        let mut values = Map::new();
        let known = schema.get("properties").and_then(Value::as_object);
        let required: Vec<&str> =
            list_of(schema, "required").unwrap_or_default().iter().filter_map(Value::as_str).collect();
        for entry in entries {
            let inner_key = if key.is_empty() { entry.key.clone() } else { format!("{key}.{}", entry.key) };
            if let Some(inner) = known.and_then(|known| known.get(&entry.key)) {
                match self.value(&entry.node, inner, &inner_key, place_of(entry)) {
                    Some(value) => drop(values.insert(entry.key.clone(), value)),
                    // A stand-in where one is needed; otherwise the default takes its place.
                    None if required.contains(&entry.key.as_str()) => {
                        let value = self.stand_in(inner, inner_key);
                        values.insert(entry.key.clone(), value);
                    }
                    None => self.findings.broken.push(inner_key),
                }
            } else if let Some(inner) = schema.get("additionalProperties").filter(|inner| **inner != json!(false)) {
                let value = self.named(entry, schema, inner, inner_key);
                values.insert(entry.key.clone(), value);
            } else {
                self.unknown(entry, known, &inner_key);
            }
        }
        for name in &required {
            if values.contains_key(*name) {
                continue;
            }
            let Some(inner) = known.and_then(|known| known.get(*name)) else { continue };
            let inner_key = if key.is_empty() { (*name).to_owned() } else { format!("{key}.{name}") };
            let fix = self.example(name, inner, &inner_key);
            self.findings.error(place.clone(), &inner_key, format!("`{name}` is missing"), fix);
            let value = self.stand_in(inner, inner_key);
            values.insert((*name).to_owned(), value);
        }
        Value::Object(values)
    }

    /// An entry whose name is the operator's own.
    fn named(&mut self, entry: &Entry, schema: &Value, inner: &'a Value, key: String) -> Value {
        if let Some(form) = schema.get("x-names").and_then(Value::as_str).and_then(forms::form)
            && let Err(refusal) = (form.check)(&entry.key, &key)
        {
            self.findings.error(entry.key_span.clone(), &key, refusal.message, refusal.fix);
        }
        if *inner == json!(true) || inner.as_object().is_some_and(Map::is_empty) {
            if let Some(place) = too_large(&entry.node) {
                self.findings.error(
                    place,
                    &key,
                    "a number that does not fit into 64 bits".into(),
                    "write it as text".into(),
                );
            }
            return free(&entry.node);
        }
        self.value(&entry.node, inner, &key, place_of(entry)).unwrap_or_else(|| self.stand_in(inner, key))
    }

    fn unknown(&mut self, entry: &Entry, known: Option<&'a Map<String, Value>>, key: &str) {
        // A mistyped name can have a secret behind it.
        entry.node.texts(&mut self.findings.hidden);
        let names = || known.into_iter().flat_map(Map::keys).map(String::as_str);
        let fix = match nearest(&entry.key, names()) {
            Some(name) => format!("write `{name}`"),
            None => format!("take it out; the keys here are {}", names().collect::<Vec<_>>().join(", ")),
        };
        self.findings.error(entry.key_span.clone(), key, format!("there is no key `{}` here", entry.key), fix);
    }

    /// One of several shapes: fixed words, tables told apart by a tag, or different types.
    fn choice(
        &mut self,
        node: &Node,
        choices: &'a [Value],
        schema: &'a Value,
        key: &str,
        place: Range<usize>,
    ) -> Option<Value> {
        let words: Vec<&str> =
            choices.iter().filter_map(|choice| choice.get("const")).filter_map(Value::as_str).collect();
        if !words.is_empty() {
            return self.word(node, &words, key);
        }
        if let Some((tag, _)) = choices.first().and_then(tag_of) {
            let Content::Table(_) = node.content else { return self.mismatch(node, schema, key, place) };
            let tags: Vec<&str> = choices.iter().filter_map(tag_of).map(|(_, word)| word).collect();
            let tag_key = format!("{key}.{tag}");
            let Some(entry) = node.entry(tag) else {
                let fix = format!("write {tag} = \"{}\"", tags.join("\" or \""));
                self.findings.error(place, &tag_key, format!("`{tag}` is missing"), fix);
                node.texts(&mut self.findings.hidden);
                return None;
            };
            let Some(Value::String(word)) = self.word(&entry.node, &tags, &tag_key) else {
                let mut texts = Vec::new();
                node.texts(&mut texts);
                self.findings.hidden.extend(texts.into_iter().filter(|text| *text != entry.node.span));
                return None;
            };
            let chosen = choices.iter().find(|choice| tag_of(choice).is_some_and(|(_, tag)| tag == word))?;
            return self.value(node, chosen, key, place);
        }
        let kind = json_type(node);
        let chosen =
            choices.iter().find(|choice| self.target(choice).get("type").and_then(Value::as_str) == Some(kind));
        match chosen {
            Some(chosen) => self.value(node, chosen, key, place),
            None => self.mismatch(node, schema, key, place),
        }
    }

    fn word(&mut self, node: &Node, words: &[&str], key: &str) -> Option<Value> {
        let all = words.join("\", \"");
        let Content::Text(text) = &node.content else {
            let message = format!("`{}` takes text, not {}", last(key), node.kind());
            self.findings.error(node.span.clone(), key, message, format!("write one of \"{all}\""));
            return None;
        };
        if words.contains(&text.as_str()) {
            return Some(json!(text));
        }
        let fix = match nearest(text, words.iter().copied()) {
            Some(near) => format!("write \"{near}\""),
            None => format!("write one of \"{all}\""),
        };
        self.findings.error(node.span.clone(), key, format!("`{}` does not take `{text}`", last(key)), fix);
        None
    }

    fn mismatch(&mut self, node: &Node, schema: &'a Value, key: &str, place: Range<usize>) -> Option<Value> {
        if self.mentions_secret(schema) {
            node.texts(&mut self.findings.hidden);
        }
        let expected = self.expected(schema);
        let message = match node.content {
            Content::TooLarge => format!("`{}` does not fit into 64 bits", last(key)),
            _ => format!("`{}` takes {expected}, not {}", last(key), node.kind()),
        };
        let fix = match (&node.content, form_of(schema)) {
            // `timeout = 30`: what the form says about the bare number is the best advice.
            (Content::Integer(number), Some(form)) => match (form.check)(&number.to_string(), key) {
                Ok(()) => format!("write {} = \"{number}\"", last(key)),
                Err(refusal) => refusal.fix,
            },
            (Content::Table(_), _) if expected.starts_with("a list") => format!("write [[{key}]]"),
            _ => self.example(last(key), schema, key),
        };
        self.findings.error(place, key, message, fix);
        None
    }

    /// What stands in for a value that is wrong or missing.
    fn stand_in(&mut self, schema: &'a Value, key: String) -> Value {
        if !self.findings.is_broken(&key) {
            self.findings.broken.push(key);
        }
        self.any(schema)
    }

    /// What a reference refers to.
    fn target(&self, schema: &'a Value) -> &'a Value {
        let pointer = schema.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix('#'));
        pointer.and_then(|pointer| self.root.pointer(pointer)).unwrap_or(schema)
    }
}

fn list_of<'a>(schema: &'a Value, name: &str) -> Option<&'a [Value]> {
    schema.get(name)?.as_array().map(Vec::as_slice)
}

fn form_of(schema: &Value) -> Option<&'static forms::Form> {
    forms::form(schema.get("x-form")?.as_str()?)
}

/// The property that tells a table's shape, and its word for this one.
fn tag_of(schema: &Value) -> Option<(&str, &str)> {
    let properties = schema.get("properties")?.as_object()?;
    properties.iter().find_map(|(name, inner)| Some((name.as_str(), inner.get("const")?.as_str()?)))
}

fn json_type(node: &Node) -> &'static str {
    match node.content {
        Content::Text(_) | Content::Moment(_) => "string",
        Content::Integer(_) | Content::TooLarge => "integer",
        Content::Float(_) => "number",
        Content::Boolean(_) => "boolean",
        Content::List(_) => "array",
        Content::Table(_) => "object",
    }
}

/// A number in a free table that cannot be kept.
fn too_large(node: &Node) -> Option<Range<usize>> {
    match &node.content {
        Content::TooLarge => Some(node.span.clone()),
        Content::Float(number) if !number.is_finite() => Some(node.span.clone()),
        Content::List(items) => items.iter().find_map(too_large),
        Content::Table(entries) => entries.iter().find_map(|entry| too_large(&entry.node)),
        _ => None,
    }
}

/// Any value as it is: a plugin's own settings.
fn free(node: &Node) -> Value {
    match &node.content {
        Content::Text(text) | Content::Moment(text) => json!(text),
        Content::Integer(number) => json!(number),
        Content::TooLarge => Value::Null,
        Content::Float(number) => json!(number),
        Content::Boolean(value) => json!(value),
        Content::List(items) => items.iter().map(free).collect(),
        Content::Table(entries) => {
            Value::Object(entries.iter().map(|entry| (entry.key.clone(), free(&entry.node))).collect())
        }
    }
}

fn last(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}
