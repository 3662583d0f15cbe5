//! What came of a run that was ended and resumed, and how it differs from that of a run that nobody ended.
//!
//! The main type is [`Trial`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use kiln_runner::journal::{self, History, Record, Recording, Tail};
use regex::Regex;
use serde_json::Value;

use crate::trap::Trap;

/// What came of one run, however often it was ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// The exit code of the process that came to the run's end.
    pub code: Option<i32>,
    /// How each stage ended, with its outputs; what chance or the clock decides is left out.
    pub stages: BTreeMap<String, String>,
    /// What was changed, each change as often as it happened.
    pub effects: Vec<String>,
    /// What the account holds.
    pub account: Value,
    /// How many processes were killed.
    pub kills: usize,
    /// How many processes were told to end, and did.
    pub stops: usize,
    /// How many requests each process made.
    pub requests: Vec<u64>,
    /// How often each process waited.
    pub waits: Vec<u64>,
    /// How long it took by the run's clock, without the time in which no process was at it.
    pub took: Duration,
    /// For how long no process was at it, by the world's clock.
    pub(crate) dead: Duration,
    /// What went wrong that no comparison shows.
    pub problems: Vec<String>,
    outputs: BTreeMap<String, Value>,
    scale: f64,
}

impl Trial {
    /// Nothing has happened yet.
    pub(crate) fn begun(scale: f64) -> Self {
        Self {
            code: None,
            stages: BTreeMap::new(),
            effects: Vec::new(),
            account: Value::Null,
            kills: 0,
            stops: 0,
            requests: Vec::new(),
            waits: Vec::new(),
            took: Duration::ZERO,
            dead: Duration::ZERO,
            problems: Vec::new(),
            outputs: BTreeMap::new(),
            scale,
        }
    }

    /// What a process recorded of a stage's outputs, no later one may change or lose.
    pub(crate) fn compare_outputs(&mut self, journal: Option<&Path>) {
        let Some(journal) = journal else { return };
        let recording = match journal::read(journal) {
            Ok(recording) => recording,
            // A journal without a header: the process was killed as it made it.
            Err(_) if self.outputs.is_empty() && std::fs::metadata(journal).is_ok_and(|file| file.len() < 64) => return,
            Err(error) => return self.problems.push(format!("the journal cannot be read: {error}")),
        };
        let mut found = BTreeMap::new();
        for entry in &recording.entries {
            if let Record::StageEnd(end) = &entry.record
                && let Some(value) = &end.outputs
                && let Some(before) = found.insert(end.stage.to_string(), value.clone())
            {
                self.problems.push(format!("stage {} ended twice, first with {before}", end.stage));
            }
        }
        for (stage, before) in &self.outputs {
            if found.get(stage) != Some(before) {
                self.problems.push(format!("the outputs of {stage} were {before} and are {:?}", found.get(stage)));
            }
        }
        self.outputs = found;
    }

    /// Gather what there is in the end.
    pub(crate) fn finish(&mut self, trap: &Trap, journal: Option<&Path>) {
        let simulator = trap.simulator();
        // Services come to rest by themselves, some of them later than the run.
        std::thread::sleep(COMES_TO_REST.div_f64(self.scale).min(Duration::from_secs(1)));
        simulator.advance();
        let effects = simulator.effects();
        // Where runs are shared, the store is kiln's own, and how often it is written depends on time.
        let of_the_run = effects.iter().filter(|effect| !effect.action.starts_with("dynamodb:"));
        let words = of_the_run.map(|effect| {
            plain(&format!("{} {} {} {}", effect.account, effect.region, effect.action, effect.resources.join(" ")))
        });
        self.effects = words.collect();
        self.effects.sort();
        let state = simulator.state();
        self.account = holdings(&state);
        if let Some(at) = state.to_string().find(MASK) {
            let text = state.to_string();
            let around: String = text.chars().skip(text[..at].chars().count().saturating_sub(60)).take(120).collect();
            self.problems.push(format!("altered: what was masked for people reached the account: …{around}…"));
        }
        let Some(journal) = journal else {
            return self.problems.push("there is no journal".to_owned());
        };
        match journal::read(journal) {
            Ok(recording) => self.read(&recording),
            Err(error) => self.problems.push(format!("the journal cannot be read: {error}")),
        }
    }

    fn read(&mut self, recording: &Recording) {
        if recording.tail != Tail::Clean {
            self.problems.push(format!("the journal ends as {:?}", recording.tail));
        }
        let ends = recording.entries.iter().rev().filter_map(|entry| match &entry.record {
            Record::RunEnd(end) => Some(end.at),
            _ => None,
        });
        if let (Some(start), Some(end)) = (recording.start(), ends.max()) {
            let whole = Duration::from_millis(end.saturating_sub(start.at));
            self.took = whole.saturating_sub(self.dead.mul_f64(self.scale));
        }
        match History::of(recording) {
            Ok(history) => {
                for (name, stage) in &history.stages {
                    let end = stage.end.as_ref().map(|end| (end.outcome, end.outputs.as_ref().map(steady)));
                    let undo = stage.undo.as_ref().map(|undo| undo.end.as_ref().map(|end| end.result.is_ok()));
                    let attempt = stage.attempt.as_ref().map(|attempt| attempt.start.attempt);
                    self.stages.insert(name.to_string(), format!("{end:?}, attempt {attempt:?}, undone: {undo:?}"));
                }
            }
            Err(error) => self.problems.push(error.to_string()),
        }
    }

