//! Kills real runs wherever they are, resumes them, and compares what came of them with a run that nobody killed.
//!
//! The main types are [`Course`], a pipeline in a world, and [`Trial`], what came of one run of it with its kills.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kiln_runner::journal::{self, History, Record, Tail};
use regex::Regex;
use serde_json::Value;
use tempfile::TempDir;

use crate::kiln::{binary, cache, surround};
use crate::trap::{Snare, Trap};

/// A run that is killed this often without coming to its end is stuck.
const MOST_PROCESSES: usize = 40;

/// A pipeline in a world, and its inputs.
#[derive(Debug, Clone)]
pub struct Course {
    /// For messages.
    pub name: &'static str,
    /// The pipeline's text.
    pub pipeline: String,
    /// The world's text.
    pub world: String,
    /// How many times as fast as the world its clocks go.
    pub scale: f64,
}

/// What came of one run, however often it was killed.
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
    /// How many requests each process made.
    pub requests: Vec<u64>,
    /// What went wrong that no comparison shows.
    pub problems: Vec<String>,
}

impl Course {
    /// Run it, with one snare for each process until there are none left.
    pub fn run(&self, snares: &[Snare]) -> Trial {
        let trap = Trap::of(&self.world, self.scale);
        let directory = tempfile::tempdir().unwrap_or_else(|error| panic!("a directory: {error}"));
        std::fs::write(directory.path().join("pipeline.toml"), &self.pipeline)
            .unwrap_or_else(|error| panic!("the pipeline: {error}"));
        let mut trial = Trial {
            code: None,
            stages: BTreeMap::new(),
            effects: Vec::new(),
            account: Value::Null,
            kills: 0,
            requests: Vec::new(),
            problems: Vec::new(),
        };
        let mut outputs = BTreeMap::new();
        let mut snares = snares.iter().copied();
        loop {
            let code = self.process(&trap, &directory, snares.next().unwrap_or(Snare::None), &mut trial);
            compare_outputs(&directory, &mut outputs, &mut trial);
            match code {
                Some(code) => {
                    trial.code = Some(code);
                    break;
                }
                None => trial.kills += 1,
            }
            if trial.requests.len() > MOST_PROCESSES {
                trial.problems.push("it comes to no end".to_owned());
                break;
            }
        }
        finish(&trap, &directory, &mut trial);
        trial
    }

