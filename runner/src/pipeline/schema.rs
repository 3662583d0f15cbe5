//! Checks values against a JSON Schema, within a bound.
//!
//! The main type is [`Schema`]. The pipeline file itself, the config of every plugin and its outputs are checked by it. Neither
//! schemas nor values can be trusted: a plugin declares the one and answers the other.

use jsonschema::Validator;
use serde_json::{Map, Value};

use super::document::segments;
use super::findings::{Collector, Findings};
use super::metered::{Metered, Seen};
use super::pattern::{SchemaOrigin, SchemaPatterns, to_match_some};
use crate::steps::{Spent, Steps};

/// How many steps the check of one value may take. A step is one of the validator's looks at a part of the value.
pub(crate) const CHECK: u64 = 2_000_000;

/// How many it may take to say only the first of what is wrong with it. Errors take room: some 16 bytes a step.
const FIRST: u64 = 2_000_000;

/// How many it may take in all, where something is wrong.
pub(crate) const EXPLAINED: u64 = CHECK / 2 + FIRST;

/// The longest description that a message repeats, in characters.
const LONGEST_DESCRIPTION: usize = 500;

/// The longest message about a schema that is none, in characters.
const LONGEST_REASON: usize = 600;

/// A JSON Schema, ready to check values.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    text: Value,
    validator: Validator<Metered>,
    /// What the validator's look at 16 bytes of a property's name costs.
    per_name: u64,
}

/// A value cannot be checked within its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("to check it against its schema takes more than {allowed} steps")]
pub struct Costly {
    allowed: u64,
}

impl Schema {
    /// Prepare a schema.
    pub(crate) fn new(text: Value) -> Result<Self, String> {
        Self::of(text, SchemaOrigin::Foreign)
    }

    /// Prepare a schema that comes from `origin`.
    pub(crate) fn of(text: Value, origin: SchemaOrigin) -> Result<Self, String> {
        let names = patterns_of_names(&text);
        let mut refusal = format!("it has {names} patterns of names, which are too many");
        // The smallest size that is enough tells what the patterns of names cost.
        for (size, options) in SchemaPatterns::sizes(names) {
            let patterns = SchemaPatterns::new(origin);
            let built = jsonschema::options_for::<Metered>()
                .offline()
                // What formats are good for cannot be bounded: one of them compiles the value as a pattern.
                .should_validate_formats(false)
                .with_pattern_options(options)
                .with_keyword("pattern", move |parent, value, path| patterns.keyword(parent, value, path))
                .build(&text);
            match built {
                Ok(validator) => {
                    let per_name = if names == 0 { 1 } else { to_match_some(size, names) };
                    return Ok(Self { text, validator, per_name });
                }
                Err(error) => refusal = error.to_string(),
            }
            if names == 0 {
                break;
            }
        }
        Err(shortened(&refusal, LONGEST_REASON))
    }

    /// Its text.
    pub(crate) fn text(&self) -> &Value {
        &self.text
    }

    /// What `value` breaks. `unknown` are pointers to values that are not known yet: nothing is said about them.
    ///
    /// # Errors
    /// It takes more steps than one value may take, or than there are.
    pub(crate) fn check(&self, value: &Value, unknown: &[String], steps: &Steps) -> Result<Findings, Costly> {
        self.check_within(CHECK, value, unknown, steps)
    }

    /// The same for a value that may take so many steps.
    pub(crate) fn check_within(
        &self,
        most: u64,
        value: &Value,
        unknown: &[String],
        steps: &Steps,
    ) -> Result<Findings, Costly> {
        let effort = steps.part(most);
        let satisfied = self.validator.is_valid(Seen::new(value, &effort, self.per_name));
        let costly = Costly { allowed: effort.allowed() };
        steps.join(&effort).map_err(|_| costly)?;
        if effort.are_spent() {
            return Err(costly);
        }
        let mut collector = Collector::new(self, unknown);
        if !satisfied && self.explain(most / 2, value, steps, &mut collector).is_err() {
            collector.give_up();
        }
        Ok(collector.done())
    }

    /// All that is wrong with a value, or the first of it where that is too much.
    fn explain(&self, most: u64, value: &Value, steps: &Steps, collector: &mut Collector<'_>) -> Result<(), Spent> {
        let effort = steps.part(most);
        let errors = self.validator.iter_errors(Seen::new(value, &effort, self.per_name));
        steps.join(&effort)?;
        if !effort.are_spent() {
            errors.for_each(|error| collector.add(&error));
            return Ok(());
        }
        drop(errors);
        let effort = steps.part(FIRST);
        let first = self.validator.validate(Seen::new(value, &effort, self.per_name));
        steps.join(&effort)?;
        if effort.are_spent() {
            return Err(Spent);
        }
        if let Err(error) = first {
            collector.add(&error);
        }
        collector.cut();
        Ok(())
    }

