//! A stage's `with`: a tree of values with expressions in it, and what it is worth in a run.
//!
//! The main types are [`Scope`], what expressions may see, and [`Evaluated`], what comes out.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::document::join;
use super::expression::{Fault, Found, Lookup, Root};
use super::model::Environment;
use super::outcome;
use super::template::{Slot, Template};
use crate::event::StageOutcome;
use crate::json::{DEEPEST, goes_too_deep};
use crate::steps::Steps;
use crate::types::{AccountId, EnvironmentName, PipelineName, Region, RunId, StageName};

/// How a config value refers to a secret; the host resolves it.
pub const SECRET_PREFIX: &str = "kiln-secret:";

/// What expressions may see. The stage adds the account and region of its environment, where it has one.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The values of the inputs.
    pub inputs: &'a BTreeMap<String, Value>,
    /// The environment variables that the pipeline refers to.
    pub env: &'a BTreeMap<String, String>,
    /// The pipeline's name.
    pub pipeline: &'a PipelineName,
    /// The run's id, once there is a run.
    pub run: Option<&'a RunId>,
    /// The pipeline's region.
    pub region: &'a Region,
    /// The account of the runner's own credentials, once it is known.
    pub account: Option<&'a AccountId>,
    /// What finished stages have given; while planning, as much as is known of it.
    pub outputs: &'a BTreeMap<StageName, Value>,
    /// How stages ended; while planning, as far as that is known.
    pub outcomes: &'a BTreeMap<StageName, StageOutcome>,
    /// What it means that something is not there.
    pub phase: EvaluationPhase,
}

/// What it means that something is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvaluationPhase {
    /// Only the file is looked at: inputs, environment variables and outputs come later.
    Check,
    /// Outputs come later.
    Plan,
    /// Stages without outputs have not finished, or were skipped; an output that a finished stage did not give will not
    /// come.
    Run,
}

/// What a config is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// The config. What is not known yet is a text such as `(known after build)`.
    pub config: Value,
    /// JSON pointers to what is not known yet.
    pub unknown: Vec<String>,
}

impl Evaluated {
    /// Whether something in it will never be known, since one of these stages, which would give it, is skipped.
    pub(crate) fn waits_for<'a>(&self, skipped: impl IntoIterator<Item = &'a StageName>) -> bool {
        let never: BTreeSet<String> = skipped.into_iter().map(|stage| never_given(stage.as_str())).collect();
        let mut places = self.unknown.iter().filter_map(|pointer| self.config.pointer(pointer)?.as_str());
        !never.is_empty() && places.any(|shown| never.contains(shown))
    }
}

/// Why expressions have no value that a stage can be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// One of them has none.
    #[error("`{place}` of stage `{stage}` has no value: `{expression}`: {reason}")]
    NoValue {
        /// The stage.
        stage: StageName,
        /// Where in the stage: `with.image`, `when`.
        place: String,
        /// The expression.
        expression: String,
        /// Why.
        reason: String,
    },
    /// Each has one, and together they are more than a stage may be given.
    #[error("`with` of stage `{stage}` is {reason}")]
    TooMuch {
        /// The stage.
        stage: StageName,
        /// In which way.
        reason: TooMuch,
    },
}

/// In which way a config is more than a stage may be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// The journal could not be read again.
    #[error("nested more than {DEEPEST} levels deep")]
    Deep,
    /// No record holds it.
    #[error("larger than {} KiB, with its expressions evaluated", LARGEST >> 10)]
    Large,
    /// Its expressions do too much.
    #[error("too much work: its expressions take more than {WORK} steps")]
    Work,
}

impl TooMuch {
    /// In which way a config is too much, if it is.
    fn of(config: &Value) -> Option<Self> {
        if goes_too_deep(config) {
            return Some(Self::Deep);
        }
        (config.to_string().len() > LARGEST).then_some(Self::Large)
    }

    /// What to do.
    pub(crate) fn help(self) -> &'static str {
        match self {
            Self::Deep => "let a stage take out of its outputs what is needed, and refer to that",
            Self::Large => "give the stage less: what it needs of other stages, once, or a reference to where it lies",
            Self::Work => "let a stage compute this",
        }
    }
}

/// The largest config, in bytes of JSON. A record of the journal holds it.
const LARGEST: usize = 512 << 10;

/// How many steps the expressions of one config may take.
pub(crate) const WORK: u64 = 4_000_000;

/// A config value before it is evaluated.
#[derive(Debug, Clone)]
pub(crate) enum Setting {
    /// A number or a truth value.
    Literal(Value),
    /// Text, perhaps with expressions.
    Text(Template),
    /// A reference to a secret, by its name.
    Secret(String),
    /// Text that was refused; no checked pipeline has it.
    Refused,
    /// A list.
    List(Vec<Setting>),
    /// A table, in the order of the file.
    Table(Vec<(String, Setting)>),
}

