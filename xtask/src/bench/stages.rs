//! Pipelines of many stages: what a stage costs, and whether that grows with their number.
//! The main function is [`measure`].

use serde_json::{Value, json};

use super::Extent;
use super::contest::{events, kind};
use super::guest::Guest;
use super::series::{Series, figure};
use super::simulator::Simulator;
use super::workbench::Workbench;
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
}

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Self::Wide => "side by side",
            Self::Chain => "one after the other",
            Self::Waiting => "all waiting at once",
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Wide => "wide",
            Self::Chain => "chain",
            Self::Waiting => "waiting",
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

    pub(super) fn is_waiting(&self) -> bool {
        self.shape == Shape::Waiting
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "shape": self.shape.key(), "stages": self.count, "wall-ms": self.wall.json(), "cpu-ms": self.cpu.json(),
            "memory-mib": self.memory.json(), "journal-bytes": self.journal, "begun-before-the-first-ended": self.at_once,
        })
    }
}

/// Run the pipelines.
pub(super) fn measure(bench: &Workbench, terminal: &Terminal, extent: Extent) -> Result<Vec<Crowd>, TaskError> {
    let world = bench.write("empty.world.toml", "account = \"111111111111\"\nregion = \"us-west-2\"\n")?;
    let simulator = bench.simulator(&world, 0)?;
    let mut crowds = Vec::new();
    for shape in [Shape::Wide, Shape::Chain, Shape::Waiting] {
        for count in extent.stages {
            let crowd = crowd(bench, &simulator, shape, *count, extent)?;
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

fn crowd(
    bench: &Workbench,
    simulator: &Simulator,
    shape: Shape,
    count: usize,
    extent: Extent,
) -> Result<Crowd, TaskError> {
    let guest = match shape {
        Shape::Wide | Shape::Chain => Guest::Idle,
        // Longer than it takes to begin them all on any machine that is worth measuring.
        Shape::Waiting => Guest::Sleep(1_000 + 3 * count as u64),
    };
    bench.write("probe.wasm", guest.component(bench)?)?;
    let pipeline = bench.write("crowd.toml", pipeline(shape, count))?;
    let mut crowd = Crowd {
        shape,
        count,
        wall: Series::default(),
        cpu: Series::default(),
        memory: Series::default(),
        journal: 0,
        at_once: 0,
    };
    // Once more, so that the plugin is in the cache.
    for round in 0..=extent.long_rounds.min(if count > 1_000 { 3 } else { usize::MAX }) {
        let (taken, journal) = bench.run(&pipeline, simulator, &[])?;
        if round == 0 {
            continue;
        }
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

fn pipeline(shape: Shape, count: usize) -> String {
    let mut text =
        "[pipeline]\nname = \"crowd\"\nregion = \"us-west-2\"\n[plugins.probe]\npath = \"probe.wasm\"\n".to_owned();
    for index in 0..count {
        text.push_str(&format!("[stages.s{index}]\nplugin = \"probe\"\n"));
        if let (Shape::Chain, Some(before)) = (shape, index.checked_sub(1)) {
            text.push_str(&format!("after = [\"s{before}\"]\n"));
        }
    }
    text
}
