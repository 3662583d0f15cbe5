//! The same pipeline by kiln, by a Python script and by a shell script: the same calls, nothing to wait for.
//! The main function is [`hold`].

use std::path::PathBuf;

use serde_json::{Value, json};

use super::Extent;
use super::floor;
use super::series::Series;
use super::workbench::{Taken, Workbench, text};
use crate::error::TaskError;
use crate::step::Terminal;

const COMMIT: &str = "4f1c2d7";
/// In milliseconds.
const LATENCIES: [u32; 2] = [0, 20];

/// Who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contender {
    Kiln,
    Boto3,
    Cli,
}

impl Contender {
    pub(super) const ALL: [Self; 3] = [Self::Kiln, Self::Boto3, Self::Cli];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kiln => "kiln run",
            Self::Boto3 => "Python script on boto3",
            Self::Cli => "bash script on the AWS CLI",
        }
    }

    /// A process a call takes its time, and half a minute is not told apart better by more rounds.
    fn rounds(self, extent: Extent) -> usize {
        match self {
            Self::Kiln | Self::Boto3 => extent.long_rounds,
            Self::Cli => extent.slow_rounds,
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Kiln => "kiln",
            Self::Boto3 => "boto3",
            Self::Cli => "aws-cli",
        }
    }
}

/// What one contender took at one latency.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) contender: Contender,
    pub(super) wall: Series,
    pub(super) cpu: Series,
    pub(super) memory: Series,
    pub(super) calls: u32,
}

/// All contenders at one latency.
#[derive(Debug)]
pub(super) struct Heat {
    /// In milliseconds a call.
    pub(super) latency: u32,
    pub(super) entries: Vec<Entry>,
    /// What as many calls as kiln makes take with nothing around them.
    pub(super) floor: Series,
}

impl Heat {
    pub(super) fn of(&self, contender: Contender) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.contender == contender)
    }

    /// What a run takes beside the pipeline's own calls: the start, making and reading requests, what the simulator does
    /// beyond the least, and whatever else the contender does.
    pub(super) fn beside_calls(&self, entry: &Entry) -> Series {
        let floor = self.floor.median();
        entry.wall.map(|wall| wall - floor)
    }

    pub(super) fn json(&self) -> Value {
        let kiln = self.of(Contender::Kiln);
        let entries = self.entries.iter().map(|entry| {
            json!({
                "contender": entry.contender.key(),
                "calls": entry.calls,
                "wall-ms": entry.wall.json(),
                "cpu-ms": entry.cpu.json(),
                "memory-mib": entry.memory.json(),
                "wall-beside-calls-ms": self.beside_calls(entry).json(),
                "wall-over-kiln": kiln.map(|kiln| entry.wall.over(&kiln.wall).json()),
                "cpu-over-kiln": kiln.map(|kiln| entry.cpu.over(&kiln.cpu).json()),
            })
        });
        json!({ "latency-ms": self.latency, "calls-alone-ms": self.floor.json(), "contenders": entries.collect::<Vec<_>>() })
    }
}

/// Let all of them run, round after round.
pub(super) fn hold(bench: &Workbench, terminal: &Terminal, extent: Extent) -> Result<Vec<Heat>, TaskError> {
    let course = Course {
        bench,
        world: bench.root.join("bench/web-service.world.toml"),
        pipeline: bench.root.join("bench/web-service.toml"),
    };
    // Whoever came before left files in the page cache and, for kiln, compiled plugins in its own.
    let mut calls: Option<Vec<String>> = None;
    for contender in Contender::ALL {
        let mut made = course.run(contender, 0)?.1;
        made.sort();
        match &calls {
            None => calls = Some(made),
            Some(calls) if *calls == made => {}
            Some(calls) => return Err(other_calls(contender, calls, &made)),
        }
    }
    let mut heats = Vec::new();
    for latency in LATENCIES {
        let new = |contender| Entry {
            contender,
            wall: Series::default(),
            cpu: Series::default(),
            memory: Series::default(),
            calls: 0,
        };
        let mut heat = Heat { latency, entries: Contender::ALL.map(new).into(), floor: Series::default() };
        for round in 0..extent.long_rounds {
            for entry in &mut heat.entries {
                if round >= entry.contender.rounds(extent) {
                    continue;
                }
                let (taken, calls) = course.run(entry.contender, latency)?;
                entry.wall.push(taken.wall);
                entry.cpu.push(taken.cpu);
                entry.memory.push(taken.memory);
                entry.calls = calls.len().try_into().unwrap_or(u32::MAX);
            }
            let calls = heat.of(Contender::Kiln).map_or(0, |kiln| kiln.calls);
            let simulator = bench.simulator(&course.world, latency)?;
            heat.floor.push(floor::calls(&simulator, calls)?);
        }
        terminal.line(format_args!("{latency} ms a call: the calls alone: {} ms", heat.floor.text()));
        for entry in &heat.entries {
            terminal.line(format_args!(
                "{latency} ms a call: {}: {} ms, {} calls",
                entry.contender.name(),
                entry.wall.text(),
                entry.calls
            ));
        }
        heats.push(heat);
    }
    Ok(heats)
}

