//! One attempt of a stage: a fresh sandbox, one call into the guest, and what came of it.
//!
//! The main type is [`Attempt`].

use std::collections::BTreeMap;
use std::sync::Arc;

use kiln_span::millis;
use serde_json::Value;
use wasmtime::Store;

use crate::call::context::RunContext;
use crate::call::gate::Replay;
use crate::call::shown;
use crate::call::stop::{HostStop, hard_stop};
use crate::call::{Access, Actor, Caller};
use crate::contract::Limits;
use crate::contract::bindings::Stage as Guest;
use crate::contract::bindings::exports::kiln::stage::lifecycle;
use crate::contract::bindings::kiln::stage::context::Info;
use crate::contract::bindings::kiln::stage::types::{self, Change, StagePlan};
use crate::event::Failure;
use crate::host::{StageHost, trap_reason};
use crate::journal::{JournalError, Phase};
use crate::json;
use crate::pipeline::{Stage, Unfit};
use crate::plugin::{Engine, Plugin};

/// An attempt: what it needs.
pub(crate) struct Attempt<'a> {
    pub(crate) run: &'a Arc<RunContext>,
    pub(crate) engine: &'a Engine,
    pub(crate) limits: Limits,
    pub(crate) plugin: &'a Plugin,
    pub(crate) stage: &'a Stage,
    pub(crate) ask: Ask,
    /// Who acts.
    pub(crate) actor: Actor,
    /// The config as the guest gets it.
    pub(crate) config: &'a Value,
    /// Pointers to what of it is not known yet.
    pub(crate) unknown: Vec<String>,
    /// What earlier attempts remembered.
    pub(crate) memory: BTreeMap<String, String>,
    /// What the journal holds of this attempt, where it goes on.
    pub(crate) replay: Replay,
}

/// What of the plugin to call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Plan,
    Run,
    Undo,
}

impl Ask {
    /// Where the journal holds it.
    pub(crate) fn phase(self) -> Phase {
        match self {
            Self::Plan | Self::Run => Phase::Run,
            Self::Undo => Phase::Undo,
        }
    }

    /// What it may do.
    pub(crate) fn access(self) -> Access {
        match self {
            Self::Plan => Access::ReadOnly,
            Self::Run | Self::Undo => Access::ReadWrite,
        }
    }
}

/// What the guest answered.
#[derive(Debug)]
pub(crate) enum Answer {
    Planned(StagePlan),
    /// Its outputs, parsed and checked.
    Done(Value),
    Undone(String),
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum AttemptError {
    /// The stage failed.
    Failed(Failure),
    /// The run was told to end.
    Interrupted,
    /// What became of a call cannot be found out.
    Stuck(Failure),
    /// The run cannot go on.
    Fatal(HostStop),
}

/// What came of an attempt.
#[derive(Debug)]
pub(crate) struct Attempted {
    pub(crate) answer: Result<Answer, AttemptError>,
    /// AWS calls made.
    pub(crate) calls: u32,
    /// What is remembered now.
    pub(crate) memory: BTreeMap<String, String>,
}

impl Attempt<'_> {
    /// Call into a fresh instance of the guest.
    pub(crate) async fn perform(mut self) -> Attempted {
        let remembered = self.memory.clone();
        let replay = std::mem::take(&mut self.replay);
        let host = self.host(replay);
        let mut store = Store::new(&self.engine.wasmtime, host);
        if let Err(error) = StageHost::limit(&mut store, &self.limits) {
            let stop = HostStop::Defect(error.to_string());
            return Attempted { answer: Err(AttemptError::Fatal(stop)), calls: 0, memory: remembered };
        }
        let (ended, by_itself) = tokio::select! {
            // A guest that ended by itself is heard, even where its time is over.
            biased;
            ended = self.invoke(&mut store) => (ended, true),
            stop = hard_stop(&self.run.control, self.run.clock, self.actor.deadline) => (Err(self.stopped(stop)), false),
        };
        let answer = match ended {
            Ok(Invoked::Outputs(text)) => self.check_outputs(&text).map(Answer::Done).map_err(AttemptError::Failed),
            Ok(Invoked::Planned(plan)) => self.check_plan(plan).map(Answer::Planned).map_err(AttemptError::Failed),
            Ok(Invoked::Undone(sentence)) => Ok(Answer::Undone(shown(&self.run.redactor, &sentence, TEXT_BYTES))),
            Err(error) => Err(error),
        };
        match store.into_data().into_work() {
            Some(work) => {
                // A guest that came to an end of its own must have come as far as before.
                let answer = match (answer, work.left_over()) {
                    (Ok(_) | Err(AttemptError::Failed(_)), Some(left)) if by_itself => {
                        Err(AttemptError::Fatal(HostStop::NonDeterminism(Box::new(left))))
                    }
                    (answer, _) => answer,
                };
                if matches!(answer, Err(AttemptError::Fatal(_))) {
                    // Before its place is given up: nobody may take that for an arrival.
                    self.run.gate.hold();
                }
                let (calls, memory) = work.finish();
                Attempted { answer, calls, memory }
            }
            None => Attempted { answer, calls: 0, memory: remembered },
        }
    }

