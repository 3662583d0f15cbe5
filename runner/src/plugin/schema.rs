//! Reads the schemas that a plugin declares: what it says of its config and its outputs must be cheap to check and safe to
//! show.
//!
//! The main function is [`read`].

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harmless::is_unseen;

/// The longest schema, in bytes.
const MAXIMUM_BYTES: usize = 256 << 10;
/// How many values a schema may have, each counted as often as it is referred to: checking costs that much for every value
/// that is checked, and references to references double with every step.
const MAXIMUM_WEIGHT: usize = 10_000;
/// How much more a schema weighs that forbids what nothing else allows: to find that out, all that stands beside it is looked at
/// again, and each level of it looks at the next again.
const UNEVALUATED: usize = 4;
/// How deep it may be, with references followed: each level is a frame of whoever compiles or checks it.
const MAXIMUM_DEPTH: usize = 192;
/// How many references may follow one another.
const MAXIMUM_HOPS: usize = 32;
/// The longest name and the longest pattern, in bytes: errors repeat them.
const MAXIMUM_NAME: usize = 1_000;
/// How many bytes the places of all its values have together: what is compiled of it names each.
const MAXIMUM_PLACES: usize = 4 << 20;

/// The schema in `text`, or why it is none that kiln uses, as a clause with `it` left out: "is not JSON: …".
pub(super) fn read(text: &str) -> Result<Value, String> {
    if text.len() > MAXIMUM_BYTES {
        return Err(format!("has {} KiB; at most {} are read", text.len() >> 10, MAXIMUM_BYTES >> 10));
    }
    let schema: Value = serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))?;
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err("does not say at its root that it is of an object (`\"type\": \"object\"`)".to_owned());
    }
    if holds_odd_text(&schema) {
        return Err("holds control characters or characters that hide or reorder text".to_owned());
    }
    let mut size = SchemaSize { root: &schema, known: BTreeMap::new(), under_way: Vec::new(), places: 0 };
    if size.of(&schema, SchemaPosition::Schema, 0)?.weight > MAXIMUM_WEIGHT {
        return Err(format!("is too large: with all references followed it has more than {MAXIMUM_WEIGHT} values"));
    }
    jsonschema::meta::validate(&schema).map_err(|error| format!("is not a JSON Schema: {error}"))?;
    Ok(schema)
}

fn holds_odd_text(value: &Value) -> bool {
    let odd = |text: &str| text.chars().any(|c| c != '\n' && is_unseen(c));
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => odd(text),
        Value::Array(items) => items.iter().any(holds_odd_text),
        Value::Object(fields) => fields.iter().any(|(name, value)| odd(name) || holds_odd_text(value)),
    }
}

/// How large a part of a schema is, with references followed.
#[derive(Debug, Clone, Copy)]
struct Extent {
    weight: usize,
    depth: usize,
}

/// What a value in a schema is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SchemaPosition {
    /// A schema, or a list of them.
    Schema,
    /// Schemas by names that mean nothing themselves.
    Schemas,
    /// Any JSON.
    Data,
}

impl SchemaPosition {
    /// What the field of such a value is.
    fn within(self, name: &str) -> Self {
        match (self, name) {
            (Self::Data, _) => Self::Data,
            (Self::Schemas, _) => Self::Schema,
            (
                Self::Schema,
                "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" | "dependencies",
            ) => Self::Schemas,
            (Self::Schema, "const" | "enum" | "default" | "examples") => Self::Data,
            (Self::Schema, _) => Self::Schema,
        }
    }
}

/// Whether one of the names that are required, always or beside another, is too long.
fn holds_long_name(required: &Value) -> bool {
    let long = |list: &Value| {
        let mut names = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        names.any(|name| name.len() > MAXIMUM_NAME)
    };
    long(required) || required.as_object().is_some_and(|lists| lists.values().any(long))
}

/// Measures a schema before anything is made of it. What refers to itself has no end.
struct SchemaSize<'a> {
    root: &'a Value,
    known: BTreeMap<&'a str, Extent>,
    under_way: Vec<&'a str>,
    /// How many bytes the places of the values so far have.
    places: usize,
}

