//! Pipelines of many stages: what a stage costs, and whether that grows with their number.
//! The main function is [`measure`].

use serde_json::{Value, json};

use super::Extent;
use super::contest::{events, kind};
use super::guest::Guest;
use super::series::{Series, figure};
use super::simulator::Simulator;
use super::workbench::{Workbench, text};
use crate::error::TaskError;
use crate::step::Terminal;

/// How stages hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// None needs another: all begin at once.
    Wide,
    /// Each needs the one before.
    Chain,
    /// None needs another, and all wait until the last has begun.
    Waiting,
    /// The same with a real plugin, `verify-alarms`, and its calls.
    Baking,
}

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Self::Wide => "side by side",
            Self::Chain => "one after the other",
            Self::Waiting => "all waiting at once",
            Self::Baking => "all baking at once (`verify-alarms`)",
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Wide => "wide",
            Self::Chain => "chain",
            Self::Waiting => "waiting",
            Self::Baking => "baking",
        }
    }
}

/// A pipeline that was run.
#[derive(Debug)]
pub(super) struct Crowd {
    shape: Shape,
    pub(super) count: usize,
    pub(super) wall: Series,
    pub(super) cpu: Series,
    pub(super) memory: Series,
    /// Bytes of the journal.
    pub(super) journal: u64,
    /// How many stages had begun before the first ended.
    pub(super) at_once: usize,
}

impl Crowd {
    pub(super) fn shape(&self) -> &'static str {
        self.shape.name()
    }

    /// Whether all of its stages wait at the same time, so that its memory is theirs.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.shape, Shape::Waiting | Shape::Baking)
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "shape": self.shape.key(), "stages": self.count, "wall-ms": self.wall.json(), "cpu-ms": self.cpu.json(),
            "memory-mib": self.memory.json(), "journal-bytes": self.journal, "begun-before-the-first-ended": self.at_once,
        })
    }
}

const WORLD: &str = r#"
account = "111111111111"
region  = "us-west-2"

[[alarms]]
name   = "quiet"
state  = "OK"
metric = { namespace = "AWS/ApplicationELB", name = "HTTPCode_Target_5XX_Count", dimensions = { LoadBalancer = "app/web/0a1b2c3d4e5f6071" }, statistic = "Sum", period = "1m", threshold = 10.0, comparison = "GreaterThanThreshold", treat-missing-data = "notBreaching" }
"#;

/// Run the pipelines.
pub(super) fn measure(bench: &Workbench, terminal: &Terminal, extent: Extent) -> Result<Vec<Crowd>, TaskError> {
    let world = bench.write("crowd.world.toml", WORLD)?;
    let simulator = bench.simulator(&world, 0)?;
    let mut crowds = Vec::new();
    for shape in [Shape::Wide, Shape::Chain, Shape::Waiting, Shape::Baking] {
        for count in extent.stages {
            let crowd = gather(bench, &simulator, shape, *count, extent)?;
            terminal.line(format_args!(
                "{count} stages {}: {} ms, {} ms of the processor, {} MiB",
                shape.name(),
                crowd.wall.text(),
                crowd.cpu.text(),
                figure(crowd.memory.median())
            ));
            crowds.push(crowd);
        }
    }
    Ok(crowds)
}

/// Run them. Stages that are to wait all at once wait longer where the first ended before the last had begun.
fn gather(
    bench: &Workbench,
    simulator: &Simulator,
    shape: Shape,
    count: usize,
    extent: Extent,
) -> Result<Crowd, TaskError> {
    let mut wait = 1_000 + count as u64;
    loop {
        let crowd = crowd(bench, simulator, shape, count, wait, extent)?;
        if !crowd.is_waiting() || crowd.at_once == count || wait >= LONGEST_WAIT {
            return Ok(crowd);
        }
        wait = (wait * 3).min(LONGEST_WAIT);
    }
}

/// In milliseconds. Stages that still do not wait all at once are measured as they are, and the figures say so.
const LONGEST_WAIT: u64 = 120_000;

fn crowd(
    bench: &Workbench,
    simulator: &Simulator,
    shape: Shape,
    count: usize,
    wait: u64,
    extent: Extent,
) -> Result<Crowd, TaskError> {
    let guest = match shape {
        Shape::Wide | Shape::Chain => Guest::Idle,
        Shape::Waiting => Guest::Sleep(wait),
        Shape::Baking => Guest::Idle,
    };
    bench.write("probe.wasm", guest.component(bench)?)?;
    let pipeline = bench.write("crowd.toml", pipeline(shape, count, wait))?;
    // So that the plugin is in the cache.
    bench.measure(&[&text(&bench.kiln), "check", &text(&pipeline)])?;
    let mut crowd = Crowd {
        shape,
        count,
        wall: Series::default(),
        cpu: Series::default(),
        memory: Series::default(),
        journal: 0,
        at_once: 0,
    };
    let rounds = match count {
        ..=100 => extent.long_rounds,
        101..=1_000 => extent.slow_rounds,
        _ => 1,
    };
    for _ in 0..rounds {
        let (taken, journal) = bench.run(&pipeline, simulator, &[])?;
        crowd.wall.push(taken.wall);
        crowd.cpu.push(taken.cpu);
        crowd.memory.push(taken.memory);
        crowd.journal = journal;
        crowd.at_once = events(&taken.output)
            .take_while(|event| kind(event) != Some("stage-finished"))
            .filter(|event| kind(event) == Some("stage-started"))
            .count();
    }
    Ok(crowd)
}

fn pipeline(shape: Shape, count: usize, wait: u64) -> String {
    let mut text =
        "[pipeline]\nname = \"crowd\"\nregion = \"us-west-2\"\n[plugins.probe]\npath = \"probe.wasm\"\n".to_owned();
    for index in 0..count {
        if shape == Shape::Baking {
            text.push_str(&format!("[stages.s{index}]\nplugin=\"verify-alarms\"\nwith={{alarms=[\"quiet\"],bake=\"{wait}ms\",poll=\"{wait}ms\"}}\n"));
            continue;
        }
        text.push_str(&format!("[stages.s{index}]\nplugin = \"probe\"\n"));
        if let (Shape::Chain, Some(before)) = (shape, index.checked_sub(1)) {
            text.push_str(&format!("after = [\"s{before}\"]\n"));
        }
    }
    text
}
