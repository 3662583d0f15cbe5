//! `kiln runs`: the runs that are kept, the newest first.

use std::io::{self, Write};

use clap::Args;
use serde::Serialize;

use super::aws::Endpoint;
use super::dispatch::Global;
use super::document::{write, write_json};
use super::exit::Exit;
use super::load::shown;
use super::say::complain;
use super::store::store;
use crate::event::RunOutcome;
use crate::journal::{ListedRun, RunState, list_runs};
use crate::report::{Output, columns};
use crate::store::{SharedRun, Store, instant, list_shared};
use crate::types::{PipelineName, RunId};

/// List the runs that are kept, the newest first: how each stands, and what to do next.
///
/// Runs are kept in the state directory; with `--store`, in a table that machines share.
#[derive(Debug, Args)]
pub(super) struct Runs {
    /// How many, the newest first
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    endpoint: Endpoint,
}

/// A run in the list. Part of what scripts read.
#[derive(Debug, Serialize)]
struct RunRow {
    run: RunId,
    pipeline: Option<PipelineName>,
    file: Option<String>,
    /// In milliseconds since the Unix epoch.
    started: Option<u64>,
    ended: Option<u64>,
    state: String,
    /// The command that goes on with it, where there is something to do.
    next: Option<String>,
}

impl Runs {
    pub(super) async fn execute(self, global: &Global) -> Exit {
        let store = match store(global, &self.endpoint).await {
            Ok(store) => store,
            Err(exit) => return exit,
        };
        let entries = match self.entries(&store).await {
            Ok(entries) => entries,
            Err(exit) => return exit,
        };
        match global.output {
            Output::Json => write_json(Exit::Done, &entries),
            Output::Auto | Output::Plain => write(Exit::Done, |out| show(&entries, &store, out)),
        }
    }

    async fn entries(&self, store: &Store) -> Result<Vec<RunRow>, Exit> {
        let limit = self.limit as usize;
        match store {
            Store::Local(state) => {
                let runs = list_runs(state).map_err(|error| complain(&error.to_string(), None, Exit::Environment))?;
                let entry = |run: ListedRun| RunRow {
                    next: next(store, &run.run, &run.state),
                    state: word(&run.state),
                    run: run.run,
                    pipeline: run.pipeline,
                    file: run.file,
                    started: run.started,
                    ended: run.ended,
                };
                Ok(runs.into_iter().take(limit).map(entry).collect())
            }
            Store::Shared(table) => {
                let runs = list_shared(table, limit).await;
                let runs =
                    runs.map_err(|error| complain(&error.to_string(), error.help().as_deref(), Exit::Environment))?;
                let entry = |run: SharedRun| RunRow {
                    next: next(store, &run.run, &run.state),
                    state: word(&run.state),
                    run: run.run,
                    pipeline: Some(run.pipeline),
                    file: Some(run.file),
                    started: Some(run.started),
                    ended: run.ended,
                };
                Ok(runs.into_iter().map(entry).collect())
            }
        }
    }
}

fn word(state: &RunState) -> String {
    match state {
        RunState::Running => "at work".to_owned(),
        RunState::Stuck => "stuck".to_owned(),
        RunState::Unfinished => "unfinished".to_owned(),
        RunState::Unreadable(_) => "unreadable".to_owned(),
        RunState::Ended(outcome) => match outcome {
            RunOutcome::Done => "done",
            RunOutcome::Failed => "failed",
            RunOutcome::Interrupted => "interrupted",
            RunOutcome::Detached => "detached",
            RunOutcome::Stuck => "stuck",
            RunOutcome::Undone => "undone",
        }
        .to_owned(),
    }
}

fn next(store: &Store, run: &RunId, state: &RunState) -> Option<String> {
    match state {
        RunState::Unfinished => Some(store.resume_command(run)),
        RunState::Stuck => Some(format!("kiln show {run}")),
        RunState::Unreadable(reason) => Some(reason.clone()),
        RunState::Running => None,
        RunState::Ended(outcome) => match outcome {
            RunOutcome::Interrupted | RunOutcome::Detached => Some(store.resume_command(run)),
            RunOutcome::Stuck => Some(format!("kiln show {run}")),
            RunOutcome::Done | RunOutcome::Failed | RunOutcome::Undone => None,
        },
    }
}

fn show(entries: &[RunRow], store: &Store, out: &mut Vec<u8>) -> io::Result<()> {
    if entries.is_empty() {
        return match store {
            Store::Local(state) => writeln!(out, "there are no runs in {}", shown(state)),
            Store::Shared(table) => writeln!(out, "there are no runs in {}", table.address()),
        };
    }
    let row = |entry: &RunRow| {
        [
            entry.run.to_string(),
            entry.pipeline.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string),
            entry.started.map_or_else(|| "?".to_owned(), instant),
            entry.state.clone(),
            entry.next.clone().unwrap_or_default(),
        ]
    };
    columns(["RUN", "PIPELINE", "STARTED", "STATE", "NEXT"], entries.iter().map(row), out)
}
