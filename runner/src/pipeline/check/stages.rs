//! Checks stages: their plugins, their settings, and what their expressions refer to.
//!
//! The main functions are [`read`] and [`finish`].

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::attached::{Files, attached, linted_by, named_by};
use super::declarations::{Declarations, invalid_name};
use super::order::order;
use super::places::{Passage, Places};
use super::structure::too_much;
use super::with::Config;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::pipeline::Span;
use crate::pipeline::catalog::{Contract, Contracts, PluginSource};
use crate::pipeline::config::{Scope, StageScope};
use crate::pipeline::expression::{Expression, Fault, Kind, Misfit, Reference, Root};
use crate::pipeline::file::{InputTable, InputType, OnFailure, RetryTable, RootTable, StageTable};
use crate::pipeline::model::{Environment, Stage};
use crate::pipeline::outcome;
use crate::pipeline::retry::Retry;
use crate::pipeline::schema::{article, type_name};
use crate::pipeline::suggest::{did_you_mean, did_you_mean_in};
use crate::pipeline::template::Template;
use crate::types::{EnvironmentName, StageName};

const HOUR: Span = Span::from_secs(3600);
const BACKOFF: Span = Span::from_secs(5);
const MAX_BACKOFF: Span = Span::from_secs(300);

/// Another stage that a stage needs, and where it says so.
pub(super) struct Needed {
    pub(super) stage: String,
    pub(super) span: Range<usize>,
}

/// A stage, as far as it could be read.
struct Draft<'a> {
    name: &'a str,
    table: &'a StageTable,
    plugin: Option<(PluginSource, Arc<Contract>)>,
    config: Config<'a>,
    when: Option<Expression>,
    needed: Vec<Needed>,
    timeout: Duration,
    retry: Retry,
}

/// Everything that stages may refer to.
pub(super) struct References<'p, 'd> {
    pub(super) places: &'p Places<'p>,
    pub(super) declarations: &'d Declarations,
    pub(super) inputs: &'d BTreeMap<String, InputTable>,
    /// The stages, with the contracts of their plugins where these are known.
    pub(super) stages: &'d BTreeMap<String, Option<Arc<Contract>>>,
    /// The environment variables that were referred to.
    pub(super) variables: BTreeSet<String>,
    stage: &'d str,
    has_environment: bool,
}

