//! Regular expressions of bounded size, whose use is counted.
//!
//! The main type is [`Pattern`]; [`SchemaPatterns`] are those of a JSON Schema, whose syntax is another.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use jsonschema::json::Node as _;
use jsonschema::paths::Location;
use jsonschema::{Keyword, PatternOptions, ValidationError, Validator};
use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value, json};

use super::metered::{Metered, Seen};
use crate::steps::{Spent, Steps};

/// The longest pattern, in bytes. A class of three bytes can stand for half of Unicode, before any size is known.
const LONGEST: usize = 1_000;

/// How large a compiled pattern may be, in bytes: the smallest of these that is enough.
const SIZES: [usize; 4] = [4 << 10, 16 << 10, 64 << 10, 256 << 10];

/// How much a pattern may keep of what it met while it matched, in bytes.
const CACHE: usize = 64 << 10;

/// A regular expression.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    regex: Regex,
    size: usize,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoPattern {
    /// It is longer than a pattern may be.
    TooLong,
    /// What is compiled of it is larger than a pattern may be.
    TooLarge,
    /// What is wrong with it.
    Syntax(String),
    /// There are no steps left to compile it.
    Spent,
}

impl fmt::Display for NoPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "it is longer than {LONGEST} characters"),
            Self::TooLarge => f.write_str("it is too large: its classes and repetitions make too much of it"),
            Self::Syntax(why) => f.write_str(why),
            Self::Spent => f.write_str("too many patterns were compiled before it"),
        }
    }
}

impl Pattern {
    /// Compile a pattern.
    pub(crate) fn new(text: &str, steps: &Steps) -> Result<Self, NoPattern> {
        if text.len() > LONGEST {
            return Err(NoPattern::TooLong);
        }
        let mut refusal = NoPattern::TooLarge;
        for size in SIZES {
            steps.take(to_compile(size)).map_err(|_| NoPattern::Spent)?;
            match RegexBuilder::new(text).size_limit(size).dfa_size_limit(CACHE).build() {
                Ok(regex) => return Ok(Self { regex, size }),
                Err(regex::Error::CompiledTooBig(_)) => {}
                Err(error) => {
                    // The crate's message draws the pattern over several lines; its last one says what is wrong.
                    let error = error.to_string();
                    let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
                    refusal = NoPattern::Syntax(why.to_owned());
                    break;
                }
            }
        }
        Err(refusal)
    }

    /// Whether a text holds what the pattern describes.
    pub(crate) fn is_match(&self, text: &str, steps: &Steps) -> Result<bool, Spent> {
        steps.take(to_match(self.size, text.len()))?;
        Ok(self.regex.is_match(text))
    }
}

/// What it costs to compile a pattern, or to find out that it is larger.
fn to_compile(size: usize) -> u64 {
    (size / 2) as u64
}

/// What it costs to match a text: at worst each of its bytes is compared with each of the pattern's states.
fn to_match(size: usize, bytes: usize) -> u64 {
    1 + (bytes as u64).saturating_mul(size as u64) / 512
}

/// What it costs to match 16 bytes of a text with `patterns` of this size.
pub(super) fn to_match_some(size: usize, patterns: usize) -> u64 {
    to_match(size, 16).saturating_mul(patterns as u64)
}

/// How large all patterns of a schema may be together, compiled.
const ALL: usize = 8 << 20;

/// The patterns of a JSON Schema: how many there may still be.
#[derive(Debug)]
pub(super) struct SchemaPatterns {
    left: AtomicUsize,
    origin: SchemaOrigin,
}

/// Where a schema comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaOrigin {
    /// From anybody: all of it is tried before any of it is used.
    Foreign,
    /// From a plugin that the binary carries: the build tried it, and a pattern is compiled when it is needed. That is most of what a
    /// check would take.
    Carried,
}

/// The keyword `pattern` of a JSON Schema.
struct SchemaPattern {
    text: String,
    /// None where it is no pattern that may be used.
    compiled: OnceLock<Option<Compiled>>,
}

/// A pattern of a JSON Schema, compiled.
struct Compiled {
    validator: Validator,
    size: usize,
}

impl Compiled {
    /// The smallest that is enough.
    fn new(text: &str) -> Option<Self> {
        SIZES.into_iter().find_map(|size| {
            let options = jsonschema::options().offline().with_pattern_options(options(size));
            let validator = options.build(&json!({"pattern": text})).ok()?;
            Some(Self { validator, size })
        })
    }
}

impl SchemaPatterns {
    /// As many as a schema may have.
    pub(super) fn new(origin: SchemaOrigin) -> Self {
        Self { left: AtomicUsize::new(ALL), origin }
    }

    /// The sizes that so many patterns may have, with the options that keep them to it.
    pub(super) fn sizes(patterns: usize) -> impl Iterator<Item = (usize, PatternOptions<jsonschema::Regex>)> {
        let fits = move |size: &usize| size.saturating_mul(patterns) <= ALL;
        SIZES.into_iter().filter(fits).map(|size| (size, options(size)))
    }

