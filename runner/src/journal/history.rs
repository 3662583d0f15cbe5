//! What a journal tells a run that goes on: what has ended, what is under way, what is stuck.
//!
//! The main type is [`History`], which is made of a [`Recording`].

use std::collections::BTreeMap;

use super::reader::Recording;
use super::record::{
    CallKey, FORMAT, LocalRead, Phase, Record, RunEnd, RunStart, StageEnd, StageStart, Stuck, UndoEnd, UndoStart,
};
use super::script::Script;
use crate::event::StageOutcome;
use crate::secrets::redact::Sealed;
use crate::types::{EnvironmentName, StageName};

/// A run so far.
#[derive(Debug, Clone)]
pub struct History {
    /// How it began.
    pub start: RunStart,
    /// How often it has gone on.
    pub resumes: u32,
    /// How its process ended it, if it did, and it has not gone on since.
    pub end: Option<RunEnd>,
    /// The stages that something is known of.
    pub stages: BTreeMap<StageName, StagePast>,
    /// The stages that have ended, in the order in which they did.
    pub ended: Vec<StageName>,
    /// The versions of secrets that the run uses, by the names that the pipeline gives them.
    pub secrets: BTreeMap<String, String>,
    /// What a person must decide, and has not yet.
    pub stuck: Vec<Stuck>,
    /// The newest fence of each environment's lease, and under none the run's own.
    pub fences: BTreeMap<Option<EnvironmentName>, u64>,
    /// The newest instant in the journal: the run's clock never shows less.
    pub latest: u64,
}

/// A stage so far.
#[derive(Debug, Clone, Default)]
pub struct StagePast {
    /// When its first attempt began, in milliseconds since the Unix epoch.
    pub began: Option<u64>,
    /// Its newest attempt, and what that asked for.
    pub attempt: Option<AttemptPast>,
    /// How it ended, for good.
    pub end: Option<StageEnd>,
    /// That its newest attempt failed, and when the next begins.
    pub rest: Option<StageEnd>,
    /// Names and values that earlier attempts remembered for its undo; a later one replaces an earlier.
    pub memory: Vec<(Sealed, Sealed)>,
    /// What its newest attempt remembered as well.
    fresh: Vec<(Sealed, Sealed)>,
    /// Its newest undo.
    pub undo: Option<UndoPast>,
}

/// An attempt so far.
#[derive(Debug, Clone)]
pub struct AttemptPast {
    /// How it began.
    pub start: StageStart,
    /// What it asked for.
    pub script: Script,
}

/// An undo so far.
#[derive(Debug, Clone)]
pub struct UndoPast {
    /// How it began.
    pub start: UndoStart,
    /// What it asked for.
    pub script: Script,
    /// How it ended, if it did.
    pub end: Option<UndoEnd>,
}

/// Why a recording is no history: it was not written by a kiln that keeps its rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// The run was killed before its first record was durable.
    #[error("the run never began: its journal holds nothing")]
    Nothing,
    /// An older kiln masked what a resume would have to go on with.
    #[error(
        "kiln 0.1.0 wrote record {seq} of the journal with a secret masked in it, so what stood there is lost and the run \
         cannot go on. Look at `kiln show`, settle the account by hand, and run the pipeline again"
    )]
    Masked {
        /// Its number.
        seq: u64,
    },
    /// A record that does not follow from those before it.
    #[error("record {seq} of the journal does not follow from those before it")]
    Inconsistent {
        /// Its number.
        seq: u64,
    },
}

impl History {
    /// What `recording` tells.
    ///
    /// # Errors
    /// It holds nothing, or contradicts itself.
    pub fn of(recording: &Recording) -> Result<Self, HistoryError> {
        let start = recording.start().cloned().ok_or(HistoryError::Nothing)?;
        let mut history = Self {
            latest: start.at,
            start,
            resumes: 0,
            end: None,
            stages: BTreeMap::new(),
            ended: Vec::new(),
            secrets: BTreeMap::new(),
            stuck: Vec::new(),
            fences: BTreeMap::new(),
        };
        for entry in recording.entries.iter().skip(1) {
            if history.start.format < FORMAT && entry.record.is_masked() {
                return Err(HistoryError::Masked { seq: entry.seq });
            }
            if !history.absorb(&entry.record) {
                return Err(HistoryError::Inconsistent { seq: entry.seq });
            }
        }
        Ok(history)
    }

    /// The stage of a name so far.
    pub fn stage(&self, name: &StageName) -> Option<&StagePast> {
        self.stages.get(name)
    }

    /// Whether the undoing of what was done has begun.
    pub fn is_undoing(&self) -> bool {
        self.stages.values().any(|stage| stage.undo.is_some())
    }

