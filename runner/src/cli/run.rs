//! `kiln run`: run a pipeline.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::aws::Aws;
use super::dispatch::{Global, complain};
use super::exit::Exit;
use super::load::PipelineFile;
use super::page;
use super::signals;
use crate::event::RunOutcome;
use crate::report::{Settings, reports_of_run};
use crate::run::{self, Interrupter};

/// Run a pipeline.
#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    pipeline: PipelineFile,
    #[command(flatten)]
    aws: Aws,
    /// How many stages may be at work at once [default: as the pipeline says, or all that can]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_parallel: Option<u32>,
    /// Plain lines show a stage's progress at most once in this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    progress_interval: u64,
    /// Write a page about the run to this file when it is over: stages, calls, failures, logs; it needs nothing but itself
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

impl Run {
    pub(super) async fn execute(self, global: &Global) -> Exit {
        let loaded = match self.pipeline.load(global) {
            Ok(loaded) => loaded,
            Err(exit) => return exit,
        };
        let page = match self.report.as_deref().map(|path| page::at(path, self.aws.origin())).transpose() {
            Ok(page) => page,
            Err(exit) => return exit,
        };
        let written = page.as_ref().map(|page| page.delivery());
        let (interrupter, control) = Interrupter::new();
        if let Err(error) = signals::watch(interrupter) {
            return complain(&format!("cannot watch for signals: {error}"), None, Exit::Environment);
        }
        let settings = Settings {
            output: global.output,
            verbose: global.verbose > 0,
            interval: Duration::from_secs(self.progress_interval),
        };
        let clock = self.aws.clock();
        let report = page::beside(reports_of_run(&settings, clock), page);
        let max_parallel = self.max_parallel.map(|limit| limit as usize);
        let options = self.aws.options(global, &loaded, clock, control, report, max_parallel).await;
        let result = run::run(loaded.pipeline, loaded.plugins, loaded.source, options).await;
        if let (Some(path), Some(written)) = (&self.report, written) {
            page::complain_unless_written(path, &written);
        }
        match result {
            Ok(summary) => match (summary.outcome, summary.signal) {
                (RunOutcome::Done | RunOutcome::Undone, _) => Exit::Done,
                (RunOutcome::Failed, _) => Exit::Failed,
                (RunOutcome::Stuck, _) => Exit::Stuck,
                (RunOutcome::Detached, _) => Exit::Detached,
                (RunOutcome::Interrupted, signal) => signals::exit_of(&signal.unwrap_or_default()),
            },
            Err(error) => complain(&error.to_string(), error.help().as_deref(), Exit::Environment),
        }
    }
}
