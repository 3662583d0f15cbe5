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
    pub(super) extent: Extent,
    pub(super) quick: bool,
    pub(super) contest: Vec<Heat>,
    pub(super) alone: Vec<Figure>,
    pub(super) stages: Vec<Crowd>,
}

impl Figures {
    pub(super) fn json(&self) -> String {
        let document = json!({
            "machine": self.machine.json(),
            "quick": self.quick,
            "rounds": { "short": self.extent.rounds, "long": self.extent.long_rounds },
            "web-service": self.contest.iter().map(Heat::json).collect::<Vec<_>>(),
            "alone": self.alone.iter().map(Figure::json).collect::<Vec<_>>(),
            "stages": self.stages.iter().map(Crowd::json).collect::<Vec<_>>(),
        });
        format!("{document:#}\n")
    }

    pub(super) fn markdown(&self) -> String {
        let mut page = String::from(
            "# Figures\n\nWritten by `cargo xtask bench`; [docs/benchmarks.md](../docs/benchmarks.md) says what they mean.\n\n",
        );
        let Extent { rounds, long_rounds, .. } = self.extent;
        line(&mut page, &self.machine.sentence());
        line(
            &mut page,
            &format!(
                "Medians, and in brackets the lowest and the highest, of {rounds} rounds, or {long_rounds} of what takes long."
            ),
        );
        line(&mut page, "\n## For the README\n");
        self.short(&mut page);
        line(&mut page, "\n## The same calls for the same pipeline\n");
        self.contest(&mut page);
        line(&mut page, "\n## kiln by itself\n\n| | |\n|---|---:|");
        for Figure { name, unit, series } in &self.alone {
            line(&mut page, &format!("| {name} | {} {unit} |", series.text()));
        }
        line(&mut page, "\n## Many stages\n");
        self.crowds(&mut page);
        page
    }

    /// Ratios: what holds on other machines, too.
    fn short(&self, page: &mut String) {
        line(
            page,
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
            line(page, &format!("| {} | {} | {processor} |", contender.name(), cells.join(" | ")));
        }
    }

    fn contest(&self, page: &mut String) {
        for heat in &self.contest {
            line(page, &format!("At {} ms a call:\n", heat.latency));
            line(
                page,
                "| | calls | wall, ms | beside the calls' latency, ms | processor, ms | memory, MiB | wall, ratio |\n|---|---:|---:|---:|---:|---:|---:|",
            );
            for entry in &heat.entries {
                let ratio = heat.of(Contender::Kiln).map(|kiln| entry.wall.over(&kiln.wall)).unwrap_or_default();
                line(
                    page,
                    &format!(
                        "| {} | {} | {} | {} | {} | {} | {} |",
                        entry.contender.name(),
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
        if let (Some(one), Some(many)) = (waiting.first(), waiting.last()) {
            let each = (many.memory.median() - one.memory.median()) * 1024.0
                / (many.count.saturating_sub(one.count)).max(1) as f64;
            line(
                page,
                &format!(
                    "\nA waiting stage more takes {} KiB of memory, measured over {} of them.",
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