    /// How it differs from a trial in which nobody was ended; nothing where it does not.
    pub fn differences(&self, unended: &Self) -> Vec<String> {
        let mut found = self.problems.clone();
        if self.code != unended.code {
            found.push(format!("it ended with {:?}, and would have with {:?}", self.code, unended.code));
        }
        for (stage, end) in &unended.stages {
            if self.stages.get(stage) != Some(end) {
                found.push(format!("stage {stage} ended as {:?}, and would have as {end}", self.stages.get(stage)));
            }
        }
        found.extend(self.repeated(unended).map(|effect| format!("too often: {effect}")));
        found.extend(unended.repeated(self).map(|effect| format!("lost: {effect}")));
        if self.account != unended.account {
            found.push(format!("altered: the account differs: {}", unequal(&self.account, &unended.account)));
        }
        let most = self.may_take(unended);
        if self.took > most {
            found.push(format!(
                "late: it took {:?} by its clock, {:?} where nobody ends it, and may take {most:?}",
                self.took, unended.took
            ));
        }
        found
    }

    /// How long it may take, by its clock. What one more process costs is its own work, which a fast clock makes long, and
    /// for every call in doubt the time within which AWS may not show it.
    fn may_take(&self, unended: &Self) -> Duration {
        let processes = u32::try_from(self.requests.len()).unwrap_or(u32::MAX);
        let work = (WORK * processes).mul_f64(self.scale);
        unended.took + unended.took / 2 + work + DOUBT * (processes - 1)
    }

    /// The effects that `self` has more often than `other`.
    fn repeated<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a String> {
        let count = |all: &[String], effect: &String| all.iter().filter(|one| *one == effect).count();
        let mut seen = BTreeSet::new();
        self.effects
            .iter()
            .filter(move |effect| seen.insert(*effect))
            .filter(move |effect| count(&self.effects, effect) > count(&other.effects, effect))
    }
}

/// What a process may need by itself, in the world's time, on a machine that does much else.
const WORK: Duration = Duration::from_millis(1_500);

/// What may pass until it is known what became of a call, and until a poll comes round again.
const DOUBT: Duration = Duration::from_secs(60);

/// How long it takes, by its clock, until nothing happens in an account any more.
const COMES_TO_REST: Duration = Duration::from_secs(60);

/// How a masked secret begins.
const MASK: &str = "[secret ";

/// Outputs without what the clock decides.
fn steady(outputs: &Value) -> String {
    let mut outputs = outputs.clone();
    if let Some(fields) = outputs.as_object_mut() {
        fields.retain(|_, value| !value.is_number());
    }
    plain(&outputs.to_string())
}

/// Text without what chance and the clock decide.
fn plain(text: &str) -> String {
    static PATTERNS: LazyLock<[Regex; 2]> = LazyLock::new(|| {
        let of = |pattern| Regex::new(pattern).unwrap_or_else(|error| panic!("{error}"));
        [of("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), of(r"\d{4}-\d\d-\d\dT[0-9:.]+Z")]
    });
    let [uuid, instant] = &*PATTERNS;
    instant.replace_all(&uuid.replace_all(text, "UUID"), "INSTANT").into_owned()
}

/// What matters of an account: which images there are, what services run and with which configuration, which builds there
/// were.
fn holdings(state: &Value) -> Value {
    let mut kept = serde_json::Map::new();
    collect(state, &mut Vec::new(), &mut kept);
    for (at, place) in state.get("places").and_then(Value::as_object).into_iter().flatten() {
        let families = place.pointer("/ecs/families").and_then(Value::as_object).into_iter().flatten();
        for (family, of_family) in families {
            let revisions = of_family.get("revisions").and_then(Value::as_object).into_iter().flatten();
            for (number, revision) in revisions {
                let containers = revision.pointer("/document/containerDefinitions").unwrap_or(&Value::Null);
                kept.insert(format!("{at}/configuration of {family}:{number}"), plain(&containers.to_string()).into());
            }
        }
    }
    Value::Object(kept)
}

/// What of the state must be the same in the end, by the name of its field.
const KEPT: [&str; 8] = ["task-definition", "desired", "desired-count", "digest", "tags", "status", "image", "images"];

fn collect(value: &Value, path: &mut Vec<String>, kept: &mut serde_json::Map<String, Value>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                path.push(plain(name));
                collect(field, path, kept);
                path.pop();
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(index.to_string());
                collect(item, path, kept);
                path.pop();
            }
        }
        Value::String(text) => keep(path, plain(text).into(), kept),
        Value::Bool(_) | Value::Number(_) => keep(path, value.clone(), kept),
        Value::Null => {}
    }
}

fn keep(path: &[String], value: Value, kept: &mut serde_json::Map<String, Value>) {
    let named = path.iter().rev().find(|part| part.parse::<u32>().is_err());
    // Tasks come and go; what the service runs is what counts.
    let transient = path
        .iter()
        .any(|part| ["tasks", "events", "deployments", "history", "alarms", "metrics"].contains(&part.as_str()));
    if !transient && named.is_some_and(|name| KEPT.contains(&name.as_str())) {
        kept.insert(path.join("/"), value);
    }
}

fn unequal(one: &Value, other: &Value) -> String {
    let (Value::Object(one), Value::Object(other)) = (one, other) else { return "in all".to_owned() };
    let mut lines: Vec<String> = Vec::new();
    for (path, value) in one {
        if other.get(path) != Some(value) {
            lines.push(format!("{path} is {value}, and would be {:?}", other.get(path)));
        }
    }
    for path in other.keys().filter(|path| !one.contains_key(*path)) {
        lines.push(format!("{path} is missing"));
    }
    lines.truncate(6);
    lines.join("; ")
}
