//! What the page shows of a run, gathered from its events and bounded in memory.
//!
//! The main type is [`ShownRun`].

use std::collections::HashMap;

use super::bounded::Bounded;
use crate::event::{Event, EventKind, Failure, LogLevel, RunOutcome, StageOutcome, StageOutline};
use crate::harmless;
use crate::report::style::Style;
use crate::report::{fit, sentence};
use crate::types::{AccountId, EnvironmentName, PipelineName, Region, RunId, StageName};

/// Of more calls, the first and the last are shown.
pub(super) const CALLS: usize = 20_000;
/// Of more log lines of all stages together, the first and the last are shown.
pub(super) const LINES: usize = 10_000;
/// Of more warnings, the first and the last are shown.
const WARNINGS: usize = 200;
/// Of more periods of one stage, the first and the last are shown.
const PERIODS: usize = 200;
/// What is shown of one text: a plugin may write 64 KiB into a line.
const COLUMNS: usize = 2_000;

/// A run, as far as the page shows it. Instants are milliseconds since its start.
#[derive(Debug)]
pub(super) struct ShownRun {
    pub(super) start: Option<Start>,
    pub(super) end: Option<ShownEnd>,
    pub(super) signal: Option<String>,
    pub(super) stages: Vec<ShownStage>,
    pub(super) calls: Bounded<ShownCall>,
    pub(super) lines: Bounded<Line>,
    pub(super) warnings: Bounded<ShownWarning>,
    pub(super) tally: CallTally,
    /// When the last event happened.
    pub(super) until: u64,
    places: HashMap<StageName, usize>,
}

/// What a run is.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) run: RunId,
    pub(super) pipeline: PipelineName,
    pub(super) file: String,
    pub(super) account: AccountId,
    pub(super) region: Region,
    /// Milliseconds since the Unix epoch.
    pub(super) at: u64,
}

/// How it ended.
#[derive(Debug)]
pub(super) struct ShownEnd {
    pub(super) outcome: RunOutcome,
    pub(super) millis: u64,
    pub(super) journal: Option<String>,
}

/// How many calls were made.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct CallTally {
    pub(super) reads: u64,
    pub(super) writes: u64,
    pub(super) failed: u64,
}

impl CallTally {
    pub(super) fn all(self) -> u64 {
        self.reads + self.writes
    }
}

/// A stage.
#[derive(Debug)]
pub(super) struct ShownStage {
    pub(super) name: StageName,
    /// None for kiln itself, which makes calls that belong to no stage.
    pub(super) plugin: Option<String>,
    pub(super) environment: Option<EnvironmentName>,
    pub(super) needs: Vec<StageName>,
    pub(super) attempts: u32,
    pub(super) periods: Bounded<Period>,
    /// What it is doing.
    now: Option<Period>,
    pub(super) outcome: Option<StageOutcome>,
    pub(super) outputs: Option<serde_json::Value>,
    pub(super) failure: Option<Failure>,
    pub(super) undo: Option<Result<String, Failure>>,
    pub(super) millis: u64,
    pub(super) tally: CallTally,
    /// How many lines it wrote, shown or not.
    pub(super) lines: u64,
}

/// A part of a stage's life.
#[derive(Debug, Clone)]
pub(super) struct Period {
    pub(super) kind: PeriodKind,
    pub(super) from: u64,
    pub(super) to: u64,
    /// What came of it.
    pub(super) remark: String,
}

/// What a stage did in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PeriodKind {
    /// It worked; the outcome of the attempt.
    Attempt(u32, AttemptEnd),
    /// It waited for its next attempt.
    Wait,
    /// It took back what it had done, and could or could not.
    Undo(Option<bool>),
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AttemptEnd {
    Done,
    Failed,
    Interrupted,
    /// The run ended first.
    Open,
}

/// An AWS call that was answered, or one that failed and was sent again.
#[derive(Debug)]
pub(super) struct ShownCall {
    /// The index of its stage.
    pub(super) stage: usize,
    /// When it was sent.
    pub(super) at: u64,
    pub(super) action: String,
    pub(super) write: bool,
    pub(super) millis: u64,
    pub(super) request_id: Option<String>,
    pub(super) error: Option<String>,
    /// Where it is sent again: the attempt that failed, and the pause.
    pub(super) again: Option<(u32, u64)>,
}

/// A line of a stage's log.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) stage: usize,
    pub(super) at: u64,
    pub(super) kind: LineKind,
    pub(super) text: String,
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineKind {
    Log(LogLevel),
    /// How far the stage is.
    Status,
}

