//! What kiln's own parts take: checking, a host call, its record.
//! The main function is [`measure`].

use serde_json::{Value, json};

use super::Extent;
use super::guest::Guest;
use super::series::Series;
use super::workbench::{Workbench, text};
use crate::error::TaskError;
use crate::step::Terminal;

/// A figure.
#[derive(Debug)]
pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) series: Series,
}

impl Figure {
    pub(super) fn json(&self) -> Value {
        json!({ "name": self.name, "unit": self.unit, "figures": self.series.json() })
    }
}

/// How many stages the pipeline has that is only checked.
const CHECKED: usize = 1_000;

/// Measure it all.
pub(super) fn measure(bench: &Workbench, terminal: &Terminal, extent: Extent) -> Result<Vec<Figure>, TaskError> {
    let kiln = text(&bench.kiln);
    let large = text(&bench.write("large.toml", large())?);
    let mut figures = Vec::new();
    let command = [kiln.as_str(), "check", &large];
    let mut series = Series::default();
    bench.measure(&command)?;
    for _ in 0..extent.rounds {
        series.push(bench.measure(&command)?.wall);
    }
    let name = "`kiln check` of a pipeline of 1,000 stages with 1,500 references";
    figures.push(Figure { name, unit: "ms", series });
    calls(bench, extent, &mut figures)?;
    for figure in &figures {
        terminal.line(format_args!("{}: {} {}", figure.name, figure.series.text(), figure.unit));
    }
    Ok(figures)
}

/// The cost of a call: what a run with many of them takes more than a run with none, divided by their number.
fn calls(bench: &Workbench, extent: Extent, figures: &mut Vec<Figure>) -> Result<(), TaskError> {
    let world = bench.write("calls.world.toml", "account = \"111111111111\"\nregion = \"us-west-2\"\n")?;
    let simulator = bench.simulator(&world, 0)?;
    let pipeline = "[pipeline]\nname = \"calls\"\nregion = \"us-west-2\"\n[plugins.probe]\npath = \"probe.wasm\"\n[stages.one]\nplugin = \"probe\"\n";
    let pipeline = bench.write("calls.toml", pipeline)?;
    /// What it is, what its journal is called, how many of them there are, and the guest that makes them.
    type Row = (&'static str, Option<&'static str>, u32, fn(u32) -> Guest);
    let kinds: [Row; 3] = [
        ("a host call that is not journaled (`memory.recall`)", None, 100_000, Guest::Recall),
        ("a host call that is journaled (`timer.now`)", Some("journal of such a call"), 20_000, Guest::Now),
        (
            "an AWS call (`sts.get-caller-identity`) at zero latency, journaled",
            Some("journal of an AWS call"),
            1_000,
            Guest::Identity,
        ),
    ];
    for (name, journaled, times, guest) in kinds {
        let (mut cost, mut bytes) = (Series::default(), Series::default());
        let (none, many) = (guest(0).component(bench)?, guest(times).component(bench)?);
        for round in 0..=extent.long_rounds {
            bench.write("probe.wasm", &none)?;
            let (without, small) = bench.run(&pipeline, &simulator, &[])?;
            bench.write("probe.wasm", &many)?;
            let (with, large) = bench.run(&pipeline, &simulator, &[])?;
            // The first fills the cache of compiled plugins.
            if round > 0 {
                cost.push((with.wall - without.wall) * 1000.0 / f64::from(times));
                bytes.push(large.saturating_sub(small) as f64 / f64::from(times));
            }
        }
        figures.push(Figure { name, unit: "µs", series: cost });
        if let Some(name) = journaled {
            figures.push(Figure { name, unit: "bytes", series: bytes });
        }
    }
    let again = text(&bench.root.join("bench/calls_boto3.py"));
    let python = text(&bench.python);
    let url = simulator.url();
    let mut cost = Series::default();
    for _ in 0..extent.long_rounds {
        let none = bench.measure(&[&python, &again, &url, "0"])?;
        let many = bench.measure(&[&python, &again, &url, "1000"])?;
        cost.push(many.wall - none.wall);
    }
    figures.push(Figure { name: "the same AWS call by boto3, in one process", unit: "µs", series: cost });
    Ok(())
}

/// A pipeline as teams write them, but large: builds, scans of their images, and a bake after each pair.
fn large() -> String {
    let mut text =
        "[pipeline]\nname = \"large\"\nregion = \"us-west-2\"\n[inputs.commit]\ndefault = \"main\"\n".to_owned();
    for index in 0..CHECKED / 2 {
        text.push_str(&format!(
            "[stages.build-{index}]\nplugin = \"build-image\"\n\
             with = {{ project = \"web-{index}\", repository = \"web-{index}\", tag = \"${{inputs.commit}}\" }}\n\
             [stages.scan-{index}]\nplugin = \"scan-image\"\n\
             with = {{ image = \"${{stages.build-{index}.image}}\", fail-on = \"high\" }}\n"
        ));
        if let Some(before) = index.checked_sub(1) {
            text.push_str(&format!("after = [\"scan-{before}\"]\n"));
        }
    }
    text
}
