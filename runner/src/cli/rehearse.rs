//! `kiln rehearse`: run a pipeline on a simulated account in virtual time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use kiln_sim::WorldFile;

use super::dispatch::Global;
use super::exit::Exit;
use super::load::{self, PipelineFile, show};
use super::page;
use super::say::{complain, note, say};
use crate::clock::Clock;
use crate::diagnostic::SourceFile;
use crate::event::RunOutcome;
use crate::files::Kept;
use crate::pipeline;
use crate::plugin::Plugins;
use crate::rehearse::{Rehearsal, RehearseError, Rehearsed, START, rehearse};
use crate::report::{Comparison, Html, Origin, Output, Report, Settings, reports_of_run};
use crate::scenario::{self, Knowledge, Scenario, TryError};

const AFTER_HELP: &str = "\
The pipeline is run by the same host, plugins and AWS SDK as always; only the account is simulated, and time is virtual:
a rollout of 45 minutes takes a fraction of a second. The same world and seed give the same events, byte for byte.

The world file says what there is at the start and how it behaves; without --world it is the file beside the pipeline
whose name ends in `.world.toml`. Where there is none, the rehearsal begins with an empty account.";

/// Run a pipeline on a simulated account in virtual time.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Rehearse {
    #[command(flatten)]
    pipeline: PipelineFile,
    /// A scenario: what happens in the account, and what is expected of the run; exit code 1 where that is not met
    #[arg(long, value_name = "FILE", conflicts_with_all = ["world", "inputs", "max_parallel"])]
    scenario: Option<PathBuf>,
    /// The simulated account at the start [default: PIPELINE with `.world.toml` for `.toml`]
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,
    /// What all that is left to chance follows from [default: as the scenario says, or 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many stages may be at work at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_parallel: Option<u32>,
    /// Write a page about the rehearsal to this file: stages, calls, the account before and after; it needs nothing but itself
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

impl Rehearse {
    pub(super) fn execute(self, global: &Global) -> Exit {
        match self.rehearse(global) {
            Ok(exit) | Err(exit) => exit,
        }
    }

    fn rehearse(self, global: &Global) -> Result<Exit, Exit> {
        let (source, plugins) = self.pipeline.read(global)?;
        let scenario = self.scenario(&source, plugins.as_ref(), global)?;
        let seed = self.seed.or(scenario.as_ref().map(|scenario| scenario.seed)).unwrap_or_default();
        let kept = || self.kept(&source, plugins.as_ref(), scenario.as_ref(), global);
        let page = self.report.as_deref().map(|path| page::at(path, Origin::Simulated { seed }, kept())).transpose()?;
        let settings =
            Settings { output: global.output, verbose: global.verbose > 0, interval: Duration::from_secs(30) };
        let report = Box::new(reports_of_run(&settings, Clock::starting_at(START, 1.0)));
        let rehearsed = match &scenario {
            Some(scenario) => scenario.rehearse(&source, &plugins, report),
            None => self.plainly(&source, seed, plugins, report, global.output)?.map_err(TryError::from),
        };
        let rehearsed = match rehearsed {
            Ok(rehearsed) => rehearsed,
            Err(error) => return Err(refused(&error, &source, global.output)),
        };
        if let (Some(path), Some(page)) = (&self.report, page) {
            write_page(path, page, &rehearsed);
        }
        Ok(match scenario {
            Some(scenario) => judged(&scenario, &rehearsed),
            None if rehearsed.outcome == RunOutcome::Done => Exit::Done,
            None => Exit::Failed,
        })
    }

    /// Without a scenario: on the world as it is.
    fn plainly(
        &self,
        source: &SourceFile,
        seed: u64,
        plugins: Arc<Plugins>,
        report: Box<dyn Report>,
        output: Output,
    ) -> Result<Result<Rehearsed, RehearseError>, Exit> {
        let rehearsal = Rehearsal {
            source: source.clone(),
            inputs: self.pipeline.inputs(),
            env: PipelineFile::environment(),
            world: self.world(source, plugins.as_ref(), output)?,
            seed,
            start: START,
            max_parallel: self.max_parallel.map(|limit| limit as usize),
        };
        Ok(rehearse(rehearsal, plugins, report))
    }