/// An expression that has no value, and the pointer to its place.
pub(crate) struct FailedExpression<'a> {
    pub(crate) pointer: String,
    pub(crate) slot: &'a Slot,
    pub(crate) reason: String,
}

/// What came of an evaluation.
pub(crate) struct Worth<'a> {
    pub(crate) evaluated: Evaluated,
    pub(crate) failures: Vec<FailedExpression<'a>>,
    /// In which way it is too much; then not all of it was evaluated.
    pub(crate) too_much: Option<TooMuch>,
}

impl Setting {
    /// What it is worth. Goes on behind failures, so that all of them are found.
    pub(crate) fn evaluate(&self, lookup: &dyn Lookup, steps: &Steps) -> Worth<'_> {
        let own = steps.part(WORK);
        let (unknown, failures) = (Vec::new(), Vec::new());
        let mut evaluation = ConfigEvaluation { lookup, steps: &own, room: LARGEST, unknown, failures, too_much: None };
        let config = evaluation.value(self, "");
        let ConfigEvaluation { unknown, failures, too_much, .. } = evaluation;
        // One that is spent has taken no more than there was.
        let _ = steps.join(&own);
        let too_much = too_much.or_else(|| TooMuch::of(&config));
        Worth { evaluated: Evaluated { config, unknown }, failures, too_much }
    }

    /// The stage and its output that the value at a JSON pointer is, where it is nothing but a reference to one.
    pub(crate) fn output_at(&self, pointer: &str) -> Option<(&str, &str)> {
        let at = pointer.strip_prefix('/').map(|rest| {
            rest.split_once('/').map_or((rest, ""), |(first, _)| (first, rest.get(first.len()..).unwrap_or_default()))
        });
        match (self, at) {
            (Self::Text(template), None) => template.lone()?.expression.output(),
            (Self::List(items), Some((index, rest))) => items.get(index.parse::<usize>().ok()?)?.output_at(rest),
            (Self::Table(entries), Some((key, rest))) => {
                let key = key.replace("~1", "/").replace("~0", "~");
                entries.iter().find(|(name, _)| *name == key)?.1.output_at(rest)
            }
            _ => None,
        }
    }

    /// The texts in it that need no expression.
    pub(crate) fn words(&self, words: &mut Vec<String>) {
        match self {
            Self::Literal(Value::String(text)) => words.push(text.clone()),
            Self::Text(template) => words.extend(template.literal().map(str::to_owned)),
            Self::Literal(_) | Self::Secret(_) | Self::Refused => {}
            Self::List(items) => items.iter().for_each(|item| item.words(words)),
            Self::Table(entries) => {
                for (key, value) in entries {
                    words.push(key.clone());
                    value.words(words);
                }
            }
        }
    }

    /// The secrets that it names.
    pub(crate) fn secrets(&self) -> BTreeSet<String> {
        match self {
            Self::Literal(_) | Self::Text(_) | Self::Refused => BTreeSet::new(),
            Self::Secret(name) => BTreeSet::from([name.clone()]),
            Self::List(items) => items.iter().flat_map(Self::secrets).collect(),
            Self::Table(entries) => entries.iter().flat_map(|(_, value)| value.secrets()).collect(),
        }
    }
}

struct ConfigEvaluation<'a, 'l> {
    lookup: &'l dyn Lookup,
    steps: &'l Steps,
    /// How many bytes the config may still grow by.
    room: usize,
    unknown: Vec<String>,
    failures: Vec<FailedExpression<'a>>,
    too_much: Option<TooMuch>,
}

impl<'a> ConfigEvaluation<'a, '_> {
    fn value(&mut self, setting: &'a Setting, pointer: &str) -> Value {
        if self.too_much.is_some() {
            return Value::Null;
        }
        let value = self.worth(setting, pointer);
        if self.steps.are_spent() {
            self.too_much = Some(TooMuch::Work);
        }
        // What is within lists and tables was counted already.
        let size = match (setting, &value) {
            (Setting::List(_) | Setting::Table(_), _) => 0,
            (_, value) => least_size(value),
        };
        match self.room.checked_sub(size) {
            Some(room) => self.room = room,
            None => self.too_much = Some(TooMuch::Large),
        }
        value
    }

    fn worth(&mut self, setting: &'a Setting, pointer: &str) -> Value {
        match setting {
            Setting::Literal(value) => value.clone(),
            Setting::Secret(name) => Value::String(format!("{SECRET_PREFIX}{name}")),
            Setting::Refused => {
                self.unknown.push(pointer.to_owned());
                Value::Null
            }
            Setting::Text(template) => match template.evaluate(self.lookup, self.steps) {
                Ok(value) => value,
                Err((Fault::Unknown(what), _)) => {
                    self.unknown.push(pointer.to_owned());
                    Value::String(what)
                }
                Err((Fault::Failed(reason), slot)) => {
                    self.failures.push(FailedExpression { pointer: pointer.to_owned(), slot, reason });
                    Value::Null
                }
            },
            Setting::List(items) => {
                let items = items.iter().enumerate();
                items.map(|(index, item)| self.value(item, &join(pointer, &index.to_string()))).collect()
            }
            Setting::Table(entries) => {
                let entries = entries.iter().map(|(key, value)| (key.clone(), self.value(value, &join(pointer, key))));
                Value::Object(entries.collect::<Map<_, _>>())
            }
        }
    }
}