    /// One process: the run begins, or goes on where it began already. Answers its exit code, none where it was killed.
    fn process(&self, trap: &Trap, directory: &TempDir, snare: Snare, trial: &mut Trial) -> Option<i32> {
        trap.arm(snare);
        let mut command = Command::new(binary());
        surround(&mut command);
        command.current_dir(directory.path()).env("AWS_ENDPOINT_URL", trap.url()).env("KILN_CACHE_DIR", cache());
        if has_begun(directory.path()) {
            command.args(["resume", "--output", "json"]);
        } else {
            // A process that was killed before its first record was durable has done nothing.
            let _ = std::fs::remove_dir_all(directory.path().join(".kiln/runs"));
            command.args(["run", "pipeline.toml", "--input", "commit=4f2a9c1", "--output", "json"]);
            command.args(["--clock-scale", &self.scale.to_string()]);
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{}: {error}", binary().display()));
        trap.watch(child.id());
        let output = child.wait_with_output().unwrap_or_else(|error| panic!("waiting for kiln: {error}"));
        trial.requests.push(trap.ended());
        let code = output.status.code();
        if !matches!(code, None | Some(0 | 1)) {
            trial.problems.push(format!("exit {code:?}: {}", String::from_utf8_lossy(&output.stderr)));
        }
        code
    }
}

/// The journal of the one run, if it is there.
fn journal_of(directory: &Path) -> Option<PathBuf> {
    let runs = std::fs::read_dir(directory.join(".kiln/runs")).ok()?;
    let mut journals = runs.flatten().map(|run| run.path().join("journal")).filter(|journal| journal.is_file());
    journals.next()
}

fn has_begun(directory: &Path) -> bool {
    let recording = journal_of(directory).and_then(|journal| journal::read(&journal).ok());
    recording.is_some_and(|recording| recording.start().is_some())
}

/// What a process recorded of a stage's outputs, no later one may change or lose.
fn compare_outputs(directory: &TempDir, outputs: &mut BTreeMap<String, Value>, trial: &mut Trial) {
    let Some(journal) = journal_of(directory.path()) else { return };
    let recording = match journal::read(&journal) {
        Ok(recording) => recording,
        // A journal without a header: the process was killed as it made it.
        Err(_) if !has_begun(directory.path()) => return,
        Err(error) => return trial.problems.push(format!("the journal cannot be read: {error}")),
    };
    let mut found = BTreeMap::new();
    for entry in &recording.entries {
        if let Record::StageEnd(end) = &entry.record
            && let Some(value) = &end.outputs
            && let Some(before) = found.insert(end.stage.to_string(), value.shown().value().clone())
        {
            trial.problems.push(format!("stage {} ended twice, first with {before}", end.stage));
        }
    }
    for (stage, before) in outputs.iter() {
        if found.get(stage) != Some(before) {
            trial.problems.push(format!("the outputs of {stage} were {before} and are {:?}", found.get(stage)));
        }
    }
    *outputs = found;
}

fn finish(trap: &Trap, directory: &TempDir, trial: &mut Trial) {
    let simulator = trap.simulator();
    simulator.advance();
    trial.effects = simulator
        .effects()
        .iter()
        .map(|effect| {
            plain(&format!("{} {} {} {}", effect.account, effect.region, effect.action, effect.resources.join(" ")))
        })
        .collect();
    trial.effects.sort();
    trial.account = holdings(&simulator.state());
    let Some(journal) = journal_of(directory.path()) else {
        return trial.problems.push("there is no journal".to_owned());
    };
    match journal::read(&journal) {
        Ok(recording) => {
            if recording.tail != Tail::Clean {
                trial.problems.push(format!("the journal ends as {:?}", recording.tail));
            }
            match History::of(&recording) {
                Ok(history) => {
                    for (name, stage) in &history.stages {
                        let end = stage.end.as_ref().map(|end| {
                            (end.outcome, end.outputs.as_ref().map(|outputs| steady(outputs.shown().value())))
                        });
                        let undo = stage.undo.as_ref().map(|undo| undo.end.as_ref().map(|end| end.result.is_ok()));
                        trial.stages.insert(name.to_string(), format!("{end:?}, undone: {undo:?}"));
                    }
                }
                Err(error) => trial.problems.push(error.to_string()),
            }
        }
        Err(error) => trial.problems.push(format!("the journal cannot be read: {error}")),
    }
}

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
    static PATTERNS: std::sync::LazyLock<[Regex; 2]> = std::sync::LazyLock::new(|| {
        let of = |pattern| Regex::new(pattern).unwrap_or_else(|error| panic!("{error}"));
        [of("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), of(r"\d{4}-\d\d-\d\dT[0-9:.]+Z")]
    });
    let [uuid, instant] = &*PATTERNS;
    instant.replace_all(&uuid.replace_all(text, "UUID"), "INSTANT").into_owned()
}

/// What matters of an account: which images there are, what services run, which builds there were.
fn holdings(state: &Value) -> Value {
    let mut kept = serde_json::Map::new();
    collect(state, &mut Vec::new(), &mut kept);
    Value::Object(kept)
}

/// What of the state must be the same in the end, by the name of its field.
const KEPT: [&str; 9] =
    ["task-definition", "desired", "desired-count", "digest", "tags", "status", "image", "images", "steady"];

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

impl Trial {
    /// How it differs from a trial in which nobody was killed; nothing where it does not.
    pub fn differences(&self, unkilled: &Self) -> Vec<String> {
        let mut found = self.problems.clone();
        if self.code != unkilled.code {
            found.push(format!("it ended with {:?}, and would have with {:?}", self.code, unkilled.code));
        }
        for (stage, end) in &unkilled.stages {
            if self.stages.get(stage) != Some(end) {
                found.push(format!("stage {stage} ended as {:?}, and would have as {end}", self.stages.get(stage)));
            }
        }
        found.extend(self.repeated(unkilled).map(|effect| format!("too often: {effect}")));
        found.extend(unkilled.repeated(self).map(|effect| format!("lost: {effect}")));
        if self.account != unkilled.account {
            found.push(format!("the account differs: {}", unequal(&self.account, &unkilled.account)));
        }
        found
    }

    /// The effects that `self` has more often than `other`.
    fn repeated<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a String> {
        let count = |all: &[String], effect: &String| all.iter().filter(|one| *one == effect).count();
        let mut seen = std::collections::BTreeSet::new();
        self.effects
            .iter()
            .filter(move |effect| seen.insert(*effect))
            .filter(move |effect| count(&self.effects, effect) > count(&other.effects, effect))
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
