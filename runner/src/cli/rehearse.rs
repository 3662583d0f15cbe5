//! `kiln rehearse`: run a pipeline on a simulated account in virtual time.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use kiln_sim::WorldFile;

use super::dispatch::{Global, complain};
use super::exit::Exit;
use super::load::{PipelineFile, show};
use crate::clock::Clock;
use crate::event::RunOutcome;
use crate::rehearse::{Rehearsal, RehearseError, START, rehearse};
use crate::report::{Settings, reports_of_run};

const AFTER_HELP: &str = "\
The pipeline is run by the same host, plugins and AWS SDK as always; only the account is simulated, and time is virtual:
a rollout of 45 minutes takes a fraction of a second. The same world and seed give the same events, byte for byte.

The world file says what there is at the start and how it behaves; without --world it is the file beside the pipeline
whose name ends in `.world.toml`.";

/// Run a pipeline on a simulated account in virtual time.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Rehearse {
    #[command(flatten)]
    pipeline: PipelineFile,
    /// The simulated account at the start [default: PIPELINE with `.world.toml` for `.toml`]
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,
    /// What all that is left to chance follows from [default: as the world file says]
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// How many stages may be at work at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_parallel: Option<u32>,
}

impl Rehearse {
    pub(super) fn execute(self, global: &Global) -> Exit {
        match self.rehearse(global) {
            Ok(exit) | Err(exit) => exit,
        }
    }

    fn rehearse(self, global: &Global) -> Result<Exit, Exit> {
        let (source, plugins) = self.pipeline.read(global)?;
        let world = self.world()?;
        let rehearsal = Rehearsal {
            source,
            inputs: self.pipeline.inputs(),
            env: PipelineFile::environment(),
            world,
            seed: self.seed,
            start: START,
            max_parallel: self.max_parallel.map(|limit| limit as usize),
        };
        let source = rehearsal.source.clone();
        let settings =
            Settings { output: global.output, verbose: global.verbose > 0, interval: Duration::from_secs(30) };
        let report = Box::new(reports_of_run(&settings, Clock::starting_at(START, 1.0)));
        match rehearse(rehearsal, plugins, report) {
            Ok(rehearsed) => Ok(match rehearsed.outcome {
                RunOutcome::Done => Exit::Done,
                RunOutcome::Failed | RunOutcome::Interrupted => Exit::Failed,
            }),
            Err(RehearseError::Pipeline(problems)) => Err(show(&problems, &source, global.output)),
            Err(RehearseError::Run(error)) => {
                Err(complain(&error.to_string(), error.help().as_deref(), Exit::Environment))
            }
            Err(error @ RehearseError::Runtime(_)) => Err(complain(&error.to_string(), None, Exit::Environment)),
        }
    }

    fn world(&self) -> Result<WorldFile, Exit> {
        let path = self.world.clone().unwrap_or_else(|| self.pipeline.path.with_extension("world.toml"));
        let text = std::fs::read_to_string(&path).map_err(|error| {
            let help = "say where the simulated account is described: `--world FILE`";
            complain(&format!("cannot read {}: {error}", path.display()), Some(help), Exit::Input)
        })?;
        WorldFile::parse(&text).map_err(|error| complain(&format!("{}: {error}", path.display()), None, Exit::Input))
    }
}
