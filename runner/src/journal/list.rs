//! The runs that a state directory holds.
//!
//! The main function is [`list_runs`]. It checks every frame but reads only the records that say how a run stands.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::error::JournalError;
use super::reader::{Scan, bytes_of, decode};
use super::record::Record;
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunState {
    /// A process is at it.
    Running,
    /// It ended.
    Ended(RunOutcome),
    /// A person must decide.
    Stuck,
    /// No process is at it and it has not ended: it can be resumed.
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
    for (offset, frame) in frames {
        if !Record::tells_state(frame.kind) {
            continue;
        }
        let record = decode(&path, offset, &frame)?;
        summary.state = summary.state.clone().after(&record);
        match record {
            Record::RunStart(start) => {
                summary.pipeline = Some(start.pipeline);
                summary.file = Some(start.file);
                summary.started = Some(start.at);
            }
            Record::RunEnd(end) => summary.ended = Some(end.at),
            Record::RunResume(_) | Record::Reconciled(_) => summary.ended = None,
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
    }
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
