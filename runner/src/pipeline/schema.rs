//! Checks values against a JSON Schema and says what is wrong in words that fit a pipeline file.
//!
//! The main type is [`Schema`]. The pipeline file itself, the config of every plugin and its outputs are checked by it.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

use super::document::{join, segments};

/// A JSON Schema, ready to check values.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    text: Value,
    validator: Validator,
}

/// Something that a value breaks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finding {
    /// JSON pointer to the value that breaks it.
    pub(crate) pointer: String,
    /// What is broken.
    pub(crate) problem: Problem,
    /// What the schema says about the value.
    pub(crate) description: Option<String>,
    /// Whether the rule is about what lies inside the value, in a way that an unknown value inside may change.
    sensitive: bool,
}

/// What a value breaks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Problem {
    /// The object has a property that it must not have.
    Unknown { key: String, known: Vec<String> },
    /// The object lacks a property.
    Missing { key: String, description: Option<String> },
    /// The value is of another type.
    Type { expected: Vec<String>, found: &'static str },
    /// The value is none of those that are allowed.
    NotOneOf { options: Vec<String> },
    /// The value does not match a regular expression.
    Pattern { pattern: String },
    /// Something else: a sentence about `it`.
    Other { sentence: String },
}

impl Schema {
    /// Prepare a schema.
    pub(crate) fn new(text: Value) -> Result<Self, String> {
        let validator = jsonschema::options()
            .offline()
            // Linear in the length of the text, whatever the pattern.
            .with_pattern_options(PatternOptions::regex())
            .build(&text)
            .map_err(|error| error.to_string())?;
        Ok(Self { text, validator })
    }

    /// All that `value` breaks. `unknown` are pointers to values that are not known yet: nothing is said about them.
    pub(crate) fn check(&self, value: &Value, unknown: &[String]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for error in self.validator.iter_errors(value) {
            self.collect(&error, unknown, &mut findings);
        }
        findings.retain(|finding| !finding.is_exempt(unknown));
        findings
    }

    fn collect(&self, error: &ValidationError<'_>, unknown: &[String], findings: &mut Vec<Finding>) {
        let pointer = error.instance_path().as_str().to_owned();
        let schema = self.at(&pointer);
        let description = schema.and_then(description_of);
        if let ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } = error.kind()
            && !unknown.iter().any(|inner| is_inside(inner, &pointer))
        {
            if let Some(problem) = constants(context, error.instance()) {
                findings.push(Finding { pointer, problem, description, sensitive: false });
                return;
            }
            if let Some(branch) = nearest_branch(context, &pointer) {
                for error in branch {
                    self.collect(error, unknown, findings);
                }
                return;
            }
        }
        let conditional =
            error.schema_path().segments().any(|segment| matches!(segment.to_string().as_str(), "then" | "else"));
        let mut add = |problem, sensitive| {
            let description = description.clone();
            findings.push(Finding {
                pointer: pointer.clone(),
                problem,
                description,
                sensitive: sensitive || conditional,
            });
        };
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                let properties = schema.and_then(|schema| schema.get("properties")).and_then(Value::as_object);
                let known: Vec<String> = properties.into_iter().flat_map(|map| map.keys().cloned()).collect();
                for key in unexpected {
                    add(Problem::Unknown { key: key.clone(), known: known.clone() }, false);
                }
            }
            ValidationErrorKind::Required { property } => {
                let key = property.as_str().unwrap_or_default().to_owned();
                let description = self.description(&join(&pointer, &key));
                add(Problem::Missing { key, description }, false);
            }
            ValidationErrorKind::Type { kind } => {
                let expected = match kind {
                    TypeKind::Single(kind) => vec![kind.to_string()],
                    TypeKind::Multiple(kinds) => kinds.iter().map(|kind| kind.to_string()).collect(),
                };
                add(Problem::Type { expected, found: type_name(error.instance()) }, false);
            }
            ValidationErrorKind::Enum { options } => {
                let options = options.as_array().map(Vec::as_slice).unwrap_or_default().iter().map(plain).collect();
                add(Problem::NotOneOf { options }, true);
            }
            ValidationErrorKind::Constant { expected_value } => {
                add(Problem::NotOneOf { options: vec![plain(expected_value)] }, true);
            }
            ValidationErrorKind::Pattern { pattern } => add(Problem::Pattern { pattern: pattern.clone() }, false),
            _ => {
                let counted = matches!(
                    error.kind(),
                    ValidationErrorKind::MinItems { .. }
                        | ValidationErrorKind::MaxItems { .. }
                        | ValidationErrorKind::MinProperties { .. }
                        | ValidationErrorKind::MaxProperties { .. }
                        | ValidationErrorKind::PropertyNames { .. }
                );
                add(Problem::Other { sentence: error.masked_with("it").to_string() }, !counted);
            }
        }
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