/// All stages of a file, in order, and the environment variables that they refer to. Stages that are not sound are
/// missing: then something was reported.
pub(super) fn stages(
    file: &RootTable,
    declarations: &Declarations,
    scope: &Scope<'_>,
    standard: &[String],
    (contracts, files): (&mut Contracts<'_>, &mut Files),
    places: &Places<'_>,
    diagnostics: &mut Diagnostics,
) -> (Vec<Stage>, BTreeSet<String>) {
    let nothing = BTreeMap::new();
    let tables = file.stages.as_ref().unwrap_or(&nothing);
    let mut plugins = BTreeMap::new();
    let mut known = BTreeMap::new();
    let names: BTreeSet<&str> = declarations.plugins.keys().chain(standard).map(String::as_str).collect();
    for (name, table) in tables {
        let plugin = plugin(name, table, declarations, &names, contracts, places, diagnostics);
        let plugin =
            plugin.map(|plugin| attached(name, table.with.as_ref(), plugin, contracts, files, places, diagnostics));
        known.insert(name.clone(), plugin.as_ref().map(|(_, contract)| Arc::clone(contract)));
        plugins.insert(name.as_str(), plugin);
    }
    let mut variables = BTreeSet::new();
    let mut drafts = Vec::new();
    for name in places.document.keys(&["stages"]) {
        let Some((name, table)) = tables.get_key_value(name) else { continue };
        let mut references = References {
            places,
            declarations,
            inputs: &file.inputs,
            stages: &known,
            variables: BTreeSet::new(),
            stage: name,
            has_environment: table.environment.is_some(),
        };
        let plugin = plugins.remove(name.as_str()).flatten();
        drafts.push(draft(name, table, plugin, &mut references, diagnostics));
        variables.append(&mut references.variables);
    }
    for draft in drafts.iter().take_while(|_| !places.is_too_much()) {
        draft.check_values(declarations, scope, places, diagnostics);
    }
    if places.is_too_much() && !diagnostics.iter().any(|diagnostic| diagnostic.code == "too-much-work") {
        diagnostics.push(too_much("its checks take more steps than the checks of one file may"));
    }
    let order = in_order(&drafts, places, diagnostics);
    let default = file.pipeline.as_ref().and_then(|pipeline| pipeline.on_failure).unwrap_or_default();
    let mut finished: Vec<Option<Stage>> =
        drafts.into_iter().map(|draft| draft.finish(declarations, files, default)).collect();
    let stages = order.into_iter().filter_map(|index| finished.get_mut(index).and_then(Option::take)).collect();
    (stages, variables)
}

fn plugin(
    stage: &str,
    table: &StageTable,
    declarations: &Declarations,
    names: &BTreeSet<&str>,
    contracts: &mut Contracts<'_>,
    places: &Places<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<(PluginSource, Arc<Contract>)> {
    let name = table.plugin.as_ref()?;
    let at = places.value(&["stages", stage, "plugin"]);
    let source = match declarations.plugins.get(name) {
        Some(declared) => declared.clone()?,
        // What is not declared and has a name is one that kiln carries.
        None if names.contains(name.as_str()) => PluginSource::Standard(name.clone()),
        None => {
            let help = did_you_mean_in(name, names.iter().copied(), "plugins are", &places.suggestions);
            let help = help.unwrap_or_else(|| "declare it: `[plugins.NAME]` with `path = \"…\"`".to_owned());
            diagnostics.push(
                Diagnostic::error("unknown-plugin", format!("there is no plugin `{name}`"))
                    .at(at, "neither carried by kiln nor declared under `[plugins]`")
                    .help(help),
            );
            return None;
        }
    };
    match contracts.get(&source) {
        Ok(contract) => Some((source, contract)),
        Err(error) => {
            let message = format!("the plugin `{name}` cannot be used: {}", error.message);
            diagnostics.push(Diagnostic::error("unusable-plugin", message).at(at, "").maybe_help(error.help));
            None
        }
    }
}

/// The host journals its own calls under this name.
const RESERVED: &str = crate::types::HOST;

fn draft<'a>(
    name: &'a str,
    table: &'a StageTable,
    plugin: Option<(PluginSource, Arc<Contract>)>,
    references: &mut References<'_, '_>,
    diagnostics: &mut Diagnostics,
) -> Draft<'a> {
    let places = references.places;
    if let Some(diagnostic) = invalid_name(name, "a stage's name") {
        diagnostics.push(diagnostic.at(places.key(&["stages", name]), ""));
    }
    if name == RESERVED {
        diagnostics.push(
            Diagnostic::error("invalid-name", format!("{name:?} cannot be a stage's name: it is reserved"))
                .at(places.key(&["stages", name]), "")
                .help("kiln's own calls are journaled under it; choose another"),
        );
    }
    if let Some(environment) = &table.environment
        && !references.declarations.environments.contains_key(environment)
    {
        let names = references.declarations.environments.keys().map(String::as_str);
        let help = did_you_mean_in(environment, names, "environments are", &places.suggestions)
            .unwrap_or_else(|| format!("declare it: `[environments.{environment}]` with `account = \"…\"`"));
        diagnostics.push(
            Diagnostic::error("unknown-environment", format!("there is no environment `{environment}`"))
                .at(places.value(&["stages", name, "environment"]), "not declared under `[environments]`")
                .help(help),
        );
    }
    let mut needed = Vec::new();
    for (index, after) in table.after.iter().flatten().enumerate() {
        let span = places.value(&["stages", name, "after", &index.to_string()]);
        if references.is_stage(after, span.clone(), diagnostics) {
            needed.push(Needed { stage: after.clone(), span });
        }
    }
    let config = Config::read(name, table.with.as_ref(), references, &mut needed, diagnostics);
    let when = table.when.as_deref().and_then(|text| condition(name, text, references, &mut needed, diagnostics));
    let timeout = span(table.timeout.as_deref(), &["stages", name, "timeout"], HOUR, places, diagnostics);
    let retry = retry(name, table.retry.as_ref(), places, diagnostics);
    Draft { name, table, plugin, config, when, needed, timeout, retry }
}

