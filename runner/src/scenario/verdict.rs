//! Which expectations a rehearsal did not meet: what was expected, what happened instead, and where to look.
//!
//! The main function is [`judge`].

use std::collections::BTreeSet;

use serde_json::Value;

use super::expectation::{Claim, Held, Want};
use super::load::Scenario;
use crate::event::{Event, EventKind, Failure, RunOutcome, StageOutcome};
use crate::pipeline::did_you_mean;
use crate::rehearse::Rehearsed;
use crate::report::human;

/// A value longer than this is cut.
const LONGEST: usize = 300;
/// Of several things that explain a difference, so many are told.
const TOLD: usize = 6;

/// An expectation that was not met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// Its place in the scenario: `expect.stages.build`.
    pub field: String,
    /// The line that it stands on.
    pub line: usize,
    /// What was expected.
    pub expected: String,
    /// What happened.
    pub found: String,
    /// What explains it, a line each.
    pub notes: Vec<String>,
}

/// The expectations of a scenario that its rehearsal did not meet, in the order of the file.
///
/// `refused` says why the run could not begin, where it could not; then nothing happened.
pub fn judge(scenario: &Scenario, rehearsed: &Rehearsed, refused: Option<&str>) -> Vec<Unmet> {
    let mut unmet: Vec<Unmet> = scenario.claims.iter().filter_map(|claim| check(claim, rehearsed, refused)).collect();
    unmet.sort_by_key(|unmet| unmet.line);
    unmet
}

/// What happened instead, and what explains it.
type Difference = (String, String, Vec<String>);

fn check(claim: &Claim, rehearsed: &Rehearsed, refused: Option<&str>) -> Option<Unmet> {
    let difference = match &claim.want {
        Want::Outcome(outcome) => run(*outcome, rehearsed, refused),
        Want::Stage { stage, outcome } => ending(stage, *outcome, rehearsed),
        Want::Undone(stages) => undone(stages, rehearsed),
        Want::Failure { stage, kind } => failure(stage, kind, rehearsed),
        Want::Effects { action, count } => {
            let happened: Vec<_> = rehearsed.effects.iter().filter(|effect| effect.action == *action).collect();
            let number = happened.len() as u64;
            (!count.hold(number)).then(|| {
                let start = start(rehearsed);
                let notes = happened.iter().map(|effect| {
                    let at = human(effect.at.0.saturating_sub(start));
                    let token = effect.token.as_deref().map(|token| format!(", token {token}")).unwrap_or_default();
                    format!("after {at}: {}{token}", effect.resources.join(", "))
                });
                let notes = notes.collect();
                (times(count.words(|count| count.to_string())), times(number.to_string()), notes)
            })
        }
        Want::Message { stage, part } => message(stage.as_deref(), part, rehearsed, refused),
        Want::Output { stage, at, held } => output(stage, at, held, rehearsed),
        Want::Account { at, held } => account(at, held, rehearsed),
        Want::Duration(bounds) => (!bounds.hold(rehearsed.millis)).then(|| {
            let stages = rehearsed.events.iter().filter_map(|event| match (&event.stage, &event.kind) {
                (Some(stage), EventKind::StageFinished { millis, .. }) => {
                    Some(format!("{stage} took {}", human(*millis)))
                }
                _ => None,
            });
            (bounds.words(human), human(rehearsed.millis), stages.collect())
        }),
    };
    let (expected, found, mut notes) = difference?;
    if notes.len() > TOLD {
        let more = notes.len() - TOLD;
        notes.truncate(TOLD);
        notes.push(format!("and {more} more"));
    }
    Some(Unmet { field: claim.field.clone(), line: claim.line, expected, found, notes })
}

fn times(count: String) -> String {
    if count == "1" { "once".to_owned() } else { format!("{count} times") }
}

fn start(rehearsed: &Rehearsed) -> u64 {
    rehearsed.events.first().map_or(0, |event| event.at)
}