    fn scenario(&self, source: &SourceFile, plugins: &Plugins, global: &Global) -> Result<Option<Scenario>, Exit> {
        let Some(path) = &self.scenario else { return Ok(None) };
        let pipeline = pipeline::check(source, plugins).map_err(|problems| show(&problems, source, global.output))?;
        match scenario::load(path, &self.pipeline.path, &Knowledge::of(&pipeline)) {
            Ok(mut scenario) => {
                scenario.seed = self.seed.unwrap_or(scenario.seed);
                Ok(Some(scenario))
            }
            Err(problems) => {
                say(&problems.render(false));
                Err(Exit::Input)
            }
        }
    }

    /// What the rehearsal reads.
    fn kept(&self, source: &SourceFile, plugins: &Plugins, scenario: Option<&Scenario>, global: &Global) -> Kept {
        let kept = match pipeline::check(source, plugins) {
            Ok(pipeline) => load::kept(global, &self.pipeline.path, &pipeline),
            // What is wrong with it ends the rehearsal, before anything is written.
            Err(_) => Kept::default(),
        };
        match scenario {
            Some(scenario) => scenario.keep(kept),
            None => kept.file("the world file", self.world_file()),
        }
    }

    fn world_file(&self) -> PathBuf {
        self.world.clone().unwrap_or_else(|| self.pipeline.path.with_extension("world.toml"))
    }

    /// The account at the start: empty where no file says otherwise.
    fn world(&self, source: &SourceFile, plugins: &Plugins, output: Output) -> Result<WorldFile, Exit> {
        let path = self.world_file();
        let is_there = !matches!(path.try_exists(), Ok(false));
        if self.world.is_some() || is_there {
            return load::world(&path, Some("say where the simulated account is described: `--world FILE`"));
        }
        let pipeline = pipeline::check(source, plugins).map_err(|problems| show(&problems, source, output))?;
        let account = pipeline.environments.values().next().map_or("111111111111", |first| first.account.as_str());
        note(&format!(
            "there is no {}: the rehearsal begins with an empty account ({account}, {}); a world file there, or `--world FILE`, says \
             what it holds",
            load::shown(&path),
            pipeline.region
        ));
        WorldFile::parse(&format!("account = \"{account}\"\nregion = \"{}\"\n", pipeline.region))
            .map_err(|error| complain(&format!("the empty account: {error}"), None, Exit::Environment))
    }
}

/// Why there was no rehearsal.
fn refused(error: &TryError, source: &SourceFile, output: Output) -> Exit {
    match error {
        TryError::Rehearse(RehearseError::Pipeline(problems)) => show(problems, source, output),
        TryError::Rehearse(RehearseError::Run(error)) => {
            complain(&error.to_string(), error.help().as_deref(), Exit::Environment)
        }
        TryError::Rehearse(RehearseError::Runtime(_)) => complain(&error.to_string(), None, Exit::Environment),
        TryError::World(_) | TryError::NoRollout { .. } => complain(&error.to_string(), None, Exit::Input),
    }
}

/// The page is written when all is known: the account afterwards, too.
fn write_page(path: &Path, mut page: Html, rehearsed: &Rehearsed) {
    let delivery = page.delivery();
    delivery.compare(Comparison { before: rehearsed.before.clone(), after: rehearsed.after.clone() });
    for event in &rehearsed.events {
        page.event(event);
    }
    page.finish();
    page::complain_unless_written(path, &delivery);
}

/// Whether the run went as the scenario expects.
fn judged(scenario: &Scenario, rehearsed: &Rehearsed) -> Exit {
    let unmet = scenario::judge(scenario, rehearsed, None);
    for unmet in &unmet {
        let place = format!("{}:{}: {}", scenario.path.display(), unmet.line, unmet.field);
        complain(&format!("{place}: expected {}, found {}", unmet.expected, unmet.found), None, Exit::Failed);
    }
    if unmet.is_empty() { Exit::Done } else { Exit::Failed }
}
