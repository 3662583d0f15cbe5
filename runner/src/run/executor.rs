//! Runs a pipeline: begins stages when they may, follows them to their ends, undoes where that was asked for.
//!
//! The main function is [`run`]; [`resume`] goes on with a run that had stopped, [`undo`] takes back what one did.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::task::{JoinError, JoinSet};

use super::error::RunError;
use super::resume::Resumable;
use super::schedule::{Schedule, StageNode};
use super::setup::{Beginning, Prepared, RunOptions, RunSource, prepare};
use super::stage::{EndedStage, GoingOn, Readiness, Worked, run_stage, work_of};
use super::tenure::ending_of;
use super::undo::{Undone, undo_all};
use crate::call::stop::{DETACH, HostStop};
use crate::event::{EventKind, Failure, RunOutcome, StageOutcome};
use crate::journal::{self, History, Record, StagePast, UndoPast};
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
    let journal = options.state_dir.clone();
    let prepared = Arc::new(prepare(pipeline, plugins, Beginning::Run(&source), options).await?);
    let journal = journal.map(|state_dir| journal::run_dir(&state_dir, &prepared.run.id));
    let began = prepared.run.clock.now();
    let mut execution = Execution::new(Arc::clone(&prepared));
    let ended = execution.finish().await;
    execution.close(ended, began, journal).await
}

/// Go on with a run that had stopped: what it has done is answered from its journal, the rest is done.
///
/// # Errors
/// As [`run`]; and a stage does not do again what it did before ([`HostStop::NonDeterminism`]): then nothing was sent.
pub async fn resume(
    resumable: Resumable,
    pipeline: Arc<Pipeline>,
    plugins: Arc<Plugins>,
    options: RunOptions,
) -> Result<RunSummary, RunError> {
    let (mut execution, history, directory) = take_up(resumable, pipeline, plugins, options).await?;
    let ended = match execution.restore(&history).await {
        Ok(()) => execution.finish().await,
        Err(stop) => Err(stop),
    };
    execution.close(ended, history.start.at, Some(directory)).await
}

/// Take back what a run did that has ended, or that had stopped: all stages that can be undone, the last first.
///
/// # Errors
/// As [`resume`].
pub async fn undo(
    resumable: Resumable,
    pipeline: Arc<Pipeline>,
    plugins: Arc<Plugins>,
    options: RunOptions,
) -> Result<RunSummary, RunError> {
    let (mut execution, history, directory) = take_up(resumable, pipeline, plugins, options).await?;
    let undone = execution.undo_by_hand(&history).await;
    execution.close(undone, history.start.at, Some(directory)).await
}

async fn take_up(
    resumable: Resumable,
    pipeline: Arc<Pipeline>,
    plugins: Arc<Plugins>,
    options: RunOptions,
) -> Result<(Execution, History, PathBuf), RunError> {
    let history = resumable.history.clone();
    let directory = resumable.directory.clone();
    let prepared = Arc::new(prepare(pipeline, plugins, Beginning::Resume(Box::new(resumable)), options).await?);
    Ok((Execution::new(prepared), history, directory))
}

/// A run under way.
struct Execution {
    prepared: Arc<Prepared>,
    schedule: Schedule,
    /// What was worked on, in the order in which it ended.
    worked: Vec<Worked>,
    began: BTreeMap<StageName, u64>,
    /// What is known of stages that go on.
    past: BTreeMap<StageName, StagePast>,
    /// What is known of undos.
    undos: BTreeMap<StageName, UndoPast>,
    /// Whether the run may begin what it had not begun before: not until all that goes on was replayed.
    live: bool,
    failed: bool,
    stuck: bool,
    undone_by_hand: bool,
}

impl Execution {
    fn new(prepared: Arc<Prepared>) -> Self {
        let nodes = prepared.pipeline.stages.iter().map(|stage| StageNode {
            name: stage.name.clone(),
            needs: stage.needs.clone(),
            asks: stage.asks.clone(),
            on_failure: stage.on_failure,
        });
        Self {
            schedule: Schedule::new(nodes.collect()),
            prepared,
            worked: Vec::new(),
            began: BTreeMap::new(),
            past: BTreeMap::new(),
            undos: BTreeMap::new(),
            live: true,
            failed: false,
            stuck: false,
            undone_by_hand: false,
        }
    }

