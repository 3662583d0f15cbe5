//! What a run writes down: one record for each thing that a resume must know.
//!
//! The main type is [`Record`]. Its JSON is the payload of a frame and part of the format: fields are only ever added,
//! and each added one has a default; a kind's number is never used again for another. What a resume goes on with is
//! [`Sealed`]: it comes back exactly as it was, although no secret lies in the file. Texts for people are masked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::{Failure, RunOutcome, SkipReason, StageOutcome, StageOutline};
use crate::secrets::redact::Sealed;
pub use crate::types::RetryClass;
use crate::types::{AccountId, Digest, EnvironmentName, PipelineName, Region, RunId, StageName, StoreAddress};

/// The version of the journal's format. Since 2 what a resume goes on with is sealed; in 1 it was masked.
pub const FORMAT: u32 = 2;

/// The oldest format that is read.
pub const OLDEST_FORMAT: u32 = 1;

/// One thing that happened, or is about to. Instants (`at`) are milliseconds since the Unix epoch, by the run's clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub enum Record {
    /// The run begins. Always the first record, and there only.
    RunStart(RunStart),
    /// A run that had stopped goes on.
    RunResume(RunResume),
    /// An attempt of a stage begins.
    StageStart(StageStart),
    /// A write is about to be sent. Durable before it is.
    Intent(Intent),
    /// A call was answered. For a write: durable before the guest sees the answer.
    Result(CallResult),
    /// The host answered a stage by itself: the clock, the version of a secret, the images of the run.
    LocalRead(LocalRead),
    /// A stage waits.
    Timer(Timer),
    /// A stage left a value for its own undo. Durable before the guest goes on.
    Remember(Remember),
    /// It was found out what became of an intent without a result.
    Reconciled(Reconciled),
    /// Another runner took the run over.
    Fence(Fence),
    /// A stage's undo begins.
    UndoStart(UndoStart),
    /// A stage's undo ended.
    UndoEnd(UndoEnd),
    /// An attempt of a stage ended, or the stage was not run at all.
    StageEnd(StageEnd),
    /// It cannot be found out what became of a call, or an undo failed: a person must decide.
    Stuck(Stuck),
    /// The run ended, or was interrupted and can be resumed.
    RunEnd(RunEnd),
}

/// The run begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStart {
    /// The version of the format: [`FORMAT`].
    pub format: u32,
    /// The version of kiln that made the journal.
    pub kiln_version: String,
    /// The run.
    pub run: RunId,
    /// The pipeline's name.
    pub pipeline: PipelineName,
    /// The pipeline file, as given.
    pub file: String,
    /// The digest of the pipeline file's text. The text itself is attached under it ([`attach`](super::attach) before
    /// [`Journal::create`](super::Journal::create)): a resume uses the run's own file, whatever has become of the other.
    pub source: Digest,
    /// The inputs with their values, defaults included.
    pub inputs: BTreeMap<String, Value>,
    /// The environment variables that the pipeline refers to: a resumed run sees the same.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The stages, each behind all that it needs.
    #[serde(default)]
    pub stages: Vec<StageOutline>,
    /// The plugins by the names that the pipeline gives them.
    pub plugins: BTreeMap<String, Digest>,
    /// The files beside the pipeline that its stages name, by their paths. Their bytes are attached as the pipeline's own text is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, Digest>,
    /// The hash of the engine's configuration, as wasmtime gives it: another one might compute something else.
    pub engine: String,
    /// The account of the runner's own credentials.
    pub account: AccountId,
    /// The pipeline's region.
    pub region: Region,
    /// How many times as fast as the world the run's clock goes: 1 but against a simulator.
    pub clock_scale: f64,
    /// When the run's clock and the world's showed the same, in milliseconds since the Unix epoch.
    #[serde(default)]
    pub clock_origin: u64,
    /// The shared store that the run is kept in, if it is: a resume must not go on without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreAddress>,
    /// When.
    pub at: u64,
}

/// A run that had stopped goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunResume {
    /// The version of kiln that goes on.
    pub kiln_version: String,
    /// How many bytes of a torn tail were cut off.
    pub truncated: u64,
    /// When.
    pub at: u64,
}

/// An attempt of a stage begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageStart {
    /// The stage.
    pub stage: StageName,
    /// 1 for the first.
    pub attempt: u32,
    /// The config as the guest gets it: all references resolved, secrets by reference only.
    pub config: Sealed,
    /// The digest of the plugin's component.
    pub plugin: Digest,
    /// The account that the stage acts in.
    pub account: AccountId,
    /// The region that the stage acts in.
    pub region: Region,
    /// When the attempt is ended by its `timeout`. A resume keeps it.
    pub deadline: u64,
    /// When.
    pub at: u64,
}

/// Where in a run a call was made. Calls to AWS, reads of the clock and other answers of the host, waits and remembered
/// values are all counted by one `seq`, in the order in which the guest made them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallKey {
    /// The stage.
    pub stage: StageName,
    /// Which attempt: of the stage in the phase [`Phase::Run`], of its undo in [`Phase::Undo`]. 1 for the first.
    pub attempt: u32,
    /// What of the plugin was running.
    pub phase: Phase,
    /// Counts from 0 in an attempt of a phase, without gaps.
    pub seq: u64,
}

