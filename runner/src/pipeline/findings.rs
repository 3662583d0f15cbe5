//! What a value breaks of its schema, in words that fit a pipeline file: the first of it, however much there is.
//!
//! The main type is [`Finding`]; a [`Collector`] makes them of a validator's errors.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::Value;

use super::document::join;
use super::schema::{Schema, article, one_of, type_name, types};

/// So many are told. Whoever has corrected these will see the rest.
const MOST_REPORTED: usize = 1_000;

/// The longest sentence of a validator, in characters: some repeat a part of the schema.
const LONGEST_SENTENCE: usize = 600;

/// Something that a value breaks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finding {
    /// JSON pointer to the value that breaks it.
    pub(crate) pointer: String,
    /// What is broken.
    pub(crate) problem: Problem,
    /// What the schema says about the value.
    pub(crate) description: Option<String>,
}

/// What a value breaks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Problem {
    /// The object has a property that it must not have.
    Unknown { key: String, known: Names },
    /// The object lacks a property.
    Missing { key: String, description: Option<String> },
    /// The value is of another type.
    Type { expected: Vec<String>, found: &'static str },
    /// The value is none of those that are allowed.
    NotOneOf { options: Names },
    /// The value does not match a regular expression.
    Pattern { pattern: String },
    /// Something else: a sentence about `it`.
    Other { sentence: String },
}

/// Names that a schema lists. There may be thousands, and as many findings that tell them: they are kept once.
pub(crate) type Names = Arc<[String]>;

/// What a value breaks of its schema.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Findings {
    /// The first of them.
    pub(crate) list: Vec<Finding>,
    /// Whether that is all.
    pub(crate) complete: bool,
}

impl Finding {
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

/// Pointers to values that are not known yet.
struct Unknown<'a>(BTreeSet<&'a str>);

impl Unknown<'_> {
    /// Whether one of them is inside the value at a pointer, or is it.
    fn is_in(&self, pointer: &str) -> bool {
        let below = format!("{pointer}/");
        let first = self.0.range(below.as_str()..).next();
        self.0.contains(pointer) || first.is_some_and(|first| first.starts_with(&below))
    }

    /// Whether one of them is around the value at a pointer, or is it.
    fn is_around(&self, pointer: &str) -> bool {
        let mut outer = Some(pointer);
        while let Some(pointer) = outer {
            if self.0.contains(pointer) {
                return true;
            }
            outer = pointer.rsplit_once('/').map(|(outer, _)| outer);
        }
        false
    }
}

