//! How a run is carried out, whether it begins or goes on: what it tells, and when it is left.
//!
//! The main type is [`Conduct`].

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::aws::Endpoint;
use super::dispatch::Global;
use super::exit::Exit;
use super::page;
use super::say::{complain, note};
use super::signals;
use crate::call::{HostStop, Interrupter};
use crate::clock::Clock;
use crate::event::RunOutcome;
use crate::files::Kept;
use crate::pipeline::Span;
use crate::report::{Apart, Html, Settings, reports_of_run};
use crate::run::{RunError, RunOptions, RunSummary};
use crate::types::Region;
use crate::words::{count, verb};

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
    /// The page that was asked for, which must replace nothing of what is `kept`.
    pub(super) fn page(&self, endpoint: &Endpoint, kept: Kept) -> Result<Option<Html>, Exit> {
        self.report.as_deref().map(|path| page::at(path, endpoint.origin(), kept)).transpose()
    }

    /// Carry out the run that `work` begins or goes on with.
    pub(super) async fn carry_out<F>(
        self,
        global: &Global,
        endpoint: &Endpoint,
        region: &Region,
        clock: Clock,
        page: Option<Html>,
        work: impl FnOnce(RunOptions) -> F,
    ) -> Exit
    where
        F: Future<Output = Result<RunSummary, RunError>>,
    {
        let connection = match endpoint.connection(region).await {
            Ok(connection) => connection,
            Err(exit) => return exit,
        };
        let written = page.as_ref().map(|page| page.delivery());
        let (interrupter, control) = Interrupter::new();
        let watched = control.clone();
        let watch = match signals::watch(interrupter) {
            Ok(watch) => watch,
            Err(error) => return complain(&format!("cannot watch for signals: {error}"), None, Exit::Environment),
        };
        let settings = Settings {
            output: global.output,
            verbose: global.verbose > 0,
            interval: Duration::from_secs(self.progress_interval),
        };
        let (report, backlog) = match Apart::new(Box::new(reports_of_run(&settings, clock))) {
            Ok(apart) => apart,
            Err(error) => return complain(&format!("cannot write a report: {error}"), None, Exit::Environment),
        };
        let report = page::beside(Box::new(report), page);
        let options = RunOptions {
            max_parallel: self.max_parallel.map(|limit| limit as usize),
            detach_after: self.detach_after.map(Span::get),
            ..Endpoint::options(global, connection, clock, control, report)
        };
        let result = work(options).await;
        let patience = || if watched.interrupted().is_some() { HURRIED } else { PATIENT };
        tell_unread(backlog.rest(patience), result.as_ref().ok());
        watch.over();
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
            Err(error @ RunError::GivenSecret { .. }) => {
                complain(&error.to_string(), error.help().as_deref(), Exit::Input)
            }
            Err(error) => complain(&error.to_string(), error.help().as_deref(), Exit::Environment),
        }
    }
}

/// When a run is over, its reader may stand still for so long before the rest of its report is given up.
const PATIENT: Duration = Duration::from_secs(10);
/// And for so long where the run was told to end.
const HURRIED: Duration = Duration::from_secs(1);

/// Say that the report is not written to its end.
fn tell_unread(events: usize, run: Option<&RunSummary>) {
    if events > 0 {
        let run = run.map_or_else(String::new, |summary| format!(" {}", summary.run));
        note(&format!(
            "nobody reads the report of the run: the last {} of it {} not written; `kiln show{run}` tells",
            count(events, "event"),
            verb(events, "was", "were")
        ));
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
