//! Measures kiln by itself, and against scripts that make the same calls for the same pipeline.
//! The main function is [`run`]. Nothing is asserted about a time: figures are written, and people read them.

mod alone;
mod contest;
mod durable;
mod floor;
mod guest;
mod machine;
mod many;
mod readme;
mod rehearsal;
mod series;
mod simulator;
mod stages;
mod starts;
mod workbench;
mod write;

use std::fs;
use std::path::PathBuf;

use crate::error::TaskError;
use crate::layout::Layout;
use crate::step::Terminal;
use crate::{dist, python};

use machine::Machine;
use workbench::Workbench;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Extent {
    /// Rounds of what takes well under a second.
    rounds: usize,
    /// Rounds of what takes longer.
    long_rounds: usize,
    /// Rounds of what takes half a minute.
    slow_rounds: usize,
    /// How many stages the large pipelines have.
    stages: &'static [usize],
}

const WHOLE: Extent = Extent { rounds: 15, long_rounds: 7, slow_rounds: 3, stages: &[1, 100, 1_000, 10_000] };
const QUICK: Extent = Extent { rounds: 3, long_rounds: 1, slow_rounds: 1, stages: &[1, 100, 1_000] };

/// Build what is published, measure it, and write the figures.
pub(crate) fn run(layout: &Layout, terminal: &Terminal, quick: bool, other: Option<PathBuf>) -> Result<(), TaskError> {
    let built = other.is_none();
    let for_the_record = !quick && built;
    let kiln = match other {
        Some(kiln) => std::path::absolute(&kiln).map_err(TaskError::file("find", kiln))?,
        None => build(layout, terminal)?,
    };
    let python = python::ensure(layout, terminal)?;

    let extent = if quick { QUICK } else { WHOLE };
    let machine = Machine::describe(&layout.target);
    let bench = Workbench::new(layout, python, kiln)?;
    terminal.heading("bench: the pipeline of a web service, by kiln, boto3 and the AWS CLI");
    let contest = contest::hold(&bench, terminal, extent)?;
    terminal.heading("bench: beginning");
    let starts = starts::measure(&bench, terminal, extent)?;
    terminal.heading("bench: kiln by itself");
    let mut alone = alone::measure(&bench, terminal, extent)?;
    alone.extend(rehearsal::measure(&bench, terminal, extent)?);
    alone.extend(many::measure(&bench, terminal, extent)?);
    terminal.heading("bench: the journal");
    let durable = durable::measure(&bench, terminal, extent)?;
    terminal.heading("bench: pipelines of many stages");
    let stages = stages::measure(&bench, terminal, extent)?;

    let directory = if for_the_record { layout.root.join("bench") } else { layout.target.join("bench") };
    fs::create_dir_all(&directory).map_err(TaskError::file("make", &directory))?;
    let named = bench.kiln.strip_prefix(&layout.root).unwrap_or(&bench.kiln).display();
    let binary = if built {
        "the static one that is published (`cargo xtask dist`)".to_owned()
    } else {
        format!("given as {named}")
    };
    let figures = write::Figures { machine, binary, extent, quick, contest, starts, alone, durable, stages };
    for (name, text) in [("results.json", figures.json()), ("results.md", figures.markdown())] {
        let path = directory.join(name);
        fs::write(&path, text).map_err(TaskError::file("write", &path))?;
        terminal.line(format_args!("written to {}", path.display()));
    }
    if for_the_record {
        readme::write(&layout.root.join("docs/benchmarks.md"), &figures.short())?;
    }
    Ok(())
}

/// The binary that is published.
pub(crate) fn build(layout: &Layout, terminal: &Terminal) -> Result<PathBuf, TaskError> {
    terminal.line("the host is built as it is published: the first time takes a while");
    dist::published(layout, terminal, None).map(|(_, kiln)| kiln)
}