/// What the reader should know although the run went on.
#[derive(Debug)]
pub(super) struct ShownWarning {
    pub(super) stage: Option<StageName>,
    pub(super) at: u64,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Default for ShownRun {
    fn default() -> Self {
        Self {
            start: None,
            end: None,
            signal: None,
            stages: Vec::new(),
            calls: Bounded::new(CALLS),
            lines: Bounded::new(LINES),
            warnings: Bounded::new(WARNINGS),
            tally: CallTally::default(),
            until: 0,
            places: HashMap::new(),
        }
    }
}

impl ShownRun {
    /// Take in the next event.
    pub(super) fn absorb(&mut self, event: &Event) {
        let at = self.start.as_ref().map_or(0, |start| event.at.saturating_sub(start.at));
        self.until = self.until.max(at);
        match (&event.kind, event.stage.as_ref()) {
            (EventKind::RunStarted { run, pipeline, file, account, region, stages, resumed: _ }, _) => {
                self.start = Some(Start {
                    run: run.clone(),
                    pipeline: pipeline.clone(),
                    file: file.clone(),
                    account: account.clone(),
                    region: region.clone(),
                    at: event.at,
                });
                self.places = stages.iter().enumerate().map(|(place, stage)| (stage.name.clone(), place)).collect();
                self.stages = stages.iter().map(ShownStage::of).collect();
            }
            (EventKind::RunFinished { outcome, millis, calls: _, journal }, _) => {
                self.end = Some(ShownEnd { outcome: *outcome, millis: *millis, journal: journal.clone() });
                for stage in &mut self.stages {
                    stage.ends(at, String::new(), |kind| kind);
                }
            }
            (EventKind::Interrupted { signal }, _) => self.signal = Some(signal.clone()),
            (EventKind::Warning { message, help }, stage) => self.warnings.push(ShownWarning {
                stage: stage.cloned(),
                at,
                message: cut(message),
                help: help.as_deref().map(cut),
            }),
            (kind, Some(stage)) => self.of_stage(at, stage, kind),
            (_, None) => {}
        }
    }

    fn of_stage(&mut self, at: u64, name: &StageName, kind: &EventKind) {
        let place = match self.places.get(name) {
            Some(place) => *place,
            None => {
                // Calls of kiln itself come under a name that is no stage's.
                let place = self.stages.len();
                self.stages.push(ShownStage::itself(name));
                self.places.insert(name.clone(), place);
                place
            }
        };
        let Some(stage) = self.stages.get_mut(place) else { return };
        let mut line = None;
        match kind {
            EventKind::StageStarted { attempt } => {
                stage.ends(at, String::new(), |kind| kind);
                stage.attempts = *attempt;
                stage.begins(at, PeriodKind::Attempt(*attempt, AttemptEnd::Open));
            }
            EventKind::StageProgress { message, done, total } => {
                line = Some((LineKind::Status, sentence::status(message, *done, *total)));
            }
            EventKind::StageLog { level, message } => line = Some((LineKind::Log(*level), message.clone())),
            EventKind::Call { action, write, millis, request_id, error } => {
                for tally in [&mut self.tally, &mut stage.tally] {
                    if *write {
                        tally.writes += 1;
                    } else {
                        tally.reads += 1;
                    }
                    tally.failed += u64::from(error.is_some());
                }
                self.calls.push(ShownCall {
                    stage: place,
                    at: at.saturating_sub(*millis),
                    action: cut(action),
                    write: *write,
                    millis: *millis,
                    request_id: request_id.as_deref().map(cut),
                    error: error.as_deref().map(cut),
                    again: None,
                });
            }
            EventKind::CallRetrying { action, attempt, delay, error } => self.calls.push(ShownCall {
                stage: place,
                at,
                action: cut(action),
                write: false,
                millis: 0,
                request_id: None,
                error: Some(cut(error)),
                again: Some((*attempt, *delay)),
            }),
            EventKind::StageRetrying { attempt, attempts, delay: _, failure } => {
                let remark = format!("attempt {attempt} of {attempts} failed: {}", harmless::line(&failure.message));
                stage.ends(at, remark, |_| PeriodKind::Attempt(*attempt, AttemptEnd::Failed));
                stage.begins(at, PeriodKind::Wait);
            }
            EventKind::StageFinished { outcome, outputs, failure, millis, calls: _ } => {
                let end = match outcome {
                    StageOutcome::Done => AttemptEnd::Done,
                    StageOutcome::Failed | StageOutcome::Stuck => AttemptEnd::Failed,
                    StageOutcome::Interrupted => AttemptEnd::Interrupted,
                    StageOutcome::Skipped | StageOutcome::NotRun => AttemptEnd::Open,
                };
                let remark = failure.as_ref().map(|failure| harmless::line(&failure.message).into_owned());
                stage.ends(at, remark.unwrap_or_default(), |kind| match kind {
                    PeriodKind::Attempt(attempt, _) => PeriodKind::Attempt(attempt, end),
                    other => other,
                });
                stage.outcome = Some(*outcome);
                stage.outputs.clone_from(outputs);
                stage.failure.clone_from(failure);
                stage.millis = *millis;
            }
            EventKind::UndoStarted => {
                stage.ends(at, String::new(), |kind| kind);
                stage.begins(at, PeriodKind::Undo(None));
            }
            EventKind::UndoFinished { result } => {
                let remark = match result {
                    Ok(what) => harmless::line(what).into_owned(),
                    Err(failure) => harmless::line(&failure.message).into_owned(),
                };
                stage.ends(at, remark, |_| PeriodKind::Undo(Some(result.is_ok())));
                stage.undo = Some(result.clone());
            }
            EventKind::StageResumed { attempt, .. } => {
                stage.begins(at, PeriodKind::Attempt(*attempt, AttemptEnd::Open));
            }
            EventKind::CallReconciled { .. }
            | EventKind::LeftOut { .. }
            | EventKind::RunStarted { .. }
            | EventKind::RunFinished { .. }
            | EventKind::Warning { .. }
            | EventKind::Interrupted { .. } => {}
        }
        if let Some((kind, text)) = line {
            self.line(at, place, kind, &text);
        }
    }

