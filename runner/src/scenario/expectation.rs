//! What is expected of a rehearsal, as a list of single claims that can each be met or not.
//!
//! The main type is [`Claim`].

use std::collections::BTreeSet;

use serde_json::Value;

use super::file::{AccountTable, Expect, OutputTable};
use super::load::Knowledge;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::event::{RunOutcome, StageOutcome};
use crate::pipeline::{Places, Span, did_you_mean, did_you_mean_in};

/// The kinds of failures that there are.
pub(super) const KINDS: [&str; 11] = [
    "config",
    "denied",
    "not-found",
    "conflict",
    "rejected",
    "failed",
    "timed-out",
    "unavailable",
    "internal",
    "sandbox",
    "interrupted",
];

/// One thing that is expected.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Claim {
    /// Its place in the file: `expect.stages.build`.
    pub(crate) field: String,
    /// The line that it stands on.
    pub(crate) line: usize,
    pub(crate) want: Want,
}

/// What is expected.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Want {
    /// None where the run cannot begin.
    Outcome(Option<RunOutcome>),
    Stage {
        stage: String,
        outcome: StageOutcome,
    },
    Undone(BTreeSet<String>),
    Failure {
        stage: String,
        kind: String,
    },
    Effects {
        action: String,
        count: Bounds,
    },
    Message {
        stage: Option<String>,
        part: String,
    },
    /// What of a stage's outputs, by the keys that lead there.
    Output {
        stage: String,
        at: String,
        held: Held,
    },
    Account {
        at: String,
        held: Held,
    },
    Duration(Bounds),
}

/// What is expected of a value of the account, or of an output.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Held {
    Is(Value),
    Contains(String),
    Count(u64),
    Absent,
    Present,
    Unchanged,
    Changed,
}

/// From and to, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) at_least: Option<u64>,
    pub(crate) at_most: Option<u64>,
}

impl Bounds {
    /// Whether a number lies between them.
    pub(crate) fn hold(self, number: u64) -> bool {
        self.at_least.is_none_or(|least| number >= least) && self.at_most.is_none_or(|most| number <= most)
    }

    /// In words.
    pub(crate) fn words(self, word: impl Fn(u64) -> String) -> String {
        match (self.at_least, self.at_most) {
            (Some(least), Some(most)) if least == most => word(least),
            (Some(least), Some(most)) => format!("{} to {}", word(least), word(most)),
            (Some(least), None) => format!("at least {}", word(least)),
            (None, Some(most)) => format!("at most {}", word(most)),
            (None, None) => "anything".to_owned(),
        }
    }
}

/// The claims of a file. What makes no sense is told and left out.
pub(super) fn claims(
    expect: &Expect,
    known: &Knowledge,
    actions: &[String],
    places: &Places<'_>,
    diagnostics: &mut Diagnostics,
) -> Vec<Claim> {
    let mut reader = Reader { known, actions, places, diagnostics, claims: Vec::new() };
    reader.read(expect);
    reader.claims
}

struct Reader<'a, 'd> {
    known: &'a Knowledge,
    actions: &'a [String],
    places: &'a Places<'a>,
    diagnostics: &'d mut Diagnostics,
    claims: Vec<Claim>,
}

impl Reader<'_, '_> {
    fn read(&mut self, expect: &Expect) {
        if let Some(outcome) = expect.outcome {
            self.claim(&["outcome"], Want::Outcome(outcome.outcome()));
        }
        for (stage, ending) in &expect.stages {
            if self.is_stage(stage, &["stages", stage], true) {
                self.claim(&["stages", stage], Want::Stage { stage: stage.clone(), outcome: (*ending).into() });
            }
        }
        if let Some(undone) = &expect.undone {
            for (index, stage) in undone.iter().enumerate() {
                self.is_stage(stage, &["undone", &index.to_string()], false);
            }
            self.claim(&["undone"], Want::Undone(undone.iter().cloned().collect()));
        }
        for (stage, kind) in &expect.failures {
            let at = ["failures", stage.as_str()];
            let is_stage = self.is_stage(stage, &at, true);
            if !KINDS.contains(&kind.as_str()) {
                let help = did_you_mean(kind, KINDS, "the kinds are");
                self.problem("invalid-value", &format!("there are no failures of the kind `{kind}`"), &at, false, help);
            } else if is_stage {
                self.claim(&at, Want::Failure { stage: stage.clone(), kind: kind.clone() });
            }
        }
        for (action, count) in &expect.effects {
            self.effects(action, count);
        }
        for (index, message) in expect.messages.iter().enumerate() {
            let index = index.to_string();
            if let Some(stage) = &message.stage
                && !self.is_stage(stage, &["messages", &index, "stage"], false)
            {
                continue;
            }
            let Some(part) = message.contains.clone() else { continue };
            if part.is_empty() {
                self.problem(
                    "invalid-value",
                    "every text contains an empty one",
                    &["messages", &index, "contains"],
                    false,
                    None,
                );
                continue;
            }
            self.claim(&["messages", &index, "contains"], Want::Message { stage: message.stage.clone(), part });
        }
        for (index, table) in expect.outputs.iter().enumerate() {
            self.output(&index.to_string(), table);
        }
        for (index, table) in expect.account.iter().enumerate() {
            self.account(&index.to_string(), table);
        }
        if let Some(duration) = &expect.duration {
            let at_least = self.span(&["duration", "at-least"], duration.at_least.as_deref());
            let at_most = self.span(&["duration", "at-most"], duration.at_most.as_deref());
            self.bounds(&["duration"], Bounds { at_least, at_most }, Want::Duration);
        }
    }