/// Makes findings of a validator's errors.
pub(super) struct Collector<'a> {
    schema: &'a Schema,
    unknown: Unknown<'a>,
    findings: Findings,
    /// Names that were told already, by the place in the schema that lists them.
    names: BTreeMap<String, Names>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(schema: &'a Schema, unknown: &'a [String]) -> Self {
        Self {
            schema,
            unknown: Unknown(unknown.iter().map(String::as_str).collect()),
            findings: Findings { list: Vec::new(), complete: true },
            names: BTreeMap::new(),
        }
    }

    pub(super) fn done(self) -> Findings {
        self.findings
    }

    /// There is more, which is not told.
    pub(super) fn cut(&mut self) {
        self.findings.complete = false;
    }

    /// Nothing can be told but that something is broken.
    pub(super) fn give_up(&mut self) {
        let sentence = "to tell what is wrong with it would take too much".to_owned();
        if !self.unknown.is_around("") {
            self.push("", Problem::Other { sentence });
        }
        self.cut();
    }

    /// What is broken, unless it is about what is not known yet.
    pub(super) fn add(&mut self, error: &ValidationError<'_>) {
        let pointer = error.instance_path().as_str();
        if !self.is_decided(error) {
            return;
        }
        match error.kind() {
            ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
                if let Some(problem) = self.constants(context, error) {
                    self.push(pointer, problem);
                } else if let Some(branch) = nearest_branch(context, pointer) {
                    branch.iter().for_each(|error| self.add(error));
                } else {
                    self.push(pointer, Problem::Other { sentence: sentence(error) });
                }
            }
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                let schema = self.schema;
                let known = self.names(error, || schema.property_names(pointer));
                for key in unexpected {
                    let problem = Problem::Unknown { key: key.clone(), known: Arc::clone(&known) };
                    self.push(pointer, problem);
                }
            }
            ValidationErrorKind::Required { property } => {
                let key = property.as_str().unwrap_or_default().to_owned();
                let description = self.schema.description(&join(pointer, &key));
                self.push(pointer, Problem::Missing { key, description });
            }
            ValidationErrorKind::Type { kind } => {
                let expected = match kind {
                    TypeKind::Single(kind) => vec![kind.to_string()],
                    TypeKind::Multiple(kinds) => kinds.iter().map(|kind| kind.to_string()).collect(),
                };
                let found = type_name(error.instance());
                self.push(pointer, Problem::Type { expected, found });
            }
            ValidationErrorKind::Enum { options } => {
                let all = || options.as_array().map(Vec::as_slice).unwrap_or_default().iter().map(plain).collect();
                let options = self.names(error, all);
                self.push(pointer, Problem::NotOneOf { options });
            }
            ValidationErrorKind::Constant { expected_value } => {
                let options = self.names(error, || vec![plain(expected_value)]);
                self.push(pointer, Problem::NotOneOf { options });
            }
            // `pattern` is the only keyword of our own: see `SchemaPatterns`.
            ValidationErrorKind::Pattern { pattern } | ValidationErrorKind::Custom { message: pattern, .. } => {
                self.push(pointer, Problem::Pattern { pattern: pattern.clone() });
            }
            _ => self.push(pointer, Problem::Other { sentence: sentence(error) }),
        }
    }

    /// Whether something is broken whatever the values are worth that are not known yet. Of alternatives all must be.
    fn is_decided(&self, error: &ValidationError<'_>) -> bool {
        let pointer = error.instance_path().as_str();
        match error.kind() {
            _ if self.unknown.is_around(pointer) => false,
            _ if !self.unknown.is_in(pointer) => true,
            ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
                context.iter().all(|branch| branch.iter().any(|error| self.is_decided(error)))
            }
            _ => !is_sensitive(error),
        }
    }

    fn push(&mut self, pointer: &str, problem: Problem) {
        if self.findings.list.len() >= MOST_REPORTED {
            return self.cut();
        }
        let description = self.schema.description(pointer);
        self.findings.list.push(Finding { pointer: pointer.to_owned(), problem, description });
    }

    /// Names that the schema lists at the place that an error is about.
    fn names(&mut self, error: &ValidationError<'_>, all: impl FnOnce() -> Vec<String>) -> Names {
        let known = self.names.entry(error.schema_path().as_str().to_owned()).or_insert_with(|| all().into());
        Arc::clone(known)
    }

    /// Alternatives that are nothing but one constant each: the way in which schemas describe every value of a choice.
    fn constants(&mut self, context: &[Vec<ValidationError<'static>>], error: &ValidationError<'_>) -> Option<Problem> {
        let constant = |branch: &'_ Vec<ValidationError<'static>>| {
            branch.iter().find_map(|error| match error.kind() {
                ValidationErrorKind::Constant { expected_value } => Some(Value::clone(expected_value)),
                _ => None,
            })
        };
        let options: Vec<Value> = context.iter().map(constant).collect::<Option<_>>()?;
        let found = type_name(error.instance());
        Some(match options.first().map(type_name) {
            Some(expected) if expected != found => Problem::Type { expected: vec![expected.to_owned()], found },
            _ => Problem::NotOneOf { options: self.names(error, || options.iter().map(plain).collect()) },
        })
    }
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

/// Whether a rule is about what lies inside the value, in a way that an unknown value inside may change.
fn is_sensitive(error: &ValidationError<'_>) -> bool {
    let conditional =
        error.schema_path().segments().any(|segment| matches!(segment.to_string().as_str(), "then" | "else"));
    conditional
        || match error.kind() {
            ValidationErrorKind::AdditionalProperties { .. }
            | ValidationErrorKind::UnevaluatedProperties { .. }
            | ValidationErrorKind::Required { .. }
            | ValidationErrorKind::Type { .. }
            | ValidationErrorKind::Pattern { .. }
            | ValidationErrorKind::Custom { .. }
            | ValidationErrorKind::MinItems { .. }
            | ValidationErrorKind::MaxItems { .. }
            | ValidationErrorKind::MinProperties { .. }
            | ValidationErrorKind::MaxProperties { .. }
            | ValidationErrorKind::PropertyNames { .. } => false,
            // What is not known yet is there all the same.
            ValidationErrorKind::Not { schema } => {
                schema.as_object().is_none_or(|schema| schema.keys().any(|key| key != "required"))
            }
            _ => true,
        }
}

/// What the validator says of an error, without the value.
fn sentence(error: &ValidationError<'_>) -> String {
    let mut sentence = error.masked_with("it").to_string();
    if let Some((end, _)) = sentence.char_indices().nth(LONGEST_SENTENCE) {
        sentence.truncate(end);
        sentence.push('…');
    }
    sentence
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_found_by_where_it_is() {
        let unknown = Unknown(BTreeSet::from(["/a/b", "/a-b", "/c"]));
        assert!(unknown.is_in("/a") && unknown.is_in("/a/b") && unknown.is_in("") && unknown.is_in("/c"));
        assert!(!unknown.is_in("/a/b/c") && !unknown.is_in("/b") && !unknown.is_in("/a-"));
        assert!(unknown.is_around("/a/b/0") && unknown.is_around("/c") && unknown.is_around("/a-b/x/y"));
        assert!(!unknown.is_around("/a") && !unknown.is_around("") && !unknown.is_around("/a/bc"));
        assert!(Unknown(BTreeSet::from([""])).is_around("/x"), "all of it");
    }
}