/// What of a plugin was running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// `run`.
    Run,
    /// `undo`.
    Undo,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Run => "run",
            Self::Undo => "undo",
        })
    }
}

/// A request or a response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Body {
    /// Its JSON.
    Sealed(Sealed),
    /// Its JSON without the members that hold a secret by themselves. A replay asks again and compares the rest.
    Withheld(Sealed),
    /// Of format 1: its JSON. A request is compared by its hash.
    Plain(Value),
    /// Of format 1: only the hash of its canonical JSON, because it holds a secret.
    Hashed(Digest),
}

/// A write is about to be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// Which call.
    pub call: CallKey,
    /// The IAM action: `codebuild:StartBuild`.
    pub action: String,
    /// The request. A resume that sends again sends this.
    pub request: Body,
    /// [`request_hash`](super::request_hash) of what `request` holds, for people.
    pub request_hash: Digest,
    /// How it may be sent again.
    pub retry: RetryClass,
    /// The client token, where the operation takes one (or is found by one).
    pub token: Option<String>,
    /// What was seen of the world before it: what its look-up compares with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Sealed>,
    /// When.
    pub at: u64,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallOutcome {
    /// The response.
    Ok(Body),
    /// The error, as the guest sees it. Also that kiln itself refused.
    Err(Sealed),
}

/// A call was answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallResult {
    /// Which call.
    pub call: CallKey,
    /// The IAM action.
    pub action: String,
    /// [`request_hash`](super::request_hash) of the request as it is written down, for people.
    pub request_hash: Digest,
    /// The request, where no intent before holds it: of a read, and of a call that was refused.
    pub request: Option<Body>,
    /// The answer.
    pub outcome: CallOutcome,
    /// AWS's request id, where there is one.
    pub request_id: Option<String>,
    /// How long it took, all retries included.
    pub millis: u64,
    /// When the answer was there.
    pub at: u64,
}

/// The host answered a stage by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LocalRead {
    /// Which call.
    pub call: CallKey,
    /// What was read: `clock`, `random`, `images-of-this-run`, `secret NAME`; or where the calls that follow are made: `environment NAME`,
    /// `its own environment`.
    pub what: String,
    /// The answer. For a secret its name, ARN and version id, never its value.
    pub value: Sealed,
}

/// A stage waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timer {
    /// Which call.
    pub call: CallKey,
    /// How long it asked to wait, in milliseconds: what a replayed wait is compared by.
    pub millis: u64,
    /// When the wait ends. A resume waits on to this instant.
    pub until: u64,
}

/// A stage left a value for its own undo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remember {
    /// Which call.
    pub call: CallKey,
    /// Under which name. It replaces what was there.
    pub name: Sealed,
    /// The JSON text, exactly as the guest gave it.
    pub value: Sealed,
}

/// What became of an intent without a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It happened. A result with the adopted response follows.
    Happened,
    /// It did not happen: it is sent (again).
    NotHappened,
    /// It may have happened, and sending it again is safe.
    SendAgain,
}

/// Who found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decider {
    /// kiln, by looking.
    Lookup,
    /// A person, by `kiln resolve`.
    Person,
}

/// It was found out what became of an intent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reconciled {
    /// The intent's call.
    pub call: CallKey,
    /// What became of it.
    pub verdict: Verdict,
    /// Who says so.
    pub by: Decider,
    /// What was found, for people.
    pub evidence: String,
    /// When.
    pub at: u64,
}

/// Another runner took the run over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fence {
    /// The fence of the new lease: larger than all before.
    pub fence: u64,
    /// Who took over: host and process, for people.
    pub owner: String,
    /// The new owner's nonce.
    pub nonce: String,
    /// Whose lease: an environment's, or the run's own.
    pub environment: Option<EnvironmentName>,
    /// When.
    pub at: u64,
}

/// A stage's undo begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UndoStart {
    /// The stage.
    pub stage: StageName,
    /// Which attempt of the undo: 1 for the first.
    pub attempt: u32,
    /// The config: that of the stage's last attempt.
    pub config: Sealed,
    /// The digest of the plugin's component.
    pub plugin: Digest,
    /// When the attempt is ended by its time limit.
    pub deadline: u64,
    /// When.
    pub at: u64,
}

/// A stage's undo ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UndoEnd {
    /// The stage.
    pub stage: StageName,
    /// Which attempt of the undo.
    pub attempt: u32,
    /// What was undone, in the plugin's words, or why it could not be.
    pub result: Result<String, Failure>,
    /// When.
    pub at: u64,
}

/// An attempt of a stage ended, or the stage was not run at all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageEnd {
    /// The stage.
    pub stage: StageName,
    /// Which attempt; 0 for a stage that was skipped or not run.
    pub attempt: u32,
    /// How.
    pub outcome: StageOutcome,
    /// Its outputs, where it is done.
    pub outputs: Option<Sealed>,
    /// Why it failed, where it did.
    pub failure: Option<Failure>,
    /// Why it was skipped, where it was and kiln wrote that down.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub skipped: Option<SkipReason>,
    /// When the next attempt begins; none where this was the last.
    pub retry_at: Option<u64>,
    /// When.
    pub at: u64,
}

