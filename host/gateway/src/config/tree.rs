//! A TOML document as a tree that knows where each part stands.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::problem::Problem;
use super::render::position;
use super::shape::Findings;

/// A value and its bytes in the text.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) span: Range<usize>,
    pub(super) content: Content,
}

/// A value.
#[derive(Debug)]
pub(super) enum Content {
    Text(String),
    Integer(i64),
    /// An integer that 64 bits do not hold.
    TooLarge,
    Float(f64),
    Boolean(bool),
    /// A date or time: no key takes one.
    Moment(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) node: Node,
}

impl Node {
    /// What it is, for people.
    pub(super) const fn kind(&self) -> &'static str {
        match self.content {
            Content::Text(_) => "text",
            Content::Integer(_) | Content::TooLarge => "a whole number",
            Content::Float(_) => "a fraction",
            Content::Boolean(_) => "true or false",
            Content::Moment(_) => "a date or time",
            Content::List(_) => "a list",
            Content::Table(_) => "a table",
        }
    }

    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.content {
            Content::Table(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// Every text in it: what might be a secret where nobody expected one.
    pub(super) fn texts(&self, found: &mut Vec<Range<usize>>) {
        match &self.content {
            Content::List(nodes) => nodes.iter().for_each(|node| node.texts(found)),
            Content::Table(entries) => entries.iter().for_each(|entry| entry.node.texts(found)),
            _ => found.push(self.span.clone()),
        }
    }

    /// Where `key` (`desks.zendesk.plugin`, `chains[0].steps[1]`) stands: its value's place, or the key of the
    /// innermost table on the way that is there.
    pub(super) fn locate(&self, key: &str) -> Range<usize> {
        self.walk(key).0
    }

    /// Every text in the value of `key`: what is never to be shown of it.
    pub(super) fn texts_of(&self, key: &str, found: &mut Vec<Range<usize>>) {
        if let (_, Some(node)) = self.walk(key) {
            node.texts(found);
        }
    }

    /// The place of a key as far as it is there, and its value if all of it is.
    fn walk(&self, key: &str) -> (Range<usize>, Option<&Self>) {
        let mut place = 0..0;
        let mut node = self;
        for part in key.split('.') {
            let (name, indices) = part.split_once('[').unwrap_or((part, ""));
            let Some(entry) = node.entry(name) else { return (place, None) };
            node = &entry.node;
            place = place_of(entry);
            for index in indices.split('[').filter_map(|index| index.trim_end_matches(']').parse::<usize>().ok()) {
                let Content::List(nodes) = &node.content else { return (place, None) };
                let Some(item) = nodes.get(index) else { return (place, None) };
                node = item;
                place = item.span.clone();
            }
        }
        (place, Some(node))
    }
}

/// The place to point at for an entry: a plain value itself, the key of a table or list.
pub(super) fn place_of(entry: &Entry) -> Range<usize> {
    match entry.node.content {
        Content::List(_) | Content::Table(_) => entry.key_span.clone(),
        _ => entry.node.span.clone(),
    }
}

/// Reads the text. `None` when it is no TOML; what is wrong with it is among the findings then.
pub(super) fn parse(text: &str, findings: &mut Findings) -> Option<Node> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        let span = table.span();
        return Some(Node { span, content: Content::Table(entries(table.into_inner())) });
    }
    // One slip makes the reader stumble several times over its line.
    let mut lines = BTreeSet::new();
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        if lines.insert(position(text, span.start).0) {
            findings.problems.push(Problem::syntax(span, error.message().to_owned()));
        }
    }
    None
}

fn entries(table: DeTable<'_>) -> Vec<Entry> {
    let entry = |(key, value): (Spanned<_>, Spanned<_>)| {
        let key_span = key.span();
        let key: std::borrow::Cow<'_, str> = key.into_inner();
        Entry { key: key.into_owned(), key_span, node: node(value) }
    };
    table.into_iter().map(entry).collect()
}

fn list(array: DeArray<'_>) -> Vec<Node> {
    array.into_iter().map(node).collect()
}

fn node(value: Spanned<DeValue<'_>>) -> Node {
    let span = value.span();
    let content = match value.into_inner() {
        DeValue::String(text) => Content::Text(text.into_owned()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Content::TooLarge, Content::Integer)
        }
        DeValue::Float(number) => number.as_str().parse().map_or(Content::TooLarge, Content::Float),
        DeValue::Boolean(value) => Content::Boolean(value),
        DeValue::Datetime(moment) => Content::Moment(moment.to_string()),
        DeValue::Array(array) => Content::List(list(array)),
        DeValue::Table(table) => Content::Table(entries(table)),
    };
    Node { span, content }
}