    /// The schema of the value at a pointer, where that can be told without knowing the value.
    pub(crate) fn at(&self, pointer: &str) -> Option<&Value> {
        segments(pointer).iter().try_fold(self.resolve(&self.text, 0)?, |schema, segment| {
            let property = schema.get("properties").and_then(|properties| properties.get(segment));
            let inner = property.or_else(|| match segment.parse::<usize>() {
                Ok(_) if schema.get("items").is_some() && schema.get("prefixItems").is_none() => schema.get("items"),
                _ if schema.get("patternProperties").is_none() => schema.get("additionalProperties"),
                _ => None,
            });
            self.resolve(inner?, 0)
        })
    }

    /// Follows references inside the schema.
    fn resolve<'a>(&'a self, schema: &'a Value, depth: usize) -> Option<&'a Value> {
        match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) if depth < 16 => self.resolve(self.text.pointer(reference.strip_prefix('#')?)?, depth + 1),
            Some(_) => None,
            None => Some(schema),
        }
    }

    /// The types that the value at a pointer may have, where the schema names them.
    pub(crate) fn types_at(&self, pointer: &str) -> Option<Vec<&str>> {
        match self.at(pointer)?.get("type")? {
            Value::String(only) => Some(vec![only]),
            Value::Array(several) => several.iter().map(Value::as_str).collect(),
            _ => None,
        }
    }

    /// What the schema says about the value at a pointer.
    pub(crate) fn description(&self, pointer: &str) -> Option<String> {
        self.at(pointer).and_then(description_of)
    }

    /// The names of the properties that the schema declares for its root.
    pub(crate) fn properties(&self) -> Vec<&str> {
        let properties = self.at("").and_then(|root| root.get("properties")).and_then(Value::as_object);
        properties.into_iter().flat_map(|properties| properties.keys().map(String::as_str)).collect()
    }

    /// The names of the properties that the schema declares for the value at a pointer.
    pub(super) fn property_names(&self, pointer: &str) -> Vec<String> {
        let properties = self.at(pointer).and_then(|schema| schema.get("properties")).and_then(Value::as_object);
        properties.into_iter().flat_map(|properties| properties.keys().cloned()).collect()
    }

    /// Whether the root may have properties that it does not name.
    pub(crate) fn is_open(&self) -> bool {
        match self.at("").and_then(|root| root.get("additionalProperties")) {
            Some(Value::Bool(open)) => *open,
            Some(_) => true,
            // JSON Schema's own default is "anything goes"; a plugin that means it says so.
            None => false,
        }
    }
}

fn description_of(schema: &Value) -> Option<String> {
    let text = schema.get("description").and_then(Value::as_str)?;
    Some(shortened(text, LONGEST_DESCRIPTION).replace('\n', " "))
}

