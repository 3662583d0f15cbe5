//! What is known of a run so far, gathered from its events.
//!
//! The main type is [`Summary`].

use std::collections::HashMap;

use crate::event::{Event, EventKind, Failure, RunOutcome, StageOutcome, StageOutline};
use crate::types::{PipelineName, RunId, StageName};

/// A run so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Summary {
    /// What the first event told.
    pub(crate) header: Option<Header>,
    /// All stages, in the order of the outline.
    pub(crate) stages: Vec<StageSummary>,
    /// Warnings, in the order in which they came.
    pub(crate) warnings: Vec<Warning>,
    /// The signal that told the run to end.
    pub(crate) signal: Option<String>,
    /// What the last event told.
    pub(crate) end: Option<End>,
    places: HashMap<StageName, usize>,
}

/// What a run is.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    /// Its id.
    pub(crate) run: RunId,
    /// The pipeline.
    pub(crate) pipeline: PipelineName,
    /// When it began, in milliseconds since the Unix epoch.
    pub(crate) started: u64,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub(crate) struct End {
    /// How.
    pub(crate) outcome: RunOutcome,
    /// From start to end, in milliseconds.
    pub(crate) millis: u64,
    /// How many AWS calls were made.
    pub(crate) calls: u32,
    /// Where the journal is.
    pub(crate) journal: Option<String>,
}

/// A stage so far.
#[derive(Debug, Clone)]
pub(crate) struct StageSummary {
    /// Its name.
    pub(crate) name: StageName,
    /// The stages that must be done before it.
    pub(crate) needs: Vec<StageName>,
    /// How often it was started.
    pub(crate) attempts: u32,
    /// How it ended, if it did.
    pub(crate) outcome: Option<StageOutcome>,
    /// Its outputs, where it is done.
    pub(crate) outputs: Option<serde_json::Value>,
    /// Why it failed, if it did.
    pub(crate) failure: Option<Failure>,
    /// From its first start to its end, in milliseconds.
    pub(crate) millis: u64,
    /// How many AWS calls it made.
    pub(crate) calls: u32,
    /// How its undo ended, if it was undone.
    pub(crate) undo: Option<Result<String, Failure>>,
}

/// What the reader should know although the run went on.
#[derive(Debug, Clone)]
pub(crate) struct Warning {
    /// The stage that it is about, if it is about one.
    pub(crate) stage: Option<StageName>,
    /// What.
    pub(crate) message: String,
    /// What to do.
    pub(crate) help: Option<String>,
}

impl Summary {
    /// Take in the next event.
    pub(crate) fn absorb(&mut self, event: &Event) {
        match &event.kind {
            EventKind::RunStarted { run, pipeline, file: _, account: _, region: _, stages, resumed } => {
                let started = resumed.unwrap_or(event.at);
                self.header = Some(Header { run: run.clone(), pipeline: pipeline.clone(), started });
                self.places = stages.iter().enumerate().map(|(place, stage)| (stage.name.clone(), place)).collect();
                self.stages = stages.iter().map(StageSummary::new).collect();
            }
            EventKind::StageStarted { attempt } | EventKind::StageResumed { attempt, .. } => {
                self.of_stage(event, |stage| stage.attempts = *attempt)
            }
            EventKind::StageFinished { outcome, outputs, failure, millis, calls } => self.of_stage(event, |stage| {
                if calls > &0 {
                    // It was begun by another process, and its end is told again.
                    stage.attempts = stage.attempts.max(1);
                }
                stage.outcome = Some(*outcome);
                stage.outputs.clone_from(outputs);
                stage.failure.clone_from(failure);
                stage.millis = *millis;
                stage.calls = *calls;
            }),
            EventKind::UndoFinished { result } => self.of_stage(event, |stage| stage.undo = Some(result.clone())),
            EventKind::Warning { message, help } => {
                self.warnings.push(Warning { stage: event.stage.clone(), message: message.clone(), help: help.clone() })
            }
            EventKind::Interrupted { signal } => self.signal = Some(signal.clone()),
            EventKind::RunFinished { outcome, millis, calls, journal } => {
                self.end = Some(End { outcome: *outcome, millis: *millis, calls: *calls, journal: journal.clone() });
            }
            EventKind::StageProgress { .. }
            | EventKind::StageLog { .. }
            | EventKind::Call { .. }
            | EventKind::CallRetrying { .. }
            | EventKind::CallReconciled { .. }
            | EventKind::LeftOut { .. }
            | EventKind::StageRetrying { .. }
            | EventKind::UndoStarted => {}
        }
    }

    /// A stage by its name.
    pub(crate) fn stage(&self, name: &StageName) -> Option<&StageSummary> {
        self.places.get(name).and_then(|place| self.stages.get(*place))
    }

    /// How many stages ended in `outcome`.
    pub(crate) fn count(&self, outcome: StageOutcome) -> usize {
        self.stages.iter().filter(|stage| stage.outcome == Some(outcome)).count()
    }

    /// The stages that `stage` needs and that did not end as they should.
    pub(crate) fn blockers<'a>(&'a self, stage: &'a StageSummary) -> impl Iterator<Item = &'a StageName> {
        stage.needs.iter().filter(|name| {
            let outcome = self.stage(name).and_then(|needed| needed.outcome);
            !matches!(outcome, Some(StageOutcome::Done | StageOutcome::Skipped))
        })
    }

    /// Milliseconds from the start of the run to `at`.
    pub(crate) fn since_start(&self, at: u64) -> u64 {
        self.header.as_ref().map_or(0, |header| at.saturating_sub(header.started))
    }

    fn of_stage(&mut self, event: &Event, change: impl FnOnce(&mut StageSummary)) {
        let place = event.stage.as_ref().and_then(|name| self.places.get(name));
        if let Some(stage) = place.and_then(|place| self.stages.get_mut(*place)) {
            change(stage);
        }
    }
}

impl StageSummary {
    fn new(outline: &StageOutline) -> Self {
        Self {
            name: outline.name.clone(),
            needs: outline.needs.clone(),
            attempts: 0,
            outcome: None,
            outputs: None,
            failure: None,
            millis: 0,
            calls: 0,
            undo: None,
        }
    }
}
