//! A rollout of many minutes in virtual time.
//! The main function is [`measure`].

use serde_json::Value;

use super::Extent;
use super::alone::Figure;
use super::contest::{events, kind};
use super::series::Series;
use super::workbench::{Workbench, text};
use crate::error::TaskError;
use crate::step::Terminal;

/// Rehearse the pipeline of a web service. The same seed must give the same events: what is quick and differs is of no use.
pub(super) fn measure(bench: &Workbench, terminal: &Terminal, extent: Extent) -> Result<Vec<Figure>, TaskError> {
    let kiln = text(&bench.kiln);
    let pipeline = text(&bench.root.join("pipelines/web-service.toml"));
    let command = [&kiln, "rehearse", &pipeline, "--input", "commit=4f1c2d7", "--seed", "7", "--output", "json"];
    let first = bench.measure(&command)?.output;
    let (mut wall, mut cpu) = (Series::default(), Series::default());
    for _ in 0..extent.rounds {
        let taken = bench.measure(&command)?;
        if taken.output != first {
            return Err(TaskError::other(
                "two rehearsals with one seed had different events",
                format!("run it twice by hand and compare: {}", command.join(" ")),
            ));
        }
        wall.push(taken.wall);
        cpu.push(taken.cpu);
    }
    let mut simulated = Series::default();
    simulated.push(
        minutes(&first).ok_or_else(|| TaskError::other("a rehearsal does not say when it ended", "see its output"))?,
    );
    let figures = vec![
        Figure { name: "`kiln rehearse pipelines/web-service.toml`", unit: "ms", series: wall },
        Figure { name: "the same, of the processor", unit: "ms", series: cpu },
        Figure { name: "what it rehearses takes, in virtual time", unit: "minutes", series: simulated },
    ];
    for figure in &figures {
        terminal.line(format_args!("{}: {} {}", figure.name, figure.series.text(), figure.unit));
    }
    Ok(figures)
}

fn minutes(output: &str) -> Option<f64> {
    let finished = events(output).find(|event| kind(event) == Some("run-finished"))?;
    Some(finished.get("millis").and_then(Value::as_f64)? / 60_000.0)
}