    /// Bring everything to where the run stopped.
    async fn restore(&mut self, history: &History) -> Result<(), HostStop> {
        self.live = false;
        let begun = history.stages.iter().filter(|(_, stage)| stage.has_begun()).map(|(name, _)| name);
        let of = |name: &StageName| history.stage(name).and_then(|stage| stage.end.as_ref());
        let ends: Vec<_> = history.ended.iter().filter_map(|name| Some((name, of(name)?))).collect();
        let worked_on = ends.iter().filter(|(_, end)| end.outcome != StageOutcome::NotRun);
        let ended: Vec<_> = worked_on.map(|(name, end)| (*name, end.outcome)).collect();
        for (name, end) in &ends {
            self.spare_where_unjudged(name, end.failure.as_ref());
        }
        let forgone = self.schedule.restore(begun, ended).map_err(|error| HostStop::Defect(error.to_string()))?;
        for (name, end) in &ends {
            self.tell_again(name, end, history);
            self.prepared.note_outcome(name, end.outcome);
            self.failed |= end.outcome == StageOutcome::Failed;
            if let Some(outputs) = &end.outputs {
                let outputs = self.prepared.run.open(outputs)?;
                self.prepared.run.note_images(&outputs);
                self.prepared.keep_outputs(name, outputs);
            }
            self.worked.extend(self.worked_before(name, history).await?);
        }
        let untold = forgone.into_iter().filter(|name| of(name).is_none()).collect();
        self.forgo(untold).await?;
        for (name, stage) in &history.stages {
            self.began.extend(stage.began.map(|began| (name.clone(), began)));
            self.undos.extend(stage.undo.clone().map(|undo| (name.clone(), undo)));
        }
        self.past = history.stages.clone();
        Ok(())
    }

    /// What a report must know of a stage that ended before this process began.
    fn tell_again(&mut self, name: &StageName, end: &journal::StageEnd, history: &History) {
        let past = history.stage(name);
        let calls = past.and_then(|past| past.attempt.as_ref()).map_or(0, |attempt| attempt.script.calls());
        let began = past.and_then(|past| past.began).unwrap_or(end.at);
        self.prepared.run.calls.fetch_add(calls, Ordering::Relaxed);
        self.prepared.run.events.emit(
            Some(name),
            EventKind::StageFinished {
                outcome: end.outcome,
                outputs: end.outputs.as_ref().map(|outputs| outputs.shown().value().clone()),
                failure: end.failure.clone(),
                millis: end.at.saturating_sub(began),
                calls,
                skipped: end.skipped,
            },
        );
    }

    /// A stage that was worked on before, as its undo needs it.
    async fn worked_before(&self, name: &StageName, history: &History) -> Result<Option<Worked>, HostStop> {
        let Some(past) = history.stage(name) else { return Ok(None) };
        let (Some(attempt), Some(stage)) = (&past.attempt, self.prepared.stage(name)) else { return Ok(None) };
        let run = &self.prepared.run;
        let (config, memory) = (run.open(&attempt.start.config)?, run.open_memory(past.remembered())?);
        Ok(match work_of(&self.prepared, stage, config, memory).await {
            Readiness::Ready(worked) => Some(*worked),
            Readiness::Skipped(_) | Readiness::Failed(_) => None,
        })
    }

    /// Undo all that the run did, also of stages that had not ended.
    async fn undo_by_hand(&mut self, history: &History) -> Result<(), HostStop> {
        self.prepared.confirm_identity().await?;
        self.prepared.run.gate.open();
        let ends = history.ended.iter().filter_map(|name| Some((name, history.stage(name)?.end.as_ref()?)));
        for (name, end) in ends {
            self.tell_again(name, end, history);
        }
        let open = history.stages.keys().filter(|name| !history.ended.contains(name));
        for name in history.ended.iter().chain(open) {
            self.worked.extend(self.worked_before(name, history).await?);
        }
        self.undos =
            history.stages.iter().filter_map(|(name, stage)| Some((name.clone(), stage.undo.clone()?))).collect();
        self.undone_by_hand = true;
        self.undo().await
    }

    async fn undo(&mut self) -> Result<(), HostStop> {
        let (worked, past) = (std::mem::take(&mut self.worked), std::mem::take(&mut self.undos));
        let Undone { stuck, undone: _ } = undo_all(&self.prepared, worked, past).await?;
        self.stuck |= stuck;
        Ok(())
    }

