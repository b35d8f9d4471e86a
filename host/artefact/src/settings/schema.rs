//! A part of a schema, with what it refers to.

use jsonschema::paths::{Location, LocationSegment};
use serde_json::Value;

/// A part of a schema. What stands beside a reference counts before what it refers to, as a title of its own does.
#[derive(Clone, Copy)]
pub(super) struct Schema<'a> {
    root: &'a Value,
    own: &'a Value,
    referred: &'a Value,
}

impl<'a> Schema<'a> {
    fn of(root: &'a Value, own: &'a Value) -> Self {
        let reference = own.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
        Self { root, own, referred: reference.and_then(|pointer| root.pointer(pointer)).unwrap_or(own) }
    }

    /// The part that has the keyword at the end of an evaluation path, which goes through references. Where the path leads
    /// nowhere, a part that says nothing.
    pub(super) fn at(root: &'a Value, path: &Location) -> Self {
        let mut steps: Vec<LocationSegment<'_>> = path.iter().collect();
        steps.pop();
        let mut schema = Self::of(root, root);
        for step in steps {
            let next = match &step {
                // The keyword stands in what is referred to, which belongs to this part.
                LocationSegment::Property(name) if name == "$ref" => continue,
                LocationSegment::Property(name) => schema.get(name),
                // A property can be called `49`.
                LocationSegment::Index(index) => schema.referred.get(index).or_else(|| schema.get(&index.to_string())),
            };
            schema = Self::of(root, next.unwrap_or(&Value::Null));
        }
        schema
    }

    /// What it has under a key.
    pub(super) fn get(self, key: &str) -> Option<&'a Value> {
        self.own.get(key).or_else(|| self.referred.get(key))
    }

    /// The schema under a key.
    pub(super) fn below(self, key: &str) -> Option<Self> {
        self.get(key).map(|own| Self::of(self.root, own))
    }

    /// The names of its properties.
    pub(super) fn names(self) -> Vec<&'a str> {
        let properties = self.get("properties").and_then(Value::as_object);
        properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect()
    }

    /// The schema of a property; one that says nothing where there is none.
    pub(super) fn property(self, name: &str) -> Self {
        let own = self.get("properties").and_then(|all| all.get(name)).unwrap_or(&Value::Null);
        Self::of(self.root, own)
    }
}
