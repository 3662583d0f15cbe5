//! What one attempt of a stage asked its host for, and what it was answered: what a replay answers from.
//!
//! The main type is [`Script`]. A guest is deterministic, so it asks for the same again; [`Mismatch`] says where it did not.

use std::collections::VecDeque;

use super::record::{Body, CallKey, CallResult, Decider, Intent, LocalRead, Reconciled, Record, Remember, Timer};
use crate::types::Digest;

/// The recorded steps of one attempt of a phase, in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Script {
    steps: VecDeque<(CallKey, Step)>,
}

/// One thing that a guest asked its host for.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// An AWS call.
    Call(Box<RecordedCall>),
    /// The host answered by itself.
    Local(LocalRead),
    /// A wait.
    Timer(Timer),
    /// A remembered value.
    Remember(Remember),
}

/// An AWS call as far as it was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedCall {
    /// The IAM action.
    pub action: String,
    /// The hash of the request.
    pub request_hash: Digest,
    /// That it was about to be sent; none for reads and refused calls.
    pub intent: Option<Intent>,
    /// What a person said became of it.
    pub settled: Option<Reconciled>,
    /// How it was answered; none where the answer never came, or was not written down any more.
    pub result: Option<CallResult>,
}

/// A guest did not do what it had done before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "stage `{}` does not do again what it did before: as its call {} ({} attempt {}) the journal holds {expected}, and now \
     it {got}",
    call.stage, call.seq, call.phase, call.attempt
)]
pub struct Mismatch {
    /// Where.
    pub call: CallKey,
    /// What the journal holds.
    pub expected: String,
    /// What the guest did.
    pub got: String,
}

impl RecordedCall {
    /// What was asked for: an intent holds it, or the answer of a call that had none.
    pub(crate) fn request(&self) -> Option<&Body> {
        let answered = || self.result.as_ref().and_then(|result| result.request.as_ref());
        self.intent.as_ref().map(|intent| &intent.request).or_else(answered)
    }
}

impl Script {
    /// Take in a record of this attempt. Answers whether it fits: calls are numbered without gaps.
    pub(super) fn absorb(&mut self, record: &Record) -> bool {
        match record {
            Record::Intent(intent) => self.push(
                &intent.call,
                Step::Call(Box::new(RecordedCall {
                    action: intent.action.clone(),
                    request_hash: intent.request_hash.clone(),
                    intent: Some(intent.clone()),
                    settled: None,
                    result: None,
                })),
            ),
            Record::Result(result) => match self.last_call(&result.call) {
                Some(call) => {
                    call.result = Some(result.clone());
                    true
                }
                None => self.push(
                    &result.call,
                    Step::Call(Box::new(RecordedCall {
                        action: result.action.clone(),
                        request_hash: result.request_hash.clone(),
                        intent: None,
                        settled: None,
                        result: Some(result.clone()),
                    })),
                ),
            },
            Record::Reconciled(reconciled) => match self.last_call(&reconciled.call) {
                Some(call) => {
                    // What a person said holds until it was acted on: kiln says so before it does, and looks again after.
                    call.settled = match reconciled.by {
                        Decider::Person => Some(reconciled.clone()),
                        Decider::Lookup => None,
                    };
                    true
                }
                None => false,
            },
            Record::LocalRead(read) => self.push(&read.call, Step::Local(read.clone())),
            Record::Timer(timer) => self.push(&timer.call, Step::Timer(timer.clone())),
            Record::Remember(remember) => self.push(&remember.call, Step::Remember(remember.clone())),
            Record::RunStart(_)
            | Record::RunResume(_)
            | Record::StageStart(_)
            | Record::StageEnd(_)
            | Record::Fence(_)
            | Record::UndoStart(_)
            | Record::UndoEnd(_)
            | Record::Stuck(_)
            | Record::RunEnd(_) => true,
        }
    }

    /// How many AWS calls are in it.
    pub fn calls(&self) -> u32 {
        let calls = self.steps.iter().filter(|(_, step)| matches!(step, Step::Call(_))).count();
        u32::try_from(calls).unwrap_or(u32::MAX)
    }

    /// Whether nothing (more) is recorded.
    pub fn is_over(&self) -> bool {
        self.steps.is_empty()
    }

    /// What the guest asked for as its call `key`; none where nothing is recorded any more.
    pub(crate) fn next(&mut self, key: &CallKey) -> Option<Step> {
        match self.steps.front() {
            Some((recorded, _)) if recorded == key => self.steps.pop_front().map(|(_, step)| step),
            Some(_) | None => None,
        }
    }

    /// That the guest came to its end although more is recorded.
    pub(crate) fn left_over(&self) -> Option<Mismatch> {
        self.steps.front().map(|(call, step)| Mismatch {
            call: call.clone(),
            expected: step.words(),
            got: "came to its end without it".to_owned(),
        })
    }

    fn push(&mut self, call: &CallKey, step: Step) -> bool {
        let follows = match self.steps.back() {
            Some((last, _)) => call.seq == last.seq + 1,
            None => call.seq == 0,
        };
        if follows {
            self.steps.push_back((call.clone(), step));
        }
        follows
    }

    /// The newest step, where it is the AWS call `key`: an answer follows its intent with nothing between.
    fn last_call(&mut self, key: &CallKey) -> Option<&mut RecordedCall> {
        match self.steps.back_mut() {
            Some((last, Step::Call(call))) if last == key => Some(call),
            Some(_) | None => None,
        }
    }
}

impl Step {
    /// It, as a difference names it.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Call(call) => asked_aws(&call.action, &call.request_hash),
            Self::Local(read) => asked_host(&read.what),
            Self::Timer(timer) => waited(timer.millis),
            Self::Remember(remember) => remembered(&remember.name.shown().text(), &remember.value.shown().text()),
        }
    }
}

/// A call of AWS, as a difference names it.
pub(crate) fn asked_aws(action: &str, request: &Digest) -> String {
    let short: String = request.as_str().chars().take("sha256:".len() + 12).collect();
    format!("the call {action} with the request {short}")
}

/// A question to the host, as a difference names it.
pub(crate) fn asked_host(what: &str) -> String {
    format!("the question for {what}")
}

/// A wait, as a difference names it.
pub(crate) fn waited(millis: u64) -> String {
    format!("a wait of {millis} ms")
}

/// A remembered value, as a difference names it.
pub(crate) fn remembered(name: &str, value: &str) -> String {
    format!("the remembered value `{name}` ({} bytes)", value.len())
}
