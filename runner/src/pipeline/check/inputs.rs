//! Finds the value of every input: what is given, else the environment, else its default.
//!
//! The main function is [`inputs`].

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Number, Value};

use super::declarations::invalid_name;
use super::given::quoted;
use super::load::Values;
use super::places::Places;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::pipeline::expression::{Fault, Found, Lookup, Root};
use crate::pipeline::file::{InputTable, InputType};
use crate::pipeline::pattern::{NoPattern, Pattern};
use crate::pipeline::schema::{article, type_name};
use crate::pipeline::suggest::did_you_mean_in;
use crate::pipeline::template::Template;
use crate::steps::Spent;
use crate::types::Region;

/// The values of the inputs, as far as they are known. Without `values`, that is those of defaults that need none.
pub(super) fn inputs(
    tables: &BTreeMap<String, InputTable>,
    values: Option<&Values>,
    region: Option<&Region>,
    places: &Places<'_>,
    diagnostics: &mut Diagnostics,
) -> BTreeMap<String, Value> {
    let mut known = BTreeMap::new();
    for name in places.document.keys(&["inputs"]) {
        let Some(table) = tables.get(name) else { continue };
        let mut input = Input { name, table, values, region, places, diagnostics };
        if let Some(value) = input.value() {
            known.insert(name.to_owned(), value);
        }
    }
    for name in values.into_iter().flat_map(|values| values.inputs.keys()) {
        if !tables.contains_key(name) {
            let names = tables.keys().map(String::as_str);
            let help = did_you_mean_in(name, names, "the inputs are", &places.suggestions)
                .or_else(|| Some("the pipeline has no inputs".to_owned()));
            let message = format!("`--input {name}=…` gives an input that the pipeline does not have");
            diagnostics.push(Diagnostic::error("unknown-input", message).maybe_help(help));
        }
    }
    known
}

/// The environment variable that gives an input.
pub(super) fn variable(name: &str) -> String {
    format!("KILN_INPUT_{}", name.to_ascii_uppercase().replace('-', "_"))
}

struct Input<'a, 'd> {
    name: &'a str,
    table: &'a InputTable,
    values: Option<&'a Values>,
    region: Option<&'a Region>,
    places: &'a Places<'a>,
    diagnostics: &'d mut Diagnostics,
}

/// What a default may refer to.
struct Outside<'a> {
    env: Option<&'a BTreeMap<String, String>>,
    region: Option<&'a Region>,
}

impl Lookup for Outside<'_> {
    fn find(&self, root: Root, names: &[&str]) -> Found<'_> {
        match (root, names) {
            (Root::Env, [name]) => match self.env.map(|env| env.get(*name)) {
                Some(Some(value)) => Found::Value(Cow::Owned(Value::String(value.clone()))),
                Some(None) => Found::Absent(format!("the environment variable `{name}` is not set")),
                None => Found::Unknown(String::new()),
            },
            (Root::Region, []) => match self.region {
                Some(region) => Found::Value(Cow::Owned(Value::String(region.as_str().to_owned()))),
                None => Found::Unknown(String::new()),
            },
            (root, _) => Found::Absent(format!("a default cannot use {}", root.form())),
        }
    }
}

