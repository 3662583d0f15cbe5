//! What happens in a run, as typed events in the order in which it happened.
//!
//! The main type is [`Event`]. Reports consume events and never reach back. An event is redacted before any report sees
//! it. The serialised form is what `--output json` writes, one object a line; fields are only ever added to it.

use serde::{Deserialize, Serialize};

use crate::types::{AccountId, EnvironmentName, PipelineName, Region, RunId, StageName};

/// An event and when it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Counts from 0 in a run, without gaps; where events were left out, `left-out` has the number of the last of them.
    pub seq: u64,
    /// Milliseconds since the Unix epoch, by the run's clock.
    pub at: u64,
    /// The stage that it is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stage: Option<StageName>,
    /// What happened.
    #[serde(rename = "event")]
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum EventKind {
    /// The run began, or goes on.
    RunStarted {
        /// Its id.
        run: RunId,
        /// The pipeline's name.
        pipeline: PipelineName,
        /// The pipeline file, as given.
        file: String,
        /// The account that the runner's own credentials belong to.
        account: AccountId,
        /// The pipeline's region.
        region: Region,
        /// All stages, in an order in which each comes after those that it depends on.
        stages: Vec<StageOutline>,
        /// Where a run that had stopped goes on: when it first began, in milliseconds since the Unix epoch. What had
        /// ended before is told again.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        resumed: Option<u64>,
    },
    /// An attempt of a stage goes on: its calls up to here are answered from the journal.
    StageResumed {
        /// Which attempt.
        attempt: u32,
        /// How many AWS calls are answered from the journal.
        replayed: u32,
    },
    /// It was found out what became of an AWS call whose answer never came.
    CallReconciled {
        /// The IAM action.
        action: String,
        /// What became of it: `happened`, `not-happened`, `send-again` or `unknown`.
        verdict: String,
        /// What was found.
        evidence: String,
    },
    /// A stage began its attempt.
    StageStarted {
        /// 1 for the first.
        attempt: u32,
    },
    /// A stage reported how far it is.
    StageProgress {
        /// What is happening now.
        message: String,
        /// Steps done, where they can be counted.
        done: Option<u32>,
        /// Steps in all, where they can be counted.
        total: Option<u32>,
    },
    /// A stage wrote a line.
    StageLog {
        /// How much it matters.
        level: LogLevel,
        /// One line.
        message: String,
    },
    /// A stage's AWS call was answered.
    Call {
        /// The IAM action: `ecr:DescribeImages`.
        action: String,
        /// Whether it can change anything.
        write: bool,
        /// How long it took, in milliseconds of the run's clock.
        millis: u64,
        /// AWS's request id.
        request_id: Option<String>,
        /// Why it failed, if it did: kind and message.
        error: Option<String>,
    },
    /// A stage's AWS call failed and is sent again.
    CallRetrying {
        /// The IAM action.
        action: String,
        /// The attempt that failed: 1 for the first.
        attempt: u32,
        /// How long the pause is, in milliseconds.
        delay: u64,
        /// Why it failed.
        error: String,
    },
    /// An attempt failed and another will follow.
    StageRetrying {
        /// The attempt that failed.
        attempt: u32,
        /// How many there may be.
        attempts: u32,
        /// How long the wait is, in milliseconds.
        delay: u64,
        /// Why it failed.
        failure: Failure,
    },
    /// A stage ended.
    StageFinished {
        /// How.
        outcome: StageOutcome,
        /// Its outputs, where it is done; a JSON object.
        outputs: Option<serde_json::Value>,
        /// Why it failed, if it did.
        failure: Option<Failure>,
        /// From its first start to its end, in milliseconds.
        millis: u64,
        /// How many AWS calls it made.
        calls: u32,
    },
    /// A stage's undo began.
    UndoStarted,
    /// A stage's undo ended.
    UndoFinished {
        /// What was undone, in the plugin's words, or why it could not be.
        result: Result<String, Failure>,
    },
    /// The run goes on, but the reader should know.
    Warning {
        /// What.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// Statuses, lines of logs and calls stood here that were left out of this report, because its reader was too slow.
    LeftOut {
        /// How many events.
        events: u64,
    },
    /// The run was told to end (a signal), and is ending.
    Interrupted {
        /// `SIGINT`, `SIGTERM`, or `detach` where it waited for too long.
        signal: String,
    },
    /// The run ended.
    RunFinished {
        /// How.
        outcome: RunOutcome,
        /// From start to end, in milliseconds.
        millis: u64,
        /// How many AWS calls were made.
        calls: u32,
        /// Where the journal is; none for a rehearsal.
        journal: Option<String>,
    },
}

/// A stage as the run's outline shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageOutline {
    /// Its name.
    pub name: StageName,
    /// Its plugin.
    pub plugin: String,
    /// Its environment.
    pub environment: Option<EnvironmentName>,
    /// The stages that must be done before it.
    pub needs: Vec<StageName>,
}

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// For whoever looks into a problem.
    Debug,
    /// The ordinary course.
    Info,
    /// The reader should know.
    Warn,
    /// Something went wrong.
    Error,
}

/// How a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageOutcome {
    /// It did its work.
    Done,
    /// It failed.
    Failed,
    /// Its `when` was false.
    Skipped,
    /// A stage that it needs did not end as it should, so it was not run.
    NotRun,
    /// The run was interrupted while it worked.
    Interrupted,
    /// What became of one of its AWS calls cannot be found out: a person must decide.
    Stuck,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    /// All stages are done or skipped.
    Done,
    /// A stage failed.
    Failed,
    /// The run was told to end. It can be resumed.
    Interrupted,
    /// It waits for longer than it was to be waited for, and was left in a state that can be resumed.
    Detached,
    /// What became of an AWS call cannot be found out: a person must decide, then it can be resumed.
    Stuck,
    /// What it did was undone, by hand (`kiln undo`).
    Undone,
}

/// Why a stage failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What sort of failure: `config`, `denied`, `not-found`, `conflict`, `rejected`, `failed`, `timed-out`,
    /// `unavailable`, `internal`, `sandbox` (the component broke a rule of the host), `interrupted`.
    pub kind: String,
    /// What happened, and where.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Evidence, a line each.
    pub details: Vec<String>,
}
