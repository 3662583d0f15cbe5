//! What came of scenarios, in words and as JSON.
//!
//! The main type is [`Tested`].

use std::path::PathBuf;
use std::time::Duration;

use kiln_span::millis;
use serde_json::{Value, json};

use super::try_out::Trial;
use crate::harmless::{line, lines};
use crate::report::{Plain, Report, Settings, Style, Tone, human};
use crate::words::count;

/// Of what happened last, so many lines are shown of a scenario that failed.
const LAST: usize = 12;

/// A scenario that was tried.
#[derive(Debug)]
pub struct Tested {
    /// Its name.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// What it shows.
    pub description: String,
    /// What came of it, or why it could not be tried.
    pub result: Result<Trial, String>,
}

impl Tested {
    /// Whether all expectations were met.
    pub fn passed(&self) -> bool {
        self.result.as_ref().is_ok_and(|trial| trial.unmet.is_empty())
    }
}

/// How many passed, how many did not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// All expectations were met.
    pub passed: usize,
    /// Some were not.
    pub failed: usize,
    /// Could not be tried.
    pub broken: usize,
}

impl Tally {
    /// Of all that was tested.
    pub fn of(tested: &[Tested]) -> Self {
        let mut tally = Self::default();
        for one in tested {
            match &one.result {
                Ok(_) if one.passed() => tally.passed += 1,
                Ok(_) => tally.failed += 1,
                Err(_) => tally.broken += 1,
            }
        }
        tally
    }
}

/// The line of one scenario: whether it passed, how long it took on the wall and in simulated time.
pub(crate) fn headline(tested: &Tested, style: Style) -> String {
    let word = match &tested.result {
        Ok(_) if tested.passed() => style.paint(Tone::Good, "PASS"),
        Ok(_) => style.paint(Tone::Bad, "FAIL"),
        Err(_) => style.paint(Tone::Bad, "ERROR"),
    };
    let pad = if tested.result.is_err() { "" } else { " " };
    let name = line(&tested.name);
    match &tested.result {
        Ok(trial) => {
            let wall = trial.wall.as_secs_f64();
            format!("{pad}{word} [{wall:>7.3}s, simulated {:>11}] {}", human(trial.rehearsed.millis), name)
        }
        Err(_) => format!("{pad}{word} [{:>32}] {name}", "not rehearsed"),
    }
}

/// What is to be said of a scenario that failed, without colours: every difference, then the last that happened.
pub(super) fn told(tested: &Tested) -> String {
    let trial = match &tested.result {
        Ok(trial) => trial,
        Err(error) => return format!("could not be rehearsed: {error}\n"),
    };
    let mut text = String::new();
    for unmet in &trial.unmet {
        text.push_str(&format!("{}:{}: {}\n", tested.path.display(), unmet.line, unmet.field));
        text.push_str(&format!("    expected: {}\n       found: {}\n", unmet.expected, unmet.found));
        for note in &unmet.notes {
            text.push_str(&format!("           | {}\n", note.replace('\n', "\n           | ")));
        }
    }
    if let Some(refused) = &trial.refused {
        text.push_str(&format!("the run could not begin: {refused}\n"));
        return text;
    }
    text.push_str("what happened last:\n");
    for line in last(trial) {
        text.push_str(&format!("    {line}\n"));
    }
    text
}

/// The block of a scenario that failed.
pub(crate) fn failure(tested: &Tested, style: Style) -> String {
    let mut text = format!("{} {}\n", style.paint(Tone::Bad, "---"), line(&tested.name));
    if !tested.description.is_empty() {
        text.push_str(&format!("    {}\n", line(&tested.description)));
    }
    // Foreign text comes with the events.
    for line in lines(&told(tested)) {
        text.push_str(&format!("    {line}\n"));
    }
    text
}

/// The line behind all.
pub(crate) fn summary(tested: &[Tested], wall: Duration, style: Style) -> String {
    let tally = Tally::of(tested);
    let millis: u64 = tested.iter().filter_map(|one| Some(one.result.as_ref().ok()?.rehearsed.millis)).sum();
    let mut parts = vec![style.paint(Tone::Good, &format!("{} passed", tally.passed))];
    if tally.failed > 0 {
        parts.push(style.paint(Tone::Bad, &format!("{} failed", tally.failed)));
    }
    if tally.broken > 0 {
        parts.push(style.paint(Tone::Bad, &format!("{} not rehearsed", tally.broken)));
    }
    format!(
        "{} in {:.3}s, {} simulated: {}",
        count(tested.len(), "scenario"),
        wall.as_secs_f64(),
        human(millis),
        parts.join(", ")
    )
}

/// Everything, as one JSON document.
pub fn json(pipeline: &str, tested: &[Tested], wall: Duration) -> Value {
    let tally = Tally::of(tested);
    let scenarios: Vec<Value> = tested
        .iter()
        .map(|one| {
            let file = one.path.display().to_string();
            match &one.result {
                Ok(trial) => json!({
                    "name": one.name,
                    "file": file,
                    "description": one.description,
                    "status": if one.passed() { "passed" } else { "failed" },
                    "wall-millis": millis(trial.wall),
                    "simulated-millis": trial.rehearsed.millis,
                    "unmet": trial.unmet.iter().map(|unmet| json!({
                        "field": unmet.field,
                        "line": unmet.line,
                        "expected": unmet.expected,
                        "found": unmet.found,
                        "notes": unmet.notes,
                    })).collect::<Vec<_>>(),
                }),
                Err(error) => json!({
                    "name": one.name,
                    "file": file,
                    "description": one.description,
                    "status": "not-rehearsed",
                    "error": error,
                }),
            }
        })
        .collect();
    json!({
        "pipeline": pipeline,
        "passed": tally.passed,
        "failed": tally.failed,
        "not-rehearsed": tally.broken,
        "wall-millis": millis(wall),
        "scenarios": scenarios,
    })
}

/// The last lines that a CI log of the run would have.
fn last(trial: &Trial) -> Vec<String> {
    let mut log = Vec::new();
    // A status every ten minutes is enough to see that something waits.
    let settings = Settings { interval: Duration::from_secs(600), ..Settings::default() };
    let mut report = Plain::new(&mut log, &settings, Style::ASCII);
    for event in &trial.rehearsed.events {
        if !matches!(event.kind, crate::event::EventKind::RunFinished { .. }) {
            report.event(event);
        }
    }
    drop(report);
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().collect();
    let from = lines.len().saturating_sub(LAST);
    lines.iter().skip(from).map(|line| (*line).to_owned()).collect()
}
