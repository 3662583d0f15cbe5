//! The runs that a state directory holds.
//!
//! The main function is [`list_runs`]. It checks every frame but reads only the records that say how a run stands.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::error::JournalError;
use super::reader::{Scan, bytes_of, decode};
use super::record::{Record, RunStart};
use crate::event::RunOutcome;
use crate::types::{PipelineName, RunId};

/// A run, as a list shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedRun {
    /// Its id.
    pub run: RunId,
    /// Its pipeline; none where the journal cannot be read.
    pub pipeline: Option<PipelineName>,
    /// The pipeline file.
    pub file: Option<String>,
    /// When it began, in milliseconds since the Unix epoch.
    pub started: Option<u64>,
    /// When it ended.
    pub ended: Option<u64>,
    /// How it stands.
    pub state: RunState,
    /// How large its journal is, in bytes.
    pub bytes: u64,
    /// Its directory.
    pub dir: PathBuf,
}

/// How a run stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RunState {
    /// A process is at it.
    Running,
    /// It ended.
    Ended(RunOutcome),
    /// A person must decide.
    Stuck,
    /// No process is at it and it has not ended: it can be resumed.
    #[default]
    Unfinished,
    /// The journal cannot be read.
    Unreadable(String),
}

impl RunState {
    /// How a run stands whose journal goes on with `record`.
    pub fn after(self, record: &Record) -> Self {
        match record {
            Record::RunStart(_) | Record::RunResume(_) | Record::Reconciled(_) => Self::Unfinished,
            Record::Stuck(_) => Self::Stuck,
            // A run that is stuck ends too; what a person must know is that it is stuck.
            Record::RunEnd(_) if self == Self::Stuck => self,
            Record::RunEnd(end) => Self::Ended(end.outcome),
            Record::StageStart(_)
            | Record::Intent(_)
            | Record::Result(_)
            | Record::LocalRead(_)
            | Record::Timer(_)
            | Record::Remember(_)
            | Record::Fence(_)
            | Record::UndoStart(_)
            | Record::UndoEnd(_)
            | Record::StageEnd(_) => self,
        }
    }
}

/// What a list says of a run, made of its records.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct RunOutline {
    /// How it began.
    pub(crate) start: Option<RunStart>,
    /// How it stands, unless a process is at it.
    pub(crate) state: RunState,
    /// When it ended.
    pub(crate) ended: Option<u64>,
}

impl RunOutline {
    /// Take in the next record.
    pub(crate) fn absorb(&mut self, record: &Record) {
        match record {
            Record::RunStart(start) => self.start = Some(start.clone()),
            Record::RunEnd(end) => self.ended = Some(end.at),
            Record::RunResume(_) | Record::Reconciled(_) => self.ended = None,
            Record::StageStart(_)
            | Record::Intent(_)
            | Record::Result(_)
            | Record::LocalRead(_)
            | Record::Timer(_)
            | Record::Remember(_)
            | Record::Fence(_)
            | Record::UndoStart(_)
            | Record::UndoEnd(_)
            | Record::StageEnd(_)
            | Record::Stuck(_) => {}
        }
        self.state = std::mem::take(&mut self.state).after(record);
    }
}

/// The directory of a run.
pub fn run_dir(state: &Path, run: &RunId) -> PathBuf {
    state.join("runs").join(run.as_str())
}

/// The runs in `<state>/runs`, the newest first. A journal that cannot be read is listed as such.
pub fn list_runs(state: &Path) -> Result<Vec<ListedRun>, JournalError> {
    let dir = state.join("runs");
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(JournalError::Io { action: "list the runs in", path: dir, source }),
    };
    let mut runs = Vec::new();
    for entry in entries {
        let entry = entry.map_err(JournalError::io("list the runs in", &dir))?;
        if let Some(run) = entry.file_name().to_str().and_then(|name| name.parse::<RunId>().ok()) {
            runs.push(summarise(run, entry.path()));
        }
    }
    runs.sort_by(|one, two| two.run.cmp(&one.run));
    Ok(runs)
}

fn summarise(run: RunId, dir: PathBuf) -> ListedRun {
    let mut summary = ListedRun {
        run,
        pipeline: None,
        file: None,
        started: None,
        ended: None,
        state: RunState::Unfinished,
        bytes: 0,
        dir,
    };
    if let Err(error) = fill(&mut summary) {
        summary.state = RunState::Unreadable(error.to_string());
    }
    summary
}

fn fill(summary: &mut ListedRun) -> Result<(), JournalError> {
    let path = summary.dir.join("journal");
    let bytes = bytes_of(&path)?;
    summary.bytes = bytes.len() as u64;
    let (frames, _) = Scan::new(&path, &bytes)?.frames()?;
    let mut outline = RunOutline::default();
    let telling = frames.into_iter().filter(|(_, frame)| Record::tells_state(frame.kind));
    let read = telling.map(|(offset, frame)| decode(&path, offset, &frame)).try_for_each(|record| {
        outline.absorb(&record?);
        Ok(())
    });
    // What came before a record that cannot be read is told all the same.
    let RunOutline { start, state, ended } = outline;
    (summary.state, summary.ended) = (state, ended);
    if let Some(start) = start {
        (summary.pipeline, summary.file, summary.started) = (Some(start.pipeline), Some(start.file), Some(start.at));
    }
    read?;
    if is_locked(&path)? {
        summary.state = RunState::Running;
    }
    Ok(())
}

/// Whether a process writes the journal. Looking means to hold a shared lock for a moment: the writer tries for longer.
pub(crate) fn is_locked(path: &Path) -> Result<bool, JournalError> {
    let file = File::open(path).map_err(JournalError::io("open the journal", path))?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(error) => {
            Err(JournalError::Io { action: "look at the lock of", path: path.to_owned(), source: error.into() })
        }
    }
}
