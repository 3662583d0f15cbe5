//! Checks the config of one stage: its expressions, and its values against the plugin's schema.
//!
//! The main type is [`Config`].

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::declarations::Declarations;
use super::given::GivenText;
use super::places::Places;
use super::stages::{Needed, References};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::pipeline::catalog::Contract;
use crate::pipeline::config::{Evaluated, SECRET_PREFIX, Setting, StageScope, Worth};
use crate::pipeline::document::{join, segments};
use crate::pipeline::elsewhere::{self, Misnamed};
use crate::pipeline::expression::Kind;
use crate::pipeline::findings::{Finding, Problem};
use crate::pipeline::schema::{article, one_of, shortened, types};
use crate::pipeline::suggest::{did_you_mean_in, nearest};
use crate::pipeline::template::Template;

/// The longest text of the file that a message repeats, in characters.
const LONGEST_SAID: usize = 200;

/// The config of one stage, while it is checked.
pub(super) struct Config<'a> {
    pub(super) stage: &'a str,
    pub(super) setting: Setting,
    /// What stands alone in its place, with its type: `(pointer, expression, type)`.
    typed: Vec<(String, String, Kind)>,
}

impl<'a> Config<'a> {
    /// Read a stage's `with`.
    pub(super) fn read(
        stage: &'a str,
        with: Option<&Map<String, Value>>,
        references: &mut References<'_, '_>,
        needed: &mut Vec<Needed>,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut reader = SettingsReader { stage, references, needed, diagnostics, typed: Vec::new() };
        let setting = match with {
            Some(with) => reader.table(with, ""),
            None => Setting::Table(Vec::new()),
        };
        let typed = reader.typed;
        Self { stage, setting, typed }
    }

    /// Check the values, as far as they are known.
    pub(super) fn check(
        &self,
        contract: &Contract,
        view: &StageScope<'_>,
        declarations: &Declarations,
        places: &Places<'_>,
        diagnostics: &mut Diagnostics,
    ) {
        let Worth { evaluated: Evaluated { config, mut unknown }, failures, too_much } =
            self.setting.evaluate(view, &places.steps);
        let places_of_unknown: BTreeSet<&str> = unknown.iter().map(String::as_str).collect();
        for (pointer, text, kind) in &self.typed {
            self.check_type(contract, pointer, text, *kind, &places_of_unknown, places, diagnostics);
        }
        for failure in failures {
            let path = path(self.stage, &failure.pointer);
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let text = text_at(places, &path);
            diagnostics.push(
                Diagnostic::error(
                    "expression-failed",
                    format!("`{}` has no value: {}", failure.slot.expression.text(), failure.reason),
                )
                .at(places.passage(&path, &text).place(&failure.slot.span), "")
                .help("correct the expression, or guard it with has(…) ? … : …"),
            );
            // Nothing more is to be said about a value that does not exist.
            unknown.push(failure.pointer);
        }
        if let Some(reason) = too_much {
            let message = format!("`with` of stage `{}` is {reason}", self.stage);
            let at = places.key(&["stages", self.stage, "with"]);
            diagnostics.push(Diagnostic::error("too-much", message).at(at, "").help(reason.help()));
            return;
        }
        if contract.elsewhere {
            self.check_elsewhere(&config, &unknown, view, declarations, places, diagnostics);
        }
        let findings = match contract.config.check(&config, &unknown, &places.steps) {
            Ok(findings) => findings,
            Err(costly) => {
                let message = format!("the config of stage `{}` is too much: {costly}", self.stage);
                diagnostics.push(
                    Diagnostic::error("too-much-work", message)
                        .at(places.key(&["stages", self.stage, "with"]), "")
                        .help("give the plugin less, or a reference to it"),
                );
                return;
            }
        };
        let list = &findings.list;
        for finding in list {
            if !is_there(finding, &path(self.stage, &finding.pointer), places, list) {
                diagnostics.push(self.describe(finding, contract, &config, view, places));
            }
        }
        if !findings.complete {
            let message = format!("the config of stage `{}` has more problems, which are not told", self.stage);
            diagnostics.push(Diagnostic::error("more-problems", message).at(places.key(&["stages", self.stage]), ""));
        }
    }

    /// The other environments that it names.
    fn check_elsewhere(
        &self,
        config: &Value,
        unknown: &[String],
        view: &StageScope<'_>,
        declarations: &Declarations,
        places: &Places<'_>,
        diagnostics: &mut Diagnostics,
    ) {
        let own = view.environment.map(|(name, _)| name);
        // One that was refused is there all the same.
        let declared = declarations.environments.values().flatten().map(|(name, environment)| (name, environment));
        let (_, misnamed) = elsewhere::named(config, unknown, own, declared);
        for Misnamed { index, message, help } in misnamed {
            let path = path(self.stage, &elsewhere::pointer(config, index));
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            diagnostics.push(
                Diagnostic::error("unknown-environment", format!("`elsewhere` of stage `{}`: {message}", self.stage))
                    .at(places.value(&path), "")
                    .maybe_help(help),
            );
        }
    }

