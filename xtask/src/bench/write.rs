//! The figures as JSON and as a page.
//! The main type is [`Figures`].

use std::fmt::Write as _;

use serde_json::json;

use super::Extent;
use super::alone::Figure;
use super::contest::{Contender, Heat};
use super::machine::Machine;
use super::series::{Series, figure};
use super::stages::Crowd;

/// All that was measured.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) machine: Machine,
    /// Which kiln.
    pub(super) binary: String,
    pub(super) extent: Extent,
    pub(super) quick: bool,
    pub(super) contest: Vec<Heat>,
    pub(super) starts: Vec<Figure>,
    pub(super) alone: Vec<Figure>,
    pub(super) durable: Vec<Figure>,
    pub(super) stages: Vec<Crowd>,
}

impl Figures {
    pub(super) fn json(&self) -> String {
        let document = json!({
            "machine": self.machine.json(),
            "binary": self.binary,
            "quick": self.quick,
            "rounds": { "short": self.extent.rounds, "long": self.extent.long_rounds, "slow": self.extent.slow_rounds },
            "web-service": self.contest.iter().map(Heat::json).collect::<Vec<_>>(),
            "starts": self.starts.iter().map(Figure::json).collect::<Vec<_>>(),
            "alone": self.alone.iter().map(Figure::json).collect::<Vec<_>>(),
            "journal": self.durable.iter().map(Figure::json).collect::<Vec<_>>(),
            "stages": self.stages.iter().map(Crowd::json).collect::<Vec<_>>(),
        });
        format!("{document:#}\n")
    }

    pub(super) fn markdown(&self) -> String {
        let mut page = String::from(
            "# Figures\n\nWritten by `cargo xtask bench`; [docs/benchmarks.md](../docs/benchmarks.md) says what they mean.\n\n",
        );
        let Extent { rounds, long_rounds, slow_rounds, .. } = self.extent;
        line(&mut page, &self.machine.sentence());
        line(&mut page, &format!("The binary was {}.", self.binary));
        line(
            &mut page,
            &format!(
                "Medians, and in brackets the lowest and the highest, of {rounds} rounds, {long_rounds} of what takes long, and {slow_rounds} of what takes half a minute."
            ),
        );
        line(&mut page, "\n## Ratios\n");
        page.push_str(&self.short());
        line(&mut page, "\n## The same calls for the same pipeline\n");
        self.contest(&mut page);
        for (title, figures) in
            [("Beginning", &self.starts), ("kiln by itself", &self.alone), ("The journal", &self.durable)]
        {
            line(&mut page, &format!("\n## {title}\n\n| | |\n|---|---:|"));
            for Figure { name, unit, series } in figures {
                let cell = format!("{} {unit}", series.text());
                line(&mut page, &format!("| {name} | {} |", cell.trim_end()));
            }
        }
        line(&mut page, "\n## Many stages\n");
        self.crowds(&mut page);
        page
    }

    /// Ratios: what holds on other machines, too.
    pub(super) fn short(&self) -> String {
        let mut page = String::new();
        line(
            &mut page,
            "| the same pipeline, the same calls | at 0 ms a call | at 20 ms a call | processor |\n|---|---:|---:|---:|",
        );
        for contender in Contender::ALL {
            let mut cells: Vec<String> = Vec::new();
            let mut processor = String::new();
            for heat in &self.contest {
                let (Some(own), Some(kiln)) = (heat.of(contender), heat.of(Contender::Kiln)) else { continue };
                cells.push(times(&own.wall.over(&kiln.wall)));
                processor = times(&own.cpu.over(&kiln.cpu));
            }
            line(&mut page, &format!("| {} | {} | {processor} |", contender.name(), cells.join(" | ")));
        }
        page
    }

    fn contest(&self, page: &mut String) {
        for heat in &self.contest {
            line(page, &format!("At {} ms a call; the calls alone take {} ms:\n", heat.latency, heat.floor.text()));
            line(
                page,
                "| | rounds | calls | wall, ms | beside the calls, ms | processor, ms | memory, MiB | wall, ratio |\n|---|---:|---:|---:|---:|---:|---:|---:|",
            );
            for entry in &heat.entries {
                let ratio = heat.of(Contender::Kiln).map(|kiln| entry.wall.over(&kiln.wall)).unwrap_or_default();
                line(
                    page,
                    &format!(
                        "| {} | {} | {} | {} | {} | {} | {} | {} |",
                        entry.contender.name(),
                        entry.wall.rounds(),
                        entry.calls,
                        entry.wall.text(),
                        heat.beside_calls(entry).text(),
                        entry.cpu.text(),
                        figure(entry.memory.median()),
                        times(&ratio)
                    ),
                );
            }
            line(page, "");
        }
    }

    fn crowds(&self, page: &mut String) {
        line(
            page,
            "| stages | | wall, ms | wall a stage, ms | processor a stage, ms | memory, MiB | journal a stage, bytes | at once |\n|---:|---|---:|---:|---:|---:|---:|---:|",
        );
        for crowd in &self.stages {
            let count = crowd.count as f64;
            line(
                page,
                &format!(
                    "| {} | {} | {} | {} | {} | {} | {} | {} |",
                    crowd.count,
                    crowd.shape(),
                    crowd.wall.text(),
                    figure(crowd.wall.median() / count),
                    figure(crowd.cpu.median() / count),
                    figure(crowd.memory.median()),
                    crowd.journal / crowd.count.max(1) as u64,
                    crowd.at_once
                ),
            );
        }
        let waiting: Vec<&Crowd> = self.stages.iter().filter(|crowd| crowd.is_waiting()).collect();
        for of_a_shape in waiting.chunk_by(|a, b| a.shape() == b.shape()) {
            let (Some(one), Some(many)) = (of_a_shape.first(), of_a_shape.last()) else { continue };
            let each = (many.memory.median() - one.memory.median()) * 1024.0
                / (many.count.saturating_sub(one.count)).max(1) as f64;
            line(
                page,
                &format!(
                    "\nOf stages {}, one more takes {} KiB of memory, measured over {} of them.",
                    many.shape(),
                    figure(each),
                    many.count
                ),
            );
        }
    }
}

/// `×4.2 (3.9 to 4.4)`.
fn times(ratio: &Series) -> String {
    format!("×{}", ratio.text())
}

fn line(page: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(page, "{text}");
}