/// A person must decide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stuck {
    /// The stage.
    pub stage: StageName,
    /// The call whose fate is unknown; none where an undo failed.
    pub call: Option<CallKey>,
    /// What happened, and what to check.
    pub failure: Failure,
    /// When.
    pub at: u64,
}

/// The run ended, or was interrupted and can be resumed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunEnd {
    /// How.
    pub outcome: RunOutcome,
    /// When.
    pub at: u64,
}

impl Record {
    /// The number and the name of the record's kind. Numbers are part of the format.
    pub(super) fn kind(&self) -> (u16, &'static str) {
        match self {
            Self::RunStart(_) => (1, "run-start"),
            Self::StageStart(_) => (2, "stage-start"),
            Self::Intent(_) => (3, "intent"),
            Self::Result(_) => (4, "result"),
            Self::LocalRead(_) => (5, "local-read"),
            Self::Timer(_) => (6, "timer"),
            Self::Remember(_) => (7, "remember"),
            Self::Reconciled(_) => (8, "reconciled"),
            Self::Fence(_) => (9, "fence"),
            Self::UndoStart(_) => (10, "undo-start"),
            Self::UndoEnd(_) => (11, "undo-end"),
            Self::StageEnd(_) => (12, "stage-end"),
            Self::Stuck(_) => (13, "stuck"),
            Self::RunEnd(_) => (14, "run-end"),
            Self::RunResume(_) => (15, "run-resume"),
        }
    }

    /// Whether something that a replay would give to a guest was masked: kiln 0.1.0 wrote it so (format 1), and what it
    /// was is lost.
    pub(super) fn is_masked(&self) -> bool {
        let body = |body: &Body| match body {
            Body::Sealed(sealed) | Body::Withheld(sealed) => masks(sealed.written()),
            Body::Plain(value) => masks(value),
            Body::Hashed(_) => false,
        };
        match self {
            Self::StageStart(start) => masks(start.config.written()),
            Self::UndoStart(start) => masks(start.config.written()),
            Self::Intent(intent) => {
                body(&intent.request) || intent.before.as_ref().is_some_and(|before| masks(before.written()))
            }
            Self::Result(result) => {
                // An error was masked before the guest saw it.
                result.request.as_ref().is_some_and(body) || matches!(&result.outcome, CallOutcome::Ok(ok) if body(ok))
            }
            Self::LocalRead(read) => masks(read.value.written()),
            Self::Remember(remember) => masks(remember.name.written()) || masks(remember.value.written()),
            Self::StageEnd(end) => end.outputs.as_ref().is_some_and(|outputs| masks(outputs.written())),
            Self::RunStart(_)
            | Self::RunResume(_)
            | Self::Timer(_)
            | Self::Reconciled(_)
            | Self::Fence(_)
            | Self::UndoEnd(_)
            | Self::Stuck(_)
            | Self::RunEnd(_) => false,
        }
    }

    /// The name of a kind, for people.
    pub(super) fn name_of(kind: u16) -> &'static str {
        const NAMES: [&str; 15] = [
            "run-start",
            "stage-start",
            "intent",
            "result",
            "local-read",
            "timer",
            "remember",
            "reconciled",
            "fence",
            "undo-start",
            "undo-end",
            "stage-end",
            "stuck",
            "run-end",
            "run-resume",
        ];
        usize::from(kind).checked_sub(1).and_then(|index| NAMES.get(index)).copied().unwrap_or("unknown")
    }

    /// Whether a record of this kind says how its run stands: run-start, reconciled, stuck, run-end, run-resume.
    pub(super) fn tells_state(kind: u16) -> bool {
        matches!(kind, 1 | 8 | 13 | 14 | 15)
    }

    /// Whether the record begins work that could as well be refused. What ends or undoes work that has begun is taken
    /// even by a full journal.
    pub(super) fn begins_work(&self) -> bool {
        match self {
            Self::StageStart(_) => true,
            Self::Intent(Intent { call, .. })
            | Self::LocalRead(LocalRead { call, .. })
            | Self::Timer(Timer { call, .. })
            | Self::Remember(Remember { call, .. }) => call.phase == Phase::Run,
            // The result of a write has its intent before it, which may have happened: it must not be lost.
            Self::Result(CallResult { call, request, .. }) => call.phase == Phase::Run && request.is_some(),
            Self::RunStart(_)
            | Self::RunResume(_)
            | Self::Reconciled(_)
            | Self::Fence(_)
            | Self::UndoStart(_)
            | Self::UndoEnd(_)
            | Self::StageEnd(_)
            | Self::Stuck(_)
            | Self::RunEnd(_) => false,
        }
    }
}

/// Whether a mask stands in it.
fn masks(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => text.contains("[secret "),
        Value::Array(items) => items.iter().any(masks),
        Value::Object(members) => members.iter().any(|(key, member)| key.contains("[secret ") || masks(member)),
    }
}