fn run(expected: Option<RunOutcome>, rehearsed: &Rehearsed, refused: Option<&str>) -> Option<Difference> {
    let word = |outcome| match outcome {
        Some(RunOutcome::Done) => "done",
        Some(RunOutcome::Failed) => "failed",
        Some(RunOutcome::Interrupted) => "interrupted",
        Some(RunOutcome::Detached) => "detached",
        Some(RunOutcome::Stuck) => "stuck",
        Some(RunOutcome::Undone) => "undone",
        None => "not-started",
    };
    let found = refused.is_none().then_some(rehearsed.outcome);
    if found == expected {
        return None;
    }
    let failures = finished(rehearsed).filter_map(|(stage, _, failure)| Some(told_of(stage, failure?)));
    let failures = refused.map(short).into_iter().chain(failures);
    Some((word(expected).to_owned(), word(found).to_owned(), failures.collect()))
}

fn finished(rehearsed: &Rehearsed) -> impl Iterator<Item = (&str, StageOutcome, Option<&Failure>)> {
    rehearsed.events.iter().filter_map(|event| match (&event.stage, &event.kind) {
        (Some(stage), EventKind::StageFinished { outcome, failure, .. }) => {
            Some((stage.as_str(), *outcome, failure.as_ref()))
        }
        _ => None,
    })
}

fn told_of(stage: &str, failure: &Failure) -> String {
    format!("{stage}: {} ({})", short(&failure.message), failure.kind)
}

fn ending(stage: &str, expected: StageOutcome, rehearsed: &Rehearsed) -> Option<Difference> {
    let word = |outcome| match outcome {
        StageOutcome::Done => "done",
        StageOutcome::Failed => "failed",
        StageOutcome::Skipped => "skipped",
        StageOutcome::NotRun => "not-run",
        StageOutcome::Interrupted => "interrupted",
        StageOutcome::Stuck => "stuck",
    };
    match finished(rehearsed).filter(|(name, ..)| *name == stage).last() {
        Some((_, outcome, _)) if outcome == expected => None,
        Some((_, outcome, failure)) => {
            let notes = failure.map(|failure| told_of(stage, failure)).into_iter().collect();
            Some((word(expected).to_owned(), word(outcome).to_owned(), notes))
        }
        None => Some((word(expected).to_owned(), "the stage never ended".to_owned(), Vec::new())),
    }
}

fn undone(expected: &BTreeSet<String>, rehearsed: &Rehearsed) -> Option<Difference> {
    let mut happened = BTreeSet::new();
    let mut notes = Vec::new();
    for event in &rehearsed.events {
        if let (Some(stage), EventKind::UndoFinished { result }) = (&event.stage, &event.kind) {
            match result {
                Ok(what) => {
                    happened.insert(stage.to_string());
                    notes.push(format!("{stage} was undone: {}", short(what)));
                }
                Err(failure) => notes.push(format!("{stage} could not be undone: {}", short(&failure.message))),
            }
        }
    }
    let words = |stages: &BTreeSet<String>| match stages.len() {
        0 => "nothing".to_owned(),
        _ => stages.iter().cloned().collect::<Vec<_>>().join(", "),
    };
    (happened != *expected).then(|| (words(expected), words(&happened), notes))
}

fn failure(stage: &str, expected: &str, rehearsed: &Rehearsed) -> Option<Difference> {
    let last = finished(rehearsed).filter(|(name, ..)| *name == stage).last();
    match last.and_then(|(_, _, failure)| failure) {
        Some(failure) if failure.kind == expected => None,
        Some(failure) => Some((expected.to_owned(), failure.kind.clone(), vec![told_of(stage, failure)])),
        None => Some((expected.to_owned(), "no failure".to_owned(), Vec::new())),
    }
}