    /// What is behind the guest.
    fn host(&self, replay: Replay) -> StageHost {
        let place = &self.actor.standing.place;
        let info = Info {
            run_id: self.run.id.to_string(),
            pipeline: self.run.pipeline.to_string(),
            stage: self.stage.name.to_string(),
            attempt: self.actor.attempt,
            environment: self.stage.environment.as_ref().map(ToString::to_string),
            account: place.account.to_string(),
            region: place.region.to_string(),
            partition: place.partition.clone(),
        };
        let caller = Caller::new(Arc::clone(self.run), self.actor.clone(), replay).bounded(self.limits);
        let files = Arc::new(self.stage.files.clone());
        StageHost::working(self.limits, info, self.unknown.clone(), caller, self.memory.clone(), files)
    }

    async fn invoke(&self, store: &mut Store<StageHost>) -> Result<Invoked, AttemptError> {
        let config = self.config.to_string();
        let pre = self.plugin.ready(self.engine).map_err(|error| self.ended(&error.to_string()))?;
        let guest = pre.instantiate_async(&mut *store).await.map_err(|error| self.trapped(&error))?;
        let answered = call(&guest, store, self.ask, &config).await;
        match answered.map_err(|error| self.trapped(&error))? {
            Ok(invoked) => Ok(invoked),
            Err(failure) => Err(AttemptError::Failed(self.failure_of(failure))),
        }
    }

    /// The guest did not come to an answer of its own.
    fn trapped(&self, error: &wasmtime::Error) -> AttemptError {
        match error.downcast_ref::<HostStop>() {
            Some(HostStop::Interrupted) => self.stopped(HostStop::Interrupted),
            Some(HostStop::TimedOut) => self.stopped(HostStop::TimedOut),
            Some(HostStop::Journal(error)) => self.unrecorded(error),
            Some(HostStop::Lease(lost)) => AttemptError::Fatal(HostStop::Lease(Arc::clone(lost))),
            Some(HostStop::Secret(fatal)) => AttemptError::Fatal(HostStop::Secret(fatal.clone())),
            Some(HostStop::Withheld(fatal)) => AttemptError::Fatal(HostStop::Withheld(fatal.clone())),
            // INVARIANT: only the run itself, between stages, asks who it is.
            Some(HostStop::Identity { why, .. }) => AttemptError::Fatal(HostStop::Defect(why.clone())),
            Some(HostStop::Defect(fatal)) => AttemptError::Fatal(HostStop::Defect(fatal.clone())),
            Some(HostStop::NonDeterminism(mismatch)) => AttemptError::Fatal(HostStop::NonDeterminism(mismatch.clone())),
            Some(HostStop::Stuck(failure)) => AttemptError::Stuck((**failure).clone()),
            Some(HostStop::Limit(_) | HostStop::Misuse(_)) | None => self.ended(&trap_reason(error)),
        }
    }

    /// What it asked for or was answered could not be written down.
    fn unrecorded(&self, error: &Arc<JournalError>) -> AttemptError {
        match &**error {
            // Nothing of it was written, and the journal takes what comes next.
            JournalError::RecordTooLarge { size, .. } => self.ended(&format!(
                "what it asked for or was answered ({} KiB at once) is too large for the journal",
                size >> 10
            )),
            fatal if fatal.is_of_store() => AttemptError::Fatal(HostStop::Withheld(fatal.to_string())),
            _ => AttemptError::Fatal(HostStop::Journal(Arc::clone(error))),
        }
    }

    fn ended(&self, reason: &str) -> AttemptError {
        let described = &self.plugin.description;
        AttemptError::Failed(Failure {
            kind: "sandbox".to_owned(),
            message: format!("the plugin `{}` {} was ended: {reason}", described.name, described.version),
            help: Some("this is a defect of the plugin, not of your pipeline; tell its author".to_owned()),
            details: Vec::new(),
        })
    }

    fn stopped(&self, stop: HostStop) -> AttemptError {
        match stop {
            HostStop::TimedOut => AttemptError::Failed(Failure {
                kind: "timed-out".to_owned(),
                message: format!(
                    "it was not done within its timeout of {}",
                    crate::report::human(millis(self.stage.timeout))
                ),
                help: Some(format!("see how far it came, then raise `timeout` under [stages.{}]", self.stage.name)),
                details: Vec::new(),
            }),
            HostStop::Interrupted => AttemptError::Interrupted,
            other => AttemptError::Fatal(other),
        }
    }

    fn check_outputs(&self, text: &str) -> Result<Value, Failure> {
        let outputs = self.read_outputs("outputs", text)?;
        match self.stage.check_outputs(&outputs) {
            Ok(()) => {}
            Err(Unfit::Breaks(problems)) => {
                let mut failure = self.broken("outputs that break the schema that it declares".to_owned());
                failure.details = self.shown_details(problems);
                return Err(failure);
            }
            Err(Unfit::Costly(costly)) => return Err(self.broken(format!("outputs that are too much: {costly}"))),
        }
        self.check_secrets(&outputs)?;
        Ok(outputs)
    }

