//! What it costs that a run survives: the journal on the disk, and the syncs that writes wait for.
//! The main function is [`measure`].

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Extent;
use super::alone::Figure;
use super::guest::Guest;
use super::series::Series;
use super::simulator::Simulator;
use super::workbench::{Taken, Workbench};
use crate::error::TaskError;
use crate::step::Terminal;

/// Measure it all.
pub(super) fn measure(bench: &Workbench, terminal: &Terminal, extent: Extent) -> Result<Vec<Figure>, TaskError> {
    let mut figures = Vec::new();
    if let Some(memory) = Memory::new()? {
        shares(bench, &memory, extent, &mut figures)?;
    } else {
        terminal.line(format_args!("no file system in memory: the journal's share of a run is left out"));
    }
    syncs(bench, extent, &mut figures)?;
    resumes(bench, extent, &mut figures)?;
    for figure in &figures {
        terminal.line(format_args!("{}: {} {}", figure.name, figure.series.text(), figure.unit));
    }
    Ok(figures)
}

/// A directory in the machine's memory, where a sync costs nothing. It ends with this value.
struct Memory(PathBuf);

impl Memory {
    /// None where there is no such file system.
    fn new() -> Result<Option<Self>, TaskError> {
        let root = Path::new("/dev/shm");
        if !root.is_dir() {
            return Ok(None);
        }
        let path = root.join(format!("kiln-bench-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(TaskError::file("make", &path))?;
        Ok(Some(Self(path)))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // What is left is gone with the machine's next start.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The same run with its journal on the disk and in memory, in turn.
fn shares(bench: &Workbench, memory: &Memory, extent: Extent, figures: &mut Vec<Figure>) -> Result<(), TaskError> {
    let mut compare = |name, world: &Path, pipeline: &Path, more: &[&str], fresh: bool, rounds| {
        let (mut disk, mut shm) = (Series::default(), Series::default());
        let shared = bench.simulator(world, 0)?;
        for round in 0..=rounds {
            for (series, state) in [(&mut disk, bench.scratch("state")), (&mut shm, memory.0.join("state"))] {
                // A pipeline that changes the account needs a new one.
                let own = if fresh { Some(bench.simulator(world, 0)?) } else { None };
                let taken = bench.run_in(&state, pipeline, own.as_ref().unwrap_or(&shared), more, &[])?.0;
                // The first fills the cache of compiled plugins.
                if round > 0 {
                    series.push(taken.wall);
                }
            }
        }
        figures.push(Figure { name, unit: "times", series: disk.over(&shm) });
        Ok::<_, TaskError>(())
    };
    compare(
        "a run of the web service's pipeline, its journal on the disk, to the same with its journal in memory",
        &bench.root.join("bench/web-service.world.toml"),
        &bench.root.join("bench/web-service.toml"),
        &["--input", "commit=4f1c2d7"],
        true,
        extent.long_rounds,
    )?;
    bench.write("probe.wasm", Guest::Idle.component(bench)?)?;
    let chain = (0..CHAIN).map(|index| match index {
        0 => format!("[stages.s{index}]\nplugin = \"probe\"\n"),
        _ => format!("[stages.s{index}]\nplugin = \"probe\"\nafter = [\"s{}\"]\n", index - 1),
    });
    compare(
        "1,000 trivial stages one after the other, which do nothing else, to the same in memory",
        &bench.write("calls.world.toml", WORLD)?,
        &bench.write("chain.toml", format!("{HEAD}{}", chain.collect::<String>()))?,
        &[],
        false,
        extent.slow_rounds,
    )
}

const CHAIN: usize = 1_000;
const WORLD: &str = "account = \"111111111111\"\nregion = \"us-west-2\"\n";
const HEAD: &str = "[pipeline]\nname = \"durable\"\nregion = \"us-west-2\"\n[plugins.probe]\npath = \"probe.wasm\"\n";

/// How many syncs so many writes take, each of which must be durable before its stage goes on: by one stage, and by many
/// at once.
fn syncs(bench: &Workbench, extent: Extent, figures: &mut Vec<Figure>) -> Result<(), TaskError> {
    let world = bench.write("calls.world.toml", WORLD)?;
    let simulator = bench.simulator(&world, 0)?;
    let kinds = [
        ("syncs a durable write, of one stage", "a durable write, of one stage", 1, 500),
        ("syncs a durable write, of 100 stages at once", "a durable write, of 100 stages at once", 100, 50),
    ];
    for (syncs_name, cost_name, stages, times) in kinds {
        let stages_text: String = (0..stages).map(|index| format!("[stages.s{index}]\nplugin = \"probe\"\n")).collect();
        let pipeline = bench.write("syncs.toml", format!("{HEAD}{stages_text}"))?;
        let (none, many) = (Guest::Remember(0).component(bench)?, Guest::Remember(times).component(bench)?);
        let writes = f64::from(times) * f64::from(stages);
        let (mut syncs, mut cost) = (Series::default(), Series::default());
        for round in 0..=extent.long_rounds {
            let without = writing(bench, &pipeline, &simulator, &none)?;
            let with = writing(bench, &pipeline, &simulator, &many)?;
            // The first fills the cache of compiled plugins.
            if round > 0 {
                syncs.push((counted(&with)? - counted(&without)?) / writes);
                cost.push((with.wall - without.wall) * 1000.0 / writes);
            }
        }
        figures.push(Figure { name: syncs_name, unit: "", series: syncs });
        figures.push(Figure { name: cost_name, unit: "µs", series: cost });
    }
    Ok(())
}

/// `kiln resume` of a run that stopped while it waited: replaying what it had done, and coming to its end.
fn resumes(bench: &Workbench, extent: Extent, figures: &mut Vec<Figure>) -> Result<(), TaskError> {
    const WAIT: Duration = Duration::from_millis(2_000);
    let world = bench.write("calls.world.toml", WORLD)?;
    let simulator = bench.simulator(&world, 0)?;
    let pipeline = bench.write("resumed.toml", format!("{HEAD}[stages.only]\nplugin = \"probe\"\n"))?;
    let kinds = [
        ("`kiln resume` of a run with no records of its stage", 0),
        ("`kiln resume` of a run with 1,000 records", 1_000),
        ("`kiln resume` of a run with 10,000 records", 10_000),
    ];
    for (name, records) in kinds {
        bench.write("probe.wasm", Guest::NowAndSleep(records, WAIT.as_millis() as u64).component(bench)?)?;
        let mut wall = Series::default();
        for round in 0..=extent.slow_rounds {
            let taken = bench.resume(&pipeline, &simulator, WAIT)?;
            // The first fills the cache of compiled plugins.
            if round > 0 {
                wall.push(taken.wall);
            }
        }
        figures.push(Figure { name, unit: "ms", series: wall });
    }
    Ok(())
}

fn writing(bench: &Workbench, pipeline: &Path, simulator: &Simulator, probe: &[u8]) -> Result<Taken, TaskError> {
    bench.write("probe.wasm", probe)?;
    bench.run_traced(pipeline, simulator)
}

/// How many syncs a run says that it made.
fn counted(taken: &Taken) -> Result<f64, TaskError> {
    taken.trace.split_whitespace().find_map(|word| word.strip_prefix("syncs=")?.parse().ok()).ok_or_else(|| {
        TaskError::other("a run does not say how often it synced its journal", "see what the journal's writer traces")
    })
}