fn message(stage: Option<&str>, part: &str, rehearsed: &Rehearsed, refused: Option<&str>) -> Option<Difference> {
    let of_stage =
        |event: &&Event| stage.is_none_or(|stage| event.stage.as_ref().is_some_and(|own| own.as_str() == stage));
    let mut said: Vec<String> = refused.filter(|_| stage.is_none()).map(str::to_owned).into_iter().collect();
    for event in rehearsed.events.iter().filter(of_stage) {
        texts(&event.kind, &mut said);
    }
    if said.iter().any(|text| text.contains(part)) {
        return None;
    }
    let whose = stage.map_or_else(|| "anybody".to_owned(), |stage| format!("stage {stage}"));
    let found = match said.len() {
        0 => format!("{whose} says nothing at all"),
        1 => format!("{whose} says one thing, and not this"),
        several => format!("{whose} says {several} things, and not this"),
    };
    // What is nearest to it comes first, then what was said last.
    let folded = part.to_lowercase();
    let near = |text: &str| {
        let text = text.to_lowercase();
        folded.split_whitespace().filter(|word| word.len() > 2 && text.contains(word)).count()
    };
    said.reverse();
    said.sort_by_key(|text| std::cmp::Reverse(near(text)));
    said.dedup();
    Some((format!("{part:?} in what {whose} says"), found, said.iter().map(|text| short(text)).collect()))
}

/// All texts of an event.
fn texts(kind: &EventKind, said: &mut Vec<String>) {
    let mut failed = |failure: &Failure| {
        said.push(failure.message.clone());
        said.extend(failure.help.clone());
        said.extend(failure.details.iter().cloned());
    };
    match kind {
        EventKind::StageFinished { failure: Some(failure), .. } => failed(failure),
        EventKind::StageRetrying { failure, .. } | EventKind::UndoFinished { result: Err(failure) } => failed(failure),
        EventKind::UndoFinished { result: Ok(text) } => said.push(text.clone()),
        EventKind::StageProgress { message, .. } | EventKind::StageLog { message, .. } => said.push(message.clone()),
        EventKind::Warning { message, help } => {
            said.push(message.clone());
            said.extend(help.clone());
        }
        EventKind::Call { action, error: Some(error), .. } | EventKind::CallRetrying { action, error, .. } => {
            said.push(format!("{action}: {error}"));
        }
        EventKind::CallReconciled { action, verdict, evidence } => {
            said.push(format!("{action}: {verdict}: {evidence}"))
        }
        EventKind::RunStarted { .. }
        | EventKind::StageResumed { .. }
        | EventKind::StageStarted { .. }
        | EventKind::Call { error: None, .. }
        | EventKind::StageFinished { failure: None, .. }
        | EventKind::UndoStarted
        | EventKind::LeftOut { .. }
        | EventKind::Interrupted { .. }
        | EventKind::RunFinished { .. } => {}
    }
}

fn output(stage: &str, at: &str, held: &Held, rehearsed: &Rehearsed) -> Option<Difference> {
    let last = rehearsed.events.iter().rev().find_map(|event| match (&event.stage, &event.kind) {
        (Some(name), EventKind::StageFinished { outputs, .. }) if name.as_str() == stage => Some(outputs.as_ref()),
        _ => None,
    });
    let Some(Some(outputs)) = last else {
        let found = format!("{stage} gave no outputs");
        return (*held != Held::Absent).then(|| (format!("{stage} answers {at}"), found, Vec::new()));
    };
    let path: Vec<String> = at.split('/').map(unescaped).collect();
    // An output that a plugin leaves open is as good as none.
    let there = find(outputs, &path).and_then(|value| match value {
        Value::Null => Err(format!("{stage} left {at} open")),
        value => Ok(value),
    });
    compare(&format!("{stage}.{at}"), held, there, Err(String::new()))
}

fn unescaped(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}

fn account(at: &str, held: &Held, rehearsed: &Rehearsed) -> Option<Difference> {
    let path = path(at, &rehearsed.after);
    compare(at, held, find(&rehearsed.after, &path), find(&rehearsed.before, &path))
}