fn span(
    text: Option<&str>,
    path: &[&str],
    default: Span,
    places: &Places<'_>,
    diagnostics: &mut Diagnostics,
) -> Duration {
    match text.map(str::parse::<Span>) {
        None => default.get(),
        Some(Ok(span)) => span.get(),
        Some(Err(error)) => {
            let field = path.last().copied().unwrap_or_default();
            diagnostics.push(
                Diagnostic::error("invalid-duration", error.to_string())
                    .at(places.value(path), "")
                    .help(format!("write `{field} = \"{default}\"`, with the units d, h, m, s and ms")),
            );
            default.get()
        }
    }
}

fn retry(stage: &str, table: Option<&RetryTable>, places: &Places<'_>, diagnostics: &mut Diagnostics) -> Retry {
    let path = |field| ["stages", stage, "retry", field];
    let text = |field: fn(&RetryTable) -> &Option<String>| table.and_then(|table| field(table).as_deref());
    let backoff = span(text(|table| &table.backoff), &path("backoff"), BACKOFF, places, diagnostics);
    let max_backoff = span(text(|table| &table.max_backoff), &path("max-backoff"), MAX_BACKOFF, places, diagnostics);
    if backoff > max_backoff && table.is_some_and(|table| table.max_backoff.is_some()) {
        diagnostics.push(
            Diagnostic::error("invalid-duration", "the first rest is longer than the longest")
                .at(places.value(&path("max-backoff")), "the longest rest")
                .note_at(places.value(&path("backoff")), "the rest after the first attempt")
                .help("`max-backoff` must be at least `backoff`"),
        );
    }
    Retry {
        attempts: table.and_then(|table| table.attempts).unwrap_or(1),
        backoff,
        max_backoff: max_backoff.max(backoff),
        jitter: table.and_then(|table| table.jitter).unwrap_or_default(),
    }
}

/// The expression of `when`, which may stand between `${` and `}` or not.
fn condition(
    stage: &str,
    text: &str,
    references: &mut References<'_, '_>,
    needed: &mut Vec<Needed>,
    diagnostics: &mut Diagnostics,
) -> Option<Expression> {
    let path = ["stages", stage, "when"];
    let places = references.places;
    let passage = places.passage(&path, text);
    let parsed = if text.contains("${") {
        match Template::parse(text.trim(), &places.steps) {
            Ok(template) => match template.lone() {
                Some(slot) => {
                    Ok((slot.expression.clone(), slot.span.start + 2 + (text.len() - text.trim_start().len())))
                }
                None => {
                    diagnostics.push(
                        Diagnostic::error("expression-syntax", "`when` must be one expression")
                            .at(places.value(&path), "this is text with expressions in it")
                            .help("write the expression alone, such as `when = \"inputs.branch == 'main'\"`"),
                    );
                    return None;
                }
            },
            Err(problems) => Err(problems),
        }
    } else {
        Expression::parse(text, &places.steps).map(|expression| (expression, 0))
    };
    let (expression, offset) = match parsed {
        Ok(parsed) => parsed,
        Err(problems) => {
            diagnostics.extend(problems.into_iter().map(|problem| passage.problem(0, problem)));
            return None;
        }
    };
    let kind = references.expression(&expression, offset, &passage, needed, diagnostics);
    if !matches!(kind, Kind::Boolean | Kind::Any) {
        diagnostics.push(
            Diagnostic::error(
                "type-mismatch",
                format!("`when` must be a boolean, but `{}` is {}", expression.text(), kind.article()),
            )
            .at(places.value(&path), format!("this is {}", kind.article()))
            .help("compare it with something: `… == 'value'`"),
        );
        return None;
    }
    Some(expression)
}

