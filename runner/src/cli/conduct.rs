//! How a run is carried out, whether it begins or goes on: what it tells, and when it is left.
//!
//! The main type is [`Conduct`].

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::aws::Endpoint;
use super::dispatch::{Global, complain};
use super::exit::Exit;
use super::page;
use super::signals;
use crate::clock::Clock;
use crate::event::RunOutcome;
use crate::pipeline::Span;
use crate::report::{Settings, reports_of_run};
use crate::run::{HostStop, Interrupter, RunError, RunOptions, RunSummary};
use crate::types::Region;

/// How a run is carried out.
#[derive(Debug, Args)]
pub(super) struct Conduct {
    /// How many stages may be at work at once [default: as the pipeline says, or all that can]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_parallel: Option<u32>,
    /// Leave the run when it has only waited for this long (a bake, a rollout), such as `20m`: it ends with exit code 5, and
    /// `kiln resume` goes on with it [default: wait for as long as it takes]
    #[arg(long, value_name = "DURATION")]
    detach_after: Option<Span>,
    /// Plain lines show a stage's progress at most once in this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    progress_interval: u64,
    /// Write a page about the run to this file when it is over: stages, calls, failures, logs; it needs nothing but itself
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

impl Conduct {
    /// Carry out the run that `work` begins or goes on with.
    pub(super) async fn carry_out<F>(
        self,
        global: &Global,
        endpoint: &Endpoint,
        region: &Region,
        clock: Clock,
        work: impl FnOnce(RunOptions) -> F,
    ) -> Exit
    where
        F: Future<Output = Result<RunSummary, RunError>>,
    {
        let page = match self.report.as_deref().map(|path| page::at(path, endpoint.origin())).transpose() {
            Ok(page) => page,
            Err(exit) => return exit,
        };
        let written = page.as_ref().map(|page| page.delivery());
        let (interrupter, control) = Interrupter::new();
        let watched = control.clone();
        if let Err(error) = signals::watch(interrupter) {
            return complain(&format!("cannot watch for signals: {error}"), None, Exit::Environment);
        }
        let settings = Settings {
            output: global.output,
            verbose: global.verbose > 0,
            interval: Duration::from_secs(self.progress_interval),
        };
        let report = page::beside(reports_of_run(&settings, clock), page);
        let options = RunOptions {
            max_parallel: self.max_parallel.map(|limit| limit as usize),
            detach_after: self.detach_after.map(Span::get),
            ..endpoint.options(global, region, clock, control, report).await
        };
        let result = work(options).await;
        if let (Some(path), Some(written)) = (&self.report, written) {
            page::complain_unless_written(path, &written);
        }
        match result {
            Ok(summary) => exit_of(summary.outcome, summary.signal.as_deref()),
            // While it waited for a lease, or before it knew who it is: nothing was begun, or nothing gone on with.
            Err(error @ RunError::GivenUp(HostStop::Interrupted)) => {
                let exit = signals::exit_of(&watched.interrupted().unwrap_or_default());
                complain(&error.to_string(), error.help().as_deref(), exit)
            }
            Err(error) => complain(&error.to_string(), error.help().as_deref(), Exit::Environment),
        }
    }
}

/// The exit code of a run that ended like this.
pub(super) fn exit_of(outcome: RunOutcome, signal: Option<&str>) -> Exit {
    match outcome {
        RunOutcome::Done | RunOutcome::Undone => Exit::Done,
        RunOutcome::Failed => Exit::Failed,
        RunOutcome::Stuck => Exit::Stuck,
        RunOutcome::Detached => Exit::Detached,
        RunOutcome::Interrupted => signals::exit_of(signal.unwrap_or_default()),
    }
}
