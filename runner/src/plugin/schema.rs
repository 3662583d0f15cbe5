//! Reads the schemas that a plugin declares: what it says of its config and its outputs must be cheap to check and safe to
//! show.
//!
//! The main function is [`read`].

use std::collections::BTreeMap;

use serde_json::Value;

use super::text::is_odd;

/// The longest schema, in bytes.
const MAXIMUM_BYTES: usize = 256 << 10;
/// How many values a schema may have, each counted as often as it is referred to: checking costs that much for every value
/// that is checked, and references to references double with every step.
const MAXIMUM_WEIGHT: usize = 10_000;
/// How many references may follow one another.
const MAXIMUM_HOPS: usize = 32;

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
    jsonschema::meta::validate(&schema).map_err(|error| format!("is not a JSON Schema: {error}"))?;
    let mut weights = Weights { root: &schema, known: BTreeMap::new(), under_way: Vec::new() };
    if weights.of(&schema)? > MAXIMUM_WEIGHT {
        return Err(format!("is too large: with all references followed it has more than {MAXIMUM_WEIGHT} values"));
    }
    Ok(schema)
}

fn holds_odd_text(value: &Value) -> bool {
    let odd = |text: &str| text.chars().any(|c| c != '\n' && is_odd(c));
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => odd(text),
        Value::Array(items) => items.iter().any(holds_odd_text),
        Value::Object(fields) => fields.iter().any(|(name, value)| odd(name) || holds_odd_text(value)),
    }
}

/// Counts values with references followed. What refers to itself has no end.
struct Weights<'a> {
    root: &'a Value,
    known: BTreeMap<&'a str, usize>,
    under_way: Vec<&'a str>,
}

impl<'a> Weights<'a> {
    fn of(&mut self, value: &'a Value) -> Result<usize, String> {
        let mut weight = 1_usize;
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            Value::Array(items) => {
                for item in items {
                    weight = weight.saturating_add(self.of(item)?);
                }
            }
            Value::Object(fields) => {
                for (name, inner) in fields {
                    let added = match (name.as_str(), inner) {
                        ("$ref", Value::String(reference)) => self.of_reference(reference)?,
                        ("$dynamicRef" | "$recursiveRef" | "$anchor" | "$dynamicAnchor", Value::String(_)) => {
                            return Err(format!("uses `{name}`; write `$ref` with `#/$defs/NAME`"));
                        }
                        // It would change what `#` means.
                        ("$id", Value::String(_)) if !std::ptr::eq(self.root, value) => {
                            return Err("has an `$id` within; only its root may have one".to_owned());
                        }
                        _ => self.of(inner)?,
                    };
                    weight = weight.saturating_add(added);
                }
            }
        }
        Ok(weight)
    }

    fn of_reference(&mut self, reference: &'a str) -> Result<usize, String> {
        if let Some(weight) = self.known.get(reference) {
            return Ok(*weight);
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
        let weight = self.of(target)?;
        self.under_way.pop();
        self.known.insert(reference, weight);
        Ok(weight)
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