    fn line(&mut self, at: u64, stage: usize, kind: LineKind, text: &str) {
        let text = cut(text);
        let repeats = |line: &Line| kind == LineKind::Status && line.stage == stage && line.text == text;
        if self.lines.newest().is_some_and(repeats) {
            return;
        }
        if let Some(stage) = self.stages.get_mut(stage) {
            stage.lines += 1;
        }
        self.lines.push(Line { stage, at, kind, text });
    }

    /// From start to end, in milliseconds, and never 0.
    pub(super) fn span(&self) -> u64 {
        self.end.as_ref().map_or(0, |end| end.millis).max(self.until).max(1)
    }

    /// A stage by its name.
    pub(super) fn stage(&self, name: &StageName) -> Option<&ShownStage> {
        self.places.get(name).and_then(|place| self.stages.get(*place))
    }

    /// The stages that `stage` needs and that did not end as they should.
    pub(super) fn blockers<'a>(&'a self, stage: &'a ShownStage) -> impl Iterator<Item = &'a StageName> {
        stage.needs.iter().filter(|name| {
            let outcome = self.stage(name).and_then(|needed| needed.outcome);
            !matches!(outcome, Some(StageOutcome::Done | StageOutcome::Skipped))
        })
    }
}

impl ShownStage {
    fn of(outline: &StageOutline) -> Self {
        Self {
            plugin: Some(outline.plugin.clone()),
            environment: outline.environment.clone(),
            needs: outline.needs.clone(),
            ..Self::itself(&outline.name)
        }
    }

    fn itself(name: &StageName) -> Self {
        Self {
            name: name.clone(),
            plugin: None,
            environment: None,
            needs: Vec::new(),
            attempts: 0,
            periods: Bounded::new(PERIODS),
            now: None,
            outcome: None,
            outputs: None,
            failure: None,
            undo: None,
            millis: 0,
            tally: CallTally::default(),
            lines: 0,
        }
    }

    /// Whether it is a stage of the pipeline, and not kiln itself.
    pub(super) fn is_of_pipeline(&self) -> bool {
        self.plugin.is_some()
    }

    fn begins(&mut self, at: u64, kind: PeriodKind) {
        self.now = Some(Period { kind, from: at, to: at, remark: String::new() });
    }

    fn ends(&mut self, at: u64, remark: String, kind: impl FnOnce(PeriodKind) -> PeriodKind) {
        if let Some(now) = self.now.take() {
            self.periods.push(Period { kind: kind(now.kind), from: now.from, to: at, remark: cut(&remark) });
        }
    }
}

/// One line, with nothing in it that acts, and no longer than what is shown.
fn cut(text: &str) -> String {
    fit::cut(&harmless::line(text), COLUMNS, Style::UNICODE).into_owned()
}