impl<'a> SchemaSize<'a> {
    /// The extent of a value whose place has so many bytes.
    fn of(&mut self, value: &'a Value, kind: SchemaPosition, place: usize) -> Result<Extent, String> {
        self.places = self.places.saturating_add(place);
        if self.places > MAXIMUM_PLACES {
            return Err(format!("is too large: the paths to its values have more than {} MiB", MAXIMUM_PLACES >> 20));
        }
        let mut extent = Extent { weight: 1, depth: 1 };
        let mut add = |inner: Extent| {
            extent.weight = extent.weight.saturating_add(inner.weight);
            extent.depth = extent.depth.max(inner.depth.saturating_add(1));
        };
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            Value::Array(items) => {
                for item in items {
                    add(self.of(item, kind, place + 5)?);
                }
            }
            Value::Object(fields) => {
                for (name, inner) in fields {
                    add(self.of_field(value, kind, name, inner, place + name.len() + 1)?);
                }
                let again = ["unevaluatedProperties", "unevaluatedItems"];
                if kind == SchemaPosition::Schema && again.iter().any(|name| fields.contains_key(*name)) {
                    extent.weight = extent.weight.saturating_mul(UNEVALUATED);
                }
            }
        }
        if extent.depth > MAXIMUM_DEPTH {
            return Err(format!("is too deep: with all references followed it has more than {MAXIMUM_DEPTH} levels"));
        }
        Ok(extent)
    }

    fn of_field(
        &mut self,
        of: &'a Value,
        kind: SchemaPosition,
        name: &'a str,
        inner: &'a Value,
        place: usize,
    ) -> Result<Extent, String> {
        if name.len() > MAXIMUM_NAME {
            return Err(format!("has a name with more than {MAXIMUM_NAME} characters"));
        }
        match (name, inner) {
            _ if kind != SchemaPosition::Schema => self.of(inner, kind.within(name), place),
            ("$ref", Value::String(reference)) => self.of_reference(reference),
            ("$dynamicRef" | "$recursiveRef" | "$anchor" | "$dynamicAnchor", Value::String(_)) => {
                Err(format!("uses `{name}`; write `$ref` with `#/$defs/NAME`"))
            }
            // It would change what `#` means.
            ("$id", Value::String(_)) if !std::ptr::eq(self.root, of) => {
                Err("has an `$id` within; only its root may have one".to_owned())
            }
            ("pattern", Value::String(text)) if text.len() > MAXIMUM_NAME => {
                Err(format!("has a pattern with more than {MAXIMUM_NAME} characters"))
            }
            ("required" | "dependentRequired" | "dependencies", names) if holds_long_name(names) => {
                Err(format!("requires a name with more than {MAXIMUM_NAME} characters"))
            }
            _ => self.of(inner, kind.within(name), place),
        }
    }

    fn of_reference(&mut self, reference: &'a str) -> Result<Extent, String> {
        if let Some(extent) = self.known.get(reference) {
            return Ok(*extent);
        }
        let target = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
        let Some(target) = target else {
            return Err(format!("refers to `{reference}`, which is not within it"));
        };
        if self.under_way.contains(&reference) || reference == "#" {
            return Err(format!("refers to itself (`{reference}`)"));
        }
        if self.under_way.len() >= MAXIMUM_HOPS {
            return Err(format!("has more than {MAXIMUM_HOPS} references in a row"));
        }
        self.under_way.push(reference);
        let extent = self.of(target, SchemaPosition::Schema, reference.len())?;
        self.under_way.pop();
        self.known.insert(reference, extent);
        Ok(extent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_may_be_used_again_but_not_within_itself() {
        let shared = r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/x"},"b":{"$ref":"#/$defs/x"}},
            "$defs":{"x":{"type":"string"}},"$id":"https://example.com/x"}"##;
        assert!(read(shared).is_ok(), "{:?}", read(shared));
        let wrong = |text: &str| read(text).err().unwrap_or_default();
        assert!(wrong(r##"{"type":"object","properties":{"a":{"$ref":"#"}}}"##).contains("itself"));
        let around = r##"{"type":"object","$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"not":{"$ref":"#/$defs/a"}}}}"##;
        assert!(wrong(around).contains("itself"), "{}", wrong(around));
        let parent = r##"{"type":"object","properties":{"a":{"allOf":[{"$ref":"#/properties"}]}}}"##;
        assert!(wrong(parent).contains("itself"), "{}", wrong(parent));
        assert!(wrong(r##"{"type":"object","$defs":{"a":{"$id":"x"}}}"##).contains("`$id`"));
        assert!(wrong(r##"{"type":"object","properties":{"a":{"$ref":"file:///x"}}}"##).contains("not within it"));
    }

    #[test]
    fn a_property_may_have_the_name_of_a_keyword() {
        assert!(read(r#"{"type":"object","properties":{"$ref":{"type":"string"},"$id":{"type":"string"}}}"#).is_ok());
    }
}