    /// Take in the next record. Answers whether it follows from those before it.
    fn absorb(&mut self, record: &Record) -> bool {
        self.latest = self.latest.max(instant(record).unwrap_or_default());
        match record {
            Record::RunStart(_) => return false,
            Record::RunResume(_) => {
                self.resumes += 1;
                self.end = None;
            }
            Record::RunEnd(end) => self.end = Some(end.clone()),
            Record::Fence(fence) => {
                self.fences.insert(fence.environment.clone(), fence.fence);
            }
            Record::StageStart(start) => self.begin(start),
            Record::StageEnd(end) => self.finish(end),
            Record::UndoStart(start) => {
                self.stuck.retain(|stuck| stuck.call.is_some() || stuck.stage != start.stage);
                let undo = UndoPast { start: start.clone(), script: Script::default(), end: None };
                self.stage_mut(&start.stage).undo = Some(undo);
            }
            Record::UndoEnd(end) => {
                let Some(undo) = &mut self.stage_mut(&end.stage).undo else { return false };
                undo.end = Some(end.clone());
                if end.result.is_ok() {
                    self.stuck.retain(|stuck| stuck.call.is_some() || stuck.stage != end.stage);
                }
            }
            Record::Stuck(stuck) => {
                self.stuck.retain(|known| (&known.stage, &known.call) != (&stuck.stage, &stuck.call));
                self.stuck.push(stuck.clone());
            }
            Record::Reconciled(reconciled) => {
                self.stuck.retain(|stuck| stuck.call.as_ref() != Some(&reconciled.call));
                return self.note(&reconciled.call, record);
            }
            Record::LocalRead(read) => {
                if let Some((name, version)) = secret_version(read) {
                    self.secrets.insert(name, version);
                }
                return self.note(&read.call, record);
            }
            Record::Remember(remember) => {
                if remember.call.phase == Phase::Run {
                    let stage = self.stage_mut(&remember.call.stage);
                    stage.fresh.push((remember.name.clone(), remember.value.clone()));
                }
                return self.note(&remember.call, record);
            }
            Record::Intent(intent) => return self.note(&intent.call, record),
            Record::Result(result) => {
                // The look-up that could not be made before was made after all.
                self.stuck.retain(|stuck| stuck.call.as_ref() != Some(&result.call));
                return self.note(&result.call, record);
            }
            Record::Timer(timer) => return self.note(&timer.call, record),
        }
        true
    }

    fn begin(&mut self, start: &StageStart) {
        let stage = self.stage_mut(&start.stage);
        let fresh = std::mem::take(&mut stage.fresh);
        stage.memory.extend(fresh);
        stage.rest = None;
        stage.began = stage.began.or(Some(start.at));
        stage.attempt = Some(AttemptPast { start: start.clone(), script: Script::default() });
    }

    fn finish(&mut self, end: &StageEnd) {
        let stage = self.stage_mut(&end.stage);
        match (end.retry_at, end.outcome) {
            (Some(_), _) => stage.rest = Some(end.clone()),
            // It has not ended: a run that goes on goes on with it.
            (None, StageOutcome::Interrupted | StageOutcome::Stuck) => {}
            (None, StageOutcome::Done | StageOutcome::Failed | StageOutcome::Skipped | StageOutcome::NotRun) => {
                stage.end = Some(end.clone());
                self.ended.push(end.stage.clone());
            }
        }
    }

    /// Take a record into the script that it belongs to.
    fn note(&mut self, call: &CallKey, record: &Record) -> bool {
        if call.stage.as_str() == crate::types::HOST {
            // The host's own calls are made anew by each process.
            return true;
        }
        let stage = self.stage_mut(&call.stage);
        match call.phase {
            Phase::Run => match &mut stage.attempt {
                Some(attempt) if attempt.start.attempt == call.attempt => attempt.script.absorb(record),
                Some(_) | None => false,
            },
            Phase::Undo => match &mut stage.undo {
                Some(undo) if undo.start.attempt == call.attempt => undo.script.absorb(record),
                Some(_) | None => false,
            },
        }
    }

    fn stage_mut(&mut self, name: &StageName) -> &mut StagePast {
        self.stages.entry(name.clone()).or_default()
    }
}

impl StagePast {
    /// Everything that was remembered for its undo; a later one replaces an earlier.
    pub fn remembered(&self) -> impl Iterator<Item = &(Sealed, Sealed)> {
        self.memory.iter().chain(&self.fresh)
    }

    /// Whether it was begun.
    pub fn has_begun(&self) -> bool {
        self.attempt.is_some() || self.end.as_ref().is_some_and(|end| end.outcome != StageOutcome::NotRun)
    }
}

/// The name and the version of the secret that was read, if one was.
fn secret_version(read: &LocalRead) -> Option<(String, String)> {
    let name = read.what.strip_prefix("secret ")?;
    let version = read.value.whole()?.get("version")?.as_str()?;
    Some((name.to_owned(), version.to_owned()))
}

/// When the record was written, where it says so.
fn instant(record: &Record) -> Option<u64> {
    match record {
        Record::RunStart(start) => Some(start.at),
        Record::RunResume(resume) => Some(resume.at),
        Record::StageStart(start) => Some(start.at),
        Record::Intent(intent) => Some(intent.at),
        Record::Result(result) => Some(result.at),
        Record::Reconciled(reconciled) => Some(reconciled.at),
        Record::Fence(fence) => Some(fence.at),
        Record::UndoStart(start) => Some(start.at),
        Record::UndoEnd(end) => Some(end.at),
        Record::StageEnd(end) => Some(end.at),
        Record::Stuck(stuck) => Some(stuck.at),
        Record::RunEnd(end) => Some(end.at),
        // The clock, which a guest read, is an instant, too.
        Record::LocalRead(read) if read.what == "clock" => read.value.whole()?.as_u64(),
        Record::LocalRead(_) | Record::Timer(_) | Record::Remember(_) => None,
    }
}