    /// The type of a value that is not known yet.
    #[expect(clippy::too_many_arguments, reason = "the parts of one sentence")]
    fn check_type(
        &self,
        contract: &Contract,
        pointer: &str,
        text: &str,
        kind: Kind,
        unknown: &BTreeSet<&str>,
        places: &Places<'_>,
        diagnostics: &mut Diagnostics,
    ) {
        let Some(expected) = contract.config.types_at(pointer) else { return };
        let number = |kind| matches!(kind, Kind::Integer | Kind::Number);
        let fits = |name: &&str| {
            let wanted = Kind::of_schema(name);
            wanted == kind || (number(wanted) && number(kind))
        };
        // A known value is checked as it is.
        if kind == Kind::Any || expected.iter().any(fits) || !unknown.contains(pointer) {
            return;
        }
        let path = path(self.stage, pointer);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        let message =
            format!("{} must be {}, but `{text}` is {}", self.name(pointer), types(&expected), kind.article());
        diagnostics.push(
            Diagnostic::error("type-mismatch", message)
                .at(places.value(&path), format!("this is {}", kind.article()))
                .maybe_help(contract.config.description(pointer).map(|text| {
                    let field = path.iter().rfind(|segment| segment.parse::<usize>().is_err());
                    format!("`{}`: {text}", field.copied().unwrap_or_default())
                })),
        );
    }

    /// How a value of the config is called.
    fn name(&self, pointer: &str) -> String {
        let names = segments(pointer);
        match names.is_empty() {
            true => format!("`with` of stage `{}`", self.stage),
            false => format!("`{}` of stage `{}`", names.join("."), self.stage),
        }
    }

    fn describe(
        &self,
        finding: &Finding,
        contract: &Contract,
        config: &Value,
        view: &StageScope<'_>,
        places: &Places<'_>,
    ) -> Diagnostic {
        let whole = path(self.stage, &finding.pointer);
        let mut at: Vec<&str> = whole.iter().map(String::as_str).collect();
        let name = self.name(&finding.pointer);
        let plugin = &contract.name;
        let field = at.iter().rfind(|segment| segment.parse::<usize>().is_err()).copied().unwrap_or_default();
        let description = finding.description.as_ref().map(|text| format!("`{field}`: {text}"));
        let given = GivenText::of(config.pointer(&finding.pointer), &text_at(places, &at), places);
        let said = given.as_ref().map(|given| given.said(view, places));
        match &finding.problem {
            Problem::Unknown { key, known } => {
                at.push(key);
                let help =
                    did_you_mean_in(key, known.iter().map(String::as_str), "its fields are", &places.suggestions);
                Diagnostic::error(
                    "unknown-config",
                    format!("{name} has a field `{key}`, which the plugin `{plugin}` does not know"),
                )
                .at(places.key(&at), "unknown field")
                .maybe_help(help)
            }
            Problem::Missing { key, description } => {
                let what = description.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
                Diagnostic::error("missing-config", format!("{name} has no `{key}`, which the plugin `{plugin}` needs"))
                    .at(places.key(&at), format!("`{key}` is missing here"))
                    .help(format!("add `{key}`{what}"))
            }
            Problem::Type { expected, found } => Diagnostic::error(
                "invalid-config",
                format!("{name} must be {}, not {}", types(expected), article(found)),
            )
            .at(places.value(&at), said.unwrap_or_else(|| format!("this is {}", article(found))))
            .maybe_help(description),
            Problem::NotOneOf { options } => {
                let written = text_at(places, &at);
                let value = config.pointer(&finding.pointer).and_then(Value::as_str).unwrap_or(&written);
                let meant = nearest(value, options.iter().map(String::as_str), &places.suggestions)
                    .map(|meant| format!("did you mean `{meant}`?"));
                Diagnostic::error("invalid-config", format!("{name} must be {}", one_of(options)))
                    .at(
                        places.value(&at),
                        said.map_or("not one of them".to_owned(), |said| format!("{said}, not one of them")),
                    )
                    .maybe_help(meant.or(description))
            }
            Problem::Pattern { pattern } => Diagnostic::error(
                "invalid-config",
                format!("{name} does not have the form that the plugin `{plugin}` wants"),
            )
            .at(
                places.value(&at),
                match said {
                    Some(said) => format!("{said}, and must match {pattern}"),
                    None => format!("this must match {pattern}"),
                },
            )
            .maybe_help(given.and_then(|given| given.cure(pattern, places)).or(description)),
            Problem::Other { sentence } => {
                Diagnostic::error("invalid-config", format!("{name} is not valid: {sentence}"))
                    .at(places.value(&at), said.unwrap_or_default())
                    .maybe_help(description)
            }
        }
    }
}