    fn effects(&mut self, action: &str, count: &Value) {
        let at = ["effects", action];
        if !self.actions.iter().any(|known| known == action) {
            let help =
                did_you_mean_in(action, self.actions.iter().map(String::as_str), "it has", &self.places.suggestions);
            self.problem("unknown-action", &format!("the simulator has no write `{action}`"), &at, true, help);
            return;
        }
        let number = |key: &str| count.get(key).and_then(Value::as_u64);
        let count = match count.as_u64() {
            Some(exactly) => Bounds { at_least: Some(exactly), at_most: Some(exactly) },
            None => Bounds { at_least: number("at-least"), at_most: number("at-most") },
        };
        self.bounds(&at, count, |count| Want::Effects { action: action.to_owned(), count });
    }

    fn account(&mut self, index: &str, table: &AccountTable) {
        let path = ["account", index];
        let Some(at) = table.at.clone() else { return };
        let mut wants = Vec::new();
        wants.extend(table.is.clone().map(Held::Is));
        wants.extend(table.contains.clone().map(Held::Contains));
        wants.extend(table.count.map(Held::Count));
        wants.extend(table.absent.map(|absent| if absent { Held::Absent } else { Held::Present }));
        wants.extend(table.unchanged.map(|same| if same { Held::Unchanged } else { Held::Changed }));
        let help = "give one of `is`, `contains`, `count`, `absent` and `unchanged`; one item a claim";
        if let Some(held) = self.the_one(wants, &at, &path, help) {
            self.claim(&["account", index, "at"], Want::Account { at, held });
        }
    }

    fn output(&mut self, index: &str, table: &OutputTable) {
        let path = ["outputs", index];
        let (Some(stage), Some(at)) = (table.stage.clone(), table.at.clone()) else { return };
        if !self.is_stage(&stage, &["outputs", index, "stage"], false) {
            return;
        }
        let output = at.split('/').next().unwrap_or_default();
        if let Some(outputs) = self.known.outputs.get(&stage)
            && !outputs.iter().any(|known| known == output)
        {
            let known = outputs.iter().map(String::as_str);
            let help = did_you_mean_in(output, known, "its outputs are", &self.places.suggestions);
            let message = format!("the stage `{stage}` has no output `{output}`");
            self.problem("unknown-output", &message, &["outputs", index, "at"], false, help);
            return;
        }
        let mut wants = Vec::new();
        wants.extend(table.is.clone().map(Held::Is));
        wants.extend(table.contains.clone().map(Held::Contains));
        wants.extend(table.count.map(Held::Count));
        wants.extend(table.absent.map(|absent| if absent { Held::Absent } else { Held::Present }));
        let help = "give one of `is`, `contains`, `count` and `absent`; one item a claim";
        if let Some(held) = self.the_one(wants, &at, &path, help) {
            self.claim(&["outputs", index, "at"], Want::Output { stage, at, held });
        }
    }

    /// What is said of one thing, where it is one.
    fn the_one(&mut self, wants: Vec<Held>, at: &str, path: &[&str], help: &str) -> Option<Held> {
        let several = wants.len();
        let mut wants = wants.into_iter();
        match (wants.next(), several) {
            (Some(held), 1) => Some(held),
            (found, _) => {
                let message = match found {
                    None => format!("nothing is said of `{at}`"),
                    Some(_) => format!("{several} things are said of `{at}` at once"),
                };
                self.problem("invalid-value", &message, path, false, Some(help.to_owned()));
                None
            }
        }
    }

    fn bounds(&mut self, path: &[&str], bounds: Bounds, want: impl FnOnce(Bounds) -> Want) {
        match (bounds.at_least, bounds.at_most) {
            (None, None) => {}
            (Some(least), Some(most)) if least > most => {
                self.problem("invalid-value", "nothing is at least as much and at most as little", path, true, None);
            }
            _ => self.claim(path, want(bounds)),
        }
    }

    fn span(&mut self, path: &[&str], text: Option<&str>) -> Option<u64> {
        match text?.parse::<Span>() {
            Ok(span) => u64::try_from(span.get().as_millis()).ok(),
            Err(error) => {
                self.problem("invalid-duration", &error.to_string(), path, false, None);
                None
            }
        }
    }

    fn is_stage(&mut self, stage: &str, path: &[&str], key: bool) -> bool {
        if self.known.stages.iter().any(|known| known == stage) {
            return true;
        }
        let help = did_you_mean_in(
            stage,
            self.known.stages.iter().map(String::as_str),
            "its stages are",
            &self.places.suggestions,
        );
        self.problem("unknown-stage", &format!("the pipeline has no stage `{stage}`"), path, key, help);
        false
    }

    fn claim(&mut self, path: &[&str], want: Want) {
        let path: Vec<&str> = std::iter::once("expect").chain(path.iter().copied()).collect();
        let span = self.places.key(&path);
        let line = self.places.line(span.start);
        let field = match path.as_slice() {
            // An index says less than the line.
            ["expect", list @ ("messages" | "outputs" | "account"), ..] => format!("expect.{list}"),
            path => path.join("."),
        };
        self.claims.push(Claim { field, line, want });
    }

    fn problem(&mut self, code: &'static str, message: &str, path: &[&str], key: bool, help: Option<String>) {
        let path: Vec<&str> = std::iter::once("expect").chain(path.iter().copied()).collect();
        let span = if key { self.places.key(&path) } else { self.places.value(&path) };
        self.diagnostics.push(Diagnostic::error(code, message).at(span, "").maybe_help(help));
    }
}