impl<'a> Input<'a, '_> {
    fn kind(&self) -> InputType {
        self.table.kind.unwrap_or_default()
    }

    fn value(&mut self) -> Option<Value> {
        let key = self.places.key(&["inputs", self.name]);
        if let Some(diagnostic) = invalid_name(self.name, "an input's name") {
            self.diagnostics.push(diagnostic.at(key.clone(), ""));
        }
        let pattern = self.pattern();
        let default = self.default();
        let (value, origin) = match self.given() {
            Some((text, origin)) => match convert(&text, self.kind()) {
                Ok(value) => (value, origin),
                Err(why) => {
                    let value = quoted(&text, self.name);
                    let message = format!("{origin}, {value}, is not {}: {why}", self.wanted());
                    self.diagnostics
                        .push(Diagnostic::error("invalid-input", message).at(key, "the input is declared here"));
                    return None;
                }
            },
            None => (default?, self.origin_of_default()),
        };
        if let (Some((pattern, text)), Value::String(given)) = (pattern, &value)
            && !self.matches(&pattern, text, given, &origin)
        {
            return None;
        }
        Some(value)
    }

    /// Whether a value matches the input's pattern.
    fn matches(&mut self, pattern: &Pattern, text: &str, value: &str, origin: &str) -> bool {
        let (code, message) = match pattern.is_match(value, &self.places.steps) {
            Ok(true) => return true,
            Ok(false) => ("invalid-input", format!("{origin} of the input `{}` does not match its pattern", self.name)),
            Err(Spent) => (
                "too-much-work",
                format!("to match {origin} of the input `{}` with its pattern is too much", self.name),
            ),
        };
        self.diagnostics.push(
            Diagnostic::error(code, message)
                .at(
                    self.places.value(&["inputs", self.name, "pattern"]),
                    format!("the whole value, {}, must match this", quoted(value, self.name)),
                )
                .help(match &self.table.description {
                    Some(description) => format!("the input is: {description}"),
                    None => format!("give a value that matches {text}"),
                }),
        );
        false
    }

    /// The default, and the environment variable that it comes from as it is.
    fn origin_of_default(&self) -> String {
        let variable = || {
            let template = Template::parse(self.table.default.as_ref()?.as_str()?, &self.places.steps).ok()?;
            template.lone()?.expression.nothing_but("env").map(str::to_owned)
        };
        variable().map_or_else(|| "the default".to_owned(), |name| format!("the default (from {name})"))
    }

    /// What was given for the run, and how.
    fn given(&self) -> Option<(String, String)> {
        let values = self.values?;
        if let Some(text) = values.inputs.get(self.name) {
            return Some((text.clone(), format!("the value of `--input {}=…`", self.name)));
        }
        let variable = variable(self.name);
        values
            .env
            .get(&variable)
            .map(|text| (text.clone(), format!("the value of the environment variable {variable}")))
    }

    fn pattern(&mut self) -> Option<(Pattern, &'a str)> {
        let text = self.table.pattern.as_deref()?;
        let path = ["inputs", self.name, "pattern"];
        if self.kind() != InputType::String {
            self.diagnostics.push(
                Diagnostic::error(
                    "conflicting-fields",
                    format!("the input `{}` has a pattern, and is no string", self.name),
                )
                .at(self.places.key(&path), "patterns are for text")
                .help("remove `pattern`, or `type`"),
            );
            return None;
        }
        match Pattern::new(&format!("^(?:{text})$"), &self.places.steps) {
            Ok(pattern) => Some((pattern, text)),
            Err(refusal) => {
                let (message, help) = match refusal {
                    NoPattern::Syntax(_) => (
                        "the pattern is not a regular expression",
                        "write it in single quotes, so that TOML leaves its backslashes alone",
                    ),
                    NoPattern::TooLong | NoPattern::TooLarge | NoPattern::Spent => {
                        ("the pattern is too much", "describe less of the value: a stage can check the rest")
                    }
                };
                self.diagnostics.push(
                    Diagnostic::error("invalid-pattern", message)
                        .at(self.places.value(&path), refusal.to_string())
                        .help(help),
                );
                None
            }
        }
    }

    /// The default's value. Where the input needs one and has none, that is said here.
    fn default(&mut self) -> Option<Value> {
        let path = ["inputs", self.name, "default"];
        let Some(default) = &self.table.default else {
            if self.values.is_some() && self.given().is_none() {
                self.missing(None);
            }
            return None;
        };
        let Value::String(text) = default else {
            let fits = matches!(
                (self.kind(), default),
                (InputType::Number, Value::Number(_)) | (InputType::Bool, Value::Bool(_))
            );
            if !fits {
                let is = article(type_name(default));
                let message = format!("the default of the input `{}` must be {}, not {is}", self.name, self.wanted());
                let help = match self.kind() {
                    InputType::String => format!("put it in quotes, or add `type = \"{}\"`", type_for(default)),
                    InputType::Number | InputType::Bool => "correct the default, or the type".to_owned(),
                };
                self.diagnostics.push(
                    Diagnostic::error("wrong-type", message)
                        .at(self.places.value(&path), format!("this is {is}"))
                        .help(help),
                );
                return None;
            }
            return Some(default.clone());
        };
        let template = match Template::parse(text, &self.places.steps) {
            Ok(template) => template,
            Err(problems) => {
                let passage = self.places.passage(&path, text);
                for problem in problems {
                    self.diagnostics.push(passage.problem(0, problem));
                }
                return None;
            }
        };
        if !self.allowed(&template, text) {
            return None;
        }
        if template.slots().next().is_some() && self.given().is_some() {
            return None;
        }
        let outside = Outside { env: self.values.map(|values| &values.env), region: self.region };
        match template.evaluate(&outside, &self.places.steps) {
            Ok(Value::String(text)) => match convert(&text, self.kind()) {
                Ok(value) => Some(value),
                Err(why) => {
                    let (origin, value) = (self.origin_of_default(), quoted(&text, self.name));
                    let message =
                        format!("{origin} of the input `{}`, {value}, is not {}: {why}", self.name, self.wanted());
                    self.diagnostics.push(Diagnostic::error("wrong-type", message).at(self.places.value(&path), ""));
                    None
                }
            },
            Ok(value) => match (self.kind(), &value) {
                (InputType::Number, Value::Number(_)) | (InputType::Bool, Value::Bool(_)) => Some(value),
                _ => {
                    let is = article(type_name(&value));
                    let message =
                        format!("the default of the input `{}` must be {}, not {is}", self.name, self.wanted());
                    self.diagnostics.push(Diagnostic::error("wrong-type", message).at(self.places.value(&path), ""));
                    None
                }
            },
            Err((Fault::Unknown(_), _)) => None,
            Err((Fault::Failed(why), _)) => {
                if self.given().is_none() {
                    self.missing(Some(why));
                }
                None
            }
        }
    }

    /// Whether a default refers only to what is there before a run.
    fn allowed(&mut self, template: &Template, text: &str) -> bool {
        let passage = self.places.passage(&["inputs", self.name, "default"], text);
        let mut fine = true;
        for slot in template.slots() {
            for reference in slot.expression.references() {
                if !matches!(reference.root, Root::Env | Root::Region) {
                    fine = false;
                    let span = passage.place(&slot.place(&reference.span));
                    self.diagnostics.push(
                        Diagnostic::error(
                            "unknown-reference",
                            format!("a default cannot use {}", reference.root.form()),
                        )
                        .at(span, "this is not there yet when inputs get their values")
                        .help("a default may use env.NAME and region"),
                    );
                }
            }
        }
        fine
    }

    fn missing(&mut self, why: Option<String>) {
        let name = self.name;
        let description = self.table.description.as_deref().map(|text| format!(" ({text})")).unwrap_or_default();
        let label = match why {
            Some(why) => format!("its default does not help: {why}"),
            None => "it has no default".to_owned(),
        };
        self.diagnostics.push(
            Diagnostic::error("missing-input", format!("the input `{name}` has no value{description}"))
                .at(self.places.key(&["inputs", name]), label)
                .help(format!("give `--input {name}=…`, or set {}", variable(name))),
        );
    }

    fn wanted(&self) -> &'static str {
        match self.kind() {
            InputType::String => "a string",
            InputType::Number => "a number",
            InputType::Bool => "a boolean",
        }
    }
}

fn type_for(value: &Value) -> &'static str {
    if value.is_boolean() { "bool" } else { "number" }
}

/// A text as a value of an input's type.
fn convert(text: &str, kind: InputType) -> Result<Value, &'static str> {
    match kind {
        InputType::String => Ok(Value::String(text.to_owned())),
        InputType::Number => {
            let integer = text.parse::<i64>().ok().map(Number::from);
            let number = integer.or_else(|| text.parse::<f64>().ok().and_then(Number::from_f64));
            number.map(Value::Number).ok_or("write digits, such as 3 or 0.5")
        }
        InputType::Bool => text.parse::<bool>().map(Value::Bool).map_err(|_| "write true or false"),
    }
}