    /// Write down how it ended, and tell.
    async fn close(
        self,
        ended: Result<(), HostStop>,
        began: u64,
        journal: Option<PathBuf>,
    ) -> Result<RunSummary, RunError> {
        let run = Arc::clone(&self.prepared.run);
        let signal = run.control.interrupted();
        let outcome = self.outcome(&ended, signal.as_deref());
        let at = run.clock.now();
        let recorded = run.record_durable(&Record::RunEnd(journal::RunEnd { outcome, at })).await;
        if let Some(leases) = &run.leases {
            let given_back = leases.end(ending_of(outcome)).await;
            // Where the run was given up its own error says more.
            if let (Err(error), Ok(()), Ok(())) = (given_back, &ended, &recorded) {
                run.events.emit(None, EventKind::Warning { message: error.to_string(), help: error.help() });
            }
        }
        let calls = run.calls.load(Ordering::Relaxed);
        run.events.emit(
            None,
            EventKind::RunFinished {
                outcome,
                millis: at.saturating_sub(began),
                calls,
                journal: journal.as_ref().map(|journal| journal.display().to_string()),
            },
        );
        run.events.finish();
        ended.and(recorded).map_err(|stop| match stop {
            HostStop::Journal(source) => RunError::Unrecorded { run: run.id.clone(), calls, source },
            stop => RunError::GivenUp(stop),
        })?;
        Ok(RunSummary { run: run.id.clone(), outcome, signal, journal })
    }

    fn outcome(&self, ended: &Result<(), HostStop>, signal: Option<&str>) -> RunOutcome {
        match (ended, signal) {
            (Ok(()), Some(DETACH)) => RunOutcome::Detached,
            // A run that was given up can be resumed when what was in its way is gone.
            (Err(_), _) | (Ok(()), Some(_)) => RunOutcome::Interrupted,
            (Ok(()), None) if self.stuck => RunOutcome::Stuck,
            (Ok(()), None) if self.undone_by_hand => RunOutcome::Undone,
            (Ok(()), None) if self.failed => RunOutcome::Failed,
            (Ok(()), None) => RunOutcome::Done,
        }
    }

    async fn finish(&mut self) -> Result<(), HostStop> {
        let mut at_work = JoinSet::new();
        let control = self.prepared.run.control.clone();
        let mut interrupted = false;
        let run = Arc::clone(&self.prepared.run);
        self.go_on_with_stages(&mut at_work);
        loop {
            self.begin_stages(&mut at_work);
            if at_work.is_empty() && self.live && self.schedule.is_over() {
                break;
            }
            tokio::select! {
                biased;
                () = control.interruption(), if !interrupted => {
                    interrupted = true;
                    self.interrupted().await?;
                }
                () = run.gate.all_arrived(), if !self.live => match self.prepared.confirm_identity().await {
                    Ok(()) => {
                        run.gate.open();
                        self.live = true;
                    }
                    // The gate stays shut: whoever waits there hears it as well, and nothing is begun any more.
                    Err(HostStop::Interrupted) => {
                        if !std::mem::replace(&mut interrupted, true) {
                            self.interrupted().await?;
                        }
                        self.live = true;
                    }
                    Err(stop) => return Err(stop),
                },
                () = run.stalled_for(self.prepared.detach_after.unwrap_or_default()),
                    if self.live && !interrupted && self.prepared.detach_after.is_some() => control.detach(),
                Some(ended) = at_work.join_next() => {
                    // Whatever else has ended by now becomes durable with it, by one sync of the journal.
                    let others = std::iter::from_fn(|| at_work.try_join_next());
                    let ended: Vec<_> = std::iter::once(ended).chain(others).collect();
                    self.end_stages(ended).await?;
                }
            }
        }
        if self.schedule.wants_undo() && control.interrupted().is_none() {
            self.undo().await?;
        }
        Ok(())
    }

    /// Replay the stages that were at work when the run stopped.
    fn go_on_with_stages(&mut self, at_work: &mut JoinSet<Result<EndedStage, HostStop>>) {
        for name in self.schedule.at_work() {
            let Some(past) = self.past.remove(&name) else { continue };
            let past = GoingOn::of(past, &self.prepared.run.gate);
            at_work.spawn(run_stage(Arc::clone(&self.prepared), name, past));
        }
    }

    fn begin_stages(&mut self, at_work: &mut JoinSet<Result<EndedStage, HostStop>>) {
        let limit = self.prepared.max_parallel.or(self.prepared.pipeline.max_parallel).unwrap_or(usize::MAX).max(1);
        while self.live && self.schedule.running() < limit {
            let Some(name) = self.schedule.begin_next() else { return };
            self.began.insert(name.clone(), self.prepared.run.clock.now());
            self.prepared.run.progressed();
            at_work.spawn(run_stage(Arc::clone(&self.prepared), name, None));
        }
    }