impl Finding {
    fn is_exempt(&self, unknown: &[String]) -> bool {
        unknown
            .iter()
            .any(|unknown| is_inside(&self.pointer, unknown) || (self.sensitive && is_inside(unknown, &self.pointer)))
    }

    /// One sentence, for logs and failures: the place comes first.
    pub(crate) fn sentence(&self) -> String {
        let place = if self.pointer.is_empty() { "it" } else { self.pointer.as_str() };
        match &self.problem {
            Problem::Unknown { key, .. } => format!("{place} has the unknown property `{key}`"),
            Problem::Missing { key, .. } => format!("{place} lacks `{key}`"),
            Problem::Type { expected, found } => format!("{place} must be {}, not {}", types(expected), article(found)),
            Problem::NotOneOf { options } => format!("{place} must be {}", one_of(options)),
            Problem::Pattern { pattern } => format!("{place} does not match the pattern {pattern}"),
            Problem::Other { sentence } => format!("{place}: {sentence}"),
        }
    }
}

/// Whether a pointer leads to `outer` or into it.
pub(crate) fn is_inside(pointer: &str, outer: &str) -> bool {
    pointer.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Alternatives that are nothing but one constant each: the way in which schemas describe every value of a choice.
fn constants(context: &[Vec<ValidationError<'static>>], value: &Value) -> Option<Problem> {
    let constant = |branch: &Vec<ValidationError<'static>>| {
        branch.iter().find_map(|error| match error.kind() {
            ValidationErrorKind::Constant { expected_value } => Some(Value::clone(expected_value)),
            _ => None,
        })
    };
    let options: Vec<Value> = context.iter().map(constant).collect::<Option<_>>()?;
    let found = type_name(value);
    Some(match options.first().map(type_name) {
        Some(expected) if expected != found => Problem::Type { expected: vec![expected.to_owned()], found },
        _ => Problem::NotOneOf { options: options.iter().map(plain).collect() },
    })
}

/// Of several alternatives that all fail, the one whose writer was meant: the only one of the right type.
fn nearest_branch<'a>(
    context: &'a [Vec<ValidationError<'static>>],
    pointer: &str,
) -> Option<&'a [ValidationError<'static>]> {
    let fits = |branch: &&Vec<ValidationError<'static>>| {
        !branch.iter().any(|error| {
            error.instance_path().as_str() == pointer
                && matches!(error.kind(), ValidationErrorKind::Type { .. } | ValidationErrorKind::Constant { .. })
        })
    };
    let mut fitting = context.iter().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

fn description_of(schema: &Value) -> Option<String> {
    schema.get("description").and_then(Value::as_str).map(|text| text.replace('\n', " "))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
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

/// Allowed values.
pub(crate) fn one_of(options: &[String]) -> String {
    let quoted: Vec<String> = options.iter().map(|option| format!("`{option}`")).collect();
    match quoted.as_slice() {
        [only] => only.clone(),
        several => format!("one of {}", several.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
        let mut all: Vec<String> = schema().check(&value, &unknown).iter().map(Finding::sentence).collect();
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
        assert!(
            sentences(either, &["/either/y"]).is_empty(),
            "which alternative is meant may hang on the unknown value"
        );
    }

    #[test]
    fn the_schema_of_a_place_is_found() {
        assert_eq!(schema().types_at("/list/7/id"), Some(vec!["string"]));
        assert_eq!(schema().types_at("/mode"), None);
        assert_eq!(schema().properties(), ["image", "count", "mode", "list", "either"]);
    }
}