/// What is expected of a value that is there afterwards, and that was there before, is not so.
fn compare(at: &str, held: &Held, after: Result<&Value, String>, before: Result<&Value, String>) -> Option<Difference> {
    let found = |value: &Result<&Value, String>| match value {
        Ok(value) => format!("{at} is {}", json(value)),
        Err(_) => format!("{at} is not there"),
    };
    let missing = || after.as_ref().err().cloned().into_iter().collect::<Vec<_>>();
    let (met, expected) = match held {
        Held::Is(value) => (after.as_ref().is_ok_and(|found| same(found, value)), format!("{at} is {}", json(value))),
        Held::Contains(part) => {
            (after.as_ref().is_ok_and(|found| contains(found, part)), format!("{at} contains {part:?}"))
        }
        Held::Count(count) => {
            let number = after.as_ref().ok().and_then(|found| length(found));
            if let Some(number) = number.filter(|number| number != count) {
                let keys = after.as_ref().ok().map(|found| members(found)).unwrap_or_default();
                return Some((format!("{at} holds {count}"), format!("{at} holds {number}"), keys));
            }
            (number.is_some(), format!("{at} holds {count}"))
        }
        Held::Absent => (after.is_err(), format!("{at} is not there")),
        Held::Present => (after.is_ok(), format!("{at} is there")),
        Held::Unchanged => {
            let is_there = before.is_ok() || after.is_ok();
            (is_there && before.as_ref().ok() == after.as_ref().ok(), format!("as before: {}", found(&before)))
        }
        Held::Changed => (before.as_ref().ok() != after.as_ref().ok(), format!("not as before: {}", found(&before))),
    };
    (!met).then(|| (expected, found(&after), missing()))
}

/// The keys of a pointer from the root of the state.
fn path(at: &str, state: &Value) -> Vec<String> {
    match at.strip_prefix('/') {
        Some(absolute) => absolute.split('/').map(unescaped).collect(),
        None => {
            let home = state.get("home").and_then(Value::as_str).unwrap_or_default();
            let mut path = vec!["places".to_owned(), home.to_owned()];
            path.extend(at.split('/').map(unescaped));
            path
        }
    }
}

/// What stands at a path, or where the path ends.
fn find<'v>(state: &'v Value, path: &[String]) -> Result<&'v Value, String> {
    let mut here = state;
    for (index, key) in path.iter().enumerate() {
        let inner = match here {
            Value::Object(members) => members.get(key),
            Value::Array(items) => match key.as_str() {
                "last" => items.last(),
                key => key.parse::<usize>().ok().and_then(|index| items.get(index)),
            },
            _ => None,
        };
        here = inner.ok_or_else(|| {
            let place = path.get(..index).unwrap_or_default().join("/");
            let place = if place.is_empty() { "the state".to_owned() } else { place };
            let known = members(here);
            let help = did_you_mean(key, known.iter().map(String::as_str), "there are");
            format!("{place} has no `{key}`{}", help.map(|help| format!("; {help}")).unwrap_or_default())
        })?;
    }
    Ok(here)
}

fn members(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => members.keys().cloned().collect(),
        Value::Array(items) => items.iter().map(json).collect(),
        _ => Vec::new(),
    }
}

fn length(value: &Value) -> Option<u64> {
    match value {
        Value::Object(members) => Some(members.len() as u64),
        Value::Array(items) => Some(items.len() as u64),
        _ => None,
    }
}

/// Numbers are the same whatever their form.
fn same(found: &Value, expected: &Value) -> bool {
    match (found.as_f64(), expected.as_f64()) {
        (Some(found), Some(expected)) => found == expected,
        _ => found == expected,
    }
}

fn contains(found: &Value, part: &str) -> bool {
    match found {
        Value::String(text) => text.contains(part),
        other => other.to_string().contains(part),
    }
}

fn json(value: &Value) -> String {
    short(&value.to_string())
}

fn short(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}