    /// Note that these stages ended. Those that ended well count also where another ended the run.
    async fn end_stages(
        &mut self,
        ended: Vec<Result<Result<EndedStage, HostStop>, JoinError>>,
    ) -> Result<(), HostStop> {
        let run = Arc::clone(&self.prepared.run);
        let mut noted = Vec::with_capacity(ended.len());
        let mut stop = None;
        for ended in ended {
            match ended.map_err(|error| HostStop::Defect(error.to_string())).flatten() {
                Ok(ended) => {
                    let at = run.clock.now();
                    match self.note_end(&ended, at) {
                        Ok(()) => noted.push((ended, at)),
                        Err(error) => stop = stop.or(Some(error)),
                    }
                }
                Err(error) => stop = stop.or(Some(error)),
            }
        }
        if let Err(error) = run.sync().await {
            // What came first says more: a journal that has failed only says that it has.
            return Err(stop.unwrap_or(error));
        }
        for (ended, at) in noted {
            self.end_stage(ended, at).await?;
        }
        stop.map_or(Ok(()), Err)
    }

    fn note_end(&self, ended: &EndedStage, at: u64) -> Result<(), HostStop> {
        let run = &self.prepared.run;
        run.record(&Record::StageEnd(journal::StageEnd {
            stage: ended.name.clone(),
            attempt: ended.attempt,
            outcome: ended.outcome,
            outputs: ended.outputs.as_ref().map(|outputs| run.seal(outputs)).transpose()?,
            failure: ended.failure.clone(),
            skipped: ended.skipped,
            retry_at: None,
            at,
        }))
    }

    async fn end_stage(&mut self, ended: EndedStage, at: u64) -> Result<(), HostStop> {
        let EndedStage { name, outcome, outputs, failure, skipped, attempt: _, calls, worked } = ended;
        let run = Arc::clone(&self.prepared.run);
        run.progressed();
        self.failed |= outcome == StageOutcome::Failed;
        self.stuck |= outcome == StageOutcome::Stuck;
        let unjudged = failure.clone().filter(|_| outcome == StageOutcome::Failed);
        let millis = at.saturating_sub(self.began.get(&name).copied().unwrap_or(at));
        let kind = EventKind::StageFinished { outcome, outputs: outputs.clone(), failure, millis, calls, skipped };
        run.events.emit(Some(&name), kind);
        self.prepared.note_outcome(&name, outcome);
        if let Some(outputs) = outputs {
            run.note_images(&outputs);
            self.prepared.keep_outputs(&name, outputs);
        }
        self.worked.extend(worked);
        self.spare_where_unjudged(&name, unjudged.as_ref());
        let forgone = self.schedule.end(&name, outcome).map_err(|error| HostStop::Defect(error.to_string()))?;
        self.forgo(forgone).await
    }

    /// A config that cannot work says nothing about what the run deployed: where a stage that changes nothing that could be undone
    /// fails for it, it judged nothing, and what stood before it stays. One that can be undone is part of the change, and its
    /// `on-failure` holds.
    fn spare_where_unjudged(&mut self, name: &StageName, failure: Option<&Failure>) {
        if failure.is_none_or(|failure| failure.kind != "config") {
            return;
        }
        let plugin = self.prepared.stage(name).and_then(|stage| self.prepared.plugin(stage).ok());
        if plugin.is_some_and(|plugin| plugin.description.undoable) || !self.schedule.spare(name) {
            return;
        }
        let run = &self.prepared.run;
        run.events.emit(
            Some(name),
            EventKind::Warning {
                message: "nothing is undone: its config cannot work, so that it has judged nothing".to_owned(),
                help: Some(format!("correct it and run again; `kiln undo {}` takes back what the run did", run.id)),
            },
        );
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
        // A run that is interrupted or stuck is resumed: what has not begun has not ended either.
        if run.control.interrupted().is_none() && !self.stuck {
            for stage in &stages {
                run.record(&Record::StageEnd(journal::StageEnd {
                    stage: stage.clone(),
                    attempt: 0,
                    outcome: StageOutcome::NotRun,
                    outputs: None,
                    failure: None,
                    skipped: None,
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
                skipped: None,
            };
            self.prepared.note_outcome(stage, StageOutcome::NotRun);
            run.events.emit(Some(stage), kind);
        }
        Ok(())
    }
}