    /// What becomes of the keyword.
    pub(super) fn keyword<'a>(
        &self,
        _: &'a Map<String, Value>,
        value: &'a Value,
        _: Location,
    ) -> Result<Box<dyn for<'i> Keyword<'i, Metered>>, ValidationError<'a>> {
        let wrong = |why: &dyn fmt::Display| Err(ValidationError::schema(format!("of a pattern, {why}: {value}")));
        let Value::String(text) = value else { return wrong(&"it must be text") };
        if text.len() > LONGEST {
            return wrong(&NoPattern::TooLong);
        }
        let compiled = OnceLock::new();
        if self.origin == SchemaOrigin::Foreign {
            let Some(pattern) = Compiled::new(text) else {
                return wrong(&"it is not a regular expression, looks around or back, or is too large");
            };
            let size = pattern.size.max(CACHE);
            if self.left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(size)).is_err() {
                return wrong(&"with those before it, it is too large");
            }
            let _ = compiled.set(Some(pattern));
        }
        Ok(Box::new(SchemaPattern { text: text.clone(), compiled }))
    }
}

/// Linear in the length of the text, whatever the pattern.
fn options(size: usize) -> PatternOptions<jsonschema::Regex> {
    PatternOptions::regex().size_limit(size).dfa_size_limit(CACHE)
}

impl<'i> Keyword<'i, Metered> for SchemaPattern {
    fn validate(&self, instance: Seen<'i>) -> Result<(), ValidationError<'i>> {
        if self.is_valid(instance) { Ok(()) } else { Err(ValidationError::custom(self.text.clone())) }
    }

    fn is_valid(&self, instance: Seen<'i>) -> bool {
        let Some(text) = instance.as_string() else { return true };
        let Some(Compiled { validator, size }) = self.compiled.get_or_init(|| Compiled::new(&self.text)) else {
            return false;
        };
        // Without steps nothing is looked at, and what is said means nothing.
        instance.take(to_match(*size, text.len())).is_err() || validator.is_valid(&Value::String(text.into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::schema::Schema;

    fn pattern(text: &str) -> Result<Pattern, NoPattern> {
        Pattern::new(text, &Steps::of(1_000_000))
    }

    #[test]
    fn patterns_have_a_size() {
        assert_eq!(pattern("^a+$").map(|pattern| pattern.size), Ok(4 << 10));
        assert!(pattern("[a-z]{900}").is_ok_and(|pattern| pattern.size > 4 << 10));
        assert_eq!(pattern(r"\pL{100}").err(), Some(NoPattern::TooLarge));
        assert_eq!(pattern("((a{100}){100}){100}").err(), Some(NoPattern::TooLarge));
        assert_eq!(pattern(&r"(?i)\pL".repeat(200)).err(), Some(NoPattern::TooLong));
        assert!(matches!(pattern("("), Err(NoPattern::Syntax(why)) if why.contains("unclosed group")));
    }

    #[test]
    fn patterns_of_schemas_are_those_of_json_schema() {
        let satisfied = |pattern: &str, text: &str| {
            let schema = Schema::new(json!({"pattern": pattern})).ok()?;
            schema.check(&json!(text), &[], &Steps::of(100_000)).ok().map(|findings| findings.list.is_empty())
        };
        assert_eq!(satisfied("b", "abc"), Some(true), "it need not be the whole");
        assert_eq!(satisfied("^[a-z]{1,3}$", "abcd"), Some(false));
        assert_eq!(satisfied(r"^\d+$", "12"), Some(true));
        assert_eq!(satisfied(r"^\d+$", "١٢"), Some(false), "digits are those of ASCII");
        assert_eq!(satisfied(r"^a\/b\cJ?$", "a/b"), Some(true), "its escapes are known");
        assert_eq!(satisfied(r"(a)\1", "aa"), None, "what looks back takes more than a look at each character");
        assert_eq!(satisfied("a(?=b)", "ab"), None);
        let names = Schema::new(json!({"propertyNames": {"pattern": "^[a-z]$"}}));
        let told = names
            .map(|names| names.check(&json!({"a": 1, "B": 2}), &[], &Steps::of(100_000)).map(|found| found.list.len()));
        assert_eq!(told, Ok(Ok(1)));
    }

    #[test]
    fn a_pattern_of_a_carried_plugin_is_compiled_when_it_is_needed_and_says_the_same() {
        let satisfied = |origin, pattern: &str, text: Value| {
            let schema = Schema::of(json!({"pattern": pattern}), origin)?;
            Ok::<_, String>(schema.check(&text, &[], &Steps::of(100_000)).map(|findings| findings.list.len()))
        };
        for (pattern, text) in [("^[a-z]+$", json!("abc")), ("^[a-z]+$", json!("a1")), ("^a", json!(1))] {
            let [foreign, carried] =
                [SchemaOrigin::Foreign, SchemaOrigin::Carried].map(|origin| satisfied(origin, pattern, text.clone()));
            assert_eq!(foreign, carried, "{pattern} {text}");
        }
        // The build of the binary would have refused it; nothing passes by it here.
        assert!(satisfied(SchemaOrigin::Foreign, r"(a)\1", json!("aa")).is_err());
        assert_eq!(satisfied(SchemaOrigin::Carried, r"(a)\1", json!("aa")), Ok(Ok(1)));
    }

    #[test]
    fn compiling_and_matching_cost_steps() {
        let steps = Steps::of(100_000);
        let refused =
            (0..1_000).find_map(|_| Pattern::new(r"\pL{100}", &steps).err().filter(|why| *why == NoPattern::Spent));
        assert_eq!(refused, Some(NoPattern::Spent));
        let steps = Steps::of(1_000_000);
        let slow = Pattern::new("a[ab]{200}c", &steps);
        let matched = slow.map(|pattern| pattern.is_match(&"ab".repeat(100_000), &steps));
        assert_eq!(matched, Ok(Err(Spent)));
    }
}
