//! `kiln resume` and `kiln undo`: go on with a run that had stopped, or take back what one did.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use clap::Args;

use super::aws::{Endpoint, parse_scale};
use super::conduct::{Conduct, exit_of};
use super::dispatch::Global;
use super::document::{write, write_json};
use super::exit::Exit;
use super::find::can_go_on;
use super::load::{self, LONGEST_FILE, engine, show};
use super::say::{complain, note};
use super::store::{complain_of_lease, open_run};
use crate::clock::Clock;
use crate::diagnostic::SourceFile;
use crate::event::RunOutcome;
use crate::files::{self, Kept};
use crate::harmless::line;
use crate::pipeline::{self, Pipeline};
use crate::plugin::Plugins;
use crate::report::{Output, word_of_run};
use crate::run::{self, Resumable, RunOptions, Sharing};
use crate::types::Digest;

/// Go on with a run that was killed, interrupted, detached or stuck.
///
/// What it has done already is answered from its journal: nothing happens twice. The pipeline, its inputs and its plugins
/// are those that the run began with.
#[derive(Debug, Args)]
pub(super) struct Resume {
    /// The run's id, its beginning, or the path of its directory [default: the newest run that has not come to its end]
    #[arg(value_name = "RUN")]
    run: Option<String>,
    #[command(flatten)]
    endpoint: Endpoint,
    #[command(flatten)]
    conduct: Conduct,
    #[command(flatten)]
    retake: Retake,
}

/// Take back what a run did: each stage that can be undone, the last first.
///
/// Stages that were undone before stay so; an undo that failed is tried again.
#[derive(Debug, Args)]
pub(super) struct Undo {
    /// The run's id, its beginning, or the path of its directory
    #[arg(value_name = "RUN")]
    run: String,
    #[command(flatten)]
    endpoint: Endpoint,
    #[command(flatten)]
    conduct: Conduct,
    #[command(flatten)]
    retake: Retake,
}

/// What may be otherwise than when the run began.
#[derive(Debug, Args)]
struct Retake {
    /// Change an environment although another run has held it since this one did: look at what that run did first
    #[arg(long)]
    despite_newer_run: bool,
    /// Let the run's clock go this many times as fast as the world's from here on: only for a simulator whose clock does, too
    /// [default: as fast as it went]
    #[arg(long, value_name = "FACTOR", value_parser = parse_scale)]
    clock_scale: Option<f64>,
}

impl Retake {
    fn clock(&self, resumable: &Resumable) -> Clock {
        let clock = resumable.clock();
        self.clock_scale.map_or(clock, |scale| Clock::starting_at(clock.now(), scale))
    }

    fn apply(&self, options: RunOptions) -> RunOptions {
        RunOptions { sharing: Sharing { despite_newer: self.despite_newer_run, ..options.sharing }, ..options }
    }
}

impl Resume {
    pub(super) async fn execute(self, global: &Global) -> Exit {
        let (resumable, pipeline, plugins) = match open(global, &self.endpoint, self.run.as_deref()).await {
            Ok(OpenedRun::Stopped(resumable, pipeline, plugins)) => (resumable, pipeline, plugins),
            Ok(OpenedRun::Ended(resumable, outcome)) => {
                return let_go(&resumable, tell_ended(global, &resumable, outcome)).await;
            }
            Err(exit) => return exit,
        };
        let (region, clock) = (pipeline.region.clone(), self.retake.clock(&resumable));
        let page = match self.conduct.page(&self.endpoint, kept(global, &resumable, &pipeline)) {
            Ok(page) => page,
            Err(exit) => return let_go(&resumable, exit).await,
        };
        let work = |options| run::resume(*resumable, pipeline, plugins, self.retake.apply(options));
        self.conduct.carry_out(global, &self.endpoint, &region, clock, page, work).await
    }
}

impl Undo {
    pub(super) async fn execute(self, global: &Global) -> Exit {
        let (resumable, pipeline, plugins) = match open(global, &self.endpoint, Some(&self.run)).await {
            Ok(OpenedRun::Stopped(resumable, pipeline, plugins)) => (resumable, pipeline, plugins),
            Ok(OpenedRun::Ended(resumable, RunOutcome::Undone)) => {
                return let_go(&resumable, tell_ended(global, &resumable, RunOutcome::Undone)).await;
            }
            Ok(OpenedRun::Ended(resumable, _)) => match restored(global, &resumable) {
                Ok((pipeline, plugins)) => (resumable, pipeline, plugins),
                Err(exit) => return let_go(&resumable, exit).await,
            },
            Err(exit) => return exit,
        };
        let (region, clock) = (pipeline.region.clone(), self.retake.clock(&resumable));
        let page = match self.conduct.page(&self.endpoint, kept(global, &resumable, &pipeline)) {
            Ok(page) => page,
            Err(exit) => return let_go(&resumable, exit).await,
        };
        let work = |options| run::undo(*resumable, pipeline, plugins, self.retake.apply(options));
        self.conduct.carry_out(global, &self.endpoint, &region, clock, page, work).await
    }
}