/// The beginning of a text, where it has more than `most` characters.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// How many patterns the names of a value's properties may be matched with.
fn patterns_of_names(schema: &Value) -> usize {
    match schema {
        Value::Object(map) => {
            let own = map.get("patternProperties").and_then(Value::as_object).map_or(0, Map::len);
            own + map.values().map(patterns_of_names).sum::<usize>()
        }
        Value::Array(items) => items.iter().map(patterns_of_names).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// The name of a JSON value's type, as TOML's readers know it.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A type with its article, in TOML's words.
pub(crate) fn article(kind: &str) -> &str {
    match kind {
        "object" => "a table",
        "array" => "a list",
        "integer" => "an integer",
        "string" => "a string",
        "boolean" => "a boolean",
        "number" => "a number",
        other => other,
    }
}

/// Types with their articles.
pub(crate) fn types(expected: &[String]) -> String {
    expected.iter().map(|kind| article(kind)).collect::<Vec<_>>().join(" or ")
}

/// Allowed values: so many are told.
const OPTIONS: usize = 24;

/// Allowed values.
pub(crate) fn one_of(options: &[String]) -> String {
    let quoted: Vec<String> =
        options.iter().take(OPTIONS).map(|option| format!("`{}`", shortened(option, LONGEST_DESCRIPTION))).collect();
    match (quoted.as_slice(), options.len().saturating_sub(OPTIONS)) {
        ([only], _) => only.clone(),
        (several, 0) => format!("one of {}", several.join(", ")),
        (several, more) => format!("one of {} and {more} more", several.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::pipeline::findings::Finding;

    fn schema() -> Schema {
        Schema::new(json!({
            "type": "object", "additionalProperties": false, "required": ["image", "count"],
            "properties": {
                "image": {"type": "string", "description": "The image by digest."},
                "count": {"type": "integer", "minimum": 1, "description": "How many."},
                "mode": {"enum": ["a", "b"]},
                "list": {"type": "array", "items": {"$ref": "#/$defs/item"}},
                "either": {"anyOf": [{"type": "string"}, {"type": "object", "required": ["x"]}]},
            },
            "$defs": {"item": {"type": "object", "properties": {"id": {"type": "string"}}}},
        }))
        .unwrap_or_else(|error| unreachable!("{error}"))
    }

    fn sentences(value: Value, unknown: &[&str]) -> Vec<String> {
        let unknown: Vec<String> = unknown.iter().map(|pointer| (*pointer).to_owned()).collect();
        let findings =
            schema().check(&value, &unknown, &Steps::of(CHECK)).unwrap_or_else(|costly| unreachable!("{costly}"));
        let mut all: Vec<String> = findings.list.iter().map(Finding::sentence).collect();
        all.sort();
        all
    }

    #[test]
    fn all_that_is_broken_is_told() {
        insta::assert_snapshot!(
            sentences(json!({"imag": 1, "count": 0, "mode": "c", "list": [{"id": 1}], "either": {}}), &[]).join("\n"),
        );
    }

    #[test]
    fn unknown_values_are_exempt_and_their_neighbours_are_not() {
        let value = json!({"image": 5, "count": "(known after build)", "list": [{"id": 1}, {"id": 2}]});
        assert_eq!(
            sentences(value, &["/count", "/list/0"]),
            ["/image must be a string, not an integer", "/list/1/id must be a string, not an integer"]
        );
        let either = json!({"image": "", "count": 1, "either": {"y": 1}});
        assert_eq!(sentences(either.clone(), &[]), ["/either lacks `x`"]);
        assert_eq!(sentences(either, &["/either/y"]), ["/either lacks `x`"], "whatever `y` is worth");
    }

    #[test]
    fn alternatives_are_refused_where_none_can_fit_whatever_is_unknown() {
        let schema = Schema::new(json!({
            "type": "object",
            "properties": { "of": {} },
            "oneOf": [
                { "required": ["a"], "not": { "required": ["b"] } },
                { "required": ["b"], "properties": { "mode": { "const": "new" } } },
            ],
        }))
        .unwrap_or_else(|error| unreachable!("{error}"));
        let told = |value: Value| {
            let unknown = ["/of".to_owned(), "/b".to_owned(), "/c".to_owned()];
            let findings =
                schema.check(&value, &unknown, &Steps::of(CHECK)).unwrap_or_else(|costly| unreachable!("{costly}"));
            findings.list.len()
        };
        assert_eq!(told(json!({ "of": "(later)" })), 1, "neither is there");
        assert_eq!(told(json!({ "of": "(later)", "a": 1 })), 0);
        assert_eq!(told(json!({ "of": "(later)", "b": "(later)" })), 0);
        assert_eq!(told(json!({ "b": "(later)", "mode": "old" })), 1, "the first lacks `a`, the second is not new");
        assert_eq!(told(json!({ "a": 1, "b": "(later)", "mode": "old" })), 1, "that `b` is there is known");
        assert_eq!(told(json!({ "of": "(later)", "b": "(later)", "mode": "old", "c": "(later)" })), 1);
    }

    fn list(count: usize, item: impl Fn(usize) -> Value) -> Value {
        (0..count).map(item).collect()
    }

    /// Schemas at the limits of what a plugin may declare.
    fn worst() -> Vec<(&'static str, Value)> {
        let mut again = json!({"type": "object"});
        for level in 0..5 {
            let beside = json!([{"required": [format!("x{level}")]}, true]);
            again = json!({"allOf": [again], "anyOf": beside, "unevaluatedProperties": {"type": "string"}});
        }
        let mut alternatives = json!({"type": "integer"});
        for _ in 0..11 {
            alternatives = json!({"anyOf": [alternatives, alternatives]});
        }
        let named = |index: usize| (format!("p{index}"), json!({"type": "integer"}));
        vec![
            ("constants", json!({"items": {"anyOf": list(3_000, |i| json!({"const": i.to_string()}))}})),
            ("alternatives", json!({"items": alternatives, "additionalProperties": alternatives})),
            ("looked at again", again),
            (
                "many that were looked at",
                json!({
                    "anyOf": list(600, |i| json!({"properties": {format!("r{i}"): true}})), "unevaluatedProperties": false,
                }),
            ),
            (
                "properties",
                json!({
                    "properties": (0..4_900).map(named).collect::<Map<_, _>>(), "required": list(4_900, |i| json!(format!("q{i}"))),
                }),
            ),
            ("an enumeration", json!({"items": {"enum": list(9_000, |i| json!([i]))}})),
            (
                "patterns",
                json!({"additionalProperties": {"allOf": list(100, |i| json!({"pattern": format!("a[ab]{{{i}}}c")}))}}),
            ),
            (
                "patterns of names",
                json!({
                    "patternProperties": (0..500).map(|i| (format!("a[ab]{{9}}{i}"), json!(true))).collect::<Map<_, _>>(),
                }),
            ),
            ("a contained one", json!({"contains": {"contains": {"const": 1}}, "minContains": 9_000})),
        ]
    }

    #[test]
    fn whatever_is_checked_is_checked_within_its_steps() {
        let texts = list(20_000, |i| json!(format!("text-{i}")));
        let last = list(20_000, |_| json!("2999"));
        let lists = list(10_000, |i| json!([i, [i]]));
        let object: Map<_, _> = (0..9_000).map(|i| (format!("p{i}"), json!("abab".repeat(6)))).collect();
        let long = json!({"p1": "ab".repeat(100_000)});
        for (name, schema) in worst() {
            let schema = Schema::new(schema).unwrap_or_else(|error| unreachable!("{name}: {error}"));
            for value in [&texts, &last, &lists, &Value::Object(object.clone()), &long] {
                let steps = Steps::of(u64::MAX);
                match schema.check(value, &[], &steps) {
                    Ok(findings) => assert!(findings.list.len() <= 1_000, "{name}"),
                    Err(costly) => assert_eq!(costly, Costly { allowed: CHECK }, "{name}"),
                }
                assert!(steps.taken() <= CHECK + EXPLAINED, "{name}: {}", steps.taken());
            }
        }
    }

    #[test]
    fn the_first_of_too_many_problems_is_told() {
        let schema = json!({"items": {"anyOf": list(3_000, |i| json!({"const": format!("c{i}")}))}});
        let schema = Schema::new(schema).unwrap_or_else(|error| unreachable!("{error}"));
        let told = schema.check(&list(20_000, |i| json!(format!("t{i}"))), &[], &Steps::of(u64::MAX));
        let told = told.unwrap_or_else(|costly| unreachable!("{costly}"));
        assert_eq!((told.list.len(), told.complete), (1, false));
        let sentence = told.list.first().map(Finding::sentence).unwrap_or_default();
        assert!(sentence.starts_with("/0 must be one of `c0`, `c1`"), "{sentence}");
        assert!(sentence.ends_with("`c23` and 2976 more"), "{sentence}");
    }

    #[test]
    fn patterns_are_found_too_large_before_they_are_compiled() {
        let refused = |schema: Value| Schema::new(schema).err().unwrap_or_default();
        for pattern in [r"\p{L}{200}", "((a{100}){100}){100}", "(a|b){5000}"] {
            assert!(refused(json!({"pattern": pattern})).contains("or is too large"), "{pattern}");
        }
        assert!(refused(json!({"pattern": "a".repeat(1_001)})).contains("longer than 1000"));
        let many = list(400, |i| json!({"pattern": format!("[a-z]{{200}}{i}")}));
        assert!(refused(json!({"allOf": many})).contains("with those before it, it is too large"));
        let names: Map<_, _> = (0..3_000).map(|i| (format!("[a-z]{i}"), json!(true))).collect();
        assert!(refused(json!({"patternProperties": names})).contains("3000 patterns of names"));
    }

    #[test]
    fn formats_are_said_and_not_checked() {
        let schema = json!({"$schema": "http://json-schema.org/draft-07/schema#", "format": "regex"});
        let schema = Schema::new(schema).unwrap_or_else(|error| unreachable!("{error}"));
        let checked = schema.check(&json!("("), &[], &Steps::of(CHECK));
        assert!(checked.is_ok_and(|findings| findings.list.is_empty()));
    }

    #[test]
    fn the_schema_of_a_place_is_found() {
        assert_eq!(schema().types_at("/list/7/id"), Some(vec!["string"]));
        assert_eq!(schema().types_at("/mode"), None);
        assert_eq!(schema().properties(), ["image", "count", "mode", "list", "either"]);
    }
}