/// Whether what is said to be missing stands in the file after all: refused, or misspelt. Both are told elsewhere.
pub(super) fn is_there(finding: &Finding, path: &[String], places: &Places<'_>, all: &[Finding]) -> bool {
    let Problem::Missing { key, .. } = &finding.problem else { return false };
    let misspelt = |other: &Finding| match &other.problem {
        Problem::Unknown { key: wrong, known } => {
            other.pointer == finding.pointer
                && nearest(wrong, known.iter().map(String::as_str), &places.suggestions) == Some(key)
        }
        _ => false,
    };
    let path: Vec<&str> = path.iter().map(String::as_str).chain([key.as_str()]).collect();
    places.document.at(&path).is_some() || all.iter().any(misspelt)
}

/// The path in the document of a pointer into a stage's `with`.
fn path(stage: &str, pointer: &str) -> Vec<String> {
    let mut path = vec!["stages".to_owned(), stage.to_owned(), "with".to_owned()];
    path.extend(segments(pointer));
    path
}

fn text_at(places: &Places<'_>, path: &[&str]) -> String {
    let value = places.document.at(path).map(|node| node.to_json());
    value.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
}

struct SettingsReader<'a, 'r, 'p, 'd> {
    stage: &'a str,
    references: &'r mut References<'p, 'd>,
    needed: &'r mut Vec<Needed>,
    diagnostics: &'r mut Diagnostics,
    typed: Vec<(String, String, Kind)>,
}

impl SettingsReader<'_, '_, '_, '_> {
    fn setting(&mut self, value: &Value, pointer: &str) -> Setting {
        match value {
            Value::String(text) => self.text(text, pointer),
            Value::Array(items) => {
                let items = items.iter().enumerate();
                Setting::List(
                    items.map(|(index, item)| self.setting(item, &join(pointer, &index.to_string()))).collect(),
                )
            }
            Value::Object(map) => self.table(map, pointer),
            Value::Null | Value::Bool(_) | Value::Number(_) => Setting::Literal(value.clone()),
        }
    }

    fn table(&mut self, map: &Map<String, Value>, pointer: &str) -> Setting {
        let mut entries = Vec::with_capacity(map.len());
        for (key, value) in map {
            let inner = join(pointer, key);
            if key.contains("${") {
                let path = path(self.stage, &inner);
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                self.diagnostics.push(
                    Diagnostic::error("expression-in-key", "keys cannot hold expressions")
                        .at(self.references.places.key(&path), "this is taken as it stands")
                        .help("write the key out; only values may hold `${…}`"),
                );
            }
            entries.push((key.clone(), self.setting(value, &inner)));
        }
        Setting::Table(entries)
    }

    fn text(&mut self, text: &str, pointer: &str) -> Setting {
        let path = path(self.stage, pointer);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        if let Some(name) = text.strip_prefix(SECRET_PREFIX) {
            self.diagnostics.push(
                Diagnostic::error(
                    "secret-not-declared",
                    format!("`{SECRET_PREFIX}` is how kiln hands a secret to a plugin"),
                )
                .at(self.references.places.value(&path), "")
                .help(format!("declare the secret under `[secrets.NAME]` and write `${{secrets.{name}}}`")),
            );
        }
        let template = match Template::parse(text, &self.references.places.steps) {
            Ok(template) => template,
            Err(problems) => {
                let passage = self.references.places.passage(&path, text);
                for problem in problems {
                    self.diagnostics.push(passage.problem(0, problem));
                }
                return Setting::Refused;
            }
        };
        if let Some(secret) = template.lone().and_then(|slot| slot.expression.secret()) {
            self.references.secret(secret, &path, self.diagnostics);
            return Setting::Secret(secret.to_owned());
        }
        let before = self.diagnostics.len();
        let passage = self.references.places.passage(&path, text);
        let mut typed = None;
        for slot in template.slots() {
            let (expression, offset) = (&slot.expression, slot.span.start + 2);
            let kind = self.references.expression(expression, offset, &passage, self.needed, self.diagnostics);
            typed = Some(match template.lone() {
                Some(_) => (expression.text(), kind),
                None => (text, Kind::String),
            });
        }
        if let Some((said, kind)) = typed {
            self.typed.push((pointer.to_owned(), shortened(said, LONGEST_SAID), kind));
        }
        if self.diagnostics.len() > before {
            return Setting::Refused;
        }
        Setting::Text(template)
    }
}
