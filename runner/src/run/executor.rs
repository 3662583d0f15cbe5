//! Runs a pipeline: begins stages when they may, follows them to their ends, undoes where that was asked for.
//!
//! The main function is [`run`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};

use super::error::RunError;
use super::schedule::{Node, Schedule};
use super::setup::{Prepared, RunOptions, RunSource, prepare};
use super::stage::{StageEnd, Worked, run_stage};
use super::stop::HostStop;
use super::undo::undo_all;
use crate::event::{EventKind, RunOutcome, StageOutcome};
use crate::journal::{self, Record};
use crate::pipeline::Pipeline;
use crate::plugin::Plugins;
use crate::types::{RunId, StageName};

/// How a run ended.
#[derive(Debug, Clone)]
pub struct RunSummary {
    /// The run.
    pub run: RunId,
    /// How.
    pub outcome: RunOutcome,
    /// The signal that ended it, if one did.
    pub signal: Option<String>,
    /// Where its journal is, if it keeps one.
    pub journal: Option<PathBuf>,
}

/// Run `pipeline` to its end.
///
/// # Errors
/// The run could not begin, or had to be given up because its journal cannot be written. That a stage failed is no error:
/// see [`RunSummary::outcome`].
pub async fn run(
    pipeline: Arc<Pipeline>,
    plugins: Arc<Plugins>,
    source: RunSource,
    options: RunOptions,
) -> Result<RunSummary, RunError> {
    let state_dir = options.state_dir.clone();
    let prepared = Arc::new(prepare(pipeline, plugins, Some(&source), options).await?);
    let journal = state_dir.map(|state_dir| journal::run_dir(&state_dir, &prepared.run.id));
    let began = prepared.run.clock.now();
    let mut execution = Execution::new(Arc::clone(&prepared));
    let ended = execution.finish().await;
    let run = &prepared.run;
    let signal = run.control.interrupted();
    let outcome = match (&ended, &signal) {
        (_, Some(_)) => RunOutcome::Interrupted,
        (Ok(()), None) if !execution.failed => RunOutcome::Done,
        (Ok(()) | Err(_), None) => RunOutcome::Failed,
    };
    let at = run.clock.now();
    let recorded = run.record_durable(&Record::RunEnd(journal::RunEnd { outcome, at })).await;
    run.events.emit(
        None,
        EventKind::RunFinished {
            outcome,
            millis: at.saturating_sub(began),
            calls: execution.calls,
            journal: journal.as_ref().map(|journal| journal.display().to_string()),
        },
    );
    run.events.finish();
    ended.and(recorded).map_err(RunError::GivenUp)?;
    Ok(RunSummary { run: run.id.clone(), outcome, signal, journal })
}

/// A run under way.
struct Execution {
    prepared: Arc<Prepared>,
    schedule: Schedule,
    /// What was worked on, in the order in which it ended.
    worked: Vec<Worked>,
    began: BTreeMap<StageName, u64>,
    failed: bool,
    calls: u32,
}

impl Execution {
    fn new(prepared: Arc<Prepared>) -> Self {
        let nodes = prepared.pipeline.stages.iter().map(|stage| Node {
            name: stage.name.clone(),
            needs: stage.needs.clone(),
            on_failure: stage.on_failure,
        });
        Self {
            schedule: Schedule::new(nodes.collect()),
            prepared,
            worked: Vec::new(),
            began: BTreeMap::new(),
            failed: false,
            calls: 0,
        }
    }

    async fn finish(&mut self) -> Result<(), HostStop> {
        let mut at_work = JoinSet::new();
        let control = self.prepared.run.control.clone();
        let mut told = false;
        loop {
            self.begin_stages(&mut at_work);
            if at_work.is_empty() && self.schedule.is_over() {
                break;
            }
            tokio::select! {
                biased;
                () = control.interruption(), if !told => {
                    told = true;
                    self.interrupted().await?;
                }
                Some(ended) = at_work.join_next() => {
                    // Whatever else has ended by now becomes durable with it, by one sync of the journal.
                    let others = std::iter::from_fn(|| at_work.try_join_next());
                    let ended: Vec<_> = std::iter::once(ended).chain(others).collect();
                    self.end_stages(ended).await?;
                }
            }
        }
        if self.schedule.wants_undo() && control.interrupted().is_none() {
            let worked = std::mem::take(&mut self.worked);
            self.calls += undo_all(&self.prepared, worked).await?;
        }
        Ok(())
    }