/// What is run.
struct Course<'a> {
    bench: &'a Workbench,
    world: PathBuf,
    pipeline: PathBuf,
}

/// What every contender must have changed, and nothing else.
const EFFECTS: [&str; 4] =
    ["codebuild:StartBuild", "ecs:RegisterTaskDefinition", "ecs:UpdateService", "ecr:BatchDeleteImage"];

impl Course<'_> {
    /// Run a contender on an account of its own. Answers which calls it made, too.
    fn run(&self, contender: Contender, latency: u32) -> Result<(Taken, Vec<String>), TaskError> {
        let simulator = self.bench.simulator(&self.world, latency)?;
        let url = simulator.url();
        let script = |name: &str| text(&self.bench.root.join("bench").join(name));
        let taken = match contender {
            Contender::Kiln => {
                let input = format!("commit={COMMIT}");
                self.bench.run(&self.pipeline, &simulator, &["--input", &input])?.0
            }
            Contender::Boto3 => {
                self.bench.measure(&[&text(&self.bench.python), &script("web_service_boto3.py"), &url, COMMIT])?
            }
            Contender::Cli => self.bench.measure(&["bash", &script("web_service_cli.sh"), &url, COMMIT])?,
        };
        let effects = simulator.effects()?;
        if effects != EFFECTS {
            let problem = format!("{} did {} instead of {}", contender.name(), effects.join(", "), EFFECTS.join(", "));
            return Err(TaskError::other(problem, "it must do the same as the others"));
        }
        let calls: Vec<String> = match contender {
            Contender::Kiln => {
                let calls = events(&taken.output).filter(|event| kind(event) == Some("call"));
                calls.filter_map(|event| Some(event.get("action")?.as_str()?.to_owned())).collect()
            }
            Contender::Boto3 | Contender::Cli => {
                let calls = taken.output.lines().filter_map(|line| line.strip_prefix("call "));
                calls.map(str::to_owned).collect()
            }
        };
        if calls.is_empty() {
            let problem = format!("{} does not say which calls it made", contender.name());
            return Err(TaskError::other(problem, "see its output"));
        }
        Ok((taken, calls))
    }
}

/// A contender that makes other calls than kiln has less or more to do, and the comparison says nothing. Both lists are sorted.
fn other_calls(contender: Contender, kiln: &[String], made: &[String]) -> TaskError {
    let beyond = |of: &[String], other: &[String]| {
        let mut rest = of.to_vec();
        for call in other {
            if let Some(place) = rest.iter().position(|one| one == call) {
                rest.remove(place);
            }
        }
        if rest.is_empty() { "nothing".to_owned() } else { rest.join(", ") }
    };
    let problem = format!(
        "{} makes other calls than kiln: it lacks {}, and makes {} besides",
        contender.name(),
        beyond(kiln, made),
        beyond(made, kiln)
    );
    TaskError::other(problem, "bring its script in bench/ up to date")
}

/// The events that `kiln run --output json` wrote.
pub(super) fn events(output: &str) -> impl Iterator<Item = Value> {
    output
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|mut line| Some(line.get_mut("event")?.take()))
}

/// What an event is.
pub(super) fn kind(event: &Value) -> Option<&str> {
    event.get("type").and_then(Value::as_str)
}