/// How many bytes a value has at least when it is written.
fn least_size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
        Value::String(text) => 2 + text.len(),
        Value::Array(items) => 2 + items.iter().map(|item| 1 + least_size(item)).sum::<usize>(),
        Value::Object(map) => 2 + map.iter().map(|(name, value)| 4 + name.len() + least_size(value)).sum::<usize>(),
    }
}

/// A scope as one stage sees it.
pub(crate) struct StageScope<'a> {
    pub(crate) scope: Scope<'a>,
    pub(crate) environment: Option<(&'a EnvironmentName, &'a Environment)>,
}

impl StageScope<'_> {
    fn was_skipped(&self, stage: &str) -> bool {
        let outcome = stage.parse::<StageName>().ok().and_then(|stage| self.scope.outcomes.get(&stage));
        outcome == Some(&StageOutcome::Skipped)
    }
}

/// What stands in the place of an output that will not come.
fn never_given(stage: &str) -> String {
    format!("(not given: {stage} was skipped)")
}

const WITH_THE_RUN: &str = "(known when the run starts)";

impl Lookup for StageScope<'_> {
    fn find(&self, root: Root, names: &[&str]) -> Found<'_> {
        let scope = &self.scope;
        let text = |text: &str| Found::Value(Cow::Owned(Value::String(text.to_owned())));
        match (root, names) {
            (Root::Inputs, [name]) => match scope.inputs.get(*name) {
                Some(value) => Found::Value(Cow::Borrowed(value)),
                None if scope.phase == EvaluationPhase::Check => Found::Unknown(WITH_THE_RUN.to_owned()),
                None => Found::Absent(format!("the input `{name}` has no value")),
            },
            (Root::Env, [name]) => match scope.env.get(*name) {
                Some(value) => text(value),
                None if scope.phase == EvaluationPhase::Check => Found::Unknown(WITH_THE_RUN.to_owned()),
                None => Found::Absent(format!("the environment variable `{name}` is not set")),
            },
            (Root::Stages, [stage, outcome::NAME]) => {
                let outcome = stage.parse::<StageName>().ok().and_then(|stage| scope.outcomes.get(&stage));
                match outcome.copied().and_then(outcome::word) {
                    Some(word) => text(word),
                    None => Found::Unknown(format!("(known after {stage})")),
                }
            }
            (Root::Stages, [stage, output]) => {
                let outputs = stage.parse::<StageName>().ok().and_then(|stage| scope.outputs.get(&stage));
                match outputs.map(|outputs| outputs.get(*output)) {
                    Some(Some(value)) => Found::Value(Cow::Borrowed(value)),
                    Some(None) if scope.phase == EvaluationPhase::Run => Found::Absent(format!(
                        "stage `{stage}` gave no output `{output}`; has(stages.{stage}.{output}) tells whether it did"
                    )),
                    None if self.was_skipped(stage) => Found::Unknown(never_given(stage)),
                    Some(None) | None => Found::Unknown(format!("(known after {stage})")),
                }
            }
            (Root::Run, ["id"]) => match scope.run {
                Some(run) => text(run.as_str()),
                None => Found::Unknown(WITH_THE_RUN.to_owned()),
            },
            (Root::Run, ["pipeline"]) => text(scope.pipeline.as_str()),
            (Root::Environment, [name]) => match (self.environment, *name) {
                (Some((own, _)), "name") => text(own.as_str()),
                (Some((_, environment)), "account") => text(environment.account.as_str()),
                (Some((_, environment)), "region") => {
                    text(environment.region.as_ref().unwrap_or(scope.region).as_str())
                }
                _ => Found::Absent("the stage has no environment".to_owned()),
            },
            (Root::Region, []) => {
                let own = self.environment.and_then(|(_, environment)| environment.region.as_ref());
                text(own.unwrap_or(scope.region).as_str())
            }
            (Root::Account, []) => {
                match self.environment.map(|(_, environment)| &environment.account).or(scope.account) {
                    Some(account) => text(account.as_str()),
                    None => Found::Unknown(WITH_THE_RUN.to_owned()),
                }
            }
            (Root::Secrets, _) => Found::Absent("a secret is given by reference, alone".to_owned()),
            (root, _) => Found::Absent(format!("write {}", root.form())),
        }
    }
}