    fn begin_stages(&mut self, at_work: &mut JoinSet<Result<StageEnd, HostStop>>) {
        let limit = self.prepared.max_parallel.or(self.prepared.pipeline.max_parallel).unwrap_or(usize::MAX).max(1);
        while self.schedule.running() < limit {
            let Some(name) = self.schedule.begin_next() else { return };
            self.began.insert(name.clone(), self.prepared.run.clock.now());
            at_work.spawn(run_stage(Arc::clone(&self.prepared), name));
        }
    }

    /// Note that these stages ended. Those that ended well count also where another ended the run.
    async fn end_stages(&mut self, ended: Vec<Result<Result<StageEnd, HostStop>, JoinError>>) -> Result<(), HostStop> {
        let run = Arc::clone(&self.prepared.run);
        let mut noted = Vec::with_capacity(ended.len());
        let mut stop = None;
        for ended in ended {
            match ended.map_err(|error| HostStop::Defect(error.to_string())).flatten() {
                Ok(ended) => {
                    let at = run.clock.now();
                    run.record(&Record::StageEnd(journal::StageEnd {
                        stage: ended.name.clone(),
                        attempt: ended.attempt,
                        outcome: ended.outcome,
                        outputs: ended.outputs.clone(),
                        failure: ended.failure.clone(),
                        retry_at: None,
                        at,
                    }))?;
                    noted.push((ended, at));
                }
                Err(error) => stop = stop.or(Some(error)),
            }
        }
        run.sync().await?;
        for (ended, at) in noted {
            self.end_stage(ended, at).await?;
        }
        stop.map_or(Ok(()), Err)
    }

    async fn end_stage(&mut self, ended: StageEnd, at: u64) -> Result<(), HostStop> {
        let StageEnd { name, outcome, outputs, failure, attempt: _, calls, worked } = ended;
        let run = Arc::clone(&self.prepared.run);
        self.calls += calls;
        self.failed |= outcome == StageOutcome::Failed;
        let millis = at.saturating_sub(self.began.get(&name).copied().unwrap_or(at));
        run.events
            .emit(Some(&name), EventKind::StageFinished { outcome, outputs: outputs.clone(), failure, millis, calls });
        if let Some(outputs) = outputs {
            run.note_images(&outputs);
            self.prepared.keep_outputs(&name, outputs);
        }
        self.worked.extend(worked);
        let forgone = self.schedule.end(&name, outcome).map_err(|error| HostStop::Defect(error.to_string()))?;
        self.forgo(forgone).await
    }

    async fn interrupted(&mut self) -> Result<(), HostStop> {
        let signal = self.prepared.run.control.interrupted().unwrap_or_default();
        self.prepared.run.events.emit(None, EventKind::Interrupted { signal });
        let forgone = self.schedule.stop();
        self.forgo(forgone).await
    }

    /// Say of stages that they are not run.
    async fn forgo(&self, stages: Vec<StageName>) -> Result<(), HostStop> {
        let run = &self.prepared.run;
        // An interrupted run is resumed: what has not begun has not ended either.
        if run.control.interrupted().is_none() {
            for stage in &stages {
                run.record(&Record::StageEnd(journal::StageEnd {
                    stage: stage.clone(),
                    attempt: 0,
                    outcome: StageOutcome::NotRun,
                    outputs: None,
                    failure: None,
                    retry_at: None,
                    at: run.clock.now(),
                }))?;
            }
        }
        for stage in &stages {
            let kind = EventKind::StageFinished {
                outcome: StageOutcome::NotRun,
                outputs: None,
                failure: None,
                millis: 0,
                calls: 0,
            };
            run.events.emit(Some(stage), kind);
        }
        Ok(())
    }
}