impl References<'_, '_> {
    /// Whether a stage of this name exists and is another one.
    fn is_stage(&mut self, name: &str, span: Range<usize>, diagnostics: &mut Diagnostics) -> bool {
        if name == self.stage {
            diagnostics.push(
                Diagnostic::error("self-dependency", format!("the stage `{name}` needs itself"))
                    .at(span, "this stage")
                    .help("refer to another stage, or remove the reference"),
            );
            return false;
        }
        if self.stages.contains_key(name) {
            return true;
        }
        let own = self.stage;
        let names = self.stages.keys().map(String::as_str).filter(|other| *other != own);
        let help = if name.contains('*') {
            Some("write the stages out: what a wildcard means changes behind a pipeline's back".to_owned())
        } else {
            did_you_mean_in(name, names, "stages are", &self.places.suggestions)
        };
        let diagnostic = Diagnostic::error("unknown-stage", format!("there is no stage `{name}`"));
        diagnostics.push(diagnostic.at(span, "not declared under `[stages]`").maybe_help(help));
        false
    }

    /// A reference to a secret, alone in its place.
    pub(super) fn secret(&mut self, name: &str, path: &[&str], diagnostics: &mut Diagnostics) {
        if !self.declarations.secrets.contains_key(name) {
            let names = self.declarations.secrets.keys().map(String::as_str);
            let help = did_you_mean_in(name, names, "secrets are", &self.places.suggestions)
                .unwrap_or_else(|| format!("declare it: `[secrets.{name}]` with `id = \"…\"`"));
            diagnostics.push(
                Diagnostic::error("unknown-secret", format!("there is no secret `{name}`"))
                    .at(self.places.value(path), "not declared under `[secrets]`")
                    .help(help),
            );
        }
    }

    /// Check all that an expression refers to, and tell its type. It begins `offset` bytes into the text of `passage`.
    pub(super) fn expression(
        &mut self,
        expression: &Expression,
        offset: usize,
        passage: &Passage,
        needed: &mut Vec<Needed>,
        diagnostics: &mut Diagnostics,
    ) -> Kind {
        let before = diagnostics.len();
        for reference in expression.references() {
            let inner = reference.span.start + offset..reference.span.end + offset;
            let span = passage.place(&inner);
            if let Some(stage) = self.reference(reference, span.clone(), diagnostics) {
                needed.push(Needed { stage, span });
            }
        }
        let (kind, problems) = expression.kind(&|root, names, rest| self.kind(root, names, rest));
        if diagnostics.len() > before {
            return Kind::Any;
        }
        let span = passage.place(&(offset..offset + expression.text().len()));
        for Misfit { what, help } in problems {
            let message = format!("`{}` cannot be right: {what}", expression.text());
            diagnostics.push(Diagnostic::error("type-mismatch", message).at(span.clone(), "").maybe_help(help));
        }
        kind
    }