    /// A plan fit to be shown, with known outputs that later plans may use.
    fn check_plan(&self, plan: StagePlan) -> Result<StagePlan, Failure> {
        let shown = |text: &str| shown(&self.run.redactor, text, PLAN_TEXT_BYTES);
        if plan.changes.len() > CHANGES {
            return Err(self.broken(format!("a plan of {} changes; at most {CHANGES} are shown", plan.changes.len())));
        }
        if let Some(text) = &plan.outputs {
            self.check_secrets(&self.read_outputs("known outputs", text)?)?;
        }
        Ok(StagePlan {
            summary: shown(&plan.summary),
            changes: plan
                .changes
                .iter()
                .map(|change| Change {
                    action: change.action,
                    subject: shown(&change.subject),
                    detail: shown(&change.detail),
                })
                .collect(),
            outputs: plan.outputs,
        })
    }

    /// `text` as JSON. It is measured twice, because numbers may become longer when they are written again.
    fn read_outputs(&self, what: &str, text: &str) -> Result<Value, Failure> {
        let most = self.limits.output_bytes;
        let too_long = |length: usize| self.broken(format!("{what} that have {length} bytes; at most {most} are kept"));
        if text.len() > most {
            return Err(too_long(text.len()));
        }
        let outputs =
            json::read(text.as_bytes()).map_err(|unreadable| self.broken(format!("{what} that are {unreadable}")))?;
        match outputs.to_string().len() {
            length if length > most => Err(too_long(length)),
            _ => Ok(outputs),
        }
    }

    fn check_secrets(&self, outputs: &Value) -> Result<(), Failure> {
        if !self.run.redactor.is_betrayed_by(outputs) {
            return Ok(());
        }
        Err(Failure {
            kind: "denied".to_owned(),
            message: format!("the plugin `{}` answered a secret among its outputs", self.plugin.description.name),
            help: Some("outputs are kept and shown; a secret travels only as a reference".to_owned()),
            details: Vec::new(),
        })
    }

    fn broken(&self, what: String) -> Failure {
        Failure {
            kind: "sandbox".to_owned(),
            message: format!("the plugin `{}` answered {what}", self.plugin.description.name),
            help: Some("this is a defect of the plugin, not of your pipeline; tell its author".to_owned()),
            details: Vec::new(),
        }
    }

    /// A guest's failure, of a length that people read and a record of the journal holds.
    fn failure_of(&self, failure: types::Failure) -> Failure {
        let kind = match failure.kind {
            types::FailureKind::Config => "config",
            types::FailureKind::Denied => "denied",
            types::FailureKind::NotFound => "not-found",
            types::FailureKind::Conflict => "conflict",
            types::FailureKind::Rejected => "rejected",
            types::FailureKind::Failed => "failed",
            types::FailureKind::TimedOut => "timed-out",
            types::FailureKind::Unavailable => "unavailable",
            types::FailureKind::Internal => "internal",
        };
        Failure {
            kind: kind.to_owned(),
            message: shown(&self.run.redactor, &failure.message, TEXT_BYTES),
            help: failure.help.map(|help| shown(&self.run.redactor, &help, TEXT_BYTES)),
            details: self.shown_details(failure.details),
        }
    }

    fn shown_details(&self, details: Vec<String>) -> Vec<String> {
        let mut left = DETAILS_BYTES;
        let mut kept = Vec::new();
        for detail in details.iter().take(DETAILS) {
            let detail = shown(&self.run.redactor, detail, TEXT_BYTES.min(left));
            left -= detail.len();
            kept.push(detail);
            if left == 0 {
                break;
            }
        }
        kept
    }
}

/// How much of a failure, or of an undo's sentence, is kept.
const TEXT_BYTES: usize = 4_000;
/// How many lines of evidence are kept, and how much of them together.
const DETAILS: usize = 200;
const DETAILS_BYTES: usize = 64 << 10;
/// How much of a plan is kept.
const CHANGES: usize = 10_000;
const PLAN_TEXT_BYTES: usize = 1_000;

enum Invoked {
    Planned(StagePlan),
    Outputs(String),
    Undone(String),
}

async fn call(
    guest: &Guest,
    store: &mut Store<StageHost>,
    ask: Ask,
    config: &str,
) -> wasmtime::Result<Result<Invoked, lifecycle::Failure>> {
    let lifecycle = guest.kiln_stage_lifecycle();
    Ok(match ask {
        Ask::Plan => lifecycle.call_plan(store, config).await?.map(Invoked::Planned),
        Ask::Run => lifecycle.call_run(store, config).await?.map(Invoked::Outputs),
        Ask::Undo => lifecycle.call_undo(store, config).await?.map(Invoked::Undone),
    })
}

/// Whether another attempt could end otherwise.
pub(crate) fn is_worth_another_attempt(failure: &Failure) -> bool {
    !matches!(failure.kind.as_str(), "config" | "denied" | "rejected" | "internal" | "sandbox")
}