/// A run that was opened.
enum OpenedRun {
    /// There is something left to do.
    Stopped(Box<Resumable>, Arc<Pipeline>, Arc<Plugins>),
    /// It has come to its end.
    Ended(Box<Resumable>, RunOutcome),
}

async fn open(global: &Global, endpoint: &Endpoint, named: Option<&str>) -> Result<OpenedRun, Exit> {
    let resumable = Box::new(open_run(global, endpoint, named, can_go_on).await?);
    if let Some(outcome) = resumable.ended() {
        return Ok(OpenedRun::Ended(resumable, outcome));
    }
    match restored(global, &resumable) {
        Ok((pipeline, plugins)) => Ok(OpenedRun::Stopped(resumable, pipeline, plugins)),
        Err(exit) => Err(let_go(&resumable, exit).await),
    }
}

/// Let a run go that is not gone on with after all.
async fn let_go(resumable: &Resumable, exit: Exit) -> Exit {
    match resumable.let_go().await {
        Ok(()) => exit,
        Err(error) => complain_of_lease(&error),
    }
}

/// The pipeline and the plugins that the run began with.
fn restored(global: &Global, resumable: &Resumable) -> Result<(Arc<Pipeline>, Arc<Plugins>), Exit> {
    let start = &resumable.history.start;
    let components = resumable.components(&global.absolute_state_dir()).map_err(|error| {
        let help = format!("the run began with kiln {}: use that version", start.kiln_version);
        complain(&error.to_string(), Some(&help), Exit::Environment)
    })?;
    let engine = engine(global)?;
    if engine.configuration_hash() != start.engine {
        note(
            "this kiln compiles components otherwise than the one that began the run; should a stage do anything else than \
              before, the run ends before anything is sent",
        );
    }
    let kept = resumable.files().map_err(|error| complain(&error.to_string(), None, Exit::Environment))?;
    let beside = Path::new(&start.file).parent().unwrap_or(Path::new(""));
    for (path, bytes) in &kept {
        let now = files::read_beside(beside, path, bytes.len() as u64 + 1);
        if now.is_ok_and(|now| now != bytes[..]) {
            note(&format!("{} was changed since the run began; the run goes on with it as it was", line(path)));
        }
    }
    let plugins = Arc::new(Plugins::pinned(engine, components).with_files(kept));
    let now = files::read(Path::new(&start.file), LONGEST_FILE);
    if now.is_ok_and(|text| Digest::of(&text) != start.source) {
        note(&format!("{} was changed since the run began; the run goes on with the file as it was", start.file));
    }
    let source = SourceFile::from_bytes(start.file.as_str(), resumable.text.clone())
        .map_err(|refused| show(&[refused.0], &refused.1, global.output))?;
    let pipeline = pipeline::load(&source, plugins.as_ref(), &resumable.values())
        .map_err(|problems| show(&problems, &source, global.output))?;
    Ok((Arc::new(pipeline), plugins))
}

/// What a run that goes on needs.
fn kept(global: &Global, resumable: &Resumable, pipeline: &Pipeline) -> Kept {
    let kept = load::kept(global, Path::new(&resumable.history.start.file), pipeline);
    // It may be another state directory than the command line's.
    resumable
        .directory
        .ancestors()
        .nth(2)
        .into_iter()
        .fold(kept, |kept, state| kept.directory("the state directory", state))
}

/// Say that there is nothing to do; scripts see how the run ended.
fn tell_ended(global: &Global, resumable: &Resumable, outcome: RunOutcome) -> Exit {
    let start = &resumable.history.start;
    let exit = exit_of(outcome, None);
    match global.output {
        Output::Json => write_json(exit, &serde_json::json!({ "run": start.run, "outcome": outcome })),
        Output::Auto | Output::Plain => write(exit, |out| {
            writeln!(
                out,
                "run {} of {} {}: there is nothing left to do",
                start.run,
                start.pipeline,
                word_of_run(outcome)
            )
        }),
    }
}