    /// Check a reference; the stage that it needs, where it needs one.
    fn reference(
        &mut self,
        reference: &Reference,
        span: Range<usize>,
        diagnostics: &mut Diagnostics,
    ) -> Option<String> {
        let names: Vec<&str> = reference.names.iter().map(String::as_str).collect();
        let mut add = |code, message: String, label: &str, help: Option<String>| {
            diagnostics.push(Diagnostic::error(code, message).at(span.clone(), label).maybe_help(help));
        };
        match (reference.root, names.as_slice()) {
            (Root::Stages, [stage, outcome::NAME]) => {
                if !self.is_stage(stage, span.clone(), diagnostics) {
                    return None;
                }
                let contract = self.stages.get(*stage).and_then(Option::as_ref);
                if let Some(contract) = contract.filter(|it| it.outputs.properties().contains(&outcome::NAME)) {
                    let message = format!("`stages.{stage}.outcome` can mean two things");
                    let label = format!("how the stage ended, or the output `outcome` of `{}`", contract.name);
                    let help = "give the plugin's output another name: `outcome` says of every stage how it ended";
                    diagnostics.push(Diagnostic::error("ambiguous-output", message).at(span, label).help(help));
                }
                return Some((*stage).to_owned());
            }
            (Root::Stages, [stage, output]) => {
                if !self.is_stage(stage, span.clone(), diagnostics) {
                    return None;
                }
                if let Some(Some(contract)) = self.stages.get(*stage) {
                    let outputs = contract.outputs.properties();
                    if !outputs.contains(output) && !contract.outputs.is_open() {
                        let help = match *output {
                            "status" | "result" | "state" | "conclusion" => {
                                Some(format!("how a stage ended is `stages.{stage}.{}`", outcome::NAME))
                            }
                            _ => did_you_mean_in(output, outputs, "its outputs are", &self.places.suggestions),
                        };
                        let message = format!("the stage `{stage}` has no output `{output}`");
                        let label = format!("the plugin `{}` does not declare it", contract.name);
                        diagnostics.push(Diagnostic::error("unknown-output", message).at(span, label).maybe_help(help));
                    }
                }
                return Some((*stage).to_owned());
            }
            (Root::Inputs, [name]) if !self.inputs.contains_key(*name) => {
                let subtraction = name
                    .match_indices('-')
                    .find(|(hyphen, _)| name.get(..*hyphen).is_some_and(|front| self.inputs.contains_key(front)));
                let help = match subtraction {
                    Some((hyphen, _)) => {
                        let (front, back) = name.split_at(hyphen);
                        Some(format!(
                            "for a subtraction put spaces around `-`: inputs.{front} - {}",
                            back.trim_start_matches('-')
                        ))
                    }
                    None => {
                        let names = self.inputs.keys().map(String::as_str);
                        did_you_mean_in(name, names, "inputs are", &self.places.suggestions)
                    }
                };
                let help = help.or_else(|| Some(format!("declare it: `[inputs.{name}]`")));
                add("unknown-input", format!("there is no input `{name}`"), "not declared under `[inputs]`", help);
            }
            (Root::Env, [name]) => {
                self.variables.insert((*name).to_owned());
            }
            (Root::Secrets, _) => {
                let help = "write `${secrets.NAME}` as the whole value: the plugin gets a handle, and never the text";
                add(
                    "secret-not-alone",
                    "a secret cannot be part of an expression".to_owned(),
                    "",
                    Some(help.to_owned()),
                );
            }
            (Root::Run, [name]) if !matches!(*name, "id" | "pipeline") => {
                let help = did_you_mean(name, ["id", "pipeline"], "a run has");
                add("unknown-reference", format!("a run has no `{name}`"), "", help);
            }
            (Root::Environment, [name]) if !matches!(*name, "name" | "account" | "region") => {
                let help = did_you_mean(name, ["name", "account", "region"], "an environment has");
                add("unknown-reference", format!("an environment has no `{name}`"), "", help);
            }
            (Root::Environment, _) if !self.has_environment => {
                let help = format!("give the stage one: `environment = \"…\"` under `[stages.{}]`", self.stage);
                add("no-environment", format!("the stage `{}` has no environment", self.stage), "", Some(help));
            }
            _ => {}
        }
        None
    }

    fn kind(&self, root: Root, names: &[&str], rest: &[&str]) -> Kind {
        match (root, names) {
            (Root::Inputs, [name]) => match self.inputs.get(*name).map(|table| table.kind.unwrap_or_default()) {
                Some(_) if !rest.is_empty() => Kind::Any,
                Some(InputType::String) => Kind::String,
                Some(InputType::Number) => Kind::Number,
                Some(InputType::Bool) => Kind::Boolean,
                None => Kind::Any,
            },
            (Root::Stages, [_, outcome::NAME]) if rest.is_empty() => Kind::String,
            (Root::Stages, [stage, output]) => {
                let Some(Some(contract)) = self.stages.get(*stage) else { return Kind::Any };
                let pointer = std::iter::once(output).chain(rest);
                let pointer =
                    pointer.fold(String::new(), |pointer, name| crate::pipeline::document::join(&pointer, name));
                match contract.outputs.types_at(&pointer).as_deref() {
                    Some([only]) => Kind::of_schema(only),
                    _ => Kind::Any,
                }
            }
            (Root::Env | Root::Run | Root::Environment | Root::Region | Root::Account, _) if rest.is_empty() => {
                Kind::String
            }
            _ => Kind::Any,
        }
    }
}

impl Draft<'_> {
    fn check_values(
        &self,
        declarations: &Declarations,
        scope: &Scope<'_>,
        places: &Places<'_>,
        diagnostics: &mut Diagnostics,
    ) {
        // An environment that was refused is replaced by another, so that the rest of the config is still looked at.
        let stand_in = stand_in();
        let environment = self.table.environment.as_ref().and_then(|name| match declarations.environments.get(name) {
            Some(Some(declared)) => Some(declared),
            Some(None) | None => stand_in.as_ref(),
        });
        let environment = environment.map(|(name, environment)| (name, environment));
        let view = StageScope { scope: *scope, environment };
        if let Some(condition) = &self.when {
            let wrong = match condition.evaluate(&view, &places.steps) {
                Ok(Value::Bool(_)) | Err(Fault::Unknown(_)) => None,
                Ok(other) => Some(format!("it must be a boolean, not {}", article(type_name(&other)))),
                Err(Fault::Failed(reason)) => Some(reason),
            };
            if let Some(reason) = wrong {
                diagnostics.push(
                    Diagnostic::error("expression-failed", format!("`{}` has no value: {reason}", condition.text()))
                        .at(places.value(&["stages", self.name, "when"]), "")
                        .help("correct the expression, or guard it with has(…) && …"),
                );
            }
        }
        if let Some((_, contract)) = &self.plugin {
            self.config.check(contract, &view, declarations, places, diagnostics);
        }
    }

    fn finish(self, declarations: &Declarations, files: &Files, on_failure: OnFailure) -> Option<Stage> {
        let environment = self.table.environment.as_ref().and_then(|name| declarations.environments.get(name)?.clone());
        let (environment, place) = environment.unzip();
        let (plugin, contract) = self.plugin?;
        Some(Stage {
            name: self.name.parse().ok()?,
            description: self.table.description.clone(),
            plugin,
            needs: self.needed.iter().filter_map(|needed| needed.stage.parse::<StageName>().ok()).collect(),
            asks: self.when.iter().flat_map(outcome::asked_by).collect(),
            environment,
            timeout: self.timeout,
            retry: self.retry,
            on_failure: self.table.on_failure.unwrap_or(on_failure),
            reveal: self.table.reveal.unwrap_or_default(),
            secrets: self.config.setting.secrets(),
            files: named_by(self.table.with.as_ref(), &contract, files),
            linted: linted_by(self.table.with.as_ref(), &contract),
            with: self.config.setting,
            when: self.when,
            place,
            contract,
        })
    }
}

fn stand_in() -> Option<(EnvironmentName, Environment)> {
    let account = "000000000000".parse().ok()?;
    Some(("unknown".parse().ok()?, Environment { account, role: None, region: None, external_id: None }))
}

/// So many stages of a circle are named.
const CIRCLE: usize = 10;

/// The order in which stages run; circles are reported.
fn in_order(drafts: &[Draft<'_>], places: &Places<'_>, diagnostics: &mut Diagnostics) -> Vec<usize> {
    let index: BTreeMap<&str, usize> = drafts.iter().enumerate().map(|(index, draft)| (draft.name, index)).collect();
    let needs = drafts
        .iter()
        .map(|draft| draft.needed.iter().filter_map(|needed| index.get(needed.stage.as_str()).copied()).collect())
        .collect();
    let (order, circles) = order(&needs);
    for circle in circles {
        let stages: Vec<&Draft<'_>> = circle.iter().filter_map(|index| drafts.get(*index)).collect();
        let followers = stages.iter().cycle().skip(1);
        let mut chain: Vec<String> = stages.iter().take(CIRCLE).map(|stage| format!("`{}`", stage.name)).collect();
        chain.extend((stages.len() > CIRCLE).then(|| format!("{} more", stages.len() - CIRCLE)));
        chain.extend(stages.first().map(|stage| format!("`{}`", stage.name)));
        let message = format!("these stages wait for each other: {}", chain.join(" needs "));
        let mut diagnostic = Diagnostic::error("cycle", message)
            .help("remove one of these references: a stage runs after all that it needs");
        for (place, (stage, follower)) in stages.iter().zip(followers).enumerate().take(CIRCLE) {
            let span =
                stage.needed.iter().find(|needed| needed.stage == follower.name).map(|needed| needed.span.clone());
            let span = span.unwrap_or_else(|| places.key(&["stages", stage.name]));
            let label = format!("`{}` needs `{}`", stage.name, follower.name);
            diagnostic = if place == 0 { diagnostic.at(span, label) } else { diagnostic.note_at(span, label) };
        }
        diagnostics.push(diagnostic);
    }
    order
}
